//! What a person does with what is their own, where more than one part must hear of it. For sockets and REST alike.
//!
//! Must not know: sessions, frames, HTTP.

use crate::accounts::handle::Accounts;
use crate::domain::fault::Refusal;
use crate::domain::ids::UserId;
use crate::domain::profile::OwnProfile;
use crate::domain::relation::RelationChange;
use crate::moderation::handle::{Moderation, announce};
use crate::presence::handle::Presence;
use crate::protocol::v1::profile::ChangeProfile;
use crate::room::handle::Rooms;
use crate::store::users::changes::ProfileChanged;

/// Who must hear of it.
#[derive(Clone, Copy)]
pub struct Hearing<'a> {
    /// Writes it, and tells the person's own sessions.
    pub accounts: &'a Accounts,
    /// Their direct room is closed or opened.
    pub rooms: &'a Rooms,
    /// Who watches whom is looked at again.
    pub presence: &'a Presence,
    /// Judges what they say.
    pub moderation: &'a Moderation,
}

impl Hearing<'_> {
    /// Blocks or mutes another person, or takes it back. With the answer it holds everywhere (I10).
    ///
    /// # Errors
    /// Those of [`Accounts::set_relation`].
    pub async fn relate(self, user: UserId, other: UserId, change: RelationChange) -> Result<(), Refusal> {
        let changed = self.accounts.set_relation(user, other, change).await?;
        if let Some(room) = changed.room {
            self.rooms.committed(room);
        }
        if changed.block_changed {
            self.presence.parted(user);
        }
        Ok(())
    }

    /// Changes how the person is shown, and what they say of themselves.
    ///
    /// # Errors
    /// What is wrong with it, what filters refuse, those of [`Accounts::change_profile`].
    pub async fn change_profile(self, user: UserId, new: ChangeProfile) -> Result<OwnProfile, Refusal> {
        let change = new.change(self.accounts.now())?;
        let shown = change.invisible.is_some();
        let judged = self.moderation.judge_names(change.texts());
        let ProfileChanged { own, reported, .. } = self.accounts.change_profile(user, change, judged).await?;
        if shown {
            self.presence.set_invisible(user, own.user.invisible);
        }
        if let Some(reason) = reported {
            announce(reason);
        }
        Ok(own)
    }
}
