//! `verify`.

use super::DAMAGED;
use crate::support::command::CommandLine;
use crate::support::scene::Scene;
use crate::support::test_database::TestDatabase;

fn bytes_of(id: &str) -> String {
    format!("X'{}'", id.replace('-', ""))
}

/// A stopped server with ten messages in a room.
async fn stopped() -> (Scene, CommandLine) {
    let mut scene = Scene::start().await;
    scene.pipeline(&scene.bob, 10).await;
    let line = CommandLine::of(&scene.server);
    let told = line.run(&["verify"]).await.done();
    assert!(told.contains(": 0 breaches."), "while the server runs: {told}");
    scene.server.stop().await;
    (scene, line)
}

/// Runs `sql` with `{room}` in it, and expects the rule to be broken at the number, in text and as JSON.
async fn finds(rule: &str, at: Option<u64>, sql: &str) {
    let (scene, line) = stopped().await;
    let sql = sql.replace("{room}", &bytes_of(&scene.room));
    scene.server.database.tamper(scene.server.folder.path(), &sql).await;
    let told = line.run(&["verify"]).await;
    let number = at.map(|at| format!(" number {at}")).unwrap_or_default();
    let breach = told.out.lines().find(|line| line.starts_with(&format!("{rule}:")) && line.contains(&number));
    let breach = breach.unwrap_or_else(|| panic!("no {rule} at {at:?}: {told:?}"));
    assert!(breach.contains(&format!("room {}", scene.room)), "{breach}");
    assert!(told.failed(DAMAGED).contains("damaged"));
    let told = line.run(&["verify", "--json"]).await;
    let report = told.json();
    let breaches = report["breaches"].as_array().expect("a list");
    let found = breaches.iter().any(|breach| {
        breach["rule"] == rule
            && breach["room"] == scene.room.as_str()
            && at.is_none_or(|at| breach["number"].as_u64() == Some(at))
    });
    assert!(found, "{report}");
    told.failed(DAMAGED);
}

#[tokio::test]
async fn a_message_that_is_gone_is_named_by_room_and_number() {
    finds("seq_missing", Some(4), "DELETE FROM messages WHERE room = {room} AND seq = 4").await;
}

#[tokio::test]
async fn a_revision_that_was_never_given_is_named_by_room_and_number() {
    finds("revision_beyond", Some(900), "UPDATE messages SET revision = 900 WHERE room = {room} AND seq = 5").await;
}

#[tokio::test]
async fn a_counter_that_runs_ahead_is_found() {
    finds("seq_missing", None, "UPDATE rooms SET last_seq = last_seq + 1 WHERE id = {room}").await;
}

#[tokio::test]
async fn a_client_id_that_is_stored_twice_is_found() {
    let drop = match TestDatabase::named() {
        TestDatabase::Mysql(_) => "ALTER TABLE messages DROP INDEX messages_by_client_id",
        TestDatabase::Sqlite => "DROP INDEX messages_by_client_id",
    };
    finds(
        "client_id_twice",
        None,
        &format!("{drop}; UPDATE messages SET client_id = author WHERE room = {{room}} AND seq IN (6, 7)"),
    )
    .await;
}

#[tokio::test]
async fn a_member_count_that_is_wrong_is_found() {
    finds("member_count", None, "UPDATE rooms SET member_count = 7 WHERE id = {room}").await;
}
