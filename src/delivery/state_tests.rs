//! The relay's rules, without threads.

use super::*;
use crate::domain::member::{Member, MemberState, Role};
use crate::domain::message::{Changes, Item, Message, Notice, NoticeKind};
use crate::domain::time::Timestamp;
use proptest::prelude::*;

#[path = "crowd_tests.rs"]
mod crowd;
#[path = "tail_tests.rs"]
mod tail;

/// Of somebody who sees a room from its beginning on.
const ALL: Sight = Sight { from_seq: Seq::ZERO, joined_revision: Revision(1) };

struct Bench {
    state: State,
    room: RoomId,
}

struct Person {
    seat: Seat,
    user: UserId,
    login: LoginId,
    outbox: Outbox,
}

impl Bench {
    fn new() -> Self {
        Self { state: State::default(), room: RoomId::generate() }
    }

    fn connect(&mut self) -> Person {
        self.connect_as(UserId::generate())
    }

    fn connect_as(&mut self, user: UserId) -> Person {
        let (login, outbox) = (LoginId::generate(), Outbox::new(1 << 20));
        let seat = self.state.register(SessionId::generate(), user, login, outbox.clone());
        Person { seat, user, login, outbox }
    }

    /// Somebody who receives the room live from `at` on.
    fn live(&mut self, at: u64) -> Person {
        let person = self.connect();
        self.follow(&person, at, 1);
        person
    }

    fn follow(&mut self, person: &Person, at: u64, joined: u64) {
        self.arrive(person, at, 1, joined);
        assert_eq!(self.caught_up(person, at), CaughtUp::Live);
    }

    /// The room has answered; what was missed is still to be sent.
    fn arrive(&mut self, person: &Person, head: u64, from_seq: u64, joined: u64) {
        self.state.subscribe(person.seat, self.room).unwrap();
        let sight = Sight { from_seq: Seq(from_seq), joined_revision: Revision(joined) };
        assert!(self.state.admit(person.seat, self.room, Revision(head), sight));
    }

    /// Somebody who catches up with the room as it was at `head`.
    fn behind(&mut self, head: u64) -> Person {
        let person = self.connect();
        self.arrive(&person, head, 1, 1);
        person
    }

    fn caught_up(&mut self, person: &Person, to: u64) -> CaughtUp {
        self.state.caught_up(person.seat, self.room, Revision(to))
    }

    /// A page up to `to` has been sent: how far they are once what is kept behind it has been sent, too.
    fn send_tail(&self, person: &Person, to: u64) -> u64 {
        self.state.send_tail(person.seat, self.room, Revision(to), usize::MAX).0.0
    }

    /// The last revisions of what is kept.
    fn kept(&self) -> Vec<u64> {
        self.state.rooms[&self.room].tail.iter().map(|envelope| envelope.to().0).collect()
    }

    fn say(&mut self, from: u64, to: u64) -> Appended {
        let items = (from + 1..=to).map(|number| message(self.room, number)).collect();
        self.append(from, to, items)
    }

    fn append(&mut self, from: u64, to: u64, items: Vec<Item>) -> Appended {
        let changes = Changes { room: self.room, from: Revision(from), to: Revision(to), items };
        self.state.append(&Arc::new(Envelope::new(changes)))
    }

    fn member(&self, user: UserId, state: MemberState, joined: u64, revision: u64) -> Item {
        Item::Member(Member {
            room: self.room,
            user,
            state,
            role: Role::Member,
            visible_from_seq: Seq(1),
            joined_revision: Revision(joined),
            revision: Revision(revision),
            stream_revision: Revision(1),
            by: None,
            reason: None,
            changed_at: Timestamp::UNIX_EPOCH,
            silenced_until: None,
        })
    }
}

fn message(room: RoomId, number: u64) -> Item {
    Item::Message(Message {
        room,
        seq: Seq(number),
        revision: Revision(number),
        author: UserId::generate(),
        client_id: crate::domain::ids::ClientId::generate(),
        text: format!("text {number}"),
        created_at: Timestamp::UNIX_EPOCH,
        more: None,
    })
}

fn sent(count: usize) -> Appended {
    Appended::To { count, unused: None }
}

/// The bytes that wait, taken out.
fn wire(outbox: &Outbox) -> Vec<u8> {
    let mut wire = Vec::new();
    let write = |slices: &[std::io::IoSlice<'_>]| {
        slices.iter().for_each(|slice| wire.extend_from_slice(slice));
        Ok(slices.iter().map(|slice| slice.len()).sum())
    };
    outbox.flush(write).unwrap();
    wire
}

/// The (from, to] of every `changes` frame that waits, taken out.
fn received(outbox: &Outbox) -> Vec<(u64, u64)> {
    let wire = wire(outbox);
    let mut frames = Vec::new();
    let mut rest = &wire[..];
    while let [_, length, after @ ..] = rest {
        let (length, after) = match length {
            126 => (usize::from(u16::from_be_bytes([after[0], after[1]])), &after[2..]),
            short => (usize::from(*short), after),
        };
        let value: serde_json::Value = serde_json::from_slice(&after[..length]).unwrap_or_default();
        let changes = &value["changes"];
        if let (Some(from), Some(to)) = (changes["from"].as_u64(), changes["to"].as_u64()) {
            frames.push((from, to));
        }
        rest = &after[length..];
    }
    frames
}

#[test]
fn live_subscriptions_share_one_frame() {
    let mut bench = Bench::new();
    let (ann, bob) = (bench.live(4), bench.live(4));
    assert_eq!(bench.say(4, 5), sent(2));
    assert_eq!((received(&ann.outbox), received(&bob.outbox)), (vec![(4, 5)], vec![(4, 5)]));
}

#[test]
fn a_repeat_is_ignored_and_a_gap_is_reported_until_it_is_filled() {
    let mut bench = Bench::new();
    let ann = bench.live(4);
    assert_eq!(bench.say(4, 5), sent(1));
    assert_eq!(bench.say(4, 5), Appended::Repeat);
    assert_eq!(bench.say(7, 8), Appended::Gap { after: Revision(5), ask: true });
    bench.state.asked(bench.room);
    assert_eq!(bench.say(8, 9), Appended::Gap { after: Revision(5), ask: false });
    assert_eq!(bench.say(5, 9), sent(1));
    assert_eq!(bench.say(9, 10), sent(1));
    assert_eq!(received(&ann.outbox), [(4, 5), (5, 9), (9, 10)]);
}

#[test]
fn the_loss_of_the_very_first_envelope_is_a_gap() {
    let mut bench = Bench::new();
    let ann = bench.live(4);
    assert_eq!(bench.say(5, 6), Appended::Gap { after: Revision(4), ask: true });
    assert_eq!(bench.say(4, 6), sent(1));
    assert_eq!(received(&ann.outbox), [(4, 6)]);
}

#[test]
fn a_later_attachment_does_not_move_the_base() {
    let mut bench = Bench::new();
    let ann = bench.live(4);
    let bob = bench.live(6);
    assert_eq!(bench.say(6, 7), Appended::Gap { after: Revision(4), ask: true });
    assert_eq!(bench.say(4, 7), sent(2));
    assert_eq!((received(&ann.outbox), received(&bob.outbox)), (vec![(4, 7)], vec![(4, 7)]));
}

#[test]
fn a_head_that_has_not_come_is_asked_for_however_often_it_is_lost() {
    let mut bench = Bench::new();
    assert_eq!(bench.state.head_is(bench.room, Revision(4)), Behind::Unwanted);
    let _ann = bench.live(4);
    assert_eq!(bench.state.head_is(bench.room, Revision(4)), Behind::Not);
    assert_eq!(bench.state.head_is(bench.room, Revision(5)), Behind::After(Revision(4)));
    bench.state.asked(bench.room);
    assert_eq!(bench.state.head_is(bench.room, Revision(5)), Behind::After(Revision(4)));
    assert_eq!(bench.say(4, 5), sent(1));
    assert_eq!(bench.state.head_is(bench.room, Revision(5)), Behind::Not);
}

#[test]
fn who_catches_up_is_shown_nothing_and_learns_the_newest_head() {
    let mut bench = Bench::new();
    let _other = bench.live(4);
    let ann = bench.connect();
    bench.state.subscribe(ann.seat, bench.room).unwrap();
    assert_eq!(bench.say(4, 5), sent(1));
    assert_eq!(bench.say(5, 6), sent(1));
    // A gap hides its frames, not that there is something to read.
    assert_eq!(bench.say(8, 9), Appended::Gap { after: Revision(6), ask: true });
    assert_eq!(bench.state.caught_up(ann.seat, bench.room, Revision(4)), CaughtUp::Behind(Revision(9)));
    assert_eq!(bench.state.caught_up(ann.seat, bench.room, Revision(9)), CaughtUp::Live);
    assert_eq!(bench.say(6, 9), sent(1));
    assert_eq!(bench.say(9, 10), sent(2));
    assert_eq!(received(&ann.outbox), [(9, 10)], "what it read by itself is not sent again");
}

#[test]
fn the_one_whose_membership_ends_sees_that_and_nothing_after_it() {
    let mut bench = Bench::new();
    let (ann, bob) = (bench.live(4), bench.live(4));
    let kicked = bench.member(ann.user, MemberState::Banned, 1, 5);
    assert_eq!(bench.append(4, 5, vec![kicked]), sent(2));
    assert_eq!(bench.say(5, 6), sent(1));
    assert_eq!(received(&ann.outbox), [(4, 5)]);
    assert_eq!(ann.outbox.take_notes().ended, [(bench.room, Fault::Banned)]);
    assert_eq!(received(&bob.outbox), [(4, 5), (5, 6)]);
}

#[test]
fn an_end_among_other_revisions_shows_nothing_of_them() {
    let mut bench = Bench::new();
    let (ann, _bob) = (bench.live(4), bench.live(4));
    let items = vec![bench.member(ann.user, MemberState::Left, 1, 5), message(bench.room, 6)];
    assert_eq!(bench.append(4, 6, items), sent(1));
    assert_eq!(received(&ann.outbox), []);
}

#[test]
fn a_newer_joining_ends_subscriptions_of_the_older_one_only() {
    let mut bench = Bench::new();
    let user = UserId::generate();
    let (old, new) = (bench.connect_as(user), bench.connect_as(user));
    bench.follow(&old, 4, 1);
    bench.follow(&new, 4, 6);
    let joined = bench.member(user, MemberState::Joined, 6, 6);
    assert_eq!(bench.append(4, 6, vec![joined]), sent(1));
    assert_eq!(old.outbox.take_notes().ended, [(bench.room, Fault::NotMember)]);
    assert!(new.outbox.take_notes().is_empty());
}

#[test]
fn an_answer_of_before_a_joining_that_was_seen_admits_nobody_and_one_that_knows_it_does() {
    let mut bench = Bench::new();
    let (_bob, ann) = (bench.live(4), bench.connect());
    bench.state.subscribe(ann.seat, bench.room).unwrap();
    // The room answers at 4. She leaves, 5 is said, she comes back; all of it comes before the answer is taken.
    let items = vec![message(bench.room, 5), bench.member(ann.user, MemberState::Joined, 6, 6)];
    assert_eq!(bench.append(4, 6, items), sent(1));
    let old = Sight { from_seq: Seq(1), joined_revision: Revision(1) };
    assert!(!bench.state.admit(ann.seat, bench.room, Revision(4), old));
    let new = Sight { from_seq: Seq(6), joined_revision: Revision(6) };
    assert!(bench.state.admit(ann.seat, bench.room, Revision(6), new));
    assert_eq!(bench.caught_up(&ann, 6), CaughtUp::Live);
    assert_eq!(received(&ann.outbox), []);
}

#[test]
fn a_change_of_role_seen_before_the_answer_does_not_make_it_too_old() {
    let mut bench = Bench::new();
    let ann = bench.connect();
    bench.state.subscribe(ann.seat, bench.room).unwrap();
    let promoted = bench.member(ann.user, MemberState::Joined, 2, 5);
    bench.append(4, 5, vec![promoted]);
    let sight = Sight { from_seq: Seq(1), joined_revision: Revision(2) };
    assert!(bench.state.admit(ann.seat, bench.room, Revision(4), sight));
    assert_eq!(bench.caught_up(&ann, 5), CaughtUp::Live);
}

#[test]
fn whoever_leaves_before_the_answer_is_taken_is_told_and_admitted_by_no_answer() {
    let mut bench = Bench::new();
    let (_bob, ann) = (bench.live(4), bench.connect());
    bench.state.subscribe(ann.seat, bench.room).unwrap();
    let left = bench.member(ann.user, MemberState::Left, 1, 5);
    assert_eq!(bench.append(4, 5, vec![left]), sent(1));
    assert_eq!(ann.outbox.take_notes().ended, [(bench.room, Fault::NotMember)]);
    let old = Sight { from_seq: Seq(1), joined_revision: Revision(1) };
    // Nothing is there to be admitted; the note says why.
    assert!(bench.state.admit(ann.seat, bench.room, Revision(4), old));
    assert_eq!((bench.send_tail(&ann, 4), bench.caught_up(&ann, 5)), (4, CaughtUp::Ended));
}

#[test]
fn a_change_of_role_ends_nothing() {
    let mut bench = Bench::new();
    let ann = bench.connect();
    bench.follow(&ann, 4, 2);
    let promoted = bench.member(ann.user, MemberState::Joined, 2, 5);
    assert_eq!(bench.append(4, 5, vec![promoted]), sent(1));
    assert!(ann.outbox.take_notes().is_empty());
}

#[test]
fn what_lies_before_the_sight_is_left_out_and_the_revision_is_not() {
    let mut bench = Bench::new();
    let ann = bench.connect();
    bench.state.subscribe(ann.seat, bench.room).unwrap();
    let sight = Sight { from_seq: Seq(100), joined_revision: Revision(1) };
    assert!(bench.state.admit(ann.seat, bench.room, Revision(4), sight));
    assert_eq!(bench.state.caught_up(ann.seat, bench.room, Revision(4)), CaughtUp::Live);
    let envelope =
        Envelope::new(Changes { room: bench.room, from: Revision(4), to: Revision(5), items: vec![message(bench.room, 5)] });
    let frame = String::from_utf8_lossy(&envelope.frame_for(sight, &Hidden::default())).into_owned();
    assert!(frame.contains(r#""items":[]"#) && !frame.contains("text 5"), "{frame}");
    bench.state.append(&Arc::new(envelope));
    assert_eq!(received(&ann.outbox), [(4, 5)]);
}

#[test]
fn of_what_fills_a_gap_who_sees_nothing_from_before_they_came_gets_the_lines_since_then() {
    let room = RoomId::generate();
    let line = |revision: u64| {
        let (revision, text) = (Revision(revision), Some(format!("noise {revision}")));
        let (actor, created_at) = (UserId::generate(), chrono::DateTime::UNIX_EPOCH);
        Item::Notice(Notice {
            room,
            revision,
            after_seq: Seq(3),
            kind: NoticeKind::Kicked,
            actor,
            subject: None,
            text,
            created_at,
        })
    };
    let envelope = Envelope::new(Changes { room, from: Revision(4), to: Revision(7), items: (5..=7).map(line).collect() });
    let shown = |sight: Sight| {
        let frame = String::from_utf8_lossy(&envelope.frame_for(sight, &Hidden::default())).into_owned();
        (5..=7).filter(|revision| frame.contains(&format!("noise {revision}"))).collect::<Vec<_>>()
    };
    assert_eq!(shown(Sight { from_seq: Seq(4), joined_revision: Revision(6) }), [6, 7]);
    assert_eq!(shown(Sight { from_seq: Seq(4), joined_revision: Revision(5) }), [5, 6, 7]);
    assert_eq!(shown(ALL), [5, 6, 7]);
}

#[test]
fn who_blocks_the_author_gets_a_stub_that_all_who_do_share_and_no_gap() {
    let mut bench = Bench::new();
    let [ann, bob, eve] = [bench.connect(), bench.connect(), bench.connect()];
    for person in [&ann, &bob, &eve] {
        bench.follow(person, 4, 2);
    }
    let said = message(bench.room, 5);
    let author = said.people()[0];
    let hidden = Hidden::of(vec![author, UserId::generate()]);
    bench.state.hide(ann.seat, &hidden);
    bench.state.hide(eve.seat, &Hidden::of(vec![author]));
    let envelope = Envelope::new(Changes { room: bench.room, from: Revision(4), to: Revision(5), items: vec![said.clone()] });
    let stub = envelope.frame_for(ALL, &hidden);
    let text = String::from_utf8_lossy(&stub).into_owned();
    assert!(text.contains(r#""hidden":true"#) && !text.contains("text 5"), "{text}");
    let other = envelope.frame_for(ALL, &Hidden::of(vec![author]));
    assert_eq!(stub.as_ptr(), other.as_ptr(), "who hides the same people shares the bytes");
    assert_eq!(bench.state.append(&Arc::new(envelope)), Appended::To { count: 3, unused: None });
    let shown = |person: &Person| String::from_utf8_lossy(&wire(&person.outbox)).contains("text 5");
    assert_eq!([&ann, &bob, &eve].map(shown), [false, true, false], "each gets the frame that is theirs");
    bench.state.hide(ann.seat, &Hidden::default());
    let again = Envelope::new(Changes { room: bench.room, from: Revision(5), to: Revision(6), items: vec![said] });
    bench.state.append(&Arc::new(again));
    let frames = String::from_utf8_lossy(&wire(&ann.outbox)).into_owned();
    assert!(frames.contains("text 5"), "who takes the block back sees what is said from then on: {frames}");
}

#[test]
fn the_first_and_the_last_of_a_thread_are_told() {
    let mut bench = Bench::new();
    let (ann, bob) = (bench.connect(), bench.connect());
    assert_eq!(bench.state.subscribe(ann.seat, bench.room), Some(Subscribed { attachment: 1, first: true }));
    assert_eq!(bench.state.subscribe(bob.seat, bench.room), Some(Subscribed { attachment: 1, first: false }));
    assert_eq!(bench.state.unsubscribe(ann.seat, bench.room), None);
    assert_eq!(bench.state.unsubscribe(bob.seat, bench.room), Some(1));
    assert_eq!(bench.say(4, 5), Appended::Unwanted);
    assert_eq!(bench.state.subscribe(bob.seat, bench.room), Some(Subscribed { attachment: 2, first: true }));
    let left = bench.member(bob.user, MemberState::Left, 1, 5);
    assert_eq!(bench.append(4, 5, vec![left]), Appended::To { count: 0, unused: Some(2) });
}

#[test]
fn a_revocation_cuts_the_sockets_of_its_logins() {
    let user = UserId::generate();
    for (logins, expected) in [(0, [true, true]), (1, [true, false]), (2, [false, true])] {
        let mut bench = Bench::new();
        let (one, two, other) = (bench.connect_as(user), bench.connect_as(user), bench.connect());
        let logins = [Logins::All, Logins::One(one.login), Logins::Except(one.login)][logins];
        bench.state.revoke(Revocation { user, logins });
        let closed = |person: &Person| person.outbox.closed() == Some(Close::LoggedOut);
        assert_eq!([closed(&one), closed(&two)], expected);
        assert!(!closed(&other));
    }
}

#[test]
fn a_deleted_room_ends_for_everybody_here() {
    let mut bench = Bench::new();
    let ann = bench.live(4);
    bench.state.room_gone(bench.room);
    assert_eq!(ann.outbox.take_notes().ended, [(bench.room, Fault::NotFound)]);
    assert_eq!(bench.state.caught_up(ann.seat, bench.room, Revision(4)), CaughtUp::Ended);
}

#[test]
fn closing_all_forgets_everything_but_the_numbers_given_out() {
    let mut bench = Bench::new();
    let ann = bench.live(4);
    bench.state.close_all(Close::Restarted);
    assert_eq!(ann.outbox.closed(), Some(Close::Restarted));
    assert_eq!(bench.state.subscribe(ann.seat, bench.room), None);
    assert_eq!(bench.state.last_attachment(), 1);
}

proptest! {
    /// Envelopes may come twice, late or not at all; a client whose gaps are refilled sees every revision once and in order.
    #[test]
    fn whatever_comes_in_whatever_order_is_received_dense(steps in proptest::collection::vec((0_u64..12, 1_u64..4), 1..60)) {
        let mut bench = Bench::new();
        let ann = bench.live(0);
        bench.say(0, 1);
        let (mut head, mut last) = (1, 1);
        for (back, length) in steps {
            let from = head.max(3) - back.min(head.max(3));
            head = head.max(from + length);
            match bench.say(from, from + length) {
                Appended::Gap { after, .. } => {
                    prop_assert_eq!(after.0, last);
                    bench.say(after.0, from);
                    bench.say(from, from + length);
                }
                Appended::To { .. } | Appended::Repeat => {}
                Appended::Unwanted => prop_assert!(false, "somebody wants it"),
            }
            last = last.max(from + length);
        }
        let mut cursor = 0;
        for (from, to) in received(&ann.outbox) {
            prop_assert!(from <= cursor && to > cursor, "({from}, {to}] at {cursor}");
            cursor = to;
        }
        prop_assert_eq!(cursor, last);
    }
}

#[test]
fn something_of_the_moment_reaches_who_is_live_and_may_hear_it() {
    let mut bench = Bench::new();
    let (ann, bob, cem, late) = (bench.live(5), bench.live(5), bench.live(5), bench.behind(5));
    let stranger = bench.connect();
    // Bob has a second connection, and came after the thread's first message; cem must not hear of ann.
    let bobs_other = bench.connect_as(bob.user);
    bench.arrive(&bobs_other, 5, 4, 1);
    assert_eq!(bench.caught_up(&bobs_other, 5), CaughtUp::Live);
    let lasts = std::time::Duration::from_secs(6);
    let typing = |thread: Option<Seq>| Ephemeral::typing(bench.room, ann.user, thread, lasts, vec![cem.user]);
    assert_eq!(bench.state.ephemeral(&typing(None)), 2);
    assert_eq!(bench.state.ephemeral(&typing(Some(Seq(3)))), 1);
    let frames = |person: &Person| String::from_utf8_lossy(&wire(&person.outbox)).matches("\"typing\"").count();
    let heard = [&ann, &bob, &bobs_other, &cem, &late, &stranger].map(frames);
    assert_eq!(heard, [0, 2, 1, 0, 0, 0]);
}
