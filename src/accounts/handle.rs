//! What others hold of accounts, and who the bearer of an access token is.

use super::standing::Standing;
use crate::auth::hashing::Hashing;
use crate::auth::password::{PasswordHash, PasswordRules};
use crate::auth::token::{TokenError, TokenKeys};
use crate::config;
use crate::delivery::handle::{Logins, Relays, Revocation};
use crate::domain::fault::{Fault, Refusal};
use crate::domain::ids::{IncidentId, LoginId, UserId};
use crate::domain::order::Revision;
use crate::domain::time::{Clock, Timestamp};
use crate::domain::user::{Actor, User};
use crate::persistence::handle::{Key, Persistence};
use crate::store::users::{Credentials, credentials};
use crate::store::{Db, Operation, Reply, Store, StoreError, logins, users};
use futures_util::future::BoxFuture;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

/// Done when what somebody has just asked to be notified of counts.
pub type WishesChanged = Arc<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>;

/// What accounts are built from.
pub struct Parts {
    /// For questions.
    pub store: Store,
    /// For writes.
    pub persistence: Persistence,
    /// Whom to tell of logins that ended and of streams that grew.
    pub relays: Relays,
    /// The keys of access tokens.
    pub keys: TokenKeys,
    /// Where passwords are hashed.
    pub hashing: Hashing,
    /// The time.
    pub clock: Clock,
    /// The section of the settings.
    pub settings: config::Accounts,
    /// How much of everything one person may have.
    pub limits: config::Limits,
    /// Has it read anew what people want to be notified of.
    pub wishes_changed: WishesChanged,
    /// So many changes of their own a device may have missed and be told of each.
    pub missed_max: usize,
    /// How long answers under operation ids are kept.
    pub operation_life: std::time::Duration,
}

/// People's accounts. Clones share everything.
#[derive(Clone)]
pub struct Accounts(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) parts: Parts,
    pub(super) rules: PasswordRules,
    standing: RwLock<Standing>,
}

/// Who an access token belongs to, and until when that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Authenticated {
    /// Who is asking.
    pub actor: Actor,
    /// The token's end.
    pub expires_at: Timestamp,
}

impl fmt::Debug for Accounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Accounts")
    }
}

impl Accounts {
    /// Reads from the store which logins ended lately and who administers the server.
    ///
    /// # Errors
    /// Those of the database: without this knowledge nobody may be let in.
    pub async fn open(parts: Parts) -> Result<Self, StoreError> {
        let rules = PasswordRules::from(&parts.settings);
        let standing = RwLock::new(Standing::new(parts.keys.life()));
        let accounts = Self(Arc::new(Inner { parts, rules, standing }));
        let since = accounts.now() - accounts.0.parts.keys.life().saturating_mul(2);
        accounts.hear_since(since).await?;
        Ok(accounts)
    }

    /// Who `token` belongs to. Asks no database.
    ///
    /// # Errors
    /// [`Fault::TokenExpired`]: get a new one. [`Fault::Unauthenticated`]: it is none of ours, or its login ended.
    pub fn authenticate(&self, token: &str) -> Result<Authenticated, Fault> {
        let claims = self.0.parts.keys.verify(token, self.now()).map_err(|error| match error {
            TokenError::Expired => Fault::TokenExpired,
            TokenError::Invalid => Fault::Unauthenticated,
        })?;
        let standing = self.0.standing.read().unwrap_or_else(PoisonError::into_inner);
        if standing.is_ended(claims.login) {
            return Err(Fault::Unauthenticated);
        }
        let actor = Actor { user: claims.user, login: claims.login, admin: standing.is_admin(claims.user) };
        Ok(Authenticated { actor, expires_at: claims.expires_at })
    }

    /// Who was authenticated earlier, as they stand now: a socket lives longer than what its token was worth when it came.
    #[must_use]
    pub fn as_of_now(&self, actor: Actor) -> Actor {
        let standing = self.0.standing.read().unwrap_or_else(PoisonError::into_inner);
        Actor { admin: standing.is_admin(actor.user), ..actor }
    }

    /// Checks the password of somebody who is logged in, before something that must not happen by a borrowed device. Returns the hash
    /// it was checked against.
    pub(super) async fn prove(&self, user: UserId, password: &str) -> Result<String, Refusal> {
        let found = self.read(move |db| Box::pin(credentials(db, user))).await?;
        let known = found.filter(|found| !found.user.deleted).ok_or(Fault::Unauthenticated)?;
        self.check(Some(known), password).await.map(|(_, hash)| hash)
    }

    /// Whether `password` is that of `known`; nobody's is wrong after the same work.
    pub(super) async fn check(&self, known: Option<Credentials>, password: &str) -> Result<(User, String), Refusal> {
        let (user, hash) = match known {
            Some(Credentials { user, password_hash }) => (Some(user), password_hash),
            None => (None, None),
        };
        let right = self.is_password(hash.clone(), password).await?;
        match (user, hash) {
            (Some(user), Some(hash)) if right => Ok((user, hash)),
            _ => Err(Fault::CredentialsWrong.into()),
        }
    }

    /// Whether `password` belongs to `hash`; without a hash it does not, after the same work.
    pub(super) async fn is_password(&self, hash: Option<String>, password: &str) -> Result<bool, Refusal> {
        let fits = self.0.rules.could_be(password);
        let typed = crate::auth::password::Password::typed(if fits { password } else { "" });
        Ok(self.0.parts.hashing.matches(typed, hash.map(PasswordHash::stored)).await? && fits)
    }

    /// The present time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.0.parts.clock.now()
    }

    /// Answers a question from the store.
    pub(super) async fn read<T, F>(&self, ask: F) -> Result<T, Refusal>
    where
        T: Send + 'static,
        F: for<'a> FnOnce(&'a mut Db) -> Reply<'a, T> + Clone + Send + 'static,
    {
        self.0.parts.store.read(ask).await.map_err(|error| refusal(&error))
    }

    /// Writes for one person.
    pub(super) async fn write<O: Operation>(&self, user: UserId, operation: O) -> Result<O::Output, Refusal> {
        let answer = self.0.parts.persistence.run(Key::User(user), operation).await;
        answer.unwrap_or_else(|_dropped| Err(Fault::Unavailable.into()))
    }

    /// From here on, tokens of these logins are refused and their sockets close. After the commit that ended them.
    pub(super) fn announce_ended(&self, user: UserId, ended: &[LoginId]) {
        let now = self.now();
        let news: Vec<LoginId> = {
            let mut standing = self.0.standing.write().unwrap_or_else(PoisonError::into_inner);
            standing.forget_expired(now);
            ended.iter().copied().filter(|login| standing.end(*login, now)).collect()
        };
        for login in news {
            self.0.parts.relays.revoke(Revocation { user, logins: Logins::One(login) });
        }
    }

    /// People's streams have grown. After the commit that made them grow.
    pub fn announce_heads(&self, heads: &[(UserId, Revision)]) {
        self.0.parts.relays.announce_user_heads(heads);
    }

    /// From here on, this person counts as an administrator, or not. After the commit that made it so.
    pub(super) fn announce_admin(&self, user: UserId, admin: bool) {
        self.0.standing.write().unwrap_or_else(PoisonError::into_inner).set_admin(user, admin);
    }

    /// Hears what other processes committed since `since`: logins that ended, administrators.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn hear_since(&self, since: Timestamp) -> Result<(), StoreError> {
        let changes = self.0.standing.read().unwrap_or_else(PoisonError::into_inner).admin_changes();
        let read = self
            .0
            .parts
            .store
            .read(move |db| Box::pin(async move { Ok((logins::ended_since(db, since).await?, users::admins(db).await?)) }));
        let (ended, admins) = read.await?;
        for (login, user, _) in ended {
            self.announce_ended(user, &[login]);
        }
        self.0.standing.write().unwrap_or_else(PoisonError::into_inner).set_admins(changes, admins);
        Ok(())
    }
}

/// What a caller learns of a failed read. Faults of ours are logged where they happen: here.
pub fn refusal(error: &StoreError) -> Refusal {
    let fault = error.fault();
    let incident = (fault == Fault::Internal).then(IncidentId::generate);
    if let Some(incident) = incident {
        tracing::error!(%incident, %error, "a read failed");
    }
    Refusal::logged(fault, incident)
}
