//! I10: policy once, everywhere, at once.

use crate::support::checks;
use crate::support::person::Person;
use crate::support::scene::Scene;
use crate::support::viewer::Viewer;
use std::time::Duration;

/// Bob posts as fast as he can while his right to do so ends.
async fn nothing_is_committed_after(notice: &str) {
    for _ in 0..5 {
        let scene = Scene::start().await;
        let items = scene.end_amid_posts(notice).await;
        assert_eq!(checks::nothing_after(notice, &scene.bob.id, &items), [""; 0]);
    }
}

#[tokio::test]
async fn nothing_is_committed_after_a_kick() {
    nothing_is_committed_after("kicked").await;
}

#[tokio::test]
async fn nothing_is_committed_after_a_ban() {
    nothing_is_committed_after("banned").await;
}

#[tokio::test]
async fn nothing_is_committed_after_archiving() {
    nothing_is_committed_after("archived").await;
}

#[tokio::test]
async fn a_live_socket_feels_a_kick_within_a_second_and_sees_nothing_after_it() {
    for (notice, code) in [("kicked", "not_member"), ("banned", "banned")] {
        let scene = Scene::start().await;
        let mut viewer = Viewer::fresh(&scene.bob, &scene.room).await;
        scene.end(notice).await;
        let told = tokio::time::timeout(Duration::from_secs(1), viewer.socket.push("unsubscribed")).await;
        assert_eq!(told.expect("within a second")["code"], code);
        assert_eq!(scene.overheard(&mut viewer).await, [""; 0]);
        for path in ["messages", "changes?after=0", "members"] {
            assert_eq!(scene.bob.get(&format!("rooms/{}/{path}", scene.room)).await.status.as_u16(), 403, "{path}");
        }
    }
}

#[tokio::test]
async fn a_live_socket_feels_log_out_and_a_new_password_within_a_second() {
    let scene = Scene::start().await;
    let second = Person::log_in(&scene.server, "bob").await;
    let (mut first, mut other) = (scene.bob.connect().await, second.connect().await);
    second.delete("logins/current").await.ok();
    assert_eq!(tokio::time::timeout(Duration::from_secs(1), other.closed()).await, Ok(Some(4200)));
    // Only that login's.
    first.ask("ping", serde_json::json!({})).await;
    let third = Person::log_in(&scene.server, "bob").await;
    let change = serde_json::json!({"old": crate::support::person::PASSWORD, "new": "another long enough one"});
    third.put("me/password", change).await.ok();
    assert_eq!(tokio::time::timeout(Duration::from_secs(1), first.closed()).await, Ok(Some(4200)));
    assert_eq!(scene.bob.get("me").await.status.as_u16(), 401);
    assert!(third.get("me").await.status.is_success());
}

#[tokio::test]
async fn history_begins_where_the_room_says() {
    let scene = Scene::start().await;
    let room = format!("rooms/{}", scene.room);
    scene.ann.patch(&room, serde_json::json!({"history": "since_joining"})).await.ok();
    scene.ann.say(&scene.room, "before").await;
    let cid = Person::register(&scene.server, "cid").await;
    cid.join(&scene.room).await;
    let mut viewer = Viewer::fresh(&cid, &scene.room).await;
    scene.ann.say(&scene.room, "after").await;
    scene.catch_up(&mut viewer).await;
    assert_eq!(cid.texts(&scene.room).await, ["after"]);
    assert_eq!(viewer.texts(), ["after"]);
    assert_eq!(cid.get(&format!("{room}/messages/1")).await.status.as_u16(), 404);
    assert_eq!(scene.bob.texts(&scene.room).await, ["before", "after"]);
}
