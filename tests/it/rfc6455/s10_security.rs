//! §10.4, limits; and the time that somebody who says nothing is given.

use crate::support::scene::Scene;
use crate::support::server::Server;
use crate::support::wire::{Said, TEXT, Wire, frame, header};
use serde_json::json;
use std::time::{Duration, Instant};

const SMALL: [(&str, &str); 2] = [("limits.frame_max", "1KiB"), ("limits.text_max", "128B")];

#[tokio::test]
async fn section_10_4_a_frame_over_the_limit_is_refused_by_its_header_alone() {
    let server = Server::start_with(&SMALL).await;
    for length in [1025, 65_536, 1 << 32, (1 << 63) - 1] {
        let mut wire = Wire::open(&server).await;
        // Nothing of the payload is ever sent: who waited for it, or made room for it, would not answer.
        wire.bytes(&[header(TEXT, length), vec![0; 4]].concat()).await;
        assert_eq!(wire.closed().await, Some(1009), "{length}");
    }
}

#[tokio::test]
async fn section_10_4_fragments_that_add_up_to_more_than_the_limit_are_refused() {
    let server = Server::start_with(&SMALL).await;
    let mut wire = Wire::open(&server).await;
    wire.send(0x01, &[b' '; 1000]).await;
    wire.bytes(&[header(0x00, 25), vec![0; 4]].concat()).await;
    assert_eq!(wire.closed().await, Some(1009));
    let mut wire = Wire::open(&server).await;
    wire.send(0x01, b" ").await;
    for _ in 0..2000 {
        wire.send(0x00, b" ").await;
    }
    assert_eq!(wire.closed().await, Some(1009), "in small ones too");
}

#[tokio::test]
async fn section_10_4_a_message_of_just_the_limit_passes() {
    let scene = Scene::start_with(&SMALL).await;
    let mut wire = Wire::greeted(&scene.server, &scene.ann).await;
    let mut ping = json!({"ref": 2, "ping": {}}).to_string().into_bytes();
    ping.resize(1024, b' ');
    wire.send(TEXT, &ping).await;
    assert!(wire.reply(2).await.get("ok").is_some());
    let (first, second) = ping.split_at(500);
    wire.bytes(&[frame(0x01, first), frame(0x80, second)].concat()).await;
    assert!(wire.reply(2).await.get("ok").is_some());
}

#[tokio::test]
async fn section_10_4_a_flood_of_empty_fragments_is_refused() {
    let server = Server::start_with(&[("rates.frames_per_connection", "100/1m")]).await;
    let mut wire = Wire::open(&server).await;
    wire.send(0x01, b"{").await;
    for _ in 0..300 {
        wire.send(0x00, b"").await;
    }
    let code = wire.closed().await;
    assert_eq!(code, Some(4003), "frames count, whatever is in them");
}

#[tokio::test]
async fn section_10_4_who_opens_a_socket_and_says_nothing_is_closed_in_time() {
    let server = Server::start_with(&[("server.hello_timeout", "300ms")]).await;
    let begun = Instant::now();
    let mut silent = Wire::open(&server).await;
    // Neither a ping nor half a message is a hello.
    let mut busy = Wire::open(&server).await;
    busy.send(0x89, b"").await;
    assert_eq!(busy.next().await, Said::Pong(Vec::new()));
    busy.send(0x01, b"{").await;
    assert_eq!(silent.closed().await, Some(4102));
    assert_eq!(busy.closed().await, Some(4102));
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}
