//! What Ann does about Bob, or he about her: the columns.

use super::cell::Cell;
use crate::support::eventually;
use crate::support::person::Person;
use crate::support::socket::Socket;
use serde_json::{Value, json};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// What is seen otherwise.
    Nothing,
    Block,
    /// Takes it back.
    Unblock,
    BlockedBy,
    Mute,
    MuteRoom,
    MuteThread,
    Silence,
    Kick,
    Ban,
    SlowMode,
    ReadOnly,
}

impl Deed {
    pub const ALL: &[Self] = &[
        Self::Nothing,
        Self::Block,
        Self::Unblock,
        Self::BlockedBy,
        Self::Mute,
        Self::MuteRoom,
        Self::MuteThread,
        Self::Silence,
        Self::Kick,
        Self::Ban,
        Self::SlowMode,
        Self::ReadOnly,
    ];

    /// The head of its column.
    pub fn text(self) -> &'static str {
        match self {
            Self::Nothing => "otherwise",
            Self::Block => "Ann blocks Bob",
            Self::Unblock => "Ann has unblocked Bob",
            Self::BlockedBy => "Bob blocks Ann",
            Self::Mute => "Ann mutes Bob",
            Self::MuteRoom => "Ann mutes the room",
            Self::MuteThread => "Ann mutes her thread",
            Self::Silence => "Bob is silenced",
            Self::Kick => "Bob is kicked",
            Self::Ban => "Bob is banned",
            Self::SlowMode => "slow mode",
            Self::ReadOnly => "read-only",
        }
    }

    /// What has been so for a while when the deed is done, and so is what everybody sees before it.
    pub async fn prepare(self, cell: &Cell<'_>) {
        if self == Self::Unblock {
            Self::Block.commit(cell).await;
        }
    }

    pub async fn commit(self, cell: &Cell<'_>) {
        let Cell { ann, bob, room, .. } = cell;
        let (room, forever) = (format!("rooms/{room}"), json!({"muted_until": "forever"}));
        match self {
            Self::Nothing => return,
            Self::Block => ann.put(&format!("me/blocks/{}", bob.id), json!({})).await,
            Self::Unblock => ann.delete(&format!("me/blocks/{}", bob.id)).await,
            Self::BlockedBy => bob.put(&format!("me/blocks/{}", ann.id), json!({})).await,
            Self::Mute => ann.put(&format!("me/mutes/{}", bob.id), json!({})).await,
            Self::MuteRoom => ann.put(&format!("{room}/preferences"), forever).await,
            Self::MuteThread => ann.put(&format!("{room}/threads/1/preferences"), forever).await,
            Self::Silence => {
                let until = hubbub::domain::time::Clock::system().now() + chrono::TimeDelta::hours(1);
                ann.put(&format!("{room}/silences/{}", bob.id), json!({ "until": until })).await
            }
            Self::Kick => ann.delete(&format!("{room}/members/{}", bob.id)).await,
            Self::Ban => ann.put(&format!("{room}/bans/{}", bob.id), json!({})).await,
            Self::SlowMode => {
                ann.patch(&room, json!({"slow_mode_s": 3600})).await.ok();
                // Who has written since must wait.
                bob.say_as(&cell.room, "just now", &uuid::Uuid::now_v7().to_string()).await
            }
            Self::ReadOnly => ann.patch(&room, json!({"posting": "moderator"})).await,
        }
        .ok();
        if self.blocks().is_some() {
            everywhere(cell, self == Self::Unblock).await;
        }
    }

    /// Who is told of a block: whether it is Ann, else Bob, and whether it holds now.
    const fn blocks(self) -> Option<(bool, bool)> {
        match self {
            Self::Block => Some((true, true)),
            Self::Unblock => Some((true, false)),
            Self::BlockedBy => Some((false, true)),
            _ => None,
        }
    }

    /// Waits until this connection of `whose` has been told of the deed, if it is told of a block: from there on that holds for it.
    pub async fn is_told(self, cell: &Cell<'_>, whose: &Person, socket: &mut Socket) {
        let Some((is_anns, blocked)) = self.blocks() else { return };
        let who = if is_anns { &cell.ann } else { &cell.bob };
        if who.id != whose.id {
            return;
        }
        let told = |item: &Value| item["relation"]["blocked"] == blocked;
        while !socket.push("user_changes").await["items"].as_array().expect("items").iter().any(told) {}
    }
}

/// Waits until each of the two sees the other's presence, or does no more: then every session knows.
async fn everywhere(cell: &Cell<'_>, seen: bool) {
    for (who, other) in [(&cell.ann, &cell.bob), (&cell.bob, &cell.ann)] {
        eventually("the block, everywhere", || async {
            let shown = who.get(&format!("presence?users={}", other.id)).await.ok();
            ((shown["users"] != json!([])) == seen).then_some(())
        })
        .await;
    }
}
