//! What a person reads of a room over REST when all is said: its history, threads and pins, how much is unread, and whom they block.

use super::rest::{Failed, Rest};
use super::view::{Known, Look};
use super::wire::{Message, Relation};
use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// Rows a page.
const PAGE: usize = 200;
/// Threads read of each room.
const THREADS: usize = 10;

/// One room, read by one person.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// Messages by seq; the fault's code if it may not be read.
    pub history: Result<BTreeMap<u64, Known>, String>,
    /// What pages of threads and pins showed besides: seq, look.
    pub aside: Vec<(u64, Look)>,
    /// The pinned ones, as the page of pins has them.
    pub pins: BTreeSet<u64>,
    /// Where the person is.
    pub place: Option<Where>,
    /// Whom the person blocks.
    pub blocks: BTreeSet<Uuid>,
}

/// Where a person is in a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Where {
    #[serde(default)]
    pub read_seq: u64,
    #[serde(default)]
    pub unread: u64,
    #[serde(default)]
    pub visible_from_seq: u64,
}

/// What of a person's is the same for all rooms.
#[derive(Clone, Debug, Default)]
pub struct Person {
    pub places: BTreeMap<Uuid, Where>,
    pub blocks: BTreeSet<Uuid>,
}

impl Rest {
    /// Reads what a person is told of themself.
    pub async fn person(&self, token: &str) -> Result<Person, Failed> {
        let mut person = Person::default();
        for row in self.all("me/rooms?state=joined", token).await? {
            let room = row.pointer("/room/id").and_then(|id| id.as_str()?.parse().ok());
            if let (Some(room), Ok(place)) = (room, Where::deserialize(&row)) {
                person.places.insert(room, place);
            }
        }
        for row in self.all("me/relations?", token).await? {
            person
                .blocks
                .extend(Relation::deserialize(&row).ok().filter(|relation| relation.blocked).map(|relation| relation.user));
        }
        Ok(person)
    }

    /// Reads what a person sees of a room after `seq`.
    pub async fn reading(&self, token: &str, person: &Person, room: Uuid, seq: u64) -> Result<Reading, Failed> {
        let mut reading = Reading {
            history: Ok(BTreeMap::new()),
            aside: Vec::new(),
            pins: BTreeSet::new(),
            place: person.places.get(&room).copied(),
            blocks: person.blocks.clone(),
        };
        let mut history = BTreeMap::new();
        let mut after = seq;
        loop {
            let path = format!("rooms/{room}/messages?after={after}&limit={PAGE}");
            let page = match self.send(Method::GET, &path, Some(token), None).await {
                Ok(page) => looks(page.get("messages")),
                Err(failed) if ["not_member", "not_found", "banned"].contains(&failed.code.as_str()) => {
                    reading.history = Err(failed.code);
                    return Ok(reading);
                }
                Err(failed) => return Err(failed),
            };
            match page.last().map(|(seq, _)| *seq).filter(|last| *last > after) {
                Some(last) => after = last,
                None => break,
            }
            history.extend(page);
        }
        let is_first = |known: &Known| known.look.as_ref().and_then(Look::face).is_some_and(|face| face.replies.is_some());
        let firsts: Vec<u64> = history.iter().filter(|(_, known)| is_first(known)).map(|(seq, _)| *seq).take(THREADS).collect();
        for first in firsts {
            let page =
                self.send(Method::GET, &format!("rooms/{room}/messages/{first}/thread?limit={PAGE}"), Some(token), None).await?;
            reading.aside.extend(aside(page.get("messages")));
            reading.aside.extend(
                page.get("first").into_iter().flat_map(look).map(|(seq, known)| (seq, known.look.unwrap_or(Look::Hidden))),
            );
        }
        let pins = self.send(Method::GET, &format!("rooms/{room}/pins"), Some(token), None).await?;
        let pins: Vec<_> = aside(pins.get("messages")).into_iter().filter(|(pin, _)| *pin > seq).collect();
        reading.pins = pins.iter().map(|(seq, _)| *seq).collect();
        reading.aside.extend(pins);
        reading.history = Ok(history);
        Ok(reading)
    }

    /// All rows of a list in pages.
    async fn all(&self, path: &str, token: &str) -> Result<Vec<Value>, Failed> {
        let (mut rows, mut page) = (Vec::new(), String::new());
        loop {
            let part = self.send(Method::GET, &format!("{path}{page}"), Some(token), None).await?;
            rows.extend(part.get("items").and_then(Value::as_array).cloned().unwrap_or_default());
            match part.get("next").and_then(Value::as_str) {
                Some(next) => page = format!("&page={next}"),
                None => return Ok(rows),
            }
        }
    }
}

fn looks(messages: Option<&Value>) -> Vec<(u64, Known)> {
    messages.and_then(Value::as_array).into_iter().flatten().filter_map(look).collect()
}

fn aside(messages: Option<&Value>) -> Vec<(u64, Look)> {
    looks(messages).into_iter().filter_map(|(seq, known)| Some((seq, known.look?))).collect()
}

fn look(row: &Value) -> Option<(u64, Known)> {
    let message = Message::deserialize(row).ok()?;
    Some((message.seq, Known { revision: message.revision, look: Some(Look::of(&message)) }))
}
