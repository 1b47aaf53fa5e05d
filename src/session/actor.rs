//! The session actor: one connection from its handshake to its end.
//!
//! Purpose: poll the socket, keep the times, pass messages to `commands.rs`. The actor has no messages of its own: the relay of its
//! thread speaks through the outbox and its notes, answers come as futures of the actor, so that nothing is queued twice and an idle
//! session stays small. Neighbours: `socket.rs` moves bytes, `commands.rs` and `following.rs` act, [`SessionThread`] is what all share.
//!
//! Class: temporary. After a panic only its own socket closes, with *internal*, and the client resumes (I8).
//! Invariants: whatever ends a session, it leaves its relay, its rooms and the tracker.

use super::bucket::Bucket;
use super::commands::Open;
use super::decode::Incoming;
use super::gate::Place;
use super::ports::Promise;
use super::socket::{Read, Socket};
use super::thread::SessionThread;
use crate::delivery::frame;
use crate::delivery::outbox::{Flushed, Outbox};
use crate::domain::fault::{Close, Refusal};
use crate::domain::ids::SessionId;
use crate::faults;
use crate::supervision::policy::RestartPolicy;
use crate::supervision::supervisor::ChildSpec;
use crate::telemetry::metrics as names;
use actix::fut::ActorFutureExt;
use actix::{Actor, ActorContext, ActorFuture, AsyncContext, Context, Supervised};
use actix_rt::net::TcpStream;
use bytes::Bytes;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use tokio::time::{Instant, Sleep, sleep_until};

/// So often a socket is read in one turn before others have theirs.
const READS_PER_TURN: usize = 4;

/// One connection.
pub struct Session {
    socket: Socket,
    pub(super) core: Core,
    /// Read together with the request; given to the decoder on the first turn.
    early: Vec<u8>,
    timer: Pin<Box<Sleep>>,
    /// The other side has closed its half.
    ended: bool,
    /// The turn before this one left its writing to this one.
    held_back: bool,
    _place: Place,
}

/// Everything but the socket.
pub(super) struct Core {
    pub(super) thread: Rc<SessionThread>,
    pub(super) id: SessionId,
    pub(super) outbox: Outbox,
    pub(super) stage: Stage,
    /// From `hello` to the close; boxed, as connections that say nothing should cost little.
    pub(super) open: Option<Box<Open>>,
    frames: Bucket,
    /// Frames so far that were no commands.
    pub(super) bad_frames: usize,
    heard_at: Instant,
    /// A ping is out since something was heard.
    pinged: bool,
    /// The current stage ends at this time, for stages that do.
    pub(super) until: Instant,
    /// The timer no longer fits.
    pub(super) rearm: bool,
}

/// Where a connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// No `hello` yet.
    Hello,
    /// `hello` is being looked at; nothing is read meanwhile.
    Greeting,
    /// Anything goes.
    Open,
    /// The close frame waits for the socket to take it.
    Closing,
    /// It is out; the other side's end is awaited.
    Finishing,
}

impl Session {
    /// Runs a session on `stream`, whose first bytes to be written are `answer` and whose first bytes read are `early`.
    pub(super) fn start(thread: Rc<SessionThread>, stream: TcpStream, answer: Bytes, early: Vec<u8>, place: Place) {
        let (shared, id, now) = (&thread.shared, SessionId::generate(), Instant::now());
        let outbox = Outbox::new(shared.config.session.outbox_max.as_usize());
        outbox.push(answer);
        thread.enter(id, &outbox);
        let spec =
            ChildSpec { kind: "session", name: id.to_string().into(), policy: RestartPolicy::TEMPORARY, mailbox_capacity: 1 };
        let until = now + shared.config.server.hello_timeout;
        let socket = Socket::new(stream, shared.config.limits.frame_max.as_usize());
        let supervisor = shared.supervisor.clone();
        let core = Core {
            thread,
            id,
            outbox,
            stage: Stage::Hello,
            open: None,
            frames: Bucket::default(),
            bad_frames: 0,
            heard_at: now,
            pinged: false,
            until,
            rearm: false,
        };
        let timer = Box::pin(sleep_until(until));
        // The address is of no use: nobody sends to a session, so its mailbox needs no setting.
        drop(supervisor.spawn(spec, |_| Self { socket, core, early, timer, ended: false, held_back: false, _place: place }));
    }

    /// One turn: whatever woke the task, everything is looked at.
    fn turn(&mut self, ctx: &mut Context<Self>, cx: &mut std::task::Context<'_>) -> Poll<()> {
        self.core.outbox.set_waker(cx.waker());
        self.keep_time(cx);
        self.core.take_notes(ctx);
        let mut reads = 0;
        loop {
            let before = self.core.stage;
            if self.core.outbox.closed().is_some() {
                self.core.begin_closing();
            }
            self.read(ctx, cx, &mut reads);
            if self.holds_back(cx) {
                return Poll::Pending;
            }
            match self.socket.flush(&self.core.outbox, self.core.thread.shared.relay.tally(), cx) {
                Err(_) => return self.end(ctx),
                Ok(Flushed::Closed(_)) if self.core.stage == Stage::Closing => {
                    self.socket.finish(cx);
                    self.core.stage = Stage::Finishing;
                }
                Ok(Flushed::Empty) => self.core.read_on(ctx),
                Ok(Flushed::Waiting | Flushed::Closed(_)) => {}
            }
            if self.core.is_over(Instant::now()) || (self.ended && self.core.stage == Stage::Finishing) {
                return self.end(ctx);
            }
            if self.core.stage == before && self.core.outbox.closed().is_some() == self.core.is_closing() {
                break;
            }
        }
        if std::mem::take(&mut self.core.rearm) {
            let next = self.core.next_time(Instant::now());
            self.timer.as_mut().reset(next);
            self.keep_time(cx);
        }
        Poll::Pending
    }

    /// Whether what waits is written in the next turn only. A committed post reaches its sender twice, as an event and as a reply; the reply is often
    /// a step behind, in the same round of this thread. Waiting for the end of the round makes one write of two. Not where the round is long.
    fn holds_back(&mut self, cx: &mut std::task::Context<'_>) -> bool {
        let expects = self.core.stage == Stage::Open
            && self.core.open.as_ref().is_some_and(|open| open.in_flight > 0)
            && !self.core.thread.shared.relay.is_crowded();
        self.held_back = expects && !self.held_back && self.core.outbox.waiting_bytes() > 0;
        if self.held_back {
            cx.waker().wake_by_ref();
        }
        self.held_back
    }

    /// Leaves the actor with nothing to do, and so with its end.
    fn end(&mut self, ctx: &mut Context<Self>) -> Poll<()> {
        self.ended = true;
        ctx.stop();
        Poll::Ready(())
    }

    fn read(&mut self, ctx: &mut Context<Self>, cx: &mut std::task::Context<'_>, reads: &mut usize) {
        if self.core.is_closing() {
            self.ended = self.ended || self.socket.poll_discard(cx).is_ready();
            return;
        }
        if !self.early.is_empty() || (self.socket.has_rest() && self.core.listens()) {
            let mut early = std::mem::take(&mut self.early);
            let read = self.socket.decode(&mut early, &mut |incoming| self.core.hear(ctx, incoming));
            self.after_read(read);
        }
        while self.core.listens() && *reads < READS_PER_TURN {
            let Poll::Ready(read) = self.socket.poll_read(cx, &mut |incoming| self.core.hear(ctx, incoming)) else {
                return;
            };
            *reads += 1;
            self.after_read(read);
        }
        if *reads == READS_PER_TURN {
            cx.waker().wake_by_ref();
        }
    }

    fn after_read(&mut self, read: Read) {
        match read {
            Read::Some => {
                self.core.heard_at = Instant::now();
                self.core.pinged = false;
            }
            Read::End => {
                // Nobody is there to read a close frame; what waits is for nobody either.
                self.ended = true;
                self.core.outbox.cut(Close::Normal);
                self.core.begin_closing();
            }
            Read::Wrong(close) => {
                self.core.outbox.close(close);
                self.core.begin_closing();
            }
        }
    }

    fn keep_time(&mut self, cx: &mut std::task::Context<'_>) {
        while self.timer.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            self.core.on_time(now);
            if self.core.is_over(now) {
                return;
            }
            let next = self.core.next_time(now);
            self.timer.as_mut().reset(next);
        }
    }
}

impl Core {
    /// Whether the session takes anything from the socket now: commands without an answer are bounded (I4), and the rest waits there.
    fn listens(&self) -> bool {
        match self.stage {
            Stage::Hello => true,
            Stage::Open => {
                self.open.as_ref().is_some_and(|open| open.in_flight < self.thread.shared.config.limits.commands_in_flight)
            }
            Stage::Greeting | Stage::Closing | Stage::Finishing => false,
        }
    }

    /// Takes one message from the socket; breaks off when no more is wanted now.
    fn hear(&mut self, ctx: &mut Context<Session>, incoming: Incoming<'_>) -> ControlFlow<()> {
        faults::panic_point("session.panic");
        let shared = &self.thread.shared;
        shared.relay.tally().frames_in.add(1);
        if !self.frames.take(shared.config.rates.frames_per_connection, Instant::now().into_std())
            && self.outbox.closed().is_none()
        {
            metrics::counter!(names::RATE_LIMITED, "rate" => "frames_per_connection").increment(1);
            self.outbox.close(Close::TooFast);
        }
        match incoming {
            _ if self.outbox.closed().is_some() => {}
            Incoming::Ping(payload) => drop(self.outbox.push(frame::pong(payload))),
            Incoming::Pong | Incoming::Fragment => {}
            Incoming::Close(code) => self.outbox.answer_close(code),
            Incoming::Text(text) => self.take_text(ctx, &text),
        }
        if self.outbox.closed().is_some() {
            self.begin_closing();
        }
        if self.listens() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }

    fn is_closing(&self) -> bool {
        matches!(self.stage, Stage::Closing | Stage::Finishing)
    }

    /// From here on nothing is heard and nothing is added.
    fn begin_closing(&mut self) {
        if !self.is_closing() {
            self.stage = Stage::Closing;
            self.until = Instant::now() + self.thread.shared.config.session.close_timeout;
            self.rearm = true;
            self.leave();
            self.count_close();
        }
    }

    /// Once per connection, so its metric may be looked up.
    fn count_close(&self) {
        let (_, reason, _) = self.outbox.closed().unwrap_or(Close::Normal).row();
        metrics::counter!(names::SESSIONS_CLOSED, "reason" => reason).increment(1);
    }

    /// The other side had its time to close.
    fn is_over(&self, now: Instant) -> bool {
        self.is_closing() && now >= self.until
    }

    /// Does what is due.
    fn on_time(&mut self, now: Instant) {
        let session = &self.thread.shared.config.session;
        match self.stage {
            Stage::Hello if now >= self.until => self.outbox.close(Close::HelloTimeout),
            Stage::Open => {
                let silent = now.saturating_duration_since(self.heard_at);
                if silent >= session.dead_after {
                    self.outbox.cut(Close::Dead);
                } else if silent >= session.ping_interval && !self.pinged {
                    self.pinged = true;
                    self.outbox.push(frame::ping());
                }
                self.watch_token(now);
            }
            Stage::Hello | Stage::Greeting | Stage::Closing | Stage::Finishing => {}
        }
        if self.outbox.closed().is_some() {
            self.begin_closing();
        }
    }

    /// When something will be due next.
    fn next_time(&self, now: Instant) -> Instant {
        let session = &self.thread.shared.config.session;
        let next = match self.stage {
            Stage::Hello | Stage::Closing | Stage::Finishing => self.until,
            // Whoever looks at `hello` has a deadline of their own.
            Stage::Greeting => now + session.dead_after,
            Stage::Open => {
                let silence = if self.pinged { session.dead_after } else { session.ping_interval };
                let token = self.open.as_ref().map(|open| open.next_token_time(session.token_warning));
                token.into_iter().fold(self.heard_at + silence, Instant::min)
            }
        };
        // A time that has passed was looked at; the timer must not spin on it.
        next.max(now + std::time::Duration::from_millis(1))
    }

    /// Asks somebody; `then` gets the answer, unless the session has ended.
    pub(super) fn ask<T: 'static>(
        &self,
        ctx: &mut Context<Session>,
        answer: Promise<T>,
        then: impl FnOnce(&mut Core, &mut Context<Session>, Result<T, Refusal>) + 'static,
    ) {
        let wrapped = actix::fut::wrap_future::<_, Session>(answer);
        ctx.spawn(wrapped.map(|answer, session: &mut Session, ctx| {
            if !session.core.is_closing() {
                then(&mut session.core, ctx, answer);
            }
        }));
    }
}

impl Actor for Session {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.spawn(Turns);
    }
}

impl Supervised for Session {}

impl Drop for Session {
    fn drop(&mut self) {
        // After a panic, or with its thread: a last word, if the socket takes it at once.
        if !self.ended && !self.core.is_closing() {
            let stopping = self.core.thread.shared.gate.is_closed();
            self.core.outbox.cut(if stopping { Close::Draining } else { Close::Internal });
            self.socket.flush_now(&self.core.outbox, self.core.thread.shared.relay.tally());
            self.core.count_close();
        }
        self.core.leave();
        self.core.thread.leave(self.core.id);
    }
}

/// The turns of a session, as the future that its actor runs.
struct Turns;

impl ActorFuture<Session> for Turns {
    type Output = ();

    fn poll(
        self: Pin<&mut Self>,
        session: &mut Session,
        ctx: &mut Context<Session>,
        cx: &mut std::task::Context<'_>,
    ) -> Poll<()> {
        session.turn(ctx, cx)
    }
}
