//! One room on one thread: who receives it, and the fan-out to them.
//!
//! Neighbours: [`super::state`] keeps the feeds of its thread. Invariants: a subscription is appended each revision once, and only while it is live;
//! of a crowd no more sessions are woken in one turn of the thread than [`AT_ONCE`], so that others on it are not behind ten thousand writes.
//! Must not know: people, threads.

use super::envelope::Envelope;
use super::outbox::Outbox;
use super::state::Seat;
use super::tail::Tail;
use crate::domain::order::{Revision, Seq};
use crate::policy::{Hidden, Sight};
use bytes::Bytes;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// Sessions that are woken in one turn. Each then writes to its socket, 10 to 20 us: what else the thread has to do waits a few milliseconds.
pub(super) const AT_ONCE: usize = 128;

/// One room as this thread receives it.
#[derive(Debug)]
pub(super) struct Feed {
    pub(super) attachment: u64,
    /// The last revision appended, or the base it is appended to: the room's head as an attachment was told it. `None` before either;
    /// then nobody is live, and whatever is missing is read by those who catch up.
    pub(super) last: Option<Revision>,
    /// A refill was asked for and has not come.
    pub(super) asked: bool,
    pub(super) subscriptions: HashMap<Seat, Subscription>,
    /// How many of them are not live.
    pub(super) catching_up: usize,
    /// What was appended while some were not live; empty when all are.
    pub(super) tail: Tail,
}

#[derive(Debug)]
pub(super) struct Subscription {
    pub(super) outbox: Outbox,
    pub(super) from_seq: Seq,
    pub(super) hidden: Hidden,
    pub(super) joined: Revision,
    /// While the room's answer is awaited: the newest joining of the person that was seen. An older answer admits nobody.
    pub(super) rejoined: Revision,
    /// Live: revisions up to here are known to the client. Catching up: the newest head seen (I6).
    pub(super) at: Revision,
    pub(super) live: bool,
}

impl Subscription {
    /// How much of the room the person sees.
    pub(super) const fn sight(&self) -> Sight {
        Sight { from_seq: self.from_seq, joined_revision: self.joined }
    }

    /// What an envelope is to it, where it is live and does not have it yet.
    fn next(&mut self, envelope: &Envelope) -> Option<Bytes> {
        if self.at >= envelope.to() {
            return None;
        }
        self.at = envelope.to();
        self.live.then(|| envelope.frame_for(self.sight(), &self.hidden))
    }
}

impl Feed {
    pub(super) fn new(attachment: u64) -> Self {
        let subscriptions = HashMap::with_capacity(1);
        Self { attachment, last: None, asked: false, subscriptions, catching_up: 0, tail: Tail::default() }
    }

    /// Adds a subscription that catches up, in the place of an earlier one.
    pub(super) fn put(&mut self, seat: Seat, subscription: Subscription) {
        self.catching_up += 1;
        if self.subscriptions.insert(seat, subscription).is_some_and(|earlier| !earlier.live) {
            self.one_less_catches_up();
        }
    }

    pub(super) fn remove(&mut self, seat: Seat) -> Option<Subscription> {
        let subscription = self.subscriptions.remove(&seat)?;
        if !subscription.live {
            self.one_less_catches_up();
        }
        Some(subscription)
    }

    pub(super) fn one_less_catches_up(&mut self) {
        self.catching_up = self.catching_up.saturating_sub(1);
        if self.catching_up == 0 {
            self.tail = Tail::default();
        }
    }

    pub(super) fn note_head(&mut self, head: Revision) {
        for subscription in self.subscriptions.values_mut().filter(|subscription| !subscription.live) {
            subscription.at = subscription.at.max(head);
        }
    }

    /// The hot path: one reference to the shared bytes for each live subscription; to these seats first, as who has done it waits for the answer.
    /// How many took it. Of a crowd only those are woken, the others by and by.
    pub(super) fn fan_out<'a>(
        &mut self,
        envelope: &Arc<Envelope>,
        first: impl Iterator<Item = &'a Seat>,
        unwoken: &mut Unwoken,
    ) -> usize {
        if self.catching_up > 0 {
            self.tail.keep(envelope);
        }
        let mut count = 0;
        for seat in first {
            let Some(subscription) = self.subscriptions.get_mut(seat) else { continue };
            let frame = subscription.next(envelope);
            count += frame.map_or(0, |frame| usize::from(subscription.outbox.push(frame)));
        }
        let is_crowd = self.subscriptions.len() > AT_ONCE;
        for subscription in self.subscriptions.values_mut() {
            let Some(frame) = subscription.next(envelope) else { continue };
            let outbox = &subscription.outbox;
            count += usize::from(if is_crowd { unwoken.push(outbox, frame) } else { outbox.push(frame) });
        }
        count
    }
}

/// Outboxes that hold something their sessions are still to be woken for, each once.
#[derive(Debug, Default)]
pub(super) struct Unwoken(VecDeque<Outbox>);

impl Unwoken {
    fn push(&mut self, outbox: &Outbox, frame: Bytes) -> bool {
        if outbox.begin_to_wait() {
            self.0.push_back(outbox.clone());
        }
        outbox.push_unwoken(frame)
    }

    /// Wakes as many as fit one turn of the thread; whether there were any.
    pub(super) fn wake_some(&mut self) -> bool {
        let count = self.0.len().min(AT_ONCE);
        self.0.drain(..count).for_each(|outbox| outbox.wake());
        count > 0
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
