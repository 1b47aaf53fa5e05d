//! People: who they are, how they are found, what they and administrators change of an account.
//!
//! *Invariants.* Names are unique by their key, which an account gives back when it is deleted; the row itself stays as the author of
//! what was written. A change of what the person sees of themselves takes the next revision of their stream, under the row's lock (I7).
//!
//! Found by the beginning of a name in [`search`]; changed in [`changes`].
//!
//! *Must not know*: how passwords are hashed, who may ask.

pub mod changes;
#[cfg(test)]
mod deletion_tests;
pub mod search;

use chrono::NaiveDateTime;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use super::backend::Db;
use super::columns::{Id, at, name_key, revision};
use super::error::StoreError;
use super::profiles;
use super::schema::users;
use crate::domain::fault::Fault;
use crate::domain::ids::UserId;
use crate::domain::profile::{OwnProfile, Profile};
use crate::domain::text::{DisplayName, UserName};
use crate::domain::time::Timestamp;
use crate::domain::user::User;

/// The columns of [`UserRow`]. Not `as_select`: that is a query for one of the two databases.
const COLUMNS: (
    users::id,
    users::name,
    users::display_name,
    users::password_hash,
    users::admin,
    users::disabled,
    users::deleted,
    users::invisible,
    users::created_at,
    users::stream_revision,
    users::profile_revision,
) = (
    users::id,
    users::name,
    users::display_name,
    users::password_hash,
    users::admin,
    users::disabled,
    users::deleted,
    users::invisible,
    users::created_at,
    users::stream_revision,
    users::profile_revision,
);

/// A row of `users`, as far as accounts need it.
#[derive(Clone, Debug, Queryable)]
pub(super) struct UserRow {
    pub id: Id,
    pub name: String,
    pub display_name: String,
    pub password_hash: Option<String>,
    pub admin: bool,
    pub disabled: bool,
    pub deleted: bool,
    pub invisible: bool,
    pub created_at: NaiveDateTime,
    pub stream_revision: i64,
    pub profile_revision: i64,
}

impl UserRow {
    /// With what the person says of themselves, as they see it.
    fn own(self, profile: Profile) -> Result<OwnProfile, StoreError> {
        Ok(OwnProfile { revision: revision(self.profile_revision)?, user: self.into(), profile })
    }
}

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

/// A person and what their password is checked against.
#[derive(Clone)]
pub struct Credentials {
    /// Who.
    pub user: User,
    /// bcrypt's notation; `None` if nobody can log in with a password.
    pub password_hash: Option<String>,
}

impl From<UserRow> for Credentials {
    fn from(mut row: UserRow) -> Self {
        Self { password_hash: row.password_hash.take(), user: row.into() }
    }
}

/// The person with the log-in name whose [`UserName::key`] is `key`.
///
/// # Errors
/// Those of the database.
pub async fn by_name(db: &mut Db, key: &str) -> Result<Option<Credentials>, StoreError> {
    let query = users::table.select(COLUMNS).filter(users::name_key.eq(key));
    let row: Option<UserRow> = each!(db, |c| query.first(c).await.optional())?;
    Ok(row.map(Credentials::from))
}

/// Who has these names, each with the key it was found by; nobody who was deleted.
///
/// # Errors
/// Those of the database.
pub async fn by_keys(db: &mut Db, keys: &[String]) -> Result<Vec<(String, UserId)>, StoreError> {
    let query = users::table.select((users::name_key.assume_not_null(), users::id)).filter(users::name_key.eq_any(keys));
    let rows: Vec<(String, Id)> = each!(db, |c| query.load(c).await)?;
    Ok(rows.into_iter().map(|(key, id)| (key, id.into())).collect())
}

/// The person `user` with their password hash.
///
/// # Errors
/// Those of the database.
pub async fn credentials(db: &mut Db, user: UserId) -> Result<Option<Credentials>, StoreError> {
    Ok(find(db, user).await?.map(Credentials::from))
}

/// The person `user` as they see themselves.
///
/// # Errors
/// Those of the database.
pub async fn profile(db: &mut Db, user: UserId) -> Result<Option<OwnProfile>, StoreError> {
    let Some(row) = find(db, user).await? else { return Ok(None) };
    let profile = profiles::of_one(db, user).await?;
    Ok(Some(row.own(profile)?))
}

/// Those of `ids` who exist, deleted ones included, by id.
///
/// # Errors
/// Those of the database.
pub async fn by_ids(db: &mut Db, ids: &[UserId]) -> Result<Vec<User>, StoreError> {
    let ids: Vec<Id> = ids.iter().map(|id| (*id).into()).collect();
    let query = users::table.select(COLUMNS).filter(users::id.eq_any(&ids)).order(users::id);
    let rows: Vec<UserRow> = each!(db, |c| query.load(c).await)?;
    Ok(rows.into_iter().map(User::from).collect())
}

/// Up to `limit` accounts in the order they were made, after `after`; deleted ones left out. For administrators.
///
/// # Errors
/// Those of the database.
pub async fn list(db: &mut Db, after: Option<UserId>, limit: usize) -> Result<(Vec<User>, Option<UserId>), StoreError> {
    let from = after.map_or(Id([0; 16]), Id::from);
    let query = listed().select(COLUMNS).filter(users::id.gt(from)).order(users::id).limit(rows(limit) + 1);
    let rows: Vec<UserRow> = each!(db, |c| query.load(c).await)?;
    Ok(page(rows.into_iter().map(User::from).map(|user| (user.id, user)).collect(), limit))
}

/// The administrators.
///
/// # Errors
/// Those of the database.
pub async fn admins(db: &mut Db) -> Result<Vec<UserId>, StoreError> {
    let query = users::table.select(users::id).filter(users::admin.eq(true));
    let ids: Vec<Id> = each!(db, |c| query.load(c).await)?;
    Ok(ids.into_iter().map(UserId::from).collect())
}

/// Whether there is any account.
///
/// # Errors
/// Those of the database.
pub async fn any(db: &mut Db) -> Result<bool, StoreError> {
    let query = users::table.select(users::id).limit(1);
    let ids: Vec<Id> = each!(db, |c| query.load(c).await)?;
    Ok(!ids.is_empty())
}

/// A new account's row.
#[derive(Insertable)]
#[diesel(table_name = users, treat_none_as_default_value = false)]
struct NewRow<'a> {
    id: Id,
    name: &'a str,
    name_key: Option<String>,
    display_name: &'a str,
    display_key: String,
    password_hash: Option<&'a str>,
    admin: bool,
    disabled: bool,
    deleted: bool,
    invisible: bool,
    created_at: NaiveDateTime,
    stream_revision: i64,
    profile_revision: i64,
}

/// An account to be made.
#[derive(Clone)]
pub struct NewUser {
    /// Its id.
    pub id: UserId,
    /// Log-in name.
    pub name: UserName,
    /// How the person is shown.
    pub display_name: DisplayName,
    /// bcrypt's notation.
    pub password_hash: String,
    /// When it is made.
    pub now: Timestamp,
}

/// Makes an account, or finds that an earlier run of the same operation has made it.
pub(super) async fn insert(db: &mut Db, new: &NewUser, admin: bool) -> Result<User, StoreError> {
    if let Some(found) = by_name(db, &new.name.key()).await? {
        return if found.user.id == new.id { Ok(found.user) } else { Err(Fault::NameTaken.into()) };
    }
    let row = NewRow {
        id: new.id.into(),
        name: new.name.as_str(),
        name_key: Some(new.name.key()),
        display_name: new.display_name.as_str(),
        display_key: name_key(new.display_name.as_str()),
        password_hash: Some(&new.password_hash),
        admin,
        disabled: false,
        deleted: false,
        invisible: false,
        created_at: at(new.now),
        stream_revision: 1,
        profile_revision: 1,
    };
    let query = diesel::insert_into(users::table).values(&row);
    match each!(db, |c| query.execute(c).await).map_err(StoreError::from) {
        // Somebody was faster with the name.
        Err(StoreError::RowRefused(_)) => Err(Fault::NameTaken.into()),
        Err(error) => Err(error),
        Ok(_) => find(db, new.id).await?.map(User::from).ok_or_else(|| StoreError::Internal("an account vanished".to_owned())),
    }
}

async fn find(db: &mut Db, user: UserId) -> Result<Option<UserRow>, StoreError> {
    let query = users::table.find(Id::from(user)).select(COLUMNS);
    Ok(each!(db, |c| query.first(c).await.optional())?)
}

/// Reads and locks an account. On SQLite `BEGIN IMMEDIATE` is the lock.
pub(super) async fn lock(db: &mut Db, user: UserId) -> Result<Option<UserRow>, StoreError> {
    let query = users::table.find(Id::from(user)).select(COLUMNS);
    Ok(match db {
        Db::Sqlite(c) => query.first(c).await.optional()?,
        Db::Mysql(c) => query.for_update().first(c).await.optional()?,
    })
}

/// Accounts that can be found.
#[diesel::dsl::auto_type(no_type_alias)]
fn listed() -> _ {
    let present: diesel::dsl::Eq<users::deleted, bool> = users::deleted.eq(false);
    users::table.filter(present)
}

fn rows(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX - 1)
}

/// Cuts what was read one beyond `limit`; where the page ends is told only if there is more.
fn page<P, T>(mut found: Vec<(P, T)>, limit: usize) -> (Vec<T>, Option<P>) {
    let more = found.len() > limit;
    found.truncate(limit);
    let mut items = Vec::with_capacity(found.len());
    let mut last = None;
    for (place, item) in found {
        last = Some(place);
        items.push(item);
    }
    (items, last.filter(|_| more))
}

#[cfg(test)]
mod tests {
    use super::changes::{Administer, ChangeProfile, DeleteAccount, ProfileChanged, SetPassword, TouchLastActive};
    use super::search::search;
    use super::*;
    use crate::domain::ids::LoginId;
    use crate::domain::order::Revision;
    use crate::domain::profile::ProfileChange;
    use crate::domain::user::FoundUpTo;
    use crate::store::logins::{self, LogIn, NewLogin};
    use crate::store::registrations::Register;
    use crate::store::testing::TestStore;
    use chrono::{DateTime, Duration};

    fn now() -> Timestamp {
        DateTime::from_timestamp(1_800_000_000, 0).unwrap()
    }

    fn new_user(name: &str, shown: &str) -> NewUser {
        NewUser {
            id: UserId::generate(),
            name: UserName::parse(name).unwrap(),
            display_name: DisplayName::parse(shown).unwrap(),
            password_hash: format!("hash of {name}"),
            now: now(),
        }
    }

    async fn register(at: &TestStore, name: &str, shown: &str) -> Result<User, StoreError> {
        at.run(Register { user: new_user(name, shown), admin: false, invitation: None, login: None, suspicion: None }).await
    }

    async fn log_in(at: &TestStore, user: &User) -> LoginId {
        let login = NewLogin {
            id: LoginId::generate(),
            device: crate::domain::text::DeviceName::parse("phone").unwrap(),
            address: "192.0.2.7".to_owned(),
            family_hash: [1; 32],
            refresh_hash: [2; 32],
            now: now(),
            expires_at: now() + Duration::days(30),
        };
        let id = login.id;
        let known_hash = format!("hash of {}", user.name);
        at.run(LogIn { user: user.id, known_hash, better_hash: None, login, max_logins: 10 }).await.unwrap();
        id
    }

    async fn names(at: &TestStore, prefix: &'static str, limit: usize) -> Vec<String> {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let from = after.take();
            let read = at.store.read(move |db| Box::pin(async move { search(db, prefix, from, limit).await }));
            let (users, next) = read.await.unwrap();
            assert!(users.len() <= limit);
            found.extend(users.into_iter().map(|user| user.name));
            match next {
                Some(place) => after = Some::<FoundUpTo>(place),
                None => return found,
            }
        }
    }

    #[tokio::test]
    async fn a_name_is_taken_by_any_that_looks_like_it() {
        let at = TestStore::open().await;
        register(&at, "paypal", "Pay").await.unwrap();
        for taken in ["paypal", "PayPal", "p\u{430}ypal"] {
            assert_eq!(register(&at, taken, "x").await, Err(StoreError::Refused(Fault::NameTaken)), "{taken}");
        }
        assert!(register(&at, "paypals", "x").await.is_ok());
    }

    #[tokio::test]
    async fn a_registration_run_again_finds_what_the_first_run_made() {
        let at = TestStore::open().await;
        let register = Register { user: new_user("ann", "Ann"), admin: true, invitation: None, login: None, suspicion: None };
        let first = at.run(register.clone()).await.unwrap();
        assert_eq!(at.run(register).await, Ok(first.clone()));
        assert!(first.admin);
        assert_eq!(at.store.read(|db| Box::pin(admins(db))).await, Ok(vec![first.id]));
    }

    #[tokio::test]
    async fn people_are_found_once_by_either_name_in_pages() {
        let at = TestStore::open().await;
        for (name, shown) in [("anna", "Zoe"), ("bob", "Anton"), ("ann", "Ann Lee"), ("carl", "Carl"), ("zed", "\u{c4}nne")] {
            register(&at, name, shown).await.unwrap();
        }
        for limit in [1, 2, 3, 10] {
            assert_eq!(names(&at, "AN", limit).await, ["ann", "anna", "bob"], "{limit}");
        }
        assert!(names(&at, "x", 5).await.is_empty());
    }

    #[tokio::test]
    async fn a_profile_change_takes_the_next_revision_and_an_empty_one_takes_none() {
        let at = TestStore::open().await;
        let user = register(&at, "ann", "Ann").await.unwrap().id;
        let change = |shown: &str, invisible| {
            let display_name = Some(DisplayName::parse(shown).unwrap());
            let change = ProfileChange { display_name, invisible: Some(invisible), ..ProfileChange::default() };
            ChangeProfile { user, change, verdict: Ok(()), suspicion: None, now: now() }
        };
        let ProfileChanged { own: changed, head, .. } = at.run(change("Ann Lee", true)).await.unwrap();
        assert_eq!((changed.user.display_name.as_str(), changed.user.invisible, head), ("Ann Lee", true, Revision(2)));
        assert_eq!(at.run(change("Ann Lee", true)).await.unwrap().head, Revision(2));
        let read = at.store.read(move |db| Box::pin(profile(db, user))).await.unwrap();
        assert_eq!((read.as_ref(), changed.revision), (Some(&changed), Revision(2)));
        assert_eq!(names(&at, "ann l", 5).await, ["ann"], "found by the new name");
    }

    #[tokio::test]
    async fn a_new_password_ends_the_other_logins_and_needs_the_old_one() {
        let at = TestStore::open().await;
        let user = register(&at, "ann", "Ann").await.unwrap();
        let (here, there) = (log_in(&at, &user).await, log_in(&at, &user).await);
        let set = |known: &str, new: &str| SetPassword {
            user: user.id,
            known_hash: Some(known.to_owned()),
            new_hash: new.to_owned(),
            keep: Some(here),
            now: now(),
        };
        let wrong = at.run(set("stale", "new")).await;
        assert_eq!(wrong.unwrap_err(), StoreError::Refused(Fault::CredentialsWrong));
        let changed = at.run(set("hash of ann", "new")).await.unwrap();
        assert_eq!(changed.ended, [there]);
        assert_eq!(at.run(set("hash of ann", "new")).await.unwrap().ended, [there], "a second run tells the same");
        let open = at.store.read(move |db| Box::pin(logins::list(db, user.id, now()))).await.unwrap();
        assert_eq!(open.iter().map(|login| login.id).collect::<Vec<_>>(), [here]);
    }

    #[tokio::test]
    async fn a_disabled_account_has_no_logins_and_gets_none() {
        let at = TestStore::open().await;
        let user = register(&at, "ann", "Ann").await.unwrap();
        let login = log_in(&at, &user).await;
        let set =
            |disabled| Administer { user: user.id, disabled: Some(disabled), admin: None, by: None, reason: None, now: now() };
        assert_eq!(at.run(set(true)).await.unwrap().ended, [login]);
        let again = LogIn {
            user: user.id,
            known_hash: "hash of ann".to_owned(),
            better_hash: None,
            login: NewLogin {
                id: LoginId::generate(),
                device: crate::domain::text::DeviceName::parse("").unwrap(),
                address: String::new(),
                family_hash: [1; 32],
                refresh_hash: [2; 32],
                now: now(),
                expires_at: now(),
            },
            max_logins: 10,
        };
        assert_eq!(at.run(again.clone()).await, Err(StoreError::Refused(Fault::AccountDisabled)));
        at.run(set(false)).await.unwrap();
        assert!(at.run(again).await.is_ok());
    }

    #[tokio::test]
    async fn a_deleted_account_keeps_no_trace_of_the_person_and_frees_the_name() {
        let at = TestStore::open().await;
        let user = register(&at, "ann", "Ann").await.unwrap();
        let login = log_in(&at, &user).await;
        let delete = DeleteAccount { user: user.id, known_hash: Some("hash of ann".to_owned()), now: now() };
        let deleted = at.run(delete.clone()).await.unwrap();
        assert_eq!(deleted.ended, [login]);
        assert_eq!(at.run(delete).await.unwrap(), deleted, "a second run tells the same");
        let id = user.id;
        let left = at.store.read(move |db| Box::pin(credentials(db, id))).await.unwrap().unwrap();
        assert!(left.user.deleted && left.user.name.is_empty() && left.user.display_name.is_empty());
        assert_eq!(left.password_hash, None);
        assert!(names(&at, "ann", 5).await.is_empty());
        assert_ne!(register(&at, "ann", "Ann").await.unwrap().id, user.id);
    }

    #[tokio::test]
    async fn last_active_is_noted_for_many_and_never_goes_back() {
        let at = TestStore::open().await;
        let (ann, bob) = (register(&at, "ann", "A").await.unwrap().id, register(&at, "bob", "B").await.unwrap().id);
        let touch = |users: Vec<UserId>, minute: i64| TouchLastActive { at: now() + Duration::minutes(minute), users };
        at.run(touch(vec![bob, ann], 2)).await.unwrap();
        at.run(touch(vec![ann], 1)).await.unwrap();
        let query = users::table.select(users::last_active_at).order(users::id);
        let read = at.store.read(move |db| Box::pin(async move { Ok(each!(db, |c| query.load(c).await)?) }));
        let seen: Vec<Option<NaiveDateTime>> = read.await.unwrap();
        assert_eq!(seen, [Some((now() + Duration::minutes(2)).naive_utc()); 2]);
    }
}
