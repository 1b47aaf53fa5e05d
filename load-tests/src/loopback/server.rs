//! The loopback server's event loop: one thread, one epoll. What is told to a room is encoded once and written from one buffer to all its
//! sockets: nothing cheaper is possible with a write per socket, so that it can bring the swarm to its own limit.

use super::breach::{Breach, CUT_EVERY};
use super::http::{self, Answer, Request};
use super::talk::{Changed, Item};
use super::world::{Effect, Post, World, refusal};
use crate::bot::frame::{self, Opcode, Reader};
use crate::bot::link::drain;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token, Waker};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{BTreeSet, HashMap};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use uuid::Uuid;

const LISTENER: Token = Token(usize::MAX);
const WAKER: Token = Token(usize::MAX - 1);
const SCRATCH: usize = 256 * 1024;

/// A running loopback server; it stops when this is dropped.
#[derive(Debug)]
pub struct Loopback {
    pub url: String,
    stop: Arc<AtomicBool>,
    waker: Arc<Waker>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Loopback {
    /// Starts a server on a free port of the loopback address.
    pub fn start(breach: Option<Breach>, trouble: bool) -> io::Result<Self> {
        let poll = Poll::new()?;
        let mut listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        let url = format!("http://{}", listener.local_addr()?);
        let stop = Arc::new(AtomicBool::new(false));
        let world = World::new(breach, trouble);
        let mut server =
            Server { poll, listener, world, sockets: Vec::new(), subscribers: HashMap::new(), told: HashMap::new(), cut: 0 };
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new().name("loopback".into()).spawn(move || server.serve(&stopped))?;
        Ok(Self { url, stop, waker, thread: Some(thread) })
    }

    /// Serves until the process ends.
    pub fn wait(mut self) -> io::Result<()> {
        self.thread.take().map_or(Ok(()), |thread| thread.join().unwrap_or_else(|_| Err(io::ErrorKind::Other.into())))
    }
}

impl Drop for Loopback {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if self.waker.wake().is_ok()
            && let Some(thread) = self.thread.take()
        {
            drop(thread.join());
        }
    }
}

struct Socket {
    stream: TcpStream,
    /// What came before the upgrade.
    plain: Vec<u8>,
    reader: Option<Reader>,
    out: Vec<u8>,
    user: Option<Uuid>,
    rooms: BTreeSet<Uuid>,
    /// The last post refused per room: what names it in `after` is refused too.
    refused: HashMap<Uuid, Uuid>,
}

struct Server {
    poll: Poll,
    listener: TcpListener,
    world: World,
    sockets: Vec<Option<Socket>>,
    subscribers: HashMap<Uuid, BTreeSet<usize>>,
    /// Frames for all subscribers of a room, gathered in this turn.
    told: HashMap<Uuid, Vec<u8>>,
    cut: usize,
}

/// A command of the protocol, those that bots use.
#[derive(Deserialize)]
struct Command {
    #[serde(rename = "ref")]
    reference: u64,
    hello: Option<Hello>,
    subscribe: Option<Rooms>,
    post: Option<PostText>,
}

#[derive(Deserialize)]
struct Hello {
    token: String,
    user_cursor: Option<u64>,
    #[serde(default)]
    rooms: Vec<Cursor>,
}

#[derive(Deserialize)]
struct Rooms {
    rooms: Vec<Cursor>,
}

#[derive(Deserialize)]
struct Cursor {
    room: Uuid,
    cursor: Option<u64>,
}

#[derive(Deserialize)]
struct PostText {
    room: Uuid,
    client_id: Uuid,
    text: String,
    thread: Option<u64>,
    after: Option<Uuid>,
}

impl Server {
    fn serve(&mut self, stop: &AtomicBool) -> io::Result<()> {
        let mut events = Events::with_capacity(1024);
        let mut scratch = vec![0; SCRATCH];
        while !stop.load(Ordering::Relaxed) {
            match self.poll.poll(&mut events, None) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            for event in &events {
                match event.token() {
                    LISTENER => self.accept()?,
                    WAKER => {}
                    Token(index) => {
                        if self.ready(index, &mut scratch).is_err() {
                            self.close(index);
                        }
                    }
                }
            }
            self.tell();
        }
        Ok(())
    }

    fn accept(&mut self) -> io::Result<()> {
        while let Ok((mut stream, _)) = self.listener.accept() {
            stream.set_nodelay(true)?;
            let index = self.sockets.iter().position(Option::is_none).unwrap_or(self.sockets.len());
            self.poll.registry().register(&mut stream, Token(index), Interest::READABLE | Interest::WRITABLE)?;
            let socket = Socket {
                stream,
                plain: Vec::new(),
                reader: None,
                out: Vec::new(),
                user: None,
                rooms: BTreeSet::new(),
                refused: HashMap::new(),
            };
            match self.sockets.get_mut(index) {
                Some(place) => *place = Some(socket),
                None => self.sockets.push(Some(socket)),
            }
        }
        Ok(())
    }

    fn close(&mut self, index: usize) {
        if let Some(socket) = self.sockets.get_mut(index).and_then(Option::take) {
            for room in &socket.rooms {
                if let Some(subscribers) = self.subscribers.get_mut(room) {
                    subscribers.remove(&index);
                }
            }
        }
    }

    fn ready(&mut self, index: usize, scratch: &mut [u8]) -> io::Result<()> {
        loop {
            let Some(socket) = self.sockets.get_mut(index).and_then(Option::as_mut) else { return Ok(()) };
            drain(&mut socket.stream, &mut socket.out)?;
            let mut messages = Vec::new();
            let count = match &mut socket.reader {
                Some(reader) => {
                    let stream = &mut socket.stream;
                    reader.read(scratch, |room| stream.read(room), |whole| messages.push((whole.opcode, whole.payload.to_vec())))
                }
                None => socket.stream.read(scratch),
            };
            match count {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) if socket.reader.is_none() => {
                    socket.plain.extend_from_slice(scratch.get(..count).unwrap_or_default());
                    while let Some(request) = Request::take(&mut socket.plain) {
                        match http::answer(&mut self.world, &request) {
                            Answer::Plain(bytes) => socket.out.extend(bytes),
                            Answer::Upgrade(bytes) => {
                                socket.out.extend(bytes);
                                socket.reader = Some(Reader::default());
                            }
                        }
                    }
                }
                Ok(_) => {
                    for (opcode, payload) in messages {
                        self.hear(index, opcode, &payload)?;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    fn hear(&mut self, index: usize, opcode: Opcode, payload: &[u8]) -> io::Result<()> {
        match opcode {
            Opcode::Text => {}
            Opcode::Close => return Err(io::ErrorKind::ConnectionAborted.into()),
            _ => return Ok(()),
        }
        let command: Command = serde_json::from_slice(payload)?;
        if let Some(hello) = command.hello {
            let user = http::user(&hello.token).ok_or(io::ErrorKind::PermissionDenied)?;
            if let Some(socket) = self.sockets.get_mut(index).and_then(Option::as_mut) {
                socket.user = Some(user);
            }
            let epoch = Uuid::nil();
            let limits = json!({ "text_max_bytes": 8192, "frame_max_bytes": 65536, "rooms_per_frame": 500, "watches": 500, "posts_in_flight": 64 });
            let head = self.world.people.get(&user).map_or(0, |person| person.stream.len());
            let welcome = json!({ "session": epoch, "user": user, "epoch": epoch, "user_head": head, "user_reset": false,
                "ping_interval_ms": 25000, "limits": limits });
            self.subscribe(index, command.reference, welcome, &hello.rooms);
            if let Some(cursor) =
                hello.user_cursor.and_then(|cursor| usize::try_from(cursor).ok()).filter(|cursor| *cursor < head)
            {
                let missed = self.world.people.get(&user).and_then(|person| person.stream.get(cursor..)).unwrap_or_default();
                let page = json!({ "user_changes": { "from": cursor, "to": head, "items": missed } });
                self.send(index, &page.to_string());
            }
        } else if let Some(subscribe) = command.subscribe {
            self.subscribe(index, command.reference, json!({}), &subscribe.rooms);
        } else if let Some(post) = command.post {
            self.post(index, command.reference, post);
        } else {
            self.act(index, command.reference, &serde_json::from_slice(payload)?);
        }
        Ok(())
    }

    fn act(&mut self, index: usize, reference: u64, command: &serde_json::Map<String, Value>) {
        let user = self.sockets.get(index).and_then(Option::as_ref).and_then(|socket| socket.user);
        let Some((name, body)) = command.iter().find(|(name, _)| *name != "ref") else { return };
        let Some(effects) = user.and_then(|user| self.world.act(user, reference, name, body)) else { return };
        let room = body.get("room").and_then(|room| room.as_str()?.parse().ok()).unwrap_or_default();
        effects.into_iter().for_each(|effect| self.carry_out(index, room, None, effect));
    }

    fn subscribe(&mut self, index: usize, reference: u64, mut reply: Value, rooms: &[Cursor]) {
        let (mut answers, mut pages) = (Vec::new(), Vec::new());
        let user = self.sockets.get(index).and_then(Option::as_ref).and_then(|socket| socket.user).unwrap_or_default();
        let blocks = self.world.blocks_of(user);
        for Cursor { room: id, cursor } in rooms {
            let Some(room) = self.world.rooms.get(id) else { continue };
            if !room.has(user) {
                answers.push(json!({ "room": id, "status": "refused", "error": refusal("not_member", false) }));
                continue;
            }
            let joined = room.standings.get(&user).map_or(0, |(_, revision)| *revision);
            self.subscribers.entry(*id).or_default().insert(index);
            if let Some(socket) = self.sockets.get_mut(index).and_then(Option::as_mut) {
                socket.rooms.insert(*id);
            }
            let head = room.head;
            answers.push(match cursor {
                None => json!({ "room": id, "status": "reset", "head": head, "reason": "no_cursor" }),
                Some(cursor) if *cursor < joined => json!({ "room": id, "status": "reset", "head": head, "reason": "rejoined" }),
                Some(cursor) if *cursor >= head => json!({ "room": id, "status": "live", "head": head }),
                Some(cursor) => {
                    let items = room.missed(*cursor, &blocks);
                    pages.push(json!({ "changes": { "room": id, "from": cursor, "to": head, "items": items } }).to_string());
                    json!({ "room": id, "status": "resuming", "head": head })
                }
            });
        }
        if let Some(reply) = reply.as_object_mut() {
            reply.insert("rooms".into(), Value::Array(answers));
        }
        self.send(index, &json!({ "ref": reference, "ok": reply }).to_string());
        pages.iter().for_each(|page| self.send(index, page));
    }

    fn post(&mut self, index: usize, reference: u64, post: PostText) {
        let Some(socket) = self.sockets.get_mut(index).and_then(Option::as_mut) else { return };
        let Some(author) = socket.user else { return };
        let (room, client_id) = (post.room, post.client_id);
        let follows_refused = post.after.is_some() && socket.refused.get(&room) == post.after.as_ref();
        let effects = if follows_refused {
            vec![Effect::Reply(reference, Err(refusal("previous_refused", true)))]
        } else {
            self.world.post(room, reference, Post { author, client_id, text: post.text, thread: post.thread })
        };
        for effect in effects {
            self.carry_out(index, room, Some(client_id), effect);
        }
        if self.world.trouble && self.world.posts.is_multiple_of(CUT_EVERY) {
            let talking = |socket: &Option<Socket>| socket.as_ref().is_some_and(|socket| socket.user.is_some());
            let victims: Vec<_> = (0..self.sockets.len()).filter(|index| self.sockets.get(*index).is_some_and(talking)).collect();
            self.cut += 1;
            if let Some(victim) = victims.get(self.cut % victims.len().max(1)) {
                self.close(*victim);
            }
        }
    }

    /// What a command of socket `index` leads to; of a post with its `client_id`.
    fn carry_out(&mut self, index: usize, room: Uuid, post: Option<Uuid>, effect: Effect) {
        match effect {
            Effect::Reply(reference, Ok(ok)) => self.send(index, &json!({ "ref": reference, "ok": ok }).to_string()),
            Effect::Reply(reference, Err(error)) => {
                if let Some((socket, client_id)) = self.sockets.get_mut(index).and_then(Option::as_mut).zip(post) {
                    socket.refused.insert(room, client_id);
                }
                self.send(index, &json!({ "ref": reference, "error": error }).to_string());
            }
            Effect::Tell(event) => frame::write(self.told.entry(room).or_default(), Opcode::Text, event.as_bytes(), None),
            Effect::TellBut(event, other) => self.tell_but(index, room, &event, other.as_deref()),
            Effect::Show(changed, loses) => self.show(index, &changed, loses),
            Effect::Own(user, item) => self.tell_own(user, item),
            Effect::Out(room, user) => self.put_out(room, user),
            Effect::Typing(room, user) => {
                let push = json!({ "typing": { "room": room, "user": user, "for_ms": 6000 } }).to_string();
                let breach = self.world.breach;
                for (subscriber, viewer) in self.subscribers_of(room) {
                    let hidden = breach != Some(Breach::ShowTyping) && self.world.blocks_of(viewer).contains(&user);
                    if viewer != user && !hidden && breach != Some(Breach::DropTyping) {
                        self.send(subscriber, &push);
                    }
                }
            }
        }
    }

    fn subscribers_of(&self, room: Uuid) -> Vec<(usize, Uuid)> {
        let user = |index: usize| self.sockets.get(index)?.as_ref()?.user;
        let all = self.subscribers.get(&room).into_iter().flatten();
        all.filter_map(|index| Some((*index, user(*index)?))).collect()
    }

    /// Shows everybody what changed, as each sees it.
    fn show(&mut self, index: usize, changed: &Changed, loses: bool) {
        self.tell();
        let subscribers = self.subscribers_of(changed.room);
        let victim = subscribers.iter().map(|(subscriber, _)| *subscriber).find(|subscriber| loses && *subscriber != index);
        for (subscriber, viewer) in subscribers {
            let shows = match self.world.breach {
                Some(Breach::ShowBlocked) => true,
                Some(Breach::ShowReaction) => changed.items.iter().any(|item| matches!(item, Item::Reaction { .. })),
                _ => false,
            };
            let blocks = if shows { BTreeSet::new() } else { self.world.blocks_of(viewer) };
            let Some(room) = self.world.rooms.get(&changed.room) else { return };
            let seen = changed.items.iter().filter(|_| Some(subscriber) != victim);
            let items: Vec<_> = seen.filter_map(|item| room.seen(item, changed.revision, &blocks)).collect();
            let (from, to) = (changed.revision - 1, changed.revision);
            let push = json!({ "changes": { "room": changed.room, "from": from, "to": to, "items": items } }).to_string();
            self.send(subscriber, &push);
        }
    }

    fn tell_own(&mut self, user: Uuid, item: Value) {
        self.tell();
        let to = self.world.own(user, item);
        let item = self.world.people.get(&user).and_then(|person| person.stream.last());
        let push = json!({ "user_changes": { "from": to - 1, "to": to, "items": [item] } }).to_string();
        for index in 0..self.sockets.len() {
            if self.sockets.get(index).and_then(Option::as_ref).is_some_and(|socket| socket.user == Some(user)) {
                self.send(index, &push);
            }
        }
    }

    fn put_out(&mut self, room: Uuid, user: Uuid) {
        let push = json!({ "unsubscribed": { "room": room, "code": "not_member" } }).to_string();
        for (index, _) in self.subscribers_of(room).into_iter().filter(|(_, viewer)| *viewer == user) {
            self.subscribers.entry(room).or_default().remove(&index);
            self.send(index, &push);
        }
    }

    /// Tells everybody in the room but one who is not the sender.
    fn tell_but(&mut self, sender: usize, room: Uuid, event: &str, other: Option<&str>) {
        self.tell();
        let subscribers: Vec<_> = self.subscribers.get(&room).into_iter().flatten().copied().collect();
        let victim = subscribers.iter().find(|subscriber| **subscriber != sender).copied();
        for subscriber in subscribers {
            if Some(subscriber) != victim {
                self.send(subscriber, event);
            } else if let Some(other) = other {
                self.send(subscriber, other);
            }
        }
    }

    fn send(&mut self, index: usize, text: &str) {
        if let Some(socket) = self.sockets.get_mut(index).and_then(Option::as_mut) {
            frame::write(&mut socket.out, Opcode::Text, text.as_bytes(), None);
            // What fails is noticed when the socket is read.
            drop(drain(&mut socket.stream, &mut socket.out));
        }
    }

    /// Writes what was gathered to all subscribers.
    fn tell(&mut self) {
        for (room, bytes) in &mut self.told {
            if bytes.is_empty() {
                continue;
            }
            for subscriber in self.subscribers.get(room).into_iter().flatten() {
                let Some(socket) = self.sockets.get_mut(*subscriber).and_then(Option::as_mut) else { continue };
                let written = if socket.out.is_empty() { socket.stream.write(bytes).unwrap_or(0) } else { 0 };
                socket.out.extend_from_slice(bytes.get(written..).unwrap_or_default());
                if written == 0 {
                    drop(drain(&mut socket.stream, &mut socket.out));
                }
            }
            bytes.clear();
        }
    }
}
