//! I11: drain.

use crate::support::checks;
use crate::support::scene::Scene;

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
