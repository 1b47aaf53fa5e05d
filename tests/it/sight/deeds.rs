//! What Ann does about Bob, or he about her: the columns.

use super::cell::Cell;
use crate::support::eventually;
use serde_json::json;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// What is seen otherwise.
    Nothing,
    Block,
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

    pub async fn commit(self, cell: &Cell<'_>) {
        let Cell { ann, bob, room, .. } = cell;
        let (room, forever) = (format!("rooms/{room}"), json!({"muted_until": "forever"}));
        match self {
            Self::Nothing => return,
            Self::Block => ann.put(&format!("me/blocks/{}", bob.id), json!({})).await,
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
        if matches!(self, Self::Block | Self::BlockedBy) {
            // Each of the two sees the other's presence no more: then every session knows.
            for (who, other) in [(ann, bob), (bob, ann)] {
                eventually("the block, everywhere", || async {
                    let shown = who.get(&format!("presence?users={}", other.id)).await.ok();
                    (shown["users"] == json!([])).then_some(())
                })
                .await;
            }
        }
    }
}
