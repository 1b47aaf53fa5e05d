//! `config check`, `config print`, and settings that are refused.

use super::{SETTINGS, USAGE};
use crate::support::command::CommandLine;
use std::fs;
use tempfile::TempDir;

fn machine() -> (TempDir, CommandLine) {
    let folder = TempDir::new().expect("a folder");
    let line = CommandLine::new(folder.path(), "");
    (folder, line)
}

#[tokio::test]
async fn an_unknown_setting_is_refused_with_the_nearest_known_one_wherever_it_stands() {
    let (folder, line) = machine();
    line.run(&["config", "check"]).await.done();
    let told = line.run(&["config", "check", "--set", "limits.text_maxx=1KiB"]).await.failed(SETTINGS);
    assert!(told.contains("limits.text_maxx") && told.contains("did you mean limits.text_max?"), "{told}");
    let in_environment = line.clone().with("HUBBUB_ROMS__MAILBOX", "7");
    let told = in_environment.run(&["config", "check"]).await.failed(SETTINGS);
    assert!(told.contains("HUBBUB_ROMS__MAILBOX") && told.contains("did you mean"), "{told}");
    fs::write(folder.path().join("hubbub.toml"), "[limits]\ntext_mox = \"1KiB\"\n[sesion]\nmailbox = 3\n").expect("written");
    for command in [&["config", "check"][..], &["serve"], &["verify"], &["config", "print"]] {
        let told = line.run(command).await.failed(SETTINGS);
        assert!(told.contains("did you mean limits.text_max?"), "{command:?}: {told}");
        assert!(told.contains("sesion") && told.contains("session"), "all mistakes at once: {told}");
        assert!(told.contains("hubbub.toml"), "it says where: {told}");
    }
}

#[tokio::test]
async fn impossible_values_are_refused_with_what_is_expected() {
    let (_folder, line) = machine();
    for (set, says) in [
        ("limits.text_max=lots", "limits.text_max"),
        ("server.workers=-1", "server.workers"),
        ("database.commit_deadline=5", "database.commit_deadline"),
        ("accounts.registration=maybe", "invite"),
        ("log.filter=a=b=c", "log.filter"),
        ("limits.frame_max=1KiB", "6 times limits.text_max"),
        ("accounts.access_token_ttl=1h", "at most 900s"),
    ] {
        let told = line.run(&["config", "check", "--set", set]).await.failed(SETTINGS);
        assert!(told.contains(says), "{set}: {told}");
    }
}

#[tokio::test]
async fn what_is_printed_is_a_settings_file_and_holds_no_secret() {
    let (folder, line) = machine();
    let url = "database.url=mysql://root:geheim123@db.example.org:3306/hubbub";
    let printed = line.run(&["config", "print", "--set", url, "--set", "room.mailbox=77"]).await.done();
    assert!(printed.contains("mailbox = 77") && printed.contains("--set room.mailbox"), "{printed}");
    assert!(printed.contains("db.example.org") && !printed.contains("geheim123"), "{printed}");
    let file = folder.path().join("printed.toml");
    let printed = line.run(&["config", "print", "--set", "room.mailbox=77"]).await.done();
    fs::write(&file, &printed).expect("written");
    let file = file.to_str().expect("a path");
    let again = line.run(&["config", "print", "--config", file]).await.done();
    assert!(again.contains("mailbox = 77"), "{again}");
    line.run(&["config", "check", "--config", file]).await.done();
    let told = line.run(&["config", "check", "--config", "/nowhere/hubbub.toml"]).await.failed(SETTINGS);
    assert!(told.contains("/nowhere/hubbub.toml"), "{told}");
}

#[tokio::test]
async fn wrong_arguments_have_an_exit_code_of_their_own() {
    let (_folder, line) = machine();
    for arguments in [&["sing"][..], &["user"], &["backup"], &["serve", "--fast"], &["user", "add", "ann", "--password", "x"]] {
        let told = line.run(arguments).await;
        assert_eq!(told.exit, USAGE, "{arguments:?}: {told:?}");
        assert!(told.err.contains("Usage"), "{told:?}");
    }
}
