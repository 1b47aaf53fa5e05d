//! I12: no secrets out.

use crate::support::checks;
use crate::support::log::Log;
use crate::support::person::PASSWORD;
use crate::support::scene::Scene;
use serde_json::json;

#[tokio::test]
async fn no_token_password_or_text_is_in_the_log_or_the_metrics() {
    let log = Log::capture();
    let scene = Scene::start_with(&[("limits.text_max", "64B")]).await;
    let mut socket = scene.bob.connect().await;
    let text = "a secret recipe of 40 herbs";
    socket.say(&scene.room, text).await;
    socket.say(&scene.room, &text.repeat(9)).await;
    scene.ann.say(&scene.room, &format!("{text}, over REST")).await;
    // Things that go wrong are what logs are for.
    scene.ann.post("logins", json!({"name": "ann", "password": "wrong secret word"})).await;
    scene.ann.post("logins/refresh", json!({"refresh_token": format!("{}x", scene.ann.refresh)})).await;
    let body = json!({"client_id": "none", "text": text});
    assert_eq!(scene.ann.post(&format!("rooms/{}/messages", scene.room), body).await.status.as_u16(), 400);
    socket.ask("post", json!({"room": "none", "text": text})).await;
    socket.ask(text, json!({})).await;
    let metrics = scene.ann.get_text("/metrics").await;
    let secrets = [
        ("a password", PASSWORD),
        ("a wrong password", "wrong secret word"),
        ("a text", "secret recipe"),
        ("an access token", scene.bob.token.as_str()),
        ("a signature", scene.ann.token.rsplit('.').next().expect("a signature")),
        ("a refresh token", scene.ann.refresh.as_str()),
    ];
    let seen = log.text();
    assert!(seen.contains("/api/v1/logins"), "requests are logged");
    assert_eq!(checks::secrets(&seen, &secrets), [""; 0]);
    assert!(metrics.contains("hubbub_rooms_awake"), "metrics are shown: {metrics}");
    assert_eq!(checks::secrets(&metrics, &secrets), [""; 0]);
}
