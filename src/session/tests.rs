//! Sessions over real loopback sockets, with recorded neighbours.

use super::ports::Proof;
use super::testing::{DEADLINE, Got, Listener, masked};
use crate::delivery::handle::{Logins, Revocation};
use crate::domain::fault::{Close, Fault};
use crate::domain::ids::{ClientId, UserId};
use crate::domain::order::Revision;
use crate::domain::stream::UserChanges;
use crate::domain::time::Clock;
use serde_json::json;
use std::time::Duration;
use tokio::io::AsyncWriteExt;

fn code(close: Close) -> u16 {
    close.row().0
}

#[actix::test]
async fn a_post_is_answered_and_delivered_to_all_who_receive_the_room() {
    let listener = Listener::start().await;
    listener.fake.person("ann");
    listener.fake.person("bob");
    let room = listener.fake.room(2);
    let (mut ann, welcome) = listener.hello("ann", &[(room, Some(2))]).await;
    assert_eq!(welcome["rooms"][0], json!({ "room": room, "status": "live", "head": 2 }));
    let (mut bob, _) = listener.hello("bob", &[(room, None)]).await;
    let client_id = ClientId::generate();
    let reference = ann.command("post", json!({ "room": room, "client_id": client_id, "text": "hi" })).await;
    let frames = [ann.json().await, ann.json().await];
    let reply = frames.iter().find(|frame| frame["ref"] == reference).unwrap();
    assert_eq!((&reply["ok"]["seq"], &reply["ok"]["revision"]), (&json!(3), &json!(3)));
    for event in [frames.iter().find(|frame| frame["changes"].is_object()).unwrap(), &bob.json().await] {
        assert_eq!(event["changes"]["items"][0]["message"]["client_id"], json!(client_id));
        assert_eq!((&event["changes"]["from"], &event["changes"]["to"]), (&json!(2), &json!(3)));
    }
}

#[actix::test]
async fn a_senders_event_and_the_reply_a_step_behind_it_are_one_write() {
    let listener = Listener::start().await;
    listener.fake.person("ann");
    let room = listener.fake.room(2);
    let (mut ann, _) = listener.hello("ann", &[(room, Some(2))]).await;
    listener.fake.answers_behind_events.set(true);
    let before = listener.flushes();
    for _ in 0..5 {
        ann.command("post", json!({ "room": room, "client_id": ClientId::generate(), "text": "hi" })).await;
        assert!(ann.json().await["changes"].is_object() && ann.json().await["ok"].is_object());
    }
    assert_eq!(listener.flushes() - before, 5);
}

#[actix::test]
async fn who_was_away_gets_exactly_what_was_missed_while_the_room_goes_on() {
    let listener = Listener::start_with(|config| config.resume.page_rows = 3).await;
    listener.fake.person("ann");
    let room = listener.fake.room(20);
    listener.fake.busy_pages.set(4);
    let (mut ann, welcome) = listener.hello("ann", &[(room, Some(5))]).await;
    assert_eq!(welcome["rooms"][0], json!({ "room": room, "status": "resuming", "head": 20 }));
    let mut cursor = 5;
    while cursor < 24 {
        let changes = ann.json().await["changes"].clone();
        assert_eq!(changes["from"], json!(cursor), "no gap and no repeat");
        let revisions: Vec<_> =
            changes["items"].as_array().unwrap().iter().map(|item| item["message"]["revision"].as_u64()).collect();
        cursor = changes["to"].as_u64().unwrap();
        let from = changes["from"].as_u64().unwrap();
        assert_eq!(revisions, (from + 1..=cursor).map(Some).collect::<Vec<_>>());
    }
    listener.fake.say(room, UserId::generate(), ClientId::generate(), "live");
    assert_eq!(ann.json().await["changes"]["from"], json!(24));
}

#[actix::test]
async fn a_room_in_which_something_is_committed_during_every_page_is_live_behind_the_last_page_of_what_was_missed() {
    let listener = Listener::start_with(|config| config.resume.page_rows = 5).await;
    listener.fake.person("ann");
    let room = listener.fake.room(20);
    listener.fake.busy_pages.set(u64::MAX);
    let (mut ann, _) = listener.hello("ann", &[(room, Some(5))]).await;
    let mut cursor = 5;
    for _ in 0..10 {
        let said = listener.fake.say(room, UserId::generate(), ClientId::generate(), "and on");
        while cursor < said.revision.0 {
            let changes = ann.json().await["changes"].clone();
            assert_eq!(changes["from"], json!(cursor), "no gap and no repeat");
            cursor = changes["to"].as_u64().unwrap();
        }
    }
    assert_eq!(listener.fake.pages.get(), 3, "pages that were read");
}

#[actix::test]
async fn what_was_committed_behind_the_rooms_answer_comes_after_the_reply_that_tells_of_it() {
    let listener = Listener::start().await;
    listener.fake.person("ann");
    let room = listener.fake.room(6);
    listener.fake.busy_attach.set(true);
    listener.fake.busy_pages.set(u64::MAX);
    let (mut ann, welcome) = listener.hello("ann", &[(room, None)]).await;
    assert_eq!(welcome["rooms"][0]["head"], json!(6));
    for cursor in [6, 7] {
        let changes = ann.json().await["changes"].clone();
        assert_eq!((&changes["from"], &changes["to"]), (&json!(cursor), &json!(cursor + 1)));
    }
    // Subscribed again with the newest cursor; that it was committed behind the answer to this one, too, makes it a page.
    let reference = ann.command("subscribe", json!({ "rooms": [{ "room": room, "cursor": 8 }] })).await;
    let reply = ann.json().await;
    assert_eq!((&reply["ref"], &reply["ok"]["rooms"][0]["status"]), (&json!(reference), &json!("live")));
    assert_eq!(ann.json().await["changes"]["from"], json!(8));
    assert_eq!(ann.json().await["changes"]["from"], json!(9));
    assert_eq!(listener.fake.pages.get(), 2);
}

#[actix::test]
async fn whose_membership_ended_before_the_relay_heard_of_it_is_sent_no_page_and_told_once() {
    for fault in [Fault::NotMember, Fault::NotFound, Fault::Banned] {
        let listener = Listener::start_with(|config| config.resume.page_rows = 5).await;
        listener.fake.person("ann");
        let room = listener.fake.room(20);
        listener.fake.page_refused.set(Some(fault));
        let (mut ann, welcome) = listener.hello("ann", &[(room, Some(5))]).await;
        assert_eq!(welcome["rooms"][0]["status"], json!("resuming"));
        assert_eq!(ann.json().await["unsubscribed"], json!({ "room": room, "code": fault.row().code }));
        listener.fake.say(room, UserId::generate(), ClientId::generate(), "not for ann");
        let reference = ann.command("ping", json!({})).await;
        assert_eq!(ann.json().await["ref"], json!(reference), "nothing more of the room");
        assert_eq!(listener.fake.pages.get(), 1, "it was not tried again");
    }
}

#[actix::test]
async fn whoever_left_and_came_back_since_the_room_answered_is_told_to_subscribe_again_and_then_begins_afresh() {
    let listener = Listener::start().await;
    listener.fake.person("ann");
    let room = listener.fake.room(6);
    listener.fake.rejoins.set(true);
    let (mut ann, welcome) = listener.hello("ann", &[(room, Some(5))]).await;
    let refused = &welcome["rooms"][0];
    assert_eq!((&refused["status"], &refused["error"]["code"]), (&json!("refused"), &json!("busy")), "{refused}");
    assert_eq!(refused["error"]["retry"], json!(true));
    assert_eq!(listener.fake.log.borrow().iter().filter(|what| **what == "detach").count(), 1);
    ann.command("subscribe", json!({ "rooms": [{ "room": room, "cursor": 5 }] })).await;
    let started = ann.json().await["ok"]["rooms"][0].clone();
    assert_eq!(started, json!({ "room": room, "status": "reset", "head": 7, "reason": "rejoined" }));
    listener.fake.say(room, UserId::generate(), ClientId::generate(), "hello again");
    assert_eq!(ann.json().await["changes"]["from"], json!(7));
    assert_eq!(listener.fake.pages.get(), 0, "pages that were read");
}

#[actix::test]
async fn a_page_that_was_asked_for_before_the_news_of_a_block_shows_nothing_of_the_blocked_behind_it() {
    let listener = Listener::start().await;
    listener.fake.person("ann");
    let (room, bob) = (listener.fake.room(2), UserId::generate());
    listener.fake.say(room, bob, ClientId::generate(), "psst");
    listener.fake.hides.set(Some(bob));
    let mut ann = listener.connect().await;
    // Behind in both, so both are read at once.
    let rooms = json!([{ "room": room, "cursor": 2 }]);
    ann.command("hello", json!({ "token": "ann", "epoch": listener.fake.epoch, "user_cursor": 2, "rooms": rooms })).await;
    assert_eq!(ann.json().await["ok"]["user_head"], json!(3));
    assert_eq!(ann.json().await["user_changes"]["to"], json!(3), "the news comes first");
    let changes = ann.json().await["changes"].clone();
    assert_eq!((&changes["to"], &changes["items"][0]["message"]["hidden"]), (&json!(3), &json!(true)), "{changes}");
}

#[actix::test]
async fn what_a_stream_has_grown_by_is_sent_unread_where_it_comes_next_and_else_read() {
    let listener = Listener::start().await;
    let user = listener.fake.person("ann").user;
    let (mut ann, _) = listener.hello("ann", &[]).await;
    let grow = |from: u64, to: u64| {
        let changes = UserChanges { from: Revision(from), to: Revision(to), items: Vec::new() };
        listener.relays.announce_user_changes(vec![(user, changes)]);
    };
    let pages = || listener.fake.log.borrow().iter().filter(|what| **what == "user page").count();
    let mut span = async || {
        let changes = ann.json().await["user_changes"].clone();
        (changes["from"].as_u64().unwrap(), changes["to"].as_u64().unwrap())
    };
    grow(3, 5);
    assert_eq!((span().await, pages()), ((3, 5), 0));
    // What lies between was told by nobody: read, a revision a page.
    grow(6, 7);
    assert_eq!((span().await, span().await, pages()), ((5, 6), (6, 7), 2));
    grow(7, 8);
    assert_eq!((span().await, pages()), ((7, 8), 2));
    // Known already.
    grow(6, 8);
    grow(8, 9);
    assert_eq!(span().await, (8, 9));
}

#[actix::test]
async fn a_cursor_that_cannot_be_continued_is_reset_with_its_reason() {
    let listener = Listener::start_with(|config| config.resume.max_changes = 4).await;
    listener.fake.person("ann");
    let room = listener.fake.room(6);
    for (cursor, reason) in [(None, "no_cursor"), (Some(9), "above_head"), (Some(1), "too_far")] {
        let (_, welcome) = listener.hello("ann", &[(room, cursor)]).await;
        assert_eq!(welcome["rooms"][0], json!({ "room": room, "status": "reset", "head": 6, "reason": reason }));
    }
    let (mut ann, _) = listener.hello("ann", &[]).await;
    let stranger = crate::domain::ids::RoomId::generate();
    ann.command("subscribe", json!({ "rooms": [{ "room": stranger }, { "room": room, "cursor": 6 }] })).await;
    let rooms = ann.json().await["ok"]["rooms"].clone();
    assert_eq!((&rooms[0]["error"]["code"], &rooms[1]["status"]), (&json!("not_found"), &json!("live")));
}

#[actix::test]
async fn a_cursor_is_judged_by_what_is_stored_also_before_its_room_has_heard_of_it() {
    let listener = Listener::start().await;
    listener.fake.person("ann");
    let room = listener.fake.room(6);
    listener.fake.unheard.set(2);
    let start = async |cursor: u64| listener.hello("ann", &[(room, Some(cursor))]).await;
    let (mut ann, live) = start(8).await;
    assert_eq!(live["rooms"][0], json!({ "room": room, "status": "live", "head": 8 }));
    assert_eq!(start(7).await.1["rooms"][0], json!({ "room": room, "status": "resuming", "head": 8 }));
    assert_eq!(start(9).await.1["rooms"][0], json!({ "room": room, "status": "reset", "head": 8, "reason": "above_head" }));
    for text in ["known", "known too", "new"] {
        listener.fake.say(room, UserId::generate(), ClientId::generate(), text);
    }
    assert_eq!(ann.json().await["changes"]["items"][0]["message"]["text"], json!("new"));
}

#[actix::test]
async fn posts_gather_and_a_retryable_refusal_takes_those_behind_it_along() {
    let listener = Listener::start().await;
    listener.fake.person("ann");
    let room = listener.fake.room(0);
    let (mut ann, _) = listener.hello("ann", &[]).await;
    listener.fake.hold_posts.set(true);
    let ids: Vec<_> = (0..4).map(|_| ClientId::generate()).collect();
    let mut refs = Vec::new();
    for (number, id) in ids.iter().take(3).enumerate() {
        let after = number.checked_sub(1).map(|before| ids[before]);
        refs.push(ann.command("post", json!({ "room": room, "client_id": id, "text": "x", "after": after })).await);
    }
    // A ping is answered at once, so all posts have been read when its reply is here.
    let ping = ann.command("ping", json!({})).await;
    assert_eq!(ann.json().await["ref"], json!(ping));
    let held = listener.fake.held.borrow_mut().pop().unwrap();
    assert_eq!((held.room, held.posts.len()), (room, 1));
    held.answer.send(Err(Fault::Busy.into())).unwrap();
    let mut codes = Vec::new();
    for reference in &refs {
        let reply = ann.json().await;
        assert_eq!(reply["ref"], json!(reference), "replies come in sending order");
        codes.push(reply["error"]["code"].as_str().unwrap().to_owned());
    }
    assert_eq!(codes, ["busy", "previous_refused", "previous_refused"]);
    ann.command("post", json!({ "room": room, "client_id": ids[3], "text": "x", "after": ids[2] })).await;
    assert_eq!(ann.json().await["error"]["code"], json!("previous_refused"));
}

#[actix::test]
async fn what_is_not_a_hello_first_is_refused_and_closed() {
    let listener = Listener::start().await;
    let mut early = listener.connect().await;
    early.command("ping", json!({})).await;
    assert_eq!(early.json().await["error"]["code"], json!("hello_first"));
    assert_eq!(early.close_code().await, code(Close::Unauthenticated));
    let mut malformed = listener.connect().await;
    malformed.send(0x81, b"{").await;
    assert_eq!(malformed.json().await["error"]["code"], json!("bad_request"));
    assert_eq!(malformed.close_code().await, code(Close::Unauthenticated));
}

#[actix::test]
async fn a_token_that_is_wrong_or_over_closes_with_its_own_code() {
    let listener = Listener::start().await;
    listener.fake.token("old", Err(Fault::TokenExpired.into()));
    for (token, close) in [("nobody", Close::Unauthenticated), ("old", Close::TokenExpired)] {
        let mut wire = listener.connect().await;
        wire.command("hello", json!({ "token": token })).await;
        assert!(wire.json().await["error"].is_object());
        assert_eq!(wire.close_code().await, code(close));
    }
}

#[actix::test]
async fn a_hello_that_meets_an_outage_may_be_repeated_on_the_same_socket() {
    let listener = Listener::start().await;
    listener.fake.token("ann", Err(Fault::Unavailable.into()));
    let mut wire = listener.connect().await;
    wire.command("hello", json!({ "token": "ann" })).await;
    assert_eq!(wire.json().await["error"]["code"], json!("unavailable"));
    listener.fake.person("ann");
    wire.command("hello", json!({ "token": "ann" })).await;
    assert!(wire.json().await["ok"]["session"].is_string());
}

#[actix::test]
async fn no_hello_in_time_closes() {
    let listener = Listener::start_with(|config| config.server.hello_timeout = Duration::from_millis(30)).await;
    assert_eq!(listener.connect().await.close_code().await, code(Close::HelloTimeout));
}

#[actix::test]
async fn silence_is_pinged_and_then_counts_as_death() {
    let change = |config: &mut crate::config::Config| {
        config.session.ping_interval = Duration::from_millis(20);
        config.session.dead_after = Duration::from_millis(200);
    };
    let listener = Listener::start_with(change).await;
    listener.fake.person("ann");
    let (mut ann, _) = listener.hello("ann", &[]).await;
    assert_eq!(ann.next().await, Got::Ping);
    assert_eq!(ann.close_code().await, code(Close::Dead));
}

#[actix::test]
async fn a_token_is_warned_of_renewed_and_in_the_end_over() {
    let listener = Listener::start_with(|config| config.session.token_warning = Duration::from_secs(3600)).await;
    let actor = listener.fake.person("ann");
    let soon = Clock::system().now() + chrono::Duration::milliseconds(300);
    listener.fake.token("ann", Ok(Proof { actor, expires_at: soon + chrono::Duration::minutes(5) }));
    listener.fake.token("newer", Ok(Proof { actor, expires_at: soon }));
    listener.fake.person("other");
    let (mut ann, _) = listener.hello("ann", &[]).await;
    assert!(ann.json().await["token_expiring"]["expires_at"].is_string());
    ann.command("renew", json!({ "token": "other" })).await;
    assert_eq!(ann.json().await["error"]["code"], json!("unauthenticated"));
    ann.command("renew", json!({ "token": "newer" })).await;
    assert!(ann.json().await["ok"]["token_expires_at"].is_string());
    assert_eq!(ann.close_code().await, code(Close::TokenExpired));
}

#[actix::test]
async fn a_login_that_ended_loses_its_socket() {
    let listener = Listener::start().await;
    let actor = listener.fake.person("ann");
    let (mut ann, _) = listener.hello("ann", &[]).await;
    listener.relays.revoke(Revocation { user: actor.user, logins: Logins::One(actor.login) });
    assert_eq!(ann.close_code().await, code(Close::LoggedOut));
}

#[actix::test]
async fn a_reader_that_stops_loses_its_own_socket_only() {
    let listener = Listener::start_with(|config| config.session.outbox_max = "64KiB".parse().unwrap()).await;
    listener.fake.person("ann");
    listener.fake.person("bob");
    let room = listener.fake.room(0);
    let (mut ann, _) = listener.hello("ann", &[(room, Some(0))]).await;
    let (mut bob, _) = listener.hello("bob", &[(room, Some(0))]).await;
    let text = "x".repeat(8000);
    // Enough for the kernel's buffers of both ends and the outbox.
    for number in 1..=2000 {
        listener.fake.say(room, UserId::generate(), ClientId::generate(), &text);
        assert_eq!(bob.json().await["changes"]["to"], json!(number));
    }
    assert_eq!(ann.close_code().await, code(Close::SlowConsumer));
}

#[actix::test]
async fn a_panic_costs_one_socket_and_what_it_held() {
    let listener = Listener::start().await;
    listener.fake.person("ann");
    listener.fake.person("bob");
    let room = listener.fake.room(0);
    let (mut ann, _) = listener.hello("ann", &[(room, Some(0))]).await;
    let (mut bob, _) = listener.hello("bob", &[]).await;
    listener.fake.panic_on_command.set(true);
    ann.command("ping", json!({})).await;
    assert_eq!(ann.close_code().await, code(Close::Internal));
    listener.fake.panic_on_command.set(false);
    bob.command("ping", json!({})).await;
    assert!(bob.json().await["ok"].is_object());
    let log = listener.fake.log.borrow();
    assert!(log.contains(&"detach") && log.contains(&"disconnected"), "{log:?}");
    assert_eq!(listener.supervisor.panics(), 1);
}

#[actix::test]
async fn a_server_that_stops_tells_everybody_and_answers_what_is_under_way() {
    let listener = Listener::start_with(|config| config.server.drain_spread = Duration::from_millis(100)).await;
    listener.fake.person("ann");
    let room = listener.fake.room(0);
    let (mut ann, _) = listener.hello("ann", &[]).await;
    let mut silent = listener.connect().await;
    listener.fake.hold_posts.set(true);
    let post = ann.command("post", json!({ "room": room, "client_id": ClientId::generate(), "text": "x" })).await;
    let (read_now, held_read) = tokio::sync::oneshot::channel();
    listener.fake.held_act.replace(Some(held_read));
    let read = ann.command("read", json!({"room": room, "seq": 1})).await;
    let ping = ann.command("ping", json!({})).await;
    assert_eq!(ann.json().await["ref"], json!(ping));
    listener.gate.close();
    assert!(ann.json().await["reconnect"]["after_ms"].is_u64());
    ann.command("ping", json!({})).await;
    assert_eq!(ann.json().await["error"]["code"], json!("draining"));
    let held = listener.fake.held.borrow_mut().pop().unwrap();
    held.answer.send(Err(Fault::Unavailable.into())).unwrap();
    assert_eq!(ann.json().await["ref"], json!(post));
    // Whatever else was asked is waited for, too.
    read_now.send(()).unwrap();
    assert_eq!(ann.json().await["ref"], json!(read));
    assert_eq!(ann.close_code().await, code(Close::Draining));
    assert_eq!(silent.close_code().await, code(Close::Draining));
    drop((ann, silent));
    tokio::time::timeout(DEADLINE, listener.gate.empty()).await.unwrap();
}

#[actix::test]
async fn frames_that_are_no_commands_are_answered_until_there_are_too_many() {
    let listener = Listener::start_with(|config| config.session.bad_frames_max = 3).await;
    listener.fake.person("ann");
    let (mut ann, _) = listener.hello("ann", &[]).await;
    for (frame, expected) in [(r#"{"ref":9,"fly":{}}"#, "unknown_command"), ("[]", "bad_request"), ("\"", "bad_request")] {
        ann.send(0x81, frame.as_bytes()).await;
        assert_eq!(ann.json().await["error"]["code"], json!(expected));
    }
    assert_eq!(ann.close_code().await, code(Close::BadCommands));
}

#[actix::test]
async fn more_frames_than_the_rate_close() {
    let listener = Listener::start_with(|config| config.rates.frames_per_connection = "5/1m".parse().unwrap()).await;
    let mut wire = listener.connect().await;
    for _ in 0..6 {
        wire.send(0x89, b"").await;
    }
    assert_eq!(wire.close_code().await, code(Close::TooFast));
}

#[actix::test]
async fn rfc6455_wrong_bytes_close_with_the_code_of_their_section() {
    let listener = Listener::start().await;
    let cases: [(&str, Vec<u8>, Close); 6] = [
        ("5.1 unmasked", vec![0x81, 1, b'x'], Close::Protocol),
        ("5.2 reserved bit", masked(0xC1, b"x"), Close::Protocol),
        ("5.4 continuation of nothing", masked(0x80, b"x"), Close::Protocol),
        ("5.6 binary", masked(0x82, b"x"), Close::NotText),
        ("8.1 UTF-8", masked(0x81, b"\xFF\xFE"), Close::NotUtf8),
        ("10.4 size", masked(0x81, &[b'x'; 70_000]), Close::TooLarge),
    ];
    for (name, bytes, close) in cases {
        let mut wire = listener.connect().await;
        wire.stream.write_all(&bytes).await.unwrap();
        assert_eq!(wire.close_code().await, code(close), "{name}");
        // §7.1.1: the server closes the connection in order, so that the close frame is not lost.
        assert_eq!(wire.next().await, Got::End, "{name}");
    }
}

#[actix::test]
async fn rfc6455_5_5_pings_are_answered_and_a_close_is_echoed_with_its_code() {
    let listener = Listener::start().await;
    let mut wire = listener.connect().await;
    wire.send(0x89, b"payload").await;
    assert_eq!(wire.next().await, Got::Pong(b"payload".to_vec()));
    wire.send(0x88, &3000_u16.to_be_bytes()).await;
    assert_eq!(wire.next().await, Got::Close(3000));
    assert_eq!(wire.next().await, Got::End);
    let mut wire = listener.connect().await;
    wire.send(0x88, b"").await;
    assert_eq!(wire.next().await, Got::Close(0));
}

#[actix::test]
async fn rfc6455_5_4_a_fragmented_hello_with_a_ping_between_is_one_hello() {
    let listener = Listener::start().await;
    listener.fake.person("ann");
    let mut wire = listener.connect().await;
    let hello = json!({ "ref": 1, "hello": { "token": "ann" } }).to_string();
    let (first, second) = hello.as_bytes().split_at(10);
    wire.send(0x01, first).await;
    wire.send(0x89, b"").await;
    wire.send(0x80, second).await;
    assert_eq!(wire.next().await, Got::Pong(Vec::new()));
    assert!(wire.json().await["ok"].is_object());
}

#[actix::test]
async fn frames_that_come_with_the_handshake_are_not_lost() {
    let listener = Listener::start().await;
    let mut stream = tokio::net::TcpStream::connect(listener.address).await.unwrap();
    let head = "GET /api/v1/ws HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: hubbub.v1\r\n\r\n";
    stream.write_all(&[head.as_bytes(), &masked(0x89, b"early")].concat()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\x8a\x05early") {
        let mut buffer = [0; 1024];
        let count =
            tokio::time::timeout(DEADLINE, tokio::io::AsyncReadExt::read(&mut stream, &mut buffer)).await.unwrap().unwrap();
        assert!(count > 0, "{}", String::from_utf8_lossy(&answer));
        answer.extend(&buffer[..count]);
    }
}

#[test]
fn an_idle_session_is_small() {
    // Two reasons for a limit: tens of thousands of them, and how easily a field is added.
    assert!(size_of::<super::actor::Session>() <= 400, "{}", size_of::<super::actor::Session>());
    assert!(size_of::<super::commands::Open>() <= 400, "{}", size_of::<super::commands::Open>());
}
