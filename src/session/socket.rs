//! The bytes of one connection: reading with a buffer all sessions of a thread share, writing what the outbox holds.
//!
//! Neighbours: `actor.rs` polls it. Invariants: an idle socket holds no buffer; one write per wake-up takes all that waits; a
//! socket that is being closed reads on, and throws away, until the other side has closed too (RFC 6455 §7.1.1), as unread bytes would
//! reset the connection and with it the close frame. Must not know: commands, rooms.

use super::decode::{Decoder, Incoming};
use crate::delivery::outbox::{Flushed, Outbox};
use crate::delivery::tally::Tally;
use crate::domain::fault::Close;
use actix_rt::net::TcpStream;
use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::ops::ControlFlow;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Read at once; a socket with more waits for its next turn, so that nobody starves.
const SCRATCH_BYTES: usize = 16 * 1024;

thread_local! {
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH_BYTES].into());
}

/// How reading ended for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// There may be more.
    Some,
    /// The other side has closed its half, or the connection broke.
    End,
    /// The other side broke the protocol.
    Wrong(Close),
}

/// One connection.
#[derive(Debug)]
pub struct Socket {
    stream: TcpStream,
    decoder: Decoder,
}

impl Socket {
    /// A socket that has been upgraded, with what was read beyond the request.
    #[must_use]
    pub fn new(stream: TcpStream, max_bytes: usize) -> Self {
        Self { stream, decoder: Decoder::new(max_bytes) }
    }

    /// Gives `take` what was read already: bytes that came with the handshake, or that `take` did not want earlier.
    pub fn decode(&mut self, bytes: &mut [u8], take: &mut dyn FnMut(Incoming<'_>) -> ControlFlow<()>) -> Read {
        match self.decoder.feed(bytes, take) {
            Ok(()) => Read::Some,
            Err(close) => Read::Wrong(close),
        }
    }

    /// Whether [`Socket::decode`] has something left.
    #[must_use]
    pub fn has_rest(&self) -> bool {
        self.decoder.has_rest()
    }

    /// Reads once and gives `take` what came.
    pub fn poll_read(&mut self, cx: &mut Context<'_>, take: &mut dyn FnMut(Incoming<'_>) -> ControlFlow<()>) -> Poll<Read> {
        SCRATCH.with_borrow_mut(|scratch| {
            let mut buffer = ReadBuf::new(scratch);
            // tokio sees from a buffer that was not filled that there is no more, which saves asking the kernel.
            let read = ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer));
            if read.is_err() || buffer.filled().is_empty() {
                return Poll::Ready(Read::End);
            }
            Poll::Ready(match self.decoder.feed(buffer.filled_mut(), take) {
                Ok(()) => Read::Some,
                Err(close) => Read::Wrong(close),
            })
        })
    }

    /// Reads and throws away until the other side closes.
    pub fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        SCRATCH.with_borrow_mut(|scratch| {
            loop {
                let mut buffer = ReadBuf::new(scratch);
                let read = ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer));
                if read.is_err() || buffer.filled().is_empty() {
                    return Poll::Ready(());
                }
            }
        })
    }

    /// Writes what waits, as far as the socket takes it; if it takes no more, the task is woken when it does.
    ///
    /// # Errors
    /// Those of the connection.
    pub fn flush(&mut self, outbox: &Outbox, tally: &Tally, cx: &mut Context<'_>) -> io::Result<Flushed> {
        loop {
            let flushed = outbox.flush(|slices| self.write(slices, tally))?;
            if flushed != Flushed::Waiting || self.stream.poll_write_ready(cx)?.is_pending() {
                return Ok(flushed);
            }
        }
    }

    /// Writes what the socket takes now: for a session that ends without another turn.
    pub fn flush_now(&self, outbox: &Outbox, tally: &Tally) {
        // Nobody is left to hear of an error.
        drop(outbox.flush(|slices| self.write(slices, tally)));
    }

    fn write(&self, slices: &[IoSlice<'_>], tally: &Tally) -> io::Result<usize> {
        // Most writes are of one frame, and a vectored write costs the kernel more.
        let written = match slices {
            [frame] => self.stream.try_write(frame)?,
            frames => self.stream.try_write_vectored(frames)?,
        };
        tally.flushes.add(1);
        tally.bytes_out.add(written);
        tally.frames_out.add(ended_within(slices, written));
        Ok(written)
    }

    /// Says that nothing more will be written.
    pub fn finish(&mut self, cx: &mut Context<'_>) {
        // For TCP this is a system call that does not wait; the connection may be broken already.
        drop(Pin::new(&mut self.stream).poll_shutdown(cx));
    }
}

/// How many of the slices end within the first `written` bytes.
fn ended_within(slices: &[IoSlice<'_>], written: usize) -> usize {
    let ends = slices.iter().scan(0, |end, slice| {
        *end += slice.len();
        Some(*end)
    });
    ends.take_while(|end| *end <= written).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_counts_once_its_last_byte_is_written() {
        let slices = [IoSlice::new(b"abc"), IoSlice::new(b"de"), IoSlice::new(b"f")];
        assert_eq!([0, 2, 3, 4, 5, 6].map(|written| ended_within(&slices, written)), [0, 0, 1, 1, 2, 3]);
    }
}
