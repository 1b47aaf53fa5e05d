//! A fuzz harness for stable Rust: whatever bytes come, the frame decoder and the command decoder answer with a message, a fault or a
//! close code, and never panic.
//!
//! No clock: so many iterations, from a seed that a failure names. `HUBBUB_FUZZ_SEED` and `HUBBUB_FUZZ_ITERATIONS` change them;
//! CONTRIBUTING.md has the command for a long run. Inputs are made by mutating real traffic, as random bytes rarely get past the first header.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use hubbub::domain::fault::Close;
use hubbub::protocol::v1::command::decode;
use hubbub::session::decode::{Decoder, Incoming};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::ops::ControlFlow;

const ITERATIONS: u64 = 20_000;
const MAX_BYTES: usize = 4096;

const COMMANDS: &[&str] = &[
    r#"{"ref":1,"hello":{"token":"t","epoch":"01933e00-0000-7000-8000-0000000000e1","user_cursor":4,"rooms":[{"room":"01933e00-0000-7000-8000-000000000001","cursor":17}]}}"#,
    r#"{"ref":2,"post":{"room":"01933e00-0000-7000-8000-000000000001","client_id":"01933e00-0000-7000-8000-0000000000c2","text":"Gr\u00fc\u00dfe \ud83d\ude00"}}"#,
    r#"{"ref":9007199254740991,"set_presence":{"state":"away"}}"#,
    r#"{"ref":3,"ping":{}}"#,
    "[[[[[[[[[[[[[[[[{}]]]]]]]]]]]]]]]]",
    "",
];

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |value| value.parse().expect("a number"))
}

/// A frame as a client would send it, or nearly.
fn frame(random: &mut StdRng, payload: &[u8]) -> Vec<u8> {
    let opcodes = [0x81, 0x81, 0x81, 0x01, 0x00, 0x80, 0x88, 0x89, 0x8A, 0x82];
    let mut bytes = vec![opcodes[random.random_range(0..opcodes.len())]];
    match payload.len() {
        short @ 0..=125 => bytes.push(0x80 | u8::try_from(short).unwrap()),
        long => {
            bytes.push(0x80 | 126);
            bytes.extend(u16::try_from(long).unwrap().to_be_bytes());
        }
    }
    let mask: [u8; 4] = random.random();
    bytes.extend(mask);
    bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key));
    bytes
}

fn mutate(random: &mut StdRng, bytes: &mut Vec<u8>) {
    for _ in 0..random.random_range(0..4) {
        if bytes.is_empty() {
            return;
        }
        let place = random.random_range(0..bytes.len());
        match random.random_range(0..4) {
            0 => bytes[place] ^= 1 << random.random_range(0..8),
            1 => bytes[place] = random.random(),
            2 => bytes.truncate(place),
            _ => bytes.insert(place, random.random()),
        }
    }
}

fn traffic(random: &mut StdRng) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..random.random_range(1..5) {
        let mut payload = COMMANDS[random.random_range(0..COMMANDS.len())].as_bytes().to_vec();
        mutate(random, &mut payload);
        bytes.extend(frame(random, &payload));
    }
    mutate(random, &mut bytes);
    bytes
}

/// What a connection makes of `bytes` in pieces: how many messages, and its end.
fn connection(random: &mut StdRng, mut bytes: &[u8]) -> (usize, Result<(), Close>) {
    let (mut decoder, mut messages, mut closed) = (Decoder::new(MAX_BYTES), 0, false);
    while !bytes.is_empty() && !closed {
        let (piece, rest) = bytes.split_at(random.random_range(1..=bytes.len()));
        let mut take = |incoming: Incoming<'_>| {
            messages += 1;
            match incoming {
                Incoming::Text(text) => {
                    assert!(text.len() <= MAX_BYTES);
                    if let Err(malformed) = decode(&text) {
                        assert!(!malformed.reason.is_empty());
                    }
                }
                Incoming::Ping(payload) => assert!(payload.len() <= 125),
                Incoming::Close(code) => {
                    assert!(code == 0 || (1000..5000).contains(&code));
                    closed = true;
                }
                Incoming::Pong | Incoming::Fragment => {}
            }
            ControlFlow::Continue(())
        };
        let fed = decoder.feed(&mut piece.to_vec(), &mut take);
        if fed.is_err() {
            return (messages, fed);
        }
        bytes = rest;
    }
    (messages, Ok(()))
}

#[test]
fn whatever_bytes_come_are_messages_or_a_close_code() {
    let seed = setting("HUBBUB_FUZZ_SEED", 6455);
    let (mut messages, mut refused) = (0, 0);
    for iteration in 0..setting("HUBBUB_FUZZ_ITERATIONS", ITERATIONS) {
        let mut random = StdRng::seed_from_u64(seed.wrapping_add(iteration));
        let bytes = traffic(&mut random);
        let outcome = std::panic::catch_unwind(move || connection(&mut random, &bytes));
        let (count, end) = outcome.unwrap_or_else(|_| panic!("HUBBUB_FUZZ_SEED={} fails", seed.wrapping_add(iteration)));
        messages += count;
        refused += usize::from(end.is_err());
    }
    // A harness whose inputs all fail at the first byte, or never, proves nothing.
    assert!(messages > 1000 && refused > 1000, "{messages} messages, {refused} refused");
}
