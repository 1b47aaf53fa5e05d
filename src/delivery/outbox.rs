//! What waits for one socket: frames, bounded in bytes, and what its session is to be told.
//!
//! Purpose: the relay and the session put finished frames in, the socket's writer takes all of them out with one vectored write per
//! wake-up. Neighbours: relay and session of the same thread share an outbox; nobody else reaches it.
//!
//! Invariants: never more than `max_bytes` wait, save a single frame and the close frame; an outbox that is full closes its own socket as
//! *slow consumer* and drops what waits, which the client then resumes (I4); a frame begun on the wire is finished before anything
//! else; after a close nothing but its close frame is added. An empty outbox holds no buffer.
//!
//! Must not know: sockets, sessions, what a frame says.

use super::frame;
use crate::domain::fault::{Close, Fault};
use crate::domain::ids::RoomId;
use crate::domain::order::Revision;
use crate::domain::stream::UserChanges;
use crate::faults;
use crate::telemetry::metrics as names;
use bytes::{Buf, Bytes};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

/// Frames in one vectored write. Past some dozens a longer vector saves nothing; it lives on the stack.
const SLICES: usize = 64;

/// Frames for one socket and notes for its session. A clone is another handle to the same.
#[derive(Clone, Debug)]
pub struct Outbox(Rc<RefCell<State>>);

#[derive(Debug)]
struct State {
    frames: VecDeque<Bytes>,
    /// Bytes in `frames`.
    bytes: usize,
    max_bytes: usize,
    /// The first of `frames` is on the wire in part.
    begun: bool,
    close: Option<Close>,
    notes: Notes,
    waker: Option<Waker>,
    /// Somebody will wake it, so it needs no other who does.
    to_be_woken: bool,
}

/// What a relay tells a session besides frames.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Notes {
    /// The person's stream has grown to this revision or further.
    pub user_head: Option<Revision>,
    /// What it grew by, where that is known.
    pub user_changes: Option<Arc<UserChanges>>,
    /// Rooms whose subscription the relay has ended, and why.
    pub ended: Vec<(RoomId, Fault)>,
    /// The server stops: tell the client to come back after this time, finish what is open, close.
    pub drain: Option<Duration>,
}

impl Notes {
    /// Nothing to tell.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.user_head.is_none() && self.user_changes.is_none() && self.ended.is_empty() && self.drain.is_none()
    }
}

/// What a write left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flushed {
    /// Frames still wait: the socket took no more.
    Waiting,
    /// Nothing waits.
    Empty,
    /// Nothing waits, and the close frame was the last.
    Closed(Close),
}

impl Outbox {
    /// An empty outbox for at most `max_bytes`.
    #[must_use]
    pub fn new(max_bytes: usize) -> Self {
        Self(Rc::new(RefCell::new(State {
            frames: VecDeque::new(),
            bytes: 0,
            max_bytes,
            begun: false,
            close: None,
            notes: Notes::default(),
            waker: None,
            to_be_woken: false,
        })))
    }

    /// Adds a finished frame. A frame too many drops all that wait and closes with [`Close::SlowConsumer`]; on a closed outbox
    /// nothing happens. Says whether the frame was taken.
    pub fn push(&self, frame: Bytes) -> bool {
        let mut state = self.0.borrow_mut();
        let taken = state.take(frame);
        state.wake();
        taken
    }

    /// The same without waking anybody, for whoever has [begun to wait](Outbox::begin_to_wait) and will [wake](Outbox::wake).
    pub(super) fn push_unwoken(&self, frame: Bytes) -> bool {
        self.0.borrow_mut().take(frame)
    }

    /// Somebody will wake it later. False: that was so already.
    pub(super) fn begin_to_wait(&self) -> bool {
        !std::mem::replace(&mut self.0.borrow_mut().to_be_woken, true)
    }

    /// Wakes it, if anything is left to be written.
    pub(super) fn wake(&self) {
        let mut state = self.0.borrow_mut();
        state.to_be_woken = false;
        if !state.frames.is_empty() {
            state.wake();
        }
    }

    /// Adds a frame that may be lost: only where half of the outbox stays free for what may not. Says whether it was taken.
    pub fn offer(&self, frame: Bytes) -> bool {
        let mut state = self.0.borrow_mut();
        let fits = state.close.is_none() && state.bytes + frame.len() <= state.max_bytes / 2;
        if fits {
            state.add(frame);
            state.wake();
        }
        fits
    }

    /// Closes after what waits has been written; the first close counts.
    pub fn close(&self, close: Close) {
        let mut state = self.0.borrow_mut();
        state.end(close);
        state.wake();
    }

    /// Closes without writing what waits, save a frame begun: for sockets whose reader may not be entitled to it any more (I10).
    pub fn cut(&self, close: Close) {
        let mut state = self.0.borrow_mut();
        if state.close.is_none() {
            state.drop_waiting();
            state.end(close);
            state.wake();
        }
    }

    /// Answers a close of the other side with its own code (RFC 6455 §5.5.1); 0 for none.
    pub fn answer_close(&self, code: u16) {
        let mut state = self.0.borrow_mut();
        if state.close.is_none() {
            state.close = Some(Close::Normal);
            state.add(frame::close_with(code, ""));
        }
    }

    /// Why it was closed, once it is.
    #[must_use]
    pub fn closed(&self) -> Option<Close> {
        self.0.borrow().close
    }

    /// Bytes that wait.
    #[must_use]
    pub fn waiting_bytes(&self) -> usize {
        self.0.borrow().bytes
    }

    /// Tells the session that the person's stream has grown.
    pub fn note_user_head(&self, head: Revision) {
        let mut state = self.0.borrow_mut();
        state.notes.user_head = state.notes.user_head.max(Some(head));
        state.wake();
    }

    /// The same with what it has grown by. One at a time: of more only the head is told, and they are read.
    pub fn note_user_changes(&self, changes: &Arc<UserChanges>) {
        let mut state = self.0.borrow_mut();
        if state.notes.user_changes.is_none() {
            state.notes.user_changes = Some(Arc::clone(changes));
        } else {
            state.notes.user_head = state.notes.user_head.max(Some(changes.to));
        }
        state.wake();
    }

    /// Tells the session that a room is not received any more.
    pub fn note_ended(&self, room: RoomId, fault: Fault) {
        let mut state = self.0.borrow_mut();
        state.notes.ended.push((room, fault));
        state.wake();
    }

    /// Tells the session that the server stops.
    pub fn note_drain(&self, come_back_after: Duration) {
        let mut state = self.0.borrow_mut();
        state.notes.drain.get_or_insert(come_back_after);
        state.wake();
    }

    /// What there is to tell, which is thereby told.
    #[must_use]
    pub fn take_notes(&self) -> Notes {
        std::mem::take(&mut self.0.borrow_mut().notes)
    }

    /// Who is woken when something is added. Replaces an earlier one.
    pub fn set_waker(&self, waker: &Waker) {
        let mut state = self.0.borrow_mut();
        match &mut state.waker {
            Some(kept) => kept.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
    }

    /// Hands what waits to `write` until it is written or `write` would block. `write` takes some of the bytes and says how many.
    ///
    /// # Errors
    /// What `write` fails with, save `WouldBlock`; that zero bytes were taken is [`io::ErrorKind::WriteZero`].
    pub fn flush(&self, mut write: impl FnMut(&[IoSlice<'_>]) -> io::Result<usize>) -> io::Result<Flushed> {
        let mut state = self.0.borrow_mut();
        while !state.frames.is_empty() {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let mut used = 0;
            for (slice, frame) in slices.iter_mut().zip(&state.frames) {
                *slice = IoSlice::new(frame);
                used += 1;
            }
            match write(slices.get(..used).unwrap_or_default()) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => state.advance(written),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Flushed::Waiting),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        // Most sessions are idle most of the time: a buffer for each would be memory for nobody, and beside the write a new one costs nothing.
        state.frames = VecDeque::new();
        Ok(state.close.map_or(Flushed::Empty, Flushed::Closed))
    }
}

impl State {
    fn take(&mut self, frame: Bytes) -> bool {
        if self.close.is_some() {
            return false;
        }
        // One frame alone is always taken: it was bounded by whoever made it.
        let fits = self.frames.is_empty() || self.bytes + frame.len() <= self.max_bytes || faults::hit("outbox.unbounded");
        if fits {
            self.add(frame);
        } else {
            metrics::counter!(names::SLOW_CONSUMERS).increment(1);
            self.drop_waiting();
            self.end(Close::SlowConsumer);
        }
        fits
    }

    fn add(&mut self, frame: Bytes) {
        self.bytes += frame.len();
        self.frames.push_back(frame);
    }

    fn end(&mut self, close: Close) {
        if self.close.is_none() {
            self.close = Some(close);
            self.add(frame::close(close));
        }
    }

    /// Drops what waits, but for a frame the other side has seen the beginning of.
    fn drop_waiting(&mut self) {
        let keep = usize::from(self.begun);
        self.frames.truncate(keep);
        self.bytes = self.frames.iter().map(Bytes::len).sum();
    }

    fn advance(&mut self, mut written: usize) {
        self.bytes = self.bytes.saturating_sub(written);
        while let Some(front) = self.frames.front_mut() {
            if front.len() > written {
                self.begun |= written > 0;
                front.advance(written);
                return;
            }
            written -= front.len();
            self.frames.pop_front();
            self.begun = false;
        }
    }

    fn wake(&self) {
        if let Some(waker) = &self.waker {
            waker.wake_by_ref();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A socket that takes `space` bytes before it blocks.
    fn flush_into(outbox: &Outbox, wire: &mut Vec<u8>, mut space: usize) -> Flushed {
        let write = |slices: &[IoSlice<'_>]| {
            let all: Vec<u8> = slices.iter().flat_map(|slice| slice.to_vec()).collect();
            let taken = all.len().min(space);
            if taken == 0 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            space -= taken;
            wire.extend(&all[..taken]);
            Ok(taken)
        };
        outbox.flush(write).unwrap()
    }

    #[test]
    fn all_that_waits_leaves_in_one_write_and_in_order() {
        let outbox = Outbox::new(100);
        for frame in ["ab", "cd", "ef"] {
            assert!(outbox.push(Bytes::from_static(frame.as_bytes())));
        }
        let mut writes = Vec::new();
        let write = |slices: &[IoSlice<'_>]| {
            writes.push(slices.len());
            Ok(slices.iter().map(|slice| slice.len()).sum())
        };
        assert_eq!(outbox.flush(write).unwrap(), Flushed::Empty);
        assert_eq!((writes, outbox.waiting_bytes()), (vec![3], 0));
    }

    #[test]
    fn what_may_be_lost_leaves_half_of_the_outbox_free_and_closes_nothing() {
        let outbox = Outbox::new(8);
        let taken: Vec<bool> = (0..4).map(|_| outbox.offer(Bytes::from_static(b"ab"))).collect();
        assert_eq!((taken, outbox.waiting_bytes()), (vec![true, true, false, false], 4));
        assert!(outbox.push(Bytes::from_static(b"cdef")), "there is still room for what may not be lost");
        assert_eq!(outbox.closed(), None);
        outbox.close(Close::Draining);
        assert!(!outbox.offer(Bytes::new()));
    }

    #[test]
    fn a_blocked_write_goes_on_where_it_stopped() {
        let outbox = Outbox::new(100);
        outbox.push(Bytes::from_static(b"hello"));
        outbox.push(Bytes::from_static(b"world"));
        let mut wire = Vec::new();
        assert_eq!(flush_into(&outbox, &mut wire, 7), Flushed::Waiting);
        assert_eq!(outbox.waiting_bytes(), 3);
        assert_eq!(flush_into(&outbox, &mut wire, 100), Flushed::Empty);
        assert_eq!(wire, b"helloworld");
    }

    #[test]
    fn a_frame_too_many_closes_as_slow_consumer_and_finishes_only_the_frame_begun() {
        let outbox = Outbox::new(10);
        outbox.push(Bytes::from_static(b"begun"));
        outbox.push(Bytes::from_static(b"wait"));
        let mut wire = Vec::new();
        flush_into(&outbox, &mut wire, 2);
        assert!(outbox.push(Bytes::from_static(b"fit")));
        assert!(!outbox.push(Bytes::from_static(b"many")));
        assert_eq!(outbox.closed(), Some(Close::SlowConsumer));
        assert!(!outbox.push(Bytes::from_static(b"x")), "nothing follows a close");
        assert_eq!(flush_into(&outbox, &mut wire, 1000), Flushed::Closed(Close::SlowConsumer));
        assert_eq!(wire, [b"begun", &frame::close(Close::SlowConsumer)[..]].concat());
    }

    #[test]
    fn a_close_follows_what_waits_and_a_cut_does_not() {
        for (cut, expected) in [(false, 5 + 2 + 2 + 8), (true, 2 + 2 + 8)] {
            let outbox = Outbox::new(100);
            outbox.push(Bytes::from_static(b"frame"));
            if cut {
                outbox.cut(Close::Draining)
            } else {
                outbox.close(Close::Draining)
            }
            outbox.close(Close::Internal);
            let mut wire = Vec::new();
            assert_eq!(flush_into(&outbox, &mut wire, 1000), Flushed::Closed(Close::Draining));
            assert_eq!(wire.len(), expected);
        }
    }

    #[test]
    fn notes_are_told_once_and_the_newest_head_counts() {
        let outbox = Outbox::new(100);
        outbox.note_user_head(Revision(7));
        outbox.note_user_head(Revision(3));
        assert_eq!(outbox.take_notes().user_head, Some(Revision(7)));
        assert!(outbox.take_notes().is_empty());
    }

    #[test]
    fn one_growth_of_a_stream_is_told_whole_and_of_more_only_the_head() {
        let outbox = Outbox::new(100);
        let grown = |from: u64| Arc::new(UserChanges { from: Revision(from), to: Revision(from + 1), items: Vec::new() });
        outbox.note_user_changes(&grown(3));
        outbox.note_user_changes(&grown(4));
        let notes = outbox.take_notes();
        assert_eq!((notes.user_changes, notes.user_head), (Some(grown(3)), Some(Revision(5))));
        assert!(outbox.take_notes().is_empty());
    }

    #[test]
    fn a_socket_that_takes_nothing_is_an_error() {
        let outbox = Outbox::new(100);
        outbox.push(Bytes::from_static(b"x"));
        assert_eq!(outbox.flush(|_| Ok(0)).unwrap_err().kind(), io::ErrorKind::WriteZero);
    }

    proptest::proptest! {
        #[test]
        fn whatever_the_socket_takes_the_wire_holds_whole_frames_in_order(
            steps in proptest::collection::vec((1_usize..40, 0_usize..60), 1..60),
        ) {
            let outbox = Outbox::new(300);
            let (mut wire, mut sent) = (Vec::new(), Vec::new());
            for (number, (length, space)) in steps.into_iter().enumerate() {
                let frame = vec![u8::try_from(number).unwrap(); length];
                if outbox.push(Bytes::from(frame.clone())) {
                    sent.push(frame);
                }
                flush_into(&outbox, &mut wire, space);
                proptest::prop_assert!(outbox.waiting_bytes() <= 300 + frame::close(Close::SlowConsumer).len());
            }
            flush_into(&outbox, &mut wire, usize::MAX);
            // A slow consumer loses whole frames at the end, never a part of one.
            let mut rest = &wire[..];
            for frame in &sent {
                match rest.strip_prefix(&frame[..]) {
                    Some(after) => rest = after,
                    None => break,
                }
            }
            let ending = outbox.closed().map(frame::close).unwrap_or_default();
            proptest::prop_assert_eq!(rest, &ending[..]);
        }
    }
}
