//! I7, I9: what happens to somebody is told once, by whoever committed it. When that one ends before it has, or never hears that it was
//! committed, the comparison of streams tells it.

use crate::arm::Turn;
use crate::support::eventually;
use crate::support::scene::Scene;
use crate::support::socket::Socket;
use crate::support::viewer::Viewer;
use serde_json::{Value, json};
use uuid::Uuid;

/// Comparisons are so far apart that a test never waits for the first one by chance.
async fn scene() -> Scene {
    Scene::start_with(&[("room.head_check_interval", "200ms")]).await
}

/// The next item of somebody's stream that is looked for.
async fn news(socket: &mut Socket, is_it: impl Fn(&Value) -> bool) -> Value {
    loop {
        let changes = socket.push("user_changes").await;
        if let Some(item) = changes["items"].as_array().into_iter().flatten().find(|item| is_it(item)) {
            return item.clone();
        }
    }
}

fn invited_to(room: &str) -> impl Fn(&Value) -> bool {
    move |item| item["membership"]["room"]["id"] == room && item["membership"]["state"] == "invited"
}

/// Ann invites Bob, who is connected, while `fault` strikes; the answer.
async fn invited_through(fault: &'static str) -> crate::support::person::Answer {
    let mut turn = Turn::take().await;
    let scene = scene().await;
    let den = scene.ann.make_room("Den", "private").await;
    let mut bob = scene.bob.connect().await;
    news(&mut bob, |item| item["membership"]["room"]["id"] == *scene.room).await;
    turn.arm(fault, 1);
    let answer = scene.ann.put(&format!("rooms/{den}/invitations/{}", scene.bob.id), json!({})).await;
    assert!(!hubbub::faults::is_armed(fault), "it has struck");
    news(&mut bob, invited_to(&den)).await;
    answer
}

#[tokio::test]
async fn an_invitation_whose_commit_was_not_answered_reaches_an_open_socket() {
    invited_through("persistence.after_commit").await.ok();
}

#[tokio::test]
async fn an_invitation_whose_room_panics_before_it_could_tell_reaches_an_open_socket() {
    assert_eq!(invited_through("room.panic_after_commit").await.code(), "outcome_unknown");
}

#[tokio::test]
async fn a_first_direct_message_whose_commit_was_not_answered_reaches_an_open_socket() {
    let mut turn = Turn::take().await;
    let scene = scene().await;
    let mut bob = scene.bob.connect().await;
    news(&mut bob, |item| item["membership"]["room"]["id"] == *scene.room).await;
    turn.arm("persistence.after_commit", 1);
    let message = json!({"client_id": Uuid::now_v7(), "text": "psst"});
    scene.ann.post(&format!("direct/{}/messages", scene.bob.id), message).await.ok();
    assert!(!hubbub::faults::is_armed("persistence.after_commit"), "it has struck");
    news(&mut bob, |item| item["membership"]["room"]["kind"] == "direct").await;
}

#[tokio::test]
async fn what_the_command_line_changes_reaches_an_open_socket() {
    let _turn = Turn::take().await;
    let scene = scene().await;
    let mut bob = scene.bob.connect().await;
    let before = news(&mut bob, |item| item.get("profile").is_some()).await;
    scene.server.user_command(&["promote", "bob"], "").await;
    let after = news(&mut bob, |item| item.get("profile").is_some()).await;
    assert!(after["profile"]["revision"].as_u64() > before["profile"]["revision"].as_u64(), "{before} {after}");
}

/// The room is deleted while `fault` strikes; whoever receives it is told, and the owner who asks again that it is so.
async fn deleted_through(fault: &'static str) {
    let mut turn = Turn::take().await;
    let scene = scene().await;
    let mut viewer = Viewer::fresh(&scene.bob, &scene.room).await;
    turn.arm(fault, 1);
    let room = format!("rooms/{}", scene.room);
    scene.ann.delete(&room).await;
    assert!(!hubbub::faults::is_armed(fault), "it has struck");
    let ended = viewer.socket.push("unsubscribed").await;
    assert_eq!((&ended["room"], &ended["code"]), (&json!(scene.room), &json!("not_found")));
    eventually("the owner's certainty", || async { scene.ann.delete(&room).await.status.is_success().then_some(()) }).await;
}

#[tokio::test]
async fn a_room_that_panics_after_the_commit_of_its_deletion_tells_those_who_receive_it() {
    deleted_through("room.panic_after_commit").await;
}

#[tokio::test]
async fn a_deletion_whose_commit_was_not_answered_is_told_to_those_who_receive_the_room() {
    deleted_through("persistence.after_commit").await;
}
