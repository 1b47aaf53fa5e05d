//! `user`, beside a running server.

use super::FAILED;
use crate::support::command::CommandLine;
use crate::support::eventually;
use crate::support::person::{PASSWORD, Person};
use crate::support::server::Server;
use serde_json::json;

const OTHER: &str = "another fine phrase";

#[tokio::test]
async fn an_account_is_made_and_can_log_in_at_once() {
    let server = Server::start().await;
    let line = CommandLine::of(&server);
    let told = line.run_with(&["user", "add", "Ann", "--display-name", "Ann Lee"], &format!("{PASSWORD}\n")).await;
    assert_eq!(told.out, "Made the account Ann.\n");
    assert!(!format!("{told:?}").contains(PASSWORD), "{told:?}");
    told.done();
    let ann = Person::log_in(&server, "ann").await;
    assert_eq!(ann.get("me").await.ok()["user"]["display_name"], "Ann Lee");
    assert_eq!(ann.get("admin/actors").await.code(), "not_allowed");
}

#[tokio::test]
async fn an_administrator_is_made_and_unmade_while_they_are_connected() {
    let server = Server::start().await;
    let (line, ann) = (CommandLine::of(&server), Person::register(&server, "ann").await);
    assert_eq!(line.run(&["user", "promote", "ann"]).await.done(), "ann is an administrator.\n");
    eventually("the right", || async { ann.get("admin/actors").await.status.is_success().then_some(()) }).await;
    assert_eq!(line.run(&["user", "promote", "ann", "--undo"]).await.done(), "ann is not an administrator.\n");
    eventually("its end", || async { (!ann.get("admin/actors").await.status.is_success()).then_some(()) }).await;
}

#[tokio::test]
async fn somebody_who_is_disabled_loses_their_sockets_and_cannot_log_in_until_allowed_again() {
    let server = Server::start().await;
    let (line, ann) = (CommandLine::of(&server), Person::register(&server, "ann").await);
    let mut socket = ann.connect().await;
    assert_eq!(line.run(&["user", "disable", "ANN"]).await.done(), "ann can no longer log in.\n");
    assert_eq!(socket.closed().await, Some(4200));
    let log_in = || ann.post("logins", json!({"name": "ann", "password": PASSWORD}));
    assert_eq!(log_in().await.code(), "account_disabled");
    assert_eq!(line.run(&["user", "disable", "ann", "--undo"]).await.done(), "ann can again log in.\n");
    log_in().await.ok();
}

#[tokio::test]
async fn a_new_password_ends_all_logins_and_the_old_password() {
    let server = Server::start().await;
    let (line, ann) = (CommandLine::of(&server), Person::register(&server, "ann").await);
    let mut socket = ann.connect().await;
    // A last line without its end will do.
    let told = line.run_with(&["user", "reset-password", "ann"], OTHER).await.done();
    assert!(told.contains("all their logins have ended") && !told.contains(OTHER), "{told}");
    assert_eq!(socket.closed().await, Some(4200));
    let log_in = |password: &str| ann.post("logins", json!({"name": "ann", "password": password}));
    assert_eq!(log_in(PASSWORD).await.code(), "credentials_wrong");
    log_in(OTHER).await.ok();
    assert_eq!(ann.post("logins/refresh", json!({"refresh_token": ann.refresh})).await.code(), "unauthenticated");
}

#[tokio::test]
async fn what_cannot_be_done_says_why() {
    let server = Server::start().await;
    let line = CommandLine::of(&server);
    Person::register(&server, "ann").await;
    for (arguments, password, says) in [
        (&["user", "add", "ANN"][..], PASSWORD, "name_taken"),
        (&["user", "add", "bob"], "short", "password_weak"),
        (&["user", "add", "bob"], "", "password_weak"),
        (&["user", "add", "b b"], PASSWORD, "name_invalid"),
        (&["user", "promote", "nobody"], "", "not_found"),
        (&["user", "disable", "nobody"], "", "not_found"),
        (&["user", "reset-password", "nobody"], PASSWORD, "not_found"),
        (&["user", "reset-password", "ann"], "short", "password_weak"),
    ] {
        let told = line.run_with(arguments, &format!("{password}\n")).await.failed(FAILED);
        assert!(told.contains(says), "{arguments:?}: {told}");
    }
    Person::log_in(&server, "ann").await;
}
