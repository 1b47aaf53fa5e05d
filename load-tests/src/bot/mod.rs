//! One user of the swarm: a connection, what it has said and heard, and how it comes back.
//!
//! Neighbours: `swarm` owns the bots and their event loop; `report` learns what happened through [`Listener`]. A bot speaks the public
//! protocol only and knows nothing of other bots.

pub mod comeback;
pub mod converse;
pub mod deeds;
pub mod frame;
pub mod guard;
pub mod link;
pub mod posts;
pub mod read_back;
pub mod rest;
pub mod seat;
pub mod talk;
pub mod tokens;
pub mod view;
pub mod wire;

use crate::action::text::Stamp;
use comeback::{ComeBack, Gone};
use deeds::End;
use link::{Link, Target};
use mio::{Interest, Registry, Token};
use std::io;
use std::time::{Duration, Instant};
use talk::{Phase, Talk};
use uuid::Uuid;

/// Where something happened: a member of a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The room's place in the cast.
    pub room: usize,
    /// The member's place among the room's members.
    pub member: usize,
}

/// A message as one member saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sighting {
    pub seq: u64,
    pub revision: u64,
    /// `None` for what this tool did not write.
    pub stamp: Option<Stamp>,
    /// A fingerprint of everything the row says; 0 while measuring.
    pub body: u64,
}

/// What a bot that converses hears, besides sightings.
#[derive(Debug)]
pub enum Heard<'a> {
    /// The revisions (from, to] of the room came; their rows follow.
    Span { from: u64, to: u64 },
    /// A message as it is now.
    Message(&'a wire::Message<'a>),
    /// A reaction came or went.
    Reaction(&'a wire::Reaction<'a>),
    /// A thread has grown or shrunk.
    Thread(&'a wire::Thread),
    /// Somebody's standing in the room.
    Member(&'a wire::Member),
    /// What is known of the room is void, up to here.
    Forget { revision: u64 },
    /// Its person has read up to here, by some device.
    ReadMark(u64),
    /// Somebody types.
    Typing,
    /// Something of a person whom it blocks.
    Shown { user: Uuid, what: &'a str, revision: u64 },
    /// Something of a room that it is told not to receive any more.
    Overheard { to: u64 },
}

/// Who is told what happens to bots. Called from the hot path.
pub trait Listener {
    /// A member saw a message, for the first time or as part of what it missed.
    fn saw(&mut self, place: Place, sighting: Sighting, now: Instant);
    /// A member saw another row: a standing, a timeline line, settings.
    fn saw_other(&mut self, place: Place, revision: u64);
    /// The room is received from `head` on; revisions after `cursor` up to it are not delivered. No cursor: the first time.
    fn began(&mut self, place: Place, cursor: Option<u64>, head: u64, reason: &str);
    /// A post was acknowledged.
    fn acknowledged(&mut self, place: Place, n: u32, seq: u64, revision: u64, now: Instant);
    /// A post was refused, and is sent again after a pause; without one it is not.
    fn refused(&mut self, place: Place, n: u32, code: &str, again: Option<Duration>, now: Instant);
    /// Revisions came that do not follow the cursor, on a connection that had been told to be live.
    fn hole(&mut self, place: Place, cursor: u64, from: u64);
    /// What came again, or rows not in the order of their revision.
    fn disorder(&mut self, place: Place, revision: u64);
    /// Revisions came a second time and were ignored, as the protocol allows.
    fn repeated(&mut self, place: Place);
    /// The room is not received any more.
    fn ended(&mut self, place: Place, code: &str);
    /// Only of bots that converse.
    fn heard(&mut self, place: Place, heard: Heard<'_>);
    /// A deed of a member ended; the fault's code if it was refused.
    fn deed_ended(&mut self, place: Place, no: usize, end: End, code: Option<&str>, now: Instant);
    /// A deed was refused and is tried again later.
    fn deed_waits(&mut self, place: Place, code: &str, now: Instant);
}

/// What a socket is ready for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ready {
    /// Only to be written.
    Write,
    /// To be read.
    Read,
    /// To be read to its end: the server has closed it, or it is broken.
    End,
}

/// What a bot wants of the loop that owns it.
#[derive(Debug, PartialEq, Eq)]
pub enum Wish {
    /// Nothing now.
    Nothing,
    /// A new access token, then to connect.
    Token,
    /// A new access token for the open connection.
    Renewal,
}

/// A bot.
#[derive(Debug)]
pub struct Bot {
    link: Option<Link>,
    /// What it says and knows, over all its connections.
    pub talk: Talk,
    /// Connections that failed or were lost in a row, for the pause before the next.
    failures: u32,
    /// When it may connect again; `None` while connected, waiting for a token, or ended.
    pub connect_at: Option<Instant>,
    /// Connections it lost after having been live.
    pub reconnects: u64,
    /// Why it will not come back.
    pub given_up: Option<String>,
}

impl Bot {
    /// A bot that connects at `now`.
    pub fn new(talk: Talk, now: Instant) -> Self {
        Self { link: None, talk, failures: 0, connect_at: Some(now), reconnects: 0, given_up: None }
    }

    /// Opens the connection; the rest follows with [`Bot::ready`].
    pub fn connect(&mut self, target: &Target, registry: &Registry, token: Token, now: Instant) -> io::Result<()> {
        self.connect_at = None;
        let mut link = Link::open(target, token.0)?;
        registry.register(link.stream(), token, Interest::READABLE | Interest::WRITABLE)?;
        self.link = Some(link);
        self.talk.upgrading(now);
        Ok(())
    }

    /// The socket can be read or written. Returns what the bot wants then.
    pub fn ready<L: Listener>(&mut self, ready: Ready, scratch: &mut [u8], now: Instant, listener: &mut L) -> io::Result<Wish> {
        let Some(link) = &mut self.link else { return Ok(Wish::Nothing) };
        if ready != Ready::Write {
            if !link.upgraded() {
                let upgraded = link.upgrade(scratch);
                self.talk.gone = link.refusal().or(self.talk.gone);
                if upgraded? {
                    self.talk.greet();
                }
            }
            if link.upgraded() {
                let talk = &mut self.talk;
                link.read(scratch, ready == Ready::End, |whole| talk.hear(whole, now, listener))?;
            }
        }
        if self.talk.phase == Phase::Live {
            self.failures = 0;
        }
        self.flush()?;
        if self.talk.gone.is_some() {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        Ok(if std::mem::take(&mut self.talk.wants_renewal) { Wish::Renewal } else { Wish::Nothing })
    }

    /// Writes what is pending.
    pub fn flush(&mut self) -> io::Result<()> {
        match &mut self.link {
            Some(link) => link.write(&mut self.talk.outbox.bytes),
            None => Ok(()),
        }
    }

    /// The connection is gone or was never made. Decides when to come back; [`Wish::Token`] asks for a new one first.
    pub fn lost(&mut self, registry: &Registry, now: Instant, later: Duration, random: f64) -> Wish {
        if let Some(mut link) = self.link.take()
            && let Err(error) = registry.deregister(link.stream())
        {
            self.given_up = Some(error.to_string());
        }
        if self.talk.phase == Phase::Live {
            self.reconnects += 1;
        }
        let gone = self.talk.gone.take().unwrap_or(Gone::Broken);
        self.talk.disconnected();
        self.failures += 1;
        match comeback::decide(gone, self.failures, later, random) {
            ComeBack::After(pause) => {
                self.connect_at = Some(now + pause);
                Wish::Nothing
            }
            ComeBack::WithToken => Wish::Token,
            ComeBack::Never => {
                self.given_up = Some(format!("{gone:?}"));
                self.talk.phase = Phase::Ended;
                Wish::Nothing
            }
        }
    }

    /// Here is a new access token.
    pub fn token(&mut self, token: String, now: Instant) {
        self.talk.token = token;
        if self.talk.phase == Phase::Live {
            self.talk.renew();
        } else if self.link.is_none() {
            self.connect_at = Some(now);
        }
    }

    /// When the bot wants to be woken, whatever its socket does.
    pub fn wake_at(&self) -> Option<Instant> {
        [self.connect_at, self.talk.deadline(), self.talk.hold].into_iter().flatten().min()
    }

    /// Says good-bye, so that the server does not wait for this user.
    pub fn leave(&mut self) -> io::Result<()> {
        self.talk.outbox.close(1000);
        self.flush()
    }
}
