//! Mailboxes that are bounded and can be read from outside.
//!
//! Purpose: actix's own bound is "capacity plus one per clone of the address", which is none when addresses are cloned freely,
//! and its depth cannot be read. So a message enters through [`Mailbox::try_send`], which takes a [`Slot`] of the actor's
//! [`MailboxGauge`], and travels as [`Queued`]; the slot is free again when the actor opens it, or when it is dropped unread.
//! Neighbours: an actor implements `Handler<Queued<M>>`; its `handle.rs` holds the [`Mailbox`] and turns *full* and *closed*
//! into errors. Invariant: never more than `capacity` queued messages (I4). Must not know: what a message says.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use actix::dev::{SendError, ToEnvelope};
use actix::{Actor, Addr, Handler, Message, Recipient};

/// A message on its way through a mailbox, with the place it takes up there.
pub struct Queued<M> {
    message: M,
    _slot: Option<Slot>,
}

impl<M> Queued<M> {
    /// A message an actor sends itself (`ctx.notify`), which takes up no place in the mailbox.
    pub const fn to_self(message: M) -> Self {
        Self { message, _slot: None }
    }

    /// The message; its place in the mailbox becomes free.
    pub fn open(self) -> M {
        self.message
    }
}

impl<M: Message> Message for Queued<M> {
    type Result = M::Result;
}

/// The way into an actor's mailbox. A clone costs one reference count and widens no bound.
pub struct Mailbox<A: Actor> {
    addr: Arc<Addr<A>>,
    gauge: MailboxGauge,
}

impl<A: Actor> Mailbox<A> {
    pub(super) fn new(addr: Addr<A>, gauge: MailboxGauge) -> Self {
        Self { addr: Arc::new(addr), gauge }
    }

    /// Puts `message` into the mailbox without waiting, or gives it back: full (answer *busy*) or closed (the actor is gone).
    pub fn try_send<M>(&self, message: M) -> Result<(), SendError<M>>
    where
        A: Handler<Queued<M>>,
        A::Context: ToEnvelope<A, Queued<M>>,
        M: Message + Send + 'static,
        M::Result: Send,
    {
        send_counted(&self.gauge, message, |queued| self.addr.try_send(queued))
    }

    /// Whether the actor still takes messages; it may stop doing so at any later time.
    pub fn is_open(&self) -> bool {
        self.addr.connected()
    }

    /// How full the mailbox is.
    pub const fn gauge(&self) -> &MailboxGauge {
        &self.gauge
    }

    /// The same mailbox for one kind of message, without naming the actor: for those who must not know it.
    pub fn post_to<M>(&self) -> Postbox<M>
    where
        A: Handler<Queued<M>>,
        A::Context: ToEnvelope<A, Queued<M>>,
        M: Message + Send + 'static,
        M::Result: Send,
    {
        Postbox { recipient: Arc::new(Addr::clone(&self.addr).recipient()), gauge: self.gauge.clone() }
    }
}

impl<A: Actor> Clone for Mailbox<A> {
    fn clone(&self) -> Self {
        Self { addr: Arc::clone(&self.addr), gauge: self.gauge.clone() }
    }
}

impl<A: Actor> fmt::Debug for Mailbox<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Mailbox").field(&self.gauge).finish()
    }
}

/// A [`Mailbox`] seen as the place for one kind of message.
pub struct Postbox<M>
where
    M: Message + Send + 'static,
    M::Result: Send,
{
    recipient: Arc<Recipient<Queued<M>>>,
    gauge: MailboxGauge,
}

impl<M> Postbox<M>
where
    M: Message + Send + 'static,
    M::Result: Send,
{
    /// As [`Mailbox::try_send`].
    pub fn try_send(&self, message: M) -> Result<(), SendError<M>> {
        send_counted(&self.gauge, message, |queued| self.recipient.try_send(queued))
    }

    /// As [`Mailbox::is_open`].
    pub fn is_open(&self) -> bool {
        self.recipient.connected()
    }
}

impl<M> Clone for Postbox<M>
where
    M: Message + Send + 'static,
    M::Result: Send,
{
    fn clone(&self) -> Self {
        Self { recipient: Arc::clone(&self.recipient), gauge: self.gauge.clone() }
    }
}

impl<M> fmt::Debug for Postbox<M>
where
    M: Message + Send + 'static,
    M::Result: Send,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Postbox").field(&self.gauge).finish()
    }
}

fn send_counted<M>(
    gauge: &MailboxGauge,
    message: M,
    send: impl FnOnce(Queued<M>) -> Result<(), SendError<Queued<M>>>,
) -> Result<(), SendError<M>> {
    let Some(slot) = gauge.enter() else {
        return Err(SendError::Full(message));
    };
    let queued = Queued { message, _slot: Some(slot) };
    send(queued).map_err(|refused| match refused {
        SendError::Full(queued) => SendError::Full(queued.open()),
        SendError::Closed(queued) => SendError::Closed(queued.open()),
    })
}

/// How many messages wait in a mailbox, and how many may. Shared by the senders, the queued messages and the report.
#[derive(Clone)]
pub struct MailboxGauge {
    level: Arc<Level>,
}

struct Level {
    depth: AtomicU32,
    capacity: u32,
}

impl MailboxGauge {
    /// A gauge for at most `capacity` messages.
    pub fn new(capacity: u32) -> Self {
        let depth = AtomicU32::new(0);
        Self { level: Arc::new(Level { depth, capacity }) }
    }

    /// Takes a place, or none if all are taken.
    pub fn enter(&self) -> Option<Slot> {
        let free = |depth| (depth < self.level.capacity).then_some(depth + 1);
        // Relaxed: the number guards no other memory; the mailbox itself orders the messages.
        self.level.depth.fetch_update(Ordering::Relaxed, Ordering::Relaxed, free).ok()?;
        Some(Slot { level: Arc::clone(&self.level) })
    }

    /// The messages that wait now.
    pub fn depth(&self) -> u32 {
        self.level.depth.load(Ordering::Relaxed)
    }

    /// The most messages that may wait.
    pub fn capacity(&self) -> u32 {
        self.level.capacity
    }

    /// How full it is; a mailbox that takes nothing is full.
    pub fn fill_percent(&self) -> u32 {
        let hundredfold = u64::from(self.depth()) * 100;
        let percent = hundredfold.checked_div(u64::from(self.capacity()));
        percent.map_or(100, |percent| u32::try_from(percent).unwrap_or(100))
    }
}

impl fmt::Debug for MailboxGauge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.depth(), self.capacity())
    }
}

/// One place in a mailbox, free again when this is dropped.
pub struct Slot {
    level: Arc<Level>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.level.depth.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gauge_admits_its_capacity_and_no_more() {
        let gauge = MailboxGauge::new(2);
        let first = gauge.enter().unwrap();
        let _second = gauge.enter().unwrap();
        assert!(gauge.enter().is_none());
        assert_eq!(gauge.depth(), 2);
        drop(first);
        assert_eq!(gauge.depth(), 1);
        assert!(gauge.enter().is_some());
    }

    #[test]
    fn a_gauge_without_capacity_admits_nothing() {
        let gauge = MailboxGauge::new(0);
        assert!(gauge.enter().is_none());
        assert_eq!(gauge.fill_percent(), 100);
    }
}
