//! Which refusals close a socket, and with which code: for every fault there is. The table of docs/PROTOCOL.md §8 is held to it.

use super::testing::{Listener, Wire};
use crate::domain::fault::{Close, Fault};
use crate::domain::ids::{ClientId, RoomId};
use serde_json::json;
use std::collections::BTreeSet;

const PROTOCOL: &str = include_str!("../../docs/PROTOCOL.md");
// Of what a fault closes the socket, as the table has it.
const HELLO: &str = "`hello`";
const NO_COMMAND: &str = "a frame that is no command, before the welcome";
const NO_COMMANDS: &str = "as many such frames as `session.bad_frames_max`";
const NO_HELLO: &str = "any other command before the welcome";
const MANY_ROOMS: &str = "a `hello` with more than `limits.cursors_per_frame` rooms";
const MANY_SESSIONS: &str = "a `hello` beyond `limits.sessions_per_user`";

/// Fault, of what, close.
fn rows() -> Vec<[&'static str; 3]> {
    let (_, table) = PROTOCOL.split_once("<!-- faults that close -->\n").expect("the table is there");
    let lines = table.lines().skip(2).map_while(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    lines.map(|line| line.split(" | ").collect::<Vec<_>>().try_into().expect("three cells")).collect()
}

/// The close that the table tells of.
fn told(fault: Fault, of: &str) -> &'static str {
    let (named, rows) = (format!("`{}`", fault.row().code), rows());
    let mut fit = rows.iter().filter(|row| row[1] == of);
    let by_name = fit.clone().find(|row| row[0].split(", ").any(|name| name == named));
    let row = by_name.or_else(|| fit.find(|row| row[0].starts_with("every other without `retry`")));
    row.unwrap_or_else(|| panic!("the table does not tell of {named} of {of}"))[2]
}

/// The refusal and the close that follows it, as they come and as the table tells.
async fn closes(wire: &mut Wire, fault: Fault, of: &str, close: Close) {
    assert_eq!(wire.json().await["error"]["code"], json!(fault.row().code), "{of}");
    let (code, reason, _) = close.row();
    assert_eq!(wire.close_code().await, code, "{fault:?} of {of}");
    assert_eq!(told(fault, of), format!("{code} `{reason}`"), "{fault:?} of {of}");
}

/// What follows a `hello` that is refused for this; `None`: nothing, it may be said again on the same socket.
fn after_hello(fault: Fault) -> Option<Close> {
    match fault {
        Fault::TooSlow
        | Fault::PreviousRefused
        | Fault::Busy
        | Fault::SlowMode
        | Fault::Unavailable
        | Fault::OutcomeUnknown
        | Fault::Draining
        | Fault::Internal => None,
        Fault::TokenExpired => Some(Close::TokenExpired),
        Fault::BadRequest
        | Fault::UnknownCommand
        | Fault::HelloFirst
        | Fault::HelloTwice
        | Fault::TooLarge
        | Fault::TextTooLong
        | Fault::TextEmpty
        | Fault::NameInvalid
        | Fault::NameTaken
        | Fault::PasswordWeak
        | Fault::Unauthenticated
        | Fault::CredentialsWrong
        | Fault::AccountDisabled
        | Fault::RegistrationClosed
        | Fault::InvitationInvalid
        | Fault::NotAllowed
        | Fault::TooLate
        | Fault::NotMember
        | Fault::Banned
        | Fault::Filtered
        | Fault::RoomArchived
        | Fault::Silenced
        | Fault::LastOwner
        | Fault::NotFound
        | Fault::MethodNotAllowed
        | Fault::ClientIdReused
        | Fault::KeyReused
        | Fault::LimitReached => Some(Close::Unauthenticated),
    }
}

/// Says `hello` as somebody who is refused for `fault`, and looks at what follows.
async fn is_turned_away(listener: &Listener, fault: Fault) {
    let mut wire = listener.connect().await;
    wire.command("hello", json!({ "token": "somebody" })).await;
    if let Some(close) = after_hello(fault) {
        return closes(&mut wire, fault, HELLO, close).await;
    }
    assert_eq!(wire.json().await["error"]["code"], json!(fault.row().code));
    listener.fake.person("somebody");
    listener.fake.head_refused.set(None);
    wire.command("hello", json!({ "token": "somebody" })).await;
    let welcome = wire.json().await;
    assert!(welcome["ok"]["session"].is_string(), "{fault:?} {welcome}");
}

#[actix::test]
async fn a_hello_that_is_refused_closes_as_its_fault_says_and_stays_open_where_another_may_succeed() {
    let listener = Listener::start().await;
    for fault in Fault::ALL {
        assert_eq!(after_hello(*fault).is_none(), fault.row().retry, "{fault:?}");
        // At the first look at the token.
        listener.fake.token("somebody", Err((*fault).into()));
        is_turned_away(&listener, *fault).await;
        // And when the session has its seat at the relay.
        listener.fake.person("somebody");
        listener.fake.head_refused.set(Some(*fault));
        is_turned_away(&listener, *fault).await;
        listener.fake.head_refused.set(None);
    }
}

#[actix::test]
async fn what_cannot_begin_a_session_closes_with_its_code_and_costs_no_other_socket() {
    let change = |config: &mut crate::config::Config| {
        config.limits.cursors_per_frame = 1;
        config.limits.sessions_per_user = 1;
        config.session.bad_frames_max = 1;
    };
    let listener = Listener::start_with(change).await;
    listener.fake.person("ann");
    listener.fake.person("bob");
    let (mut first, _) = listener.hello("ann", &[]).await;
    let rooms = [json!({ "room": RoomId::generate() }), json!({ "room": RoomId::generate() })];
    let broken = [("{", Fault::BadRequest), (r#"{"ref":1,"fly":{}}"#, Fault::UnknownCommand)];
    for (frame, fault) in broken {
        let mut wire = listener.connect().await;
        wire.send(0x81, frame.as_bytes()).await;
        closes(&mut wire, fault, NO_COMMAND, Close::Unauthenticated).await;
        let (mut wire, _) = listener.hello("bob", &[]).await;
        wire.send(0x81, frame.as_bytes()).await;
        closes(&mut wire, fault, NO_COMMANDS, Close::BadCommands).await;
    }
    let cases = [
        ("ping", json!({}), Fault::HelloFirst, NO_HELLO, Close::Unauthenticated),
        ("hello", json!({ "token": "ann", "rooms": rooms }), Fault::TooLarge, MANY_ROOMS, Close::Unauthenticated),
        ("hello", json!({ "token": "ann" }), Fault::LimitReached, MANY_SESSIONS, Close::TooMany),
    ];
    for (command, body, fault, of, close) in cases {
        let mut wire = listener.connect().await;
        wire.command(command, body).await;
        closes(&mut wire, fault, of, close).await;
    }
    let all = BTreeSet::from([HELLO, NO_COMMAND, NO_COMMANDS, NO_HELLO, MANY_ROOMS, MANY_SESSIONS]);
    assert_eq!(rows().iter().map(|row| row[1]).collect::<BTreeSet<_>>(), all, "the table tells of these and no others");
    let closes: BTreeSet<_> = Close::ALL.iter().map(|close| format!("{} `{}`", close.row().0, close.row().1)).collect();
    assert!(rows().iter().all(|row| closes.contains(row[2])), "{:?}", rows());
    first.command("hello", json!({ "token": "ann" })).await;
    assert_eq!(first.json().await["error"]["code"], json!(Fault::HelloTwice.row().code));
    first.command("ping", json!({})).await;
    assert!(first.json().await["ok"].is_object(), "a second hello is refused, and no more than that");
}

#[actix::test]
async fn a_command_that_is_refused_closes_nothing_whatever_the_fault() {
    let listener = Listener::start().await;
    listener.fake.person("ann");
    let room = listener.fake.room(0);
    let (mut ann, _) = listener.hello("ann", &[]).await;
    listener.fake.hold_posts.set(true);
    for fault in Fault::ALL {
        let code = json!(fault.row().code);
        let post = ann.command("post", json!({ "room": room, "client_id": ClientId::generate(), "text": "x" })).await;
        // Answered at once, so the post has been read when its reply is here.
        let ping = ann.command("ping", json!({})).await;
        assert_eq!(ann.json().await["ref"], json!(ping));
        let held = listener.fake.held.borrow_mut().pop().unwrap();
        held.answer.send(Err((*fault).into())).unwrap();
        let reply = ann.json().await;
        assert_eq!((&reply["ref"], &reply["error"]["code"]), (&json!(post), &code));
        listener.fake.token("newer", Err((*fault).into()));
        ann.command("renew", json!({ "token": "newer" })).await;
        assert_eq!(ann.json().await["error"]["code"], code);
    }
    ann.command("ping", json!({})).await;
    assert!(ann.json().await["ok"].is_object());
}
