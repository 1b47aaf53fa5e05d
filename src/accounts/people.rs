//! How people find and see each other.

use super::handle::Accounts;
use crate::domain::fault::{Fault, Refusal};
use crate::domain::ids::UserId;
use crate::domain::profile::Person;
use crate::domain::text::NamePrefix;
use crate::domain::user::FoundUpTo;
use crate::store::profiles::seen_by;
use crate::store::users::by_ids;
use crate::store::users::search::search;

impl Accounts {
    /// One person, as `asking` sees them.
    ///
    /// # Errors
    /// [`Fault::NotFound`], those of the database.
    pub async fn person(&self, asking: UserId, user: UserId) -> Result<Person, Refusal> {
        let found = self.people(asking, vec![user]).await?;
        found.into_iter().next().ok_or_else(|| Fault::NotFound.into())
    }

    /// Those of these people who exist, by id, as `asking` sees them; whoever deleted their account is there without a name.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn people(&self, asking: UserId, users: Vec<UserId>) -> Result<Vec<Person>, Refusal> {
        let read = self.read(move |db| {
            Box::pin(async move {
                let found = by_ids(db, &users).await?;
                seen_by(db, asking, found).await
            })
        });
        Ok(self.shown_now(read.await?))
    }

    /// People whose log-in name or display name begins with `prefix`, as `asking` sees them, and where to go on. Whoever blocks them is
    /// found like anybody else: names are no secret, and nobody learns of a block by looking.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn find_people(
        &self,
        asking: UserId,
        prefix: NamePrefix,
        after: Option<FoundUpTo>,
        limit: usize,
    ) -> Result<(Vec<Person>, Option<FoundUpTo>), Refusal> {
        let read = self.read(move |db| {
            Box::pin(async move {
                let (found, next) = search(db, prefix.as_str(), after, limit).await?;
                Ok((seen_by(db, asking, found).await?, next))
            })
        });
        let (people, next) = read.await?;
        Ok((self.shown_now(people), next))
    }

    fn shown_now(&self, people: Vec<Person>) -> Vec<Person> {
        let now = self.now();
        people.into_iter().map(|person| Person { profile: person.profile.at(now), ..person }).collect()
    }
}
