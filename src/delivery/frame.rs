//! WebSocket frames as the server sends them (RFC 6455 §5): final, unmasked, complete with their header, so that one buffer can be
//! shared by every socket. Must not know: who sends or receives.

use crate::domain::fault::Close;
use bytes::Bytes;
use serde::Serialize;

/// FIN and opcode of an unfragmented frame (§5.2).
const TEXT: u8 = 0x81;
const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;
const PONG: u8 = 0x8A;

/// The longest header of an unmasked frame: two bytes and a length of eight.
const HEADER_MAX: usize = 10;
/// The longest payload of a control frame (§5.5).
pub const CONTROL_MAX: usize = 125;
/// Room for an ordinary event; longer ones grow.
const USUAL: usize = 384;

/// A text frame whose payload is `value` as JSON.
///
/// # Panics
/// If `value` cannot be JSON, such as a map without text keys: the protocol's types always can.
#[must_use]
pub fn text(value: &impl Serialize) -> Bytes {
    let mut buffer = Vec::with_capacity(USUAL);
    buffer.resize(HEADER_MAX, 0);
    serde_json::to_writer(&mut buffer, value).expect("the protocol's types are JSON");
    with_header(TEXT, buffer)
}

/// A ping; the other side answers with the same payload (§5.5.2).
#[must_use]
pub fn ping() -> Bytes {
    Bytes::from_static(&[PING, 0])
}

/// The answer to a ping (§5.5.3). Of a payload that is longer than a control frame's nothing past the limit is sent.
#[must_use]
pub fn pong(payload: &[u8]) -> Bytes {
    control(PONG, payload)
}

/// A close frame with its code and reason (§5.5.1).
#[must_use]
pub fn close(close: Close) -> Bytes {
    let (code, reason, _) = close.row();
    close_with(code, reason)
}

/// A close frame that repeats a code the other side sent (§7.1.5), or says none for 0.
#[must_use]
pub fn close_with(code: u16, reason: &str) -> Bytes {
    if code == 0 {
        return Bytes::from_static(&[CLOSE, 0]);
    }
    let mut payload = code.to_be_bytes().to_vec();
    payload.extend_from_slice(reason.as_bytes());
    control(CLOSE, &payload)
}

fn control(opcode: u8, payload: &[u8]) -> Bytes {
    let mut buffer = vec![0; HEADER_MAX];
    buffer.extend(payload.iter().take(CONTROL_MAX));
    with_header(opcode, buffer)
}

/// Puts the header into the space left for it at the front, right before the payload.
fn with_header(opcode: u8, mut buffer: Vec<u8>) -> Bytes {
    let length = buffer.len() - HEADER_MAX;
    let mut header = Vec::with_capacity(HEADER_MAX);
    header.push(opcode);
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short @ 0..=125), _) => header.push(short),
        (_, Ok(middle)) => {
            header.push(126);
            header.extend(middle.to_be_bytes());
        }
        _ => {
            header.push(127);
            header.extend((length as u64).to_be_bytes());
        }
    }
    let start = HEADER_MAX - header.len();
    if let Some(space) = buffer.get_mut(start..HEADER_MAX) {
        space.copy_from_slice(&header);
    }
    Bytes::from(buffer).slice(start..)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_names_the_length_in_its_shortest_form() {
        for (length, header) in [
            (2, &[0x81, 2][..]),
            (125, &[0x81, 125]),
            (126, &[0x81, 126, 0, 126]),
            (65_535, &[0x81, 126, 255, 255]),
            (65_536, &[0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        ] {
            let frame = text(&"x".repeat(length - 2));
            assert_eq!(&frame[..header.len()], header);
            assert_eq!(frame.len(), header.len() + length);
        }
    }

    #[test]
    fn control_frames_fit_their_limit() {
        assert_eq!(&close(Close::Draining)[..], b"\x88\x0a\x03\xe9draining");
        assert_eq!(&close_with(0, "")[..], b"\x88\x00");
        assert_eq!(pong(&[7; 200]).len(), 2 + CONTROL_MAX);
        assert!(Close::ALL.iter().all(|why| close(*why).len() <= 2 + CONTROL_MAX));
    }
}
