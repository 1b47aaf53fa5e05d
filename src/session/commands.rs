//! What each command does: from a text message to questions to the neighbours, and from their answers to replies.
//!
//! One reply per command. What subscribing involves is in `following.rs`, the order of posts in `posting.rs`.

use super::actor::{Core, Session, Stage};
use super::following::{Following, Starting, UserPull};
use super::gate::Ticket;
use super::ports::{Counted, Promise, Proof};
use super::posting::{Accepted, Posting, Target};
use super::resume::Queue;
use crate::delivery::state::Seat;
use crate::domain::fault::{Close, Fault, Refusal};
use crate::domain::ids::{ClientId, RoomId, UserId};
use crate::domain::message::{Post, Written};
use crate::domain::order::Revision;
use crate::domain::time::Timestamp;
use crate::domain::user::Actor;
use crate::faults;
use crate::policy::Hidden;
use crate::protocol::error::ErrorBody;
use crate::protocol::v1::command::{Command, Hello, Malformed, SetPresence, decode};
use crate::protocol::v1::push::{Push, Reconnect, TokenExpiring};
use crate::protocol::v1::reply::{Done, Limits, Outcome, Posted, Renewed, Subscribed, Welcome};
use actix::Context;
use std::collections::HashMap;
use std::time::Duration;
use tokio::time::Instant;

/// A session after its `hello`.
pub(super) struct Open {
    pub(super) actor: Actor,
    /// Counts this session as one of the person's.
    _ticket: Ticket,
    pub(super) seat: Seat,
    expires_at: Timestamp,
    /// The same on the clock of timers.
    token_until: Instant,
    /// The client was told to renew.
    warned: bool,
    pub(super) rooms: HashMap<RoomId, Following>,
    /// Whom the person does not see.
    pub(super) hidden: Hidden,
    /// The number of the latest subscription.
    pub(super) last_number: u32,
    pub(super) queue: Queue,
    pub(super) user: UserPull,
    posting: Posting,
    /// Commands without an answer.
    pub(super) in_flight: usize,
    /// The tracker was told that the device is in use.
    active_at: Instant,
    /// The tracker knows of this session.
    connected: bool,
    /// The server stops: nothing new is begun.
    draining: bool,
}

impl Open {
    /// When the token needs attention next.
    pub(super) fn next_token_time(&self, warning: Duration) -> Instant {
        if self.warned { self.token_until } else { self.token_until.checked_sub(warning).unwrap_or(self.token_until) }
    }
}

impl Core {
    /// A text message: a command, or a frame that is none.
    pub(super) fn take_text(&mut self, ctx: &mut Context<Session>, text: &str) {
        match decode(text) {
            Ok((reference, command)) => {
                self.thread.shared.relay.tally().command(&command);
                self.command(ctx, reference, command);
            }
            Err(malformed) => self.refuse_malformed(malformed),
        }
    }

    fn refuse_malformed(&mut self, malformed: Malformed) {
        self.thread.shared.relay.tally().reply(Some(malformed.fault));
        let error = ErrorBody::because(malformed.fault, malformed.reason);
        self.push_reply(malformed.reference, Outcome::Error(error));
        self.bad_frames += 1;
        if self.stage == Stage::Hello {
            self.outbox.close(Close::Unauthenticated);
        } else if self.bad_frames >= self.thread.shared.config.session.bad_frames_max {
            self.outbox.close(Close::BadCommands);
        }
    }

    fn command(&mut self, ctx: &mut Context<Session>, reference: u64, command: Command) {
        let command = match (self.stage, command) {
            (Stage::Hello, Command::Hello(hello)) => return self.hello(ctx, reference, hello),
            (Stage::Hello, _) => {
                self.refuse(reference, Fault::HelloFirst);
                return self.outbox.close(Close::Unauthenticated);
            }
            (_, Command::Hello(_)) => return self.refuse(reference, Fault::HelloTwice),
            (_, command) => command,
        };
        let Some(open) = &mut self.open else { return };
        let actor = open.actor;
        if open.draining {
            return self.refuse(reference, Fault::Draining);
        }
        match command {
            Command::Post(post) => {
                let forward = post.forward.map(Into::into);
                let written = Written { text: post.text, thread: post.thread, quote: post.quote, forward };
                return self.post(ctx, Target::Room(post.room), reference, (post.client_id, written, post.after));
            }
            Command::PostDirect(post) => {
                let forward = post.forward.map(Into::into);
                let written = Written { text: post.text, forward, ..Written::default() };
                return self.post(ctx, Target::Person(post.user), reference, (post.client_id, written, post.after));
            }
            _ => {}
        }
        if let Err(refusal) = self.thread.shared.neighbours.count(actor.user, Counted::Command) {
            return self.refuse(reference, refusal);
        }
        match command {
            Command::Subscribe(subscribe) => self.subscribe(ctx, reference, subscribe.rooms),
            Command::Unsubscribe(unsubscribe) => {
                unsubscribe.rooms.into_iter().for_each(|room| self.unfollow(room));
                self.done(reference, Done::Nothing {});
            }
            Command::WatchPresence(users) => self.watch(ctx, reference, users.users),
            Command::UnwatchPresence(users) => match self.thread.shared.neighbours.unwatch(self.id, users.users) {
                Ok(()) => self.done(reference, Done::Nothing {}),
                Err(refusal) => self.refuse(reference, refusal),
            },
            Command::SetPresence(state) => self.set_presence(reference, &state),
            Command::Renew(renew) => self.renew(ctx, reference, renew.token),
            Command::Act(act) => {
                let answer = self.thread.shared.neighbours.act(actor, act);
                self.answer_later(ctx, answer, move |core, _, answer| match answer {
                    Ok(done) => core.done(reference, done),
                    Err(refusal) => core.refuse(reference, refusal),
                });
                self.note_active();
            }
            Command::Ping(_) | Command::Hello(_) | Command::Post(_) | Command::PostDirect(_) => {
                self.done(reference, Done::Nothing {});
            }
        }
    }

    // --- hello ---------------------------------------------------------------------------------------------------------------------

    fn hello(&mut self, ctx: &mut Context<Session>, reference: u64, hello: Hello) {
        if hello.rooms.len() > self.thread.shared.config.limits.cursors_per_frame {
            self.refuse(reference, Fault::TooLarge);
            return self.outbox.close(Close::Unauthenticated);
        }
        if faults::hit("session.log_token") {
            tracing::info!(token = hello.token, "hello");
        }
        self.stage = Stage::Greeting;
        self.rearm = true;
        let proof = self.thread.shared.neighbours.authenticate(hello.token.clone());
        self.ask(ctx, proof, move |core, ctx, proof| match proof {
            Ok(proof) => core.greet(ctx, reference, hello, proof),
            Err(refusal) => core.turn_away(reference, refusal),
        });
    }

    /// The bearer is known: takes a place at the relay, then makes sure that the token was not revoked before the relay could have told.
    fn greet(&mut self, ctx: &mut Context<Session>, reference: u64, hello: Hello, proof: Proof) {
        let shared = &self.thread.shared;
        let Actor { user, login, .. } = proof.actor;
        let Some(ticket) = shared.gate.admit(user) else {
            self.refuse(reference, Fault::LimitReached);
            return self.outbox.close(Close::TooMany);
        };
        let seat = shared.relay.register(self.id, user, login, &self.outbox);
        let same_epoch = hello.epoch == Some(shared.neighbours.epoch());
        let now = Instant::now();
        self.open = Some(Box::new(Open {
            actor: proof.actor,
            _ticket: ticket,
            seat,
            expires_at: proof.expires_at,
            token_until: now + self.until_token_ends(proof.expires_at),
            warned: false,
            rooms: HashMap::new(),
            hidden: Hidden::default(),
            last_number: 0,
            queue: Queue::default(),
            user: UserPull::default(),
            posting: Posting::default(),
            in_flight: 0,
            active_at: now,
            connected: false,
            draining: false,
        }));
        let shared = &self.thread.shared;
        let (proof, head) = (shared.neighbours.authenticate(hello.token), shared.neighbours.user_head(user));
        let rooms = self.begin_following(hello.rooms, same_epoch);
        let answer: Promise<_> = Box::pin(async move {
            proof.await?;
            let (head, rooms) = futures_util::join!(head, rooms);
            Ok((head?, rooms))
        });
        self.ask(ctx, answer, move |core, ctx, answer| match answer {
            Ok((head, rooms)) => core.welcome(ctx, reference, (hello.user_cursor, same_epoch, head), rooms),
            Err(refusal) => core.turn_away(reference, refusal),
        });
    }

    fn welcome(
        &mut self,
        ctx: &mut Context<Session>,
        reference: u64,
        (cursor, same_epoch, (head, hidden)): (Option<Revision>, bool, (Revision, Hidden)),
        rooms: Vec<Starting>,
    ) {
        // Before anything is shown.
        self.hide(hidden);
        let rooms = self.finish_following(rooms);
        let config = &self.thread.shared.config;
        let max_changes = config.resume.max_changes as u64;
        let kept = cursor.filter(|cursor| same_epoch && *cursor <= head && head.0 - cursor.0 <= max_changes);
        let Some(open) = &mut self.open else { return };
        open.user.start(kept.unwrap_or(Revision::ZERO), head);
        self.thread.shared.relay.stream_sent(open.seat, kept.unwrap_or(Revision::ZERO));
        open.connected = true;
        let welcome = Welcome {
            session: self.id,
            user: open.actor.user,
            epoch: self.thread.shared.neighbours.epoch(),
            user_head: head,
            user_reset: kept.is_none(),
            rooms,
            token_expires_at: open.expires_at,
            server_time: self.thread.shared.clock.now(),
            ping_interval_ms: u64::try_from(config.session.ping_interval.as_millis()).unwrap_or(u64::MAX),
            limits: Limits {
                text_max_bytes: config.limits.text_max.bytes(),
                frame_max_bytes: config.limits.frame_max.bytes(),
                rooms_per_frame: config.limits.cursors_per_frame as u64,
                watches: config.limits.watches_per_session as u64,
                posts_in_flight: config.limits.posts_in_flight as u64,
            },
        };
        let user = open.actor.user;
        self.stage = Stage::Open;
        self.rearm = true;
        self.done(reference, Done::Welcome(Box::new(welcome)));
        self.thread.shared.neighbours.connected(self.id, user, self.thread.shared.relay.handle());
        self.read_on(ctx);
    }

    /// `hello` failed, and closes as the table of PROTOCOL §8 says. A refusal that may pass leaves the socket open for another `hello`, as long
    /// as there is time for one.
    fn turn_away(&mut self, reference: u64, refusal: Refusal) {
        self.refuse(reference, refusal);
        self.leave();
        self.stage = Stage::Hello;
        self.rearm = true;
        match refusal.fault {
            fault if fault.row().retry => {}
            Fault::TokenExpired => self.outbox.close(Close::TokenExpired),
            _ => self.outbox.close(Close::Unauthenticated),
        }
    }

    // --- posts ---------------------------------------------------------------------------------------------------------------------

    fn post(
        &mut self,
        ctx: &mut Context<Session>,
        target: Target,
        reference: u64,
        (client_id, written, after): (ClientId, Written, Option<ClientId>),
    ) {
        let limits = &self.thread.shared.config.limits;
        let Some(open) = &mut self.open else { return };
        let (user, neighbours) = (open.actor.user, &self.thread.shared.neighbours);
        let post = match Post::compose(user, client_id, written, limits.text_max.as_usize()) {
            Ok(post) => post,
            Err(fault) => return self.refuse(reference, fault),
        };
        let count = || neighbours.count(user, Counted::Post);
        match open.posting.accept(target, reference, post, after, limits.posts_in_flight, count) {
            Accepted::Refused(refusal) => self.refuse(reference, refusal),
            Accepted::Gathered => open.in_flight += 1,
            Accepted::Send(group) => {
                open.in_flight += 1;
                self.send_group(ctx, target, group);
            }
        }
        self.note_active();
    }

    fn send_group(&mut self, ctx: &mut Context<Session>, target: Target, group: Vec<Post>) {
        let Some(actor) = self.open.as_ref().map(|open| open.actor) else { return };
        let neighbours = &self.thread.shared.neighbours;
        let answer = match target {
            Target::Room(room) => neighbours.post(room, actor, group),
            Target::Person(user) => one_by_one(group, |post| neighbours.post_direct(actor, user, post)),
        };
        self.ask(ctx, answer, move |core, ctx, answers| {
            let Some(open) = &mut core.open else { return };
            let answered = open.posting.answered(target, answers);
            open.in_flight = open.in_flight.saturating_sub(answered.replies.len());
            for (reference, answer) in answered.replies {
                match answer {
                    Ok(posted) => core.done(reference, Done::Posted(posted)),
                    Err(refusal) => core.refuse(reference, refusal),
                }
            }
            if let Some(group) = answered.next {
                core.send_group(ctx, target, group);
            }
            core.close_if_drained();
        });
    }

    // --- others --------------------------------------------------------------------------------------------------------------------

    fn subscribe(&mut self, ctx: &mut Context<Session>, reference: u64, rooms: Vec<crate::protocol::v1::command::RoomCursor>) {
        if rooms.len() > self.thread.shared.config.limits.cursors_per_frame {
            return self.refuse(reference, Fault::TooLarge);
        }
        // The cursors of a subscribe belong to the epoch its client was welcomed with.
        let starting = self.begin_following(rooms, true);
        self.answer_later(ctx, Box::pin(async move { Ok(starting.await) }), move |core, ctx, rooms: Result<Vec<Starting>, _>| {
            let rooms = core.finish_following(rooms.unwrap_or_default());
            core.done(reference, Done::Subscribed(Subscribed { rooms }));
            core.read_on(ctx);
        });
    }

    fn watch(&mut self, ctx: &mut Context<Session>, reference: u64, users: Vec<UserId>) {
        if users.len() > self.thread.shared.config.limits.watches_per_session {
            return self.refuse(reference, Fault::TooLarge);
        }
        let answer = self.thread.shared.neighbours.watch(self.id, users);
        self.answer_later(ctx, answer, move |core, _, answer| match answer {
            Ok(()) => core.done(reference, Done::Nothing {}),
            Err(refusal) => core.refuse(reference, refusal),
        });
    }

    fn set_presence(&mut self, reference: u64, command: &SetPresence) {
        let Some(open) = &self.open else { return };
        self.thread.shared.relay.set_device(open.seat, command.state);
        self.thread.shared.neighbours.device(self.id, Some(command.state));
        self.done(reference, Done::Nothing {});
    }

    fn renew(&mut self, ctx: &mut Context<Session>, reference: u64, token: String) {
        let proof = self.thread.shared.neighbours.authenticate(token);
        self.answer_later(ctx, proof, move |core, _, proof| {
            let until = proof.map(|proof| (proof, Instant::now() + core.until_token_ends(proof.expires_at)));
            let Some(open) = &mut core.open else { return };
            match until {
                Err(refusal) => core.refuse(reference, refusal),
                // A socket stays with the login it began with: revocations go by it.
                Ok((proof, _)) if proof.actor.login != open.actor.login => core.refuse(reference, Fault::Unauthenticated),
                Ok((proof, until)) => {
                    open.actor = proof.actor;
                    open.expires_at = proof.expires_at;
                    open.token_until = until;
                    open.warned = false;
                    core.rearm = true;
                    core.done(reference, Done::Renewed(Renewed { token_expires_at: proof.expires_at }));
                }
            }
        });
    }

    /// Warns before the token ends, and closes when it has (§4 of the design: no socket outlives its token).
    pub(super) fn watch_token(&mut self, now: Instant) {
        let warning = self.thread.shared.config.session.token_warning;
        let Some(open) = &mut self.open else { return };
        if now >= open.token_until {
            self.outbox.close(Close::TokenExpired);
        } else if !open.warned && now >= open.next_token_time(warning) {
            open.warned = true;
            let expires_at = open.expires_at;
            self.push(&Push::TokenExpiring(TokenExpiring { expires_at }));
        }
    }

    /// What the relay and the thread have noted.
    pub(super) fn take_notes(&mut self, ctx: &mut Context<Session>) {
        let notes = self.outbox.take_notes();
        if notes.is_empty() || self.outbox.closed().is_some() {
            return;
        }
        for (room, fault) in notes.ended {
            self.following_ended(room, fault);
        }
        if let Some(changes) = notes.user_changes {
            self.take_user_changes(&changes);
        }
        if let (Some(head), Some(open)) = (notes.user_head, &mut self.open) {
            open.user.grown_to(head);
        }
        self.read_on(ctx);
        if let Some(after) = notes.drain {
            let after_ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
            self.push(&Push::Reconnect(Reconnect { after_ms }));
            if let Some(open) = &mut self.open {
                open.draining = true;
            }
            self.close_if_drained();
        }
    }

    /// When the server stops a socket closes once everything that was asked over it has been answered.
    pub(super) fn close_if_drained(&mut self) {
        let drained = match &self.open {
            Some(open) => open.draining && open.in_flight == 0,
            None => self.thread.shared.gate.is_closed(),
        };
        if drained {
            self.outbox.close(Close::Draining);
        }
    }

    /// Leaves the relay, the rooms and the tracker.
    pub(super) fn leave(&mut self) {
        let Some(open) = self.open.take() else { return };
        let shared = &self.thread.shared;
        for room in open.rooms.keys() {
            if let Some(attachment) = shared.relay.unsubscribe(open.seat, *room) {
                shared.neighbours.detach(*room, shared.relay.handle(), attachment);
            }
        }
        shared.relay.unregister(open.seat);
        if open.connected {
            shared.neighbours.disconnected(self.id);
        }
    }

    /// The tracker hears now and then that a device is in use, not with every post.
    fn note_active(&mut self) {
        let pause = self.thread.shared.config.presence.last_active_flush;
        let Some(open) = &mut self.open else { return };
        if open.active_at.elapsed() >= pause {
            open.active_at = Instant::now();
            self.thread.shared.neighbours.device(self.id, None);
        }
    }

    fn until_token_ends(&self, expires_at: Timestamp) -> Duration {
        (expires_at - self.thread.shared.clock.now()).to_std().unwrap_or_default()
    }
}

/// A person's room may not exist before the first post made it, so their posts are asked for one at a time.
fn one_by_one(group: Vec<Post>, ask: impl FnOnce(Post) -> Promise<Posted>) -> Promise<Vec<Result<Posted, Refusal>>> {
    match group.into_iter().next() {
        None => Box::pin(std::future::ready(Ok(Vec::new()))),
        Some(post) => {
            let answer = ask(post);
            Box::pin(async move { Ok(vec![answer.await]) })
        }
    }
}
