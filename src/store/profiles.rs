//! What people say of themselves.
//!
//! *Invariants.* A row is written under the lock of its person's row in `users`, with whose `profile_revision` it changes. Who says nothing
//! has no row.

use std::collections::HashMap;

use chrono::NaiveDateTime;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use super::backend::Db;
use super::columns::{Id, at};
use super::error::StoreError;
use super::schema::profiles;
use super::{members, relations};
use crate::domain::emoji::Emoji;
use crate::domain::ids::UserId;
use crate::domain::profile::{About, Person, Profile, Status};
use crate::domain::text::StatusText;
use crate::domain::time_zone::TimeZone;
use crate::domain::user::User;
use crate::policy::{self, Acquaintance};

/// A row of `profiles`.
#[derive(Clone, Debug, Queryable, Insertable)]
#[diesel(table_name = profiles, treat_none_as_default_value = false)]
pub(super) struct ProfileRow {
    user: Id,
    about: String,
    status_text: String,
    status_emoji: Option<String>,
    status_until: Option<NaiveDateTime>,
    time_zone: Option<String>,
}

impl ProfileRow {
    fn new(user: UserId, profile: &Profile) -> Self {
        let status = profile.status.as_ref();
        Self {
            user: user.into(),
            about: profile.about.said().unwrap_or_default().to_owned(),
            status_text: status.map(|status| status.text.as_str().to_owned()).unwrap_or_default(),
            status_emoji: status.and_then(|status| status.emoji).map(|emoji| emoji.as_str().to_owned()),
            status_until: status.and_then(|status| status.until).map(at),
            time_zone: profile.time_zone.map(|zone| zone.as_str().to_owned()),
        }
    }
}

impl TryFrom<ProfileRow> for Profile {
    type Error = StoreError;

    fn try_from(row: ProfileRow) -> Result<Self, StoreError> {
        let corrupt = |_| StoreError::Corrupt("a profile is none that anybody could set".to_owned());
        let text = StatusText::parse(&row.status_text).map_err(corrupt)?;
        let emoji = row.status_emoji.as_deref().map(Emoji::parse).transpose().map_err(corrupt)?;
        let until = row.status_until.map(|until| until.and_utc());
        Ok(Self {
            about: About::parse(&row.about).map_err(corrupt)?,
            status: (!text.as_str().is_empty() || emoji.is_some()).then_some(Status { text, emoji, until }),
            // One that only a newer version knows is as good as none.
            time_zone: row.time_zone.and_then(|zone| TimeZone::parse(&zone).ok()),
        })
    }
}

/// What these people say of themselves, of those who say anything.
///
/// # Errors
/// Those of the database.
pub async fn of(db: &mut Db, people: &[UserId]) -> Result<HashMap<UserId, Profile>, StoreError> {
    let ids: Vec<Id> = people.iter().copied().map(Id::from).collect();
    let query = profiles::table.filter(profiles::user.eq_any(&ids)).select(profiles::all_columns);
    let rows: Vec<ProfileRow> = each!(db, |c| query.load(c).await)?;
    rows.into_iter().map(|row| Ok((row.user.into(), row.try_into()?))).collect()
}

/// The same of one person.
///
/// # Errors
/// Those of the database.
pub async fn of_one(db: &mut Db, user: UserId) -> Result<Profile, StoreError> {
    let query = profiles::table.find(Id::from(user)).select(profiles::all_columns);
    let row: Option<ProfileRow> = each!(db, |c| query.first(c).await.optional())?;
    row.map_or_else(|| Ok(Profile::default()), Profile::try_from)
}

/// These people as `asking` sees them. Whether their profiles may be seen is read behind the profiles: so what is seen was said before a
/// block, or before the last shared room ended (I10).
///
/// # Errors
/// Those of the database.
pub async fn seen_by(db: &mut Db, asking: UserId, people: Vec<User>) -> Result<Vec<Person>, StoreError> {
    let ids: Vec<UserId> = people.iter().map(|user| user.id).collect();
    let mut profiles = of(db, &ids).await?;
    let others: Vec<UserId> = profiles.keys().copied().filter(|user| *user != asking).collect();
    let (sharing, blocking) = if others.is_empty() {
        (Vec::new(), Vec::new())
    } else {
        (members::sharing(db, asking, &others).await?, relations::blocked_by(db, asking, &others).await?)
    };
    let seen = |user: User| {
        let with = Acquaintance {
            oneself: user.id == asking,
            sharing: sharing.contains(&user.id),
            blocked: blocking.contains(&user.id),
            shut_out: user.disabled || user.deleted,
        };
        let profile = profiles.remove(&user.id).filter(|_| policy::may_see_profile(&with));
        Person { user, profile: profile.unwrap_or_default() }
    };
    Ok(people.into_iter().map(seen).collect())
}

/// Writes what a locked person says of themselves.
pub(super) async fn write(db: &mut Db, user: UserId, profile: &Profile) -> Result<(), StoreError> {
    forget(db, user).await?;
    if *profile != Profile::default() {
        let row = ProfileRow::new(user, profile);
        each!(db, |c| diesel::insert_into(profiles::table).values(row).execute(c).await)?;
    }
    Ok(())
}

/// Forgets what a person said of themselves whose account ends.
pub(super) async fn forget(db: &mut Db, user: UserId) -> Result<(), StoreError> {
    each!(db, |c| diesel::delete(profiles::table.find(Id::from(user))).execute(c).await)?;
    Ok(())
}

#[cfg(test)]
mod tests;
