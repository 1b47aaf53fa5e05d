//! How accounts come to be, and the invitations that some servers ask for.
//!
//! *Invariants.* An invitation is used up in the transaction that makes the account: never without, never twice (I3). Only its hash is
//! kept.

use chrono::NaiveDateTime;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use super::audit;
use super::backend::Db;
use super::columns::{Id, at, number};
use super::error::StoreError;
use super::logins::{self, NewLogin};
use super::operation::{Operation, Reply};
use super::schema::registrations;
use super::users::{self, NewUser};
use crate::domain::audit::{AuditAction, AuditEntry};
use crate::domain::fault::Fault;
use crate::domain::ids::{RegistrationId, UserId};
use crate::domain::report::Suspicion;
use crate::domain::time::Timestamp;
use crate::domain::user::User;

/// An invitation to register, without its code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// Which.
    pub id: RegistrationId,
    /// Who made it.
    pub created_by: UserId,
    /// When.
    pub created_at: Timestamp,
    /// When it stops working.
    pub expires_at: Timestamp,
    /// How many accounts it is for.
    pub max_uses: u64,
    /// How many were made with it.
    pub uses: u64,
    /// Whoever registers with it becomes an administrator.
    pub admin: bool,
}

/// Makes an account.
#[derive(Clone)]
pub struct Register {
    /// The account.
    pub user: NewUser,
    /// It becomes an administrator, whatever the invitation says. On the command line only.
    pub admin: bool,
    /// SHA-256 of the invitation's code.
    pub invitation: Option<[u8; 32]>,
    /// Its first login.
    pub login: Option<NewLogin>,
    /// Why moderators are to hear of its names.
    pub suspicion: Option<Suspicion>,
}

impl Operation for Register {
    type Output = User;
    const NAME: &'static str = "register";

    fn run<'a>(&'a self, db: &'a mut Db) -> Reply<'a, User> {
        Box::pin(async move {
            // A second run after a lost answer finds the account, and its invitation used up by itself.
            if let Some(known) = users::profile(db, self.user.id).await? {
                return Ok(known.user);
            }
            let invited = match &self.invitation {
                Some(hash) => Some(consume(db, hash, self.user.now).await?),
                None => None,
            };
            let by_invitation = invited.filter(|invitation| invitation.admin);
            let user = users::insert(db, &self.user, self.admin || by_invitation.is_some()).await?;
            if user.admin {
                // Whoever invited them has granted it; on the command line the operator.
                let by = by_invitation.as_ref().map(|invitation| invitation.created_by);
                let mut granted = AuditEntry::new(self.user.now, by, AuditAction::AdminGranted).to(user.id);
                if let Some(invitation) = by_invitation {
                    granted = granted.namely(invitation.id.to_string());
                }
                audit::write(db, &granted).await?;
            }
            if let Some(login) = &self.login {
                logins::insert(db, user.id, login).await?;
            }
            users::changes::report(db, user.id, self.suspicion.as_ref(), self.user.now).await?;
            Ok(user)
        })
    }
}

/// Makes an invitation to register.
#[derive(Clone, Debug)]
pub struct CreateRegistration {
    /// The invitation, not used yet.
    pub registration: Registration,
    /// SHA-256 of its code.
    pub secret_hash: [u8; 32],
}

#[derive(Insertable)]
#[diesel(table_name = registrations, treat_none_as_default_value = false)]
struct NewRow<'a> {
    id: Id,
    secret_hash: &'a [u8],
    created_by: Id,
    created_at: NaiveDateTime,
    expires_at: NaiveDateTime,
    max_uses: i64,
    uses: i64,
    admin: bool,
}

impl Operation for CreateRegistration {
    type Output = Registration;
    const NAME: &'static str = "create_registration";

    fn run<'a>(&'a self, db: &'a mut Db) -> Reply<'a, Registration> {
        Box::pin(async move {
            let new = &self.registration;
            if let Some(known) = get(db, new.id).await? {
                return Ok(known);
            }
            let row = NewRow {
                id: new.id.into(),
                secret_hash: &self.secret_hash,
                created_by: new.created_by.into(),
                created_at: at(new.created_at),
                expires_at: at(new.expires_at),
                max_uses: i64::try_from(new.max_uses).unwrap_or(i64::MAX),
                uses: 0,
                admin: new.admin,
            };
            let query = diesel::insert_into(registrations::table).values(&row);
            each!(db, |c| query.execute(c).await)?;
            let for_whom = if new.admin { "administrators" } else { "people" };
            let entry = AuditEntry::new(new.created_at, Some(new.created_by), AuditAction::RegistrationMade);
            audit::write(db, &entry.namely(format!("{} for {} {for_whom}", new.id, new.max_uses))).await?;
            Ok(new.clone())
        })
    }
}

/// Takes an invitation back.
#[derive(Clone, Copy, Debug)]
pub struct RevokeRegistration {
    /// Which.
    pub registration: RegistrationId,
    /// Who asks.
    pub by: UserId,
    /// The present time.
    pub now: Timestamp,
}

impl Operation for RevokeRegistration {
    type Output = ();
    const NAME: &'static str = "revoke_registration";

    fn run<'a>(&'a self, db: &'a mut Db) -> Reply<'a, ()> {
        Box::pin(async move {
            let query = diesel::delete(registrations::table.find(Id::from(self.registration)));
            if each!(db, |c| query.execute(c).await)? == 0 {
                return Ok(());
            }
            let entry = AuditEntry::new(self.now, Some(self.by), AuditAction::RegistrationRevoked);
            audit::write(db, &entry.namely(self.registration.to_string())).await
        })
    }
}

/// The columns of [`Row`]. Not `as_select`: that is a query for one of the two databases.
const COLUMNS: (
    registrations::id,
    registrations::created_by,
    registrations::created_at,
    registrations::expires_at,
    registrations::max_uses,
    registrations::uses,
    registrations::admin,
) = (
    registrations::id,
    registrations::created_by,
    registrations::created_at,
    registrations::expires_at,
    registrations::max_uses,
    registrations::uses,
    registrations::admin,
);

#[derive(Queryable)]
struct Row {
    id: Id,
    created_by: Id,
    created_at: NaiveDateTime,
    expires_at: NaiveDateTime,
    max_uses: i64,
    uses: i64,
    admin: bool,
}

impl TryFrom<Row> for Registration {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.id.into(),
            created_by: row.created_by.into(),
            created_at: row.created_at.and_utc(),
            expires_at: row.expires_at.and_utc(),
            max_uses: number(row.max_uses)?,
            uses: number(row.uses)?,
            admin: row.admin,
        })
    }
}

/// One invitation.
///
/// # Errors
/// Those of the database.
pub async fn get(db: &mut Db, registration: RegistrationId) -> Result<Option<Registration>, StoreError> {
    let query = registrations::table.find(Id::from(registration)).select(COLUMNS);
    let row: Option<Row> = each!(db, |c| query.first(c).await.optional())?;
    row.map(Registration::try_from).transpose()
}

/// Up to `limit` invitations after `after`, by id, and whether there are more.
///
/// # Errors
/// Those of the database.
pub async fn list(db: &mut Db, after: Option<RegistrationId>, limit: usize) -> Result<(Vec<Registration>, bool), StoreError> {
    let from = after.map_or(Id([0; 16]), Id::from);
    let query = registrations::table
        .select(COLUMNS)
        .filter(registrations::id.gt(from))
        .order(registrations::id)
        .limit(i64::try_from(limit).unwrap_or(i64::MAX - 1) + 1);
    let mut rows: Vec<Row> = each!(db, |c| query.load(c).await)?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    Ok((rows.into_iter().map(Registration::try_from).collect::<Result<_, _>>()?, more))
}

/// Uses an invitation once.
async fn consume(db: &mut Db, secret_hash: &[u8; 32], now: Timestamp) -> Result<Registration, StoreError> {
    let valid = registrations::table
        .filter(registrations::secret_hash.eq(secret_hash.as_slice()))
        .filter(registrations::uses.lt(registrations::max_uses).and(registrations::expires_at.gt(at(now))));
    let query = diesel::update(valid).set(registrations::uses.eq(registrations::uses + 1));
    if each!(db, |c| query.execute(c).await)? != 1 {
        return Err(Fault::InvitationInvalid.into());
    }
    let query = registrations::table.select(COLUMNS).filter(registrations::secret_hash.eq(secret_hash.as_slice()));
    let row: Row = each!(db, |c| query.first(c).await)?;
    row.try_into()
}

pub(super) async fn delete_expired(db: &mut Db, now: Timestamp) -> Result<(), StoreError> {
    let query = diesel::delete(registrations::table.filter(registrations::expires_at.lt(at(now))));
    each!(db, |c| query.execute(c).await)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::text::{DisplayName, UserName};
    use crate::store::testing::TestStore;
    use chrono::{DateTime, Duration};

    fn now() -> Timestamp {
        DateTime::from_timestamp(1_800_000_000, 0).unwrap()
    }

    fn invitation(max_uses: u64) -> CreateRegistration {
        let registration = Registration {
            id: RegistrationId::generate(),
            created_by: UserId::generate(),
            created_at: now(),
            expires_at: now() + Duration::days(7),
            max_uses,
            uses: 0,
            admin: false,
        };
        CreateRegistration { registration, secret_hash: [3; 32] }
    }

    fn register(name: &str, at: Timestamp) -> Register {
        let user = NewUser {
            id: UserId::generate(),
            name: UserName::parse(name).unwrap(),
            display_name: DisplayName::parse(name).unwrap(),
            password_hash: "hash".to_owned(),
            now: at,
        };
        Register { user, admin: false, invitation: Some([3; 32]), login: None, suspicion: None }
    }

    #[tokio::test]
    async fn an_invitation_is_good_for_so_many_accounts_until_its_end() {
        let at = TestStore::open().await;
        at.run(invitation(2)).await.unwrap();
        let late = at.run(register("ann", now() + Duration::days(7))).await;
        assert_eq!(late.unwrap_err(), StoreError::Refused(Fault::InvitationInvalid));
        let first = register("ann", now());
        at.run(first.clone()).await.unwrap();
        at.run(first).await.unwrap();
        at.run(register("bob", now())).await.unwrap();
        let third = at.run(register("carl", now())).await;
        assert_eq!(third.unwrap_err(), StoreError::Refused(Fault::InvitationInvalid), "the second run used none up");
        let (listed, more) = at.store.read(|db| Box::pin(list(db, None, 10))).await.unwrap();
        assert_eq!((listed[0].uses, listed.len(), more), (2, 1, false));
    }

    #[tokio::test]
    async fn a_refused_registration_uses_nothing_up() {
        let at = TestStore::open().await;
        let made = invitation(2);
        let id = made.registration.id;
        at.run(made).await.unwrap();
        at.run(register("ann", now())).await.unwrap();
        assert_eq!(at.run(register("Ann", now())).await.unwrap_err(), StoreError::Refused(Fault::NameTaken));
        assert!(at.run(register("bob", now())).await.is_ok());
        at.run(RevokeRegistration { registration: id, by: UserId::generate(), now: now() }).await.unwrap();
        assert!(at.store.read(|db| Box::pin(list(db, None, 10))).await.unwrap().0.is_empty());
    }

    #[tokio::test]
    async fn an_invitation_may_make_administrators() {
        let at = TestStore::open().await;
        let mut made = invitation(1);
        made.registration.admin = true;
        let (inviter, id) = (made.registration.created_by, made.registration.id);
        at.run(made).await.unwrap();
        let unknown = Register { invitation: Some([4; 32]), ..register("ann", now()) };
        assert_eq!(at.run(unknown).await.unwrap_err(), StoreError::Refused(Fault::InvitationInvalid));
        let ann = at.run(register("ann", now())).await.unwrap();
        assert!(ann.admin);
        let of_operator = Register { admin: true, invitation: None, ..register("bob", now() + Duration::minutes(1)) };
        let bob = at.run(of_operator.clone()).await.unwrap();
        at.run(of_operator).await.unwrap();
        at.run(Register { invitation: None, ..register("cem", now()) }).await.unwrap();
        let granted = audit::Wanted { action: Some(AuditAction::AdminGranted), ..audit::Wanted::default() };
        let page = at.store.read(move |db| Box::pin(audit::page(db, granted, audit::Order::Newest(None), 10))).await.unwrap();
        let entries = page.items.into_iter().map(|entry| (entry.actor, entry.subject, entry.detail));
        // The newest first; the second run has not granted it again.
        assert_eq!(
            entries.collect::<Vec<_>>(),
            [(None, Some(bob.id), None), (Some(inviter), Some(ann.id), Some(id.to_string()))]
        );
    }
}
