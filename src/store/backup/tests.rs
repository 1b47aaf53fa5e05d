use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::domain::ids::{NodeId, RoomId, UserId};
use crate::domain::room::{HistoryRule, RoomChange, RoomKind};
use crate::folder::DataFolder;
use crate::store::nodes::{BeginEpoch, RegisterNode};
use crate::store::testing::{TestStore, noon};
use crate::store::{Store, nodes, tables};

fn quiet() -> Progress {
    Arc::new(|_| ())
}

async fn talk(test: &TestStore) -> (RoomId, [UserId; 2]) {
    let [ann, bob] = test.people().await;
    let room = test.room(RoomKind::Private, HistoryRule::SinceJoining, ann, &[bob]).await;
    test.say(room, ann, &["hello", "line\nbreak \"quoted\" \\ \t ünïcödé 🦀 \u{2028}", "[1, 2]", "x"]).await;
    test.change(ann, room, RoomChange::Kick { user: bob, reason: None }).await.unwrap();
    test.run(BeginEpoch { epoch: Epoch::generate(), restored: false }).await.unwrap();
    (room, [ann, bob])
}

/// Every row of every table that a backup holds, as cells in the order of the columns' names.
async fn everything(store: &Store) -> BTreeMap<String, Vec<BTreeMap<String, tables::Cell>>> {
    let read = store.snapshot(|db| {
        Box::pin(async move {
            let mut all = BTreeMap::new();
            for table in tables::tables(db).await? {
                if LEFT_OUT.contains(&table.name.as_str()) || table.name == "meta" {
                    continue;
                }
                let lines = tables::page(db, &table, None, 100_000).await?;
                let row = |line: &String| {
                    let cells = tables::cells(&table.columns, line).unwrap();
                    table.columns.iter().map(|column| column.name.clone()).zip(cells).collect()
                };
                all.insert(table.name.clone(), lines.iter().map(row).collect());
            }
            Ok::<_, StoreError>(all)
        })
    });
    read.await.unwrap()
}

async fn backup(test: &TestStore, to: &Path) -> Manifest {
    test.store.backup(to, &[], noon(), &quiet()).await.unwrap()
}

/// Restores `from` into what `settings` name.
async fn restore(settings: &crate::config::Database, folder: &Path, from: &Path, replace: bool) -> Result<Epoch, BackupError> {
    let held = DataFolder::open(folder).unwrap();
    let backup = Backup::open(from, &quiet())?;
    let node = held.node_id().unwrap();
    Restore { settings, folder: &held, node, replace, now: noon(), progress: quiet() }.run(&backup).await
}

#[tokio::test]
async fn restored_backup_equals_what_was_stored_and_begins_a_new_epoch() {
    let (test, other) = (TestStore::open().await, TestStore::open().await);
    let (room, _) = talk(&test).await;
    let place = tempfile::tempdir().unwrap();
    let manifest = backup(&test, &place.path().join("b")).await;
    other.store.close();
    let epoch = restore(&other.settings, other.folder.path(), &place.path().join("b"), false).await.unwrap();
    assert_ne!(Some(epoch), manifest.epoch);
    let restored = Store::open(&other.settings, other.folder.path()).await.unwrap();
    assert_eq!(everything(&restored).await, everything(&test.store).await);
    assert_eq!(restored.read(|db| Box::pin(nodes::epoch(db))).await.unwrap(), Some(epoch));
    assert_eq!(restored.pending().await.unwrap(), Vec::<String>::new());
    assert!(restored.verify(None, &quiet()).await.unwrap().breaches.is_empty());
    assert_eq!(test.get(room).await.last_seq.0, 4);
}

/// The other database is SQLite when tests run on a server, and so both ways are tested by running on both.
#[tokio::test]
async fn backup_goes_into_a_file_and_back_whichever_database_it_is_of() {
    let test = TestStore::open().await;
    talk(&test).await;
    let place = tempfile::tempdir().unwrap();
    let (first, second, folder) = (place.path().join("1"), place.path().join("2"), place.path().join("data"));
    backup(&test, &first).await;
    let settings = crate::config::Config::default().database;
    restore(&settings, &folder, &first, false).await.unwrap();
    let file = Store::open(&settings, &folder).await.unwrap();
    assert_eq!(everything(&file).await, everything(&test.store).await);
    file.backup(&second, &[], noon(), &quiet()).await.unwrap();
    let before = everything(&test.store).await;
    test.store.close();
    restore(&test.settings, test.folder.path(), &second, true).await.unwrap();
    let back = Store::open(&test.settings, test.folder.path()).await.unwrap();
    assert_eq!(everything(&back).await, before);
}

#[tokio::test]
async fn database_that_is_in_use_is_replaced_only_when_asked() {
    let test = TestStore::open().await;
    talk(&test).await;
    let place = tempfile::tempdir().unwrap();
    let from = place.path().join("b");
    backup(&test, &from).await;
    let [late] = test.people().await;
    let refused = restore(&test.settings, test.folder.path(), &from, false).await;
    assert!(matches!(refused, Err(BackupError::NotEmpty)), "{refused:?}");
    test.store.close();
    restore(&test.settings, test.folder.path(), &from, true).await.unwrap();
    let restored = Store::open(&test.settings, test.folder.path()).await.unwrap();
    let people = &everything(&restored).await["users"];
    assert_eq!(people.len(), 2);
    let bytes = tables::Cell::Bytes(late.as_bytes().to_vec());
    assert!(people.iter().all(|person| person["id"] != bytes), "what came after the backup is gone");
}

#[tokio::test]
async fn damaged_or_foreign_backup_is_refused_before_anything_changes() {
    let test = TestStore::open().await;
    talk(&test).await;
    let place = tempfile::tempdir().unwrap();
    let from = place.path().join("b");
    backup(&test, &from).await;
    let before = everything(&test.store).await;
    let attempt = async || restore(&test.settings, test.folder.path(), &from, true).await;

    let path = from.join("messages.jsonl");
    let good = fs::read(&path).unwrap();
    fs::write(&path, String::from_utf8(good.clone()).unwrap().replace("hello", "hullo")).unwrap();
    assert!(matches!(attempt().await, Err(BackupError::Damaged(_))));
    fs::remove_file(&path).unwrap();
    assert!(matches!(attempt().await, Err(BackupError::Damaged(_))));
    fs::write(&path, good).unwrap();

    let path = from.join(MANIFEST);
    let good = fs::read_to_string(&path).unwrap();
    fs::write(&path, good.replace("\"format\": 1", "\"format\": 2")).unwrap();
    assert!(matches!(attempt().await, Err(BackupError::FormatNewer { found: 2 })));
    fs::write(&path, good.replace("\"schema\": [", "\"schema\": [\"29991231000000\",")).unwrap();
    assert!(matches!(attempt().await, Err(BackupError::SchemaNewer { .. })));
    fs::write(&path, good.replace("messages.jsonl", "../messages.jsonl")).unwrap();
    assert!(matches!(attempt().await, Err(BackupError::Damaged(_))));
    fs::remove_file(&path).unwrap();
    assert!(matches!(attempt().await, Err(BackupError::NoBackup(_))));
    assert_eq!(everything(&test.store).await, before);
}

#[tokio::test]
async fn node_that_runs_elsewhere_stops_a_restore_and_our_own_leftover_does_not() {
    let test = TestStore::open().await;
    talk(&test).await;
    let place = tempfile::tempdir().unwrap();
    let from = place.path().join("b");
    backup(&test, &from).await;
    let own = DataFolder::open(test.folder.path()).unwrap().node_id().unwrap();
    let register = |node| RegisterNode { node, started_at: noon(), now: noon(), alive_since: noon() };
    test.run(register(own)).await.unwrap();
    let other = NodeId::generate();
    test.run(crate::store::nodes::UnregisterNode { node: own }).await.unwrap();
    test.run(register(other)).await.unwrap();
    let refused = restore(&test.settings, test.folder.path(), &from, true).await;
    assert!(matches!(refused, Err(BackupError::NodeRuns(node)) if node.id == other), "{refused:?}");
    test.run(crate::store::nodes::UnregisterNode { node: other }).await.unwrap();
    test.run(register(own)).await.unwrap();
    test.store.close();
    restore(&test.settings, test.folder.path(), &from, true).await.unwrap();
}

#[tokio::test]
async fn backup_taken_while_people_write_is_one_consistent_state() {
    let test = TestStore::open().await;
    let [ann] = test.people().await;
    let room = test.room(RoomKind::Public, HistoryRule::All, ann, &[]).await;
    test.say(room, ann, &vec!["before"; ROWS * 2]).await;
    let place = tempfile::tempdir().unwrap();
    let (from, folder) = (place.path().join("b"), place.path().join("data"));
    // Writers are heard before the first page and until the last.
    let done = AtomicBool::new(false);
    let writing = async {
        let mut said = 0_u64;
        while !done.load(Ordering::Acquire) {
            test.say(room, ann, &["during"; 20]).await;
            said += 20;
        }
        said
    };
    let copying = async {
        let manifest = backup(&test, &from).await;
        done.store(true, Ordering::Release);
        manifest
    };
    let (said, _) = tokio::join!(writing, copying);
    let settings = crate::config::Config::default().database;
    restore(&settings, &folder, &from, false).await.unwrap();
    let restored = Store::open(&settings, &folder).await.unwrap();
    let report = restored.verify(None, &quiet()).await.unwrap();
    assert_eq!(report.breaches, []);
    let (before, after) = ((ROWS * 2) as i64, i64::try_from(ROWS as u64 * 2 + said).unwrap());
    assert!(said > 0 && report.messages >= before && report.messages <= after, "{report:?}");
}

#[tokio::test]
async fn backup_holds_the_files_beside_and_is_made_once() {
    use std::os::unix::fs::PermissionsExt;
    let test = TestStore::open().await;
    let place = tempfile::tempdir().unwrap();
    let (to, keys) = (place.path().join("b"), place.path().join("secrets.toml"));
    fs::write(&keys, "secret").unwrap();
    test.store.backup(&to, std::slice::from_ref(&keys), noon(), &quiet()).await.unwrap();
    let opened = Backup::open(&to, &quiet()).unwrap();
    assert_eq!(opened.beside("secrets.toml").unwrap().as_deref(), Some(b"secret".as_slice()));
    assert_eq!(opened.beside("other.toml").unwrap(), None);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&to), mode(&to.join("secrets.toml"))), (0o700, 0o600));
    let again = test.store.backup(&to, &[], noon(), &quiet()).await;
    assert!(matches!(again, Err(BackupError::Exists(_))));
    let missing = test.store.backup(&place.path().join("c"), &[place.path().join("none")], noon(), &quiet()).await;
    assert!(missing.is_err());
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 2, "nothing is left of a backup that failed");
}

#[tokio::test]
async fn restore_that_broke_off_on_a_server_stops_every_use_until_it_is_run_again() {
    let test = TestStore::open().await;
    talk(&test).await;
    if test.store.is_file() {
        return file_that_broke_off_is_built_anew(&test).await;
    }
    let place = tempfile::tempdir().unwrap();
    let from = place.path().join("b");
    backup(&test, &from).await;
    let unfinished = format!("CREATE TABLE {} (one SMALLINT NOT NULL PRIMARY KEY)", crate::store::migrate::UNFINISHED);
    restore::execute(&test.store, &unfinished).await.unwrap();
    assert!(matches!(test.store.migrate().await, Err(OpenError::RestoreUnfinished)));
    assert!(matches!(test.store.pending().await, Err(OpenError::RestoreUnfinished)));
    let refused = restore(&test.settings, test.folder.path(), &from, false).await;
    assert!(matches!(refused, Err(BackupError::NotEmpty)));
    restore(&test.settings, test.folder.path(), &from, true).await.unwrap();
    assert_eq!(test.store.pending().await.unwrap(), Vec::<String>::new());
}

/// A file is built beside: what an earlier attempt left there is in nobody's way.
async fn file_that_broke_off_is_built_anew(test: &TestStore) {
    let place = tempfile::tempdir().unwrap();
    let from = place.path().join("b");
    backup(test, &from).await;
    let left = test.folder.path().join("restore.partial");
    fs::create_dir(&left).unwrap();
    fs::write(left.join("hubbub.sqlite"), "half a database").unwrap();
    assert_eq!(test.store.pending().await.unwrap(), Vec::<String>::new());
    let before = everything(&test.store).await;
    test.store.close();
    restore(&test.settings, test.folder.path(), &from, true).await.unwrap();
    assert!(!left.exists());
    let restored = Store::open(&test.settings, test.folder.path()).await.unwrap();
    assert_eq!(everything(&restored).await, before);
}
