//! §4, the opening handshake, and §10.2, the origin.

use crate::support::log::Log;
use crate::support::person::Person;
use crate::support::server::Server;
use crate::support::wire::{ACCEPT, Answer, Head, TEXT, Wire, frame};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;

async fn shake(server: &Server, head: &Head) -> Answer {
    Wire::dial(server).await.shake(head).await
}

/// The status and the problem document of a refusal.
async fn refused(server: &Server, head: &Head) -> (u16, Value) {
    let answer = shake(server, head).await;
    let status = answer.status;
    assert_ne!(status, 101, "accepted: {}", head.text());
    let problem = answer.problem().await;
    assert_eq!(problem["status"], json!(status), "{problem}");
    assert!(problem["code"].is_string(), "{problem}");
    (status, problem)
}

#[tokio::test]
async fn section_4_2_2_a_good_handshake_is_answered_101_with_the_accept_of_its_key() {
    let server = Server::start().await;
    let answer = shake(&server, &Head::good()).await;
    assert_eq!(answer.status, 101);
    assert_eq!(answer.field("Sec-WebSocket-Accept"), [ACCEPT]);
    assert!(answer.field("Upgrade")[0].eq_ignore_ascii_case("websocket"));
    assert!(answer.field("Connection")[0].eq_ignore_ascii_case("upgrade"));
}

#[tokio::test]
async fn section_4_2_1_names_and_words_are_compared_without_their_case() {
    let server = Server::start().await;
    let head = Head::good().with("Upgrade", "WebSocket").with("Connection", "keep-alive, UPGRADE");
    assert_eq!(shake(&server, &head).await.status, 101);
    let mut head = Head::good();
    head.fields.iter_mut().for_each(|(name, _)| *name = name.to_lowercase());
    assert_eq!(shake(&server, &head).await.status, 101);
}

#[tokio::test]
async fn section_4_2_1_only_get_opens_a_socket() {
    let server = Server::start().await;
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        let head = Head::good().line(&format!("{method} /api/v1/ws HTTP/1.1"));
        let answer = shake(&server, &head).await;
        assert_eq!((answer.status, answer.field("Allow")), (405, vec!["GET"]), "{method}");
    }
}

#[tokio::test]
async fn a_refused_handshake_is_found_in_the_log_by_the_id_of_its_answer() {
    let log = Log::capture();
    let server = Server::start().await;
    let answer = shake(&server, &Head::good().with("Origin", "https://evil.example.org")).await;
    assert_eq!(answer.status, 403);
    let id = answer.field("x-request-id")[0].to_owned();
    assert_eq!(answer.problem().await["request_id"], json!(id));
    let text = log.text();
    let lines: Vec<_> = text.lines().filter(|line| line.contains(&id)).collect();
    assert!(lines.len() == 1 && lines[0].contains("hubbub::access") && lines[0].contains("403"), "{lines:?}");
}

#[tokio::test]
async fn section_4_2_1_only_http_1_1_opens_a_socket() {
    let server = Server::start().await;
    assert_eq!(refused(&server, &Head::good().line("GET /api/v1/ws HTTP/1.0")).await.0, 400);
}

#[tokio::test]
async fn section_4_2_1_a_request_without_host_is_refused() {
    let server = Server::start().await;
    assert_eq!(shake(&server, &Head::good().without("Host")).await.status, 400);
}

#[tokio::test]
async fn section_4_2_1_a_request_that_does_not_ask_for_the_upgrade_is_told_to() {
    let server = Server::start().await;
    let without = [Head::good().without("Upgrade"), Head::good().without("Connection"), Head::good().with("Upgrade", "h2c")];
    for head in
        without.into_iter().chain([Head::good().with("Connection", "keep-alive"), Head::good().with("Upgrade", "notwebsocket")])
    {
        let (status, problem) = refused(&server, &head).await;
        assert_eq!(status, 400, "{problem}");
        assert!(problem.to_string().to_lowercase().contains("websocket"), "it says what to do: {problem}");
    }
}

#[tokio::test]
async fn section_4_2_1_a_key_that_is_not_sixteen_bytes_is_refused() {
    let server = Server::start().await;
    assert_eq!(refused(&server, &Head::good().without("Sec-WebSocket-Key")).await.0, 400);
    for key in ["", "c2hvcnQ=", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25jZSE=", "!!!!!!!!!!!!!!!!!!!!!!=="] {
        assert_eq!(refused(&server, &Head::good().with("Sec-WebSocket-Key", key)).await.0, 400, "{key:?}");
    }
}

#[tokio::test]
async fn section_11_3_1_two_keys_are_refused() {
    let server = Server::start().await;
    let head = Head::good().and("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA==");
    assert_eq!(refused(&server, &head).await.0, 400);
}

#[tokio::test]
async fn section_4_4_another_version_is_refused_with_the_one_that_is_spoken() {
    let server = Server::start().await;
    let other = ["8", "0", "14", "25", "13, 8", "x"].map(|version| Head::good().with("Sec-WebSocket-Version", version));
    for head in other.into_iter().chain([Head::good().without("Sec-WebSocket-Version")]) {
        let answer = shake(&server, &head).await;
        assert_eq!((answer.status, answer.field("Sec-WebSocket-Version")), (426, vec!["13"]), "{}", head.text());
    }
}

#[tokio::test]
async fn section_4_2_2_the_subprotocol_is_chosen_from_those_offered() {
    let server = Server::start().await;
    let name = "Sec-WebSocket-Protocol";
    let several = Head::good().with(name, "chat, hubbub.v1 ,superchat");
    let in_two_fields = Head::good().with(name, "hubbub.v2").and(name, "hubbub.v1");
    for head in [several, in_two_fields] {
        let answer = shake(&server, &head).await;
        assert_eq!((answer.status, answer.field(name)), (101, vec!["hubbub.v1"]));
    }
    for head in [Head::good().without(name), Head::good().with(name, "hubbub.v9"), Head::good().with(name, "HUBBUB.V1")] {
        let (status, problem) = refused(&server, &head).await;
        assert_eq!(status, 400);
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains("hubbub.v1")), "{problem}");
    }
}

#[tokio::test]
async fn section_9_1_no_extension_is_negotiated() {
    let server = Server::start().await;
    let head = Head::good().and("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits, x-other");
    let answer = shake(&server, &head).await;
    assert_eq!((answer.status, answer.field("Sec-WebSocket-Extensions").len()), (101, 0));
}

#[tokio::test]
async fn section_10_2_a_page_of_another_origin_is_refused() {
    let server = Server::start_with(&[("server.allowed_origins", "[\"https://app.example.org\"]")]).await;
    for origin in ["http://chat.example.org", "https://app.example.org"] {
        assert_eq!(shake(&server, &Head::good().and("Origin", origin)).await.status, 101, "{origin}");
    }
    for origin in ["https://evil.example.org", "null", "https://chat.example.org.evil.org"] {
        let (status, problem) = refused(&server, &Head::good().and("Origin", origin)).await;
        assert_eq!((status, &problem["code"]), (403, &json!("not_allowed")), "{origin}");
    }
}

#[tokio::test]
async fn section_4_2_2_there_is_no_socket_elsewhere() {
    let server = Server::start().await;
    for path in ["/", "/api/v1/rooms", "/api/v1/ws/", "/API/V1/WS"] {
        let (status, problem) = refused(&server, &Head::good().line(&format!("GET {path} HTTP/1.1"))).await;
        assert_eq!((status, &problem["code"]), (404, &json!("not_found")), "{path}");
    }
}

#[tokio::test]
async fn section_4_1_what_follows_the_handshake_in_one_packet_is_read() {
    let server = Server::start().await;
    let ann = Person::register(&server, "ann").await;
    let hello = json!({"ref": 5, "hello": {"token": ann.token}}).to_string();
    let mut wire = Wire::dial(&server).await;
    let bytes = [Head::good().text().as_bytes(), &frame(TEXT, hello.as_bytes())].concat();
    wire.bytes(&bytes).await;
    let mut answer = wire.answer().await.expect("an answer");
    assert_eq!(answer.status, 101);
    assert!(answer.wire.reply(5).await["ok"]["session"].is_string());
}

#[tokio::test]
async fn section_4_2_a_handshake_that_does_not_come_to_its_end_is_given_up() {
    let server = Server::start_with(&[("server.head_timeout", "1s")]).await;
    let text = Head::good().text();
    let begun = Instant::now();
    let mut wire = Wire::dial(&server).await;
    // Byte by byte, so that there is always something new.
    let (mut reader, mut writer) = wire.stream.into_split();
    let dribble = async move {
        for byte in text.as_bytes() {
            if writer.write_all(&[*byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let ended = async {
        let mut all = Vec::new();
        drop(tokio::io::AsyncReadExt::read_to_end(&mut reader, &mut all).await);
        String::from_utf8_lossy(&all).into_owned()
    };
    let said = tokio::select! {
        said = ended => said,
        () = dribble => panic!("the whole head was awaited"),
    };
    assert!(said.is_empty() || said.starts_with("HTTP/1.1 408"), "{said}");
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    // Neither does a connection stay that says nothing at all.
    wire = Wire::dial(&server).await;
    assert!(wire.answer().await.is_none_or(|answer| answer.status == 408));
}
