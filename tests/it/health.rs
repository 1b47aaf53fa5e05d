//! What operators see: health, metrics, actors.

use crate::support::person::Person;
use crate::support::scene::Scene;
use crate::support::server::Server;
use crate::support::socket::Socket;
use crate::support::viewer::Viewer;
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

/// The sum of a metric over its labels, of the lines that hold all of `labels`.
fn value(metrics: &str, name: &str, labels: &[&str]) -> f64 {
    let lines = metrics.lines().filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])));
    let lines = lines.filter(|line| labels.iter().all(|label| line.contains(label)));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

#[tokio::test]
async fn metrics_count_what_happens_on_sockets_and_over_rest() {
    hubbub::telemetry::metrics::install().expect("the first recorder");
    let scene = Scene::start_with(&[("rates.posts_per_account", "2/1h"), ("server.max_connections", "3")]).await;
    let mut viewer = Viewer::fresh(&scene.ann, &scene.room).await;
    let mut bob = scene.bob.connect().await;
    assert_eq!(bob.say(&scene.room, "one").await["ok"]["repeat"], false);
    assert_eq!(bob.say(&scene.room, "two").await["ok"]["repeat"], false);
    assert_eq!(bob.say(&scene.room, "three").await["error"]["code"], "busy");
    viewer.until(scene.ann.head(&scene.room).await).await;
    let cursors = json!({"rooms": [{"room": scene.room, "cursor": viewer.cursor - 1}]});
    assert_eq!(bob.ask("subscribe", cursors).await["ok"]["rooms"][0]["status"], "resuming");
    Person::log_in(&scene.server, "bob").await;
    let _third = Socket::open(&scene.server.base()).await;
    assert!(Socket::try_open(&scene.server.base()).await.is_err(), "a fourth");
    let (_, metrics) = text(&scene.server, "/metrics").await;
    for (name, labels, at_least, at_most) in [
        ("hubbub_connections", &[][..], 3.0, 3.0),
        ("hubbub_sessions", &[], 2.0, 2.0),
        ("hubbub_connections_refused_total", &["reason=\"limit\""], 1.0, 1.0),
        ("hubbub_frames_in_total", &[], 6.0, 20.0),
        ("hubbub_frames_out_total", &[], 9.0, 40.0),
        ("hubbub_bytes_out_total", &[], 1_000.0, 100_000.0),
        ("hubbub_flushes_total", &[], 5.0, 40.0),
        ("hubbub_commands_total", &["command=\"post\""], 3.0, 3.0),
        ("hubbub_commands_total", &["command=\"hello\""], 2.0, 2.0),
        ("hubbub_replies_total", &["outcome=\"busy\""], 1.0, 1.0),
        ("hubbub_replies_total", &["outcome=\"ok\""], 5.0, 10.0),
        ("hubbub_rate_limited_total", &["rate=\"posts_per_account\""], 1.0, 1.0),
        ("hubbub_deliveries_total", &[], 2.0, 10.0),
        ("hubbub_envelopes_total", &[], 2.0, 10.0),
        ("hubbub_subscriptions", &[], 2.0, 2.0),
        ("hubbub_outbox_bytes", &[], 0.0, 100_000.0),
        ("hubbub_delivery_seconds_count", &[], 2.0, 10.0),
        ("hubbub_resumes_total", &["outcome=\"caught_up\""], 1.0, 1.0),
        ("hubbub_resume_changes_sum", &[], 1.0, 1.0),
        ("hubbub_logins_total", &["outcome=\"ok\""], 1.0, 1.0),
        ("hubbub_password_hash_seconds_count", &[], 3.0, 3.0),
        ("hubbub_http_requests_total", &["method=\"POST\"", "route=\"/api/v1/logins\"", "status=\"201\""], 1.0, 1.0),
        ("hubbub_http_request_seconds_count", &["route=\"/api/v1/accounts\""], 2.0, 2.0),
        ("hubbub_actors", &["kind=\"session\""], 3.0, 3.0),
    ] {
        let found = value(&metrics, name, labels);
        assert!((at_least..=at_most).contains(&found), "{name} {labels:?}: {found}\n{metrics}");
    }
    // A kind whose last actor has gone falls back to none.
    bob.leave().await;
    drop((viewer, _third));
    crate::support::eventually("nobody is there", || async {
        let (_, metrics) = text(&scene.server, "/metrics").await;
        let names = ["hubbub_actors", "hubbub_connections", "hubbub_sessions", "hubbub_subscriptions"];
        let left: f64 = names
            .iter()
            .map(|name| value(&metrics, name, if *name == "hubbub_actors" { &["kind=\"session\""] } else { &[] }))
            .sum();
        (left == 0.0 && value(&metrics, "hubbub_sessions_closed_total", &["reason=\"normal\""]) == 3.0).then_some(())
    })
    .await;
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
async fn actors_are_listed_in_pages_and_by_kind() {
    let scene = Scene::start().await;
    scene.server.user_command(&["promote", "ann"], "").await;
    let rooms =
        [scene.room.clone(), scene.ann.make_room("Library", "public").await, scene.ann.make_room("Cellar", "public").await];
    for room in &rooms {
        scene.ann.say(room, "so that it is awake").await;
    }
    let first = crate::support::eventually("Ann administers", || async {
        let answer = scene.ann.get("admin/actors?kind=room&limit=2").await;
        answer.status.is_success().then(|| answer.ok())
    })
    .await;
    let sum = first["kinds"].as_array().expect("sums").iter().find(|kind| kind["kind"] == "room").expect("rooms");
    assert_eq!((sum["actors"].as_u64(), sum["restarts"].as_u64()), (Some(3), Some(0)));
    let second =
        scene.ann.get(&format!("admin/actors?kind=room&limit=2&page={}", first["next"].as_str().expect("more"))).await.ok();
    assert!(second.get("next").is_none(), "{second}");
    let paths = [&first, &second].into_iter().flat_map(|page| page["items"].as_array().expect("items"));
    let mut paths: Vec<_> = paths.map(|actor| actor["path"].as_str().expect("a path").to_owned()).collect();
    assert!(paths.is_sorted(), "{paths:?}");
    paths.iter_mut().for_each(|path| *path = path.rsplit('/').next().expect("a name").to_owned());
    let mut expected = rooms.to_vec();
    expected.sort();
    assert_eq!(paths, expected);
    assert_eq!(scene.ann.get("admin/actors?limit=100000").await.code(), "bad_request");
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
