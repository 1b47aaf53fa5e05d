//! Connections to the database that end while they lie idle (its restart, `KILL`, an idle time on the way) cost nobody who reads an error.
//! Of SQLite nobody can end a connection: there only the reads themselves are seen.

use crate::support::checks;
use crate::support::scene::Scene;
use crate::support::viewer::Viewer;
use futures_util::future::join_all;
use serde_json::json;

/// Leaves several connections idle in the readers' pool, then ends all there are.
async fn end_idle_connections(scene: &Scene) {
    let readers = scene.server.config().database.readers;
    let history = format!("rooms/{}/messages", scene.room);
    for answer in join_all((0..2 * readers).map(|_| scene.ann.get(&history))).await {
        answer.ok();
    }
    let database = &scene.server.database;
    let killed = database.kill_connections().await;
    assert!(database.is_file() || killed > 2, "only {killed} connections were there to end");
}

#[tokio::test]
async fn reads_after_all_idle_connections_were_ended_are_answered_one_by_one_and_all_at_once() {
    let scene = Scene::start().await;
    scene.ann.say(&scene.room, "one").await;
    let readers = scene.server.config().database.readers;
    let history = format!("rooms/{}/messages", scene.room);
    for at_once in [1, 2 * readers] {
        end_idle_connections(&scene).await;
        for _ in 0..2 {
            for answer in join_all((0..at_once).map(|_| scene.bob.get(&history))).await {
                assert_eq!(answer.ok()["messages"].as_array().map(Vec::len), Some(1), "{at_once} at once");
            }
        }
    }
}

#[tokio::test]
async fn a_node_is_ready_after_all_idle_connections_were_ended() {
    let scene = Scene::start().await;
    end_idle_connections(&scene).await;
    assert_eq!(scene.ann.get("/health/ready").await.ok()["status"], json!("ready"));
}

#[tokio::test]
async fn a_socket_resumes_after_all_idle_connections_were_ended() {
    let scene = Scene::start().await;
    let mut away = Viewer::fresh(&scene.bob, &scene.room).await;
    away.socket.leave().await;
    scene.pipeline(&scene.ann, 5).await;
    end_idle_connections(&scene).await;
    assert_eq!(away.resume(&scene.bob).await["status"], "resuming");
    scene.catch_up(&mut away).await;
    assert_eq!(checks::shown(&away, &scene.history().await), [""; 0]);
}
