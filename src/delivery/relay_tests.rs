//! The relay as an actor: what is full, what is asked again, what a panic costs.

use super::*;
use crate::delivery::envelope::Envelope;
use crate::delivery::feed::AT_ONCE;
use crate::delivery::handle::{Logins, NotDelivered, Revocation};
use crate::domain::message::Changes;
use crate::domain::order::Seq;
use crate::domain::stream::UserChanges;
use crate::supervision::policy::RestartClass;
use std::sync::Mutex;
use std::time::Duration;

const MAILBOX: u32 = 4;
/// Two envelopes reach it.
const TURN: usize = 150;

/// Remembers what was asked, and panics when told to.
#[derive(Default)]
struct Recorded {
    refills: Mutex<Vec<Revision>>,
    unwanted: Mutex<Vec<u64>>,
    panics: bool,
}

impl Feeds for Recorded {
    fn refill(&self, _: &RelayHandle, _: RoomId, after: Revision) -> bool {
        assert!(!self.panics, "a broken invariant");
        self.refills.lock().unwrap().push(after);
        true
    }

    fn unwanted(&self, _: &RelayHandle, _: RoomId, attachment: u64) {
        self.unwanted.lock().unwrap().push(attachment);
    }
}

struct Bench {
    relay: LocalRelay,
    feeds: Arc<Recorded>,
    relays: Relays,
    outbox: Outbox,
    seat: Seat,
    user: UserId,
    room: RoomId,
}

/// Somebody receives the room live from revision 4 on.
fn join(relay: &LocalRelay, user: UserId, room: RoomId, outbox: &Outbox) -> Seat {
    let seat = relay.register(SessionId::generate(), user, LoginId::generate(), outbox);
    relay.subscribe(seat, room).unwrap();
    assert!(relay.admit(seat, room, Revision(4), Sight { from_seq: Seq(1), joined_revision: Revision(1) }));
    assert_eq!(relay.caught_up(seat, room, Revision(4)), CaughtUp::Live);
    seat
}

impl Bench {
    /// A relay with one session that receives a room live from revision 4 on.
    fn new(panics: bool) -> Self {
        Self::with_outbox(panics, 1 << 20)
    }

    fn with_outbox(panics: bool, max_bytes: usize) -> Self {
        let policy = RestartPolicy::new(RestartClass::Permanent, 5, Duration::from_secs(60));
        let (supervisor, _) = Supervisor::root("test", policy);
        let (feeds, relays) = (Arc::new(Recorded { panics, ..Recorded::default() }), Relays::default());
        let relay = LocalRelay::start(Start {
            supervisor: &supervisor,
            policy,
            mailbox: MAILBOX,
            turn_bytes: TURN,
            feeds: Arc::clone(&feeds) as Arc<dyn Feeds>,
            relays: &relays,
        });
        let (outbox, user, room) = (Outbox::new(max_bytes), UserId::generate(), RoomId::generate());
        let seat = join(&relay, user, room, &outbox);
        Self { relay, feeds, relays, outbox, seat, user, room }
    }

    fn deliver(&self, room: RoomId, from: u64, to: u64) -> Result<(), NotDelivered> {
        let changes = Changes { room, from: Revision(from), to: Revision(to), items: Vec::new() };
        self.relay.handle().deliver(Arc::new(Envelope::new(changes)))
    }

    /// Until the relay has taken all that was sent to it before.
    async fn settled(&self) -> Option<Revision> {
        self.relay.handle().last_appended(self.room).await.unwrap()
    }
}

#[actix::test]
async fn a_full_relay_says_so_and_takes_the_same_again_later() {
    let bench = Bench::new(false);
    for number in 4..4 + u64::from(MAILBOX) {
        assert_eq!(bench.deliver(bench.room, number, number + 1), Ok(()));
    }
    assert_eq!(bench.deliver(bench.room, 8, 9), Err(NotDelivered::Full));
    assert!(bench.relay.handle().last_appended(bench.room).await.is_err(), "a question is dropped, too");
    tokio::task::yield_now().await;
    assert_eq!(bench.settled().await, Some(Revision(8)));
    assert_eq!(bench.deliver(bench.room, 8, 9), Ok(()));
    assert_eq!(bench.settled().await, Some(Revision(9)));
}

/// Takes what waits whenever it is woken, as a socket does that reads all it is given; how many bytes that were.
async fn empty(outbox: Outbox, bytes: Rc<std::cell::Cell<usize>>) {
    std::future::poll_fn(|task| {
        outbox.set_waker(task.waker());
        let write = |slices: &[std::io::IoSlice<'_>]| Ok(slices.iter().map(|slice| slice.len()).sum());
        bytes.set(bytes.get() + outbox.waiting_bytes());
        outbox.flush(write).unwrap();
        std::task::Poll::Pending
    })
    .await
}

#[actix::test]
async fn an_outbox_that_is_emptied_is_not_closed_for_what_comes_at_once() {
    // Room for two envelopes and a half, of four that come in one turn of the relay.
    let bench = Bench::with_outbox(false, 2 * TURN);
    let bytes = Rc::new(std::cell::Cell::new(0));
    let reading = actix::spawn(empty(bench.outbox.clone(), Rc::clone(&bytes)));
    tokio::task::yield_now().await;
    for number in 4..4 + u64::from(MAILBOX) {
        assert_eq!(bench.deliver(bench.room, number, number + 1), Ok(()));
    }
    while bench.relay.handle().last_appended(bench.room).await.ok().flatten() != Some(Revision(8)) {}
    tokio::task::yield_now().await;
    assert_eq!(bench.outbox.closed(), None);
    assert!(bytes.get() > 2 * TURN, "more than it holds at once: {}", bytes.get());
    reading.abort();
}

/// Counts who of a crowd has a turn, and empties what waits for them.
async fn turn(outbox: Outbox, turns: Rc<std::cell::Cell<usize>>) {
    std::future::poll_fn(|task| {
        outbox.set_waker(task.waker());
        let mut bytes = 0;
        let write = |slices: &[std::io::IoSlice<'_>]| {
            bytes = slices.iter().map(|slice| slice.len()).sum();
            Ok(bytes)
        };
        outbox.flush(write).unwrap();
        turns.set(turns.get() + usize::from(bytes > 0));
        std::task::Poll::Pending
    })
    .await
}

/// The most who had a turn between two turns of something else on the thread. Not asked of the test itself: the runtime polls that after every 61 tasks
/// whoever waits, so it would see parts where there are none.
async fn longest_wait(turns: Rc<std::cell::Cell<usize>>, longest: Rc<std::cell::Cell<usize>>) {
    loop {
        let before = turns.get();
        tokio::task::yield_now().await;
        longest.set(longest.get().max(turns.get() - before));
    }
}

#[actix::test]
async fn a_crowd_has_its_turn_in_parts_and_others_of_the_thread_between_them() {
    let bench = Bench::new(false);
    let [turns, longest] = [(); 2].map(|()| Rc::new(std::cell::Cell::new(0)));
    let crowd = 4 * AT_ONCE;
    for _ in 0..crowd {
        let outbox = Outbox::new(10_000);
        join(&bench.relay, UserId::generate(), bench.room, &outbox);
        actix::spawn(turn(outbox, Rc::clone(&turns)));
    }
    tokio::task::yield_now().await;
    let bystander = actix::spawn(longest_wait(Rc::clone(&turns), Rc::clone(&longest)));
    // The second reaches the limit of a turn.
    for (round, number) in [(1, 4), (2, 5), (3, 6)] {
        assert_eq!(bench.deliver(bench.room, number, number + 1), Ok(()));
        while turns.get() < round * crowd {
            tokio::task::yield_now().await;
        }
        let longest = longest.take();
        assert!((1..=AT_ONCE).contains(&longest), "{longest} between two turns of a bystander, round {round}");
    }
    assert_eq!(bench.settled().await, Some(Revision(7)));
    bystander.abort();
}

#[actix::test]
async fn a_signal_arrives_although_the_mailbox_is_full() {
    let bench = Bench::new(false);
    while bench.deliver(bench.room, 4, 5).is_ok() {}
    bench.relays.announce_user_heads(&[(bench.user, Revision(7))]);
    let grown = UserChanges { from: Revision(5), to: Revision(6), items: Vec::new() };
    bench.relays.announce_user_changes(vec![(bench.user, grown.clone())]);
    bench.relays.revoke(Revocation { user: bench.user, logins: Logins::All });
    tokio::task::yield_now().await;
    assert_eq!(bench.settled().await, Some(Revision(5)));
    let notes = bench.outbox.take_notes();
    assert_eq!((notes.user_head, notes.user_changes.as_deref()), (Some(Revision(7)), Some(&grown)));
    assert_eq!(bench.outbox.closed(), Some(Close::LoggedOut));
}

#[actix::test]
async fn more_signals_than_the_lane_holds_close_everything_instead_of_being_lost() {
    let bench = Bench::new(false);
    for _ in 0..=MAILBOX {
        bench.relays.announce_user_heads(&[(UserId::generate(), Revision(1))]);
    }
    assert_eq!(bench.settled().await, None);
    assert_eq!(bench.outbox.closed(), Some(Close::Restarted));
}

#[actix::test]
async fn a_gap_is_asked_for_once_and_an_envelope_nobody_wants_is_declined() {
    let bench = Bench::new(false);
    bench.deliver(bench.room, 4, 5).unwrap();
    bench.deliver(bench.room, 6, 7).unwrap();
    bench.deliver(bench.room, 7, 8).unwrap();
    assert_eq!(bench.settled().await, Some(Revision(5)));
    bench.deliver(RoomId::generate(), 1, 2).unwrap();
    bench.deliver(bench.room, 5, 8).unwrap();
    assert_eq!(bench.settled().await, Some(Revision(8)));
    assert_eq!(*bench.feeds.refills.lock().unwrap(), [Revision(5)]);
    assert_eq!(*bench.feeds.unwanted.lock().unwrap(), [1]);
}

#[actix::test]
async fn a_panic_closes_the_sockets_of_the_thread_and_the_relay_goes_on() {
    let bench = Bench::new(true);
    bench.deliver(bench.room, 4, 5).unwrap();
    bench.deliver(bench.room, 6, 7).unwrap();
    assert_eq!(bench.settled().await, None, "the question behind the panic is answered by the restarted relay");
    assert_eq!(bench.outbox.closed(), Some(Close::Restarted));
    assert_eq!(bench.relay.subscribe(bench.seat, bench.room), None);
    let outbox = Outbox::new(100);
    let seat = bench.relay.register(SessionId::generate(), bench.user, LoginId::generate(), &outbox);
    assert!(bench.relay.subscribe(seat, bench.room).is_some());
}
