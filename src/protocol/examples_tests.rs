//! `docs/PROTOCOL.md` is the specification: its examples are this module's golden vectors, its tables are the fault and close tables.

use super::error::ErrorBody;
use super::v1::command::{Command, decode};
use super::v1::item;
use super::v1::moderation::Part;
use super::v1::own::{Draft, Notification, Preferences, Quiet, RoomPreferences, ThreadPreferences, Until};
use super::v1::profile::{Person, Profile, Said, Status};
use super::v1::push::{
    Changes, Membership, Presence, PresenceState, Push, ReadMark, Receipt, Receipts, Reconnect, Relation, TokenExpiring, Typing,
    Unsubscribed, UserChanges, UserItem, UserPresence,
};
use super::v1::reply::{Done, Limits, Outcome, Posted, Renewed, Reply, ResetReason, Start, Subscribed, SubscribedRoom, Welcome};
use crate::domain::fault::{Close, ComeBack, Fault, Refusal, Stored};
use crate::domain::member::{MemberState, Role};
use crate::domain::message::{self as domain, NoticeKind};
use crate::domain::notification::NotificationKind;
use crate::domain::order::{Revision, Seq};
use crate::domain::preference::{DirectRule, FOREVER, Following, Notify};
use crate::domain::room::{HistoryRule, RoomKind};
use crate::domain::user::FoundUpTo;
use chrono::{DateTime, Utc};
use serde_json::Value;
use std::time::Duration;

const PROTOCOL: &str = include_str!("../../docs/PROTOCOL.md");

/// The JSON blocks that follow a comment that begins with `mark`, with the rest of the comment.
fn examples(mark: &str) -> Vec<(&'static str, &'static str)> {
    let mark = format!("<!-- {mark}");
    let after_marks = PROTOCOL.split(mark.as_str()).skip(1);
    let example = |text: &'static str| {
        let (name, rest) = text.split_once(" -->\n```json\n").expect("a JSON block follows the comment");
        let (json, _) = rest.split_once("\n```").expect("the block ends");
        (name.trim_start_matches(": "), json)
    };
    after_marks.map(example).collect()
}

/// The rows of the table that follows a comment, as cells.
fn table(mark: &str) -> Vec<Vec<&'static str>> {
    let (_, rest) = PROTOCOL.split_once(&format!("<!-- {mark} -->\n")).expect("the table is there");
    let rows = rest.lines().skip(2).take_while(|line| line.starts_with('|'));
    rows.map(|row| row.trim_matches('|').split('|').map(|cell| cell.trim().trim_matches('`')).collect()).collect()
}

fn id<T: std::str::FromStr<Err: std::fmt::Debug>>(end: &str) -> T {
    format!("01933e00-0000-7000-8000-{end:0>12}").parse().unwrap()
}

fn at(time: &str) -> DateTime<Utc> {
    format!("2026-11-22T{time}Z").parse().unwrap()
}

fn reply(reference: u64, done: Done) -> Value {
    serde_json::to_value(Reply { reference: Some(reference), outcome: Outcome::Ok(done) }).unwrap()
}

fn push(push: Push) -> Value {
    serde_json::to_value(push).unwrap()
}

fn lobby(topic: &str, revision: u64) -> item::Room {
    item::Room {
        id: id("1"),
        kind: RoomKind::Public,
        name: "Lobby".into(),
        topic: topic.into(),
        history: HistoryRule::All,
        archived: false,
        slow_mode_s: 0,
        posting: Role::Member,
        revision: Revision(revision),
        created_by: id("b2"),
        created_at: at("09:00:00"),
    }
}

fn welcome() -> Value {
    let room = |end, start| SubscribedRoom { room: id(end), start };
    let welcome = Welcome {
        session: id("aa"),
        user: id("b1"),
        epoch: id("e1"),
        user_head: Revision(42),
        user_reset: false,
        rooms: vec![
            room("1", Start::Resuming { head: Revision(19) }),
            room("2", Start::Reset { head: Revision(5), reason: ResetReason::NoCursor }),
        ],
        token_expires_at: at("10:10:00"),
        server_time: at("10:00:00"),
        ping_interval_ms: 25_000,
        limits: Limits { text_max_bytes: 8192, frame_max_bytes: 65_536, rooms_per_frame: 500, watches: 500, posts_in_flight: 64 },
    };
    reply(1, Done::Welcome(Box::new(welcome)))
}

fn subscribed(start: Start) -> Value {
    reply(2, Done::Subscribed(Subscribed { rooms: vec![SubscribedRoom { room: id("3"), start }] }))
}

fn changes(from: u64, to: u64, items: Vec<item::Item>) -> Value {
    push(Push::Changes(Changes { room: id("1"), from: Revision(from), to: Revision(to), items }))
}

fn message() -> item::Item {
    let message = domain::Message {
        room: id("1"),
        seq: Seq(12),
        revision: Revision(20),
        author: id("b1"),
        client_id: id("c2"),
        text: "Good morning".into(),
        created_at: at("10:00:01.000002"),
        more: None,
    };
    item::Item::from(&domain::Item::Message(message))
}

fn rich_message() -> item::Item {
    let mark = |time, by| Some(domain::Mark { at: at(time), by: id(by) });
    let thumb = crate::domain::emoji::Emoji::parse("👍").unwrap();
    let more = domain::More {
        details: domain::Details {
            thread: Some(Seq(9)),
            quote: Some(Seq(8)),
            origin: Some(domain::Origin { room: id("2"), seq: Seq(3), author: id("b3") }),
            mentions: domain::Mentions { users: vec![id("b2")], room: true, online: false },
        },
        edited_at: Some(at("10:01:00")),
        deleted: mark("10:02:00", "b1"),
        pinned: mark("10:01:30", "b2"),
        replies: Some(domain::Thread { count: 2, last: Seq(14) }),
        reactions: ["b2", "b3"].map(|user| domain::Reaction { emoji: thumb, user: id(user) }).into(),
    };
    let message = domain::Message {
        room: id("1"),
        seq: Seq(12),
        revision: Revision(31),
        author: id("b1"),
        client_id: id("c2"),
        text: "Yes, @ann".into(),
        created_at: at("10:00:01.000002"),
        more: Some(Box::new(more)),
    };
    item::Item::from(&domain::Item::Message(message))
}

fn hidden_message() -> item::Item {
    item::Item::from(&domain::Item::Stub(domain::Stub { seq: Seq(13), revision: Revision(34) }))
}

fn what_belongs_to_messages() -> Vec<item::Item> {
    let reaction = domain::Reaction { emoji: crate::domain::emoji::Emoji::parse("👍").unwrap(), user: id("b2") };
    let came = domain::ReactionChange { seq: Seq(12), revision: Revision(32), reaction, on: true };
    let thread = domain::Thread { count: 2, last: Seq(14) };
    let grown = domain::ThreadChange { seq: Seq(9), revision: Revision(33), thread };
    [domain::Item::Reaction(came), domain::Item::Thread(grown)].iter().map(item::Item::from).collect()
}

fn items() -> Value {
    let member = item::Member {
        user: id("b2"),
        state: MemberState::Joined,
        role: Role::Member,
        revision: Revision(21),
        silenced_until: None,
    };
    let notice = item::Notice {
        revision: Revision(21),
        after_seq: Seq(12),
        kind: NoticeKind::Joined,
        actor: id("b2"),
        subject: None,
        text: None,
        created_at: at("10:00:02"),
    };
    let room = lobby("All are welcome", 22);
    changes(20, 22, vec![item::Item::Member(member), item::Item::Notice(notice), item::Item::Room(room)])
}

fn user_changes() -> Value {
    let membership = Membership {
        revision: Revision(42),
        state: MemberState::Joined,
        role: Role::Member,
        visible_from_seq: Seq(1),
        by: None,
        silenced_until: None,
        room: lobby("", 1),
        people: Vec::new(),
    };
    let items = vec![UserItem::Membership(Box::new(membership))];
    push(Push::UserChanges(UserChanges { from: Revision(41), to: Revision(42), items }))
}

fn own_items() -> Value {
    let relation =
        Relation { revision: Revision(43), user: id("b2"), blocked: true, muted: false, rooms: vec![id("1")], every_room: false };
    let mark = ReadMark { revision: Revision(44), room: id("1"), seq: Seq(12) };
    let of_room =
        RoomPreferences { revision: Revision(45), room: id("1"), muted_until: Some(Until(FOREVER)), notify: Notify::Mentions };
    let of_thread = ThreadPreferences {
        revision: Revision(46),
        room: id("1"),
        thread: Seq(12),
        following: Following::Yes,
        muted_until: Some(Until("2026-11-23T10:00:00Z".parse().unwrap())),
    };
    let preferences = Preferences {
        revision: Revision(47),
        receipts: true,
        direct: DirectRule::SharedRooms,
        quiet: Some(Quiet { from: 1320, until: 420 }),
        notify: Notify::Default,
        keywords: vec!["tea".into()],
    };
    let draft = Draft {
        revision: Revision(48),
        room: id("1"),
        thread: Some(Seq(12)),
        text: "I was just".into(),
        changed_at: at("10:00:03"),
    };
    let notification = Notification {
        revision: Revision(49),
        room: id("1"),
        seq: Seq(12),
        kind: NotificationKind::Mention,
        author: id("b2"),
        quiet: false,
        gone: false,
        created_at: at("10:00:04"),
    };
    let items = vec![
        UserItem::Relation(relation),
        UserItem::ReadMark(mark),
        UserItem::RoomPreferences(of_room),
        UserItem::ThreadPreferences(of_thread),
        UserItem::Preferences(preferences),
        UserItem::Draft(draft),
        UserItem::Notification(notification),
    ];
    push(Push::UserChanges(UserChanges { from: Revision(42), to: Revision(49), items }))
}

fn post_refused() -> Value {
    let error = ErrorBody::from(Refusal::busy(Duration::from_millis(250)));
    serde_json::to_value(Reply { reference: Some(4), outcome: Outcome::Error(error) }).unwrap()
}

fn presence() -> Value {
    let user = UserPresence { user: id("b2"), state: PresenceState::Away, last_active: Some(at("09:58:00")) };
    push(Push::Presence(Presence { users: vec![user] }))
}

fn receipts() -> Value {
    let receipts = vec![Receipt { user: id("b2"), read: Seq(11), delivered: Seq(12) }];
    push(Push::Receipts(Receipts { room: id("1"), receipts }))
}

fn posted() -> Value {
    let created_at = at("10:00:01.000002");
    reply(4, Done::Posted(Posted { room: id("1"), seq: Seq(12), revision: Revision(20), created_at, repeat: false }))
}

fn said() -> Said {
    let status = Status { text: "Away".into(), emoji: Some("🌴".into()), until: Some("2026-12-01T08:00:00Z".parse().unwrap()) };
    Said { about: Some("Gardener".into()), status: Some(status), time_zone: Some("Europe/Berlin".into()) }
}

fn named(end: &str, name: &str, display_name: &str) -> item::User {
    item::User { id: id(end), name: name.into(), display_name: display_name.into(), deleted: false }
}

fn people() -> Value {
    let items = vec![Person { user: named("b2", "bob", "Bob"), said: said() }];
    reply(27, Done::People(Part { items, next: Some(FoundUpTo::Name("bob".into())) }))
}

fn own_profile() -> Value {
    let user = named("b1", "ann", "Ann Lee");
    let profile = Profile { revision: Revision(50), user, invisible: false, admin: false, said: said() };
    let items = vec![UserItem::Profile(Box::new(profile))];
    push(Push::UserChanges(UserChanges { from: Revision(49), to: Revision(50), items }))
}

/// What the server writes, by the name the document gives it.
fn written() -> Vec<(&'static str, Value)> {
    vec![
        ("welcome", welcome()),
        ("subscribed", subscribed(Start::Live { head: Revision(8) })),
        ("refused", subscribed(Start::Refused { error: ErrorBody::from(Refusal::from(Fault::NotMember)) })),
        ("nothing", reply(3, Done::Nothing {})),
        ("posted", posted()),
        ("post_refused", post_refused()),
        ("people", people()),
        ("renewed", reply(9, Done::Renewed(Renewed { token_expires_at: at("10:20:00") }))),
        ("changes", changes(19, 20, vec![message()])),
        ("user_changes", user_changes()),
        ("presence", presence()),
        ("typing", push(Push::Typing(Typing { room: id("1"), user: id("b2"), thread: Some(Seq(12)), for_ms: 6000 }))),
        ("receipts", receipts()),
        ("token_expiring", push(Push::TokenExpiring(TokenExpiring { expires_at: at("10:10:00") }))),
        ("reconnect", push(Push::Reconnect(Reconnect { after_ms: 1200 }))),
        ("unsubscribed", push(Push::Unsubscribed(Unsubscribed { room: id("3"), code: Fault::Banned.row().code }))),
        ("items", items()),
        ("message", changes(30, 31, vec![rich_message()])),
        ("hidden", changes(33, 34, vec![hidden_message()])),
        ("belongs", changes(31, 33, what_belongs_to_messages())),
        ("own_items", own_items()),
        ("own_profile", own_profile()),
    ]
}

#[test]
fn every_documented_command_is_read() {
    let commands = examples("command");
    for (_, json) in &commands {
        assert!(decode(json).is_ok(), "{json}: {:?}", decode(json));
    }
    for name in Command::names() {
        assert!(commands.iter().any(|(_, json)| json.contains(&format!(r#""{name}":{{"#))), "{name} has an example");
    }
}

#[test]
fn every_documented_answer_is_what_the_server_writes() {
    let documented = examples("example");
    let written = written();
    assert_eq!(
        documented.iter().map(|(name, _)| *name).collect::<Vec<_>>(),
        written.iter().map(|(name, _)| *name).collect::<Vec<_>>()
    );
    for ((name, json), (_, value)) in documented.iter().zip(written) {
        assert_eq!(serde_json::from_str::<Value>(json).unwrap(), value, "{name}");
    }
}

#[test]
fn the_fault_table_is_the_documented_one() {
    let rows = Fault::ALL.iter().map(|fault| {
        let row = fault.row();
        let stored = match row.stored {
            Stored::No => "no",
            Stored::Unknown => "unknown",
        };
        let retry = if row.retry { "yes" } else { "no" };
        [row.code, retry, stored, &row.status.to_string(), row.advice].map(str::to_owned).to_vec()
    });
    assert_eq!(table("faults"), rows.collect::<Vec<_>>());
}

#[test]
fn the_close_table_is_the_documented_one() {
    let rows = Close::ALL.iter().map(|close| {
        let (code, reason, back) = close.row();
        let back = match back {
            ComeBack::Now => "now",
            ComeBack::Later => "later",
            ComeBack::WithToken => "with_token",
            ComeBack::Never => "never",
        };
        [&code.to_string(), reason, back].map(str::to_owned).to_vec()
    });
    assert_eq!(table("closes"), rows.collect::<Vec<_>>());
}
