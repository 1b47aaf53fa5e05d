//! I3: one operation, one effect.

use crate::support::checks;
use crate::support::scene::Scene;
use serde_json::{Value, json};
use uuid::Uuid;

fn post(scene: &Scene, client_id: &str, text: &str) -> Value {
    json!({"room": scene.room, "client_id": client_id, "text": text})
}

fn id() -> String {
    Uuid::now_v7().to_string()
}

async fn nothing_but_one(scene: &Scene, answers: Vec<Value>, client_id: &str) {
    let answers: Vec<_> =
        answers.into_iter().map(|answer| (client_id.to_owned(), answer.get("ok").unwrap_or(&answer).clone())).collect();
    let history = scene.history().await;
    assert_eq!(checks::once(&answers, &history), [""; 0]);
    assert_eq!(history.iter().filter(|message| message["client_id"] == client_id).count(), 1);
}

#[tokio::test]
async fn twice_in_one_batch() {
    let scene = Scene::start().await;
    let mut socket = scene.bob.connect().await;
    // While the first is under way the others gather into one group, and so into one transaction.
    let client_id = id();
    let first = socket.command("post", post(&scene, &id(), "first")).await;
    let mut refs = Vec::new();
    for _ in 0..3 {
        refs.push(socket.command("post", post(&scene, &client_id, "again")).await);
    }
    socket.reply(first).await;
    let mut answers = Vec::new();
    for reference in refs {
        answers.push(socket.reply(reference).await);
    }
    nothing_but_one(&scene, answers, &client_id).await;
}

#[tokio::test]
async fn over_two_connections_at_once() {
    let scene = Scene::start().await;
    let (mut one, mut two) = (scene.bob.connect().await, scene.bob.connect().await);
    for n in 0..10 {
        let (client_id, text) = (id(), format!("round {n}"));
        let body = post(&scene, &client_id, &text);
        let (first, second) = tokio::join!(one.ask("post", body.clone()), two.ask("post", body));
        nothing_but_one(&scene, vec![first, second], &client_id).await;
    }
}

#[tokio::test]
async fn over_rest_and_socket_at_once() {
    let scene = Scene::start().await;
    let mut socket = scene.bob.connect().await;
    for n in 0..10 {
        let (client_id, text) = (id(), format!("round {n}"));
        let body = post(&scene, &client_id, &text);
        let (first, second) = tokio::join!(socket.ask("post", body), scene.bob.say_as(&scene.room, &text, &client_id));
        nothing_but_one(&scene, vec![first, second.ok()], &client_id).await;
    }
}

#[tokio::test]
async fn after_a_reply_that_was_lost_with_its_socket() {
    let scene = Scene::start().await;
    for n in 0..5 {
        let (client_id, text) = (id(), format!("round {n}"));
        let mut lost = scene.bob.connect().await;
        lost.command("post", post(&scene, &client_id, &text)).await;
        drop(lost);
        let again = scene.bob.connect().await.ask("post", post(&scene, &client_id, &text)).await;
        nothing_but_one(&scene, vec![again], &client_id).await;
    }
}

#[tokio::test]
async fn after_a_kick_the_first_number_is_answered_and_a_new_post_is_refused() {
    let scene = Scene::start().await;
    let mut socket = scene.bob.connect().await;
    let client_id = id();
    let first = socket.ask("post", post(&scene, &client_id, "said in time")).await;
    for notice in ["kicked", "banned", "archived"] {
        scene.end(notice).await;
        let again = socket.ask("post", post(&scene, &client_id, "said in time")).await;
        assert_eq!((&again["ok"]["repeat"], &again["ok"]["seq"]), (&json!(true), &first["ok"]["seq"]), "{notice}: {again}");
        let new = socket.ask("post", post(&scene, &id(), "said too late")).await;
        assert_eq!(new["error"]["stored"], "no", "{notice}: {new}");
    }
    nothing_but_one(&scene, vec![first], &client_id).await;
}

#[tokio::test]
async fn after_a_restart() {
    let mut scene = Scene::start().await;
    let client_id = id();
    let first = scene.bob.say_as(&scene.room, "once", &client_id).await.ok();
    scene.restart().await;
    let again = scene.bob.say_as(&scene.room, "once", &client_id).await.ok();
    assert_eq!(again["repeat"], true);
    nothing_but_one(&scene, vec![first, again], &client_id).await;
}

#[tokio::test]
async fn another_text_under_the_same_client_id_is_told_apart() {
    let scene = Scene::start().await;
    let client_id = id();
    let first = scene.bob.say_as(&scene.room, "one thing", &client_id).await.ok();
    assert_eq!(scene.bob.say_as(&scene.room, "another", &client_id).await.code(), "client_id_reused");
    // The id is the sender's own: somebody else may use the same.
    scene.ann.say_as(&scene.room, "mine", &client_id).await.ok();
    let stored = scene.history().await;
    assert_eq!(stored.len(), 2);
    assert_eq!(stored[0]["seq"], first["seq"]);
}

#[tokio::test]
async fn a_room_is_made_once_under_one_key() {
    let scene = Scene::start().await;
    let body = json!({"name": "Garden", "kind": "public"});
    let first = scene.ann.post_with_key("rooms", body.clone(), "key-1").await.ok();
    let again = scene.ann.post_with_key("rooms", body, "key-1").await.ok();
    assert_eq!(first["id"], again["id"]);
    let other = scene.ann.post_with_key("rooms", json!({"name": "Cellar", "kind": "public"}), "key-1").await;
    assert_eq!(other.code(), "key_reused");
}
