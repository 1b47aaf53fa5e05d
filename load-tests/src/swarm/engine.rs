//! The event loop: one thread, one epoll, one read buffer for all bots.
//!
//! A task per connection would cost more per delivery than a good server does; then the swarm would measure itself. Neighbours: [`Bot`] does
//! the talking, [`Records`] keeps what is heard, [`Pace`] says when to post.

use super::cast::Cast;
use super::records::Records;
use crate::action::mix::Mix;
use crate::action::pace::{Pace, Turns};
use crate::action::text::Stamp;
use crate::bot::comeback::Gone;
use crate::bot::converse::Converse;
use crate::bot::link::Target;
use crate::bot::rest::Rest;
use crate::bot::talk::{Phase, Talk};
use crate::bot::tokens::{Credentials, Tokens};
use crate::bot::{Bot, Place, Ready, Wish, seat::Seat};
use crate::report::meter::Latency;
use mio::{Events, Poll, Token, Waker};
use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, VecDeque};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// The token of the thread that renews logins; bots have the others.
const WAKER: Token = Token(usize::MAX);
/// Larger than any page of catch-up; touched only as far as something is read.
const SCRATCH: usize = 2 * 1024 * 1024;
/// Sockets served before looking whether a post is due.
const SERVED_AT_ONCE: usize = 32;

/// How bots connect and come back.
#[derive(Clone, Copy, Debug)]
pub struct Manners {
    /// Handshakes under way at the same time.
    pub at_once: usize,
    /// The span of "later" in close codes.
    pub later: Duration,
    /// Read every frame in full.
    pub in_full: bool,
    /// Bytes of a text.
    pub text_bytes: usize,
    /// What people do.
    pub mix: Mix,
    /// A block holds so long after its answer, whatever was told.
    pub felt_within: Duration,
}

/// See the module.
#[derive(Debug)]
pub struct Engine {
    poll: Poll,
    events: Events,
    target: Target,
    pub(super) manners: Manners,
    pub bots: Vec<Bot>,
    pub records: Records,
    credentials: Vec<Credentials>,
    tokens: Tokens,
    /// Which bot sits at a place, and which of its seats it is.
    pub(super) who: Vec<Vec<(usize, usize)>>,
    /// People who read a room for the verdict: they block nobody.
    pub(super) readers: BTreeSet<usize>,
    timers: BinaryHeap<Reverse<(Instant, usize)>>,
    scheduled: Vec<Option<Instant>>,
    waiting: VecDeque<usize>,
    connecting: usize,
    pub(super) unsent: Vec<usize>,
    scratch: Vec<u8>,
    pub pace: Pace,
    turns: Turns,
    /// Posts are meant for instants before this, since `records.begun`.
    pub posts_until: Duration,
    /// From the connection's beginning to the welcome, of each connection.
    pub welcomed: Vec<Duration>,
    /// From each end of a live connection to the next welcome.
    pub welcomed_again: Latency,
    connect_begun: Vec<Instant>,
    /// Since when a bot that had been live is not.
    lost_at: Vec<Option<Instant>>,
}

impl Engine {
    /// A loop for all people of `cast`, none of them connected yet. At most `senders` per room post.
    pub fn new(target: Target, rest: Rest, cast: &Cast, manners: Manners, records: Records, senders: usize) -> io::Result<Self> {
        let now = Instant::now();
        let poll = Poll::new()?;
        let tokens = Tokens::start(rest, Arc::new(Waker::new(poll.registry(), WAKER)?))?;
        let mut seats: Vec<Vec<Seat>> = cast.people.iter().map(|_| Vec::new()).collect();
        let mut who = Vec::new();
        for (number, room) in cast.rooms.iter().enumerate() {
            let mut row = Vec::new();
            for (member, person) in room.members.iter().enumerate() {
                let Some(seats) = seats.get_mut(*person) else { continue };
                row.push((*person, seats.len()));
                seats.push(Seat::new(Place { room: number, member }, room.id));
            }
            who.push(row);
        }
        let talk = |(index, seats): (usize, Vec<Seat>)| {
            let token = cast.people.get(index).map(|person| person.login.access.clone()).unwrap_or_default();
            let mut talk = Talk::new(index, token, seats, manners.in_full, now);
            talk.converse = manners.mix.converses().then(|| Box::new(Converse::new(manners.felt_within)));
            Bot::new(talk, now)
        };
        let bots: Vec<_> = seats.into_iter().enumerate().map(talk).collect();
        let credentials = cast.people.iter().map(|person| Credentials {
            name: person.name.clone(),
            password: person.password.clone(),
            login: person.login.clone(),
        });
        Ok(Self {
            poll,
            events: Events::with_capacity(1024),
            target,
            manners,
            credentials: credentials.collect(),
            tokens,
            timers: (0..bots.len()).map(|index| Reverse((now, index))).collect(),
            scheduled: vec![Some(now); bots.len()],
            connect_begun: vec![now; bots.len()],
            lost_at: vec![None; bots.len()],
            turns: Turns::new(who.iter().map(Vec::len), senders),
            bots,
            records,
            readers: who.iter().filter_map(|room: &Vec<(usize, usize)>| Some(room.first()?.0)).collect(),
            who,
            waiting: VecDeque::new(),
            connecting: 0,
            unsent: Vec::new(),
            scratch: vec![0; SCRATCH],
            pace: Pace::Silent,
            posts_until: Duration::ZERO,
            welcomed: Vec::new(),
            welcomed_again: Latency::new().ok_or(io::ErrorKind::OutOfMemory)?,
        })
    }

    /// Bots that are welcomed now.
    pub fn live(&self) -> usize {
        self.bots.iter().filter(|bot| bot.talk.phase == Phase::Live).count()
    }

    /// Waits for something to happen, until `until` at the latest, and sees to it.
    pub fn turn(&mut self, until: Instant) -> io::Result<()> {
        let now = Instant::now();
        let due = if self.posts_until.is_zero() { None } else { self.pace.next_at().filter(|at| *at < self.posts_until) };
        let due = due.map(|at| self.records.begun + at);
        let timer = self.timers.peek().map(|Reverse((at, _))| *at);
        let wake = [due, timer].into_iter().flatten().fold(until, Instant::min);
        match self.poll.poll(&mut self.events, Some(wake.saturating_duration_since(now))) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        let happened: Vec<(Token, Ready)> = self.events.iter().map(|event| (event.token(), what(event))).collect();
        self.post_due();
        for part in happened.chunks(SERVED_AT_ONCE) {
            for (token, ready) in part {
                if *token == WAKER {
                    self.take_tokens();
                } else {
                    self.serve(token.0, *ready);
                }
            }
            self.post_due();
        }
        self.tick();
        Ok(())
    }

    /// Lets a closed loop begin: fills every room.
    pub fn fill(&mut self) {
        for room in 0..self.who.len() {
            self.refill(room);
        }
        self.flush();
    }

    /// Everybody goes, and comes back at once with cursors.
    pub fn part(&mut self) {
        let now = Instant::now();
        for index in 0..self.bots.len() {
            let Some(bot) = self.bots.get_mut(index) else { continue };
            // Whether the good-bye is heard does not matter: the connection ends either way.
            drop(bot.leave());
            bot.talk.gone = Some(Gone::Told(Duration::ZERO));
            self.lost(index, now);
        }
    }

    /// Has a bot's socket served.
    fn serve(&mut self, index: usize, ready: Ready) {
        let now = Instant::now();
        let Some(bot) = self.bots.get_mut(index) else { return };
        let before = bot.talk.phase;
        let wish = bot.ready(ready, &mut self.scratch, now, &mut self.records);
        if before != Phase::Live && bot.talk.phase == Phase::Live {
            self.connecting = self.connecting.saturating_sub(1);
            let begun = self.connect_begun.get(index).copied().unwrap_or(now);
            self.welcomed.push(now.saturating_duration_since(begun));
            if let Some(lost) = self.lost_at.get_mut(index).and_then(Option::take) {
                self.welcomed_again.record(now.saturating_duration_since(lost));
            }
        }
        match wish {
            Ok(Wish::Nothing) => {}
            Ok(Wish::Token | Wish::Renewal) => self.ask_token(index),
            Err(_) => self.lost(index, now),
        }
        self.schedule(index);
        while let Some(room) = self.records.released.pop() {
            self.pace.done(room);
            self.refill(room);
        }
    }

    fn lost(&mut self, index: usize, now: Instant) {
        let Some(bot) = self.bots.get_mut(index) else { return };
        if matches!(bot.talk.phase, Phase::Upgrading | Phase::Greeting) {
            self.connecting = self.connecting.saturating_sub(1);
        }
        if bot.talk.phase == Phase::Live
            && let Some(lost) = self.lost_at.get_mut(index)
        {
            *lost = Some(now);
            bot.talk.seats.iter().for_each(|seat| self.records.lost(seat.place, now));
        }
        let wish = bot.lost(self.poll.registry(), now, self.manners.later, rand::random());
        if bot.given_up.is_some() {
            let places: Vec<_> = bot.talk.seats.iter().map(|seat| seat.place).collect();
            places.into_iter().for_each(|place| self.records.leave(place));
        } else if wish != Wish::Nothing {
            self.ask_token(index);
        }
        self.schedule(index);
    }

    fn ask_token(&self, index: usize) {
        if let Some(credentials) = self.credentials.get(index) {
            self.tokens.renew(index, credentials.clone());
        }
    }

    fn take_tokens(&mut self) {
        let now = Instant::now();
        let renewed: Vec<_> = self.tokens.take().collect();
        for (index, renewed) in renewed {
            let Some(bot) = self.bots.get_mut(index) else { continue };
            match renewed {
                Ok(login) => {
                    bot.token(login.access.clone(), now);
                    if let Some(credentials) = self.credentials.get_mut(index) {
                        credentials.login = login;
                    }
                }
                Err(reason) => bot.given_up = Some(reason),
            }
            self.unsent.push(index);
            self.schedule(index);
        }
        self.flush();
    }

    /// Sees to it that the bot is woken when it wants to be.
    fn schedule(&mut self, index: usize) {
        let (Some(bot), Some(scheduled)) = (self.bots.get(index), self.scheduled.get_mut(index)) else { return };
        if let Some(at) = bot.wake_at()
            && scheduled.is_none_or(|known| at < known)
        {
            *scheduled = Some(at);
            self.timers.push(Reverse((at, index)));
        }
    }

    /// Wakes the bots whose time has come, and lets those connect whose turn it is.
    fn tick(&mut self) {
        let now = Instant::now();
        while let Some(Reverse((at, index))) = self.timers.peek().copied().filter(|Reverse((at, _))| *at <= now) {
            self.timers.pop();
            if self.scheduled.get(index).copied().flatten() != Some(at) {
                continue;
            }
            if let Some(scheduled) = self.scheduled.get_mut(index) {
                *scheduled = None;
            }
            self.wake(index, now);
            self.schedule(index);
        }
        while self.connecting < self.manners.at_once
            && let Some(index) = self.waiting.pop_front()
        {
            self.connect(index, now);
        }
        self.flush();
    }

    fn wake(&mut self, index: usize, now: Instant) {
        let Some(bot) = self.bots.get_mut(index) else { return };
        if bot.connect_at.is_some_and(|at| at <= now) {
            bot.connect_at = None;
            self.waiting.push_back(index);
        }
        bot.talk.tick(now);
        self.unsent.push(index);
        if bot.talk.gone.is_some() {
            self.lost(index, now);
        }
    }

    fn connect(&mut self, index: usize, now: Instant) {
        let Some(bot) = self.bots.get_mut(index) else { return };
        self.connecting += 1;
        if let Some(begun) = self.connect_begun.get_mut(index) {
            *begun = now;
        }
        let connected = bot.connect(&self.target, self.poll.registry(), Token(index), now);
        if connected.is_err() {
            // Before the phase changed, `lost` does not count it out.
            if bot.talk.phase == Phase::Offline {
                self.connecting = self.connecting.saturating_sub(1);
            }
            self.lost(index, now);
        }
        self.schedule(index);
    }

    /// Hands out the posts of an open loop whose time has come.
    fn post_due(&mut self) {
        let since = Instant::now().saturating_duration_since(self.records.begun);
        while let Some(at) = self.pace.next_at().filter(|at| *at <= since && *at < self.posts_until) {
            self.pace.issued();
            if let Some(place) = self.turns.anywhere() {
                self.take_turn(place, at);
            }
        }
        self.flush();
    }

    /// Posts in `room` what a closed loop allows.
    fn refill(&mut self, room: usize) {
        let since = Instant::now().saturating_duration_since(self.records.begun);
        while since < self.posts_until && self.pace.take(room) {
            match self.turns.within(room) {
                Some(place) => self.take_turn(place, since),
                None => return,
            }
        }
    }

    /// A member does what is next.
    fn take_turn(&mut self, place: Place, meant: Duration) {
        match self.manners.mix {
            Mix::Posts => self.say(place, meant, None),
            Mix::Talk => self.converse(place, self.manners.mix.turn(rand::random_range(0..1000)), meant),
        }
    }

    pub(super) fn say(&mut self, place: Place, meant: Duration, thread: Option<u64>) {
        let Some((index, seat)) = self.who.get(place.room).and_then(|room| room.get(place.member)).copied() else { return };
        let Some(bot) = self.bots.get_mut(index) else { return };
        let client_id = Uuid::now_v7();
        let Some(n) = self.records.ledger.posting(place, client_id, thread) else { return };
        self.records.posting(place, meant);
        let (room, sender) = (u32::try_from(place.room).unwrap_or(u32::MAX), u32::try_from(place.member).unwrap_or(u32::MAX));
        let mut text = Stamp { run: self.records.ledger.run, room, sender, n, meant }.write(self.manners.text_bytes);
        if self.records.mentions(n) {
            text.push_str(" @room");
        }
        if let Some(seat) = bot.talk.seats.get_mut(seat) {
            seat.posts.push(n, client_id, text, thread);
        }
        bot.talk.pump(seat, Instant::now());
        self.unsent.push(index);
    }

    /// Writes what posts have gathered: one write per bot, however many there are.
    pub fn flush(&mut self) {
        while let Some(index) = self.unsent.pop() {
            let failed = self.bots.get_mut(index).is_some_and(|bot| bot.flush().is_err());
            if failed {
                self.lost(index, Instant::now());
            }
        }
    }
}

/// What an event says. An end that came together with data is told once only.
fn what(event: &mio::event::Event) -> Ready {
    if event.is_read_closed() || event.is_error() {
        Ready::End
    } else if event.is_readable() {
        Ready::Read
    } else {
        Ready::Write
    }
}
