//! §5.5.1, §7: the closing handshake and its codes.

use crate::support::eventually;
use crate::support::scene::Scene;
use crate::support::server::Server;
use crate::support::socket::Socket;
use crate::support::wire::{CLOSE, Said, TEXT, Wire, close_body, frame};
use hubbub::app::Stopped;
use serde_json::json;
use std::time::{Duration, Instant};

#[tokio::test]
async fn section_5_5_1_a_close_is_answered_with_its_code_and_the_server_closes_the_connection() {
    let scene = Scene::start().await;
    for code in [1000, 1001, 3000, 4000, 4999] {
        for mut wire in [Wire::open(&scene.server).await, Wire::greeted(&scene.server, &scene.ann).await] {
            wire.send(CLOSE, &close_body(code, b"goodbye")).await;
            assert_eq!(wire.closed().await, Some(code));
        }
    }
}

#[tokio::test]
async fn section_7_1_5_a_close_without_a_code_is_answered_without_one() {
    let server = Server::start().await;
    let mut wire = Wire::open(&server).await;
    wire.send(CLOSE, b"").await;
    assert_eq!(wire.next().await, Said::Close(None, String::new()));
    assert_eq!(wire.next().await, Said::End);
}

#[tokio::test]
async fn section_5_5_1_a_close_of_one_byte_is_a_protocol_error() {
    let server = Server::start().await;
    let mut wire = Wire::open(&server).await;
    wire.send(CLOSE, &[3]).await;
    assert_eq!(wire.closed().await, Some(1002));
}

#[tokio::test]
async fn section_5_5_1_a_reason_that_is_no_utf8_is_answered_1007() {
    let server = Server::start().await;
    for reason in [&b"\xFF"[..], b"ok\xC3", b"\xED\xA0\x80"] {
        let mut wire = Wire::open(&server).await;
        wire.send(CLOSE, &close_body(1000, reason)).await;
        assert_eq!(wire.closed().await, Some(1007), "{reason:?}");
    }
    // As long as a control frame allows.
    let mut wire = Wire::open(&server).await;
    wire.send(CLOSE, &close_body(1000, &[b'x'; 123])).await;
    assert_eq!(wire.closed().await, Some(1000));
}

#[tokio::test]
async fn section_7_4_1_codes_that_must_not_be_sent_are_a_protocol_error() {
    let server = Server::start().await;
    for code in [1004, 1005, 1006, 1015] {
        let mut wire = Wire::open(&server).await;
        wire.send(CLOSE, &close_body(code, b"")).await;
        assert_eq!(wire.closed().await, Some(1002), "{code}");
    }
}

#[tokio::test]
async fn section_7_4_1_defined_codes_are_taken() {
    let server = Server::start().await;
    for code in (1000..=1003).chain(1007..=1014) {
        let mut wire = Wire::open(&server).await;
        wire.send(CLOSE, &close_body(code, b"")).await;
        assert_eq!(wire.closed().await, Some(code));
    }
}

#[tokio::test]
async fn section_7_4_2_codes_outside_the_ranges_are_a_protocol_error() {
    let server = Server::start().await;
    for code in [0, 1, 999, 1016, 2999, 5000, 65_535] {
        let mut wire = Wire::open(&server).await;
        wire.send(CLOSE, &close_body(code, b"")).await;
        assert_eq!(wire.closed().await, Some(1002), "{code}");
    }
}

#[tokio::test]
async fn section_7_1_7_after_a_failure_nothing_more_is_acted_upon() {
    let scene = Scene::start().await;
    let mut wire = Wire::greeted(&scene.server, &scene.bob).await;
    let post =
        |text: &str| json!({"ref": 3, "post": {"room": scene.room, "client_id": uuid::Uuid::now_v7(), "text": text}}).to_string();
    let bytes = [frame(TEXT, post("before").as_bytes()), frame(0x83, b""), frame(TEXT, post("after").as_bytes())].concat();
    wire.bytes(&bytes).await;
    assert_eq!(wire.closed().await, Some(1002));
    eventually("the first post", || async { (scene.ann.texts(&scene.room).await == ["before"]).then_some(()) }).await;
    // What was read behind the failure would be stored by now: the same actor stores this one after it.
    scene.ann.say(&scene.room, "last").await;
    assert_eq!(scene.ann.texts(&scene.room).await, ["before", "last"]);
}

#[tokio::test]
async fn section_7_1_1_a_client_that_does_not_answer_a_close_is_dropped_in_time() {
    let server = Server::start_with(&[("server.max_connections", "1"), ("session.close_timeout", "300ms")]).await;
    let mut wire = Wire::open(&server).await;
    wire.send(0x83, b"").await;
    assert_eq!(wire.closed().await, Some(1002));
    // Its own half stays open; its place is free all the same.
    let begun = Instant::now();
    eventually("a free place", || async { Socket::try_open(&server.base()).await.ok() }).await;
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    drop(wire);
}

#[tokio::test]
async fn section_7_2_1_a_client_that_goes_without_a_word_leaves_nothing_behind() {
    let server = Server::start_with(&[("server.max_connections", "1")]).await;
    let mut wire = Wire::open(&server).await;
    wire.bytes(&frame(TEXT, b"{\"ref\":1,\"hello\":{\"token\":\"")[..12]).await;
    wire.hang_up().await;
    wire.closed().await;
    drop(eventually("a free place", || Wire::try_open(&server)).await);
    eventually("a free place", || async { Socket::try_open(&server.base()).await.ok() }).await;
}

#[tokio::test]
async fn section_7_4_1_a_server_that_stops_says_1001_and_closes_the_connection() {
    let mut scene = Scene::start().await;
    let mut greeted = Wire::greeted(&scene.server, &scene.ann).await;
    let mut silent = Wire::open(&scene.server).await;
    let (stopped, greeted, silent) = tokio::join!(scene.server.stop(), greeted.closed(), silent.closed());
    assert_eq!((stopped, greeted, silent), (Some(Stopped::InOrder), Some(1001), Some(1001)));
}
