//! What a person prefers, and what they have begun to write.

use super::handle::Accounts;
use crate::domain::draft::{Draft, DraftText};
use crate::domain::fault::{Fault, Refusal};
use crate::domain::ids::{RoomId, UserId};
use crate::domain::order::Seq;
use crate::domain::preference::{Preferences, RoomPreferences, ThreadPreferences};
use crate::protocol::v1::own::SetPreferences;
use crate::store::drafts::{self, SetDraft};
use crate::store::preferences::{self, ChangePreferences, SetRoomPreferences, SetThreadPreferences};
use crate::store::{Page, StoreError, rooms};
use crate::{policy, store};

impl Accounts {
    /// What I prefer altogether.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn preferences(&self, user: UserId) -> Result<Preferences, Refusal> {
        self.read(move |db| Box::pin(async move { Ok(preferences::of(db, user).await?.unwrap_or_default()) })).await
    }

    /// Changes it.
    ///
    /// # Errors
    /// What is wrong with the change, [`Fault::LimitReached`], those of persistence.
    pub async fn change_preferences(&self, user: UserId, new: SetPreferences) -> Result<Preferences, Refusal> {
        let limits = &self.0.parts.limits;
        let change = new.change(limits.keywords_per_user, limits.keyword_max)?;
        let wishes = change.notify.is_some() || change.keywords.is_some();
        let set = self.write(user, ChangePreferences { user, change }).await?;
        self.announce_heads(&set.user_heads);
        if wishes && !set.user_heads.is_empty() {
            (self.0.parts.wishes_changed)().await;
        }
        Ok(set.value)
    }

    /// What I prefer of a room I am in.
    ///
    /// # Errors
    /// What reading the room answers, those of the database.
    pub async fn room_preferences(&self, user: UserId, room: RoomId) -> Result<RoomPreferences, Refusal> {
        let read = self.read(move |db| {
            Box::pin(async move {
                require_joined(db, user, room).await?;
                preferences::of_room(db, user, room).await
            })
        });
        Ok(read.await?.unwrap_or(RoomPreferences::none(room)))
    }

    /// Sets what I prefer of a room I am in: all of it.
    ///
    /// # Errors
    /// What reading the room answers, those of persistence.
    pub async fn set_room_preferences(&self, user: UserId, wanted: RoomPreferences) -> Result<RoomPreferences, Refusal> {
        let set = self.write(user, SetRoomPreferences { user, wanted }).await?;
        self.announce_heads(&set.user_heads);
        if !set.user_heads.is_empty() {
            (self.0.parts.wishes_changed)().await;
        }
        Ok(set.value)
    }

    /// What I prefer of a thread.
    ///
    /// # Errors
    /// What reading the room answers, those of the database.
    pub async fn thread_preferences(&self, user: UserId, room: RoomId, thread: Seq) -> Result<ThreadPreferences, Refusal> {
        let read = self.read(move |db| {
            Box::pin(async move {
                require_joined(db, user, room).await?;
                preferences::of_thread(db, user, room, thread).await
            })
        });
        Ok(read.await?.unwrap_or(ThreadPreferences::none(room, thread)))
    }

    /// Sets what I prefer of a thread: all of it.
    ///
    /// # Errors
    /// What reading the room answers, [`Fault::NotFound`] where there is no such message for me, [`Fault::BadRequest`] for a reply,
    /// [`Fault::LimitReached`], those of persistence.
    pub async fn set_thread_preferences(&self, user: UserId, wanted: ThreadPreferences) -> Result<ThreadPreferences, Refusal> {
        let (threads_max, missed_max) = (self.0.parts.limits.thread_preferences_per_user, self.0.parts.missed_max);
        let set = SetThreadPreferences { user, wanted, now: self.now(), threads_max, missed_max };
        let set = self.write(user, set).await?;
        self.announce_heads(&set.user_heads);
        Ok(set.value)
    }

    /// What I have begun to write, by room and thread.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn drafts(&self, user: UserId, after: Option<(RoomId, Option<Seq>)>, limit: usize) -> Result<Page<Draft>, Refusal> {
        self.read(move |db| Box::pin(async move { drafts::page(db, user, after, limit).await })).await
    }

    /// Keeps a draft; an empty one throws away what was kept.
    ///
    /// # Errors
    /// What is wrong with the text, what reading the room answers, [`Fault::LimitReached`], those of persistence.
    pub async fn set_draft(&self, user: UserId, room: RoomId, thread: Option<Seq>, text: String) -> Result<Draft, Refusal> {
        let limits = &self.0.parts.limits;
        if thread == Some(Seq::ZERO) {
            return Err(Fault::BadRequest.into());
        }
        let text = DraftText::parse(text, limits.text_max.as_usize())?;
        let (drafts_max, missed_max) = (limits.drafts_per_user, self.0.parts.missed_max);
        let set = SetDraft { user, room, thread, text, now: self.now(), drafts_max, missed_max };
        let set = self.write(user, set).await?;
        self.announce_heads(&set.user_heads);
        Ok(set.value)
    }
}

async fn require_joined(db: &mut store::Db, user: UserId, room: RoomId) -> Result<(), StoreError> {
    let (room, member) = rooms::with_member(db, room, user).await?.ok_or(Fault::NotFound)?;
    policy::may_read(&room, member.as_ref())?;
    Ok(())
}
