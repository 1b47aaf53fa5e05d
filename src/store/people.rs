//! The rows of `users` as rooms need them: locked and numbered for the user stream, or named. The rest of an account is not here.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDateTime;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use super::backend::Db;
use super::columns::{Id, int, revision};
use super::error::StoreError;
use super::profiles::ProfileRow;
use super::schema::{profiles, users};
use crate::domain::fault::Fault;
use crate::domain::ids::UserId;
use crate::domain::order::Revision;
use crate::domain::profile::{OwnProfile, Profile};
use crate::domain::user::User;

/// A row of `users` as others see it.
#[derive(Clone, Debug, Queryable)]
pub struct UserRow {
    id: Id,
    name: String,
    display_name: String,
    admin: bool,
    disabled: bool,
    deleted: bool,
    invisible: bool,
    created_at: NaiveDateTime,
}

/// The columns of a [`UserRow`].
pub const PERSON: Person = (
    users::id,
    users::name,
    users::display_name,
    users::admin,
    users::disabled,
    users::deleted,
    users::invisible,
    users::created_at,
);

type Person = (
    users::id,
    users::name,
    users::display_name,
    users::admin,
    users::disabled,
    users::deleted,
    users::invisible,
    users::created_at,
);

impl From<UserRow> for User {
    fn from(row: UserRow) -> Self {
        Self {
            id: row.id.into(),
            name: row.name,
            display_name: row.display_name,
            admin: row.admin,
            disabled: row.disabled,
            deleted: row.deleted,
            invisible: row.invisible,
            created_at: row.created_at.and_utc(),
        }
    }
}

/// Users under lock. Taken after the rooms, in the order of the ids.
#[derive(Clone, Debug, Default)]
pub struct Locked(BTreeMap<Id, Streaming>);

#[derive(Clone, Copy, Debug)]
struct Streaming {
    deleted: bool,
    disabled: bool,
    revision: i64,
    /// By how much.
    raised: i64,
}

impl Locked {
    /// Locks the rows of `users`.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn take(db: &mut Db, users: impl IntoIterator<Item = UserId>) -> Result<Self, StoreError> {
        let mut ids: Vec<Id> = users.into_iter().map(Id::from).collect();
        ids.sort_unstable();
        ids.dedup();
        let columns = (users::id, users::deleted, users::disabled, users::stream_revision);
        let query = users::table.select(columns).filter(users::id.eq_any(&ids)).order(users::id);
        let rows: Vec<(Id, bool, bool, i64)> = match db {
            Db::Sqlite(c) => query.load(c).await?,
            Db::Mysql(c) => query.for_update().load(c).await?,
        };
        let streaming = |(id, deleted, disabled, revision)| (id, Streaming { deleted, disabled, revision, raised: 0 });
        Ok(Self(rows.into_iter().map(streaming).collect()))
    }

    /// Refuses somebody who has no account, or one that is deleted or disabled.
    ///
    /// # Errors
    /// [`Fault::NotFound`].
    pub fn require(&self, user: UserId) -> Result<(), Fault> {
        let there = self.0.get(&user.into()).is_some_and(|streaming| !streaming.deleted && !streaming.disabled);
        if there { Ok(()) } else { Err(Fault::NotFound) }
    }

    /// The same, only that who is disabled may be spoken of.
    ///
    /// # Errors
    /// [`Fault::NotFound`].
    pub fn require_account(&self, user: UserId) -> Result<(), Fault> {
        let there = self.0.get(&user.into()).is_some_and(|streaming| !streaming.deleted);
        if there { Ok(()) } else { Err(Fault::NotFound) }
    }

    /// The next revision of somebody's stream. Asked twice, it is the same: one operation is one change of a stream.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`]; [`Fault::NotFound`] for somebody without a row.
    pub fn next(&mut self, user: UserId) -> Result<Revision, StoreError> {
        let streaming = self.0.get_mut(&user.into()).ok_or(Fault::NotFound)?;
        if streaming.raised == 0 {
            (streaming.raised, streaming.revision) = (1, streaming.revision + 1);
        }
        revision(streaming.revision)
    }

    /// The same where one operation changes many rows of a stream: each takes a revision of its own, so that a page may end behind any.
    ///
    /// # Errors
    /// As [`Locked::next`].
    pub fn next_of_many(&mut self, user: UserId) -> Result<Revision, StoreError> {
        let streaming = self.0.get_mut(&user.into()).ok_or(Fault::NotFound)?;
        (streaming.raised, streaming.revision) = (streaming.raised + 1, streaming.revision + 1);
        revision(streaming.revision)
    }

    /// Writes the raised heads and says whose they are.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn write(self, db: &mut Db) -> Result<Vec<(UserId, Revision)>, StoreError> {
        let raised = || self.0.iter().filter(|(_, streaming)| streaming.raised > 0);
        // One statement for all who are raised by as much; mostly that is one for all.
        let steps: BTreeSet<i64> = raised().map(|(_, streaming)| streaming.raised).collect();
        for step in steps {
            let by: Vec<Id> = raised().filter(|(_, streaming)| streaming.raised == step).map(|(id, _)| *id).collect();
            let raise = users::stream_revision.eq(users::stream_revision + step);
            each!(db, |c| diesel::update(users::table).filter(users::id.eq_any(&by)).set(raise).execute(c).await)?;
        }
        let heads = raised();
        heads.map(|(id, streaming)| Ok(((*id).into(), revision(streaming.revision)?))).collect()
    }
}

/// The heads of many people's streams; those without an account are left out. Order is not kept.
///
/// # Errors
/// Those of the database.
pub async fn stream_heads(db: &mut Db, of: &[UserId]) -> Result<Vec<(UserId, Revision)>, StoreError> {
    let ids: Vec<Id> = of.iter().copied().map(Id::from).collect();
    let query = users::table.filter(users::id.eq_any(&ids)).select((users::id, users::stream_revision));
    let rows: Vec<(Id, i64)> = each!(db, |c| query.load(c).await)?;
    rows.into_iter().map(|(id, head)| Ok((id.into(), revision(head)?))).collect()
}

/// Somebody's own profile if it changed in the stream revisions (from, to].
///
/// # Errors
/// Those of the database.
pub async fn profile_changed(db: &mut Db, user: UserId, from: Revision, to: Revision) -> Result<Option<OwnProfile>, StoreError> {
    let query = users::table
        .left_join(profiles::table.on(profiles::user.eq(users::id)))
        .filter(users::id.eq(Id::from(user)))
        .filter(users::profile_revision.gt(int(from.0)))
        .filter(users::profile_revision.le(int(to.0)))
        .select((users::profile_revision, PERSON, profiles::all_columns.nullable()));
    let row: Option<(i64, UserRow, Option<ProfileRow>)> = each!(db, |c| query.first(c).await.optional())?;
    let Some((at, row, said)) = row else { return Ok(None) };
    let profile = said.map_or_else(|| Ok(Profile::default()), Profile::try_from)?;
    Ok(Some(OwnProfile { user: row.into(), profile, revision: revision(at)? }))
}
