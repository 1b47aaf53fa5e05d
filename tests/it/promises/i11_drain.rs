//! I11: drain.

use crate::support::checks;
use crate::support::eventually;
use crate::support::scene::Scene;
use crate::support::socket::Socket;
use tokio_tungstenite::tungstenite::Error;

#[tokio::test]
async fn a_stop_amid_posts_tells_everybody_ends_in_time_and_loses_nothing() {
    let mut scene = Scene::start_with(&[("server.drain_spread", "500ms")]).await;
    let drained = scene.drain_amid_posts().await;
    assert_eq!(checks::drained(&drained, &scene.history().await), [""; 0]);
    assert!(!drained.acknowledged.is_empty(), "posts were under way");
}

#[tokio::test]
async fn while_draining_the_node_is_not_ready_and_takes_posts_until_it_tells() {
    let mut scene = Scene::start_with(&[("server.drain_delay", "2s")]).await;
    let mut socket = scene.bob.connect().await;
    let (observer, room) = (scene.ann.moved_to(&scene.server), scene.room.clone());
    let watch = async {
        crate::support::eventually("unready", || async {
            let ready = observer.get("/health/ready").await;
            (ready.body["status"] == "draining" && ready.status.as_u16() == 503).then_some(())
        })
        .await;
        let reply = socket.say(&room, "still here").await;
        assert!(reply.get("ok").is_some(), "{reply}");
        assert_eq!(socket.closed().await, Some(1001));
    };
    tokio::join!(watch, scene.server.stop());
    scene.restart().await;
    assert_eq!(scene.history().await.len(), 1);
}

#[tokio::test]
async fn a_stopping_server_says_to_newcomers_that_it_stops() {
    let mut scene = Scene::start_with(&[("server.drain_spread", "6s")]).await;
    // Told one by one over the spread: some are still there when the newcomers come.
    let mut sockets = Vec::new();
    for _ in 0..12 {
        sockets.push(scene.bob.connect().await);
    }
    let (observer, base) = (scene.ann.moved_to(&scene.server), scene.ann.base.clone());
    let watch = async {
        let refusal = eventually("a refused handshake", || async {
            match Socket::try_open(&base).await {
                Err(Error::Http(response)) => Some(response),
                Err(other) => panic!("no answer: {other}"),
                Ok(_) => None,
            }
        })
        .await;
        assert_eq!(refusal.status().as_u16(), 503);
        assert!(refusal.headers().contains_key("retry-after"));
        let body: serde_json::Value = serde_json::from_slice(refusal.body().as_deref().unwrap_or_default()).expect("JSON");
        assert_eq!(body["code"], "draining");
        let ready = observer.get("/health/ready").await;
        assert_eq!((ready.status.as_u16(), &ready.body["status"]), (503, &serde_json::json!("draining")));
    };
    tokio::join!(watch, scene.server.stop());
}
