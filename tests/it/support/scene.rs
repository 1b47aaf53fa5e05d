//! Two people in one room: how most tests begin. And what they do there.

use super::person::Person;
use super::server::Server;
use super::socket::{Next, Socket};
use super::viewer::{Viewer, number};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// Ann owns the room, Bob is in it.
pub struct Scene {
    pub server: Server,
    pub ann: Person,
    pub bob: Person,
    pub room: String,
}

/// What became of posts: who sent what, and how it was answered.
pub struct Talk {
    /// The client ids in sending order.
    pub sent: Vec<String>,
    /// Each with its answer's body.
    pub answers: Vec<(String, Value)>,
}

impl Scene {
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    pub async fn start_with(changes: &[(&str, &str)]) -> Self {
        Self::on(Server::start_with(changes).await).await
    }

    /// The two on a server that runs.
    pub async fn on(server: Server) -> Self {
        let ann = Person::register(&server, "ann").await;
        let bob = Person::register(&server, "bob").await;
        let room = ann.make_room("Kitchen", "public").await;
        bob.join(&room).await;
        Self { server, ann, bob, room }
    }

    /// Starts the server again; the two keep their logins.
    pub async fn restart(&mut self) {
        self.server.restart().await;
        self.ann = self.ann.moved_to(&self.server);
        self.bob = self.bob.moved_to(&self.server);
    }

    /// Everything Ann can read.
    pub async fn history(&self) -> Vec<Value> {
        self.ann.history(&self.room).await
    }

    /// Sends posts without waiting for answers, then collects these.
    pub async fn pipeline(&self, person: &Person, count: usize) -> Talk {
        let mut socket = person.connect().await;
        let (mut sent, mut waiting) = (Vec::<String>::new(), Vec::new());
        for n in 0..count {
            let text = format!("{} {n} {}", person.name, Uuid::new_v4());
            let (reference, client_id) = socket.pipeline(&self.room, &text, sent.last().map(String::as_str)).await;
            waiting.push(reference);
            sent.push(client_id);
        }
        let mut answers = Vec::new();
        for (reference, client_id) in waiting.into_iter().zip(&sent) {
            let reply = socket.reply(reference).await;
            answers.push((client_id.clone(), reply.get("ok").unwrap_or(&reply).clone()));
        }
        Talk { sent, answers }
    }

    /// Waits until a viewer has seen everything.
    pub async fn catch_up(&self, viewer: &mut Viewer) {
        viewer.until(self.ann.head(&self.room).await).await;
    }

    /// Posts once over a new socket; the client id, how long it took and the answer, if one came.
    pub async fn timed_post(&self, person: &Person, patience: Duration) -> (String, Duration, Option<Value>) {
        self.timed_post_over(&mut person.connect().await, patience).await
    }

    /// The same over a socket that is open.
    pub async fn timed_post_over(&self, socket: &mut Socket, patience: Duration) -> (String, Duration, Option<Value>) {
        let begun = Instant::now();
        let (reference, client_id) = socket.pipeline(&self.room, &Uuid::new_v4().to_string(), None).await;
        let reply = tokio::time::timeout(patience, socket.reply(reference)).await.ok();
        (client_id, begun.elapsed(), reply)
    }

    /// Ends Bob's right to post: as a member (`kicked`, `banned`), for a while (`silenced`), or everybody's (`archived`).
    pub async fn end(&self, notice: &str) {
        let (room, bob) = (&self.room, &self.bob.id);
        match notice {
            "kicked" => self.ann.delete(&format!("rooms/{room}/members/{bob}")).await,
            "banned" => self.ann.put(&format!("rooms/{room}/bans/{bob}"), json!({})).await,
            "silenced" => {
                let until = hubbub::domain::time::Clock::system().now() + chrono::TimeDelta::hours(1);
                self.ann.put(&format!("rooms/{room}/silences/{bob}"), json!({ "until": until })).await
            }
            "archived" => self.ann.patch(&format!("rooms/{room}"), json!({"archived": true})).await,
            other => panic!("no way to {other}"),
        }
        .ok();
    }
}

/// How a socket ended.
#[derive(Debug, Default)]
pub struct Goodbye {
    /// A `reconnect` came before the end.
    pub told: bool,
    pub closed: Option<u16>,
}

/// How a server stopped.
pub struct Drained {
    pub goodbyes: Vec<(&'static str, Goodbye)>,
    pub took: Duration,
    /// Client ids of posts that were acknowledged while it stopped.
    pub acknowledged: Vec<String>,
}

impl Scene {
    /// Posts long texts, more than any outbox of a test takes.
    pub async fn flood(&self, count: usize) {
        let mut socket = self.ann.connect().await;
        for _ in (0..count).step_by(20) {
            let mut waiting = Vec::new();
            for _ in 0..20 {
                let text = format!("{} {}", Uuid::new_v4(), "long ".repeat(1500));
                waiting.push(socket.pipeline(&self.room, &text, None).await.0);
            }
            for reference in waiting {
                let reply = socket.reply(reference).await;
                assert!(reply.get("ok").is_some(), "{reply}");
            }
        }
    }

    /// Ends Bob's right to post while he posts over several sockets; every row of the room afterwards.
    pub async fn end_amid_posts(&self, notice: &str) -> Vec<Value> {
        let mut viewer = Viewer::fresh(&self.ann, &self.room).await;
        let ending = async {
            viewer.until(viewer.cursor + 5).await;
            self.end(notice).await;
        };
        let post = || self.post_until_refused();
        tokio::join!(ending, post(), post(), post(), post());
        self.catch_up(&mut viewer).await;
        viewer.items()
    }

    async fn post_until_refused(&self) {
        let mut socket = self.bob.connect().await;
        while socket.say(&self.room, &Uuid::new_v4().to_string()).await.get("ok").is_some() {}
    }

    /// Ann talks on; what of it a socket gets that should get nothing.
    pub async fn overheard(&self, viewer: &mut Viewer) -> Vec<String> {
        let mut stayed = Viewer::fresh(&self.ann, &self.room).await;
        for n in 0..5 {
            self.ann.say(&self.room, &format!("between us {n}")).await;
            self.catch_up(&mut stayed).await;
            viewer.socket.ask("ping", json!({})).await;
        }
        let heard = viewer.socket.heard().into_iter().filter(|push| push.to_string().contains("between us"));
        heard.map(|push| format!("overheard {push}")).collect()
    }

    /// Things that have nothing to do with storing a post, and how long the slowest of some of each took.
    pub async fn look_around(&self, quiet: &str) -> Vec<(&'static str, Duration)> {
        let mut socket = self.ann.connect().await;
        let mut times = Vec::new();
        let mut note = |what: &'static str, begun: Instant| times.push((what, begun.elapsed()));
        for _ in 0..5 {
            let begun = Instant::now();
            socket.ask("ping", json!({})).await;
            note("a ping", begun);
            let begun = Instant::now();
            self.ann.get(&format!("rooms/{}/messages", self.room)).await.ok();
            note("history", begun);
            let begun = Instant::now();
            socket.subscribe(quiet).await;
            note("subscribing to another room", begun);
            let begun = Instant::now();
            socket.ask("watch_presence", json!({"users": [self.bob.id]})).await;
            note("watching somebody", begun);
        }
        times
    }

    /// Stops the server while Bob posts and Ann listens, and starts it again.
    pub async fn drain_amid_posts(&mut self) -> Drained {
        let (mut posting, mut listening) = (self.bob.connect().await, self.ann.connect().await);
        let (begun, begins) = tokio::sync::oneshot::channel();
        let (server, room) = (&mut self.server, &self.room);
        let stopping = async {
            begins.await.expect("Bob posts");
            let begun = Instant::now();
            server.stop().await;
            begun.elapsed()
        };
        let (bob, ann, took) = tokio::join!(post_until_closed(&mut posting, room, begun), listen(&mut listening), stopping);
        let (acknowledged, bob) = bob;
        self.restart().await;
        Drained { goodbyes: vec![("bob", bob), ("ann", ann)], took, acknowledged }
    }
}

async fn post_until_closed(socket: &mut Socket, room: &str, begun: tokio::sync::oneshot::Sender<()>) -> (Vec<String>, Goodbye) {
    let (mut acknowledged, mut goodbye, mut begun) = (Vec::new(), Goodbye::default(), Some(begun));
    for reference in 1000.. {
        let client_id = Uuid::now_v7().to_string();
        let body = json!({"room": room, "client_id": client_id, "text": client_id});
        // One that cannot be sent has its reason in what comes next.
        socket.try_command(reference, "post", body).await;
        loop {
            match socket.next().await {
                Next::Frame(frame) if frame["ref"] == json!(reference) => {
                    if frame.get("ok").is_some() {
                        acknowledged.push(client_id);
                    }
                    break;
                }
                Next::Frame(frame) => goodbye.told |= frame.get("reconnect").is_some(),
                Next::Closed(code) => {
                    goodbye.closed = code;
                    return (acknowledged, goodbye);
                }
            }
        }
        if acknowledged.len() == 3
            && let Some(begun) = begun.take()
        {
            begun.send(()).expect("somebody waits");
        }
    }
    unreachable!("a socket ends")
}

async fn listen(socket: &mut Socket) -> Goodbye {
    let mut told = false;
    loop {
        match socket.next().await {
            Next::Frame(frame) => told |= frame.get("reconnect").is_some(),
            Next::Closed(closed) => return Goodbye { told, closed },
        }
    }
}

impl Talk {
    /// The newest revision that was acknowledged.
    pub fn head(&self) -> u64 {
        self.answers.iter().map(|(_, answer)| number(&answer["revision"])).max().unwrap_or(0)
    }
}
