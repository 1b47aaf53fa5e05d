//! `serve` and `healthcheck`, in a process of its own.

use super::backup::assert_private;
use super::{FAILED, UNREADY};
use crate::support::command::CommandLine;
use crate::support::database::Database;
use crate::support::person::{PASSWORD, Person};
use serde_json::json;
use tempfile::TempDir;

#[tokio::test]
async fn a_new_server_says_where_it_runs_and_how_to_make_the_first_account() {
    let (around, database) = (TempDir::new().expect("a folder"), Database::create().await);
    let folder = around.path().join("data");
    let line = CommandLine::new(&folder, &database.url());
    let mut serving = line.serve(&[]).await;
    let said = serving.says("user add").await;
    assert!(said.contains(&format!("{}/docs", serving.base)) && said.contains("/api/v1/ws"), "{said}");
    assert!(!said.contains("mysql://"), "no password of a database: {said}");
    // What it prints can be run as it stands, in any folder.
    let hint = said.lines().find(|line| line.contains("user add")).expect("a hint").trim();
    let hint = hint.replace("NAME", "root1");
    let words: Vec<&str> = hint.split(' ').collect();
    assert_eq!(words[0], env!("CARGO_BIN_EXE_hubbub"), "{hint}");
    let added = line.run_with(&["user", "add", "root1", "--admin"], &format!("{PASSWORD}\n")).await.done();
    assert_eq!(added, "Made the account root1, an administrator.\n");
    let mut root = Person::anonymous(&serving.base);
    root.adopt(&root.post("logins", json!({"name": "root1", "password": PASSWORD})).await.ok());
    root.get("admin/actors").await.ok();
    // The database among them holds hashes of passwords.
    assert_private(&folder);

    let second = line.run(&["serve", "--listen", "127.0.0.1:0"]).await.failed(FAILED);
    assert!(second.contains("in use by another Hubbub process"), "{second}");
    let (exit, said) = serving.terminate().await;
    assert_eq!(exit, 0, "{said}");

    let serving = line.serve(&[]).await;
    let (exit, said) = serving.terminate().await;
    assert!(exit == 0 && !said.contains("user add"), "somebody has an account now: {said}");
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill_and_verifies() {
    let (folder, database) = (TempDir::new().expect("a folder"), Database::create().await);
    let line = CommandLine::new(folder.path(), &database.url());
    let mut serving = line.serve(&[]).await;
    let ann = Person::register_at(&serving.base, "ann").await;
    let room = ann.make_room("Kitchen", "public").await;
    let mut said = Vec::new();
    for n in 0..20 {
        said.push(format!("message {n}"));
        ann.say(&room, &said[n]).await;
    }
    serving.kill();
    line.run(&["verify"]).await.done();
    let serving = line.serve(&[]).await;
    let mut again = Person::anonymous(&serving.base);
    again.token.clone_from(&ann.token);
    assert_eq!(again.texts(&room).await, said);
    assert_eq!(serving.terminate().await.0, 0);
}

#[tokio::test]
async fn a_healthcheck_tells_a_ready_server_from_none() {
    let (folder, database) = (TempDir::new().expect("a folder"), Database::create().await);
    let line = CommandLine::new(folder.path(), &database.url());
    let serving = line.serve(&[]).await;
    let address = serving.base.trim_start_matches("http://").to_owned();
    let report = line.run(&["healthcheck", "--listen", &address]).await.done();
    let report: serde_json::Value = serde_json::from_str(&report).expect("JSON");
    assert_eq!(report["status"], "ready");
    serving.terminate().await;
    let told = line.run(&["healthcheck", "--listen", &address, "--timeout", "1s"]).await.failed(UNREADY);
    assert!(told.contains("no answer from") && told.contains(&address), "{told}");
    let told = line.run(&["healthcheck", "--listen", "127.0.0.1:0"]).await.failed(UNREADY);
    assert!(told.contains("port 0"), "{told}");
}

#[tokio::test]
async fn an_address_that_is_taken_is_named() {
    let (folder, database) = (TempDir::new().expect("a folder"), Database::create().await);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let line = CommandLine::new(folder.path(), &database.url());
    let told = line.run(&["serve", "--listen", &address]).await.failed(FAILED);
    assert!(told.contains(&format!("cannot listen on {address}")), "{told}");
}
