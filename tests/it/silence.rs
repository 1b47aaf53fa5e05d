//! Moderators keep a member from posting for a while: everything else stays, and it ends by itself.

use crate::support::person::Person;
use crate::support::scene::Scene;
use crate::support::socket::Socket;
use crate::support::{checks, eventually};
use chrono::{DateTime, TimeDelta, Utc};
use hubbub::domain::time::Clock;
use serde_json::{Value, json};
use uuid::Uuid;

fn after(time: TimeDelta) -> DateTime<Utc> {
    Clock::system().now() + time
}

fn for_an_hour() -> Value {
    json!({"until": after(TimeDelta::hours(1)), "reason": "too loud"})
}

async fn silence(scene: &Scene, whom: &Person, how: Value) {
    scene.ann.put(&format!("rooms/{}/silences/{}", scene.room, whom.id), how).await.ok();
}

async fn code(socket: &mut Socket, name: &str, body: Value) -> String {
    socket.ask(name, body).await["error"]["code"].as_str().unwrap_or("ok").to_owned()
}

async fn post_code(person: &Person, room: &str) -> String {
    let answer = person.say_as(room, "hello", &Uuid::now_v7().to_string()).await;
    if answer.status.is_success() { "ok".to_owned() } else { answer.code().to_owned() }
}

#[tokio::test]
async fn a_silenced_member_reads_and_leaves_but_neither_posts_nor_types() {
    let scene = Scene::start().await;
    let (room, bob) = (&scene.room, &scene.bob);
    let mut socket = bob.connect().await;
    socket.subscribe(room).await;
    silence(&scene, bob, for_an_hour()).await;
    let post = json!({"room": room, "client_id": Uuid::now_v7(), "text": "hello"});
    assert_eq!(code(&mut socket, "post", post).await, "silenced");
    assert_eq!(post_code(bob, room).await, "silenced");
    assert_eq!(code(&mut socket, "typing", json!({"room": room})).await, "silenced");
    assert_eq!(bob.post(&format!("rooms/{room}/typing"), json!({})).await.code(), "silenced");
    scene.ann.say(room, "listen").await;
    assert_eq!(socket.message().await.1, "listen");
    assert_eq!(bob.texts(room).await, ["listen"]);
    bob.delete(&format!("rooms/{room}/members/me")).await.ok();
}

#[tokio::test]
async fn a_silenced_member_neither_edits_nor_reacts_but_takes_back_what_they_said() {
    let scene = Scene::start().await;
    let (room, bob) = (&scene.room, &scene.bob);
    let mut socket = bob.connect().await;
    bob.say(room, "rash").await;
    bob.say(room, "rash too").await;
    silence(&scene, bob, for_an_hour()).await;
    let message = format!("rooms/{room}/messages/1");
    assert_eq!(bob.patch(&message, json!({"text": "calm"})).await.code(), "silenced");
    assert_eq!(bob.put(&format!("{message}/reactions/👍"), json!({})).await.code(), "silenced");
    let at = |seq: u64| json!({"room": room, "seq": seq});
    assert_eq!(code(&mut socket, "edit", json!({"room": room, "seq": 1, "text": "calm"})).await, "silenced");
    assert_eq!(code(&mut socket, "react", json!({"room": room, "seq": 1, "emoji": "👍"})).await, "silenced");
    assert_eq!(code(&mut socket, "delete", at(1)).await, "ok");
    bob.delete(&format!("rooms/{room}/messages/2")).await.ok();
    // A moderator who is silenced pins nothing.
    scene.ann.patch(&format!("rooms/{room}/members/{}", bob.id), json!({"role": "moderator"})).await.ok();
    assert_eq!(code(&mut socket, "pin", at(2)).await, "silenced");
}

#[tokio::test]
async fn everybody_in_the_room_is_told_and_the_silenced_on_their_own_stream_too() {
    let scene = Scene::start().await;
    let (room, bob) = (&scene.room, &scene.bob);
    let (mut anns, mut bobs) = (scene.ann.connect().await, bob.connect().await);
    anns.subscribe(room).await;
    let how = for_an_hour();
    silence(&scene, bob, how.clone()).await;
    let changes = anns.push("changes").await;
    let member = &changes["items"][0]["member"];
    assert_eq!((&member["user"], &member["state"]), (&json!(bob.id), &json!("joined")), "{changes}");
    let until: DateTime<Utc> = member["silenced_until"].as_str().expect("an instant").parse().expect("an instant");
    assert_eq!(json!(until), how["until"]);
    let notice = &changes["items"][1]["notice"];
    assert_eq!((&notice["kind"], &notice["text"]), (&json!("silenced"), &json!("too loud")), "{changes}");
    // Bob has joined on this stream before.
    loop {
        let changes = bobs.push("user_changes").await;
        let mut items = changes["items"].as_array().into_iter().flatten().map(|item| &item["membership"]["silenced_until"]);
        if let Some(told) = items.find(|until| until.is_string()) {
            assert_eq!(*told, member["silenced_until"]);
            break;
        }
    }
}

#[tokio::test]
async fn a_silence_ends_by_itself_and_at_once_when_it_is_lifted() {
    let scene = Scene::start().await;
    let (room, bob) = (&scene.room, &scene.bob);
    silence(&scene, bob, json!({"until": after(TimeDelta::milliseconds(1500))})).await;
    assert_eq!(post_code(bob, room).await, "silenced");
    eventually("the end of the silence", || async { (post_code(bob, room).await == "ok").then_some(()) }).await;
    silence(&scene, bob, for_an_hour()).await;
    assert_eq!(post_code(bob, room).await, "silenced");
    scene.ann.delete(&format!("rooms/{room}/silences/{}", bob.id)).await.ok();
    assert_eq!(post_code(bob, room).await, "ok");
}

#[tokio::test]
async fn a_silence_outlasts_leaving_and_a_restart_and_moderators_see_who_is_silenced() {
    let mut scene = Scene::start().await;
    silence(&scene, &scene.bob, for_an_hour()).await;
    scene.bob.delete(&format!("rooms/{}/members/me", scene.room)).await.ok();
    let listed = scene.ann.get(&format!("rooms/{}/silences", scene.room)).await.ok();
    assert_eq!((&listed["items"][0]["user"], &listed["items"][0]["state"]), (&json!(scene.bob.id), &json!("left")), "{listed}");
    assert!(listed["items"][0]["silenced_until"].is_string());
    scene.restart().await;
    scene.bob.join(&scene.room).await;
    assert_eq!(post_code(&scene.bob, &scene.room).await, "silenced");
    assert_eq!(scene.bob.get(&format!("rooms/{}/silences", scene.room)).await.code(), "not_allowed");
}

#[tokio::test]
async fn a_repeat_of_what_was_stored_is_answered_to_the_silenced() {
    let scene = Scene::start().await;
    let (room, bob) = (&scene.room, &scene.bob);
    let once = Uuid::now_v7().to_string();
    let first = bob.say_as(room, "once", &once).await.ok();
    silence(&scene, bob, for_an_hour()).await;
    let again = bob.say_as(room, "once", &once).await.ok();
    assert_eq!((&again["seq"], &again["repeat"]), (&first["seq"], &json!(true)));
}

#[tokio::test]
async fn a_silence_set_or_lifted_again_is_no_change_and_one_without_a_sensible_end_is_refused() {
    let scene = Scene::start().await;
    let (ann, room) = (&scene.ann, &scene.room);
    let path = format!("rooms/{room}/silences/{}", scene.bob.id);
    let how = for_an_hour();
    ann.put(&path, how.clone()).await.ok();
    let head = ann.head(room).await;
    ann.put(&path, how).await.ok();
    assert_eq!(ann.head(room).await, head);
    ann.delete(&path).await.ok();
    ann.delete(&path).await.ok();
    assert_eq!(ann.head(room).await, head + 1);
    for wrong in [TimeDelta::seconds(-1), TimeDelta::days(367)] {
        assert_eq!(ann.put(&path, json!({"until": after(wrong)})).await.code(), "bad_request", "{wrong}");
    }
    assert_eq!(ann.put(&path, json!({"reason": "no end"})).await.code(), "bad_request");
}

#[tokio::test]
async fn nothing_is_committed_after_a_silence() {
    for _ in 0..5 {
        let scene = Scene::start().await;
        let items = scene.end_amid_posts("silenced").await;
        assert_eq!(checks::nothing_after("silenced", &scene.bob.id, &items), [""; 0]);
    }
}
