//! Receiving rooms and one's own stream: from a cursor to live, without a gap or a repeat (I6, I7).
//!
//! For a room: subscribe at the relay (which notes heads and shows nothing), ask the room for its head, decide what the cursor is worth,
//! send what was missed in pages, behind each what the relay has kept of what follows it, and go live exactly when that has reached the
//! newest head the relay has seen. For the person's own stream: the relay notes that it has grown, the session reads on. Pages are read
//! only while the socket keeps up (I4).

use super::actor::{Core, Session, Stage};
use super::ports::{Attached, Neighbours, Promise};
use super::resume::{Behind, Question, Start, Turn, decide};
use crate::delivery::state::CaughtUp;
use crate::delivery::tally::Resumed;
use crate::domain::fault::{Close, Fault, Refusal};
use crate::domain::ids::RoomId;
use crate::domain::order::Revision;
use crate::domain::stream::UserChanges;
use crate::faults;
use crate::policy::{Hidden, View};
use crate::protocol::error::ErrorBody;
use crate::protocol::v1::command::RoomCursor;
use crate::protocol::v1::push::{Push, Unsubscribed};
use crate::protocol::v1::reply::{self, SubscribedRoom};
use crate::store::streams::{PageMax, Part};
use actix::{AsyncContext, Context};
use futures_util::future::LocalBoxFuture;
use std::rc::Rc;
use std::sync::Arc;

/// A room the session receives, or is about to.
pub(super) struct Following {
    /// Tells this subscription from an earlier one of the same room.
    number: u32,
    /// Boxed: rooms that are live, nearly all, have none.
    behind: Option<Box<Behind>>,
}

/// A subscription whose room has answered.
pub(super) struct Starting {
    asked: RoomCursor,
    same_epoch: bool,
    number: u32,
    answer: Result<Attached, Refusal>,
}

/// How far the person's own stream has been sent.
#[derive(Default)]
pub(super) struct UserPull {
    cursor: Revision,
    target: Revision,
    reading: bool,
}

impl UserPull {
    pub(super) fn start(&mut self, cursor: Revision, head: Revision) {
        self.cursor = cursor;
        self.target = self.target.max(head);
    }

    pub(super) fn grown_to(&mut self, head: Revision) {
        self.target = self.target.max(head);
    }

    /// Whether these changes are what comes next, and nobody reads them.
    fn is_next(&self, changes: &UserChanges) -> bool {
        !self.reading && self.cursor == changes.from
    }

    fn is_behind(&self) -> bool {
        self.cursor < self.target
    }
}

impl Core {
    /// Subscribes at the relay and asks the rooms. The relay comes first: what a room commits after its answer is not missed.
    pub(super) fn begin_following(&mut self, rooms: Vec<RoomCursor>, same_epoch: bool) -> LocalBoxFuture<'static, Vec<Starting>> {
        let asked: Vec<_> = rooms.into_iter().map(|asked| self.begin_one(asked, same_epoch)).collect();
        Box::pin(futures_util::future::join_all(asked))
    }

    fn begin_one(&mut self, asked: RoomCursor, same_epoch: bool) -> LocalBoxFuture<'static, Starting> {
        let shared = &self.thread.shared;
        let refused = |fault: Fault| Starting { asked, same_epoch, number: 0, answer: Err(fault.into()) };
        let Some(open) = &mut self.open else {
            return Box::pin(std::future::ready(refused(Fault::Unavailable)));
        };
        if open.rooms.len() >= shared.config.limits.subscriptions_per_session && !open.rooms.contains_key(&asked.room) {
            return Box::pin(std::future::ready(refused(Fault::LimitReached)));
        }
        let Some(subscribed) = shared.relay.subscribe(open.seat, asked.room) else {
            return Box::pin(std::future::ready(refused(Fault::Unavailable)));
        };
        open.last_number += 1;
        let number = open.last_number;
        open.rooms.insert(asked.room, Following { number, behind: None });
        let seen = RoomCursor { cursor: asked.cursor.filter(|_| same_epoch), ..asked };
        let answer = shared.neighbours.attach(seen, open.actor.user, shared.relay.handle(), subscribed.attachment);
        Box::pin(async move { Starting { asked, same_epoch, number, answer: answer.await } })
    }

    /// The rooms have answered: says how each subscription starts and begins the catching up.
    pub(super) fn finish_following(&mut self, rooms: Vec<Starting>) -> Vec<SubscribedRoom> {
        let finish = |starting: Starting| {
            let RoomCursor { room, cursor } = starting.asked;
            let start = match self.finish_one(starting) {
                Ok(start) => start,
                Err(refusal) => reply::Start::Refused { error: ErrorBody::from(self.answerable(refusal)) },
            };
            if let Some(cursor) = cursor {
                self.count_resumed(cursor, &start);
            }
            SubscribedRoom { room, start }
        };
        rooms.into_iter().map(finish).collect()
    }

    fn count_resumed(&self, cursor: Revision, start: &reply::Start) {
        let (how, missed) = match start {
            reply::Start::Live { .. } => (Resumed::Current, 0),
            reply::Start::Resuming { head } => (Resumed::CaughtUp, head.0.saturating_sub(cursor.0)),
            reply::Start::Reset { .. } => (Resumed::Reset, 0),
            reply::Start::Refused { .. } => (Resumed::Refused, 0),
        };
        self.thread.shared.relay.tally().resumed(how, missed);
    }

    fn finish_one(&mut self, starting: Starting) -> Result<reply::Start, Refusal> {
        let Starting { asked: RoomCursor { room, cursor }, same_epoch, number, answer } = starting;
        if !self.is_current(Turn { room, number }) {
            // Subscribed anew, unsubscribed or ended before the room answered.
            let anew = self.open.as_ref().is_some_and(|open| open.rooms.contains_key(&room));
            return Err(answer.err().unwrap_or(if anew { Fault::Busy } else { Fault::NotMember }.into()));
        }
        let Attached { head, newest, sight } = answer.inspect_err(|_| self.unfollow(room))?;
        let Some(open) = &mut self.open else { return Err(Fault::Unavailable.into()) };
        if !self.thread.shared.relay.admit(open.seat, room, head, sight) {
            // Left and come back since the room answered. Told to come again, the client gets an answer that knows it.
            self.unfollow(room);
            return Err(Fault::Busy.into());
        }
        let joined = sight.joined_revision;
        let max_changes = self.thread.shared.config.resume.max_changes;
        let (start, from) = match decide(Question { cursor, same_epoch, head: newest, joined, max_changes }) {
            Start::Live => (reply::Start::Live { head: newest }, newest),
            Start::Resume => (reply::Start::Resuming { head: newest }, cursor.unwrap_or(newest)),
            Start::Reset(reason) => (reply::Start::Reset { head: newest, reason }, newest),
        };
        if let Some(following) = open.rooms.get_mut(&room) {
            following.behind = Some(Box::new(Behind { sight, cursor: from, target: newest }));
        }
        self.advance(Turn { room, number }, from, false);
        if self.is_current(Turn { room, number }) { Ok(start) } else { Err(Fault::NotMember.into()) }
    }

    /// A subscription has been sent everything up to `to`: it goes live, or reads on, as it must if there are messages behind that (I7).
    fn advance(&mut self, turn: Turn, to: Revision, more: bool) {
        let Some(open) = &mut self.open else { return };
        let Some(following) = open.rooms.get_mut(&turn.room) else { return };
        let Some(behind) = &mut following.behind else { return };
        // The breach of I7 goes live without what was missed.
        let to = if faults::hit("session.skip_pages") { behind.target } else { to };
        behind.cursor = to;
        if more || behind.cursor < behind.target {
            return open.queue.add(turn);
        }
        match self.thread.shared.relay.caught_up(open.seat, turn.room, to) {
            CaughtUp::Live => following.behind = None,
            CaughtUp::Behind(head) => {
                behind.target = head;
                open.queue.add(turn);
            }
            // The note that says why is on its way.
            CaughtUp::Ended => drop(open.rooms.remove(&turn.room)),
        }
    }

    /// Stops receiving a room.
    pub(super) fn unfollow(&mut self, room: RoomId) {
        let Some(open) = &mut self.open else { return };
        let shared = &self.thread.shared;
        if open.rooms.remove(&room).is_some()
            && let Some(attachment) = shared.relay.unsubscribe(open.seat, room)
        {
            shared.neighbours.detach(room, shared.relay.handle(), attachment);
        }
    }

    /// The relay has ended a subscription.
    pub(super) fn following_ended(&mut self, room: RoomId, fault: Fault) {
        if let Some(open) = &mut self.open {
            open.rooms.remove(&room);
        }
        // Before the welcome the reply to `hello` says it.
        if self.stage == Stage::Open {
            self.push(&Push::Unsubscribed(Unsubscribed { room, code: fault.row().code }));
        }
    }

    /// Reads and sends what is missing, as far as the socket keeps up. Called whenever it may have become possible.
    pub(super) fn read_on(&mut self, ctx: &mut Context<Session>) {
        // Nothing is sent before the welcome, and most turns find nothing to do.
        let idle = self.open.as_mut().is_none_or(|open| !open.user.is_behind() && open.queue.is_idle());
        if idle || self.stage != Stage::Open {
            return;
        }
        let config = Arc::clone(&self.thread.shared.config);
        let space = config.session.outbox_max.as_usize() / 2;
        while self.outbox.waiting_bytes() < space {
            let Some(open) = &mut self.open else { return };
            if open.user.is_behind() && !open.user.reading {
                self.read_user_page(ctx);
                continue;
            }
            let Some((turn, page)) = open.queue.next_to_send() else { break };
            self.send_page(turn, &page, space);
        }
        while let Some(open) = &mut self.open
            && let Some(turn) = open.queue.next_to_read(config.resume.pages_in_flight)
        {
            self.read_room_page(ctx, turn);
        }
    }

    fn read_room_page(&mut self, ctx: &mut Context<Session>, turn: Turn) {
        let Some(open) = &mut self.open else { return };
        let following = open.rooms.get(&turn.room).filter(|following| following.number == turn.number);
        let Some(behind) = following.and_then(|following| following.behind.as_deref()).copied() else {
            return open.queue.was_read(turn, None);
        };
        let shared = &self.thread.shared;
        let max = PageMax { rows: shared.config.resume.page_rows, bytes: shared.config.session.share() };
        let hidden = open.hidden.clone();
        let member = (open.actor.user, View { sight: behind.sight, hidden: hidden.clone() });
        let (room, from, to) = (turn.room, behind.cursor, behind.target.max(behind.cursor));
        let page = self.in_turn(move |neighbours| neighbours.room_changes(room, member, from, to, max));
        self.ask(ctx, page, move |core, ctx, page| {
            let Some(open) = &mut core.open else { return };
            match page {
                Ok(page) => {
                    // Read for who saw other people than the person does now, it is not to be shown.
                    let as_now = hidden == open.hidden;
                    open.queue.was_read(turn, as_now.then_some(page));
                    if !as_now {
                        open.queue.add(turn);
                    }
                    core.read_on(ctx);
                }
                // The membership has ended, of which the relay has not heard yet.
                Err(Refusal { fault: fault @ (Fault::NotMember | Fault::NotFound | Fault::Banned), .. }) => {
                    open.queue.was_read(turn, None);
                    if core.is_current(turn) {
                        core.unfollow(turn.room);
                        core.following_ended(turn.room, fault);
                    }
                }
                Err(refusal) => {
                    open.queue.was_read(turn, None);
                    core.try_again(ctx, refusal, move |core, _| {
                        if let Some(open) = &mut core.open {
                            open.queue.add(turn);
                        }
                    });
                }
            }
        });
    }

    fn send_page(&mut self, turn: Turn, Part { changes: page, more }: &Part, space: usize) {
        if !self.is_current(turn) {
            return;
        }
        if page.to < page.from || (page.to == page.from && *more) {
            // A page of nothing would be read for ever.
            tracing::error!(room = %turn.room, from = page.from.0, "a page of catch-up does not advance");
            return self.outbox.close(Close::Internal);
        }
        if page.to > page.from {
            self.push(&Push::Changes(page.into()));
        }
        let Some(open) = &self.open else { return };
        let to = match more {
            true => page.to,
            // What was committed while the page was read would else be a page more, and in a busy room so on for ever.
            false => self.thread.shared.relay.send_tail(open.seat, turn.room, page.to, space),
        };
        self.advance(turn, to, *more);
    }

    fn read_user_page(&mut self, ctx: &mut Context<Session>) {
        let Some(open) = &mut self.open else { return };
        open.user.reading = true;
        let shared = &self.thread.shared;
        let max = PageMax { rows: shared.config.resume.page_rows, bytes: shared.config.session.share() };
        let (user, from) = (open.actor.user, open.user.cursor);
        let page = self.in_turn(move |neighbours| neighbours.user_changes(user, from, max));
        self.ask(ctx, page, move |core, ctx, page| match page {
            Ok(page) => {
                // First, so that what is fetched because of the page is as the page says.
                if let Some(hidden) = page.hidden {
                    core.hide(hidden);
                }
                core.send_user_page(&page.changes);
                core.read_on(ctx);
            }
            Err(refusal) => core.try_again(ctx, refusal, |core, _| {
                if let Some(open) = &mut core.open {
                    open.user.reading = false;
                }
            }),
        });
    }

    /// The stream has grown by these changes: they are sent if the client has all before them and the socket keeps up, else read with the rest.
    pub(super) fn take_user_changes(&mut self, changes: &UserChanges) {
        let space = self.thread.shared.config.session.outbox_max.as_usize() / 2;
        let Some(open) = &mut self.open else { return };
        open.user.grown_to(changes.to);
        if self.stage == Stage::Open && open.user.is_next(changes) && self.outbox.waiting_bytes() < space {
            self.send_user_page(changes);
        }
    }

    /// From here on the person does not see these people, and everybody else: live, and in what is read.
    pub(super) fn hide(&mut self, hidden: Hidden) {
        if let Some(open) = &mut self.open {
            self.thread.shared.relay.hide(open.seat, &hidden);
            if open.hidden != hidden {
                open.queue.read_again();
                open.hidden = hidden;
            }
        }
    }

    fn send_user_page(&mut self, page: &UserChanges) {
        let Some(open) = &mut self.open else { return };
        open.user.reading = false;
        if page.to <= open.user.cursor {
            // Nothing new: the head that was announced has been sent already, or the store lags behind it.
            open.user.target = open.user.cursor;
            return;
        }
        open.user.cursor = page.to;
        self.thread.shared.relay.stream_sent(open.seat, page.to);
        self.push(&Push::UserChanges(page.into()));
    }

    /// Asks for a page when the node has a place for it. Not before: a question that waits is larger than the session that asks.
    fn in_turn<T: 'static>(&self, ask: impl FnOnce(&dyn Neighbours) -> Promise<T> + 'static) -> Promise<T> {
        let thread = Rc::clone(&self.thread);
        Box::pin(async move {
            // Never closed, so a place always comes.
            let _place = thread.shared.pages.acquire().await;
            ask(&*thread.shared.neighbours).await
        })
    }

    /// The store is away or busy: later.
    fn try_again(
        &mut self,
        ctx: &mut Context<Session>,
        refusal: Refusal,
        then: impl FnOnce(&mut Core, &mut Context<Session>) + 'static,
    ) {
        let pause = refusal.retry_after.unwrap_or(self.thread.shared.config.database.retry_max);
        ctx.run_later(pause, |session, ctx| {
            then(&mut session.core, ctx);
            session.core.read_on(ctx);
        });
    }

    fn is_current(&self, turn: Turn) -> bool {
        let following = self.open.as_ref().and_then(|open| open.rooms.get(&turn.room));
        following.is_some_and(|following| following.number == turn.number)
    }
}
