//! `backup`, `restore`.

use super::{DAMAGED, FAILED};
use crate::support::command::CommandLine;
use crate::support::database::Database;
use crate::support::scene::Scene;
use crate::support::server::Server;
use crate::support::test_database::left_out_on_mysql;
use crate::support::viewer::{Viewer, number, text};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tempfile::TempDir;

fn place(around: &TempDir, name: &str) -> (PathBuf, String) {
    let path = around.path().join(name);
    let written = path.to_str().expect("a path").to_owned();
    (path, written)
}

fn client_ids(history: &[Value]) -> Vec<String> {
    history.iter().map(|message| text(&message["client_id"])).collect()
}

/// Posts until told to stop; what was acknowledged is counted.
async fn talk_until(scene: &Scene, over: &AtomicBool, acknowledged: &AtomicUsize) {
    let mut socket = scene.bob.connect().await;
    while !over.load(Ordering::Relaxed) {
        let reply = socket.say(&scene.room, &uuid::Uuid::new_v4().to_string()).await;
        assert!(reply.get("ok").is_some(), "a post while a backup is taken: {reply}");
        acknowledged.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn a_backup_taken_amid_posts_is_restored_elsewhere_as_another_epoch() {
    let (scene, around) = (Scene::start().await, TempDir::new().expect("a folder"));
    let mut viewer = Viewer::fresh(&scene.ann, &scene.room).await;
    let before = scene.pipeline(&scene.bob, 30).await;
    let (copy, to) = place(&around, "copy");

    let (over, acknowledged) = (AtomicBool::new(false), AtomicUsize::new(0));
    let backup = async {
        // Begun while posts go on, ended while posts go on.
        crate::support::eventually("posts", || async { (acknowledged.load(Ordering::Relaxed) > 0).then_some(()) }).await;
        let told = CommandLine::of(&scene.server).run(&["backup", "--to", &to]).await.done();
        let at_its_end = acknowledged.load(Ordering::Relaxed);
        crate::support::eventually("more posts", || async { (acknowledged.load(Ordering::Relaxed) > at_its_end).then_some(()) })
            .await;
        over.store(true, Ordering::Relaxed);
        told
    };
    let (told, ()) = tokio::join!(backup, talk_until(&scene, &over, &acknowledged));
    assert!(told.contains("Backed up") && told.contains("keys"), "{told}");
    assert_private(&copy);
    scene.catch_up(&mut viewer).await;
    let original = scene.history().await;

    let (folder, database) = (TempDir::new().expect("a folder"), Database::create().await);
    let elsewhere = CommandLine::new(folder.path(), &database.url());
    assert!(elsewhere.run(&["restore", "--from", &to]).await.done().contains("Restored the backup of"));
    let verified = elsewhere.run(&["verify"]).await.done();
    assert!(verified.contains(": 0 breaches."), "{verified}");

    let restored = Server::start_on(folder, database, &[]).await;
    // The keys came along: tokens that were valid are.
    let (ann, bob) = (scene.ann.moved_to(&restored), scene.bob.moved_to(&restored));
    let history = ann.history(&scene.room).await;
    assert_eq!(history, original[..history.len()], "a beginning of what is stored, unchanged");
    assert!(history.len() < original.len(), "posts went on after it was taken");
    let held = client_ids(&history);
    assert!(before.sent.iter().all(|client_id| held.contains(client_id)), "all that was there when it began");

    let epoch = viewer.epoch.clone();
    let hello = json!({"epoch": epoch, "user_cursor": 1, "rooms": [{"room": scene.room, "cursor": viewer.cursor}]});
    let (_, welcome) = ann.connect_with(hello).await;
    assert_ne!(text(&welcome["epoch"]), epoch);
    assert_eq!((&welcome["user_reset"], &welcome["rooms"][0]["status"]), (&json!(true), &json!("reset")), "{welcome}");
    assert_eq!(welcome["rooms"][0]["reason"], "epoch");
    let seq = number(&bob.say(&scene.room, "life goes on").await["seq"]);
    assert_eq!(seq, history.len() as u64 + 1);
    // A repeat of what the backup holds finds it there.
    let first = &original[0];
    let again = bob.say_as(&scene.room, &text(&first["text"]), &text(&first["client_id"])).await.ok();
    assert_eq!((&again["seq"], &again["repeat"]), (&first["seq"], &json!(true)));
}

#[cfg(unix)]
pub fn assert_private(folder: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!(mode(folder), 0o700);
    for file in fs::read_dir(folder).expect("a folder") {
        let path = file.expect("a file").path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}

#[tokio::test]
async fn a_backup_does_not_go_where_something_is() {
    let (server, around) = (Server::start().await, TempDir::new().expect("a folder"));
    let (copy, to) = place(&around, "copy");
    fs::create_dir(&copy).expect("a folder");
    let told = CommandLine::of(&server).run(&["backup", "--to", &to]).await.failed(FAILED);
    assert!(told.contains("exists already") && told.contains(&to), "{told}");
    if server.database.is_file() {
        let nowhere = CommandLine::new(&around.path().join("nothing"), "");
        let told = nowhere.run(&["backup", "--to", &place(&around, "other").1]).await.failed(FAILED);
        assert!(told.contains("there is no database in") && told.contains("--data"), "{told}");
        assert!(!around.path().join("nothing").exists(), "a command that reads makes nothing");
    }
}

#[tokio::test]
async fn a_restore_over_something_needs_to_be_told_so_and_no_server() {
    let (mut scene, around) = (Scene::start().await, TempDir::new().expect("a folder"));
    let (_, to) = place(&around, "copy");
    scene.bob.say(&scene.room, "in the backup").await;
    let line = CommandLine::of(&scene.server);
    line.run(&["backup", "--to", &to]).await.done();
    scene.bob.say(&scene.room, "after it").await;

    let told = line.run(&["restore", "--from", &to, "--replace"]).await.failed(FAILED);
    assert!(told.contains("in use by another Hubbub process"), "while the server runs: {told}");
    scene.server.stop().await;
    let told = line.run(&["restore", "--from", &to]).await.failed(FAILED);
    assert!(told.contains("not empty") && told.contains("--replace"), "{told}");
    scene.restart().await;
    assert_eq!(scene.ann.texts(&scene.room).await, ["in the backup", "after it"], "nothing was changed");

    scene.server.stop().await;
    line.run(&["restore", "--from", &to, "--replace"]).await.done();
    line.run(&["verify"]).await.done();
    scene.restart().await;
    assert_eq!(scene.ann.texts(&scene.room).await, ["in the backup"]);
}

/// A backup with something in it, and the scene it is of, stopped.
async fn backed_up(around: &TempDir) -> (Scene, CommandLine, PathBuf, String) {
    let mut scene = Scene::start().await;
    let (copy, to) = place(around, "copy");
    scene.pipeline(&scene.bob, 10).await;
    let line = CommandLine::of(&scene.server);
    line.run(&["backup", "--to", &to]).await.done();
    scene.server.stop().await;
    (scene, line, copy, to)
}

#[tokio::test]
async fn a_damaged_backup_is_refused_by_the_file_at_fault_and_nothing_is_changed() {
    type Damage = fn(&Path);
    let damages: [(Damage, &str, &str); 6] = [
        (|copy| flip(&copy.join("messages.jsonl")), "the backup is damaged", "messages.jsonl"),
        (|copy| flip(&copy.join("secrets.toml")), "the backup is damaged", "secrets.toml"),
        (|copy| cut(&copy.join("users.jsonl")), "the backup is damaged", "users.jsonl"),
        (|copy| fs::remove_file(copy.join("rooms.jsonl")).expect("it was there"), "the backup is damaged", "rooms.jsonl"),
        (|copy| cut(&copy.join("manifest.json")), "is no backup", "manifest.json"),
        (|copy| fs::remove_file(copy.join("manifest.json")).expect("it was there"), "is no backup", "manifest.json"),
    ];
    let around = TempDir::new().expect("a folder");
    let (mut scene, line, copy, to) = backed_up(&around).await;
    for (number, (damage, says, names)) in damages.into_iter().enumerate() {
        let (broken, from) = place(&around, &format!("broken{number}"));
        copy_folder(&copy, &broken);
        damage(&broken);
        let told = line.run(&["restore", "--from", &from, "--replace"]).await.failed(FAILED);
        assert!(told.contains(says) && told.contains(names), "{told}");
    }
    let told = line.run(&["restore", "--from", &format!("{to}-nowhere"), "--replace"]).await.failed(FAILED);
    assert!(told.contains("is no backup"), "{told}");
    scene.restart().await;
    assert_eq!(scene.history().await.len(), 10, "nothing was changed");
}

#[tokio::test]
async fn a_backup_of_a_newer_version_is_refused() {
    let around = TempDir::new().expect("a folder");
    let (_scene, line, copy, to) = backed_up(&around).await;
    let path = copy.join("manifest.json");
    let manifest: Value = serde_json::from_slice(&fs::read(&path).expect("a manifest")).expect("JSON");
    let mut newer = manifest.clone();
    newer["schema"].as_array_mut().expect("a list").push(json!("99990101000000"));
    fs::write(&path, newer.to_string()).expect("written");
    let told = line.run(&["restore", "--from", &to, "--replace"]).await.failed(FAILED);
    assert!(told.contains("99990101000000") && told.contains("newer"), "{told}");
    newer = manifest;
    newer["format"] = json!(2);
    fs::write(&path, newer.to_string()).expect("written");
    let told = line.run(&["restore", "--from", &to, "--replace"]).await.failed(FAILED);
    assert!(told.contains("format 2"), "{told}");
}

#[tokio::test]
async fn a_damaged_sqlite_file_is_not_backed_up_and_fails_verification() {
    if left_out_on_mysql("a server checks its own files") {
        return;
    }
    let mut scene = Scene::start().await;
    scene.flood(200).await;
    scene.server.stop().await;
    let (line, file) = (CommandLine::of(&scene.server), scene.server.folder.path().join("hubbub.sqlite"));
    let (around, whole) = (TempDir::new().expect("a folder"), fs::read(&file).expect("the database"));
    let (_, to) = place(&around, "copy");

    // Pages in the middle are overwritten, as a dying disk does.
    let mut broken = whole.clone();
    let middle = broken.len() / 2 / 4096 * 4096;
    broken[middle..middle + 16 * 4096].fill(0xA5);
    fs::write(&file, &broken).expect("written");
    let told = line.run(&["backup", "--to", &to]).await.failed(FAILED);
    assert!(told.contains("damaged"), "{told}");
    assert!(!Path::new(&to).exists() && !Path::new(&format!("{to}.partial")).exists());
    let verified = line.run(&["verify"]).await;
    assert!(verified.out.contains("SQLite finds its file damaged"), "{verified:?}");
    verified.failed(DAMAGED);

    // No database at all.
    fs::write(&file, vec![0xA5; 8192]).expect("written");
    let told = line.run(&["verify"]).await.failed(DAMAGED);
    assert!(told.contains("not a database"), "{told}");
    let told = line.run(&["backup", "--to", &to]).await.failed(FAILED);
    assert!(told.contains("not a database"), "{told}");
    let told = line.run(&["serve"]).await.failed(FAILED);
    assert!(told.contains("not a database"), "{told}");

    // Half of it.
    fs::write(&file, &whole[..whole.len() / 3]).expect("written");
    let told = line.run(&["verify"]).await.failed(DAMAGED);
    assert!(told.contains("damaged"), "{told}");
}

fn flip(path: &Path) {
    let mut bytes = fs::read(path).expect("a file");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).expect("written");
}

fn cut(path: &Path) {
    let bytes = fs::read(path).expect("a file");
    fs::write(path, &bytes[..bytes.len() / 2]).expect("written");
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir(to).expect("a folder");
    for file in fs::read_dir(from).expect("a folder") {
        let file = file.expect("a file");
        fs::copy(file.path(), to.join(file.file_name())).expect("copied");
    }
}
