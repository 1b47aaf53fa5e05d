//! Throwing away of what people were notified long ago. Without a word in their streams: who has it may keep it.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use crate::domain::ids::UserId;
use crate::domain::time::Timestamp;
use crate::store::backend::Db;
use crate::store::columns::{Id, at};
use crate::store::error::StoreError;
use crate::store::operation::{Operation, Reply};
use crate::store::schema::notifications;

/// Throws away the old notifications of some people, by id.
#[derive(Clone, Copy, Debug)]
pub struct ForgetNotifications {
    /// Go on after this one.
    pub after: Option<UserId>,
    /// So many people.
    pub people_max: usize,
    /// What is older goes.
    pub before: Timestamp,
    /// So many of each person stay, the newest.
    pub kept: usize,
}

impl Operation for ForgetNotifications {
    /// Where to go on, if there is more.
    type Output = Option<UserId>;
    const NAME: &'static str = "forget_notifications";

    fn run<'a>(&'a self, db: &'a mut Db) -> Reply<'a, Self::Output> {
        Box::pin(self.forget(db))
    }
}

impl ForgetNotifications {
    async fn forget(&self, db: &mut Db) -> Result<Option<UserId>, StoreError> {
        let query = notifications::table
            .filter(notifications::user.gt(self.after.map_or(Id([0; 16]), Id::from)))
            .order(notifications::user)
            .limit(i64::try_from(self.people_max).unwrap_or(i64::MAX))
            .select(notifications::user)
            .distinct();
        let people: Vec<Id> = each!(db, |c| query.load(c).await)?;
        for user in &people {
            self.forget_of(db, *user).await?;
        }
        Ok(people.last().filter(|_| people.len() >= self.people_max).map(|last| (*last).into()))
    }

    async fn forget_of(&self, db: &mut Db, user: Id) -> Result<(), StoreError> {
        let theirs = || notifications::table.filter(notifications::user.eq(user));
        let too_old = theirs().filter(notifications::created_at.lt(at(self.before)));
        each!(db, |c| diesel::delete(too_old).execute(c).await)?;
        let query = theirs()
            .order(notifications::stream_revision.desc())
            .offset(i64::try_from(self.kept).unwrap_or(i64::MAX - 1))
            .limit(1)
            .select(notifications::stream_revision);
        let first_too_many: Option<i64> = each!(db, |c| query.first(c).await.optional())?;
        if let Some(revision) = first_too_many {
            let too_many = theirs().filter(notifications::stream_revision.le(revision));
            each!(db, |c| diesel::delete(too_many).execute(c).await)?;
        }
        Ok(())
    }
}
