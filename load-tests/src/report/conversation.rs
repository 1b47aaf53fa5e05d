//! What a run remembers of a conversation beside the posts: what each member did and was answered, what each knows of its rooms, and which revisions
//! reached it. Judged at the end by [`super::judge_talk`].

use super::ledger::{Ledger, at};
use super::verdict::Breach;
use crate::action::deed::Deed;
use crate::bot::deeds::End;
use crate::bot::view::View;
use crate::bot::{Heard, Place};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// One member's part in the conversation of one room.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Conversation {
    /// What it did, in its order.
    pub deeds: Vec<Done>,
    /// What it knows of the messages.
    pub view: View,
    /// Spans (from, to] of revisions that reached it.
    pub heard: Vec<(u64, u64)>,
    /// Up to where its person has read, by the user stream.
    pub read: u64,
    /// It is not in the room at the end.
    pub out: bool,
    /// Reactions it has and may take back.
    pub reacted: Vec<(u64, usize)>,
    /// How often it was told that somebody types.
    #[serde(default)]
    pub typed: u64,
}

/// A deed, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    pub deed: Deed,
    pub fate: Fate,
}

/// What is known of a deed's outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fate {
    /// It may have happened or not.
    Open,
    Done,
    Refused,
}

/// Somebody joined or left a room, as anybody was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    pub revision: u64,
    pub user: Uuid,
    pub joined: bool,
}

impl Ledger {
    /// A member is about to do something; the number of the deed.
    pub fn doing(&mut self, place: Place, deed: Deed) -> Option<usize> {
        let deeds = &mut self.conversation(place)?.deeds;
        deeds.push(Done { deed, fate: Fate::Open });
        Some(deeds.len() - 1)
    }

    /// A deed has its final answer.
    pub fn did(&mut self, place: Place, no: usize, end: End) {
        let fate = match end {
            End::Done => Fate::Done,
            End::Refused => Fate::Refused,
            End::Doubtful => Fate::Open,
        };
        if let Some(done) = self.conversation(place).and_then(|of| of.deeds.get_mut(no)) {
            done.fate = fate;
        }
    }

    /// What a member knows and did in a room.
    pub fn conversation(&mut self, place: Place) -> Option<&mut Conversation> {
        Some(&mut self.rooms.get_mut(place.room)?.members.get_mut(place.member)?.conversation)
    }

    /// A member heard something.
    pub fn heard(&mut self, place: Place, heard: Heard<'_>) {
        let known = self.rooms.get(place.room).map_or(0, |room| room.newest);
        let Some(of) = self.conversation(place) else { return };
        let (newer, what) = match heard {
            Heard::Span { from, to } => {
                match of.heard.last_mut() {
                    Some(last) if last.1 == from => last.1 = to,
                    _ => of.heard.push((from, to)),
                }
                if let Some(room) = self.rooms.get_mut(place.room) {
                    room.newest = known.max(to);
                }
                return;
            }
            Heard::Message(message) => (of.view.message(message), (message.seq, message.revision)),
            Heard::Reaction(reaction) => (of.view.reaction(reaction), (reaction.seq, reaction.revision)),
            Heard::Thread(thread) => (of.view.thread(thread), (thread.seq, thread.revision)),
            Heard::Member(member) => {
                let standing = Standing { revision: member.revision, user: member.user, joined: member.state == "joined" };
                return self.stands(place.room, standing);
            }
            Heard::Forget { revision } => return of.view.forget(revision),
            Heard::ReadMark(seq) => {
                let before = of.read;
                of.read = before.max(seq);
                if seq < before {
                    self.findings.add(Breach::Reordered, || format!("{}: the read mark fell from {before} to {seq}", at(place)));
                }
                return;
            }
            Heard::Typing => return of.typed += 1,
            Heard::Shown { user, what, revision } => {
                return self
                    .findings
                    .add(Breach::Shown, || format!("{}: a {what} (revision {revision}) of {user}, whom it blocks", at(place)));
            }
            Heard::Overheard { to } => {
                return self
                    .findings
                    .add(Breach::Overheard, || format!("{}: revision {to} came after the end of its membership", at(place)));
            }
        };
        if !newer {
            let (seq, revision) = what;
            self.findings.add(Breach::Duplicated, || {
                format!("{}: seq {seq} came at revision {revision}, known as new or newer", at(place))
            });
        }
    }

    fn stands(&mut self, room: usize, standing: Standing) {
        let Some(room) = self.rooms.get_mut(room) else { return };
        if !room.standings.contains(&standing) {
            room.standings.push(standing);
        }
    }
}
