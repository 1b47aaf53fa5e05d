//! What a person does with their own account.

use super::handle::Accounts;
use crate::domain::fault::{Fault, Refusal};
use crate::domain::ids::{LoginId, UserId};
use crate::domain::profile::{OwnProfile, ProfileChange};
use crate::domain::report::Judged;
use crate::domain::user::Actor;
use crate::store::logins::{EndLogins, Login, Which, list};
use crate::store::users::changes::{AccountChanged, ChangeProfile, DeleteAccount, ProfileChanged, SetPassword, before_and_now};
use crate::store::users::profile;

impl Accounts {
    /// My account, and the revision of my stream at which it last changed.
    ///
    /// # Errors
    /// [`Fault::Unauthenticated`] if it is gone, those of the database.
    pub async fn profile(&self, user: UserId) -> Result<OwnProfile, Refusal> {
        let found = self.read(move |db| Box::pin(profile(db, user))).await?;
        let own = found.filter(|own| !own.user.deleted).ok_or(Fault::Unauthenticated)?;
        Ok(self.own_now(own))
    }

    /// Changes how I am shown, and what I say of myself.
    ///
    /// # Errors
    /// [`Fault::NameInvalid`] for a display name that is too long here, that of the verdict, those of persistence.
    pub async fn change_profile(
        &self,
        user: UserId,
        change: ProfileChange,
        (verdict, suspicion): Judged,
    ) -> Result<ProfileChanged, Refusal> {
        let longest = self.0.parts.settings.display_name_max;
        if change.display_name.as_ref().is_some_and(|name| name.as_str().chars().count() > longest) {
            return Err(Fault::NameInvalid.into());
        }
        let change = ChangeProfile { user, change, verdict, suspicion, now: self.now() };
        let changed = self.write(user, change).await?;
        self.announce_heads(&[(user, changed.head)]);
        Ok(ProfileChanged { own: self.own_now(changed.own), ..changed })
    }

    fn own_now(&self, own: OwnProfile) -> OwnProfile {
        OwnProfile { profile: own.profile.at(self.now()), ..own }
    }

    /// Sets a new password and ends every other login of mine. Repeated after its answer was lost, it succeeds and does nothing.
    ///
    /// # Errors
    /// [`Fault::CredentialsWrong`], [`Fault::PasswordWeak`], those of persistence.
    pub async fn change_password(&self, actor: Actor, old: &str, new: &str) -> Result<(), Refusal> {
        match self.set_password(actor, old, new).await {
            Err(Refusal { fault: Fault::CredentialsWrong, .. }) => self.prove_changed(actor.user, old, new).await,
            outcome => outcome,
        }
    }

    /// Succeeds if the password was changed from `old` to `new` last, and lately. Both are compared before either counts: whoever guesses
    /// the present one must give away `old` for it, so a request is one guess as before, and neither answer nor time tells which of the
    /// two was wrong.
    async fn prove_changed(&self, user: UserId, old: &str, new: &str) -> Result<(), Refusal> {
        let hashes = self.read(move |db| Box::pin(before_and_now(db, user))).await?;
        let (before, now) = hashes.map_or((None, None), |(before, now)| (Some(before), Some(now)));
        let (was, is) = (self.is_password(before, old).await?, self.is_password(now, new).await?);
        if was & is { Ok(()) } else { Err(Fault::CredentialsWrong.into()) }
    }

    async fn set_password(&self, actor: Actor, old: &str, new: &str) -> Result<(), Refusal> {
        let known_hash = self.prove(actor.user, old).await?;
        let own = self.profile(actor.user).await?;
        let password = self.0.rules.check(new, &own.user.name)?;
        let new_hash = self.0.parts.hashing.hash(password).await?.expose().to_owned();
        let set =
            SetPassword { user: actor.user, known_hash: Some(known_hash), new_hash, keep: Some(actor.login), now: self.now() };
        let changed = self.write(actor.user, set).await?;
        self.announce_ended(actor.user, &changed.ended);
        Ok(())
    }

    /// My logins that have not ended, the one used last first.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn logins(&self, user: UserId) -> Result<Vec<Login>, Refusal> {
        let now = self.now();
        self.read(move |db| Box::pin(list(db, user, now))).await
    }

    /// Ends one of my logins; one that has ended, or is nobody's, is no error: it is as asked.
    ///
    /// # Errors
    /// Those of persistence.
    pub async fn end_login(&self, user: UserId, login: LoginId) -> Result<(), Refusal> {
        self.end(user, Which::One(login)).await
    }

    /// Ends all my logins, or all but one.
    ///
    /// # Errors
    /// Those of persistence.
    pub async fn end_logins(&self, user: UserId, keep: Option<LoginId>) -> Result<(), Refusal> {
        self.end(user, Which::Except(keep)).await
    }

    async fn end(&self, user: UserId, which: Which) -> Result<(), Refusal> {
        let ended = self.write(user, EndLogins { user, which, now: self.now() }).await?;
        self.announce_ended(user, &ended);
        Ok(())
    }

    /// Deletes my account. `depart` takes me out of every room; it runs before, while I still exist if it fails, and once more after,
    /// for what I entered meanwhile.
    ///
    /// # Errors
    /// [`Fault::CredentialsWrong`], those of `depart` and of persistence.
    pub async fn delete(
        &self,
        actor: Actor,
        password: &str,
        depart: impl AsyncFn(UserId) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        let known_hash = Some(self.prove(actor.user, password).await?);
        depart(actor.user).await?;
        let delete = DeleteAccount { user: actor.user, known_hash, now: self.now() };
        let AccountChanged { ended, .. } = self.write(actor.user, delete).await?;
        self.announce_admin(actor.user, false);
        self.announce_ended(actor.user, &ended);
        depart(actor.user).await
    }
}
