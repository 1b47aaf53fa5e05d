//! Rooms with the store, persistence and relay they have in production.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use actix::{Context, Handler, Message};
use tokio::time::timeout;

use super::actor::RoomActor;
use super::handle::{Rooms, Start};
use super::messages::Attached;
use super::state::posting::Answers;
use crate::config::Config;
use crate::delivery::handle::Relays;
use crate::delivery::outbox::Outbox;
use crate::delivery::relay::{self, LocalRelay};
use crate::delivery::state::CaughtUp;
use crate::domain::emoji::Emoji;
use crate::domain::fault::{Fault, Refusal};
use crate::domain::filter::{FilterAction, FilterKind};
use crate::domain::ids::{FilterId, LoginId, RoomId, SessionId, UserId};
use crate::domain::message::{MessageChange, Post};
use crate::domain::order::{Revision, Seq};
use crate::domain::room::{HistoryRule, RoomChange, RoomKind};
use crate::domain::text::MessageText;
use crate::domain::time::Clock;
use crate::moderation::everywhere::Everywhere;
use crate::moderation::filters::rule;
use crate::notify::handle::Notify;
use crate::persistence::handle::Persistence;
use crate::store::testing::{PATIENCE, TestStore, actor, noon, post};
use crate::supervision::mailbox::Queued;
use crate::supervision::policy::{RestartClass, RestartPolicy};
use crate::supervision::reply::Dropped;
use crate::supervision::tree::Supervisor;

/// Panics where it is handled.
#[derive(Message)]
#[rtype(result = "()")]
struct Strike;

impl Handler<Queued<Strike>> for RoomActor {
    type Result = ();

    fn handle(&mut self, _: Queued<Strike>, _: &mut Context<Self>) {
        panic!("struck");
    }
}

struct Node {
    test: TestStore,
    rooms: Rooms,
    relay: LocalRelay,
    room: RoomId,
    ann: UserId,
    bob: UserId,
    root: Supervisor,
}

/// Somebody who receives the room.
struct Listener {
    outbox: Outbox,
    attached: Attached,
}

impl Node {
    async fn new(change: impl FnOnce(&mut Config)) -> Self {
        let test = TestStore::open().await;
        let [ann, bob] = test.people().await;
        let room = test.room(RoomKind::Private, HistoryRule::All, ann, &[bob]).await;
        let mut settings = Config { database: test.settings.clone(), ..Config::default() };
        change(&mut settings);
        let permanent = RestartPolicy::new(RestartClass::Permanent, 100, Duration::from_secs(60));
        let room_policy = RestartPolicy::new(RestartClass::Transient, 2, Duration::from_secs(60));
        let (root, _failure) = Supervisor::root("test", permanent);
        let (relays, clock) = (Relays::default(), Clock::fixed(noon()));
        let persistence = Persistence::start(&root, permanent, &test.store, &clock, &settings.database);
        let rooms = Rooms::start(Start {
            supervisor: &root,
            directory_policy: permanent,
            room_policy,
            store: test.store.clone(),
            persistence,
            relays: relays.clone(),
            clock,
            everywhere: Everywhere::default(),
            notify: Notify::default(),
            hook: None,
            settings: &settings,
        });
        let feeds = Arc::new(rooms.clone());
        let start =
            relay::Start { supervisor: &root, policy: permanent, mailbox: 1000, turn_bytes: 1 << 18, feeds, relays: &relays };
        let relay = LocalRelay::start(start);
        Self { test, rooms, relay, room, ann, bob, root }
    }

    async fn listen(&self, user: UserId) -> Result<Listener, Refusal> {
        let outbox = Outbox::new(1 << 20);
        let seat = self.relay.register(SessionId::generate(), user, LoginId::generate(), &outbox);
        let subscribed = self.relay.subscribe(seat, self.room).unwrap();
        let attached = self.rooms.attach(self.room, user, None, self.relay.handle().clone(), subscribed.attachment);
        let attached = within(attached).await?;
        assert!(self.relay.admit(seat, self.room, attached.head, attached.sight));
        assert_eq!(self.relay.caught_up(seat, self.room, attached.head), CaughtUp::Live);
        Ok(Listener { outbox, attached })
    }

    async fn say(&self, user: UserId, texts: &[&str]) -> Answers {
        within(self.rooms.post(self.room, texts.iter().map(|text| post(user, text)).collect())).await.unwrap()
    }

    async fn change(&self, user: UserId, change: RoomChange) {
        within(self.rooms.change(self.room, actor(user), change)).await.unwrap();
    }

    fn strike(&self) {
        assert!(self.rooms.map.try_send(self.room, Strike).is_ok());
    }
}

impl Listener {
    /// Everything received up to revision `to`: (from, to] of each frame, checked to be without gap, and the texts.
    async fn until(&self, to: u64) -> Vec<String> {
        let (mut at, mut texts) = (self.attached.head.0, Vec::new());
        let mut bytes = Vec::new();
        let received = poll_fn(|task| {
            self.outbox.set_waker(task.waker());
            self.outbox
                .flush(|slices| {
                    slices.iter().for_each(|slice| bytes.extend_from_slice(slice));
                    Ok(slices.iter().map(|slice| slice.len()).sum())
                })
                .unwrap();
            for frame in frames(&mut bytes) {
                let changes = &frame["changes"];
                let (from, end) = (changes["from"].as_u64().unwrap(), changes["to"].as_u64().unwrap());
                assert!(from <= at, "a gap: {at} then {frame}");
                if end <= at {
                    continue;
                }
                at = end;
                let items = changes["items"].as_array().unwrap();
                texts.extend(items.iter().filter_map(|item| item["message"]["text"].as_str().map(ToOwned::to_owned)));
            }
            if at >= to { Poll::Ready(()) } else { Poll::Pending }
        });
        timeout(PATIENCE, received).await.expect("the revisions arrive");
        texts
    }
}

/// Takes whole text frames (RFC 6455 §5.2, unmasked) off the front of `bytes`.
fn frames(bytes: &mut Vec<u8>) -> Vec<serde_json::Value> {
    let mut frames = Vec::new();
    while bytes.len() >= 2 {
        let (head, length) = match bytes[1] {
            126 => (4, usize::from(u16::from_be_bytes([bytes[2], bytes[3]]))),
            127 => (10, usize::try_from(u64::from_be_bytes(bytes[2..10].try_into().unwrap())).unwrap()),
            short => (2, usize::from(short)),
        };
        frames.push(serde_json::from_slice(&bytes[head..head + length]).unwrap());
        bytes.drain(..head + length);
    }
    frames
}

async fn within<T>(answer: impl Future<Output = Result<Result<T, Refusal>, Dropped>>) -> Result<T, Refusal> {
    timeout(PATIENCE, answer).await.expect("an answer in time").expect("an answer")
}

fn seqs(answers: &Answers) -> Vec<u64> {
    answers.iter().map(|answer| answer.unwrap().seq.0).collect()
}

fn faults(answers: &Answers) -> Vec<Fault> {
    answers.iter().map(|answer| answer.unwrap_err().fault).collect()
}

#[actix::test]
async fn posts_are_stored_answered_and_delivered_in_order() {
    let node = Node::new(|_| {}).await;
    let listener = node.listen(node.bob).await.unwrap();
    assert_eq!(seqs(&node.say(node.ann, &["a", "b"]).await), [1, 2]);
    assert_eq!(seqs(&node.say(node.bob, &["c"]).await), [3]);
    assert_eq!(listener.until(listener.attached.head.0 + 3).await, ["a", "b", "c"]);
    assert_eq!(node.test.get(node.room).await.last_seq.0, 3);
}

#[actix::test]
async fn a_repeat_is_answered_with_the_first_number_and_delivered_once() {
    let node = Node::new(|_| {}).await;
    let listener = node.listen(node.bob).await.unwrap();
    let once: Post = post(node.ann, "once");
    let answers = within(node.rooms.post(node.room, vec![once.clone(), once.clone()])).await.unwrap();
    assert_eq!(seqs(&answers), [1, 1]);
    assert_eq!(seqs(&node.say(node.ann, &["end"]).await), [2]);
    assert_eq!(listener.until(listener.attached.head.0 + 2).await, ["once", "end"]);
}

#[actix::test]
async fn strangers_and_unknown_rooms_are_not_found() {
    let node = Node::new(|_| {}).await;
    let [carl] = node.test.people().await;
    assert_eq!(node.listen(carl).await.err(), Some(Fault::NotFound.into()));
    assert_eq!(faults(&node.say(carl, &["a", "b"]).await), [Fault::NotFound; 2]);
    let nowhere = within(node.rooms.post(RoomId::generate(), vec![post(carl, "a")])).await.unwrap();
    assert_eq!(faults(&nowhere), [Fault::NotFound]);
}

#[actix::test]
async fn after_a_kick_nothing_is_stored_or_shown() {
    let node = Node::new(|_| {}).await;
    let (ann, bob) = (node.listen(node.ann).await.unwrap(), node.listen(node.bob).await.unwrap());
    node.change(node.ann, RoomChange::Kick { user: node.bob, reason: None }).await;
    assert_eq!(faults(&node.say(node.bob, &["late"]).await), [Fault::NotFound]);
    assert_eq!(seqs(&node.say(node.ann, &["gone"]).await), [1]);
    let head = ann.attached.head.0;
    assert_eq!(ann.until(head + 2).await, ["gone"]);
    // His subscription ended with the kick.
    bob.until(head + 1).await;
    assert_eq!(bob.outbox.take_notes().ended, [(node.room, Fault::NotMember)]);
}

#[actix::test]
async fn a_post_in_the_same_moment_as_a_kick_is_before_it_or_refused() {
    let node = Node::new(|_| {}).await;
    let kick = node.rooms.change(node.room, actor(node.ann), RoomChange::Kick { user: node.bob, reason: None });
    let posts: Vec<_> = (0..20).map(|_| node.rooms.post(node.room, vec![post(node.bob, "x")])).collect();
    let head = within(kick).await.unwrap().room.head;
    for answers in posts {
        match within(answers).await.unwrap()[0] {
            Ok(posted) => assert!(posted.revision < head),
            Err(refusal) => assert_eq!(refusal.fault, Fault::NotFound),
        }
    }
}

#[actix::test]
async fn a_change_the_room_has_not_heard_of_is_found_at_the_next_post() {
    let node = Node::new(|_| {}).await;
    let listener = node.listen(node.ann).await.unwrap();
    // As another node would: past the room.
    node.test.change(node.ann, node.room, RoomChange::Kick { user: node.bob, reason: None }).await.unwrap();
    assert_eq!(faults(&node.say(node.bob, &["late"]).await), [Fault::NotFound]);
    assert_eq!(seqs(&node.say(node.ann, &["a"]).await), [1]);
    assert_eq!(listener.until(listener.attached.head.0 + 2).await, ["a"]);
}

#[actix::test]
async fn an_edit_the_room_has_not_heard_of_comes_before_what_moved_its_message() {
    // A page is one row: the second edit fills the one that leads to the reaction.
    let node = Node::new(|settings| settings.resume.page_rows = 1).await;
    node.say(node.ann, &["a", "b"]).await;
    let listener = node.listen(node.ann).await.unwrap();
    let edit = |text: &str| MessageChange::edit(MessageText::stored(text.to_owned()));
    node.test.change_message(node.ann, node.room, 1, edit("a, edited")).await;
    node.test.change_message(node.ann, node.room, 2, edit("b, edited")).await;
    let react = MessageChange::React(Emoji::parse("👍").unwrap());
    within(node.rooms.change_message(node.room, actor(node.bob), Seq(1), react)).await.unwrap();
    assert_eq!(listener.until(listener.attached.head.0 + 3).await, ["b, edited", "a, edited"]);
}

#[actix::test]
async fn who_has_seen_more_than_the_room_has_heard_of_makes_it_look() {
    let node = Node::new(|settings| settings.room.head_check_interval = PATIENCE).await;
    let listener = node.listen(node.ann).await.unwrap();
    let heard = listener.attached.head;
    node.test.say(node.room, node.ann, &["a"]).await;
    let newest = async |cursor: Revision| {
        let attached =
            within(node.rooms.attach(node.room, node.bob, Some(cursor), node.relay.handle().clone(), 0)).await.unwrap();
        (attached.head, attached.newest)
    };
    assert_eq!(newest(heard).await, (heard, heard));
    assert_eq!(newest(heard.next()).await, (heard, heard.next()));
    assert_eq!(listener.until(heard.0 + 1).await, ["a"]);
    assert_eq!(newest(Revision(99)).await, (heard.next(), heard.next()));
}

#[actix::test]
async fn an_edit_is_judged_by_filters_that_the_room_has_not_heard_of() {
    let node = Node::new(|_| {}).await;
    let edit = |text: &str| {
        let change = MessageChange::edit(MessageText::stored(text.to_owned()));
        within(node.rooms.change_message(node.room, actor(node.ann), Seq(1), change))
    };
    node.say(node.ann, &["fine"]).await;
    let (filter, rule) = (FilterId::generate(), rule(FilterKind::Word, "bad", FilterAction::Refuse).unwrap());
    node.test.change(node.ann, node.room, RoomChange::AddFilter { filter, rule }).await.unwrap();
    assert_eq!(edit("bad").await.unwrap_err().fault, Fault::Filtered);
    assert!(edit("good").await.unwrap().changes.is_some());
    node.test.change(node.ann, node.room, RoomChange::RemoveFilter { filter }).await.unwrap();
    assert!(edit("bad").await.unwrap().changes.is_some(), "what was a reason is none any more");
}

#[actix::test]
async fn a_last_event_that_was_lost_is_found_by_comparing_heads() {
    let node = Node::new(|settings| settings.room.head_check_interval = Duration::from_millis(20)).await;
    let listener = node.listen(node.ann).await.unwrap();
    node.test.say(node.room, node.bob, &["from elsewhere", "and another"]).await;
    assert_eq!(listener.until(listener.attached.head.0 + 2).await, ["from elsewhere", "and another"]);
}

#[actix::test]
async fn a_panic_with_posts_on_their_way_loses_nothing_that_was_stored() {
    let node = Node::new(|_| {}).await;
    let listener = node.listen(node.ann).await.unwrap();
    let head = listener.attached.head.0;
    assert_eq!(seqs(&node.say(node.ann, &["a"]).await), [1]);
    let on_its_way: Post = post(node.bob, "b");
    let unknown = node.rooms.post(node.room, vec![on_its_way.clone()]);
    node.strike();
    assert_eq!(within(unknown).await, Err(Fault::OutcomeUnknown.into()));
    // The same again, as a client does: stored once, whichever attempt did it.
    let again = within(node.rooms.post(node.room, vec![on_its_way])).await.unwrap();
    assert_eq!(seqs(&again), [2]);
    assert_eq!(seqs(&node.say(node.ann, &["c"]).await), [3]);
    assert_eq!(listener.until(head + 3).await, ["a", "b", "c"]);
}

#[actix::test]
async fn a_room_that_used_up_its_restarts_is_replaced_and_its_relays_go_on() {
    // Long enough that a busy machine sees the time in which there is no room.
    let node = Node::new(|settings| settings.room.head_check_interval = Duration::from_millis(300)).await;
    let listener = node.listen(node.ann).await.unwrap();
    let head = listener.attached.head.0;
    assert_eq!(seqs(&node.say(node.ann, &["a"]).await), [1]);
    let ends = || node.root.snapshot().iter().all(|actor| actor.kind != "room");
    for _ in 0..3 {
        node.strike();
    }
    timeout(PATIENCE, async {
        while !ends() {
            tokio::task::yield_now().await
        }
    })
    .await
    .unwrap();
    // Nobody asks the room anything: the comparison of heads wakes it and finds what it missed.
    node.test.say(node.room, node.bob, &["b"]).await;
    assert_eq!(listener.until(head + 2).await, ["a", "b"]);
}

#[actix::test]
async fn a_room_sleeps_when_nobody_wants_it_and_wakes_when_asked() {
    let node = Node::new(|settings| settings.room.idle_after = Duration::from_millis(20)).await;
    assert_eq!(seqs(&node.say(node.ann, &["a"]).await), [1]);
    timeout(PATIENCE, async {
        while node.rooms.awake() > 0 {
            tokio::task::yield_now().await
        }
    })
    .await
    .unwrap();
    assert_eq!(seqs(&node.say(node.ann, &["b"]).await), [2]);
}

#[actix::test]
async fn a_room_with_a_listener_does_not_sleep() {
    let node = Node::new(|settings| {
        settings.room.idle_after = Duration::from_millis(1);
        settings.room.head_check_interval = Duration::from_millis(50);
    })
    .await;
    let listener = node.listen(node.ann).await.unwrap();
    // Unused for many times `idle_after`; only a room that is awake is told of its head.
    node.test.say(node.room, node.bob, &["from elsewhere"]).await;
    assert_eq!(listener.until(listener.attached.head.0 + 1).await, ["from elsewhere"]);
    assert_eq!(node.rooms.awake(), 1);
}

#[actix::test]
async fn nothing_is_lost_between_falling_asleep_and_waking() {
    let node = Node::new(|settings| settings.room.idle_after = Duration::from_millis(2)).await;
    for number in 1..=100 {
        let last = node.rooms.post(node.room, vec![post(node.ann, "x")]);
        assert_eq!(seqs(&within(last).await.unwrap()), [number]);
        // The next one comes now before, now after, now in the moment of falling asleep.
        for _ in 0..number * 20 {
            if node.rooms.awake() == 0 && number % 3 == 0 {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
}

#[actix::test]
async fn more_rooms_than_may_be_awake_answer_busy() {
    let node = Node::new(|settings| settings.limits.rooms_awake = 1).await;
    assert_eq!(seqs(&node.say(node.ann, &["a"]).await), [1]);
    let other = node.test.room(RoomKind::Private, HistoryRule::All, node.ann, &[]).await;
    let refused = within(node.rooms.post(other, vec![post(node.ann, "b")])).await.unwrap();
    assert_eq!(faults(&refused), [Fault::Busy]);
}

#[actix::test]
async fn two_first_messages_in_both_directions_make_one_room() {
    let node = Node::new(|_| {}).await;
    let there = node.rooms.post_direct(node.bob, post(node.ann, "hi"));
    let back = node.rooms.post_direct(node.ann, post(node.bob, "hello"));
    let (there, back) = (within(there).await.unwrap(), within(back).await.unwrap());
    assert_eq!(there.room, back.room);
    let mut numbers = [there.posted.seq.0, back.posted.seq.0];
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 2]);
    let third = within(node.rooms.post_direct(node.bob, post(node.ann, "again"))).await.unwrap();
    assert_eq!((third.room, third.posted.seq.0), (there.room, 3));
}

#[actix::test]
async fn a_deleted_room_is_gone_for_everybody() {
    let node = Node::new(|_| {}).await;
    let listener = node.listen(node.bob).await.unwrap();
    node.change(node.ann, RoomChange::Delete { reason: None }).await;
    assert_eq!(faults(&node.say(node.ann, &["a"]).await), [Fault::NotFound]);
    assert_eq!(node.listen(node.bob).await.err(), Some(Fault::NotFound.into()));
    let ended = poll_fn(|task| {
        listener.outbox.set_waker(task.waker());
        let ended = listener.outbox.take_notes().ended;
        if ended.is_empty() { Poll::Pending } else { Poll::Ready(ended) }
    });
    assert_eq!(timeout(PATIENCE, ended).await.unwrap(), [(node.room, Fault::NotFound)]);
}

#[actix::test]
async fn a_deletion_whose_people_nobody_has_told_is_gone_on_with_by_the_directory() {
    let node = Node::new(|settings| settings.room.head_check_interval = Duration::from_millis(20)).await;
    let outbox = Outbox::new(1 << 20);
    let seat = node.relay.register(SessionId::generate(), node.bob, LoginId::generate(), &outbox);
    // As if the node had ended right behind the commit.
    node.test.change(node.ann, node.room, RoomChange::Delete { reason: None }).await.unwrap();
    let told = async {
        while outbox.take_notes().user_head.is_none() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, told).await.unwrap();
    node.relay.unregister(seat);
}

#[actix::test]
async fn typing_is_decided_like_a_post_and_passed_on_behind_what_was_said_before() {
    let node = Node::new(|_| {}).await;
    let listener = node.listen(node.bob).await.unwrap();
    let types = async |user, thread| within(node.rooms.typing(node.room, user, thread)).await.map_err(|refusal| refusal.fault);
    node.say(node.ann, &["first"]).await;
    assert_eq!(types(node.ann, Some(Seq(1))).await, Ok(()));
    assert_eq!(types(node.ann, Some(Seq(2))).await, Err(Fault::NotFound));
    let [carl] = node.test.people().await;
    assert_eq!(types(carl, None).await, Err(Fault::NotFound));
    let mut bytes = Vec::new();
    let mut kinds = Vec::new();
    let received = poll_fn(|task| {
        listener.outbox.set_waker(task.waker());
        let write = |slices: &[std::io::IoSlice<'_>]| {
            slices.iter().for_each(|slice| bytes.extend_from_slice(slice));
            Ok(slices.iter().map(|slice| slice.len()).sum())
        };
        listener.outbox.flush(write).unwrap();
        kinds.extend(frames(&mut bytes).iter().filter_map(|frame| frame.as_object()?.keys().next().cloned()));
        if kinds.len() == 2 { Poll::Ready(()) } else { Poll::Pending }
    });
    timeout(PATIENCE, received).await.expect("both arrive");
    assert_eq!(kinds, ["changes", "typing"]);
    let until = noon() + chrono::TimeDelta::hours(1);
    node.change(node.ann, RoomChange::Silence { user: node.bob, until, reason: None }).await;
    assert_eq!(types(node.bob, None).await, Err(Fault::Silenced));
}
