//! A change of a message: decided and carried out under its room's lock (I10), with one revision for all that it touches.
//!
//! *Invariants.* What belongs to a message changes under its row's revision, so resuming finds it by that alone (I7). Nothing of a deleted
//! text is left: not in earlier versions, reactions, mentions or pins.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use super::beside::{EVERYBODY, mention_rows};
use super::whole::{mentions_column, whole};
use crate::config::Conversation;
use crate::domain::audit::{AuditAction, AuditEntry};
use crate::domain::emoji::Emoji;
use crate::domain::fault::Fault;
use crate::domain::ids::{RoomId, UserId};
use crate::domain::message::{
    Changes, Item, Mentions, Message, MessageChange, Notice, NoticeKind, Reaction, ReactionChange, Thread, ThreadChange,
};
use crate::domain::order::{Revision, Seq};
use crate::domain::report::ReportTarget;
use crate::domain::room::Room;
use crate::domain::text::Reason;
use crate::domain::time::Timestamp;
use crate::domain::user::Actor;
use crate::policy::{self, ChangeWindows, MessageStanding};
use crate::store::audit;
use crate::store::backend::Db;
use crate::store::columns::{Id, at, int, number};
use crate::store::error::StoreError;
use crate::store::notifications::queue;
use crate::store::operation::{Operation, Reply};
use crate::store::reports;
use crate::store::rooms::{Changed, lock_room, members_of, within};
use crate::store::rows::{NoticeRow, WHOLE_MESSAGE, WholeMessageRow};
use crate::store::schema::{edits, mentions, messages, notices, pins, reactions, rooms};

/// How much may belong to a message, and until when it may change.
#[derive(Clone, Copy, Debug)]
pub struct MessageLimits {
    /// Until when.
    pub windows: ChangeWindows,
    /// Reactions of all people to one message.
    pub reactions_per_message: usize,
    /// Different emoji under one message.
    pub emoji_per_message: usize,
    /// Pinned messages of a room.
    pub pins_per_room: usize,
    /// Earlier texts of a message that are kept, the newest ones.
    pub edits_kept: usize,
}

impl From<&Conversation> for MessageLimits {
    fn from(settings: &Conversation) -> Self {
        let windows = ChangeWindows {
            edit: settings.edit_within,
            edit_by_moderator: settings.edit_within_moderator,
            delete: settings.delete_within,
        };
        Self {
            windows,
            reactions_per_message: settings.reactions_per_message,
            emoji_per_message: settings.emoji_per_message,
            pins_per_room: settings.pins_per_room,
            edits_kept: settings.edits_kept,
        }
    }
}

/// Asks a change of a message.
#[derive(Clone, Debug)]
pub struct ChangeMessage {
    /// Who asks.
    pub actor: Actor,
    /// In which room.
    pub room: RoomId,
    /// Of which message.
    pub seq: Seq,
    /// What.
    pub change: MessageChange,
    /// The present time.
    pub now: Timestamp,
    /// How much there may be.
    pub limits: MessageLimits,
}

/// What became of a [`ChangeMessage`].
#[derive(Clone, Debug)]
pub enum MessageChanged {
    /// It is so now, or was so before.
    Done(Box<Changed>),
    /// The room's filters have changed since they were asked about the new text: nothing was stored; ask them again.
    StaleFilters,
}

impl Operation for ChangeMessage {
    type Output = MessageChanged;
    const NAME: &'static str = "change_message";

    fn run<'a>(&'a self, db: &'a mut Db) -> Reply<'a, MessageChanged> {
        Box::pin(self.decide(db))
    }
}

impl ChangeMessage {
    async fn decide(&self, db: &mut Db) -> Result<MessageChanged, StoreError> {
        let mut room = lock_room(db, self.room).await?.ok_or(Fault::NotFound)?;
        let actor = members_of(db, self.room, &[self.actor.user]).await?.pop();
        // Before it is said whether there is such a message.
        policy::may_read(&room, actor.as_ref())?;
        let message = self.read(db, self.seq).await?.ok_or(Fault::NotFound)?;
        let standing = MessageStanding {
            room: &room,
            actor: actor.as_ref(),
            admin: self.actor.admin,
            message: &message,
            now: self.now,
            windows: self.limits.windows,
        };
        let decided = policy::decide_message(&standing, &self.change);
        if decided != Ok(false) && self.is_stale(&room) {
            return Ok(MessageChanged::StaleFilters);
        }
        if !decided? {
            return Ok(MessageChanged::Done(Box::new(Changed { room, changes: None, user_heads: Vec::new() })));
        }
        let from = room.head;
        room.head = room.head.next();
        let items = self.carry_out(db, &room, &message).await?;
        let head = rooms::head.eq(int(room.head.0));
        each!(db, |c| diesel::update(rooms::table.find(Id::from(self.room))).set(head).execute(c).await)?;
        let changes = Changes { room: self.room, from, to: room.head, items };
        Ok(MessageChanged::Done(Box::new(Changed { room, changes: Some(changes), user_heads: Vec::new() })))
    }

    /// What the filters say counts only for as long as they are the same (I10).
    fn is_stale(&self, room: &Room) -> bool {
        matches!(&self.change, MessageChange::Edit { findings, .. } if findings.filters_revision != room.filters_revision)
    }

    async fn carry_out(&self, db: &mut Db, room: &Room, message: &Message) -> Result<Vec<Item>, StoreError> {
        match &self.change {
            MessageChange::Edit { text, mentions, findings } => {
                self.edit(db, room.head, message, text.as_str(), mentions).await?;
                if let Some(suspicion) = &findings.suspicion {
                    let target = ReportTarget::Message { room: self.room, seq: self.seq };
                    reports::by_server(db, target, suspicion, self.now).await?;
                }
                Ok(vec![self.item(db).await?])
            }
            MessageChange::Delete { reason } => {
                let shrunk = self.delete(db, room.head, message).await?;
                if message.author != self.actor.user {
                    let deed = AuditEntry::new(self.now, Some(self.actor.user), AuditAction::MessageDeleted);
                    let deed = deed.in_room(self.room).to(message.author).message(self.seq);
                    audit::write(db, &deed.because(reason.as_ref().map(Reason::as_str))).await?;
                }
                Ok([self.item(db).await?].into_iter().chain(shrunk.map(Item::Thread)).collect())
            }
            MessageChange::React(emoji) => self.react(db, room.head, message, *emoji).await.map(|item| vec![item]),
            MessageChange::Unreact(emoji) => self.unreact(db, room.head, *emoji).await.map(|item| vec![item]),
            MessageChange::Pin => {
                let line = self.pin(db, room).await?;
                Ok(vec![self.item(db).await?, Item::Notice(line)])
            }
            MessageChange::Unpin => {
                self.unpin(db, room.head).await?;
                Ok(vec![self.item(db).await?])
            }
        }
    }

    async fn item(&self, db: &mut Db) -> Result<Item, StoreError> {
        let message = self.read(db, self.seq).await?;
        message.map(Item::Message).ok_or_else(|| StoreError::Internal("a locked message is gone".to_owned()))
    }

    async fn read(&self, db: &mut Db, seq: Seq) -> Result<Option<Message>, StoreError> {
        let query = messages::table.find((Id::from(self.room), int(seq.0))).select(WHOLE_MESSAGE);
        let row: Option<WholeMessageRow> = each!(db, |c| query.first(c).await.optional())?;
        Ok(whole(db, self.room, row.into_iter().collect()).await?.pop())
    }

    async fn edit(
        &self,
        db: &mut Db,
        revision: Revision,
        message: &Message,
        text: &str,
        mentioned: &Mentions,
    ) -> Result<(), StoreError> {
        let (room, seq) = self.key();
        let written_at = message.more.as_ref().and_then(|more| more.edited_at).unwrap_or(message.created_at);
        let before = (
            edits::room.eq(room),
            edits::seq.eq(seq),
            edits::revision.eq(int(message.revision.0)),
            edits::body.eq(&message.text),
            edits::written_at.eq(at(written_at)),
            edits::replaced_at.eq(at(self.now)),
        );
        each!(db, |c| diesel::insert_into(edits::table).values(before).execute(c).await)?;
        self.forget_oldest_edits(db).await?;
        let new = (
            messages::body.eq(text),
            messages::mentions.eq(mentions_column(mentioned)),
            messages::edited_at.eq(at(self.now)),
            messages::revision.eq(int(revision.0)),
        );
        each!(db, |c| diesel::update(messages::table.find((room, seq))).set(new).execute(c).await)?;
        self.mention_anew(db, message, mentioned).await
    }

    /// Whoever was online when the message was said stays mentioned while it mentions who is online: an edit notifies nobody, so nobody asks
    /// again who that is.
    async fn mention_anew(&self, db: &mut Db, message: &Message, mentioned: &Mentions) -> Result<(), StoreError> {
        let (room, seq) = self.key();
        let before = message.details().map(|details| &details.mentions);
        match before.filter(|before| before.online && mentioned.online) {
            Some(before) => {
                let named = before.users.iter().chain(&mentioned.users).copied().map(Id::from).chain([EVERYBODY]);
                let of_message = mentions::table.filter(mentions::room.eq(room)).filter(mentions::seq.eq(seq));
                let by_name = of_message.filter(mentions::user.eq_any(named.collect::<Vec<_>>()));
                each!(db, |c| diesel::delete(by_name).execute(c).await)?;
            }
            None => self.forget_mentions(db).await?,
        }
        let rows = mention_rows((room, seq, message.author.into()), mentioned);
        if !rows.is_empty() {
            batch!(db, diesel::insert_into(mentions::table).values(rows))?;
        }
        Ok(())
    }

    async fn forget_oldest_edits(&self, db: &mut Db) -> Result<(), StoreError> {
        let (room, seq) = self.key();
        let of_message = edits::table.filter(edits::room.eq(room)).filter(edits::seq.eq(seq));
        let kept = i64::try_from(self.limits.edits_kept).unwrap_or(i64::MAX);
        let query = of_message.order(edits::revision.desc()).offset(kept).limit(1).select(edits::revision);
        let too_old: Option<i64> = each!(db, |c| query.first(c).await.optional())?;
        if let Some(revision) = too_old {
            let old = of_message.filter(edits::revision.le(revision));
            each!(db, |c| diesel::delete(old).execute(c).await)?;
        }
        Ok(())
    }

    async fn forget_mentions(&self, db: &mut Db) -> Result<(), StoreError> {
        let (room, seq) = self.key();
        let of_message = mentions::table.filter(mentions::room.eq(room)).filter(mentions::seq.eq(seq));
        each!(db, |c| diesel::delete(of_message).execute(c).await)?;
        Ok(())
    }

    /// Leaves the number, the author and the place in a thread. The thread it was said in, if that has shrunk.
    async fn delete(&self, db: &mut Db, revision: Revision, message: &Message) -> Result<Option<ThreadChange>, StoreError> {
        let (room, seq) = self.key();
        let gone = (
            (
                messages::body.eq(""),
                messages::quote.eq(None::<i64>),
                messages::origin_room.eq(None::<Id>),
                messages::origin_seq.eq(None::<i64>),
                messages::origin_author.eq(None::<Id>),
                messages::mentions.eq(None::<Vec<u8>>),
            ),
            (
                messages::edited_at.eq(None::<chrono::NaiveDateTime>),
                messages::deleted_at.eq(at(self.now)),
                messages::deleted_by.eq(Id::from(self.actor.user)),
                messages::pinned_at.eq(None::<chrono::NaiveDateTime>),
                messages::pinned_by.eq(None::<Id>),
                messages::reaction_count.eq(0),
                messages::revision.eq(int(revision.0)),
            ),
        );
        each!(db, |c| diesel::update(messages::table.find((room, seq))).set(gone).execute(c).await)?;
        self.forget_mentions(db).await?;
        let old = edits::table.filter(edits::room.eq(room)).filter(edits::seq.eq(seq));
        each!(db, |c| diesel::delete(old).execute(c).await)?;
        let old = reactions::table.filter(reactions::room.eq(room)).filter(reactions::seq.eq(seq));
        each!(db, |c| diesel::delete(old).execute(c).await)?;
        each!(db, |c| diesel::delete(pins::table.find((room, seq))).execute(c).await)?;
        // Who was notified of it is told that it is gone, behind this.
        queue::add_again(db, self.room, self.seq, self.now).await?;
        match message.details().and_then(|details| details.thread) {
            None => Ok(None),
            Some(thread) => self.shrink(db, revision, thread).await,
        }
    }

    async fn shrink(&self, db: &mut Db, revision: Revision, thread: Seq) -> Result<Option<ThreadChange>, StoreError> {
        let first = messages::table.find((Id::from(self.room), int(thread.0)));
        let query = first.select((messages::reply_count, messages::last_reply));
        let found: Option<(i64, Option<i64>)> = each!(db, |c| query.first(c).await.optional())?;
        let Some((count, Some(last))) = found else { return Ok(None) };
        let count = (count - 1).max(0);
        let shrunk = (messages::reply_count.eq(count), messages::revision.eq(int(revision.0)));
        each!(db, |c| diesel::update(first).set(shrunk).execute(c).await)?;
        let thread_now = Thread { count: number(count)?, last: crate::store::columns::seq(last)? };
        Ok(Some(ThreadChange { seq: thread, revision, thread: thread_now }))
    }

    async fn react(&self, db: &mut Db, revision: Revision, message: &Message, emoji: Emoji) -> Result<Item, StoreError> {
        let there: &[Reaction] = message.more.as_deref().map_or(&[], |more| &more.reactions);
        let mut kinds: Vec<Emoji> = there.iter().map(|reaction| reaction.emoji).collect();
        kinds.sort_unstable();
        kinds.dedup();
        within(there.len() as u64, self.limits.reactions_per_message)?;
        if !kinds.contains(&emoji) {
            within(kinds.len() as u64, self.limits.emoji_per_message)?;
        }
        let (room, seq) = self.key();
        let row = (
            reactions::room.eq(room),
            reactions::seq.eq(seq),
            reactions::emoji.eq(emoji.as_str()),
            reactions::user.eq(Id::from(self.actor.user)),
            reactions::revision.eq(int(revision.0)),
        );
        each!(db, |c| diesel::insert_into(reactions::table).values(row).execute(c).await)?;
        let more = (messages::reaction_count.eq(messages::reaction_count + 1), messages::revision.eq(int(revision.0)));
        each!(db, |c| diesel::update(messages::table.find((room, seq))).set(more).execute(c).await)?;
        Ok(self.reaction(revision, emoji, true))
    }

    async fn unreact(&self, db: &mut Db, revision: Revision, emoji: Emoji) -> Result<Item, StoreError> {
        let (room, seq) = self.key();
        let row = reactions::table.find((room, seq, emoji.as_str(), Id::from(self.actor.user)));
        each!(db, |c| diesel::delete(row).execute(c).await)?;
        let fewer = (messages::reaction_count.eq(messages::reaction_count - 1), messages::revision.eq(int(revision.0)));
        each!(db, |c| diesel::update(messages::table.find((room, seq))).set(fewer).execute(c).await)?;
        Ok(self.reaction(revision, emoji, false))
    }

    fn reaction(&self, revision: Revision, emoji: Emoji, on: bool) -> Item {
        let reaction = Reaction { emoji, user: self.actor.user };
        Item::Reaction(ReactionChange { seq: self.seq, revision, reaction, on })
    }

    async fn pin(&self, db: &mut Db, room: &Room) -> Result<Notice, StoreError> {
        let (id, seq) = self.key();
        let query = pins::table.filter(pins::room.eq(id)).count();
        let pinned: i64 = each!(db, |c| query.get_result(c).await)?;
        within(number(pinned)?, self.limits.pins_per_room)?;
        let row = (pins::room.eq(id), pins::seq.eq(seq));
        each!(db, |c| diesel::insert_into(pins::table).values(row).execute(c).await)?;
        self.mark_pinned(db, room.head, Some((self.now, self.actor.user))).await?;
        let line = Notice {
            room: self.room,
            revision: room.head,
            after_seq: room.last_seq,
            kind: NoticeKind::Pinned,
            actor: self.actor.user,
            subject: None,
            text: Some(self.seq.to_string()),
            created_at: self.now,
        };
        let row = NoticeRow::from(&line);
        each!(db, |c| diesel::insert_into(notices::table).values(row).execute(c).await)?;
        Ok(line)
    }

    async fn unpin(&self, db: &mut Db, revision: Revision) -> Result<(), StoreError> {
        each!(db, |c| diesel::delete(pins::table.find(self.key())).execute(c).await)?;
        self.mark_pinned(db, revision, None).await
    }

    async fn mark_pinned(&self, db: &mut Db, revision: Revision, pinned: Option<(Timestamp, UserId)>) -> Result<(), StoreError> {
        let mark = (
            messages::pinned_at.eq(pinned.map(|(when, _)| at(when))),
            messages::pinned_by.eq(pinned.map(|(_, by)| Id::from(by))),
            messages::revision.eq(int(revision.0)),
        );
        each!(db, |c| diesel::update(messages::table.find(self.key())).set(mark).execute(c).await)?;
        Ok(())
    }

    fn key(&self) -> (Id, i64) {
        (self.room.into(), int(self.seq.0))
    }
}
