//! I7 at size: what holds for a few missed changes holds for as many as are allowed.

use crate::support::fill::Filler;
use crate::support::person::Person;
use crate::support::scene::Scene;
use crate::support::viewer::{Viewer, number};
use hubbub::domain::message::{Item, Message};
use hubbub::domain::room::RoomChange;
use serde_json::{Value, json};

const MISSED: usize = 100_000;
/// Odd, as a joining has two rows.
const PAGE_ROWS: usize = 199;
const JOININGS: usize = 12;
/// A page would end within the joinings.
const POSTS_BEFORE: usize = PAGE_ROWS * 50 - 11;

/// What the store says was missed.
struct Missed {
    messages: Vec<Message>,
    /// Rows of joinings, each revision having two.
    joinings: Vec<Item>,
}

/// A hundred thousand changes in the room, stored while the server does not run; it runs again then.
async fn fill(scene: &mut Scene, newcomers: &[Person]) -> Missed {
    scene.server.stop().await;
    let filler = Filler::open(&scene.server).await;
    let (room, ann) = (scene.room.clone(), scene.ann.id.clone());
    let mut messages = filler.posts(&room, &ann, POSTS_BEFORE).await;
    let mut joinings = Vec::new();
    for person in newcomers {
        let changed = filler.change(&room, &person.id, RoomChange::Join).await;
        joinings.extend(changed.changes.expect("a joining is seen").items);
    }
    messages.extend(filler.posts(&room, &ann, MISSED - POSTS_BEFORE - newcomers.len()).await);
    filler.close();
    scene.restart().await;
    Missed { messages, joinings }
}

/// Takes in pages until the revision is known; how many rows each had.
async fn pages(viewer: &mut Viewer, to: u64) -> Vec<usize> {
    let mut rows = Vec::new();
    while viewer.cursor < to {
        let changes = viewer.socket.push("changes").await;
        assert_eq!(number(&changes["from"]), viewer.cursor, "pages follow each other");
        rows.push(changes["items"].as_array().expect("items").len());
        viewer.take(&changes);
    }
    rows
}

fn summary(message: &Value) -> (u64, u64, &str) {
    (number(&message["seq"]), number(&message["revision"]), message["text"].as_str().expect("a text"))
}

#[tokio::test]
async fn a_hundred_thousand_missed_changes_come_whole_and_one_more_resets_that_room_only() {
    let settings = [("resume.page_rows", "199"), ("resume.max_changes", "100000")];
    let mut scene = Scene::start_with(&settings).await;
    let other = scene.ann.make_room("Cellar", "public").await;
    scene.bob.join(&other).await;
    let other_cursor = scene.bob.head(&other).await;
    let mut newcomers = Vec::new();
    for number in 0..JOININGS {
        newcomers.push(Person::register(&scene.server, &format!("newcomer{number}")).await);
    }
    let mut away = Viewer::fresh(&scene.bob, &scene.room).await;
    away.socket.leave().await;
    let cursor = away.cursor;

    let begun = std::time::Instant::now();
    let missed = fill(&mut scene, &newcomers).await;
    eprintln!("stored after {:?}", begun.elapsed());
    let begun = std::time::Instant::now();
    assert_eq!(away.resume(&scene.bob).await["status"], "resuming");
    let rows = pages(&mut away, cursor + MISSED as u64).await;
    eprintln!("{MISSED} missed changes in {} pages after {:?}", rows.len(), begun.elapsed());
    assert_eq!(away.broken, [""; 0]);
    assert!(rows.iter().all(|rows| *rows <= PAGE_ROWS), "a page has its limit");
    assert!(rows.contains(&(PAGE_ROWS - 1)), "a page ends before a revision that does not fit whole");
    let came: Vec<_> = away.came.iter().map(summary).collect();
    let stored: Vec<_> = missed.messages.iter().map(|message| (message.seq.0, message.revision.0, &*message.text)).collect();
    assert!(came == stored, "the messages that came are those that were stored, each once and in order");
    assert_eq!(away.rows.len(), missed.messages.len() + missed.joinings.len());
    for item in &missed.joinings {
        let row = match item {
            Item::Member(member) => &away.rows[&format!("member {}", json!(member.user))],
            Item::Notice(notice) => &away.rows[&format!("notice {:06}", notice.revision.0)],
            other => panic!("a joining has {other:?}"),
        };
        assert_eq!(row["revision"], item.revision().0);
    }

    // One more is too many, for this room.
    scene.ann.say(&scene.room, "one more").await;
    scene.ann.say(&other, "elsewhere").await;
    let rooms = json!([{"room": scene.room, "cursor": cursor}, {"room": other, "cursor": other_cursor}]);
    let (mut socket, welcome) = scene.bob.connect_with(json!({"epoch": away.epoch, "rooms": rooms})).await;
    let starts = &welcome["rooms"];
    assert_eq!((&starts[0]["status"], &starts[0]["reason"]), (&json!("reset"), &json!("too_far")));
    assert_eq!(starts[0]["head"], cursor + MISSED as u64 + 1);
    assert_eq!(starts[1]["status"], "resuming");
    assert_eq!(socket.message().await, (1, "elsewhere".to_owned()));
}
