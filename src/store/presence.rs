//! What the store knows of people's presence: who hides, when somebody was last active, who may know of whom.
//!
//! *Must not know*: who is connected.

use chrono::NaiveDateTime;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use super::backend::Db;
use super::columns::Id;
use super::error::StoreError;
use super::members;
use super::relations;
use super::schema::users;
use crate::domain::ids::UserId;
use crate::domain::time::Timestamp;

/// A person's presence as far as it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredPresence {
    /// Whose.
    pub user: UserId,
    /// They are shown as offline, on request; so are those whose account is deleted or disabled.
    pub invisible: bool,
    /// When they were last active.
    pub last_active: Option<Timestamp>,
}

/// What is stored of these people; who has no account is left out.
///
/// # Errors
/// Those of the database.
pub async fn of(db: &mut Db, people: &[UserId]) -> Result<Vec<StoredPresence>, StoreError> {
    let ids: Vec<Id> = people.iter().copied().map(Id::from).collect();
    let columns = (users::id, users::invisible, users::deleted, users::disabled, users::last_active_at);
    let query = users::table.filter(users::id.eq_any(&ids)).select(columns);
    let rows: Vec<(Id, bool, bool, bool, Option<NaiveDateTime>)> = each!(db, |c| query.load(c).await)?;
    let stored = |(id, invisible, deleted, disabled, at): (Id, bool, bool, bool, Option<NaiveDateTime>)| StoredPresence {
        user: id.into(),
        invisible: invisible || deleted || disabled,
        last_active: at.map(|at| at.and_utc()),
    };
    Ok(rows.into_iter().map(stored).collect())
}

/// The same, only of those whose presence `watcher` may know: who shares a room or conversation with them, without a block in either
/// direction, and themselves (I10). It is mutual: who may know may be known.
///
/// # Errors
/// Those of the database.
pub async fn shared_with(db: &mut Db, watcher: UserId, people: &[UserId]) -> Result<Vec<StoredPresence>, StoreError> {
    let mut allowed = members::sharing(db, watcher, people).await?;
    let apart = relations::apart(db, watcher, &allowed).await?;
    allowed.retain(|other| !apart.contains(other));
    if people.contains(&watcher) && !allowed.contains(&watcher) {
        allowed.push(watcher);
    }
    of(db, &allowed).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::domain::ids::RoomId;
    use crate::domain::profile::ProfileChange;
    use crate::domain::text::{DisplayName, UserName};
    use crate::store::registrations::Register;
    use crate::store::rooms::{CreateGroup, RoomLimits};
    use crate::store::testing::TestStore;
    use crate::store::users::NewUser;
    use crate::store::users::changes::{ChangeProfile, TouchLastActive};
    use chrono::DateTime;

    async fn register(at: &TestStore, name: &str) -> UserId {
        let user = NewUser {
            id: UserId::generate(),
            name: UserName::parse(name).unwrap(),
            display_name: DisplayName::parse(name).unwrap(),
            password_hash: "hash".into(),
            now: DateTime::UNIX_EPOCH,
        };
        at.run(Register { user, admin: false, invitation: None, login: None, suspicion: None }).await.unwrap().id
    }

    #[tokio::test]
    async fn only_who_shares_a_room_is_known_and_oneself() {
        let at = TestStore::open().await;
        let (ann, bob, eve) = (register(&at, "ann").await, register(&at, "bob").await, register(&at, "eve").await);
        let limits = RoomLimits::from(&Config::default().limits);
        let (room, now) = (RoomId::generate(), DateTime::UNIX_EPOCH);
        at.run(CreateGroup { creator: ann, room, people: vec![bob], now, limits }).await.unwrap();
        let known = |watcher: UserId| {
            let asked = vec![ann, bob, eve];
            let shared = at.store.read(move |db| Box::pin(async move { shared_with(db, watcher, &asked).await }));
            async { shared.await.unwrap().into_iter().map(|stored| stored.user).collect::<std::collections::HashSet<_>>() }
        };
        assert_eq!(known(ann).await, [ann, bob].into());
        assert_eq!(known(eve).await, [eve].into());
    }

    #[tokio::test]
    async fn what_is_stored_is_who_hides_and_when_they_were_active() {
        let at = TestStore::open().await;
        let (ann, bob) = (register(&at, "ann").await, register(&at, "bob").await);
        let active = DateTime::from_timestamp(1_800_000_000, 0);
        at.run(TouchLastActive { at: active.unwrap(), users: vec![bob] }).await.unwrap();
        let change = ProfileChange { invisible: Some(true), ..ProfileChange::default() };
        at.run(ChangeProfile { user: ann, change, verdict: Ok(()), suspicion: None, now: active.unwrap() }).await.unwrap();
        let nobody = UserId::generate();
        let mut stored = at.store.read(move |db| Box::pin(async move { of(db, &[ann, bob, nobody]).await })).await.unwrap();
        stored.sort_by_key(|stored| stored.user);
        let expected = [
            StoredPresence { user: ann, invisible: true, last_active: None },
            StoredPresence { user: bob, invisible: false, last_active: active },
        ];
        assert_eq!(stored, expected);
    }
}
