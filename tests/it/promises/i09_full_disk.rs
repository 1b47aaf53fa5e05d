//! I9 with a full disk under SQLite; a server of MySQL has a disk of its own. Full is: no file grows beyond the length that its log has, which the
//! kernel refuses as it refuses what a disk has no room for.

use crate::support::command::CommandLine;
use crate::support::eventually;
use crate::support::person::Person;
use tempfile::TempDir;
use uuid::Uuid;

/// Room for a few pages that is left: enough for a little write, not for a post.
const LEFT: u64 = 3 * 4096;
const POSTS: usize = 5;

/// Transactions that were tried for somebody and failed.
async fn failed(person: &Person) -> u64 {
    let metrics = person.get_text("/metrics").await;
    let counts = metrics.lines().filter(|line| line.starts_with("hubbub_store_faults_total"));
    counts.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}

#[tokio::test]
async fn on_a_full_disk_posts_are_refused_without_a_try_and_with_room_again_they_are_stored() {
    let folder = TempDir::new().expect("a folder");
    let line = CommandLine::new(folder.path(), "").with_writes_that_fail();
    let serving = line.serve(&[]).await;
    let ann = Person::register_at(&serving.base, "ann").await;
    let room = ann.make_room("Kitchen", "public").await;
    ann.say(&room, "before").await;
    let log = folder.path().join("hubbub.sqlite-wal");
    let length = std::fs::metadata(log).expect("a log").len();
    serving.limit_files(Some(length + LEFT));
    let post = async |text: &str| ann.say_as(&room, text, &Uuid::now_v7().to_string()).await;
    eventually("a post that has no room", || async { (!post("does it fit?").await.status.is_success()).then_some(()) }).await;

    let before = failed(&ann).await;
    assert!(before > 0, "it was tried");
    let mut answers = Vec::new();
    for _ in 0..POSTS {
        answers.push(post("refused").await);
    }
    assert_eq!(failed(&ann).await, before, "none of them was tried: {answers:?}");
    for answer in answers {
        assert_eq!(answer.code(), "unavailable");
        assert!(answer.body["retry_after_ms"].as_u64().is_some_and(|wait| wait > 0), "{}", answer.body);
    }

    serving.limit_files(None);
    eventually("a post with room again", || async { post("after").await.status.is_success().then_some(()) }).await;
    let texts = ann.texts(&room).await;
    assert!(texts.first().is_some_and(|text| text == "before") && texts.last().is_some_and(|text| text == "after"), "{texts:?}");
    assert!(!texts.iter().any(|text| text == "refused"), "{texts:?}");
    line.run(&["verify"]).await.done();
}
