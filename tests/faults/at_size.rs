//! I7 with many rooms. Here and not in `it`, as reads are counted for the whole process.

use crate::arm::Turn;
use crate::support::fill::Filler;
use crate::support::scene::Scene;
use crate::support::socket::Socket;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const ROOMS: usize = 5_000;
const PER_FRAME: usize = 500;
/// Every so many rooms one is posted to.
const EACH: usize = 250;

/// Reads of the store so far, by what they were for.
struct Reads(BTreeMap<&'static str, u64>);

impl Reads {
    async fn of(scene: &Scene) -> Self {
        let metrics = scene.ann.get_text("/metrics").await;
        let count = |line: &str| {
            let found = metrics.lines().find_map(|row| row.strip_prefix(line)?.trim().parse().ok());
            found.unwrap_or(0)
        };
        let named = |name: &str| count(&format!("hubbub_read_seconds_count{{read=\"{name}\"}}"));
        Self(BTreeMap::from([
            ("a room's load", count("hubbub_room_load_seconds_count")),
            ("a page of a room", named("resume_room")),
            ("the user stream's head", named("resume_user_head")),
            ("a page of the user stream", named("resume_user")),
        ]))
    }

    fn since(&self, earlier: &Self) -> BTreeMap<&'static str, u64> {
        self.0.iter().map(|(what, count)| (*what, count - earlier.0[what])).collect()
    }
}

/// Comes back with a cursor for each room, in as many frames as that takes; how each room goes on.
async fn come_back(scene: &Scene, known: &Value, cursors: &[(String, u64)]) -> (Socket, Vec<Value>) {
    let mut frames = cursors.chunks(PER_FRAME).map(|part| {
        let rooms: Vec<_> = part.iter().map(|(room, cursor)| json!({"room": room, "cursor": cursor})).collect();
        json!({ "rooms": rooms })
    });
    let mut hello = frames.next().expect("at least one room");
    (hello["epoch"], hello["user_cursor"]) = (known["epoch"].clone(), known["user_head"].clone());
    let (mut socket, welcome) = scene.bob.connect_with(hello).await;
    assert_eq!(welcome["user_reset"], false);
    let mut starts = welcome["rooms"].as_array().expect("rooms").clone();
    for frame in frames {
        let reply = socket.ask("subscribe", frame).await;
        starts.extend(reply["ok"]["rooms"].as_array().unwrap_or_else(|| panic!("{reply}")).iter().cloned());
    }
    (socket, starts)
}

#[tokio::test]
async fn of_five_thousand_rooms_all_are_answered_and_only_those_that_changed_are_read() {
    let _turn = Turn::take().await;
    let mut scene = Scene::start().await;
    let head = scene.bob.head(&scene.room).await;
    scene.server.stop().await;
    let filler = Filler::open(&scene.server).await;
    let rooms = filler.copies(&scene.server, &scene.room, ROOMS).await;
    let cursors: Vec<_> = rooms.into_iter().map(|room| (room, head)).collect();
    let mut posted = BTreeMap::new();
    for (room, _) in cursors.iter().step_by(EACH) {
        filler.posts(room, &scene.bob.id, 2).await;
        posted.insert(room.clone(), 2);
    }
    filler.close();
    scene.restart().await;
    let (mut first, known) = scene.bob.connect_with(json!({})).await;
    while first.push("user_changes").await["to"] != known["user_head"] {}
    first.leave().await;

    // The rooms sleep at first; the second time they are awake.
    for asleep in [true, false] {
        let before = Reads::of(&scene).await;
        let begun = std::time::Instant::now();
        let (mut socket, starts) = come_back(&scene, &known, &cursors).await;
        let answered: Vec<_> = starts.iter().map(|start| start["room"].as_str().expect("a room")).collect();
        assert!(answered.iter().eq(cursors.iter().map(|(room, _)| room)), "every room is answered, in the order asked");
        for start in &starts {
            let expected = if posted.contains_key(start["room"].as_str().unwrap()) { "resuming" } else { "live" };
            assert_eq!(start["status"], expected, "{start}");
        }
        let mut came = BTreeMap::new();
        while came.len() < posted.len() {
            let changes = socket.push("changes").await;
            came.insert(changes["room"].as_str().unwrap().to_owned(), changes["items"].as_array().unwrap().len());
        }
        assert_eq!(came, posted);
        // Nothing else is on its way: the answer to this comes behind it.
        socket.ask("ping", json!({})).await;
        assert!(socket.heard().is_empty());
        let reads = Reads::of(&scene).await.since(&before);
        eprintln!("{ROOMS} rooms, asleep: {asleep}, after {:?}: {reads:?}", begun.elapsed());
        let loads = if asleep { ROOMS as u64 } else { 0 };
        let expected = [
            ("a room's load", loads),
            ("a page of a room", posted.len() as u64),
            ("the user stream's head", 1),
            ("a page of the user stream", 0),
        ];
        assert_eq!(reads, BTreeMap::from(expected));
        socket.leave().await;
    }
}
