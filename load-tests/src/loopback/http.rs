//! The loopback server's REST routes: those the swarm uses. Pure but for the world it changes.

use super::breach::Breach;
use super::world::{Account, Message, Room, World};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tungstenite::handshake::derive_accept_key;
use uuid::Uuid;

/// A request, read.
#[derive(Debug, PartialEq, Eq)]
pub struct Request {
    method: String,
    path: String,
    query: String,
    token: String,
    key: Option<String>,
    body: Vec<u8>,
}

/// What to answer.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// These bytes; the connection stays.
    Plain(Vec<u8>),
    /// These bytes; from here on it is a WebSocket.
    Upgrade(Vec<u8>),
}

impl Request {
    /// Takes one whole request off the front of `bytes`.
    pub fn take(bytes: &mut Vec<u8>) -> Option<Self> {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
        let head = String::from_utf8_lossy(bytes.get(..end)?).into_owned();
        let field = |name: &str| {
            let mut fields = head.lines().filter_map(|line| line.split_once(':'));
            fields.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim().to_owned())
        };
        let length: usize = field("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        let body = bytes.get(end..end + length)?.to_vec();
        bytes.drain(..end + length);
        let mut line = head.split(' ');
        let (method, target) = (line.next()?.to_owned(), line.next()?.to_owned());
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let token = field("authorization").unwrap_or_default().trim_start_matches("Bearer ").to_owned();
        Some(Self { method, path: path.to_owned(), query: query.to_owned(), token, key: field("sec-websocket-key"), body })
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.query.split('&').filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name)?.1.parse().ok()
    }
}

/// Answers one request.
pub fn answer(world: &mut World, request: &Request) -> Answer {
    let path = request.path.trim_start_matches("/api/v1/");
    if let ("ws", Some(key)) = (path, &request.key) {
        let accept = derive_accept_key(key.as_bytes());
        let head = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Protocol: hubbub.v1\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
        );
        return Answer::Upgrade(head.into_bytes());
    }
    let parts: Vec<&str> = path.split('/').collect();
    let (status, body) =
        route(world, request, &parts).unwrap_or_else(|| ("404 Not Found", json!({ "code": "not_found", "retry": false })));
    let body = body.to_string();
    let head = format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len());
    Answer::Plain((head + &body).into_bytes())
}

fn route(world: &mut World, request: &Request, parts: &[&str]) -> Option<(&'static str, Value)> {
    let body = || serde_json::from_slice::<Value>(&request.body).unwrap_or_default();
    let reader = user(&request.token);
    match (request.method.as_str(), parts) {
        ("POST", ["accounts"]) => {
            let body = body();
            let (name, password) = (body.get("name")?.as_str()?, body.get("password")?.as_str()?.to_owned());
            let id = Uuid::new_v4();
            world.accounts.insert(name.to_owned(), Account { id, password });
            Some(("201 Created", json!({ "id": id, "name": name })))
        }
        ("POST", ["logins"]) => {
            let body = body();
            let account = world.accounts.get(body.get("name")?.as_str()?)?;
            (account.password == body.get("password")?.as_str()?).then(|| ("201 Created", tokens(account.id)))
        }
        ("POST", ["logins", "refresh"]) => Some(("200 OK", tokens(user(body().get("refresh_token")?.as_str()?)?))),
        ("GET", ["me"]) => Some(("200 OK", json!({ "id": user(&request.token)? }))),
        ("POST", ["rooms"]) => {
            let id = Uuid::now_v7();
            world.rooms.insert(id, Room::default());
            Some(("201 Created", json!({ "id": id })))
        }
        ("PUT", ["rooms", room, "members", "me"]) => {
            // Everybody may receive everything here; a bot only must be able to ask.
            world.rooms.get(&room.parse().ok()?).map(|_| ("200 OK", json!({})))
        }
        ("GET", ["rooms", room, of @ ..]) => read_room(world, request, room.parse().ok()?, of),
        ("GET", ["me", "rooms"]) => {
            let person = world.people.get(&reader?);
            let place = |(id, room): (&Uuid, &Room)| {
                let read = person.and_then(|person| person.reads.get(id)).copied().unwrap_or(0);
                json!({ "room": { "id": id }, "visible_from_seq": 1, "read_seq": read, "unread": room.seq.saturating_sub(read) })
            };
            Some(("200 OK", json!({ "items": world.rooms.iter().map(place).collect::<Vec<_>>() })))
        }
        ("GET", ["me", "relations"]) => {
            let rows: Vec<_> =
                world.blocks_of(reader?).into_iter().map(|user| json!({ "user": user, "blocked": true })).collect();
            Some(("200 OK", json!({ "items": rows })))
        }
        _ => None,
    }
}

/// What somebody sees of a room: its history, a thread, or what is pinned.
fn read_room(world: &World, request: &Request, id: Uuid, of: &[&str]) -> Option<(&'static str, Value)> {
    let (room, reader) = (world.rooms.get(&id)?, user(&request.token)?);
    if world.breach != Some(Breach::ReadRemoved) && !room.has(reader) {
        return Some(("403 Forbidden", json!({ "code": "not_member", "retry": false })));
    }
    let shows = world.breach == Some(Breach::ReadBlocked);
    let blocks = if shows { BTreeSet::new() } else { world.blocks_of(reader) };
    let reacting = if world.breach == Some(Breach::ReadReaction) { BTreeSet::new() } else { blocks.clone() };
    let row = |one: &Message| one.row_without(&blocks, &reacting);
    let limit = usize::try_from(request.number("limit").unwrap_or(50)).ok()?;
    let messages = room.messages.iter();
    let rows: Vec<_> = match (of, request.number("after")) {
        (["messages"], Some(after)) => messages.filter(|one| one.seq > after).take(limit).map(row).collect(),
        (["messages"], None) => messages.rev().take(limit).map(row).collect(),
        (["messages", first, "thread"], _) => {
            let first = first.parse::<u64>().ok()?;
            messages.filter(|one| one.more.thread == Some(first)).map(row).collect()
        }
        (["pins"], _) => messages.filter(|one| one.more.is_pinned()).map(row).collect(),
        _ => return None,
    };
    Some(("200 OK", json!({ "messages": rows, "notices": [] })))
}

/// Tokens of the loopback server name their user and prove nothing.
fn tokens(user: Uuid) -> Value {
    json!({ "access_token": format!("access-{user}"), "refresh_token": format!("refresh-{user}") })
}

/// Whom a token belongs to.
pub fn user(token: &str) -> Option<Uuid> {
    token.split_once('-')?.1.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_taken_whole_and_one_by_one() {
        let mut bytes = b"POST /api/v1/accounts?x=1 HTTP/1.1\r\nContent-Length: 2\r\nAuthorization: Bearer t\r\n\r\n{".to_vec();
        assert_eq!(Request::take(&mut bytes), None);
        bytes.extend(b"}GET / HTTP/1.1\r\n\r\n");
        let first = Request::take(&mut bytes).unwrap();
        assert_eq!(
            (first.method.as_str(), first.body.as_slice(), first.token.as_str(), first.number("x")),
            ("POST", &b"{}"[..], "t", Some(1))
        );
        assert_eq!(Request::take(&mut bytes).unwrap().path, "/");
        assert!(bytes.is_empty());
    }
}
