//! WebSocket frames (RFC 6455 §5), as far as a load generator needs them: no allocation per frame, no copy of a payload.
//!
//! Both ends use this: the bots read unmasked frames and write masked ones, the loopback server the other way round. Must not know
//! what the payloads say.

use std::io;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opcode {
    /// Goes on with the message before it.
    Continuation,
    /// Begins, or is, a text message.
    Text,
    /// Begins, or is, a binary message.
    Binary,
    /// The other side closes.
    Close,
    /// Wants a pong.
    Ping,
    /// Answers a ping.
    Pong,
}

impl Opcode {
    fn from_bits(bits: u8) -> Option<Self> {
        Some(match bits {
            0x0 => Self::Continuation,
            0x1 => Self::Text,
            0x2 => Self::Binary,
            0x8 => Self::Close,
            0x9 => Self::Ping,
            0xA => Self::Pong,
            _ => return None,
        })
    }

    fn bits(self) -> u8 {
        match self {
            Self::Continuation => 0x0,
            Self::Text => 0x1,
            Self::Binary => 0x2,
            Self::Close => 0x8,
            Self::Ping => 0x9,
            Self::Pong => 0xA,
        }
    }
}

/// The first bytes of a frame, read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Last frame of its message.
    pub fin: bool,
    /// What it is.
    pub opcode: Opcode,
    /// The key of a frame sent by a client.
    pub mask: Option<[u8; 4]>,
    /// Where the payload begins.
    pub start: usize,
    /// How long the payload is.
    pub length: usize,
}

/// Bytes that are no frame, with the reason.
#[derive(Debug, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

/// Reads the header at the start of `bytes`; `None` while too few have come.
pub fn header(bytes: &[u8]) -> Result<Option<Header>, Malformed> {
    let [first, second, rest @ ..] = bytes else { return Ok(None) };
    if first & 0x70 != 0 {
        return Err(Malformed("a reserved bit is set"));
    }
    let opcode = Opcode::from_bits(first & 0x0F).ok_or(Malformed("unknown opcode"))?;
    let fin = first & 0x80 != 0;
    let (length, extended) = match (second & 0x7F, rest) {
        (126, [a, b, ..]) => (u64::from(u16::from_be_bytes([*a, *b])), 2),
        (127, [a, b, c, d, e, f, g, h, ..]) => (u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]), 8),
        (126 | 127, _) => return Ok(None),
        (short, _) => (u64::from(short), 0),
    };
    let length = usize::try_from(length).map_err(|_| Malformed("a length beyond memory"))?;
    if matches!(opcode, Opcode::Close | Opcode::Ping | Opcode::Pong) && (!fin || length > 125) {
        return Err(Malformed("a control frame that is fragmented or too long"));
    }
    let masked = second & 0x80 != 0;
    let mask = match (masked, rest.get(extended..)) {
        (false, _) => None,
        (true, Some([a, b, c, d, ..])) => Some([*a, *b, *c, *d]),
        (true, _) => return Ok(None),
    };
    let start = 2 + extended + if masked { 4 } else { 0 };
    Ok(Some(Header { fin, opcode, mask, start, length }))
}

/// Applies a mask, or takes it off again.
pub fn mask(payload: &mut [u8], key: [u8; 4]) {
    for (byte, key) in payload.iter_mut().zip(key.iter().cycle()) {
        *byte ^= key;
    }
}

/// Appends one whole frame; with a `key`, as a client must send it.
pub fn write(out: &mut Vec<u8>, opcode: Opcode, payload: &[u8], key: Option<[u8; 4]>) {
    let flag = if key.is_some() { 0x80 } else { 0 };
    out.push(0x80 | opcode.bits());
    let length = payload.len();
    if let Ok(short) = u8::try_from(length)
        && short < 126
    {
        out.push(flag | short);
    } else if let Ok(medium) = u16::try_from(length) {
        out.push(flag | 126);
        out.extend_from_slice(&medium.to_be_bytes());
    } else {
        out.push(flag | 127);
        out.extend_from_slice(&(length as u64).to_be_bytes());
    }
    if let Some(key) = key {
        out.extend_from_slice(&key);
        out.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
    } else {
        out.extend_from_slice(payload);
    }
}

/// One message or control frame, whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Whole<'a> {
    /// Never [`Opcode::Continuation`].
    pub opcode: Opcode,
    /// All of its payload.
    pub payload: &'a [u8],
}

/// What is left over between two reads of one connection.
///
/// The buffer that is read into belongs to the thread, not to the connection: ten thousand idle bots own no buffer. Only a frame that was
/// cut in two, or a fragmented message, is kept here.
#[derive(Debug, Default)]
pub struct Reader {
    carry: Vec<u8>,
    message: Option<(Opcode, Vec<u8>)>,
}

impl Reader {
    /// Reads once into `scratch` by `read` and hands every whole message to `each`. Returns the bytes read: 0 is the end of the stream.
    ///
    /// # Errors
    /// What `read` failed with, or `InvalidData` for bytes that are no frames or a frame larger than `scratch`.
    pub fn read<R, E>(&mut self, scratch: &mut [u8], read: R, each: E) -> io::Result<usize>
    where
        R: FnOnce(&mut [u8]) -> io::Result<usize>,
        E: FnMut(Whole<'_>),
    {
        let kept = self.carry.len();
        let (head, room) = scratch.split_at_mut_checked(kept).ok_or_else(|| invalid("a frame larger than the buffer"))?;
        if room.is_empty() {
            return Err(invalid("a frame larger than the buffer"));
        }
        head.copy_from_slice(&self.carry);
        let count = read(room)?;
        self.carry.clear();
        let bytes = scratch.get_mut(..kept + count).unwrap_or_default();
        let used = self.split(bytes, each).map_err(|Malformed(reason)| invalid(reason))?;
        self.carry.extend_from_slice(bytes.get(used..).unwrap_or_default());
        Ok(count)
    }

    /// Bytes that came before the first read, behind the handshake.
    pub fn preload(&mut self, bytes: &[u8]) {
        self.carry.extend_from_slice(bytes);
    }

    /// Hands over the whole messages in `bytes`; returns how many bytes they took.
    fn split<E: FnMut(Whole<'_>)>(&mut self, bytes: &mut [u8], mut each: E) -> Result<usize, Malformed> {
        let mut at = 0;
        while let Some(found) = header(bytes.get(at..).unwrap_or_default())? {
            let begin = at + found.start;
            let Some(payload) = bytes.get_mut(begin..begin.saturating_add(found.length)) else { break };
            if let Some(key) = found.mask {
                mask(payload, key);
            }
            match (found.opcode, found.fin) {
                (opcode @ (Opcode::Close | Opcode::Ping | Opcode::Pong), _) => each(Whole { opcode, payload }),
                (Opcode::Continuation, fin) => {
                    let (opcode, mut message) = self.message.take().ok_or(Malformed("a continuation of nothing"))?;
                    message.extend_from_slice(payload);
                    if fin {
                        each(Whole { opcode, payload: &message });
                    } else {
                        self.message = Some((opcode, message));
                    }
                }
                _ if self.message.is_some() => return Err(Malformed("a message inside another")),
                (opcode, true) => each(Whole { opcode, payload }),
                (opcode, false) => self.message = Some((opcode, payload.to_vec())),
            }
            at = begin + found.length;
        }
        Ok(at)
    }
}

fn invalid(reason: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(reader: &mut Reader, chunk: &[u8]) -> io::Result<Vec<(Opcode, Vec<u8>)>> {
        let mut seen = Vec::new();
        let mut scratch = vec![0; 1 << 17];
        let fill = |room: &mut [u8]| {
            room[..chunk.len()].copy_from_slice(chunk);
            Ok(chunk.len())
        };
        reader.read(&mut scratch, fill, |whole| seen.push((whole.opcode, whole.payload.to_vec())))?;
        Ok(seen)
    }

    #[test]
    fn frames_of_every_length_survive_being_read_byte_by_byte() {
        for length in [0, 1, 125, 126, 127, 65_535, 65_536] {
            for key in [None, Some([1, 2, 3, 4])] {
                let payload: Vec<u8> = (0..length).map(|i| (i % 251) as u8).collect();
                let mut bytes = Vec::new();
                write(&mut bytes, Opcode::Text, &payload, key);
                let mut reader = Reader::default();
                let step = if length < 200 { 1 } else { 1009 };
                let seen: Vec<_> = bytes.chunks(step).flat_map(|chunk| feed(&mut reader, chunk).unwrap()).collect();
                assert_eq!(seen, [(Opcode::Text, payload)], "{length} {key:?}");
            }
        }
    }

    #[test]
    fn two_frames_and_a_half_give_two_and_later_the_third() {
        let mut bytes = Vec::new();
        for text in ["one", "two", "three"] {
            write(&mut bytes, Opcode::Text, text.as_bytes(), None);
        }
        let mut reader = Reader::default();
        let (first, rest) = bytes.split_at(bytes.len() - 2);
        assert_eq!(feed(&mut reader, first).unwrap().len(), 2);
        assert_eq!(feed(&mut reader, rest).unwrap(), [(Opcode::Text, b"three".to_vec())]);
    }

    #[test]
    fn control_frames_come_between_the_fragments_of_a_message() {
        let mut bytes = vec![0x01, 2, b'a', b'b'];
        write(&mut bytes, Opcode::Ping, b"p", None);
        bytes.extend([0x80, 1, b'c']);
        write(&mut bytes, Opcode::Close, &[0x0F, 0xA0], None);
        let seen = feed(&mut Reader::default(), &bytes).unwrap();
        assert_eq!(seen, [(Opcode::Ping, b"p".to_vec()), (Opcode::Text, b"abc".to_vec()), (Opcode::Close, vec![0x0F, 0xA0])]);
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        for bytes in [&[0xF1, 0][..], &[0x83, 0], &[0x09, 0], &[0x89, 126, 0, 126], &[0x80, 0], &[0x01, 0, 0x81, 0]] {
            assert!(feed(&mut Reader::default(), bytes).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn a_frame_larger_than_the_buffer_is_an_error_and_no_endless_loop() {
        let mut reader = Reader::default();
        let mut scratch = [0; 8];
        let mut bytes = Vec::new();
        write(&mut bytes, Opcode::Text, &[b'x'; 100], None);
        let mut left = bytes.as_slice();
        let mut step = || reader.read(&mut scratch, |room| io::Read::read(&mut left, room), |_| {});
        assert_eq!(step().unwrap(), 8);
        assert!(step().is_err());
    }
}
