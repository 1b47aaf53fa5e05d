//! I2 on SQLite, seen from outside: what a post wrote is synced to the disk before anybody is told of it. MySQL syncs by itself, if it is set
//! to; that it is, the start checks (`src/store/access/durability_tests.rs`).

use crate::support::trace;

#[tokio::test]
async fn the_log_is_synced_before_a_post_is_answered_or_shown() {
    assert_eq!(trace::unsynced(None).await, [""; 0]);
}

const WRITTEN: &str = r#"7 pwrite64(16</d/hubbub.sqlite-wal>, "\0\0word-1\0", 4096, 0) = 4096"#;
const SYNC: &str = "7 fsync(16</d/hubbub.sqlite-wal>)    = 0";
const SAID: &str = r#"9 sendto(31<socket:[5]>, "{\"seq\":3,\"revision\":4}", 24, 0, NULL, 0) = 24"#;

fn judged(lines: &[&str]) -> Result<(), String> {
    trace::synced(&trace::calls(&lines.join("\n")), "word-1", 3)
}

#[test]
fn an_answer_before_the_sync_or_without_it_is_seen() {
    assert_eq!(judged(&[WRITTEN, SYNC, SAID]), Ok(()));
    assert!(judged(&[WRITTEN, SAID, SYNC]).is_err(), "before the sync");
    assert!(judged(&[SAID, WRITTEN, SYNC]).is_err(), "before it was written");
    assert!(judged(&[WRITTEN, SAID]).is_err(), "no sync");
    assert!(judged(&[SYNC, WRITTEN, SAID]).is_err(), "a sync of something else before");
    assert!(judged(&[WRITTEN, &SYNC.replace("-wal", ""), SAID]).is_err(), "of another file");
    assert!(judged(&[WRITTEN, &SYNC.replace("= 0", "= -1 EIO"), SAID]).is_err(), "which failed");
    assert!(judged(&[WRITTEN, SYNC]).is_err(), "nobody was told: the test saw nothing");
}

#[test]
fn a_sync_counts_when_it_has_returned() {
    let (begun, done) = ("7 fsync(16</d/hubbub.sqlite-wal> <unfinished ...>", "7 <... fsync resumed>)              = 0");
    assert_eq!(judged(&[WRITTEN, begun, done, SAID]), Ok(()));
    assert!(judged(&[WRITTEN, begun, SAID, done]).is_err());
    let event = r#"9 writev(31<socket:[5]>, [{iov_base="{\"text\":\"word-1\"}", iov_len=9}], 1) = 9"#;
    assert!(judged(&[WRITTEN, event, SYNC, SAID]).is_err(), "somebody saw it before its sender had the answer");
}
