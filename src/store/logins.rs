//! Logins: one row for each device, browser or bot somebody is logged in with; its refresh tokens form one family.
//!
//! *Invariants.* Only hashes of secrets are kept. A login that ended never comes back; it stays as a row until its last access token
//! has expired, so that every node and every restart knows of it. A refresh token that was replaced longer ago than the grace ends its
//! login.
//!
//! *Must not know*: how tokens look.

use chrono::NaiveDateTime;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use super::backend::Db;
use super::columns::{Id, at};
use super::error::StoreError;
use super::operation::{Operation, Reply};
use super::schema::logins;
use super::users::{self, Credentials};
use crate::domain::fault::Fault;
use crate::domain::ids::{LoginId, UserId};
use crate::domain::text::DeviceName;
use crate::domain::time::Timestamp;
use crate::domain::user::User;
use std::time::Duration;

/// A login as its owner sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    /// Which.
    pub id: LoginId,
    /// What its owner calls it.
    pub device: String,
    /// Where it was used last.
    pub address: String,
    /// When it began.
    pub created_at: Timestamp,
    /// When its tokens were last refreshed.
    pub used_at: Timestamp,
    /// When it ends if it is not used.
    pub expires_at: Timestamp,
}

/// A login to be made.
#[derive(Clone)]
pub struct NewLogin {
    /// Its id.
    pub id: LoginId,
    /// What its owner calls it.
    pub device: DeviceName,
    /// Where it comes from.
    pub address: String,
    /// SHA-256 of what all its refresh tokens share.
    pub family_hash: [u8; 32],
    /// SHA-256 of the first one's own part.
    pub refresh_hash: [u8; 32],
    /// The present time.
    pub now: Timestamp,
    /// When it ends if it is not used.
    pub expires_at: Timestamp,
}

#[derive(Insertable)]
#[diesel(table_name = logins, treat_none_as_default_value = false)]
struct NewRow<'a> {
    id: Id,
    user: Id,
    device: &'a str,
    address: &'a str,
    created_at: NaiveDateTime,
    used_at: NaiveDateTime,
    expires_at: NaiveDateTime,
    family_hash: &'a [u8],
    refresh_hash: &'a [u8],
    rotated_at: NaiveDateTime,
}

/// The logins of `user` that have not ended, the one used last first.
///
/// # Errors
/// Those of the database.
pub async fn list(db: &mut Db, user: UserId, now: Timestamp) -> Result<Vec<Login>, StoreError> {
    type Columns = (Id, String, String, NaiveDateTime, NaiveDateTime, NaiveDateTime);
    let query = logins::table
        .select((logins::id, logins::device, logins::address, logins::created_at, logins::used_at, logins::expires_at))
        .filter(logins::user.eq(Id::from(user)).and(logins::ended_at.is_null()).and(logins::expires_at.gt(at(now))))
        .order((logins::used_at.desc(), logins::id.desc()));
    let rows: Vec<Columns> = each!(db, |c| query.load(c).await)?;
    let login = |(id, device, address, created_at, used_at, expires_at): Columns| Login {
        id: id.into(),
        device,
        address,
        created_at: created_at.and_utc(),
        used_at: used_at.and_utc(),
        expires_at: expires_at.and_utc(),
    };
    Ok(rows.into_iter().map(login).collect())
}

/// The logins that ended after `since`, each with its owner and the time.
///
/// # Errors
/// Those of the database.
pub async fn ended_since(db: &mut Db, since: Timestamp) -> Result<Vec<(LoginId, UserId, Timestamp)>, StoreError> {
    let query = logins::table
        .select((logins::id, logins::user, logins::ended_at.assume_not_null()))
        .filter(logins::ended_at.gt(at(since)));
    let rows: Vec<(Id, Id, NaiveDateTime)> = each!(db, |c| query.load(c).await)?;
    Ok(rows.into_iter().map(|(login, user, ended)| (login.into(), user.into(), ended.and_utc())).collect())
}

/// Begins a login of somebody whose password was checked against `known_hash`.
#[derive(Clone)]
pub struct LogIn {
    /// Who.
    pub user: UserId,
    /// If the stored hash is another by now, the check is worth nothing.
    pub known_hash: String,
    /// The same password hashed with the present work factor, if the stored one has another.
    pub better_hash: Option<String>,
    /// The login.
    pub login: NewLogin,
    /// How many logins an account may have; the longest unused end beyond it.
    pub max_logins: usize,
}

impl Operation for LogIn {
    type Output = (User, Vec<LoginId>);
    const NAME: &'static str = "log_in";

    fn run<'a>(&'a self, db: &'a mut Db) -> Reply<'a, Self::Output> {
        Box::pin(async move {
            let known = users::lock(db, self.user).await?.map(Credentials::from).filter(|known| !known.user.deleted);
            let Some(Credentials { user, password_hash: Some(hash) }) = known else {
                return Err(Fault::CredentialsWrong.into());
            };
            if hash != self.known_hash && Some(&hash) != self.better_hash.as_ref() {
                return Err(Fault::CredentialsWrong.into());
            }
            if user.disabled {
                return Err(Fault::AccountDisabled.into());
            }
            if let Some(better) = &self.better_hash {
                users::changes::replace_hash(db, self.user, better).await?;
            }
            insert(db, self.user, &self.login).await?;
            let ended = end_beyond(db, self.user, self.max_logins, self.login.now).await?;
            Ok((user, ended))
        })
    }
}

/// Exchanges a refresh token.
#[derive(Clone)]
pub struct Refresh {
    /// The login the token names.
    pub login: LoginId,
    /// SHA-256 of the part that shows it was once issued for this login.
    pub family_hash: [u8; 32],
    /// SHA-256 of its own part.
    pub presented_hash: [u8; 32],
    /// SHA-256 of the next token's own part.
    pub next_hash: [u8; 32],
    /// The next token's own part, readable only with the presented one.
    pub sealed: [u8; 32],
    /// How long the token before the newest is accepted.
    pub grace: Duration,
    /// Where it comes from.
    pub address: String,
    /// The present time.
    pub now: Timestamp,
    /// When the login ends if it is not used again.
    pub expires_at: Timestamp,
}

/// What became of a refresh token.
#[derive(Clone, PartialEq, Eq)]
pub enum Refreshed {
    /// It was exchanged, now or by an earlier, lost answer: the holder's next token lies in `sealed`.
    Exchanged {
        /// Whose login.
        user: UserId,
        /// The next token's own part, readable only with the presented one.
        sealed: [u8; 32],
        /// When the login ends if it is not used again.
        expires_at: Timestamp,
    },
    /// It was replaced long ago and came again: somebody else has it. The login is ended.
    Reused {
        /// Whose login.
        user: UserId,
    },
    /// No such login, or it ended.
    Unknown,
}

/// The columns of [`Family`]. Not `as_select`: that is a query for one of the two databases.
const COLUMNS: (
    logins::user,
    logins::family_hash,
    logins::refresh_hash,
    logins::previous_hash,
    logins::sealed,
    logins::rotated_at,
    logins::expires_at,
    logins::ended_at,
) = (
    logins::user,
    logins::family_hash,
    logins::refresh_hash,
    logins::previous_hash,
    logins::sealed,
    logins::rotated_at,
    logins::expires_at,
    logins::ended_at,
);

#[derive(Queryable)]
struct Family {
    user: Id,
    family_hash: Vec<u8>,
    refresh_hash: Vec<u8>,
    previous_hash: Option<Vec<u8>>,
    sealed: Option<Vec<u8>>,
    rotated_at: NaiveDateTime,
    expires_at: NaiveDateTime,
    ended_at: Option<NaiveDateTime>,
}

/// Whose login it is, and SHA-256 of what its refresh tokens share.
///
/// # Errors
/// Those of the database.
pub async fn family(db: &mut Db, login: LoginId) -> Result<Option<(UserId, [u8; 32])>, StoreError> {
    let query = logins::table.find(Id::from(login)).select((logins::user, logins::family_hash));
    let row: Option<(Id, Vec<u8>)> = each!(db, |c| query.first(c).await.optional())?;
    Ok(row.and_then(|(user, hash)| Some((user.into(), hash.try_into().ok()?))))
}

impl Operation for Refresh {
    type Output = Refreshed;
    const NAME: &'static str = "refresh";

    fn run<'a>(&'a self, db: &'a mut Db) -> Reply<'a, Self::Output> {
        Box::pin(async move {
            let Some(family) = lock(db, self.login).await? else { return Ok(Refreshed::Unknown) };
            let user = family.user.into();
            // Hashes of 256 random bits: how far two of them agree tells nothing, so they need not be compared in equal time.
            if family.ended_at.is_some() || family.expires_at <= at(self.now) || family.family_hash != self.family_hash {
                return Ok(Refreshed::Unknown);
            }
            if family.refresh_hash == self.presented_hash {
                self.rotate(db).await?;
                return Ok(Refreshed::Exchanged { user, sealed: self.sealed, expires_at: self.expires_at });
            }
            let in_grace = at(self.now) <= family.rotated_at + self.grace;
            let sealed = family.sealed.and_then(|sealed| sealed.try_into().ok());
            match sealed {
                Some(sealed) if in_grace && family.previous_hash.as_deref() == Some(&self.presented_hash) => {
                    Ok(Refreshed::Exchanged { user, sealed, expires_at: family.expires_at.and_utc() })
                }
                _ => {
                    end(db, user, Which::One(self.login), self.now).await?;
                    Ok(Refreshed::Reused { user })
                }
            }
        })
    }
}

impl Refresh {
    async fn rotate(&self, db: &mut Db) -> Result<(), StoreError> {
        let query = diesel::update(logins::table.find(Id::from(self.login))).set((
            logins::previous_hash.eq(Some(self.presented_hash.as_slice())),
            logins::refresh_hash.eq(self.next_hash.as_slice()),
            logins::sealed.eq(Some(self.sealed.as_slice())),
            logins::rotated_at.eq(at(self.now)),
            logins::used_at.eq(at(self.now)),
            logins::expires_at.eq(at(self.expires_at)),
            logins::address.eq(&self.address),
        ));
        each!(db, |c| query.execute(c).await)?;
        Ok(())
    }
}

/// Ends logins of one person.
#[derive(Clone, Debug)]
pub struct EndLogins {
    /// Whose.
    pub user: UserId,
    /// Which.
    pub which: Which,
    /// The present time.
    pub now: Timestamp,
}

/// Some logins of one person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// This one.
    One(LoginId),
    /// All, or all but one.
    Except(Option<LoginId>),
}

impl Operation for EndLogins {
    type Output = Vec<LoginId>;
    const NAME: &'static str = "end_logins";

    fn run<'a>(&'a self, db: &'a mut Db) -> Reply<'a, Self::Output> {
        Box::pin(end(db, self.user, self.which, self.now))
    }
}

/// Throws away what no longer matters: logins that nobody can use and whose access tokens have expired, invitations to register that
/// have expired, answers of old operations.
#[derive(Clone, Copy, Debug)]
pub struct CleanUp {
    /// The present time.
    pub now: Timestamp,
    /// Life of an access token.
    pub access_life: Duration,
    /// How long operation ids are kept.
    pub operation_life: Duration,
    /// Rows of each kind at most, so that the transaction stays short.
    pub rows_max: usize,
}

impl Operation for CleanUp {
    type Output = ();
    const NAME: &'static str = "clean_up_accounts";

    fn run<'a>(&'a self, db: &'a mut Db) -> Reply<'a, ()> {
        Box::pin(async move {
            // Twice the life: a node whose clock is behind still has to hear of it.
            let past = at(self.now - self.access_life.saturating_mul(2));
            let limit = i64::try_from(self.rows_max).unwrap_or(i64::MAX);
            let old = logins::ended_at.lt(past).assume_not_null().or(logins::expires_at.lt(past));
            let query = logins::table.select(logins::id).filter(old).order(logins::id).limit(limit);
            let ids: Vec<Id> = each!(db, |c| query.load(c).await)?;
            let query = diesel::delete(logins::table.filter(logins::id.eq_any(&ids)));
            each!(db, |c| query.execute(c).await)?;
            super::registrations::delete_expired(db, self.now).await?;
            super::operations::delete_before(db, self.now - self.operation_life, limit).await
        })
    }
}

/// Ends logins and names them. Those that this very operation ended in an earlier run are named again.
pub(super) async fn end(db: &mut Db, user: UserId, which: Which, now: Timestamp) -> Result<Vec<LoginId>, StoreError> {
    let ended = at(now);
    let open = logins::ended_at.is_null().or(logins::ended_at.eq(ended).assume_not_null());
    let query = logins::table.select(logins::id).filter(logins::user.eq(Id::from(user))).filter(open).order(logins::id);
    let ids: Vec<Id> = each!(db, |c| query.load(c).await)?;
    let chosen = |id: &Id| match which {
        Which::One(login) => *id == login.into(),
        Which::Except(kept) => kept.map(Id::from) != Some(*id),
    };
    let ids: Vec<Id> = ids.into_iter().filter(chosen).collect();
    mark_ended(db, &ids, ended).await?;
    Ok(ids.into_iter().map(LoginId::from).collect())
}

async fn mark_ended(db: &mut Db, ids: &[Id], ended: NaiveDateTime) -> Result<(), StoreError> {
    if ids.is_empty() {
        return Ok(());
    }
    let query = diesel::update(logins::table.filter(logins::id.eq_any(ids))).set(logins::ended_at.eq(Some(ended)));
    each!(db, |c| query.execute(c).await)?;
    Ok(())
}

/// Ends the longest unused logins beyond `max`.
async fn end_beyond(db: &mut Db, user: UserId, max: usize, now: Timestamp) -> Result<Vec<LoginId>, StoreError> {
    let query = logins::table
        .select(logins::id)
        .filter(logins::user.eq(Id::from(user)).and(logins::ended_at.is_null()))
        .order((logins::used_at.desc(), logins::id.desc()));
    let ids: Vec<Id> = each!(db, |c| query.load(c).await)?;
    let beyond = ids.get(max..).unwrap_or_default();
    mark_ended(db, beyond, at(now)).await?;
    Ok(beyond.iter().copied().map(LoginId::from).collect())
}

/// Forgets what a deleted person's logins tell of them.
pub(super) async fn anonymise(db: &mut Db, user: UserId) -> Result<(), StoreError> {
    let query = diesel::update(logins::table.filter(logins::user.eq(Id::from(user))))
        .set((logins::device.eq(""), logins::address.eq("")));
    each!(db, |c| query.execute(c).await)?;
    Ok(())
}

/// Begins a login, unless an earlier run of the same operation has.
pub(super) async fn insert(db: &mut Db, user: UserId, new: &NewLogin) -> Result<(), StoreError> {
    let known = logins::table.find(Id::from(new.id)).select(logins::id);
    let known: Option<Id> = each!(db, |c| known.first(c).await.optional())?;
    if known.is_some() {
        return Ok(());
    }
    let row = NewRow {
        id: new.id.into(),
        user: user.into(),
        device: new.device.as_str(),
        address: &new.address,
        created_at: at(new.now),
        used_at: at(new.now),
        expires_at: at(new.expires_at),
        family_hash: &new.family_hash,
        refresh_hash: &new.refresh_hash,
        rotated_at: at(new.now),
    };
    let query = diesel::insert_into(logins::table).values(&row);
    each!(db, |c| query.execute(c).await)?;
    Ok(())
}

async fn lock(db: &mut Db, login: LoginId) -> Result<Option<Family>, StoreError> {
    let query = logins::table.find(Id::from(login)).select(COLUMNS);
    Ok(match db {
        Db::Sqlite(c) => query.first(c).await.optional()?,
        Db::Mysql(c) => query.for_update().first(c).await.optional()?,
    })
}

#[cfg(test)]
mod tests;
