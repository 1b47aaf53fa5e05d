//! What is Sue's own, as REST lists it: line by line what her clients have been told.

use super::client::Broken;
use super::model::{Known, own_line};
use super::plan::MESSAGES;
use super::play::same;
use crate::support::person::Person;
use crate::support::viewer::text;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Beginnings of the keys of what is compared.
const KINDS: [&str; 7] =
    ["draft ", "relation ", "notification ", "read mark ", "room preferences ", "thread preferences ", "preferences"];

/// Of a room, and listed only as long as one is in it.
const OF_ROOMS: [&str; 3] = ["read mark ", "room preferences ", "thread preferences "];

/// What REST lists against what a client knows.
pub async fn is_listed(sue: &Person, known: &Known) -> Result<(), Broken> {
    let listed = Listed::read(sue).await;
    let mut told = known.render();
    told.retain(|key, line| KINDS.iter().any(|kind| key.starts_with(kind)) && listed.would_have(key, line));
    same("asked REST for what is her own", &listed.lines, &told)
}

struct Listed {
    lines: BTreeMap<String, String>,
    /// Rooms she is in.
    joined: BTreeSet<String>,
    blocked: BTreeSet<String>,
    /// Threads whose preferences she may not ask for, as those of a message that is not there.
    refused: BTreeSet<String>,
}

impl Listed {
    async fn read(sue: &Person) -> Self {
        let (mut rows, mut refused) = (Vec::new(), BTreeSet::new());
        for (path, name) in [("me/drafts", "draft"), ("me/notifications", "notification"), ("me/relations", "relation")] {
            rows.extend(items(sue, path).await.into_iter().map(|row| (name, row)));
        }
        rows.push(("preferences", sue.get("me/preferences").await.ok()));
        let places = items(sue, "me/rooms").await;
        let joined: BTreeSet<String> = places.iter().map(|place| text(&place["room"]["id"])).collect();
        for place in &places {
            let room = text(&place["room"]["id"]);
            rows.push(("read_mark", json!({"room": room, "seq": place["read_seq"]})));
            rows.push(("room_preferences", sue.get(&format!("rooms/{room}/preferences")).await.ok()));
            for thread in 1..=MESSAGES {
                let answer = sue.get(&format!("rooms/{room}/threads/{thread}/preferences")).await;
                if answer.status.is_success() {
                    rows.push(("thread_preferences", answer.body));
                } else {
                    refused.insert(format!("thread preferences {room} {thread}"));
                }
            }
        }
        let is_blocked = |(name, row): &&(&str, Value)| *name == "relation" && row["blocked"] == true;
        let blocked = rows.iter().filter(is_blocked).map(|(_, row)| text(&row["user"])).collect();
        let lines = rows.iter().map(|(name, row)| own_line(name, row)).filter(|(_, line)| !is_usual(line)).collect();
        Self { lines, joined, blocked, refused }
    }

    /// Whether REST lists this, if it is so.
    fn would_have(&self, key: &str, line: &str) -> bool {
        let of_room = OF_ROOMS.iter().any(|kind| key.starts_with(kind));
        let shown = !of_room || self.joined.iter().any(|room| key.contains(room.as_str()));
        let row: Value = serde_json::from_str(line).expect("a line is JSON");
        let author = row["author"].as_str().unwrap_or_default();
        shown && !is_usual(line) && !self.refused.contains(key) && !self.blocked.contains(author)
    }
}

/// As it is where nothing was ever set: whether there is a row for it is no matter.
fn is_usual(line: &str) -> bool {
    let usual = [
        json!({"blocked": false, "muted": false}),
        json!({"seq": 0}),
        json!({"muted_until": null, "notify": "default"}),
        json!({"muted_until": null, "following": "default"}),
        json!({"receipts": true, "direct": "everyone", "quiet": null, "notify": "default", "keywords": []}),
    ];
    usual.contains(&serde_json::from_str(line).expect("a line is JSON"))
}

async fn items(sue: &Person, path: &str) -> Vec<Value> {
    let page = sue.get(&format!("{path}?limit=200")).await.ok();
    assert_eq!(page.get("next"), None, "histories are short");
    page["items"].as_array().expect("a page has items").clone()
}
