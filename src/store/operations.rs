//! Operation ids: the answer of a command that must not take effect twice is stored with its effect (I3).
//!
//! *Invariant.* Answer and effect commit together, so a repeat finds either both or none.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use super::backend::Db;
use super::columns::{Id, at};
use super::error::{StoreError, UNIQUE_KEY};
use super::operation::{Operation, Reply};
use super::schema::operations;
use crate::domain::fault::Fault;
use crate::domain::ids::UserId;
use crate::domain::time::Timestamp;

/// Who sent which request under which key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OperationKey {
    /// Who; keys of different people have nothing to do with each other.
    pub user: UserId,
    /// SHA-256 of the key.
    pub key_hash: [u8; 32],
    /// SHA-256 of what was asked.
    pub request_hash: [u8; 32],
}

/// `O`, at most once under its key.
#[derive(Clone)]
pub struct Once<O: Operation> {
    /// The key; `None`: as if it were not wrapped.
    pub key: Option<OperationKey>,
    /// The present time.
    pub now: Timestamp,
    /// What to do if it was not done yet.
    pub operation: O,
    /// What of its output the asking side is answered, as JSON.
    pub answer: fn(&O::Output) -> String,
}

/// What an operation under a key came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome<T> {
    /// It was done now: announce it, and answer with `answer(&output)`.
    Done(T),
    /// It was done before; this is the answer that was given then. There is nothing to announce.
    Repeat(String),
}

impl<O: Operation> Operation for Once<O> {
    type Output = Outcome<O::Output>;
    const NAME: &'static str = O::NAME;

    fn run<'a>(&'a self, db: &'a mut Db) -> Reply<'a, Self::Output> {
        Box::pin(async move {
            let Some(key) = &self.key else { return self.operation.run(db).await.map(Outcome::Done) };
            if let Some((request_hash, answer)) = find(db, key).await? {
                return match request_hash == key.request_hash {
                    true => Ok(Outcome::Repeat(answer)),
                    false => Err(Fault::KeyReused.into()),
                };
            }
            let output = self.operation.run(db).await?;
            insert(db, key, &(self.answer)(&output), self.now).await?;
            Ok(Outcome::Done(output))
        })
    }
}

pub(super) async fn find(db: &mut Db, key: &OperationKey) -> Result<Option<(Vec<u8>, String)>, StoreError> {
    let query = operations::table
        .select((operations::request_hash, operations::answer))
        .filter(operations::user.eq(Id::from(key.user)).and(operations::key_hash.eq(key.key_hash.as_slice())));
    Ok(each!(db, |c| query.first(c).await.optional())?)
}

pub(super) async fn insert(db: &mut Db, key: &OperationKey, answer: &str, now: Timestamp) -> Result<(), StoreError> {
    let query = diesel::insert_into(operations::table).values((
        operations::user.eq(Id::from(key.user)),
        operations::key_hash.eq(key.key_hash.as_slice()),
        operations::request_hash.eq(key.request_hash.as_slice()),
        operations::answer.eq(answer),
        operations::created_at.eq(at(now)),
    ));
    match each!(db, |c| query.execute(c).await).map_err(StoreError::from) {
        // The same command was under way elsewhere and has won: run again, this is its repeat.
        Err(StoreError::RowRefused(UNIQUE_KEY)) => Err(StoreError::Contention("operation key".to_owned())),
        Err(error) => Err(error),
        Ok(_) => Ok(()),
    }
}

pub(super) async fn forget(db: &mut Db, key: &OperationKey) -> Result<(), StoreError> {
    let row = operations::table.find((Id::from(key.user), key.key_hash.as_slice()));
    each!(db, |c| diesel::delete(row).execute(c).await)?;
    Ok(())
}

pub(super) async fn delete_before(db: &mut Db, before: Timestamp, limit: i64) -> Result<(), StoreError> {
    let query = operations::table
        .select((operations::user, operations::key_hash))
        .filter(operations::created_at.lt(at(before)))
        .limit(limit);
    let old: Vec<(Id, Vec<u8>)> = each!(db, |c| query.load(c).await)?;
    for (user, key_hash) in old {
        let row = operations::table.filter(operations::user.eq(user).and(operations::key_hash.eq(key_hash)));
        let query = diesel::delete(row);
        each!(db, |c| query.execute(c).await)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::text::{DisplayName, UserName};
    use crate::domain::user::User;
    use crate::store::logins::CleanUp;
    use crate::store::registrations::Register;
    use crate::store::testing::TestStore;
    use crate::store::users::{self, NewUser};
    use chrono::DateTime;
    use std::sync::Arc;
    use std::time::Duration;

    fn now() -> Timestamp {
        DateTime::from_timestamp(1_800_000_000, 0).unwrap()
    }

    /// An operation whose effect can be counted: each makes another account.
    fn once(key: Option<OperationKey>, name: &str) -> Once<Register> {
        let user = NewUser {
            id: UserId::generate(),
            name: UserName::parse(name).unwrap(),
            display_name: DisplayName::parse(name).unwrap(),
            password_hash: "hash".to_owned(),
            now: now(),
        };
        let operation = Register { user, admin: false, invitation: None, login: None, suspicion: None };
        Once { key, now: now(), operation, answer: |user: &User| user.name.clone() }
    }

    fn key(user: UserId, request: u8) -> Option<OperationKey> {
        Some(OperationKey { user, key_hash: [1; 32], request_hash: [request; 32] })
    }

    #[tokio::test]
    async fn a_repeat_gets_the_first_answer_and_has_no_effect() {
        let at = TestStore::open().await;
        let user = UserId::generate();
        assert!(matches!(at.run(once(key(user, 1), "ann")).await, Ok(Outcome::Done(_))));
        assert_eq!(at.run(once(key(user, 1), "bob")).await, Ok(Outcome::Repeat("ann".to_owned())));
        assert_eq!(at.run(once(key(user, 2), "bob")).await, Err(StoreError::Refused(Fault::KeyReused)));
        assert!(matches!(at.run(once(key(UserId::generate(), 1), "bob")).await, Ok(Outcome::Done(_))));
        assert!(matches!(at.run(once(None, "carl")).await, Ok(Outcome::Done(_))));
        assert_eq!(at.store.read(|db| Box::pin(users::list(db, None, 10))).await.unwrap().0.len(), 3);
    }

    #[tokio::test]
    async fn of_the_same_command_twice_at_the_same_time_one_takes_effect() {
        let at = TestStore::open().await;
        let user = UserId::generate();
        let runs = ["ann", "bob", "carl", "dora"].map(|name| {
            let (store, operation) = (at.store.clone(), Arc::new(once(key(user, 1), name)));
            tokio::spawn(async move {
                loop {
                    match store.transaction(Arc::clone(&operation), crate::store::testing::PATIENCE).await {
                        Err(error) if error.is_transient() => tokio::task::yield_now().await,
                        result => return result.unwrap(),
                    }
                }
            })
        });
        let outcomes = futures_util::future::join_all(runs).await;
        let done = outcomes.iter().filter(|outcome| matches!(outcome, Ok(Outcome::Done(_)))).count();
        assert_eq!(done, 1);
        assert_eq!(at.store.read(|db| Box::pin(users::list(db, None, 10))).await.unwrap().0.len(), 1);
    }

    #[tokio::test]
    async fn a_refused_command_may_be_sent_again_under_its_key() {
        let at = TestStore::open().await;
        let user = UserId::generate();
        at.run(once(None, "ann")).await.unwrap();
        assert_eq!(at.run(once(key(user, 1), "ann")).await, Err(StoreError::Refused(Fault::NameTaken)));
        assert!(matches!(at.run(once(key(user, 1), "bob")).await, Ok(Outcome::Done(_))));
    }

    #[tokio::test]
    async fn answers_are_forgotten_after_their_life() {
        let at = TestStore::open().await;
        let user = UserId::generate();
        at.run(once(key(user, 1), "ann")).await.unwrap();
        let life = Duration::from_secs(86_400);
        let clean = |now| CleanUp { now, access_life: Duration::from_secs(600), operation_life: life, rows_max: 10 };
        at.run(clean(now() + life)).await.unwrap();
        assert!(matches!(at.run(once(key(user, 1), "bob")).await, Ok(Outcome::Repeat(_))));
        at.run(clean(now() + life + Duration::from_secs(1))).await.unwrap();
        assert!(matches!(at.run(once(key(user, 1), "bob")).await, Ok(Outcome::Done(_))));
    }
}
