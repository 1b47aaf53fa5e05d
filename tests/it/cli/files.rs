//! A server that may open few files, in a process of its own.

use crate::support::command::CommandLine;
use crate::support::database::Database;
use crate::support::eventually;
use crate::support::person::Person;
use crate::support::socket::Socket;
use std::time::Instant;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Error;

const FILES: usize = 128;
const EXHAUSTED: &str = "Too many open files";

/// Opens sockets until one is refused, with the status it names.
async fn fill(base: &str) -> (Vec<Socket>, u16) {
    let mut open = Vec::new();
    while open.len() < FILES {
        match Socket::try_open(base).await {
            Ok(socket) => open.push(socket),
            Err(Error::Http(answer)) => return (open, answer.status().as_u16()),
            Err(error) => panic!("socket {} ended with {error}", open.len()),
        }
    }
    panic!("more sockets than files")
}

#[tokio::test]
async fn with_few_files_the_server_warns_refuses_sockets_that_do_not_fit_and_has_enough_for_itself() {
    let (folder, database) = (TempDir::new().expect("a folder"), Database::create().await);
    let line = CommandLine::new(folder.path(), &database.url()).with_files(FILES);
    let settings = ["rates.connections_per_address=off", "server.hello_timeout=2m", "server.workers=2"];
    let settings: Vec<_> = settings.into_iter().flat_map(|setting| ["--set", setting]).collect();
    let serving = line.serve(&settings).await;
    assert!(serving.log().contains("the hard limit of open files is too low for server.max_connections"), "{}", serving.log());
    let ann = Person::register_at(&serving.base, "ann").await;
    let room = ann.make_room("Kitchen", "public").await;

    let (mut open, status) = fill(&serving.base).await;
    assert_eq!(status, 429);
    ann.say(&room, "there are files for the database").await;
    assert!(!serving.log().contains(EXHAUSTED), "{}", serving.log());

    // Connections that say nothing take the rest.
    let begun = Instant::now();
    let mut silent = Vec::new();
    for _ in 0..FILES {
        silent.push(TcpStream::connect(serving.base.trim_start_matches("http://")).await.expect("the system queues it"));
    }
    eventually("the last file", || async { serving.log().contains(EXHAUSTED).then_some(()) }).await;
    drop(silent);
    ann.say(&room, "they have gone").await;
    let refusals = serving.log().matches(EXHAUSTED).count() as u64;
    assert!(refusals <= 2 * begun.elapsed().as_secs() + 4, "{refusals} tries to accept: it goes round in a circle");

    open.pop();
    eventually("the place that is free again", || async { Socket::try_open(&serving.base).await.ok() }).await;
    drop(open);
    assert_eq!(ann.texts(&room).await.len(), 2);
    let log = serving.log();
    assert!(!log.contains("panicked"), "{log}");
    assert_eq!(serving.terminate().await.0, 0);
}
