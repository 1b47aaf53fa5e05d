//! A client as docs/PROTOCOL.md tells one to be: it keeps [`Known`] over its connections, and fetches by REST what a `reset` tells it to.

use super::model::{Known, Shown};
use crate::support::person::Person;
use crate::support::socket::{Next, Socket};
use crate::support::viewer::{number, text};
use crate::support::within;
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use tokio_tungstenite::tungstenite::Message;

/// What is wrong with the server.
pub type Broken = String;

pub struct Client<'a> {
    person: &'a Person,
    pub socket: Socket,
    pub known: Known,
    /// The head of the user stream as it was at the welcome.
    pub user_head: u64,
    subscribed: BTreeSet<String>,
    /// Subscriptions without an answer, by `ref`.
    asked: BTreeMap<u64, String>,
    /// Something happened to these rooms since they were asked for.
    again: BTreeSet<String>,
    /// Refused; to be asked for again only after news of one's membership.
    refused: BTreeSet<String>,
    next_ref: u64,
    /// The connection has ended, as with a server that was killed.
    lost: bool,
}

impl<'a> Client<'a> {
    /// Connects with what is known, again if the connection is lost on the way.
    pub async fn come(person: &'a Person, mut known: Known) -> Result<Self, Broken> {
        within("a connection", async {
            loop {
                match Self::try_come(person, known).await? {
                    Ok(client) => return Ok(client),
                    Err(still) => known = still,
                }
            }
        })
        .await
    }

    /// A client, or what stays known if there is no connection.
    async fn try_come(person: &'a Person, known: Known) -> Result<Result<Self, Known>, Broken> {
        let cursor_of = |room: &String| match known.rooms.get(room) {
            Some(shown) => json!({"room": room, "cursor": shown.cursor}),
            None => json!({"room": room}),
        };
        let mut hello = json!({"token": person.token, "rooms": known.joined().map(cursor_of).collect::<Vec<_>>()});
        if let Some(epoch) = &known.epoch {
            hello["epoch"] = json!(epoch);
            hello["user_cursor"] = json!(known.cursor);
        }
        let Ok(mut socket) = Socket::try_open(&person.base).await else { return Ok(Err(known)) };
        if !socket.try_command(0, "hello", hello).await {
            return Ok(Err(known));
        }
        let Next::Frame(reply) = socket.next().await else { return Ok(Err(known)) };
        let welcome = reply.get("ok").ok_or_else(|| format!("hello was answered {reply}"))?;
        let user_head = number(&welcome["user_head"]);
        let (subscribed, asked, again, refused) = Default::default();
        let (next_ref, lost) = (1, false);
        let mut client = Self { person, socket, known, user_head, subscribed, asked, again, refused, next_ref, lost };
        client.known.epoch = Some(text(&welcome["epoch"]));
        if welcome["user_reset"] == true {
            client.known.begin_anew();
        }
        for start in welcome["rooms"].as_array().expect("a welcome has rooms") {
            client.started(start).await;
        }
        client.subscribe().await;
        Ok(Ok(client))
    }

    /// Comes again with what is known if the connection has ended.
    pub async fn stay(&mut self) -> Result<(), Broken> {
        if self.lost {
            *self = Self::come(self.person, std::mem::take(&mut self.known)).await?;
        }
        Ok(())
    }

    /// Goes, in good order or as if the line were cut; what stays known.
    pub async fn go(mut self, abrupt: bool) -> Known {
        if !abrupt && !self.person.goes_on_through_crashes {
            self.socket.send(Message::Close(None)).await;
            // What comes until the server has closed too is lost on a client that has gone.
            self.socket.closed().await;
        }
        self.known
    }

    /// Takes in a frame.
    pub async fn take(&mut self, next: Next) -> Result<(), Broken> {
        let frame = match next {
            Next::Frame(frame) => frame,
            Next::Closed(_) if self.person.goes_on_through_crashes => {
                self.lost = true;
                return Ok(());
            }
            Next::Closed(code) => return Err(format!("the server closed with {code:?}")),
        };
        if let Some(reference) = frame["ref"].as_u64() {
            let room = self.asked.remove(&reference).ok_or_else(|| format!("an answer to nothing: {frame}"))?;
            match frame["ok"]["rooms"].get(0) {
                Some(start) => self.started(start).await,
                None => drop(self.again.insert(room)),
            }
        } else if let Some(changes) = frame.get("changes") {
            self.known.changes(changes);
        } else if let Some(changes) = frame.get("user_changes") {
            for room in self.known.user_changes(changes) {
                self.news(&room);
            }
            if std::mem::take(&mut self.known.lacks_notifications) {
                self.read_notifications().await?;
            }
        } else if let Some(ended) = frame.get("unsubscribed") {
            let room = text(&ended["room"]);
            self.known.rooms.remove(&room);
            self.subscribed.remove(&room);
            self.news(&room);
        }
        self.subscribe().await;
        Ok(())
    }

    /// Reads anew of what one was notified.
    async fn read_notifications(&mut self) -> Result<(), Broken> {
        let list = within("the list of notifications", async {
            loop {
                let list = self.person.get("me/notifications?limit=200").await;
                // Lost with a server that was killed: the next one has it, too.
                if list.status != StatusCode::BAD_GATEWAY {
                    return list;
                }
            }
        })
        .await;
        let Some(items) = list.body["items"].as_array() else { return Err(format!("me/notifications: {}", list.body)) };
        items.iter().for_each(|item| self.known.notification(item));
        Ok(())
    }

    /// Whether nothing is under way, and every room one is in is shown or refused.
    pub fn is_calm(&self) -> bool {
        let settled = |room: &String| self.subscribed.contains(room) || self.refused.contains(room);
        !self.lost && self.known.cursor >= self.user_head && self.asked.is_empty() && self.known.joined().all(settled)
    }

    /// Something is new about one's membership there.
    fn news(&mut self, room: &str) {
        self.refused.remove(room);
        if !self.known.rooms.contains_key(room) {
            self.subscribed.remove(room);
        }
        if self.asked.values().any(|asked| asked == room) {
            self.again.insert(room.to_owned());
        }
    }

    /// Subscribes to rooms one is in and does not receive.
    async fn subscribe(&mut self) {
        let is_open = |room: &&String| {
            !self.subscribed.contains(*room) && !self.refused.contains(*room) && !self.asked.values().any(|asked| asked == *room)
        };
        let missing: Vec<String> = self.known.joined().filter(is_open).cloned().collect();
        for room in missing {
            let mut asked = json!({"room": room});
            if let Some(shown) = self.known.rooms.get(&room) {
                asked["cursor"] = json!(shown.cursor);
            }
            self.again.remove(&room);
            let reference = self.next_ref;
            self.next_ref += 1;
            self.lost |= !self.socket.try_command(reference, "subscribe", json!({"rooms": [asked]})).await;
            self.asked.insert(reference, room);
        }
    }

    /// The server says how a room is received.
    async fn started(&mut self, start: &Value) {
        let room = text(&start["room"]);
        let again = self.again.remove(&room);
        match start["status"].as_str() {
            Some("live" | "resuming") if self.known.rooms.contains_key(&room) => drop(self.subscribed.insert(room)),
            // Dropped meanwhile: from the beginning.
            Some("live" | "resuming") => {}
            Some("reset") => {
                self.known.rooms.remove(&room);
                if let Some(shown) = fetch(self.person, &room, number(&start["head"])).await {
                    self.known.rooms.insert(room.clone(), shown);
                    self.subscribed.insert(room);
                }
            }
            _ => {
                self.known.rooms.remove(&room);
                self.subscribed.remove(&room);
                if !again && start["error"]["retry"] != true {
                    self.refused.insert(room);
                }
            }
        }
    }
}

/// Everything of a room by REST, as it is at `head` or later. `None` if one may not see it any more.
pub async fn fetch(person: &Person, room: &str, head: u64) -> Option<Shown> {
    let mut shown = Shown::at(head);
    let get = async |path: &str| {
        let answer = person.get(&format!("rooms/{room}{path}")).await;
        answer.status.is_success().then_some(answer.body)
    };
    shown.put("room", &get("").await?);
    for state in ["joined", "invited"] {
        let page = get(&format!("/members?state={state}&limit=200")).await?;
        page["items"].as_array().expect("a page has items").iter().for_each(|member| shown.put("member", member));
    }
    let history = get("/messages?limit=200").await?;
    assert_eq!(history["more_before"], false, "histories are short");
    history["messages"].as_array().expect("history has messages").iter().for_each(|message| shown.put("message", message));
    history["notices"].as_array().expect("history has notices").iter().for_each(|notice| shown.put("notice", notice));
    Some(shown)
}
