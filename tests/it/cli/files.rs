//! Servers that may open few files, in processes of their own.

use crate::support::command::{CommandLine, Serving};
use crate::support::database::Database;
use crate::support::person::Person;
use crate::support::socket::Socket;
use crate::support::wire::Wire;
use crate::support::{DEADLINE, eventually, within};
use futures_util::future::join_all;
use serde_json::json;
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_tungstenite::tungstenite::Error;
use uuid::Uuid;

const EXHAUSTED: &str = "Too many open files";

/// How many WebSockets and how many connections of plain HTTP the server says that there are files for.
fn told(log: &str) -> (usize, usize) {
    let after = |text: &str| {
        let (_, rest) = log.split_once(text).unwrap_or_else(|| panic!("no {text:?} in {log}"));
        rest.split(' ').next().expect("a word").parse().unwrap_or_else(|error| panic!("{error} after {text:?} in {log}"))
    };
    (after("is too low for server.max_connections: beyond "), after("WebSockets new ones are refused, beyond "))
}

/// Opens sockets until one is refused, with the status it names.
async fn fill(base: &str, files: usize) -> (Vec<Socket>, u16) {
    let mut open = Vec::new();
    while open.len() < files {
        match Socket::try_open(base).await {
            Ok(socket) => open.push(socket),
            Err(Error::Http(answer)) => return (open, answer.status().as_u16()),
            Err(error) => panic!("socket {} ended with {error}", open.len()),
        }
    }
    panic!("more sockets than files")
}

/// Posts over a connection that stays open.
async fn post(mut wire: Wire, person: &Person, room: &str, text: &str) -> Wire {
    let body = json!({"client_id": Uuid::now_v7(), "text": text}).to_string();
    let fields =
        format!("Authorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: {}", person.token, body.len());
    let head = format!("POST /api/v1/rooms/{room}/messages HTTP/1.1\r\nHost: chat.example.org\r\n{fields}\r\n\r\n");
    wire.bytes([head.as_bytes(), body.as_bytes()].concat().as_slice()).await;
    let answer = wire.answer().await.unwrap_or_else(|| panic!("no answer to {text:?}"));
    let status = answer.status;
    let (said, wire) = answer.json().await;
    assert_eq!(status, 201, "{text:?} was answered with {said}");
    wire
}

/// Waits until it has so many connections, neither less nor more.
async fn has(serving: &Serving, connections: usize, when: &str) {
    let deadline = Instant::now() + DEADLINE;
    let mut found = serving.connections();
    while found != connections && Instant::now() < deadline {
        sleep(Duration::from_millis(20)).await;
        found = serving.connections();
    }
    let (files, log) = (serving.files(), serving.log());
    assert_eq!(found, connections, "connections when {when}; {files} files are open; the log: {log}");
}

async fn hold_out(files: usize, workers: usize) {
    let (folder, database) = (TempDir::new().expect("a folder"), Database::create().await);
    let line = CommandLine::new(folder.path(), &database.url()).with_files(files);
    let workers = format!("server.workers={workers}");
    let settings = ["rates.connections_per_address=off", "server.hello_timeout=2m", "server.head_timeout=2m", &workers];
    let settings: Vec<_> = settings.into_iter().flat_map(|setting| ["--set", setting]).collect();
    let serving = line.serve(&settings).await;
    let (sockets, http) = told(&serving.log());
    let ann = Person::register_at(&serving.base, "ann").await;
    let room = ann.make_room("Kitchen", "public").await;
    let kept = post(Wire::dial_at(serving.address()).await, &ann, &room, "nobody else is there").await;

    let (mut open, status) = fill(&serving.base, files).await;
    assert_eq!((open.len(), status), (sockets, 429), "{} files are open", serving.files());
    has(&serving, sockets + 1, "the sockets that fit are open").await;

    // Connections that say nothing get the places of plain HTTP, one of which is taken; the others wait, in the system's queue or for it.
    let mut silent = JoinSet::new();
    for _ in 0..files {
        silent.spawn(TcpStream::connect(serving.address().to_owned()));
    }
    has(&serving, sockets + http, "more than fit want to come").await;
    // The database's connections are opened when several ask at the same time.
    let greetings = open.iter_mut().take(16).map(|socket| socket.ask("hello", json!({"token": ann.token})));
    for welcome in join_all(greetings).await {
        assert!(welcome.get("ok").is_some(), "{welcome}; {} files are open", serving.files());
    }
    let kept = post(kept, &ann, &room, "there are files for the database").await;

    drop(silent);
    within("a new connection's turn", ann.say(&room, "they have gone")).await;
    has(&serving, sockets + 1, "those that said nothing have gone").await;
    open.pop();
    open.push(eventually("the place that is free again", || async { Socket::try_open(&serving.base).await.ok() }).await);
    assert_eq!(ann.texts(&room).await.len(), 3);
    drop((open, kept));
    has(&serving, 0, "everybody has gone").await;
    let log = serving.log();
    assert!(!log.contains(EXHAUSTED) && !log.contains("panicked"), "{log}");
    assert_eq!(serving.terminate().await.0, 0);
}

#[tokio::test]
async fn with_few_files_the_server_says_what_fits_and_no_connections_take_what_it_needs_itself() {
    for (files, workers) in [(256, 1), (128, 4)] {
        hold_out(files, workers).await;
    }
}
