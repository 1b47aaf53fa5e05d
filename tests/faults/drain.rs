//! I11 when something hangs: the exit code tells, and the last batch is still committed.

use crate::arm::Turn;
use crate::support::command::CommandLine;
use crate::support::database::Database;
use crate::support::eventually;
use crate::support::scene::Scene;
use hubbub::faults;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use uuid::Uuid;

/// As `docs/OPERATIONS.md` lists it.
const OVERRAN: i32 = 7;

#[tokio::test]
async fn a_drain_that_overran_says_so_in_its_exit_code() {
    let (folder, database) = (TempDir::new().expect("a folder"), Database::create().await);
    let line = CommandLine::new(folder.path(), &database.url()).with("HUBBUB_FAULTS", "app.hang_in_drain");
    let server = line.serve(&["--set", "server.drain_deadline=2s"]).await;
    let begun = Instant::now();
    let (exit, said) = server.terminate().await;
    assert_eq!(exit, OVERRAN, "{said}");
    assert!(begun.elapsed() < Duration::from_secs(10), "it took {:?}", begun.elapsed());
}

#[tokio::test]
async fn a_drain_that_overran_still_commits_the_last_batch() {
    let mut turn = Turn::take().await;
    let mut scene = Scene::start_with(&[("server.drain_deadline", "1s")]).await;
    let client_id = Uuid::now_v7().to_string();
    turn.arm("app.hang_in_drain", 1);
    turn.arm("persistence.slow_commit", 1);
    let (poster, room) = (scene.bob.moved_to(&scene.server), scene.room.clone());
    let posting = tokio::spawn({
        let client_id = client_id.clone();
        async move {
            let body = serde_json::json!({"client_id": client_id, "text": "the last word"});
            // Whether the answer still comes is not the question.
            let url = format!("{}/api/v1/rooms/{room}/messages", poster.base);
            drop(reqwest::Client::new().post(url).bearer_auth(&poster.token).json(&body).send().await);
        }
    });
    eventually("the commit has begun", || async { (!faults::is_armed("persistence.slow_commit")).then_some(()) }).await;
    scene.restart().await;
    posting.await.expect("joined");
    let history = scene.history().await;
    assert!(history.iter().any(|message| message["client_id"] == client_id.as_str()), "{history:?}");
}
