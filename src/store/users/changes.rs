//! What people and administrators change of an account.

use chrono::NaiveDateTime;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use super::{UserRow, lock};
use crate::domain::audit::{AuditAction, AuditEntry};
use crate::domain::fault::Fault;
use crate::domain::ids::{LoginId, UserId};
use crate::domain::order::Revision;
use crate::domain::profile::{OwnProfile, ProfileChange};
use crate::domain::report::{ReportReason, ReportTarget, Suspicion};
use crate::domain::text::Reason;
use crate::domain::time::Timestamp;
use crate::domain::user::User;
use crate::store::audit;
use crate::store::backend::Db;
use crate::store::columns::{Id, at, name_key, revision};
use crate::store::error::StoreError;
use crate::store::logins;
use crate::store::operation::{Operation, Reply};
use crate::store::operations::{self, OperationKey};
use crate::store::schema::users;
use crate::store::{drafts, notifications, preferences, profiles, read_marks, relations, reports};

/// Changes how the person is shown, and what they say of themselves.
#[derive(Clone, Debug)]
pub struct ChangeProfile {
    /// Whose profile.
    pub user: UserId,
    /// What is named changes.
    pub change: ProfileChange,
    /// May that be said? Ignored where it is said already (I3).
    pub verdict: Result<(), Fault>,
    /// Why moderators are to hear of it.
    pub suspicion: Option<Suspicion>,
    /// The present time.
    pub now: Timestamp,
}

/// What a change of a profile did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProfileChanged {
    /// The profile as it is now.
    pub own: OwnProfile,
    /// The head of its person's stream.
    pub head: Revision,
    /// The server has reported the person, for this.
    pub reported: Option<ReportReason>,
}

impl Operation for ChangeProfile {
    type Output = ProfileChanged;
    const NAME: &'static str = "change_profile";

    fn run<'a>(&'a self, db: &'a mut Db) -> Reply<'a, Self::Output> {
        Box::pin(async move {
            let mut row = lock_present(db, self.user).await?;
            let before = (row.display_name.clone(), row.invisible);
            if let Some(name) = &self.change.display_name {
                row.display_name = name.as_str().to_owned();
            }
            row.invisible = self.change.invisible.unwrap_or(row.invisible);
            let said = profiles::of_one(db, self.user).await?;
            let profile = self.change.applied_to(&said);
            let mut reported = None;
            if profile != said || before != (row.display_name.clone(), row.invisible) {
                self.verdict?;
                profiles::write(db, self.user, &profile).await?;
                raise(&mut row);
                write(db, &row).await?;
                reported = report(db, self.user, self.suspicion.as_ref(), self.now).await?;
            }
            let head = revision(row.stream_revision)?;
            Ok(ProfileChanged { own: row.own(profile)?, head, reported })
        })
    }
}

/// The server reports a locked person for what they want to be known by, if that is suspect; why, if there was no open report of it.
pub(in crate::store) async fn report(
    db: &mut Db,
    user: UserId,
    suspicion: Option<&Suspicion>,
    now: Timestamp,
) -> Result<Option<ReportReason>, StoreError> {
    let Some(suspicion) = suspicion else { return Ok(None) };
    let is_new = reports::by_server(db, ReportTarget::Person(user), suspicion, now).await?;
    Ok(is_new.then_some(suspicion.reason))
}

/// Takes away what somebody says of themselves in words or emoji.
#[derive(Clone, Debug)]
pub struct ClearProfile {
    /// Whose profile.
    pub user: UserId,
    /// Which administrator asks.
    pub by: UserId,
    /// Why, for the audit log.
    pub reason: Option<Reason>,
    /// The present time.
    pub now: Timestamp,
}

impl Operation for ClearProfile {
    /// The head of their stream.
    type Output = Revision;
    const NAME: &'static str = "clear_profile";

    fn run<'a>(&'a self, db: &'a mut Db) -> Reply<'a, Revision> {
        Box::pin(async move {
            let mut row = lock_present(db, self.user).await?;
            let said = profiles::of_one(db, self.user).await?;
            let profile = said.cleared();
            if profile != said {
                profiles::write(db, self.user, &profile).await?;
                raise(&mut row);
                write(db, &row).await?;
                let cleared = AuditEntry::new(self.now, Some(self.by), AuditAction::ProfileCleared).to(self.user);
                audit::write(db, &cleared.because(self.reason.as_ref().map(Reason::as_str))).await?;
            }
            revision(row.stream_revision)
        })
    }
}

/// What a change of an account did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountChanged {
    /// The account as it is now.
    pub user: User,
    /// The head of its stream.
    pub head: Revision,
    /// The logins that ended with it.
    pub ended: Vec<LoginId>,
}

/// Under what the hash is kept that a person's password had before it was changed last: a repeat of the change is known by it (I3). Like
/// the answer of any operation it is forgotten after a while. No request can have this key: those are hashes.
fn changed_password(user: UserId) -> OperationKey {
    OperationKey { user, key_hash: *b"the password before, for repeats", request_hash: [0; 32] }
}

/// The hash of a person's password before they changed it, if that was lately, and the present one.
///
/// # Errors
/// Those of the database.
pub async fn before_and_now(db: &mut Db, user: UserId) -> Result<Option<(String, String)>, StoreError> {
    let before = operations::find(db, &changed_password(user)).await?;
    let now = super::credentials(db, user).await?.and_then(|known| known.password_hash);
    Ok(before.map(|(_, before)| before).zip(now))
}

/// Sets a new password; whoever asks has proved to know `known_hash`, or is the operator.
#[derive(Clone)]
pub struct SetPassword {
    /// Whose password.
    pub user: UserId,
    /// The hash the old password was checked against: if it is another by now, the check is worth nothing. `None`: no check.
    pub known_hash: Option<String>,
    /// The new one.
    pub new_hash: String,
    /// The login that stays; all others end.
    pub keep: Option<LoginId>,
    /// The present time.
    pub now: Timestamp,
}

impl Operation for SetPassword {
    type Output = AccountChanged;
    const NAME: &'static str = "set_password";

    fn run<'a>(&'a self, db: &'a mut Db) -> Reply<'a, Self::Output> {
        Box::pin(async move {
            let row = lock_present(db, self.user).await?;
            // A second run finds what the first one stored.
            let done = row.password_hash.as_deref() == Some(&self.new_hash);
            if self.known_hash.is_some() && !done && self.known_hash != row.password_hash {
                return Err(Fault::CredentialsWrong.into());
            }
            let query = diesel::update(users::table.find(row.id)).set(users::password_hash.eq(Some(&self.new_hash)));
            each!(db, |c| query.execute(c).await)?;
            if !done {
                operations::forget(db, &changed_password(self.user)).await?;
                match &self.known_hash {
                    Some(before) => operations::insert(db, &changed_password(self.user), before, self.now).await?,
                    None => audit::write(db, &AuditEntry::new(self.now, None, AuditAction::PasswordReset).to(self.user)).await?,
                }
            }
            let ended = logins::end(db, self.user, logins::Which::Except(self.keep), self.now).await?;
            Ok(AccountChanged { head: revision(row.stream_revision)?, user: row.into(), ended })
        })
    }
}

/// What an administrator sets on an account; `None` leaves as it is.
#[derive(Clone, Debug)]
pub struct Administer {
    /// Which account.
    pub user: UserId,
    /// Keep the person out, or let them in again.
    pub disabled: Option<bool>,
    /// Make them an administrator, or not any more.
    pub admin: Option<bool>,
    /// Who asks; `None`: the operator, on the command line.
    pub by: Option<UserId>,
    /// Why, for the audit log.
    pub reason: Option<Reason>,
    /// The present time.
    pub now: Timestamp,
}

impl Operation for Administer {
    type Output = AccountChanged;
    const NAME: &'static str = "administer_account";

    fn run<'a>(&'a self, db: &'a mut Db) -> Reply<'a, Self::Output> {
        Box::pin(async move {
            let mut row = lock_present(db, self.user).await?;
            let before = (row.admin, row.disabled);
            row.admin = self.admin.unwrap_or(row.admin);
            row.disabled = self.disabled.unwrap_or(row.disabled);
            if before != (row.admin, row.disabled) {
                raise(&mut row);
                write(db, &row).await?;
            }
            let deeds = [
                (before.0 != row.admin).then_some(if row.admin { AuditAction::AdminGranted } else { AuditAction::AdminRevoked }),
                (before.1 != row.disabled).then_some(if row.disabled {
                    AuditAction::AccountDisabled
                } else {
                    AuditAction::AccountEnabled
                }),
            ];
            for action in deeds.into_iter().flatten() {
                let deed = AuditEntry::new(self.now, self.by, action).to(self.user);
                audit::write(db, &deed.because(self.reason.as_ref().map(Reason::as_str))).await?;
            }
            let ended = match row.disabled {
                true => logins::end(db, self.user, logins::Which::Except(None), self.now).await?,
                false => Vec::new(),
            };
            Ok(AccountChanged { head: revision(row.stream_revision)?, user: row.into(), ended })
        })
    }
}

/// Deletes an account: nothing of the person stays but an author without a name.
#[derive(Clone)]
pub struct DeleteAccount {
    /// Whose.
    pub user: UserId,
    /// The hash the password was checked against.
    pub known_hash: Option<String>,
    /// The present time.
    pub now: Timestamp,
}

impl Operation for DeleteAccount {
    type Output = AccountChanged;
    const NAME: &'static str = "delete_account";

    fn run<'a>(&'a self, db: &'a mut Db) -> Reply<'a, Self::Output> {
        Box::pin(async move {
            let Some(mut row) = lock(db, self.user).await? else { return Err(Fault::NotFound.into()) };
            if !row.deleted {
                if row.password_hash != self.known_hash {
                    return Err(Fault::CredentialsWrong.into());
                }
                row.name.clear();
                row.display_name.clear();
                row.password_hash = None;
                row.admin = false;
                row.invisible = true;
                row.deleted = true;
                raise(&mut row);
                write(db, &row).await?;
                let gone = (users::name_key.eq(None::<String>), users::last_active_at.eq(None::<NaiveDateTime>));
                let query = diesel::update(users::table.find(row.id)).set(gone);
                each!(db, |c| query.execute(c).await)?;
            }
            operations::forget(db, &changed_password(self.user)).await?;
            let ended = logins::end(db, self.user, logins::Which::Except(None), self.now).await?;
            logins::anonymise(db, self.user).await?;
            relations::forget(db, self.user).await?;
            read_marks::forget(db, self.user).await?;
            preferences::forget(db, self.user).await?;
            drafts::forget(db, self.user).await?;
            notifications::forget(db, self.user).await?;
            profiles::forget(db, self.user).await?;
            Ok(AccountChanged { head: revision(row.stream_revision)?, user: row.into(), ended })
        })
    }
}

/// Notes that people were active: one statement for all of them, whose instant is the same.
#[derive(Clone, Debug)]
pub struct TouchLastActive {
    /// When.
    pub at: Timestamp,
    /// Who; the statement is as long as this.
    pub users: Vec<UserId>,
}

impl Operation for TouchLastActive {
    type Output = ();
    const NAME: &'static str = "touch_last_active";

    fn run<'a>(&'a self, db: &'a mut Db) -> Reply<'a, ()> {
        Box::pin(async move {
            let mut ids: Vec<Id> = self.users.iter().map(|id| (*id).into()).collect();
            // The order in which everybody locks rows of people.
            ids.sort_unstable();
            let present = at(self.at);
            let older = users::last_active_at.is_null().or(users::last_active_at.lt(present));
            let rows = users::table.filter(users::id.eq_any(&ids)).filter(older).filter(users::deleted.eq(false));
            let query = diesel::update(rows).set(users::last_active_at.eq(Some(present)));
            each!(db, |c| query.execute(c).await)?;
            Ok(())
        })
    }
}

/// The same password, hashed with another work factor.
pub(in crate::store) async fn replace_hash(db: &mut Db, user: UserId, hash: &str) -> Result<(), StoreError> {
    let query = diesel::update(users::table.find(Id::from(user))).set(users::password_hash.eq(Some(hash)));
    each!(db, |c| query.execute(c).await)?;
    Ok(())
}

/// The same; a deleted account is not found.
async fn lock_present(db: &mut Db, user: UserId) -> Result<UserRow, StoreError> {
    let row = lock(db, user).await?.filter(|row| !row.deleted);
    row.ok_or_else(|| Fault::NotFound.into())
}

/// The next revision of the person's stream is this change of their profile.
fn raise(row: &mut UserRow) {
    row.stream_revision += 1;
    row.profile_revision = row.stream_revision;
}

async fn write(db: &mut Db, row: &UserRow) -> Result<(), StoreError> {
    let query = diesel::update(users::table.find(row.id)).set((
        users::name.eq(&row.name),
        users::display_name.eq(&row.display_name),
        users::display_key.eq(name_key(&row.display_name)),
        users::password_hash.eq(&row.password_hash),
        users::admin.eq(row.admin),
        users::disabled.eq(row.disabled),
        users::deleted.eq(row.deleted),
        users::invisible.eq(row.invisible),
        users::stream_revision.eq(row.stream_revision),
        users::profile_revision.eq(row.profile_revision),
    ));
    each!(db, |c| query.execute(c).await)?;
    Ok(())
}
