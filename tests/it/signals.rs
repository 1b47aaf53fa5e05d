//! The server as a process: what SIGTERM comes to (I11).

use crate::support::command::CommandLine;
use crate::support::database::Database;
use std::time::{Duration, Instant};
use tempfile::TempDir;

#[tokio::test]
async fn sigterm_ends_in_time_although_somebody_keeps_a_connection_alive() {
    let (folder, database) = (TempDir::new().expect("a folder"), Database::create().await);
    let server = CommandLine::new(folder.path(), &database.url()).serve(&["--set", "server.drain_deadline=8s"]).await;
    let client = reqwest::Client::new();
    let answer = client.get(format!("{}/health/live", server.base)).send().await.expect("an answer");
    assert_eq!(answer.status().as_u16(), 200);
    answer.bytes().await.expect("a body: the connection is free for the next request");
    let begun = Instant::now();
    let (exit, said) = server.terminate().await;
    assert_eq!(exit, 0, "{said}");
    assert!(begun.elapsed() < Duration::from_secs(8), "it took {:?}", begun.elapsed());
    drop(client);
}
