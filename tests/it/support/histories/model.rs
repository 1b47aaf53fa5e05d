//! What a client knows and shows, by the rules of docs/PROTOCOL.md §5 and §6 alone.

use crate::support::viewer::{number, text};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// All that a client keeps over its connections.
#[derive(Clone, Debug, Default)]
pub struct Known {
    pub epoch: Option<String>,
    /// How far the user stream is known.
    pub cursor: u64,
    /// By room.
    pub memberships: BTreeMap<String, Value>,
    /// Rooms with what is shown of them; only those one is in.
    pub rooms: BTreeMap<String, Shown>,
    /// Where the server broke the rules of the cursors.
    pub broken: Vec<String>,
}

/// One room, up to its cursor.
#[derive(Clone, Debug, Default)]
pub struct Shown {
    pub cursor: u64,
    rows: BTreeMap<String, Value>,
}

impl Known {
    /// Rooms one is in, as far as is known.
    pub fn joined(&self) -> impl Iterator<Item = &String> {
        self.memberships.iter().filter(|(_, membership)| membership["state"] == "joined").map(|(room, _)| room)
    }

    /// Takes in `user_changes`; the rooms whose memberships came.
    pub fn user_changes(&mut self, changes: &Value) -> Vec<String> {
        let (from, to) = (number(&changes["from"]), number(&changes["to"]));
        if to <= self.cursor {
            return Vec::new();
        }
        if from > self.cursor {
            self.broken.push(format!("a gap in the user stream: {from} follows {}", self.cursor));
        }
        self.cursor = to;
        let memberships = items(changes).filter_map(|item| item.get("membership"));
        memberships.map(|membership| self.membership(membership)).collect()
    }

    fn membership(&mut self, membership: &Value) -> String {
        let room = text(&membership["room"]["id"]);
        let known = self.memberships.get(&room).map_or(0, |known| number(&known["revision"]));
        if number(&membership["revision"]) > known {
            if membership["state"] != "joined" {
                self.rooms.remove(&room);
            }
            self.memberships.insert(room.clone(), membership.clone());
        }
        room
    }

    /// Takes in `changes`.
    pub fn changes(&mut self, changes: &Value) {
        let Some(shown) = self.rooms.get_mut(&text(&changes["room"])) else { return };
        let (from, to) = (number(&changes["from"]), number(&changes["to"]));
        if to <= shown.cursor {
            return;
        }
        if from > shown.cursor {
            self.broken.push(format!("a gap in {}: {from} follows {}", changes["room"], shown.cursor));
        }
        for item in items(changes) {
            let (name, row) = item.as_object().and_then(|item| item.iter().next()).expect("an item has a name");
            shown.put(name, row);
        }
        shown.cursor = to;
    }

    /// What is on the screen, line by line.
    pub fn render(&self) -> BTreeMap<String, String> {
        let mut lines = BTreeMap::new();
        for (room, membership) in &self.memberships {
            lines.insert(format!("membership {room}"), membership_line(membership));
        }
        for (room, shown) in &self.rooms {
            lines.extend(
                shown.rows.iter().filter(|(_, row)| is_shown(row)).map(|(key, row)| (format!("{room} {key}"), row.to_string())),
            );
        }
        lines
    }
}

impl Shown {
    /// A room fetched afresh.
    pub fn at(cursor: u64) -> Self {
        Self { cursor, rows: BTreeMap::new() }
    }

    /// Upserts a row: the one with the higher revision stays.
    pub fn put(&mut self, name: &str, row: &Value) {
        let (key, fields): (String, &[&str]) = match name {
            "message" => (format!("message {:06}", number(&row["seq"])), &["seq", "author", "client_id", "text", "created_at"]),
            "member" => (format!("member {}", text(&row["user"])), &["user", "state", "role"]),
            "notice" => {
                let key = format!("notice {:06}", number(&row["revision"]));
                (key, &["after_seq", "kind", "actor", "subject", "text", "created_at"])
            }
            "room" => ("room".to_owned(), &["kind", "name", "topic", "history", "archived", "created_by", "created_at"]),
            other => panic!("an item {other}"),
        };
        let newer = self.rows.get(&key).is_none_or(|known| number(&known["revision"]) <= number(&row["revision"]));
        if newer {
            let mut kept = json!({"revision": row["revision"]});
            for field in fields {
                kept[*field] = row.get(field).cloned().unwrap_or(Value::Null);
            }
            self.rows.insert(key, kept);
        }
    }
}

/// What a membership shows, whichever way it came.
pub fn membership_line(membership: &Value) -> String {
    json!([membership["state"], membership["role"], membership["visible_from_seq"], membership["revision"]]).to_string()
}

/// Nobody shows people who are not in the room.
fn is_shown(row: &Value) -> bool {
    row.get("state").is_none_or(|state| state == "joined" || state == "invited")
}

fn items(changes: &Value) -> impl Iterator<Item = &Value> {
    changes["items"].as_array().expect("changes have items").iter()
}
