//! §5.1 to §5.4 and §5.6: framing, masking, fragments.

use crate::support::person::Person;
use crate::support::scene::Scene;
use crate::support::server::Server;
use crate::support::viewer::{number, text};
use crate::support::wire::{PING, Said, TEXT, Wire, frame, header, masked};
use serde_json::json;
use uuid::Uuid;

/// A ping command of exactly so many bytes: white space may stand around JSON.
fn ping_of(reference: u64, length: usize) -> Vec<u8> {
    let mut text = json!({"ref": reference, "ping": {}}).to_string().into_bytes();
    assert!(text.len() <= length);
    text.resize(length, b' ');
    text
}

#[tokio::test]
async fn section_5_1_an_unmasked_frame_fails_the_connection_as_protocol_error() {
    let scene = Scene::start().await;
    for bytes in [&[TEXT, 2, b'{', b'}'][..], &[PING, 0], &[0x88, 2, 0x03, 0xE8], &[0x82, 0]] {
        let mut wire = Wire::open(&scene.server).await;
        wire.bytes(bytes).await;
        assert_eq!(wire.closed().await, Some(1002), "before hello: {bytes:?}");
        let mut wire = Wire::greeted(&scene.server, &scene.ann).await;
        wire.bytes(bytes).await;
        assert_eq!(wire.closed().await, Some(1002), "after hello: {bytes:?}");
    }
}

#[tokio::test]
async fn section_5_2_reserved_bits_fail_the_connection() {
    let server = Server::start().await;
    for bits in [0x40, 0x20, 0x10, 0x70] {
        let mut wire = Wire::open(&server).await;
        wire.send(TEXT | bits, b"{}").await;
        assert_eq!(wire.closed().await, Some(1002), "{bits:#x}");
    }
}

#[tokio::test]
async fn section_5_2_reserved_opcodes_fail_the_connection() {
    let server = Server::start().await;
    for opcode in (3..8).chain(11..16) {
        let mut wire = Wire::open(&server).await;
        wire.send(0x80 | opcode, b"").await;
        assert_eq!(wire.closed().await, Some(1002), "{opcode:#x}");
    }
}

#[tokio::test]
async fn section_5_2_a_length_is_in_its_shortest_form() {
    let server = Server::start().await;
    let longer = [
        vec![TEXT, 0x80 | 126, 0, 2],
        vec![TEXT, 0x80 | 126, 0, 125],
        vec![TEXT, 0x80 | 127, 0, 0, 0, 0, 0, 0, 0, 2],
        vec![TEXT, 0x80 | 127, 0, 0, 0, 0, 0, 0, 255, 255],
    ];
    for bytes in longer {
        let mut wire = Wire::open(&server).await;
        wire.bytes(&[&bytes[..], &[0; 4]].concat()).await;
        assert_eq!(wire.closed().await, Some(1002), "{bytes:?}");
    }
}

#[tokio::test]
async fn section_5_2_a_length_has_63_bits() {
    let server = Server::start().await;
    for (length, code) in [(1 << 63, 1002), (u64::MAX, 1002), ((1 << 63) - 1, 1009)] {
        let mut wire = Wire::open(&server).await;
        wire.bytes(&[header(TEXT, length), vec![0; 4]].concat()).await;
        assert_eq!(wire.closed().await, Some(code), "{length:#x}");
    }
}

#[tokio::test]
async fn section_5_2_each_form_of_length_is_read() {
    let scene = Scene::start().await;
    let mut wire = Wire::greeted(&scene.server, &scene.ann).await;
    for (reference, length) in (10..).zip([125, 126, 127, 128, 65_535, 65_536]) {
        wire.send(TEXT, &ping_of(reference, length)).await;
        assert!(wire.reply(reference).await.get("ok").is_some(), "{length}");
    }
}

#[tokio::test]
async fn section_5_2_each_form_of_length_is_written() {
    let scene = Scene::start().await;
    for _ in 0..12 {
        scene.bob.say(&scene.room, &format!("{} {}", Uuid::new_v4(), "x".repeat(8_000))).await;
    }
    let head = scene.ann.head(&scene.room).await;
    let mut wire = Wire::greeted(&scene.server, &scene.ann).await;
    let mut forms = [0, wire.last_length, 0];
    wire.command(3, "ping", json!({})).await;
    wire.reply(3).await;
    forms[0] = wire.last_length;
    // What was missed comes in one page, in the longest form.
    wire.command(2, "subscribe", json!({"rooms": [{"room": scene.room, "cursor": head - 12}]})).await;
    let mut known = head - 12;
    while known < head {
        let Said::Text(frame) = wire.next().await else { continue };
        let frame: serde_json::Value = serde_json::from_str(&frame).expect("JSON");
        if frame.get("changes").is_some() {
            known = number(&frame["changes"]["to"]);
            forms[2] = forms[2].max(wire.last_length);
        }
    }
    assert!(forms[0] <= 125 && (126..65_536).contains(&forms[1]) && forms[2] > 65_535, "{forms:?}");
}

#[tokio::test]
async fn section_5_3_every_frame_has_a_mask_of_its_own() {
    let scene = Scene::start().await;
    let mut wire = Wire::greeted(&scene.server, &scene.ann).await;
    for (reference, mask) in (10..).zip([[0; 4], [0xFF; 4], [1, 2, 3, 4], [0x80, 0, 0, 0x7F]]) {
        wire.bytes(&masked(TEXT, &ping_of(reference, 77), mask)).await;
        assert!(wire.reply(reference).await.get("ok").is_some(), "{mask:?}");
    }
}

#[tokio::test]
async fn section_5_4_fragments_with_control_frames_between_are_one_message() {
    let server = Server::start().await;
    let ann = Person::register(&server, "ann").await;
    let mut wire = Wire::open(&server).await;
    let hello = json!({"ref": 1, "hello": {"token": ann.token}}).to_string().into_bytes();
    let last = hello.len() - 1;
    for (at, byte) in hello.iter().enumerate() {
        let first = if at == last { 0x80 } else { 0 } | u8::from(at == 0);
        wire.send(first, &[*byte]).await;
        if at % 50 == 0 && at != last {
            wire.send(PING, &[7, u8::try_from(at / 50).expect("small")]).await;
            assert_eq!(wire.next().await, Said::Pong(vec![7, u8::try_from(at / 50).expect("small")]), "answered amid a message");
        }
    }
    assert!(wire.reply(1).await["ok"]["session"].is_string());
}

#[tokio::test]
async fn section_5_4_fragments_may_be_empty_and_cut_anywhere() {
    let scene = Scene::start().await;
    let mut wire = Wire::greeted(&scene.server, &scene.ann).await;
    let client_id = Uuid::now_v7();
    let post = json!({"ref": 2, "post": {"room": scene.room, "client_id": client_id, "text": "Grüße 🎈"}}).to_string();
    let mut bytes = frame(0x01, b"");
    // Characters of several bytes are cut in two as well, and so are the frames by the packets they come in.
    post.as_bytes().chunks(3).for_each(|piece| bytes.extend(frame(0x00, piece)));
    bytes.extend(frame(0x80, b""));
    for packet in bytes.chunks(7) {
        wire.bytes(packet).await;
    }
    assert!(wire.reply(2).await.get("ok").is_some());
    assert_eq!(text(&scene.history().await[0]["text"]), "Grüße 🎈");
}

#[tokio::test]
async fn section_5_4_a_continuation_of_nothing_and_a_message_within_another_fail_the_connection() {
    let scene = Scene::start().await;
    let cases = [
        frame(0x80, b"x"),
        frame(0x00, b"x"),
        [frame(0x01, b"{"), frame(TEXT, b"}")].concat(),
        [frame(0x01, b"{"), frame(0x01, b"}")].concat(),
        [frame(0x01, b"{"), frame(0x82, b"}")].concat(),
        // A message that has ended is not continued.
        [frame(0x01, b"{\"ref\":2,"), frame(0x80, b"\"ping\":{}}"), frame(0x80, b"x")].concat(),
    ];
    for bytes in cases {
        let mut wire = Wire::greeted(&scene.server, &scene.ann).await;
        wire.bytes(&bytes).await;
        assert_eq!(wire.closed().await, Some(1002), "{bytes:?}");
    }
}

#[tokio::test]
async fn section_5_6_a_binary_message_is_refused_as_such() {
    let server = Server::start().await;
    for bytes in [frame(0x82, b"x"), frame(0x02, b"x"), frame(0x82, b"")] {
        let mut wire = Wire::open(&server).await;
        wire.bytes(&bytes).await;
        assert_eq!(wire.closed().await, Some(1003), "{bytes:?}");
    }
}
