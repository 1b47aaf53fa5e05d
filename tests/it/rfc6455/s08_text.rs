//! §8.1: text is UTF-8.

use crate::support::scene::Scene;
use crate::support::server::Server;
use crate::support::wire::{Said, TEXT, Wire, frame};
use serde_json::json;
use uuid::Uuid;

/// Bytes that are no UTF-8, each for another reason.
const WRONG: [(&str, &[u8]); 9] = [
    ("a byte that never occurs", b"\xFF"),
    ("a continuation of nothing", b"\x80"),
    ("a character without its end", b"\xC3("),
    ("an overlong slash", b"\xC0\xAF"),
    ("an overlong nothing of three bytes", b"\xE0\x80\x80"),
    ("the first half of a surrogate pair", b"\xED\xA0\x80"),
    ("the second half of a surrogate pair", b"\xED\xBF\xBF"),
    ("beyond Unicode", b"\xF4\x90\x80\x80"),
    ("five bytes", b"\xF8\x88\x80\x80\x80"),
];

#[tokio::test]
async fn section_8_1_a_text_that_is_no_utf8_fails_the_connection_with_1007() {
    let server = Server::start().await;
    for (why, bytes) in WRONG {
        let mut wire = Wire::open(&server).await;
        wire.send(TEXT, &[b"{\"ref\":1,\"ping\":\"", bytes, b"\"}"].concat()).await;
        assert_eq!(wire.closed().await, Some(1007), "{why}");
    }
    let mut wire = Wire::open(&server).await;
    wire.send(TEXT, b"{\"ref\":1}\xE2\x82").await;
    assert_eq!(wire.closed().await, Some(1007), "a character cut off at the end");
}

#[tokio::test]
async fn section_8_1_a_wrong_byte_fails_the_connection_before_the_message_ends() {
    let server = Server::start().await;
    for (why, bytes) in WRONG {
        let mut wire = Wire::open(&server).await;
        // No last fragment ever comes.
        wire.bytes(&[frame(0x01, b"{\"ref\":1,"), frame(0x00, &[bytes, b"~"].concat())].concat()).await;
        assert_eq!(wire.closed().await, Some(1007), "{why}");
    }
}

#[tokio::test]
async fn section_8_1_a_wrong_character_that_is_cut_by_fragments_is_found() {
    let server = Server::start().await;
    for (why, bytes) in WRONG {
        let mut wire = Wire::open(&server).await;
        for (at, byte) in bytes.iter().enumerate() {
            wire.send(u8::from(at == 0), &[*byte]).await;
        }
        wire.send(0x80, b"~").await;
        assert_eq!(wire.closed().await, Some(1007), "{why}");
    }
    let mut wire = Wire::open(&server).await;
    wire.bytes(&[frame(0x01, b"\xF0\x9F"), frame(0x80, b"\x8E")].concat()).await;
    assert_eq!(wire.closed().await, Some(1007), "a character whose end never came");
}

#[tokio::test]
async fn section_8_1_every_character_of_unicode_passes_unchanged() {
    let scene = Scene::start().await;
    let mut wire = Wire::greeted(&scene.server, &scene.bob).await;
    // The ends of each length of encoding, what lies beside the surrogates, a non-character, and a combined one.
    let text = "a~ \u{80}\u{7FF}\u{800}\u{D7FF}\u{E000}\u{FFFD}\u{FFFE}\u{10000}\u{10FFFF} 👩‍👩‍👧 e\u{301}";
    let post = json!({"ref": 2, "post": {"room": scene.room, "client_id": Uuid::now_v7(), "text": text}}).to_string();
    wire.send(TEXT, post.as_bytes()).await;
    assert!(wire.reply(2).await.get("ok").is_some());
    assert_eq!(scene.ann.texts(&scene.room).await, [text]);
}

#[tokio::test]
async fn section_8_1_a_ping_may_carry_any_bytes() {
    let server = Server::start().await;
    let mut wire = Wire::open(&server).await;
    wire.send(0x89, b"\xFF\xC0").await;
    assert_eq!(wire.next().await, Said::Pong(b"\xFF\xC0".to_vec()));
}
