//! A client that keeps its cursor as docs/PROTOCOL.md §6 says, and everything it was shown of one room.

use super::person::Person;
use super::socket::{Next, Socket};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// One person's view of one room.
pub struct Viewer {
    pub socket: Socket,
    pub room: String,
    pub epoch: String,
    /// Everything up to this revision is known.
    pub cursor: u64,
    /// The newest state of each row, by what names it.
    pub rows: BTreeMap<String, Value>,
    /// Messages in the order they came.
    pub came: Vec<Value>,
    /// Where the server broke the rules of the cursor.
    pub broken: Vec<String>,
}

impl Viewer {
    /// Begins with the room as it is now.
    pub async fn fresh(person: &Person, room: &str) -> Self {
        let (socket, welcome) = person.connect_with(json!({"rooms": [{"room": room}]})).await;
        let start = &welcome["rooms"][0];
        assert_eq!(start["status"], "reset", "{welcome}");
        Self {
            socket,
            room: room.to_owned(),
            epoch: text(&welcome["epoch"]),
            cursor: number(&start["head"]),
            rows: BTreeMap::new(),
            came: Vec::new(),
            broken: Vec::new(),
        }
    }

    /// Comes back over a new connection with what is known; how the server says it goes on.
    pub async fn resume(&mut self, person: &Person) -> Value {
        let hello = json!({"epoch": self.epoch, "rooms": [{"room": self.room, "cursor": self.cursor}]});
        let (socket, welcome) = person.connect_with(hello).await;
        self.socket = socket;
        welcome["rooms"][0].clone()
    }

    /// The same over a socket that takes little at a time.
    pub async fn narrow(&mut self, person: &Person) {
        let mut socket = Socket::open_narrow(&person.base).await;
        let rooms = json!([{"room": self.room, "cursor": self.cursor}]);
        let welcome = socket.ask("hello", json!({"token": person.token, "epoch": self.epoch, "rooms": rooms})).await;
        assert!(welcome.get("ok").is_some(), "{welcome}");
        self.socket = socket;
    }

    /// Takes in what comes until the revision is known.
    pub async fn until(&mut self, revision: u64) {
        while self.cursor < revision {
            let changes = self.socket.push("changes").await;
            self.take(&changes);
        }
    }

    /// Takes in what comes until the socket is closed; its code.
    pub async fn until_closed(&mut self) -> Option<u16> {
        loop {
            match self.socket.next().await {
                Next::Frame(frame) => frame.get("changes").into_iter().for_each(|changes| self.take(changes)),
                Next::Closed(code) => return code,
            }
        }
    }

    /// The texts of messages, in the order of their places.
    pub fn texts(&self) -> Vec<String> {
        let mut messages: Vec<_> = self.came.iter().map(|message| (number(&message["seq"]), text(&message["text"]))).collect();
        messages.sort();
        messages.dedup();
        messages.into_iter().map(|(_, text)| text).collect()
    }

    /// Every row known, as `changes` has them.
    pub fn items(&self) -> Vec<Value> {
        let name = |key: &String| key.split(' ').next().unwrap_or_default().to_owned();
        self.rows.iter().map(|(key, row)| json!({name(key): row})).collect()
    }

    /// Takes in one `changes`.
    pub fn take(&mut self, changes: &Value) {
        if changes["room"] != json!(self.room) {
            return;
        }
        let (from, to) = (number(&changes["from"]), number(&changes["to"]));
        if to <= self.cursor {
            return self.broken.push(format!("revisions up to {to} came again after {}", self.cursor));
        }
        if from > self.cursor {
            self.broken.push(format!("a gap: {from} follows {}", self.cursor));
        }
        for item in changes["items"].as_array().into_iter().flatten() {
            let (name, row) = item.as_object().and_then(|item| item.iter().next()).expect("an item has a name");
            let revision = number(&row["revision"]);
            if revision <= from || revision > to {
                self.broken.push(format!("a row of revision {revision} came in ({from}, {to}]"));
            }
            if name == "message" {
                self.came.push(row.clone());
            }
            let key = match name.as_str() {
                "message" => format!("message {:06}", number(&row["seq"])),
                "member" => format!("member {}", row["user"]),
                "notice" => format!("notice {revision:06}"),
                other => other.to_owned(),
            };
            self.rows.insert(key, row.clone());
        }
        self.cursor = to;
    }
}

pub fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("not a number: {value}"))
}

pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("not a text: {value}")).to_owned()
}
