//! RFC 6455 for the decoder, by section.

use super::*;
use proptest::prelude::*;

#[derive(Debug, PartialEq, Eq, Clone)]
enum Heard {
    Text(String),
    Ping(Vec<u8>),
    Pong,
    Close(u16),
}

fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [0x37, 0xfa, 0x21, 0x3d];
    let mut bytes = vec![first];
    match payload.len() {
        short @ 0..=125 => bytes.push(0x80 | u8::try_from(short).unwrap()),
        middle @ 126..=65_535 => {
            bytes.push(0x80 | 126);
            bytes.extend(u16::try_from(middle).unwrap().to_be_bytes());
        }
        long => {
            bytes.push(0x80 | 127);
            bytes.extend((long as u64).to_be_bytes());
        }
    }
    bytes.extend(mask);
    bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key));
    bytes
}

fn hear(max: usize, pieces: &[&[u8]]) -> (Vec<Heard>, Result<(), Close>) {
    let mut decoder = Decoder::new(max);
    let mut heard = Vec::new();
    let mut outcome = Ok(());
    for piece in pieces {
        let mut take = |incoming: Incoming<'_>| {
            heard.push(match incoming {
                Incoming::Fragment => return ControlFlow::Continue(()),
                Incoming::Text(text) => Heard::Text(text.into_owned()),
                Incoming::Ping(payload) => Heard::Ping(payload.to_vec()),
                Incoming::Pong => Heard::Pong,
                Incoming::Close(code) => Heard::Close(code),
            });
            ControlFlow::Continue(())
        };
        outcome = decoder.feed(&mut piece.to_vec(), &mut take);
        if outcome.is_err() {
            break;
        }
    }
    (heard, outcome)
}

fn refused(bytes: &[u8]) -> Close {
    hear(1000, &[bytes]).1.unwrap_err()
}

#[test]
fn section_5_1_an_unmasked_frame_is_refused() {
    assert_eq!(refused(&[0x81, 2, b'h', b'i']), Close::Protocol);
}

#[test]
fn section_5_2_reserved_bits_and_opcodes_are_refused() {
    for first in [0xC1, 0xA1, 0x91, 0x83, 0x84, 0x87, 0x8B, 0x8F] {
        assert_eq!(refused(&frame(first, b"x")), Close::Protocol, "{first:x}");
    }
}

#[test]
fn section_5_2_a_length_that_is_not_its_shortest_form_is_refused() {
    assert_eq!(refused(&[0x81, 0x80 | 126, 0, 125, 0, 0, 0, 0]), Close::Protocol);
    assert_eq!(refused(&[0x81, 0x80 | 127, 0, 0, 0, 0, 0, 0, 255, 255, 0, 0, 0, 0]), Close::Protocol);
    assert_eq!(refused(&[0x81, 0x80 | 127, 128, 0, 0, 0, 0, 0, 255, 255, 0, 0, 0, 0]), Close::Protocol);
}

#[test]
fn section_5_3_the_payload_is_unmasked() {
    assert_eq!(hear(1000, &[&frame(0x81, "Grüße".as_bytes())]).0, [Heard::Text("Grüße".into())]);
}

#[test]
fn section_5_4_fragments_make_one_message_with_control_frames_between() {
    let bytes = [frame(0x01, b"a"), frame(0x89, b"p"), frame(0x00, b"b"), frame(0x8A, b""), frame(0x80, b"c")].concat();
    let expected = [Heard::Ping(b"p".to_vec()), Heard::Pong, Heard::Text("abc".into())];
    assert_eq!(hear(1000, &[&bytes]), (expected.to_vec(), Ok(())));
}

#[test]
fn section_5_4_a_continuation_of_nothing_and_a_message_within_one_are_refused() {
    assert_eq!(refused(&frame(0x80, b"x")), Close::Protocol);
    assert_eq!(refused(&[frame(0x01, b"a"), frame(0x81, b"b")].concat()), Close::Protocol);
}

#[test]
fn section_5_5_a_control_frame_is_short_and_whole() {
    assert_eq!(refused(&frame(0x89, &[0; 126])), Close::Protocol);
    assert_eq!(refused(&frame(0x09, b"")), Close::Protocol);
    assert_eq!(hear(10, &[&frame(0x89, &[7; 125])]).0, [Heard::Ping(vec![7; 125])]);
}

#[test]
fn section_5_5_1_nothing_is_read_after_a_close() {
    let bytes = [frame(0x88, &[0x03, 0xE8]), frame(0x81, b"late")].concat();
    assert_eq!(hear(1000, &[&bytes]).0, [Heard::Close(1000)]);
    assert_eq!(hear(1000, &[&frame(0x88, b"")]).0, [Heard::Close(0)]);
}

#[test]
fn section_5_6_binary_is_refused_as_not_text() {
    assert_eq!(refused(&frame(0x82, b"x")), Close::NotText);
}

#[test]
fn section_7_4_close_codes_that_may_not_be_sent_are_refused() {
    for code in [0_u16, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65_535] {
        assert_eq!(refused(&frame(0x88, &code.to_be_bytes())), Close::Protocol, "{code}");
    }
    for code in [1000_u16, 1001, 1003, 1007, 1011, 1014, 3000, 4999] {
        assert_eq!(hear(1000, &[&frame(0x88, &code.to_be_bytes())]).0, [Heard::Close(code)]);
    }
    assert_eq!(refused(&frame(0x88, &[3])), Close::Protocol);
    assert_eq!(refused(&frame(0x88, &[0x03, 0xE8, 0xFF])), Close::NotUtf8);
}

#[test]
fn section_8_1_wrong_utf8_is_refused_as_soon_as_its_fragment_ends() {
    assert_eq!(refused(&frame(0x81, b"\xFF")), Close::NotUtf8);
    assert_eq!(refused(&frame(0x01, b"ok\xC3\x28")), Close::NotUtf8);
    // The end of a message must not be in the middle of a character.
    assert_eq!(refused(&[frame(0x01, b"\xC3"), frame(0x80, b"")].concat()), Close::NotUtf8);
    // Surrogates and overlong forms are no UTF-8.
    assert_eq!(refused(&frame(0x81, b"\xED\xA0\x80")), Close::NotUtf8);
    assert_eq!(refused(&frame(0x81, b"\xC0\xAF")), Close::NotUtf8);
}

#[test]
fn section_10_4_a_message_over_the_limit_is_refused_from_its_header() {
    let mut header = vec![0x81, 0x80 | 127];
    header.extend((1_u64 << 40).to_be_bytes());
    header.extend([0; 4]);
    assert_eq!(refused(&header), Close::TooLarge);
    assert_eq!(refused(&[frame(0x01, &[b'x'; 600]), frame(0x80, &[b'x'; 401])].concat()), Close::TooLarge);
    assert_eq!(hear(1000, &[&frame(0x81, &[b'x'; 1000])]).1, Ok(()));
}

#[test]
fn a_reader_that_breaks_off_finds_the_rest_later() {
    let mut decoder = Decoder::new(100);
    let mut bytes = [frame(0x81, b"one"), frame(0x81, b"two")].concat();
    let mut heard = Vec::new();
    let mut take = |incoming: Incoming<'_>| {
        if let Incoming::Text(text) = incoming {
            heard.push(text.into_owned());
        }
        ControlFlow::Break(())
    };
    decoder.feed(&mut bytes, &mut take).unwrap();
    assert!(decoder.has_rest());
    decoder.feed(&mut [], &mut take).unwrap();
    assert!(!decoder.has_rest());
    assert_eq!(heard, ["one", "two"]);
}

/// Valid traffic: messages, cut into frames, with pings between, and what should be heard.
fn traffic() -> impl Strategy<Value = (Vec<u8>, Vec<Heard>)> {
    let message = (".{0,80}", 1_usize..5, any::<bool>());
    proptest::collection::vec(message, 0..8).prop_map(|messages| {
        let (mut bytes, mut heard) = (Vec::new(), Vec::new());
        for (text, parts, ping) in messages {
            let chunk = text.len().div_ceil(parts).max(1);
            let mut pieces: Vec<_> = text.as_bytes().chunks(chunk).collect();
            if pieces.is_empty() {
                pieces.push(b"");
            }
            let last = pieces.len() - 1;
            for (number, piece) in pieces.into_iter().enumerate() {
                let fin = if number == last { 0x80 } else { 0 };
                bytes.extend(frame(fin | u8::from(number == 0), piece));
                if ping && number < last {
                    bytes.extend(frame(0x89, b"between"));
                    heard.push(Heard::Ping(b"between".to_vec()));
                }
            }
            heard.push(Heard::Text(text));
        }
        (bytes, heard)
    })
}

proptest! {
    #[test]
    fn what_was_said_is_heard_however_the_bytes_are_cut((bytes, expected) in traffic(), cuts in proptest::collection::vec(1_usize..50, 1..40)) {
        let (mut pieces, mut rest) = (Vec::new(), &bytes[..]);
        for cut in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, after) = rest.split_at((*cut).min(rest.len()));
            pieces.push(piece);
            rest = after;
        }
        prop_assert_eq!(hear(1000, &pieces), (expected, Ok(())));
    }

    #[test]
    fn any_bytes_end_in_messages_or_a_close_code(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let whole = hear(64, &[&bytes]);
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        let mut by_bytes = hear(64, &single);
        // Fed byte by byte, what follows a close would be read as well: the socket stops feeding, this test cuts.
        if let Some(close) = by_bytes.0.iter().position(|heard| matches!(heard, Heard::Close(_))) {
            by_bytes.0.truncate(close + 1);
            prop_assert_eq!(&whole.0, &by_bytes.0);
        } else {
            prop_assert_eq!(whole, by_bytes);
        }
    }
}
