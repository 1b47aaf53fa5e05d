//! I4: everything is bounded.

use crate::support::checks;
use crate::support::scene::Scene;
use crate::support::server::Server;
use crate::support::socket::Socket;
use crate::support::viewer::Viewer;
use crate::support::wire::{Head, Wire};
use crate::support::within;
use serde_json::json;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::test]
async fn a_slow_reader_loses_its_socket_with_its_code_and_resumes_without_loss() {
    // The outbox is much smaller than what is posted, but holds a part of it; the time to close is longer than the posting takes.
    let scene = Scene::start_with(&[("session.outbox_max", "256KiB"), ("session.close_timeout", "60s")]).await;
    let mut reader = Viewer::fresh(&scene.bob, &scene.room).await;
    let mut quick = Viewer::fresh(&scene.ann, &scene.room).await;
    reader.narrow(&scene.bob).await;
    let head = quick.cursor + 600;
    // Nobody else feels it: somebody who reads while it comes, and is never further behind than a part, whoever gets to run when.
    while quick.cursor < head {
        let next = quick.cursor + 20;
        tokio::join!(scene.flood(20), quick.until(next));
    }
    assert_eq!(checks::shown(&quick, &scene.history().await), [""; 0]);
    assert_eq!(checks::slow_reader(reader.until_closed().await), [""; 0]);
    assert!(reader.cursor < head, "something was dropped");
    assert_eq!(reader.resume(&scene.bob).await["status"], "resuming");
    scene.catch_up(&mut reader).await;
    assert_eq!(checks::same(&reader, &quick), [""; 0]);
    assert_eq!(checks::shown(&reader, &scene.history().await), [""; 0]);
}

#[tokio::test]
async fn beyond_the_rate_the_answer_is_busy_with_a_time() {
    let scene = Scene::start_with(&[("rates.posts_per_account", "3/1h")]).await;
    let talk = scene.pipeline(&scene.bob, 6).await;
    let codes: Vec<_> = talk.answers.iter().map(|(_, answer)| answer["error"]["code"].as_str().unwrap_or("ok")).collect();
    assert_eq!(codes, ["ok", "ok", "ok", "busy", "previous_refused", "previous_refused"]);
    assert!(talk.answers[3].1["error"]["retry_after_ms"].as_u64().is_some_and(|wait| wait > 0));
    let over_rest = scene.bob.say_as(&scene.room, "by another way", &uuid::Uuid::now_v7().to_string()).await;
    assert_eq!((over_rest.status.as_u16(), over_rest.code()), (429, "busy"));
    assert_eq!(scene.history().await.len(), 3);
}

#[tokio::test]
async fn a_text_a_frame_and_a_list_have_their_limits() {
    let limits = [("limits.text_max", "16B"), ("limits.frame_max", "4KiB"), ("limits.cursors_per_frame", "2")];
    let scene = Scene::start_with(&limits).await;
    let mut socket = scene.bob.connect().await;
    assert_eq!(socket.say(&scene.room, &"x".repeat(17)).await["error"]["code"], "text_too_long");
    let rooms = vec![json!({"room": scene.room}); 3];
    assert_eq!(socket.ask("subscribe", json!({"rooms": rooms})).await["error"]["code"], "too_large");
    socket.command("post", json!({"room": scene.room, "client_id": scene.room, "text": "x".repeat(5000)})).await;
    assert_eq!(socket.closed().await, Some(1009));
}

#[tokio::test]
async fn beyond_the_connections_a_socket_is_refused() {
    let scene = Scene::start_with(&[("server.max_connections", "2")]).await;
    let mut one = scene.ann.connect().await;
    let _two = scene.bob.connect().await;
    let refused = Wire::dial(&scene.server).await.shake(&Head::good()).await;
    assert_eq!((refused.status, refused.field("retry-after")), (429, vec!["1"]));
    let problem = refused.problem().await;
    assert_eq!((problem["code"].as_str(), problem["retry_after_ms"].as_u64()), (Some("busy"), Some(250)));
    one.ask("ping", json!({})).await;
}

#[tokio::test]
async fn beyond_the_connections_of_plain_http_further_ones_wait_in_the_systems_queue() {
    let limits = [("server.max_http_connections", "1"), ("server.workers", "1"), ("server.backlog", "300")];
    let server = Server::start_with(&[&limits[..], &[("server.head_timeout", "2m")]].concat()).await;
    let mut silent = Vec::new();
    for _ in 0..250 {
        silent.push(Wire::dial(&server).await);
    }
    let head = Head::good();
    let asking = Wire::dial(&server).await.shake(&head);
    tokio::pin!(asking);
    // Nobody asks anything. The first has the only place; when it goes, the next has it.
    assert!(futures_util::poll!(&mut asking).is_pending());
    drop(silent.remove(0));
    let mut next = silent.remove(0);
    next.bytes(b"GET /health/live HTTP/1.1\r\nHost: chat.example.org\r\n\r\n").await;
    let answer = next.answer().await.expect("an answer");
    assert_eq!(answer.status, 200);
    assert!(futures_util::poll!(&mut asking).is_pending(), "that one keeps its connection");
    drop((answer, silent));
    assert_eq!(asking.await.status, 101);
}

#[tokio::test]
async fn a_person_has_so_many_sockets_over_all_threads_and_a_further_one_is_closed() {
    let scene = Scene::start_with(&[("limits.sessions_per_user", "3"), ("server.workers", "2")]).await;
    let mut open = vec![scene.bob.connect().await, scene.bob.connect().await, scene.bob.connect().await];
    let mut further = Socket::open(&scene.bob.base).await;
    let refused = further.ask("hello", json!({"token": scene.bob.token})).await;
    assert_eq!(refused["error"]["code"], "limit_reached");
    assert_eq!(further.closed().await, Some(4004));
    scene.ann.connect().await;
    open.remove(0).leave().await;
    scene.bob.connect().await.say(&scene.room, "one has gone, so there is room").await;
}

#[tokio::test]
async fn a_body_that_dribbles_in_is_given_up_in_time() {
    let server = Server::start_with(&[("server.body_timeout", "500ms")]).await;
    let mut wire = Wire::dial(&server).await;
    let head = "POST /api/v1/logins HTTP/1.1\r\nHost: chat.example.org\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n";
    wire.bytes(head.as_bytes()).await;
    let (mut read, mut write) = wire.stream.into_split();
    let dribble = async {
        let mut pause = tokio::time::interval(Duration::from_millis(20));
        while write.write_all(b" ").await.is_ok() {
            pause.tick().await;
        }
    };
    let mut answer = Vec::new();
    tokio::select! {
        () = dribble => {}
        read = within("the end of the connection", read.read_to_end(&mut answer)) => drop(read),
    }
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("too_slow"), "{answer}");
}
