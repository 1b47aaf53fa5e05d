//! For tests: a listener with sessions over recorded neighbours, and a client that can also misbehave.

use super::gate::Gate;
use super::ports::{Attached, Counted, Neighbours, Promise, Proof, UserPage};
use super::thread::{SessionThread, Shared};
use super::upgrade::upgrade;
use crate::config::Config;
use crate::delivery::envelope::Envelope;
use crate::delivery::feeds::Feeds;
use crate::delivery::handle::{RelayHandle, Relays};
use crate::delivery::relay::{LocalRelay, Start};
use crate::domain::fault::{Fault, Refusal};
use crate::domain::ids::{ClientId, Epoch, LoginId, RoomId, SessionId, UserId};
use crate::domain::message::{Changes, Item, Post};
use crate::domain::order::Revision;
use crate::domain::stream::UserChanges;
use crate::domain::time::Clock;
use crate::domain::user::Actor;
use crate::policy::{Hidden, Sight, View, seen_item};
use crate::protocol::v1::act::Act;
use crate::protocol::v1::command::{DeviceState, RoomCursor};
use crate::protocol::v1::reply::{Done, Posted};
use crate::store::streams::{PageMax, Part};
use crate::supervision::policy::{RestartClass, RestartPolicy};
use crate::supervision::tree::Supervisor;
use actix_http::{HttpService, Request, Response};
use actix_service::{Service, ServiceFactory, fn_service};
use futures_util::{FutureExt, future::OptionFuture};
use serde_json::Value;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, oneshot};

mod rejoin;
mod rooms;

pub(super) const DEADLINE: Duration = Duration::from_secs(10);

type GroupAnswer = Result<Vec<Result<Posted, Refusal>>, Refusal>;

/// A post group that waits for the test to answer it.
pub(super) struct Held {
    pub(super) room: RoomId,
    pub(super) posts: Vec<Post>,
    pub(super) answer: oneshot::Sender<GroupAnswer>,
}

/// Rooms, accounts and tracker in one, in memory.
pub(super) struct Fake {
    pub(super) epoch: Epoch,
    people: RefCell<HashMap<String, Result<Proof, Refusal>>>,
    rooms: RefCell<HashMap<RoomId, FakeRoom>>,
    pub(super) hold_posts: Cell<bool>,
    pub(super) held: RefCell<Vec<Held>>,
    /// A post is answered once its event has reached the outboxes, and nobody is woken for the answer alone.
    pub(super) answers_behind_events: Cell<bool>,
    /// The newest event.
    newest: RefCell<Option<Arc<Envelope>>>,
    /// Commits one more message in a room while each of so many next pages is read.
    pub(super) busy_pages: Cell<u64>,
    /// Why the next page is not read.
    pub(super) page_refused: Cell<Option<Fault>>,
    /// Pages that were read.
    pub(super) pages: Cell<u64>,
    /// Commits one more message in a room right behind its answer to whoever subscribes.
    pub(super) busy_attach: Cell<bool>,
    /// Revisions that are stored and that no room has heard of.
    pub(super) unheard: Cell<u64>,
    /// Whoever subscribes next leaves and comes back right behind the room's answer, which they get after the relay knows it.
    pub(super) rejoins: Cell<bool>,
    pub(super) panic_on_command: Cell<bool>,
    /// The next act is answered behind this.
    pub(super) held_act: RefCell<Option<oneshot::Receiver<()>>>,
    /// Why the head of a person's stream is not told.
    pub(super) head_refused: Cell<Option<Fault>>,
    /// Whom everybody turns out to block with the next page of their stream.
    pub(super) hides: Cell<Option<UserId>>,
    pub(super) log: RefCell<Vec<&'static str>>,
}

struct FakeRoom {
    sight: Sight,
    items: Vec<Item>,
    relays: Vec<RelayHandle>,
}

struct NoFeeds;

impl Feeds for NoFeeds {
    fn refill(&self, _: &RelayHandle, _: RoomId, _: Revision) -> bool {
        true
    }

    fn unwanted(&self, _: &RelayHandle, _: RoomId, _: u64) {}
}

impl Fake {
    fn new() -> Rc<Self> {
        Rc::new(Self {
            epoch: Epoch::generate(),
            people: RefCell::default(),
            rooms: RefCell::default(),
            hold_posts: Cell::new(false),
            held: RefCell::default(),
            answers_behind_events: Cell::new(false),
            newest: RefCell::default(),
            busy_pages: Cell::new(0),
            page_refused: Cell::new(None),
            pages: Cell::new(0),
            busy_attach: Cell::new(false),
            unheard: Cell::new(0),
            rejoins: Cell::new(false),
            panic_on_command: Cell::new(false),
            held_act: RefCell::default(),
            head_refused: Cell::new(None),
            hides: Cell::new(None),
            log: RefCell::default(),
        })
    }

    /// A person whose token is `token`, for an hour.
    pub(super) fn person(&self, token: &str) -> Actor {
        let actor = Actor { user: UserId::generate(), login: LoginId::generate(), admin: false };
        self.token(token, Ok(Proof { actor, expires_at: Clock::system().now() + chrono::Duration::hours(1) }));
        actor
    }

    pub(super) fn token(&self, token: &str, proof: Result<Proof, Refusal>) {
        self.people.borrow_mut().insert(token.to_owned(), proof);
    }

    fn note(&self, what: &'static str) {
        self.log.borrow_mut().push(what);
    }
}

/// The same behind the trait that sessions hold.
struct Shown(Rc<Fake>);

fn now<T: 'static>(answer: Result<T, Refusal>) -> Promise<T> {
    Box::pin(async move {
        // A neighbour is another thread: its answer never comes in the same turn.
        tokio::task::yield_now().await;
        answer
    })
}

impl Neighbours for Shown {
    fn authenticate(&self, token: String) -> Promise<Proof> {
        now(self.0.people.borrow().get(&token).copied().unwrap_or(Err(Fault::Unauthenticated.into())))
    }

    fn epoch(&self) -> Epoch {
        self.0.epoch
    }

    fn user_head(&self, _: UserId) -> Promise<(Revision, Hidden)> {
        now(self.0.head_refused.get().map_or(Ok((Revision(3), Hidden::default())), |fault| Err(fault.into())))
    }

    fn user_changes(&self, _: UserId, from: Revision, _: PageMax) -> Promise<UserPage> {
        self.0.note("user page");
        let hidden = self.0.hides.get().map(|user| Hidden::of(vec![user]));
        now(Ok(UserPage { changes: UserChanges { from, to: from.next(), items: Vec::new() }, hidden }))
    }

    fn attach(&self, RoomCursor { room, .. }: RoomCursor, user: UserId, relay: &RelayHandle, _: u64) -> Promise<Attached> {
        let mut rooms = self.0.rooms.borrow_mut();
        let Some(kept) = rooms.get_mut(&room) else {
            return now(Err(Fault::NotFound.into()));
        };
        if !kept.relays.contains(relay) {
            kept.relays.push(relay.clone());
        }
        let head = Revision(kept.items.len() as u64);
        let newest = Revision(head.0 + self.0.unheard.get());
        let attached = Attached { head, newest, sight: kept.sight };
        drop(rooms);
        if self.0.busy_attach.get() {
            self.0.say(room, UserId::generate(), ClientId::generate(), "right behind");
        }
        if self.0.rejoins.take() {
            self.0.rejoin(room, user);
            let appended = relay.last_appended(room);
            return Box::pin(async move { appended.await.map(|_| attached).map_err(|_| Fault::Unavailable.into()) });
        }
        now(Ok(attached))
    }

    fn detach(&self, room: RoomId, relay: &RelayHandle, _: u64) {
        self.0.note("detach");
        if let Some(room) = self.0.rooms.borrow_mut().get_mut(&room) {
            room.relays.retain(|other| other != relay);
        }
    }

    fn room_changes(
        &self,
        room: RoomId,
        (_, view): (UserId, View),
        from: Revision,
        head: Revision,
        max: PageMax,
    ) -> Promise<Part> {
        self.0.pages.set(self.0.pages.get() + 1);
        if let Some(fault) = self.0.page_refused.take() {
            return now(Err(fault.into()));
        }
        if self.0.busy_pages.get() > 0 {
            self.0.busy_pages.set(self.0.busy_pages.get() - 1);
            self.0.say(room, UserId::generate(), ClientId::generate(), "meanwhile");
        }
        let to = head.0.min(from.0 + max.rows as u64);
        let rooms = self.0.rooms.borrow();
        let items = rooms[&room].items.iter().filter(|item| item.revision() > from && item.revision().0 <= to);
        let items = items.cloned().filter_map(|item| seen_item(item, &view.hidden));
        let changes = Changes { room, from, to: Revision(to), items: items.collect() };
        now(Ok(Part { changes, more: to < head.0 }))
    }

    fn post(&self, room: RoomId, actor: Actor, posts: Vec<Post>) -> Promise<Vec<Result<Posted, Refusal>>> {
        if self.0.hold_posts.get() {
            let (answer, wait) = oneshot::channel();
            self.0.held.borrow_mut().push(Held { room, posts, answer });
            return Box::pin(async move { wait.await.unwrap_or(Err(Fault::Unavailable.into())) });
        }
        let post = |post: Post| Ok(self.0.say(room, actor.user, post.client_id, post.text.as_str()));
        let mut answer = Some(Ok(posts.into_iter().map(post).collect()));
        let newest = self.0.newest.borrow().clone().filter(|_| self.0.answers_behind_events.get());
        self.0.newest.take();
        Box::pin(std::future::poll_fn(move |_| {
            let delivered = newest.as_ref().is_none_or(|event| Arc::strong_count(event) == 1);
            if delivered { Poll::Ready(answer.take().expect("polled once more")) } else { Poll::Pending }
        }))
    }

    fn post_direct(&self, _: Actor, _: UserId, _: Post) -> Promise<Posted> {
        now(Err(Fault::NotFound.into()))
    }

    fn act(&self, _: Actor, act: Act) -> Promise<Done> {
        self.0.note(Act::NAMES[act.number()]);
        let held = self.0.held_act.take();
        Box::pin(OptionFuture::from(held).map(|_| Ok(Done::Nothing {})))
    }

    fn connected(&self, _: SessionId, _: UserId, _: &RelayHandle) {
        self.0.note("connected");
    }

    fn device(&self, _: SessionId, _: Option<DeviceState>) {
        self.0.note("device");
    }

    fn disconnected(&self, _: SessionId) {
        self.0.note("disconnected");
    }

    fn watch(&self, _: SessionId, _: Vec<UserId>) -> Promise<()> {
        now(Ok(()))
    }

    fn unwatch(&self, _: SessionId, _: Vec<UserId>) -> Result<(), Refusal> {
        Ok(())
    }

    fn count(&self, _: UserId, what: Counted) -> Result<(), Refusal> {
        assert!(!(self.0.panic_on_command.get() && what == Counted::Command), "a broken invariant");
        Ok(())
    }
}

/// Sessions on a loopback port, all on the test's thread.
pub(super) struct Listener {
    pub(super) address: SocketAddr,
    pub(super) fake: Rc<Fake>,
    pub(super) gate: Gate,
    pub(super) relays: Relays,
    pub(super) supervisor: Supervisor,
    thread: Rc<SessionThread>,
}

impl Listener {
    pub(super) async fn start() -> Self {
        Self::start_with(|_| ()).await
    }

    pub(super) async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::default();
        change(&mut config);
        let policy = RestartPolicy::new(RestartClass::Permanent, 5, Duration::from_secs(60));
        let (supervisor, _) = Supervisor::root("test", policy);
        let (relays, gate, fake) =
            (Relays::default(), Gate::new(config.server.max_connections, config.limits.sessions_per_user), Fake::new());
        let relay = LocalRelay::start(Start {
            supervisor: &supervisor,
            policy,
            mailbox: 10_000,
            turn_bytes: 1 << 18,
            feeds: Arc::new(NoFeeds),
            relays: &relays,
        });
        let thread = SessionThread::start(Shared {
            admit: Box::new(|_, _| Ok(())),
            config: Arc::new(config),
            clock: Clock::system(),
            relay,
            neighbours: Rc::new(Shown(Rc::clone(&fake))),
            supervisor: supervisor.clone(),
            gate: gate.clone(),
            pages: Arc::new(Semaphore::new(8)),
        });
        let upgrading = Rc::clone(&thread);
        let service = HttpService::build()
            .upgrade(fn_service(move |(request, framed)| upgrade(Rc::clone(&upgrading), request, framed)))
            .finish(fn_service(|_: Request| async { Ok::<_, actix_http::Error>(Response::not_found()) }))
            .tcp()
            .new_service(())
            .await
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        actix::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                actix::spawn(service.call(stream));
            }
        });
        Self { address, fake, gate, relays, supervisor, thread }
    }

    /// Writes to sockets so far.
    pub(super) fn flushes(&self) -> u64 {
        self.thread.shared.relay.tally().flushes.unpublished()
    }

    /// A connection that has shaken hands.
    pub(super) async fn connect(&self) -> Wire {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let request = "GET /api/v1/ws HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
            Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: hubbub.v1\r\n\r\n";
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut wire = Wire { stream, read: Vec::new(), last_ref: 0 };
        let head = wire.until(b"\r\n\r\n").await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        wire
    }

    /// A connection that has said hello, with a cursor for each of `rooms`.
    pub(super) async fn hello(&self, token: &str, rooms: &[(RoomId, Option<u64>)]) -> (Wire, Value) {
        let mut wire = self.connect().await;
        let rooms: Vec<_> = rooms.iter().map(|(room, cursor)| serde_json::json!({ "room": room, "cursor": cursor })).collect();
        let hello = serde_json::json!({ "token": token, "epoch": self.fake.epoch, "user_cursor": 3, "rooms": rooms });
        wire.command("hello", hello).await;
        let welcome = wire.json().await;
        assert!(welcome["ok"]["session"].is_string(), "{welcome}");
        (wire, welcome["ok"].clone())
    }
}

/// What a client received.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Got {
    Json(Value),
    Ping,
    Pong(Vec<u8>),
    Close(u16),
    End,
}

/// A client's end of a connection.
pub(super) struct Wire {
    pub(super) stream: TcpStream,
    read: Vec<u8>,
    last_ref: u64,
}

impl Wire {
    pub(super) async fn command(&mut self, name: &str, body: Value) -> u64 {
        self.last_ref += 1;
        let command = serde_json::json!({ "ref": self.last_ref, name: body });
        self.send(0x81, command.to_string().as_bytes()).await;
        self.last_ref
    }

    pub(super) async fn send(&mut self, first: u8, payload: &[u8]) {
        self.stream.write_all(&masked(first, payload)).await.unwrap();
    }

    /// The next JSON frame; pings are passed over.
    pub(super) async fn json(&mut self) -> Value {
        loop {
            match self.next().await {
                Got::Json(value) => return value,
                Got::Ping => {}
                other => panic!("{other:?} instead of JSON"),
            }
        }
    }

    /// The close code, whatever JSON came before it.
    pub(super) async fn close_code(&mut self) -> u16 {
        loop {
            match self.next().await {
                Got::Close(code) => return code,
                Got::End => panic!("the connection ended without a close frame"),
                Got::Json(_) | Got::Ping | Got::Pong(_) => {}
            }
        }
    }

    pub(super) async fn next(&mut self) -> Got {
        loop {
            if let Some(got) = self.take_frame() {
                return got;
            }
            if !self.read_more().await {
                return Got::End;
            }
        }
    }

    async fn until(&mut self, end: &[u8]) -> String {
        loop {
            if let Some(place) = self.read.windows(end.len()).position(|window| window == end) {
                let head: Vec<_> = self.read.drain(..place + end.len()).collect();
                return String::from_utf8(head).unwrap();
            }
            assert!(self.read_more().await, "ended after {}", String::from_utf8_lossy(&self.read));
        }
    }

    async fn read_more(&mut self) -> bool {
        let mut buffer = [0; 4096];
        let read = tokio::time::timeout(DEADLINE, self.stream.read(&mut buffer)).await.expect("nothing came in time");
        let count = read.unwrap_or(0);
        self.read.extend(&buffer[..count]);
        count > 0
    }

    fn take_frame(&mut self) -> Option<Got> {
        let (header, length) = match *self.read.get(1)? {
            126 => (4, usize::from(u16::from_be_bytes(self.read.get(2..4)?.try_into().unwrap()))),
            127 => (10, usize::try_from(u64::from_be_bytes(self.read.get(2..10)?.try_into().unwrap())).unwrap()),
            short => (2, usize::from(short)),
        };
        let first = self.read[0];
        let payload = self.read.get(header..header + length)?.to_vec();
        self.read.drain(..header + length);
        Some(match first {
            0x81 => Got::Json(serde_json::from_slice(&payload).unwrap()),
            0x88 => Got::Close(payload.get(..2).map_or(0, |code| u16::from_be_bytes(code.try_into().unwrap()))),
            0x89 => Got::Ping,
            0x8A => Got::Pong(payload),
            other => panic!("a frame that begins with {other:x}"),
        })
    }
}

/// A frame as a client sends it.
pub(super) fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [1, 2, 3, 4];
    let mut bytes = vec![first];
    match payload.len() {
        short @ 0..=125 => bytes.push(0x80 | u8::try_from(short).unwrap()),
        middle @ 126..=65_535 => {
            bytes.push(0x80 | 126);
            bytes.extend(u16::try_from(middle).unwrap().to_be_bytes());
        }
        long => {
            bytes.push(0x80 | 127);
            bytes.extend((long as u64).to_be_bytes());
        }
    }
    bytes.extend(mask);
    bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key));
    bytes
}
