//! Ways in: register, log in, refresh.

use super::handle::Accounts;
use crate::auth::password::{Password, PasswordHash};
use crate::auth::secret::Secret;
use crate::auth::token::RefreshToken;
use crate::config::Registration;
use crate::domain::fault::{Fault, Refusal};
use crate::domain::ids::{LoginId, UserId};
use crate::domain::report::Suspicion;
use crate::domain::text::{DeviceName, DisplayName, UserName};
use crate::domain::time::Timestamp;
use crate::domain::user::User;
use crate::store::logins::{LogIn, NewLogin, Refresh, Refreshed, family};
use crate::store::registrations::Register;
use crate::store::users::{NewUser, by_name};
use std::fmt;

/// Where a login comes from.
#[derive(Clone, Debug)]
pub struct Device {
    /// What its owner calls it.
    pub name: DeviceName,
    /// The client's address.
    pub address: String,
}

/// An account somebody wants.
pub struct NewAccount {
    /// The log-in name.
    pub name: String,
    /// How to be shown; absent: as the log-in name.
    pub display_name: Option<String>,
    /// The password.
    pub password: String,
    /// The code of an invitation to register.
    pub invitation: Option<String>,
    /// The first login.
    pub device: Device,
    /// May anybody be called so?
    pub verdict: Result<(), Fault>,
    /// Why moderators are to hear of how they are called.
    pub suspicion: Option<Suspicion>,
}

/// The tokens of a login.
#[derive(Clone, PartialEq, Eq)]
pub struct Tokens {
    /// Which login.
    pub login: LoginId,
    /// Shows who is asking.
    pub access: String,
    /// The access token's end.
    pub access_expires_at: Timestamp,
    /// Gets the next tokens, once.
    pub refresh: String,
    /// The login's end if it is not used.
    pub refresh_expires_at: Timestamp,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("login", &self.login).finish_non_exhaustive()
    }
}

impl Accounts {
    /// Makes an account and its first login.
    ///
    /// # Errors
    /// [`Fault::RegistrationClosed`], [`Fault::InvitationInvalid`], [`Fault::NameInvalid`], [`Fault::NameTaken`],
    /// [`Fault::PasswordWeak`], that of the verdict, those of persistence.
    pub async fn register(&self, new: NewAccount) -> Result<(User, Tokens), Refusal> {
        let invitation = match (self.0.parts.settings.registration, new.invitation) {
            (Registration::Closed, _) | (Registration::Invite, None) => return Err(Fault::RegistrationClosed.into()),
            (Registration::Open | Registration::Invite, Some(code)) => {
                Some(Secret::parse(&code).ok_or(Fault::InvitationInvalid)?.hash())
            }
            (Registration::Open, None) => None,
        };
        new.verdict?;
        let user = self.new_user(&new.name, new.display_name.as_deref(), &new.password).await?;
        let refresh = RefreshToken::first(LoginId::generate());
        let login = self.new_login(&refresh, &new.device, user.now);
        let id = user.id;
        let register = Register { user, admin: false, invitation, login: Some(login), suspicion: new.suspicion };
        let user = self.write(id, register).await?;
        if user.admin {
            self.announce_admin(id, true);
        }
        let tokens = self.tokens(id, &refresh, self.refresh_end(user.created_at))?;
        Ok((user, tokens))
    }

    /// Makes an account without a login: for administrators and the command line.
    ///
    /// # Errors
    /// [`Fault::NameInvalid`], [`Fault::NameTaken`], [`Fault::PasswordWeak`], those of persistence.
    pub async fn add(&self, name: &str, display_name: Option<&str>, password: &str, admin: bool) -> Result<User, Refusal> {
        let user = self.new_user(name, display_name, password).await?;
        let id = user.id;
        let user = self.write(id, Register { user, admin, invitation: None, login: None, suspicion: None }).await?;
        self.announce_admin(id, user.admin);
        Ok(user)
    }

    /// Begins a login.
    ///
    /// # Errors
    /// [`Fault::CredentialsWrong`] for an unknown name and for a wrong password, after the same work; [`Fault::AccountDisabled`] only
    /// to who knows the password; those of persistence.
    pub async fn log_in(&self, name: &str, password: &str, device: &Device) -> Result<(User, Tokens), Refusal> {
        let key = UserName::parse(name).map(|name| name.key()).unwrap_or_default();
        let known = self.read(move |db| Box::pin(async move { by_name(db, &key).await })).await?;
        let (user, known_hash) = self.check(known, password).await?;
        let better_hash = self.better_hash(&known_hash, password).await;
        let refresh = RefreshToken::first(LoginId::generate());
        let now = self.now();
        let login = self.new_login(&refresh, device, now);
        let expires_at = login.expires_at;
        let max_logins = self.0.parts.settings.logins_per_user;
        let log_in = LogIn { user: user.id, known_hash, better_hash, login, max_logins };
        let (user, ended) = self.write(user.id, log_in).await?;
        self.announce_ended(user.id, &ended);
        // The command line may have made them one a moment ago.
        self.announce_admin(user.id, user.admin);
        let tokens = self.tokens(user.id, &refresh, expires_at)?;
        Ok((user, tokens))
    }

    /// Whose login this refresh token is of, or once was; nothing changes by asking.
    ///
    /// # Errors
    /// [`Fault::Unauthenticated`], those of the database.
    pub async fn holder(&self, token: &str) -> Result<UserId, Refusal> {
        let presented = RefreshToken::parse(token).ok_or(Fault::Unauthenticated)?;
        let login = presented.login;
        let family = self.read(move |db| Box::pin(async move { family(db, login).await })).await?;
        let (user, _) = family.filter(|(_, hash)| presented.is_of_family(hash)).ok_or(Fault::Unauthenticated)?;
        Ok(user)
    }

    /// Exchanges a refresh token for the next pair. The one before gives the same next token again for a while: its answer may have
    /// been lost. An older one ends the login: two hold its tokens, and one of them has stolen them.
    ///
    /// # Errors
    /// [`Fault::Unauthenticated`], those of persistence.
    pub async fn refresh(&self, token: &str, address: String) -> Result<Tokens, Refusal> {
        let presented = RefreshToken::parse(token).ok_or(Fault::Unauthenticated)?;
        let (next, now) = (Secret::generate(), self.now());
        let refresh = Refresh {
            login: presented.login,
            family_hash: presented.family_hash(),
            presented_hash: presented.secret.hash(),
            next_hash: next.hash(),
            sealed: presented.seal(&next),
            grace: self.0.parts.settings.refresh_grace,
            address,
            now,
            expires_at: self.refresh_end(now),
        };
        // Keyed by the login, which is all the token tells; the row's lock keeps the order.
        match self.write(UserId(presented.login.0), refresh).await? {
            Refreshed::Exchanged { user, sealed, expires_at } => {
                self.tokens(user, &presented.with_secret(presented.unseal(sealed)), expires_at)
            }
            Refreshed::Reused { user } => {
                tracing::warn!(%user, login = %presented.login, "an old refresh token came again: its login is ended");
                self.announce_ended(user, &[presented.login]);
                Err(Fault::Unauthenticated.into())
            }
            Refreshed::Unknown => Err(Fault::Unauthenticated.into()),
        }
    }

    async fn new_user(&self, name: &str, display_name: Option<&str>, password: &str) -> Result<NewUser, Refusal> {
        let settings = &self.0.parts.settings;
        let name = UserName::parse(name)?;
        let display_name = DisplayName::parse(display_name.unwrap_or_else(|| name.as_str()))?;
        let fits = |text: &str, min, max| (min..=max).contains(&text.chars().count());
        if !fits(name.as_str(), settings.user_name_min, settings.user_name_max)
            || !fits(display_name.as_str(), 1, settings.display_name_max)
        {
            return Err(Fault::NameInvalid.into());
        }
        let password = self.0.rules.check(password, name.as_str())?;
        let key = name.key();
        // Decided again under the name's unique key; here it only saves the hashing.
        if self.read(move |db| Box::pin(async move { by_name(db, &key).await })).await?.is_some() {
            return Err(Fault::NameTaken.into());
        }
        let hash = self.0.parts.hashing.hash(password).await?;
        let password_hash = hash.expose().to_owned();
        Ok(NewUser { id: UserId::generate(), name, display_name, password_hash, now: self.now() })
    }

    /// The same password under the present work factor. Failing to make one is no reason to refuse the login.
    async fn better_hash(&self, known: &str, password: &str) -> Option<String> {
        let hashing = &self.0.parts.hashing;
        if !hashing.is_outdated(&PasswordHash::stored(known.to_owned())) {
            return None;
        }
        hashing.hash(Password::typed(password)).await.ok().map(|hash| hash.expose().to_owned())
    }

    fn new_login(&self, token: &RefreshToken, device: &Device, now: Timestamp) -> NewLogin {
        NewLogin {
            id: token.login,
            device: device.name.clone(),
            address: device.address.clone(),
            family_hash: token.family_hash(),
            refresh_hash: token.secret.hash(),
            now,
            expires_at: self.refresh_end(now),
        }
    }

    fn refresh_end(&self, now: Timestamp) -> Timestamp {
        now + self.0.parts.settings.refresh_token_ttl
    }

    fn tokens(&self, user: UserId, refresh: &RefreshToken, refresh_expires_at: Timestamp) -> Result<Tokens, Refusal> {
        let issued = self.0.parts.keys.issue(user, refresh.login, self.now());
        let (access, access_expires_at) = issued.map_err(|_| Fault::Internal)?;
        Ok(Tokens { login: refresh.login, access, access_expires_at, refresh: refresh.expose(), refresh_expires_at })
    }
}
