//! What operators see: health, metrics, actors.

use crate::support::person::Person;
use crate::support::server::Server;
use serde_json::json;

async fn text(server: &Server, path: &str) -> (u16, String) {
    let response = reqwest::get(format!("{}{path}", server.base())).await.expect("an answer");
    (response.status().as_u16(), response.text().await.expect("a body"))
}

#[tokio::test]
async fn a_serving_node_is_live_and_ready() {
    let server = Server::start().await;
    assert_eq!(text(&server, "/health/live").await.0, 200);
    let ready = Person::anonymous(&server.base()).get("/health/ready").await;
    assert_eq!(ready.status.as_u16(), 200);
    assert_eq!(ready.ok()["status"], json!("ready"));
}

#[tokio::test]
async fn metrics_count_what_happened_and_name_nobody() {
    // As `serve` does before anything counts.
    hubbub::telemetry::metrics::install().expect("the first recorder");
    let server = Server::start().await;
    let ann = Person::register(&server, "ann_the_measured").await;
    let room = ann.make_room("Kitchen", "public").await;
    ann.say(&room, "a text that is nowhere else").await;
    let (status, metrics) = text(&server, "/metrics").await;
    assert_eq!(status, 200);
    for name in ["hubbub_commit_seconds", "hubbub_read_seconds", "hubbub_actors{kind=\"persistence\"}", "hubbub_rooms_awake"] {
        assert!(metrics.contains(name), "{name}: {metrics}");
    }
    for secret in ["ann_the_measured", &ann.id, &room, "nowhere else"] {
        assert!(!metrics.contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn metrics_are_for_the_networks_in_the_settings() {
    let server = Server::start_with(&[("server.metrics_allowed", "[\"192.0.2.0/24\"]")]).await;
    assert_eq!(text(&server, "/metrics").await.0, 403);
}

#[tokio::test]
async fn actors_are_shown_to_administrators_only() {
    let server = Server::start().await;
    let ann = Person::register(&server, "ann").await;
    assert_eq!(ann.get("admin/actors").await.code(), "not_allowed");
    assert_eq!(Person::anonymous(&server.base()).get("admin/actors").await.code(), "unauthenticated");
}

#[tokio::test]
async fn every_answer_carries_what_keeps_browsers_safe() {
    let server = Server::start().await;
    for path in ["/health/live", "/api/v1/rooms", "/nothing", "/docs/"] {
        let response = reqwest::get(format!("{}{path}", server.base())).await.expect("an answer");
        let headers = response.headers();
        assert_eq!(headers.get("x-content-type-options").map(|value| value.as_bytes()), Some(&b"nosniff"[..]), "{path}");
        let policy = headers.get("content-security-policy").and_then(|value| value.to_str().ok()).unwrap_or_default();
        assert!(policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
        assert!(headers.contains_key("x-request-id"), "{path}");
    }
}
