//! The people and rooms of one cell, and how something is looked at three times.

use crate::support::histories::client::Client;
use crate::support::histories::model::Known;
use crate::support::histories::play::settle;
use crate::support::person::{Answer, Person};
use crate::support::server::Server;
use crate::support::viewer::text;
use serde_json::{Value, json};
use uuid::Uuid;

pub const SETTINGS: &[(&str, &str)] = &[
    ("accounts.read_mark_flush", "10ms"),
    ("presence.coalesce", "20ms"),
    ("presence.offline_after", "100ms"),
    ("room.head_check_interval", "200ms"),
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

impl Seen {
    /// The same in every way.
    pub fn all(word: &str) -> Self {
        Self { live: word.to_owned(), resumed: word.to_owned(), rest: word.to_owned() }
    }
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
        let cell = Self { server, ann, bob, cid, room, side, direct };
        server.everybody_is_notified().await;
        cell
    }
}

pub async fn whisper(from: &Person, to: &Person, text: &str) -> Answer {
    from.post(&format!("direct/{}/messages", to.id), json!({"client_id": Uuid::now_v7(), "text": text})).await
}

/// Somebody who looks on: with a client that stays, and one that has gone.
pub struct Looking<'a> {
    who: &'a Person,
    stayed: Client<'a>,
    away: Known,
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

    /// What is shown to each in the end, read by `word` from the line of this key. The third is told everything anew.
    pub async fn see(self, key: &str, word: impl Fn(Option<&Value>) -> &'static str) -> Seen {
        let Self { who, mut stayed, away } = self;
        let mut fresh = Client::come(who, Known::default()).await.expect("a client");
        settle("a fresh client", &mut fresh, None).await.expect("in order");
        settle("who stayed", &mut stayed, Some(&fresh.known)).await.expect("in order");
        let mut back = Client::come(who, away).await.expect("a client");
        settle("who was away", &mut back, Some(&fresh.known)).await.expect("in order");
        let seen = |known: &Known| {
            let line = known.render().get(key).map(|line| serde_json::from_str(line).expect("a line is JSON"));
            word(line.as_ref()).to_owned()
        };
        Seen { live: seen(&stayed.known), resumed: seen(&back.known), rest: seen(&fresh.known) }
    }
}
