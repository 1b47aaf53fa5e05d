//! A committed change of a room on its way to everybody subscribed.
//!
//! Purpose: carry the change and its one encoding, and say what a relay must know of it without looking inside: which revisions, the
//! lowest message it shows, whose membership it ends. Neighbours: rooms make envelopes, relays append their frames.
//! Invariant: the shared frame is encoded at most once, on the first thread that needs it. Must not know: who is subscribed.

use super::frame;
use crate::domain::fault::Fault;
use crate::domain::ids::{RoomId, UserId};
use crate::domain::member::{Member, MemberState};
use crate::domain::message::{Changes, Item};
use crate::domain::order::{Revision, Seq};
use crate::policy::{Hidden, Sight, seen_item};
use crate::protocol::v1::push::Push;
use bytes::Bytes;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// Consecutive revisions of a room with their shared encoding.
#[derive(Debug)]
pub struct Envelope {
    changes: Changes,
    /// The lowest message it is about: whoever may see from there on gets the shared frame.
    lowest: Option<Seq>,
    endings: Vec<Ending>,
    /// Whose words and reactions it holds, sorted: whoever hides none of them gets the shared frame.
    people: Vec<UserId>,
    /// Frames for those who hide some of these people, by whom they hide.
    stubs: Mutex<Vec<(Vec<UserId>, Bytes)>>,
    frame: OnceLock<Bytes>,
    made_at: Instant,
}

/// A person's subscriptions that end with an envelope (I10).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ending {
    /// Whose.
    pub user: UserId,
    /// Subscriptions whose membership began here or later go on: they belong to a new joining. `None`: all end.
    pub joined: Option<Revision>,
    /// What they are told.
    pub fault: Fault,
    /// Whether what the envelope shows may still be shown to them: only if the end of the membership is all it holds.
    pub shown: bool,
}

impl Envelope {
    /// An envelope around `changes`.
    #[must_use]
    pub fn new(changes: Changes) -> Self {
        let lowest = changes.items.iter().filter_map(Item::seq).min();
        let single = changes.from.next() == changes.to;
        let endings = changes.items.iter().filter_map(|item| ending(item, single)).collect();
        let mut people: Vec<UserId> = changes.items.iter().flat_map(Item::people).collect();
        people.sort_unstable();
        people.dedup();
        let (frame, stubs) = (OnceLock::new(), Mutex::default());
        Self { changes, lowest, endings, people, stubs, frame, made_at: Instant::now() }
    }

    /// Which room.
    #[must_use]
    pub fn room(&self) -> RoomId {
        self.changes.room
    }

    /// The revision before the first one covered.
    #[must_use]
    pub fn from(&self) -> Revision {
        self.changes.from
    }

    /// The last revision covered.
    #[must_use]
    pub fn to(&self) -> Revision {
        self.changes.to
    }

    /// How long ago it was made, which is right after the commit or, for what was missing, after the read.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.made_at.elapsed()
    }

    /// What changed.
    #[must_use]
    pub fn changes(&self) -> &Changes {
        &self.changes
    }

    /// Whose membership ends, or began anew, in it.
    #[must_use]
    pub fn endings(&self) -> &[Ending] {
        &self.endings
    }

    /// Whose words and reactions it holds.
    #[must_use]
    pub fn people(&self) -> &[UserId] {
        &self.people
    }

    /// Whether somebody who sees so much, and not these people, may see all of it.
    #[must_use]
    pub fn is_open_to(&self, sight: Sight, hidden: &Hidden) -> bool {
        self.is_open_from(sight) && (hidden.is_nobody() || hidden.among(&self.people).next().is_none())
    }

    fn is_open_from(&self, sight: Sight) -> bool {
        // One that fills a gap may reach further back than the person is there.
        self.lowest.is_none_or(|lowest| lowest >= sight.from_seq) && self.from().next() >= sight.first_line()
    }

    /// The frame everybody shares who may see all of it.
    #[must_use]
    pub fn frame(&self) -> Bytes {
        self.frame.get_or_init(|| frame::text(&Push::Changes((&self.changes).into()))).clone()
    }

    /// The frame for somebody who sees so much, and not these people: the same revisions, without the messages and lines before,
    /// and with a stub for what has these people's words. It is shared by all who hide the same of them.
    #[must_use]
    pub fn frame_for(&self, sight: Sight, hidden: &Hidden) -> Bytes {
        if self.is_open_to(sight, hidden) {
            return self.frame();
        }
        if !self.is_open_from(sight) {
            return self.encode_for(sight, hidden);
        }
        let whom: Vec<UserId> = hidden.among(&self.people).collect();
        let mut stubs = self.stubs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, frame)) = stubs.iter().find(|(known, _)| *known == whom) {
            return frame.clone();
        }
        let frame = self.encode_for(sight, hidden);
        stubs.push((whom, frame.clone()));
        frame
    }

    fn encode_for(&self, sight: Sight, hidden: &Hidden) -> Bytes {
        let seen = |item: &&Item| match item {
            Item::Notice(line) => line.revision >= sight.first_line(),
            item => item.seq().is_none_or(|seq| seq >= sight.from_seq),
        };
        let items = self.changes.items.iter().filter(seen).cloned();
        let items = items.filter_map(|item| seen_item(item, hidden)).collect();
        frame::text(&Push::Changes((&Changes { items, ..self.changes_without_items() }).into()))
    }

    fn changes_without_items(&self) -> Changes {
        Changes { room: self.changes.room, from: self.changes.from, to: self.changes.to, items: Vec::new() }
    }
}

/// What a member's row says of their subscriptions. A row that says *joined* may hide a leaving before it (only the newest state of a
/// row travels), so an older joining ends too.
fn ending(item: &Item, single: bool) -> Option<Ending> {
    let Item::Member(Member { user, state, joined_revision, .. }) = item else {
        return None;
    };
    let (joined, fault) = match state {
        MemberState::Joined => (Some(*joined_revision), Fault::NotMember),
        MemberState::Banned => (None, Fault::Banned),
        MemberState::Left | MemberState::Invited => (None, Fault::NotMember),
    };
    Some(Ending { user: *user, joined, fault, shown: single && joined.is_none() })
}
