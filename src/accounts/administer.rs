//! What administrators do with accounts. Whether somebody is one is asked here, once for all.

use super::handle::Accounts;
use crate::auth::secret::Secret;
use crate::domain::fault::{Fault, Refusal};
use crate::domain::ids::{RegistrationId, UserId};
use crate::domain::text::{Reason, UserName};
use crate::domain::user::{Actor, User};
use crate::store::operations::{Once, OperationKey, Outcome};
use crate::store::registrations::{self, CreateRegistration, Registration, RevokeRegistration};
use crate::store::users::changes::{AccountChanged, Administer, ClearProfile, SetPassword};
use crate::store::users::{by_name, credentials, list};

/// What an invitation to register is for.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// So many accounts.
    pub max_uses: u32,
    /// Of administrators.
    pub admin: bool,
}

impl Actor {
    /// Refuses everybody but administrators.
    ///
    /// # Errors
    /// [`Fault::NotAllowed`].
    pub fn require_admin(&self) -> Result<(), Fault> {
        if self.admin { Ok(()) } else { Err(Fault::NotAllowed) }
    }
}

impl Accounts {
    /// All accounts that are not deleted, in the order they were made.
    ///
    /// # Errors
    /// [`Fault::NotAllowed`], those of the database.
    pub async fn all_users(
        &self,
        actor: Actor,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<(Vec<User>, Option<UserId>), Refusal> {
        actor.require_admin()?;
        self.read(move |db| Box::pin(list(db, after, limit))).await
    }

    /// One account with what only administrators see.
    ///
    /// # Errors
    /// [`Fault::NotAllowed`], [`Fault::NotFound`], those of the database.
    pub async fn account(&self, actor: Actor, user: UserId) -> Result<User, Refusal> {
        actor.require_admin()?;
        let found = self.read(move |db| Box::pin(credentials(db, user))).await?;
        found.map(|found| found.user).ok_or_else(|| Fault::NotFound.into())
    }

    /// Keeps somebody out or lets them in, makes them an administrator or not. Nobody does it to themselves: a server whose last
    /// administrator shut themselves out could only be helped from the command line.
    ///
    /// # Errors
    /// [`Fault::NotAllowed`], [`Fault::NotFound`], those of persistence.
    pub async fn administer(
        &self,
        actor: Actor,
        user: UserId,
        (disabled, admin): (Option<bool>, Option<bool>),
        reason: Option<Reason>,
    ) -> Result<User, Refusal> {
        actor.require_admin()?;
        if actor.user == user {
            return Err(Fault::NotAllowed.into());
        }
        self.administered(Administer { user, disabled, admin, by: Some(actor.user), reason, now: self.now() }).await
    }

    /// The same from the command line, whose user is above administrators.
    ///
    /// # Errors
    /// [`Fault::NotFound`], those of persistence.
    pub async fn set(&self, user: UserId, disabled: Option<bool>, admin: Option<bool>) -> Result<User, Refusal> {
        self.administered(Administer { user, disabled, admin, by: None, reason: None, now: self.now() }).await
    }

    async fn administered(&self, change: Administer) -> Result<User, Refusal> {
        let user = change.user;
        let changed = self.write(user, change).await?;
        let AccountChanged { user: account, head, ended } = changed;
        self.announce_admin(user, account.admin);
        self.announce_ended(user, &ended);
        self.0.parts.relays.announce_user_heads(&[(user, head)]);
        Ok(account)
    }

    /// Takes away what somebody says of themselves; who says nothing is as asked.
    ///
    /// # Errors
    /// [`Fault::NotAllowed`], [`Fault::NotFound`], those of persistence.
    pub async fn clear_profile(&self, actor: Actor, user: UserId, reason: Option<Reason>) -> Result<(), Refusal> {
        actor.require_admin()?;
        let head = self.write(user, ClearProfile { user, by: actor.user, reason, now: self.now() }).await?;
        self.announce_heads(&[(user, head)]);
        Ok(())
    }

    /// Gives somebody a new password, from the command line; all their logins end.
    ///
    /// # Errors
    /// [`Fault::NotFound`], [`Fault::PasswordWeak`], those of persistence.
    pub async fn reset_password(&self, user: &User, password: &str) -> Result<(), Refusal> {
        let password = self.0.rules.check(password, &user.name)?;
        let new_hash = self.0.parts.hashing.hash(password).await?.expose().to_owned();
        let set = SetPassword { user: user.id, known_hash: None, new_hash, keep: None, now: self.now() };
        let changed = self.write(user.id, set).await?;
        self.announce_ended(user.id, &changed.ended);
        Ok(())
    }

    /// The account with this log-in name.
    ///
    /// # Errors
    /// [`Fault::NotFound`], those of the database.
    pub async fn named(&self, name: &str) -> Result<User, Refusal> {
        let key = UserName::parse(name).map_err(|_| Fault::NotFound)?.key();
        let found = self.read(move |db| Box::pin(async move { by_name(db, &key).await })).await?;
        found.map(|found| found.user).ok_or_else(|| Fault::NotFound.into())
    }

    /// Makes an invitation to register, whose code `code_of` tells; under a key that was used before, finds the one made then.
    ///
    /// # Errors
    /// [`Fault::NotAllowed`], [`Fault::NotFound`] if the one made then is gone, [`Fault::KeyReused`], those of persistence.
    pub async fn invite_to_register(
        &self,
        actor: Actor,
        key: Option<OperationKey>,
        wanted: Wanted,
        code_of: impl Fn(RegistrationId) -> Secret,
    ) -> Result<Registration, Refusal> {
        actor.require_admin()?;
        let (id, now) = (RegistrationId::generate(), self.now());
        let registration = Registration {
            id,
            created_by: actor.user,
            created_at: now,
            expires_at: now + self.0.parts.settings.invite_ttl,
            max_uses: wanted.max_uses.into(),
            uses: 0,
            admin: wanted.admin,
        };
        let operation = CreateRegistration { registration, secret_hash: code_of(id).hash() };
        let once = Once { key, now, operation, answer: |made: &Registration| made.id.to_string() };
        match self.write(actor.user, once).await? {
            Outcome::Done(made) => Ok(made),
            Outcome::Repeat(id) => {
                let id = id.parse().map_err(|_| Fault::Internal)?;
                let found = self.read(move |db| Box::pin(registrations::get(db, id))).await?;
                found.ok_or_else(|| Fault::NotFound.into())
            }
        }
    }

    /// The invitations to register, in the order they were made, and whether there are more.
    ///
    /// # Errors
    /// [`Fault::NotAllowed`], those of the database.
    pub async fn registrations(
        &self,
        actor: Actor,
        after: Option<RegistrationId>,
        limit: usize,
    ) -> Result<(Vec<Registration>, bool), Refusal> {
        actor.require_admin()?;
        self.read(move |db| Box::pin(registrations::list(db, after, limit))).await
    }

    /// Takes an invitation back; one that is gone is as asked.
    ///
    /// # Errors
    /// [`Fault::NotAllowed`], those of persistence.
    pub async fn revoke_registration(&self, actor: Actor, registration: RegistrationId) -> Result<(), Refusal> {
        actor.require_admin()?;
        self.write(actor.user, RevokeRegistration { registration, by: actor.user, now: self.now() }).await
    }
}
