//! Bytes from the wire to messages: RFC 6455 §5, as a server reads it.
//!
//! Purpose: take whatever pieces a socket yields and give out whole text messages and control frames, or the close code of what is
//! wrong. Neighbours: `socket.rs` feeds it. Invariants: only masked frames pass (§5.1); a message is never longer than the limit, known
//! from its header before its bytes are kept (I4); text is UTF-8 (§8.1), judged fragment by fragment; an idle decoder holds no buffer.
//! Must not know: what a message says, sockets, time.

use crate::domain::fault::Close;
use std::borrow::Cow;
use std::ops::ControlFlow;

const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// One thing the other side said.
#[derive(Debug, PartialEq, Eq)]
pub enum Incoming<'a> {
    /// A whole text message.
    Text(Cow<'a, str>),
    /// A fragment of one that goes on: it is kept here, and told so that it counts (I4).
    Fragment,
    /// To be answered with the same payload (§5.5.2).
    Ping(&'a [u8]),
    /// Something lives at the other end (§5.5.3).
    Pong,
    /// The other side closes, with this code, or 0 for none (§5.5.1).
    Close(u16),
}

/// Reads the frames of one connection.
#[derive(Debug)]
pub struct Decoder {
    max_bytes: usize,
    /// Bytes of a frame that is not complete, or that was not wanted yet.
    rest: Vec<u8>,
    /// The fragments so far of a message (§5.4); boxed, as few messages are fragmented.
    fragments: Option<Box<Fragments>>,
}

#[derive(Debug, Default)]
struct Fragments {
    bytes: Vec<u8>,
    /// So many of `bytes` are known to be UTF-8.
    valid: usize,
}

struct Header {
    last: bool,
    opcode: u8,
    mask: [u8; 4],
    /// Of the header itself.
    size: usize,
    /// Of the payload.
    length: usize,
}

impl Decoder {
    /// A decoder for messages of at most `max_bytes`.
    #[must_use]
    pub const fn new(max_bytes: usize) -> Self {
        Self { max_bytes, rest: Vec::new(), fragments: None }
    }

    /// Whether bytes are kept that [`Decoder::feed`] may go on with.
    #[must_use]
    pub fn has_rest(&self) -> bool {
        !self.rest.is_empty()
    }

    /// Reads on with `input` (whose bytes are unmasked in place), giving each message to `take` until it breaks off; what was not read
    /// is kept for the next time.
    ///
    /// # Errors
    /// What is wrong with the other side's bytes; the connection cannot go on (§7.1.7).
    pub fn feed(&mut self, input: &mut [u8], take: &mut dyn FnMut(Incoming<'_>) -> ControlFlow<()>) -> Result<(), Close> {
        if self.rest.is_empty() {
            let read = self.read(input, take)?;
            self.rest.extend_from_slice(input.get(read..).unwrap_or_default());
            return Ok(());
        }
        let mut bytes = std::mem::take(&mut self.rest);
        bytes.extend_from_slice(input);
        let read = self.read(&mut bytes, take)?;
        if read < bytes.len() {
            bytes.drain(..read);
            self.rest = bytes;
        }
        Ok(())
    }

    /// Reads whole frames from the front of `bytes` and says how many bytes that was.
    fn read(&mut self, bytes: &mut [u8], take: &mut dyn FnMut(Incoming<'_>) -> ControlFlow<()>) -> Result<usize, Close> {
        let mut read = 0;
        while let Some(header) = parse_header(bytes.get(read..).unwrap_or_default())? {
            self.check(&header)?;
            let start = read + header.size;
            let Some(payload) = bytes.get_mut(start..start + header.length) else {
                break;
            };
            unmask(payload, header.mask);
            read = start + header.length;
            let incoming = self.message(&header, payload)?;
            let closing = matches!(incoming, Incoming::Close(_));
            if take(incoming).is_break() || closing {
                break;
            }
        }
        Ok(read)
    }

    /// What a header alone tells to be wrong.
    fn check(&self, header: &Header) -> Result<(), Close> {
        let kept = self.fragments.as_ref().map(|fragments| fragments.bytes.len());
        match (header.opcode, kept) {
            (CLOSE | PING | PONG, _) if !header.last || header.length > 125 => Err(Close::Protocol),
            (CLOSE | PING | PONG, _) => Ok(()),
            (TEXT, None) | (CONTINUATION, Some(_)) => {
                let kept = kept.unwrap_or_default();
                if header.length > self.max_bytes.saturating_sub(kept) { Err(Close::TooLarge) } else { Ok(()) }
            }
            (BINARY, None) => Err(Close::NotText),
            _ => Err(Close::Protocol),
        }
    }

    /// What a whole frame amounts to.
    fn message<'a>(&mut self, header: &Header, payload: &'a [u8]) -> Result<Incoming<'a>, Close> {
        match header.opcode {
            PING => Ok(Incoming::Ping(payload)),
            PONG => Ok(Incoming::Pong),
            CLOSE => close_code(payload).map(Incoming::Close),
            TEXT if header.last => {
                let text = std::str::from_utf8(payload).map_err(|_| Close::NotUtf8)?;
                Ok(Incoming::Text(Cow::Borrowed(text)))
            }
            _ => self.fragment(header.last, payload),
        }
    }

    fn fragment<'a>(&mut self, last: bool, payload: &[u8]) -> Result<Incoming<'a>, Close> {
        let fragments = self.fragments.get_or_insert_default();
        fragments.bytes.extend_from_slice(payload);
        if last {
            let whole = self.fragments.take().unwrap_or_default();
            let text = String::from_utf8(whole.bytes).map_err(|_| Close::NotUtf8)?;
            return Ok(Incoming::Text(Cow::Owned(text)));
        }
        let unchecked = fragments.bytes.get(fragments.valid..).unwrap_or_default();
        match std::str::from_utf8(unchecked) {
            Ok(_) => fragments.valid = fragments.bytes.len(),
            // A character may be cut in two by the edge of a fragment.
            Err(error) if error.error_len().is_none() => fragments.valid += error.valid_up_to(),
            Err(_) => return Err(Close::NotUtf8),
        }
        Ok(Incoming::Fragment)
    }
}

/// The header at the front of `bytes` (§5.2), or none if it is not complete.
fn parse_header(bytes: &[u8]) -> Result<Option<Header>, Close> {
    let &[first, second, ref after @ ..] = bytes else {
        return Ok(None);
    };
    // No extension is ever negotiated, so the reserved bits are zero; and a client masks.
    if first & 0x70 != 0 || second & 0x80 == 0 {
        return Err(Close::Protocol);
    }
    let (length, after) = match (second & 0x7F, after) {
        (126, &[a, b, ref after @ ..]) => (u64::from(u16::from_be_bytes([a, b])), after),
        (127, &[a, b, c, d, e, f, g, h, ref after @ ..]) => (u64::from_be_bytes([a, b, c, d, e, f, g, h]), after),
        (126 | 127, _) => return Ok(None),
        (short, after) => (u64::from(short), after),
    };
    // The length has its shortest form, and no sign bit.
    let shortest = match second & 0x7F {
        126 => length > 125,
        127 => length > u64::from(u16::MAX) && length >> 63 == 0,
        _ => true,
    };
    if !shortest {
        return Err(Close::Protocol);
    }
    let &[a, b, c, d, ref after @ ..] = after else {
        return Ok(None);
    };
    let length = usize::try_from(length).map_err(|_| Close::TooLarge)?;
    Ok(Some(Header {
        last: first & 0x80 != 0,
        opcode: first & 0x0F,
        mask: [a, b, c, d],
        size: bytes.len() - after.len(),
        length,
    }))
}

/// §5.3. Four bytes at a time, as the mask is.
fn unmask(payload: &mut [u8], mask: [u8; 4]) {
    for chunk in payload.chunks_mut(4) {
        for (byte, key) in chunk.iter_mut().zip(mask) {
            *byte ^= key;
        }
    }
}

/// The code of a close frame's payload (§5.5.1, §7.4).
fn close_code(payload: &[u8]) -> Result<u16, Close> {
    match payload {
        [] => Ok(0),
        [_] => Err(Close::Protocol),
        [a, b, reason @ ..] => {
            let code = u16::from_be_bytes([*a, *b]);
            if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
                return Err(Close::Protocol);
            }
            std::str::from_utf8(reason).map_err(|_| Close::NotUtf8)?;
            Ok(code)
        }
    }
}

#[cfg(test)]
#[path = "decode_tests.rs"]
mod tests;
