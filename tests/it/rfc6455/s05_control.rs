//! §5.5: control frames.

use crate::support::scene::Scene;
use crate::support::server::Server;
use crate::support::wire::{CLOSE, PING, PONG, Said, TEXT, Wire, frame};
use serde_json::json;

#[tokio::test]
async fn section_5_5_a_control_frame_is_at_most_125_bytes() {
    let server = Server::start().await;
    for first in [CLOSE, PING, PONG] {
        let mut wire = Wire::open(&server).await;
        wire.send(first, &[0; 126]).await;
        assert_eq!(wire.closed().await, Some(1002), "{first:#x}");
    }
}

#[tokio::test]
async fn section_5_5_a_control_frame_is_not_fragmented() {
    let server = Server::start().await;
    for first in [0x08, 0x09, 0x0A] {
        let mut wire = Wire::open(&server).await;
        wire.send(first, b"").await;
        assert_eq!(wire.closed().await, Some(1002), "{first:#x}");
    }
}

#[tokio::test]
async fn section_5_5_2_a_ping_is_answered_with_its_payload() {
    let scene = Scene::start().await;
    for mut wire in [Wire::open(&scene.server).await, Wire::greeted(&scene.server, &scene.ann).await] {
        for payload in [&b""[..], b"x", &[0xFF; 125], "Grüße".as_bytes()] {
            wire.send(PING, payload).await;
            loop {
                // A session that said hello is told of its user's stream meanwhile.
                match wire.next().await {
                    Said::Text(_) => {}
                    said => break assert_eq!(said, Said::Pong(payload.to_vec())),
                }
            }
        }
    }
}

#[tokio::test]
async fn section_5_5_2_pings_at_once_are_answered_in_their_order() {
    let server = Server::start().await;
    let mut wire = Wire::open(&server).await;
    let pings: Vec<u8> = (0..50).flat_map(|number| frame(PING, &[number])).collect();
    wire.bytes(&pings).await;
    for number in 0..50 {
        assert_eq!(wire.next().await, Said::Pong(vec![number]));
    }
}

#[tokio::test]
async fn section_5_5_3_a_pong_that_nobody_asked_for_is_ignored() {
    let scene = Scene::start().await;
    let mut wire = Wire::greeted(&scene.server, &scene.ann).await;
    for payload in [&b""[..], b"unasked", &[0; 125]] {
        wire.send(PONG, payload).await;
    }
    wire.command(2, "ping", json!({})).await;
    assert!(wire.reply(2).await.get("ok").is_some());
}

#[tokio::test]
async fn section_5_5_2_the_server_pings_a_silent_client_and_a_pong_is_a_sign_of_life() {
    let settings = [("session.ping_interval", "100ms"), ("session.dead_after", "2s")];
    let scene = Scene::start_with(&settings).await;
    let mut wire = Wire::greeted(&scene.server, &scene.ann).await;
    let begun = std::time::Instant::now();
    // Longer than a silent client lives.
    while begun.elapsed() < std::time::Duration::from_secs(3) {
        match wire.next().await {
            Said::Ping(payload) => wire.send(PONG, &payload).await,
            Said::Text(_) => {}
            other => panic!("{other:?}"),
        }
    }
    let mut silent = Wire::greeted(&scene.server, &scene.bob).await;
    assert_eq!(silent.closed().await, Some(4001));
}

#[tokio::test]
async fn section_5_5_1_nothing_after_a_close_frame_is_acted_upon() {
    let scene = Scene::start().await;
    let mut wire = Wire::greeted(&scene.server, &scene.bob).await;
    let post = json!({"ref": 9, "post": {"room": scene.room, "client_id": scene.room, "text": "too late"}}).to_string();
    let late = [frame(CLOSE, &[0x03, 0xE8]), frame(TEXT, post.as_bytes()), frame(PING, b"late"), vec![0xFF; 300]].concat();
    wire.bytes(&late).await;
    loop {
        match wire.next().await {
            Said::Close(code, _) => break assert_eq!(code, Some(1000)),
            Said::Text(frame) => assert!(!frame.contains("\"ref\":9"), "{frame}"),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(wire.next().await, Said::End);
    assert_eq!(scene.history().await.len(), 0);
}
