//! I1: one order.

use crate::support::checks;
use crate::support::scene::Scene;
use crate::support::viewer::Viewer;
use serde_json::json;
use uuid::Uuid;

const NOTHING: [&str; 0] = [];

#[tokio::test]
async fn pipelined_posts_of_several_people_are_dense_and_each_in_sending_order() {
    let scene = Scene::start().await;
    let mut viewer = Viewer::fresh(&scene.ann, &scene.room).await;
    let (ann, bob) = tokio::join!(scene.pipeline(&scene.ann, 60), scene.pipeline(&scene.bob, 60));
    scene.catch_up(&mut viewer).await;
    let history = scene.history().await;
    assert_eq!(history.len(), 120);
    for talk in [ann, bob] {
        assert_eq!(checks::order(&history, &talk.sent), NOTHING);
        assert_eq!(checks::once(&talk.answers, &history), NOTHING);
    }
    assert_eq!(checks::shown(&viewer, &history), NOTHING);
    let came: Vec<_> = viewer.came.iter().map(|message| message["revision"].as_u64()).collect();
    assert!(came.is_sorted(), "delivered in the order of revisions: {came:?}");
}

#[tokio::test]
async fn changes_and_messages_share_one_dense_line_of_revisions() {
    let scene = Scene::start().await;
    let mut viewer = Viewer::fresh(&scene.ann, &scene.room).await;
    let before = viewer.cursor;
    scene.pipeline(&scene.bob, 3).await;
    scene.ann.patch(&format!("rooms/{}", scene.room), json!({"topic": "soup"})).await.ok();
    scene.pipeline(&scene.bob, 3).await;
    scene.bob.delete(&format!("rooms/{}/members/me", scene.room)).await.ok();
    scene.catch_up(&mut viewer).await;
    let mut revisions: Vec<_> = viewer.rows.values().filter_map(|row| row["revision"].as_u64()).collect();
    revisions.sort_unstable();
    revisions.dedup();
    assert_eq!(revisions, (before + 1..=viewer.cursor).collect::<Vec<_>>());
    assert_eq!(checks::order(&scene.history().await, &[]), NOTHING);
}

#[tokio::test]
async fn what_is_behind_a_post_refused_for_now_is_refused_too() {
    let scene = Scene::start_with(&[("limits.posts_in_flight", "4")]).await;
    let mut socket = scene.bob.connect().await;
    let (mut refs, mut previous) = (Vec::new(), None::<String>);
    for n in 0..40 {
        let (reference, client_id) = socket.pipeline(&scene.room, &n.to_string(), previous.as_deref()).await;
        refs.push(reference);
        previous = Some(client_id);
    }
    let mut replies = Vec::new();
    for reference in refs {
        replies.push(socket.reply(reference).await);
    }
    let first_refused = replies.iter().position(|reply| reply.get("error").is_some()).expect("more than four at once");
    assert_eq!(replies[first_refused]["error"]["code"], "busy");
    for reply in &replies[first_refused + 1..] {
        assert_eq!(reply["error"]["code"], "previous_refused");
        assert_eq!((&reply["error"]["retry"], &reply["error"]["stored"]), (&json!(true), &json!("no")));
    }
    assert_eq!(scene.history().await.len(), first_refused, "exactly what was acknowledged");
}

#[tokio::test]
async fn a_final_refusal_concerns_its_post_only() {
    let scene = Scene::start_with(&[("limits.text_max", "16B")]).await;
    let mut socket = scene.bob.connect().await;
    let (first, id) = socket.pipeline(&scene.room, "one", None).await;
    let (long, long_id) = socket.pipeline(&scene.room, "far too long for this room", Some(&id)).await;
    let (last, _) = socket.pipeline(&scene.room, "two", Some(&long_id)).await;
    assert!(socket.reply(first).await.get("ok").is_some());
    assert_eq!(socket.reply(long).await["error"]["code"], "text_too_long");
    assert!(socket.reply(last).await.get("ok").is_some());
    assert_eq!(scene.bob.texts(&scene.room).await, ["one", "two"]);
}

#[tokio::test]
async fn a_post_after_one_that_was_refused_waits_for_it() {
    let scene = Scene::start_with(&[("limits.posts_in_flight", "1")]).await;
    let mut socket = scene.bob.connect().await;
    let ids = [(); 3].map(|()| Uuid::now_v7());
    let mut refs = Vec::new();
    for (n, id) in ids.iter().enumerate() {
        let mut post = json!({"room": scene.room, "client_id": id, "text": n.to_string()});
        if let Some(before) = n.checked_sub(1) {
            post["after"] = json!(ids[before]);
        }
        refs.push(socket.command("post", post).await);
    }
    let mut codes = Vec::new();
    for reference in refs {
        codes.push(socket.reply(reference).await["error"]["code"].clone());
    }
    assert!(codes[0].is_null(), "{codes:?}");
    // Again, in order, from the first that was refused.
    for (n, id) in ids.iter().enumerate() {
        let again = socket.ask("post", json!({"room": scene.room, "client_id": id, "text": n.to_string()})).await;
        assert!(again.get("ok").is_some(), "{again}");
    }
    assert_eq!(scene.bob.texts(&scene.room).await, ["0", "1", "2"]);
}
