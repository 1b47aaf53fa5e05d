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
    /// What else is one's own, by what names it.
    own: BTreeMap<String, Value>,
    /// Rooms with what is shown of them; only those one is in.
    pub rooms: BTreeMap<String, Shown>,
    /// Somebody is not blocked, perhaps not any more: notifications by them are to be read anew.
    pub lacks_notifications: bool,
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

    /// All that is one's own is told anew.
    pub fn begin_anew(&mut self) {
        self.cursor = 0;
        self.memberships.clear();
        self.own.clear();
    }

    /// Takes in `user_changes`; the rooms whose memberships came. Rooms that are to be fetched again are not known any more.
    pub fn user_changes(&mut self, changes: &Value) -> Vec<String> {
        let (from, to) = (number(&changes["from"]), number(&changes["to"]));
        if to <= self.cursor {
            return Vec::new();
        }
        if from > self.cursor {
            self.broken.push(format!("a gap in the user stream: {from} follows {}", self.cursor));
        }
        self.cursor = to;
        let mut news = Vec::new();
        for item in items(changes) {
            let (name, row) = item.as_object().and_then(|item| item.iter().next()).expect("an item has a name");
            match name.as_str() {
                "membership" => news.push(self.membership(row)),
                "relation" => {
                    let again: Vec<String> = row["rooms"].as_array().into_iter().flatten().map(text).collect();
                    self.rooms.retain(|room, _| !again.contains(room) && row["every_room"] != true);
                    news.extend(again);
                    self.relation_of_notifications(row);
                    self.keep(name, row);
                }
                "profile" => {}
                name => self.keep(name, row),
            }
        }
        news
    }

    /// Takes in a notification, from the stream or the list.
    pub fn notification(&mut self, row: &Value) {
        self.keep("notification", row);
    }

    fn relation_of_notifications(&mut self, relation: &Value) {
        self.own.retain(|key, row| !key.starts_with("notification ") || row["author"] != relation["user"]);
        self.lacks_notifications |= relation["blocked"] != true;
    }

    /// Upserts something of one's own.
    fn keep(&mut self, name: &str, row: &Value) {
        let (key, fields) = own(name, row);
        if self.own.get(&key).is_none_or(|known| number(&known["revision"]) <= number(&row["revision"])) {
            self.own.insert(key, kept(row, fields));
        }
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
        // An empty draft is none; of what was deleted nobody is notified, nor of what somebody said whom one blocks.
        let blocks =
            |author: &Value| self.own.get(&format!("relation {}", text(author))).is_some_and(|row| row["blocked"] == true);
        let by_blocked = |row: &Value| row["author"].is_string() && blocks(&row["author"]);
        let own = self.own.iter().filter(|(_, row)| row["text"] != "" && row["gone"] != true && !by_blocked(row));
        lines.extend(own.map(|(key, row)| (key.clone(), line(row))));
        for (room, shown) in &self.rooms {
            lines.extend(
                shown.rows.iter().filter(|(_, row)| is_shown(row)).map(|(key, row)| (format!("{room} {key}"), line(row))),
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
        if name == "reaction" || name == "thread" {
            return self.touch(name, row);
        }
        let (key, fields): (String, &[&str]) = match name {
            "message" => (format!("message {:06}", number(&row["seq"])), MESSAGE),
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
            self.rows.insert(key, kept(row, fields));
        }
    }

    /// Changes a message that is known as it was before.
    fn touch(&mut self, name: &str, change: &Value) {
        let Some(message) = self.rows.get_mut(&format!("message {:06}", number(&change["seq"]))) else { return };
        if number(&message["revision"]) >= number(&change["revision"]) {
            return;
        }
        message["revision"] = change["revision"].clone();
        if message["hidden"] == true {
            return;
        }
        if name == "thread" {
            message["replies"] = json!({"count": change["count"], "last": change["last"]});
            return;
        }
        let mut people = reactions(message);
        let of_emoji = people.entry(text(&change["emoji"])).or_default();
        of_emoji.retain(|user| *user != change["user"]);
        if change["on"] == true {
            of_emoji.push(change["user"].clone());
        }
        people.retain(|_, users| !users.is_empty());
        let shown: Vec<_> = people.into_iter().map(|(emoji, users)| json!({"emoji": emoji, "users": users})).collect();
        message["reactions"] = if shown.is_empty() { Value::Null } else { json!(shown) };
    }
}

/// What names a row of one's own, and what is shown of it.
fn own(name: &str, row: &Value) -> (String, &'static [&'static str]) {
    let room = || text(&row["room"]);
    match name {
        "relation" => (format!("relation {}", text(&row["user"])), &["blocked", "muted"]),
        "read_mark" => (format!("read mark {}", room()), &["seq"]),
        "draft" => (format!("draft {} {}", room(), row["thread"]), &["text", "changed_at"]),
        "notification" => {
            (format!("notification {} {:06}", room(), number(&row["seq"])), &["kind", "author", "quiet", "gone", "created_at"])
        }
        "room_preferences" => (format!("room preferences {}", room()), &["muted_until", "notify"]),
        "thread_preferences" => (format!("thread preferences {} {}", room(), row["thread"]), &["muted_until", "following"]),
        "preferences" => ("preferences".to_owned(), &["receipts", "direct", "quiet", "notify", "keywords"]),
        other => panic!("an item {other}"),
    }
}

/// A row of one's own as it is shown, under its key, whichever way it came.
pub fn own_line(name: &str, row: &Value) -> (String, String) {
    let (key, fields) = own(name, row);
    (key, line(&kept(row, fields)))
}

/// What is shown of a message.
const MESSAGE: &[&str] = &[
    "seq",
    "author",
    "client_id",
    "text",
    "created_at",
    "thread",
    "quote",
    "origin",
    "mentions",
    "edited_at",
    "deleted",
    "pinned",
    "replies",
    "reactions",
    "hidden",
];

/// Who reacted to a message, by emoji.
fn reactions(message: &Value) -> BTreeMap<String, Vec<Value>> {
    let all = message["reactions"].as_array().into_iter().flatten();
    all.map(|one| (text(&one["emoji"]), one["users"].as_array().cloned().unwrap_or_default())).collect()
}

fn kept(row: &Value, fields: &[&str]) -> Value {
    let mut kept = json!({"revision": row["revision"]});
    for field in fields {
        kept[*field] = row.get(field).cloned().unwrap_or(Value::Null);
    }
    kept
}

/// What is shown of a row: when it changed last is not, as nobody is told of what they do not see.
fn line(row: &Value) -> String {
    let mut row = row.clone();
    row.as_object_mut().expect("a row").remove("revision");
    row.to_string()
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
