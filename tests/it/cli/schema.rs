//! `migrate`, and a schema that is newer than the program.

use super::FAILED;
use crate::support::command::CommandLine;
use crate::support::database::Database;
use crate::support::server::Server;
use tempfile::TempDir;

#[tokio::test]
async fn a_schema_newer_than_the_program_is_refused_by_every_command_that_would_use_it() {
    let mut server = Server::start().await;
    server.stop().await;
    let sql = "INSERT INTO __diesel_schema_migrations (version) VALUES ('99990101000000')";
    server.database.tamper(server.folder.path(), sql).await;
    let line = CommandLine::of(&server);
    let (around, to) = (TempDir::new().expect("a folder"), "copy");
    let to = around.path().join(to).to_str().expect("a path").to_owned();
    let commands: [&[&str]; 7] = [
        &["serve", "--listen", "127.0.0.1:0"],
        &["migrate"],
        &["migrate", "--check"],
        &["verify"],
        &["backup", "--to", &to],
        &["user", "add", "ann"],
        &["user", "promote", "ann"],
    ];
    for command in commands {
        let told = line.run_with(command, "correct horse battery\n").await.failed(FAILED);
        assert!(told.contains("has schema 99990101000000, this program knows up to 2026"), "{command:?}: {told}");
        assert!(told.contains("use the newer version"), "{command:?}: {told}");
    }
}

#[tokio::test]
async fn migrating_brings_a_new_database_to_its_schema_once() {
    let (folder, database) = (TempDir::new().expect("a folder"), Database::create().await);
    let line = CommandLine::new(folder.path(), &database.url());
    if !database.is_file() {
        let told = line.run(&["migrate", "--check"]).await.failed(FAILED);
        assert!(told.contains("migrations are missing"), "{told}");
    }
    assert!(line.run(&["migrate"]).await.done().starts_with("Ran "));
    assert_eq!(line.run(&["migrate"]).await.done(), "The schema was up to date.\n");
    assert_eq!(line.run(&["migrate", "--check"]).await.done(), "The schema is up to date.\n");
    line.run(&["verify"]).await.done();
}

#[tokio::test]
async fn migrating_while_a_server_holds_the_folder_is_refused() {
    let server = Server::start().await;
    let line = CommandLine::of(&server);
    let told = line.run(&["migrate"]).await.failed(FAILED);
    assert!(
        told.contains("in use by another Hubbub process") && told.contains(server.folder.path().to_str().expect("a path")),
        "{told}"
    );
    assert_eq!(line.run(&["migrate", "--check"]).await.done(), "The schema is up to date.\n");
}

#[tokio::test]
async fn a_restore_that_broke_off_is_told_to_every_command_until_it_is_done_again() {
    let mut server = Server::start().await;
    let around = TempDir::new().expect("a folder");
    let to = around.path().join("copy").to_str().expect("a path").to_owned();
    let line = CommandLine::of(&server);
    line.run(&["backup", "--to", &to]).await.done();
    server.stop().await;
    server.database.tamper(server.folder.path(), "CREATE TABLE restore_unfinished (one SMALLINT NOT NULL PRIMARY KEY)").await;
    let commands: [&[&str]; 3] = [&["serve", "--listen", "127.0.0.1:0"], &["verify"], &["user", "promote", "ann"]];
    for command in commands {
        let told = line.run(command).await.failed(FAILED);
        assert!(told.contains("did not finish") && told.contains("--replace"), "{command:?}: {told}");
    }
    line.run(&["restore", "--from", &to, "--replace"]).await.done();
    line.run(&["verify"]).await.done();
}
