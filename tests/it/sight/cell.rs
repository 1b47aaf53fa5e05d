//! The people and rooms of one cell, and how something is looked at three times.

use crate::support::histories::client::Client;
use crate::support::histories::model::Known;
use crate::support::histories::play::settle;
use crate::support::person::{Answer, Person};
use crate::support::server::Server;
use crate::support::viewer::{number, text};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

pub const SETTINGS: &[(&str, &str)] = &[
    ("accounts.read_mark_flush", "10ms"),
    ("presence.coalesce", "20ms"),
    ("presence.offline_after", "100ms"),
    ("room.head_check_interval", "200ms"),
    ("room.typing_pause", "1ms"),
    ("rates.rooms_made_per_account", "off"),
];

/// The first message, Ann's, with which her thread begins.
pub const ANNS: u64 = 1;
/// The second, Bob's.
pub const BOBS: u64 = 2;

pub struct Cell<'a> {
    pub server: &'a Server,
    pub ann: Person,
    pub bob: Person,
    /// Whom nothing concerns.
    pub cid: Person,
    /// Ann's, with all three in it.
    pub room: String,
    /// Cid's, with all three in it.
    pub side: String,
    /// Of Ann and Bob, unless they have never written to each other.
    pub direct: String,
    /// What was made before the deed for this row alone: the number of a message, or a room.
    pub made: Value,
}

/// What is seen, in a word of the table or as the code of a refusal.
#[derive(Debug)]
pub struct Seen {
    /// By who stayed connected.
    pub live: String,
    /// By who was away when it happened.
    pub resumed: String,
    pub rest: String,
}

impl<'a> Cell<'a> {
    pub async fn set(server: &'a Server, number: usize, have_written: bool) -> Self {
        let person = async |name: &str| Person::register(server, &format!("{name}{number}")).await;
        let (ann, bob, cid) = (person("ann").await, person("bob").await, person("cid").await);
        let room = ann.make_room(&format!("Hall {number}"), "public").await;
        // They share a room whatever becomes of this one.
        let side = cid.make_room(&format!("Side {number}"), "public").await;
        for person in [&bob, &cid] {
            person.join(&room).await;
        }
        for person in [&ann, &bob] {
            person.join(&side).await;
        }
        ann.say(&room, "a thread").await;
        bob.say(&room, "before").await;
        let direct = if have_written { text(&whisper(&bob, &ann, "psst").await.ok()["room"]) } else { String::new() };
        Self { server, ann, bob, cid, room, side, direct, made: Value::Null }
    }

    /// Everything that REST lists and no client shows by itself.
    async fn lists(&self, viewer: &Person) -> Vec<(u16, Value)> {
        let room = &self.room;
        let of_room = ["pins", "receipts", "messages/1/thread", "invitations"].map(|list| format!("rooms/{room}/{list}"));
        let own = ["me/rooms", "me/rooms?state=invited", "me/notifications", "me/threads"].map(str::to_owned);
        let mut lists = Vec::new();
        for path in own.iter().chain(&of_room) {
            lists.push(viewer.get(path).await.but_its_id());
        }
        lists
    }
}

pub async fn whisper(from: &Person, to: &Person, text: &str) -> Answer {
    from.post(&format!("direct/{}/messages", to.id), json!({"client_id": Uuid::now_v7(), "text": text})).await
}

/// What is on a screen, line by line.
pub type Screen = BTreeMap<String, String>;

/// A line of a screen.
pub fn line(screen: &Screen, key: &str) -> Option<Value> {
    screen.get(key).map(|line| serde_json::from_str(line).expect("a line is JSON"))
}

/// Somebody who looks on: with a client that stays, and one that has gone.
pub struct Looking<'a> {
    who: &'a Person,
    stayed: Client<'a>,
    away: Known,
}

/// All that somebody can find at a moment.
pub struct Picture {
    screen: Screen,
    lists: Vec<(u16, Value)>,
}

impl<'a> Looking<'a> {
    pub async fn on(who: &'a Person) -> Self {
        let mut stayed = Client::come(who, Known::default()).await.expect("a client");
        settle("who stays", &mut stayed, None).await.expect("in order");
        let mut leaving = Client::come(who, Known::default()).await.expect("a client");
        settle("who goes", &mut leaving, None).await.expect("in order");
        let away = leaving.go(false).await;
        Self { who, stayed, away }
    }

    /// What there is to see now, for who is told everything anew.
    pub async fn picture(&self, cell: &Cell<'_>) -> Picture {
        cell.server.everybody_is_notified().await;
        Picture { screen: fresh(self.who).await.known.render(), lists: cell.lists(self.who).await }
    }

    /// What is shown to each in the end, as `word` reads it from their screens. The third is told everything anew.
    pub async fn see(self, word: impl Fn(&Screen) -> &'static str) -> Seen {
        let [live, resumed, rest] = self.screens().await.map(|screen| word(&screen).to_owned());
        Seen { live, resumed, rest }
    }

    /// The code of what was refused, from each who sees nothing else than in the picture of before.
    pub async fn see_nothing(self, cell: &Cell<'_>, code: &str, before: Picture) -> Seen {
        cell.server.everybody_is_notified().await;
        let lists = cell.lists(self.who).await;
        // Behind whatever should not have come.
        let last = cell.ann.say(&cell.room, "that was all").await;
        let last = format!("{} message {:06}", cell.room, number(&last["seq"]));
        let screens = self.screens().await;
        let [live, resumed, rest] = screens.map(|mut screen| {
            assert!(screen.remove(&last).is_some(), "the last message is not there");
            let lines = before.screen.keys().chain(screen.keys()).filter(|key| before.screen.get(*key) != screen.get(*key));
            let other: BTreeSet<_> = lines.map(|key| format!("{key} {:?}", screen.get(key))).collect();
            if other.is_empty() { code.to_owned() } else { format!("{code}, and yet {other:?}") }
        });
        let other: Vec<_> = lists.iter().filter(|list| !before.lists.contains(list)).collect();
        let rest = if other.is_empty() { rest } else { format!("{rest}, and yet {other:?}") };
        Seen { live, resumed, rest }
    }

    /// The screens of who stayed, of who was away, and of who is told everything anew, once each knows all there is.
    async fn screens(self) -> [Screen; 3] {
        let Self { who, mut stayed, away } = self;
        let fresh = fresh(who).await;
        settle("who stayed", &mut stayed, Some(&fresh.known)).await.expect("in order");
        let mut back = Client::come(who, away).await.expect("a client");
        settle("who was away", &mut back, Some(&fresh.known)).await.expect("in order");
        [&stayed, &back, &fresh].map(|client| client.known.render())
    }
}

async fn fresh(who: &Person) -> Client<'_> {
    let mut fresh = Client::come(who, Known::default()).await.expect("a client");
    settle("a fresh client", &mut fresh, None).await.expect("in order");
    fresh
}

/// A device that was here before, and comes back with its cursors.
pub struct Away<'a> {
    who: &'a Person,
    hello: Value,
}

impl<'a> Away<'a> {
    pub async fn from(who: &'a Person, room: &str) -> Self {
        let (mut socket, welcome) = who.connect_with(json!({"rooms": [{"room": room}]})).await;
        let cursor = &welcome["rooms"][0]["head"];
        let rooms = json!([{"room": room, "cursor": cursor}]);
        let hello = json!({"epoch": welcome["epoch"], "user_cursor": welcome["user_head"], "rooms": rooms});
        socket.leave().await;
        Self { who, hello }
    }

    pub async fn back(self) -> crate::support::socket::Socket {
        let (socket, welcome) = self.who.connect_with(self.hello).await;
        let goes_on = welcome["rooms"][0]["status"] == "live" || welcome["rooms"][0]["status"] == "resuming";
        assert!(goes_on && welcome["user_reset"] == false, "{welcome}");
        socket
    }
}
