//! What a member knows of a room's messages by what came, as docs/PROTOCOL.md §5 tells a client to keep it: the newest state of each. Pure.

use super::wire::{self, Message};
use crate::action::text::{Stamp, edit_of};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use uuid::Uuid;

/// What a message says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Words {
    /// Nothing: it was deleted.
    Gone,
    /// The `n`-th post of `sender` after its `edit`-th edit (0: as it was posted), in `run`.
    Said { run: u32, sender: u32, n: u32, edit: u32 },
    /// What no swarm wrote; a fingerprint.
    Other(u64),
}

/// A message with all that belongs to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Face {
    pub author: Uuid,
    pub client_id: Uuid,
    pub created_at: String,
    pub words: Words,
    pub thread: Option<u64>,
    pub deleted: bool,
    pub pinned: bool,
    /// How many replies, and which is the newest.
    pub replies: Option<(u64, u64)>,
    pub reactions: BTreeSet<(String, Uuid)>,
}

/// How a message looks to somebody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Look {
    /// It is there, and no more.
    Hidden,
    Shown(Face),
}

/// The newest that came of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    pub revision: u64,
    /// Absent: only that something changed under it.
    pub look: Option<Look>,
}

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    pub rows: HashMap<u64, Known>,
    /// Nothing is known of what was last changed at this revision or before, save what came again since.
    pub since: u64,
}

impl Look {
    /// How a whole message looks.
    pub fn of(message: &Message<'_>) -> Self {
        if message.hidden {
            return Self::Hidden;
        }
        let words = match Stamp::read(message.text.as_bytes()) {
            _ if message.text.is_empty() => Words::Gone,
            Some(Stamp { run, sender, n, .. }) => Words::Said { run, sender, n, edit: edit_of(message.text.as_bytes()) },
            None => {
                let mut hasher = DefaultHasher::new();
                message.text.hash(&mut hasher);
                Words::Other(hasher.finish())
            }
        };
        let people = message.reactions.iter().flat_map(|all| all.users.iter().map(|user| (all.emoji.clone(), *user)));
        Self::Shown(Face {
            author: message.author,
            client_id: message.client_id,
            created_at: message.created_at.clone().into_owned(),
            words,
            thread: message.thread,
            deleted: message.deleted.is_some(),
            pinned: message.pinned.is_some(),
            replies: message.replies.map(|replies| (replies.count, replies.last)),
            reactions: people.collect(),
        })
    }

    /// What is seen of it.
    pub fn face(&self) -> Option<&Face> {
        match self {
            Self::Shown(face) => Some(face),
            Self::Hidden => None,
        }
    }
}

impl View {
    /// A whole message came; false if that is not newer than what is known.
    pub fn message(&mut self, message: &Message<'_>) -> bool {
        let known = Known { revision: message.revision, look: Some(Look::of(message)) };
        let newer = self.is_newer(message.seq, message.revision);
        if newer {
            self.rows.insert(message.seq, known);
        }
        newer
    }

    /// A reaction came or went.
    pub fn reaction(&mut self, change: &wire::Reaction<'_>) -> bool {
        let at = (change.emoji.clone().into_owned(), change.user);
        self.touch(change.seq, change.revision, |face| {
            if change.on {
                face.reactions.insert(at);
            } else {
                face.reactions.remove(&at);
            }
        })
    }

    /// A thread has grown or shrunk.
    pub fn thread(&mut self, change: &wire::Thread) -> bool {
        self.touch(change.seq, change.revision, |face| face.replies = Some((change.count, change.last)))
    }

    /// Everything known is void, up to `revision`.
    pub fn forget(&mut self, revision: u64) {
        self.rows.clear();
        self.since = revision;
    }

    fn is_newer(&self, seq: u64, revision: u64) -> bool {
        self.rows.get(&seq).is_none_or(|known| known.revision < revision)
    }

    fn touch(&mut self, seq: u64, revision: u64, change: impl FnOnce(&mut Face)) -> bool {
        if !self.is_newer(seq, revision) {
            return false;
        }
        let known = self.rows.entry(seq).or_insert(Known { revision, look: None });
        known.revision = revision;
        if let Some(Look::Shown(face)) = &mut known.look {
            change(face);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(seq: u64, revision: u64, text: &str) -> Message<'_> {
        let (id, created_at) = (Uuid::nil(), "".into());
        Message {
            seq,
            revision,
            hidden: false,
            author: id,
            client_id: id,
            text: text.into(),
            created_at,
            thread: None,
            deleted: None,
            pinned: None,
            replies: None,
            reactions: Vec::new(),
        }
    }

    fn reaction(seq: u64, revision: u64, on: bool) -> wire::Reaction<'static> {
        wire::Reaction { seq, revision, emoji: "👍".into(), user: Uuid::nil(), on }
    }

    #[test]
    fn the_newest_state_stays_and_what_belongs_to_it_changes_it() {
        let mut view = View::default();
        assert!(view.message(&message(1, 5, "a")) && !view.message(&message(1, 5, "b")) && !view.message(&message(1, 4, "b")));
        assert!(view.reaction(&reaction(1, 6, true)) && !view.reaction(&reaction(1, 6, false)));
        assert!(view.thread(&wire::Thread { seq: 1, revision: 8, count: 2, last: 9 }));
        let Some(Look::Shown(face)) = &view.rows[&1].look else { panic!("shown") };
        assert_eq!((face.reactions.len(), face.replies, view.rows[&1].revision), (1, Some((2, 9)), 8));
        view.reaction(&reaction(1, 9, false));
        assert!(view.rows[&1].look.as_ref().unwrap().face().unwrap().reactions.is_empty());
    }

    #[test]
    fn what_changes_under_an_unknown_message_is_only_noted() {
        let mut view = View::default();
        assert!(view.reaction(&reaction(3, 6, true)));
        assert_eq!(view.rows[&3], Known { revision: 6, look: None });
        view.forget(7);
        assert!(view.rows.is_empty() && view.since == 7);
    }

    #[test]
    fn a_stub_shows_nothing() {
        let stub: Message<'_> = serde_json::from_str(r#"{"seq":13,"revision":34,"hidden":true}"#).unwrap();
        assert_eq!(Look::of(&stub), Look::Hidden);
        assert_eq!(Look::of(&stub).face(), None);
    }
}
