//! I4, I7: a room of any size is deleted at once, and its people follow in writes of bounded size, whatever happens meanwhile.

use crate::support::command::{CommandLine, Serving};
use crate::support::fill::Filler;
use crate::support::scene::Scene;
use crate::support::within;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Instant;

/// Sixteen writes: enough that the deletion is answered, and the server killed, long before the last.
const PEOPLE: usize = 1_500;
const MESSAGES: usize = 3_000;

/// The large room, and what is said elsewhere while it ends.
struct Ending {
    scene: Scene,
    den: String,
    said: Vec<String>,
    /// How many were left when somebody had posted elsewhere.
    seen: BTreeSet<usize>,
}

impl Ending {
    async fn prepare() -> (Self, Value) {
        let mut scene = Scene::start().await;
        let den = scene.ann.make_room("Den", "public").await;
        scene.bob.join(&den).await;
        let known = scene.bob.connect_with(json!({})).await.1;
        scene.server.stop().await;
        let filler = Filler::open(&scene.server).await;
        filler.crowd(&scene.server, &den, &scene.bob.id, PEOPLE).await;
        filler.posts(&den, &scene.ann.id, MESSAGES).await;
        filler.close();
        (Self { scene, den, said: Vec::new(), seen: BTreeSet::new() }, known)
    }

    async fn serve(&mut self, head_check_interval: &str) -> Serving {
        let interval = format!("room.head_check_interval={head_check_interval}");
        let settings = ["--set", &interval, "--set", "rates.posts_per_account=off", "--set", "rates.requests_per_account=off"];
        let serving = self.line().serve(&[&settings[..], &["--set", "rates.requests_per_address=off"]].concat()).await;
        for person in [&mut self.scene.ann, &mut self.scene.bob] {
            person.base.clone_from(&serving.base);
        }
        serving
    }

    fn line(&self) -> CommandLine {
        CommandLine::of(&self.scene.server)
    }

    /// People whose membership or invitation has not ended.
    async fn left(&self) -> usize {
        let den = self.den.replace('-', "");
        let sql = format!("SELECT COUNT(*) AS number FROM members WHERE room = x'{den}' AND state < 2");
        self.scene.server.database.count(self.scene.server.folder.path(), &sql).await
    }

    /// Posts elsewhere until at most so many are left.
    async fn post_until(&mut self, most: usize) {
        while self.left().await > most {
            let text = format!("meanwhile {}", self.said.len());
            self.scene.bob.say(&self.scene.room, &text).await;
            self.said.push(text);
            self.seen.insert(self.left().await);
        }
    }
}

#[tokio::test]
async fn a_very_large_room_is_deleted_at_once_and_its_people_follow_through_a_kill_while_others_post() {
    let begun = Instant::now();
    let (mut ending, known) = Ending::prepare().await;
    eprintln!("{PEOPLE} people and {MESSAGES} messages stored after {:?}", begun.elapsed());
    assert_eq!(ending.left().await, PEOPLE + 2);
    // Nobody looks for deleted rooms here: what the deletion began it goes on with by itself.
    let mut serving = ending.serve("1h").await;
    ending.scene.ann.delete(&format!("rooms/{}", ending.den)).await.ok();
    let left = ending.left().await;
    assert!(left > 0, "the answer waited for everybody");
    within("half of them", ending.post_until(PEOPLE / 2)).await;
    eprintln!("half of them after {:?}, with {} posts elsewhere", begun.elapsed(), ending.said.len());
    serving.kill();
    let left = ending.left().await;
    assert!(left > 0, "it was not killed in the middle");
    let many = ending.seen.iter().filter(|left| (1..PEOPLE).contains(*left)).count();
    assert!(many >= 3, "others had to wait: {:?}", ending.seen);
    ending.line().run(&["verify"]).await.done();

    let serving = ending.serve("200ms").await;
    assert_eq!(ending.scene.bob.get(&format!("rooms/{}", ending.den)).await.code(), "not_found");
    within("everybody", ending.post_until(0)).await;
    eprintln!("everybody after {:?}, with {} posts elsewhere", begun.elapsed(), ending.said.len());
    let bob = &ending.scene.bob;
    let (mut socket, _) = bob.connect_with(json!({"epoch": known["epoch"], "user_cursor": known["user_head"]})).await;
    let told = socket.push("user_changes").await;
    let membership = &told["items"][0]["membership"];
    assert_eq!((&membership["room"]["id"], &membership["state"]), (&json!(ending.den), &json!("left")), "{told}");
    // A server that stops waits for the other end of each socket.
    drop(socket);
    let kept: Vec<_> = bob.history(&ending.scene.room).await.iter().map(|message| message["text"].clone()).collect();
    assert_eq!(kept, ending.said);
    assert_eq!(serving.terminate().await.0, 0);
    ending.line().run(&["verify"]).await.done();
}
