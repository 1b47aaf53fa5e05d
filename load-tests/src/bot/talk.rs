//! The conversation of one bot with the server: protocol version 1 from the client's side. No socket: bytes to send gather in the
//! [`Outbox`], what comes is handed to [`Talk::hear`].

use super::comeback::Gone;
use super::converse::Converse;
use super::frame::{Opcode, Whole};
use super::link::Outbox;
use super::seat::{Fit, Seat};
use super::wire::{self, Changes, Done, Incoming, Limits, Quick, Refused, SubscribedRoom};
use super::{Heard, Listener, Sighting};
use crate::action::text::Stamp;
use serde_json::json;
use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// No connection.
    Offline,
    /// TCP and handshake.
    Upgrading,
    /// `hello` is sent.
    Greeting,
    /// Welcomed.
    Live,
    /// Not coming back.
    Ended,
}

/// A command without a reply.
#[derive(Debug)]
pub(super) enum Asked {
    Hello,
    Subscribe,
    Post { seat: usize, n: u32 },
    Deed { seat: usize, no: usize },
    Renew,
}

/// Time for handshake and welcome, before the bot tries again.
const PATIENCE: Duration = Duration::from_secs(15);
/// Used until the server has told its own.
const LIMITS: Limits = Limits { rooms_per_frame: 100, posts_in_flight: 1 };

/// See the module.
#[derive(Debug)]
pub struct Talk {
    pub phase: Phase,
    /// The access token.
    pub token: String,
    pub seats: Vec<Seat>,
    pub outbox: Outbox,
    /// Why the connection must end; set by what came.
    pub gone: Option<Gone>,
    /// The token ends soon.
    pub wants_renewal: bool,
    /// A refused post may be sent again then.
    pub hold: Option<Instant>,
    /// Read every frame in full, and fingerprint it.
    in_full: bool,
    /// Present: it does more than post.
    pub converse: Option<Box<Converse>>,
    epoch: Option<Uuid>,
    pub(super) user_cursor: Option<u64>,
    limits: Limits,
    asked: VecDeque<(u64, Asked)>,
    next_ref: u64,
    last_heard: Instant,
    ping_interval: Duration,
    /// Rooms asked for in the `hello`; the rest follow by `subscribe`.
    told: usize,
}

impl Talk {
    pub fn new(index: usize, token: String, seats: Vec<Seat>, in_full: bool, now: Instant) -> Self {
        Self {
            phase: Phase::Offline,
            token,
            seats,
            outbox: Outbox::new(index),
            gone: None,
            wants_renewal: false,
            hold: None,
            in_full,
            converse: None,
            epoch: None,
            user_cursor: None,
            limits: LIMITS,
            asked: VecDeque::new(),
            next_ref: 1,
            last_heard: now,
            ping_interval: PATIENCE,
            told: 0,
        }
    }

    /// The connection is being opened.
    pub fn upgrading(&mut self, now: Instant) {
        self.phase = Phase::Upgrading;
        self.last_heard = now;
    }

    /// The handshake is done: say who this is and from where on.
    pub fn greet(&mut self) {
        self.phase = Phase::Greeting;
        if let Some(converse) = &mut self.converse {
            converse.guard.greeting();
        }
        self.told = 0;
        let rooms = self.next_rooms();
        let mut hello = json!({ "token": self.token, "rooms": rooms });
        if let (Some(hello), Some(epoch)) = (hello.as_object_mut(), self.epoch) {
            hello.insert("epoch".into(), json!(epoch));
            hello.insert("user_cursor".into(), json!(self.user_cursor));
        }
        self.command("hello", &hello, Asked::Hello);
    }

    /// Use the newer token from here on.
    pub fn renew(&mut self) {
        let renew = json!({ "token": self.token });
        self.command("renew", &renew, Asked::Renew);
    }

    /// Puts on the wire what may be sent now of seat `index`.
    pub fn pump(&mut self, index: usize, now: Instant) {
        if self.phase != Phase::Live {
            return;
        }
        let limit = usize::try_from(self.limits.posts_in_flight).unwrap_or(usize::MAX);
        // Who converses comes back, and hears of posts that came too late.
        let comes_back = self.converse.is_some();
        let Some(seat) = self.seats.get_mut(index).filter(|seat| comes_back || seat.is_in()) else { return };
        let mut frame = Vec::with_capacity(320);
        while let Some(post) = seat.posts.next(limit, now) {
            frame.clear();
            let reference = self.next_ref;
            self.next_ref += 1;
            // Stamps need no escaping, so no JSON writer is needed for them. Writing to a Vec cannot fail.
            let room = seat.room;
            let head = format_args!(
                r#"{{"ref":{reference},"post":{{"room":"{room}","client_id":"{}","text":"{}""#,
                post.client_id, post.text
            );
            let thread = post.thread.map(|seq| format!(r#","thread":{seq}"#)).unwrap_or_default();
            let done = match post.after {
                Some(after) => write!(frame, r#"{head}{thread},"after":"{after}"}}}}"#),
                None => write!(frame, "{head}{thread}}}}}"),
            };
            if done.is_ok() {
                self.outbox.push(Opcode::Text, &frame);
                self.asked.push_back((reference, Asked::Post { seat: index, n: post.n }));
            }
        }
        self.hold = [self.hold, seat.posts.held_until(now)].into_iter().flatten().min();
    }

    /// One whole message or control frame has come.
    pub fn hear<L: Listener>(&mut self, whole: Whole<'_>, now: Instant, listener: &mut L) {
        self.last_heard = now;
        match whole.opcode {
            Opcode::Text => match if self.in_full || self.converse.is_some() { None } else { wire::quick(whole.payload) } {
                Some(quick) => self.hear_quick(quick, now, listener),
                None => self.hear_in_full(whole.payload, now, listener),
            },
            Opcode::Ping => self.outbox.push(Opcode::Pong, whole.payload),
            Opcode::Pong => {}
            Opcode::Close => {
                let code = whole.payload.first_chunk().map_or(1005, |code| u16::from_be_bytes(*code));
                let told = self.gone.filter(|gone| matches!(gone, Gone::Told(_)));
                self.gone = told.or(Some(Gone::Closed(code)));
                self.outbox.close(1000);
            }
            Opcode::Binary | Opcode::Continuation => self.gone = Some(Gone::Nonsense),
        }
    }

    /// The connection is gone.
    pub fn disconnected(&mut self) {
        self.phase = Phase::Offline;
        self.outbox.bytes.clear();
        self.asked.clear();
        self.hold = None;
        self.wants_renewal = false;
        self.seats.iter_mut().for_each(Seat::disconnected);
        if let Some(converse) = &mut self.converse {
            converse.deeds.disconnected();
        }
    }

    /// Time has passed: sends what was held back, and notices a dead server.
    pub fn tick(&mut self, now: Instant) {
        if self.hold.is_some_and(|hold| hold <= now) {
            self.hold = None;
            self.pump_all(now);
        }
        if self.deadline().is_some_and(|deadline| deadline <= now) {
            self.gone = Some(Gone::Silent);
        }
    }

    /// When silence, or a handshake without end, is taken for death.
    pub fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Offline | Phase::Ended => None,
            Phase::Upgrading | Phase::Greeting => Some(self.last_heard + PATIENCE),
            Phase::Live => Some(self.last_heard + self.ping_interval * 2),
        }
    }

    /// Posts, and what else it does, without a final answer.
    pub fn unanswered(&self) -> usize {
        let deeds = self.converse.as_ref().map_or(0, |converse| converse.deeds.len());
        deeds + self.seats.iter().map(|seat| seat.posts.len()).sum::<usize>()
    }

    fn pump_all(&mut self, now: Instant) {
        (0..self.seats.len()).for_each(|index| self.pump(index, now));
        self.pump_deeds(now);
    }

    /// The next rooms to subscribe to, as many as a frame may carry.
    fn next_rooms(&mut self) -> Vec<serde_json::Value> {
        let most = usize::try_from(self.limits.rooms_per_frame).unwrap_or(usize::MAX);
        let seats = self.seats.get(self.told..).unwrap_or_default();
        let rooms: Vec<_> = seats.iter().take(most).map(cursor_of).collect();
        self.told += rooms.len();
        rooms
    }

    fn subscribe_rest(&mut self) {
        loop {
            let rooms = self.next_rooms();
            if rooms.is_empty() {
                return;
            }
            self.command("subscribe", &json!({ "rooms": rooms }), Asked::Subscribe);
        }
    }

    pub(super) fn command(&mut self, name: &str, body: &serde_json::Value, asked: Asked) {
        let reference = self.next_ref;
        self.next_ref += 1;
        self.outbox.push(Opcode::Text, format!(r#"{{"ref":{reference},"{name}":{body}}}"#).as_bytes());
        self.asked.push_back((reference, asked));
    }

    fn hear_quick<L: Listener>(&mut self, quick: Quick<'_>, now: Instant, listener: &mut L) {
        let Some(index) = self.seats.iter().position(|seat| seat.key == quick.room) else { return };
        if self.fits(index, quick.from, quick.to, listener).is_some()
            && let Some(seat) = self.seats.get(index)
        {
            let stamp = Stamp::read(quick.text);
            listener.saw(seat.place, Sighting { seq: quick.seq, revision: quick.revision, stamp, body: 0 }, now);
        }
    }

    fn hear_in_full<L: Listener>(&mut self, payload: &[u8], now: Instant, listener: &mut L) {
        let Ok(incoming) = serde_json::from_slice::<Incoming<'_>>(payload) else {
            self.gone = Some(Gone::Nonsense);
            return;
        };
        if let Some(changes) = incoming.changes {
            self.hear_changes(&changes, now, listener);
        } else if let Some(reference) = incoming.reference {
            self.hear_reply(reference, incoming.ok, incoming.error, now, listener);
        } else if let Some(changes) = incoming.user_changes {
            self.hear_own(&changes, listener);
            self.user_cursor = self.user_cursor.max(Some(changes.to));
        } else if let Some(typing) = incoming.typing {
            self.hear_typing(typing, now, listener);
        } else if let Some(reconnect) = incoming.reconnect {
            self.gone = Some(Gone::Told(Duration::from_millis(reconnect.after_ms)));
        } else if let Some(ended) = incoming.unsubscribed {
            if let Some(seat) = self.seats.iter_mut().find(|seat| seat.room == ended.room) {
                seat.out();
                listener.ended(seat.place, &ended.code);
            }
        } else if incoming.token_expiring.is_some() {
            self.wants_renewal = true;
        }
    }

    fn hear_changes<L: Listener>(&mut self, changes: &Changes<'_>, now: Instant, listener: &mut L) {
        let Some(index) = self.seats.iter().position(|seat| seat.room == changes.room) else { return };
        let Some(known) = self.fits(index, changes.from, changes.to, listener) else { return };
        let Some(place) = self.seats.get(index).map(|seat| seat.place) else { return };
        if self.converse.is_some() {
            listener.heard(place, Heard::Span { from: known.max(changes.from), to: changes.to });
        }
        let mut last = changes.from;
        for item in &changes.items {
            let revision = item.revision().unwrap_or(0);
            if revision < last || revision > changes.to || revision <= changes.from {
                listener.disorder(place, revision);
            }
            last = revision;
            if revision <= known {
                continue;
            }
            if self.converse.is_some() {
                self.hear_item(place, item, now, listener);
                continue;
            }
            match &item.message {
                Some(message) => {
                    let body = if self.in_full { fingerprint(message) } else { 0 };
                    let stamp = Stamp::read(message.text.as_bytes());
                    listener.saw(place, Sighting { seq: message.seq, revision, stamp, body }, now);
                }
                None => listener.saw_other(place, revision),
            }
        }
    }

    /// Moves the seat's cursor; the cursor before, when there is something new.
    fn fits<L: Listener>(&mut self, index: usize, from: u64, to: u64, listener: &mut L) -> Option<u64> {
        let seat = self.seats.get_mut(index)?;
        match seat.take(from, to) {
            Fit::New(known) => return Some(known),
            Fit::Old => listener.repeated(seat.place),
            Fit::Ignored if self.converse.is_some() && !seat.is_in() => listener.heard(seat.place, Heard::Overheard { to }),
            Fit::Ignored => {}
            Fit::Hole(cursor) => {
                listener.hole(seat.place, cursor, from);
                let room = cursor_of(seat);
                self.command("subscribe", &json!({ "rooms": [room] }), Asked::Subscribe);
            }
        }
        None
    }

    fn hear_reply<L: Listener>(
        &mut self,
        reference: u64,
        ok: Option<Box<Done>>,
        error: Option<Refused>,
        now: Instant,
        listener: &mut L,
    ) {
        let Some(place) = self.asked.iter().position(|(asked, _)| *asked == reference) else {
            self.gone = Some(Gone::Nonsense);
            return;
        };
        let Some((_, asked)) = self.asked.remove(place) else { return };
        match (asked, ok, error) {
            (Asked::Post { seat, n }, ok, error) => self.post_answered(seat, n, ok, error, now, listener),
            (Asked::Deed { seat, no }, _, error) => self.deed_answered((seat, no), error, now, listener),
            (Asked::Hello, Some(done), _) => self.welcomed(*done, now, listener),
            (Asked::Subscribe, Some(done), _) => self.subscribed(done.rooms.unwrap_or_default(), listener),
            (Asked::Renew, _, _) | (Asked::Hello, None, _) => {}
            // A refused subscription is asked for again with a new connection: rare, and simpler than a timer per room.
            (Asked::Subscribe, None, error) => self.gone = Some(gone_for_now(error.as_ref())),
        }
    }

    fn welcomed<L: Listener>(&mut self, done: Done, now: Instant, listener: &mut L) {
        self.phase = Phase::Live;
        self.epoch = done.epoch;
        if done.user_reset || self.user_cursor.is_none() {
            self.user_cursor = if done.user_reset { Some(0) } else { done.user_head };
        }
        self.limits = done.limits.unwrap_or(LIMITS);
        self.ping_interval = done.ping_interval_ms.map_or(PATIENCE, Duration::from_millis);
        self.subscribed(done.rooms.unwrap_or_default(), listener);
        self.subscribe_rest();
        if let Some(converse) = &mut self.converse {
            converse.guard.welcomed(now);
        }
        self.pump_all(now);
    }

    fn subscribed<L: Listener>(&mut self, rooms: Vec<SubscribedRoom>, listener: &mut L) {
        for room in rooms {
            let Some(seat) = self.seats.iter_mut().find(|seat| seat.room == room.room) else { continue };
            match (room.status.as_str(), room.head) {
                ("live" | "resuming", _) if seat.cursor.is_some() => seat.received(),
                ("live" | "reset", Some(head)) => {
                    let cursor = seat.reset(head);
                    listener.began(seat.place, cursor, head, room.reason.as_deref().unwrap_or("live"));
                    if self.converse.is_some() {
                        listener.heard(seat.place, Heard::Forget { revision: head });
                    }
                }
                _ => match room.error {
                    Some(error) if !error.retry => {
                        seat.out();
                        listener.ended(seat.place, &error.code);
                    }
                    error => self.gone = Some(gone_for_now(error.as_ref())),
                },
            }
        }
    }

    fn post_answered<L: Listener>(
        &mut self,
        index: usize,
        n: u32,
        ok: Option<Box<Done>>,
        error: Option<Refused>,
        now: Instant,
        listener: &mut L,
    ) {
        let Some(seat) = self.seats.get_mut(index) else { return };
        match (ok.and_then(|done| done.seq.zip(done.revision)), error) {
            (Some((seq, revision)), _) => {
                seat.posts.answered(n);
                listener.acknowledged(seat.place, n, seq, revision, now);
            }
            (None, Some(error)) if error.retry => {
                let pause = error.retry_after_ms.map_or(Duration::from_millis(20), Duration::from_millis);
                seat.posts.refused(n, now + pause);
                listener.refused(seat.place, n, &error.code, Some(pause), now);
            }
            (None, error) => {
                seat.posts.answered(n);
                let code = error.map_or_else(|| "reply without seq".to_owned(), |error| error.code);
                listener.refused(seat.place, n, &code, None, now);
            }
        }
        self.pump(index, now);
    }
}

/// A refusal that may pass: back when the server said, or soon.
fn gone_for_now(error: Option<&Refused>) -> Gone {
    let told = error.and_then(|error| error.retry_after_ms);
    told.map_or(Gone::Broken, |pause| Gone::Told(Duration::from_millis(pause)))
}

fn cursor_of(seat: &Seat) -> serde_json::Value {
    match seat.cursor {
        Some(cursor) => json!({ "room": seat.room, "cursor": cursor }),
        None => json!({ "room": seat.room }),
    }
}

/// Everything a row says, as one number: two sightings of one revision must agree in it.
pub fn fingerprint(message: &wire::Message<'_>) -> u64 {
    let mut hasher = DefaultHasher::new();
    (message.seq, message.author, message.client_id, &message.text, &message.created_at).hash(&mut hasher);
    hasher.finish()
}
