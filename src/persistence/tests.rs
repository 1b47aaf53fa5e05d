//! Persistence with a real store whose way can be made to break at every stage.

use std::time::Duration;

use actix::{Context, Handler, Message};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::actor::PersistenceActor;
use super::handle::{Key, Persistence};
use super::lane::Lane;
use super::lane::tests::Scene;
use crate::config::Database;
use crate::domain::fault::{Fault, Refusal};
use crate::domain::ids::{RoomId, UserId};
use crate::domain::message::Post;
use crate::domain::room::{HistoryRule, RoomChange, RoomKind};
use crate::domain::time::Clock;
use crate::store::StoreError;
use crate::store::messages::{Append, AppendOutcome, PostOutcome};
use crate::store::rooms::{ChangeRoom, EndMemberships};
use crate::store::testing::{PATIENCE, TestStore, actor, limits, noon, post};
use crate::supervision::mailbox::Queued;
use crate::supervision::policy::{RestartClass, RestartPolicy};
use crate::supervision::reply::Answer;
use crate::supervision::tree::Supervisor;

/// Panics where it is handled.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Strike;

impl Handler<Queued<Strike>> for PersistenceActor {
    type Result = ();

    fn handle(&mut self, _: Queued<Strike>, _: &mut Context<Self>) {
        panic!("struck");
    }
}

struct Bench {
    test: TestStore,
    persistence: Persistence,
    lane: Lane,
    room: RoomId,
    ann: UserId,
    bob: UserId,
    _root: Supervisor,
}

impl Bench {
    async fn new(change: impl FnOnce(&mut Database)) -> Self {
        let test = TestStore::open().await;
        let [ann, bob] = test.people().await;
        let room = test.room(RoomKind::Private, HistoryRule::All, ann, &[bob]).await;
        let mut settings = test.settings.clone();
        change(&mut settings);
        let policy = RestartPolicy::new(RestartClass::Permanent, 100, Duration::from_secs(1));
        let (root, _failure) = Supervisor::root("test", policy);
        let lane = Lane::new(test.store.clone(), 0);
        let persistence = Persistence::start_on(&root, policy, vec![lane.clone()], &Clock::fixed(noon()), &settings);
        Self { test, persistence, lane, room, ann, bob, _root: root }
    }

    async fn append(&self, posts: Vec<Post>) -> Answer<Result<AppendOutcome, Refusal>> {
        let policy_revision = self.test.get_policy(self.room).await;
        let posts = posts.into_iter().map(|post| (post, Ok(()))).collect();
        self.persistence.append(Append { room: self.room, policy_revision, posts })
    }

    async fn say(&self, text: &str) -> Answer<Result<AppendOutcome, Refusal>> {
        self.append(vec![post(self.ann, text)]).await
    }

    /// Holds the next transaction back; the first answer says that it has arrived, the sender lets it go.
    fn hold(&self) -> (oneshot::Receiver<()>, oneshot::Sender<()>) {
        self.hold_and(None)
    }

    /// The same; once let go, it fails if so asked.
    fn hold_and(&self, failure: Option<StoreError>) -> (oneshot::Receiver<()>, oneshot::Sender<()>) {
        let ((arrived, here), (go, wait)) = (oneshot::channel(), oneshot::channel());
        self.lane.script([Scene::Waits(arrived, wait, failure)]);
        (here, go)
    }
}

async fn outcome(answer: Answer<Result<AppendOutcome, Refusal>>) -> Result<AppendOutcome, Refusal> {
    timeout(PATIENCE, answer).await.unwrap().unwrap()
}

fn seqs(outcome: Result<AppendOutcome, Refusal>) -> Vec<u64> {
    let Ok(AppendOutcome::Done { posts, .. }) = outcome else { panic!("{outcome:?}") };
    let seq = |post| match post {
        PostOutcome::Stored(message) | PostOutcome::Replied(message, _) => message.seq.0,
        PostOutcome::Repeat { seq, .. } => seq.0,
        PostOutcome::Refused(refusal) => panic!("{refusal:?}"),
    };
    posts.into_iter().map(seq).collect()
}

fn away() -> Scene {
    Scene::Fails(StoreError::Unavailable("script".into()))
}

#[actix::test]
async fn what_gathers_during_a_commit_shares_the_next_transaction() {
    let bench = Bench::new(|_| {}).await;
    let (here, go) = bench.hold();
    let first = bench.say("1").await;
    here.await.unwrap();
    let second = bench.append(vec![post(bench.ann, "2"), post(bench.ann, "3")]).await;
    let third = bench.append(vec![post(bench.bob, "4")]).await;
    go.send(()).unwrap();
    assert_eq!(seqs(outcome(first).await), [1]);
    assert_eq!(seqs(outcome(second).await), [2, 3]);
    assert_eq!(seqs(outcome(third).await), [4]);
    assert_eq!(bench.lane.attempts(), 2);
}

#[actix::test]
async fn a_post_behind_a_kick_is_decided_after_it() {
    let bench = Bench::new(|_| {}).await;
    let (here, go) = bench.hold();
    let first = bench.say("1").await;
    here.await.unwrap();
    let change = RoomChange::Kick { user: bench.bob, reason: None };
    let kick =
        ChangeRoom { actor: actor(bench.ann), room: bench.room, change, judged: (Ok(()), None), now: noon(), limits: limits() };
    let kick = bench.persistence.run(Key::Room(bench.room), kick);
    let late = bench.append(vec![post(bench.bob, "2")]).await;
    go.send(()).unwrap();
    assert_eq!(seqs(outcome(first).await), [1]);
    assert!(kick.await.unwrap().is_ok());
    assert_eq!(outcome(late).await, Ok(AppendOutcome::StalePolicy));
}

#[actix::test]
async fn a_lost_commit_answer_is_repeated_and_stored_once() {
    let bench = Bench::new(|_| {}).await;
    bench.lane.script([Scene::AnswerLost]);
    let answer = outcome(bench.say("1").await).await;
    assert!(matches!(&answer, Ok(AppendOutcome::Done { posts, .. }) if matches!(posts[..], [PostOutcome::Repeat { .. }])));
    assert_eq!(seqs(answer), [1]);
    assert_eq!(seqs(outcome(bench.say("2").await).await), [2]);
}

#[actix::test]
async fn a_short_outage_costs_only_time() {
    let bench = Bench::new(|_| {}).await;
    bench.lane.script([away(), Scene::Fails(StoreError::Contention("script".into())), away()]);
    assert_eq!(seqs(outcome(bench.say("1").await).await), [1]);
}

#[actix::test]
async fn in_a_long_outage_the_answer_is_not_stored_and_nobody_waits_in_vain() {
    let bench = Bench::new(|settings| settings.commit_deadline = Duration::from_millis(300)).await;
    // As many as the deadline has room for, and one that keeps the database away for the probe.
    bench.lane.script((0..5).map(|_| away()));
    let (here, go) = bench.hold();
    let first = outcome(bench.say("1").await).await;
    assert_eq!(first, Err(Fault::Unavailable.into()));
    let attempts = bench.lane.attempts();
    assert_eq!(outcome(bench.say("2").await).await, Err(Fault::Unavailable.into()));
    assert_eq!(bench.lane.attempts(), attempts, "refused without an attempt");
    assert!(bench.persistence.condition().away);
    timeout(PATIENCE, here).await.unwrap().unwrap();
    go.send(()).unwrap();
    // The probe is through: writes are taken again.
    let stored = async {
        loop {
            match outcome(bench.say("3").await).await {
                Err(_) => tokio::task::yield_now().await,
                stored => break stored,
            }
        }
    };
    assert_eq!(seqs(timeout(PATIENCE, stored).await.unwrap()), [1]);
    assert!(!bench.persistence.condition().away);
}

#[actix::test]
async fn after_a_lost_commit_in_an_outage_the_outcome_is_unknown() {
    let bench = Bench::new(|settings| settings.commit_deadline = Duration::from_millis(300)).await;
    bench.lane.script([Scene::AnswerLost]);
    bench.lane.script((0..10).map(|_| away()));
    let lost = post(bench.ann, "1");
    assert_eq!(outcome(bench.append(vec![lost.clone()]).await).await, Err(Fault::OutcomeUnknown.into()));
    let again = async {
        loop {
            match outcome(bench.append(vec![lost.clone()]).await).await {
                Err(_) => tokio::task::yield_now().await,
                stored => break stored,
            }
        }
    };
    let again = timeout(PATIENCE, again).await.unwrap();
    assert!(matches!(&again, Ok(AppendOutcome::Done { posts, .. }) if matches!(posts[..], [PostOutcome::Repeat { .. }])));
}

#[actix::test]
async fn when_a_batch_is_refused_what_waits_behind_it_in_the_room_is_refused_too() {
    // No second attempt has room within the deadline, so the first failure is the last.
    let bench = Bench::new(|settings| settings.retry_first = 2 * settings.commit_deadline).await;
    assert_eq!(seqs(outcome(bench.say("1").await).await), [1]);
    let (here, fail) = bench.hold_and(Some(StoreError::Contention("script".into())));
    let second = bench.say("2").await;
    here.await.unwrap();
    let third = bench.say("3").await;
    // It is out of the mailbox before the second fails.
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    fail.send(()).unwrap();
    assert_eq!(outcome(second).await, Err(Fault::Unavailable.into()));
    // Nothing would keep it from being stored, had it been tried.
    assert_eq!(outcome(third).await, Err(Fault::Unavailable.into()));
}

#[actix::test]
async fn a_row_the_database_refuses_fails_alone() {
    let bench = Bench::new(|_| {}).await;
    let (here, go) = bench.hold();
    let first = bench.say("1").await;
    here.await.unwrap();
    let row = || Scene::Fails(StoreError::RowRefused("value"));
    // The batch of three; then one by one: the second is the one at fault.
    bench.lane.script([row(), Scene::Well, row(), Scene::Well]);
    let (a, b, c) = (bench.say("a").await, bench.say("b").await, bench.say("c").await);
    go.send(()).unwrap();
    assert_eq!(seqs(outcome(first).await), [1]);
    assert_eq!(seqs(outcome(a).await), [2]);
    assert_eq!(outcome(b).await, Err(Fault::BadRequest.into()));
    assert_eq!(seqs(outcome(c).await), [3]);
}

#[actix::test]
async fn within_a_run_only_the_row_at_fault_is_refused() {
    let bench = Bench::new(|_| {}).await;
    let row = || Scene::Fails(StoreError::RowRefused("value"));
    bench.lane.script([row(), row(), Scene::Well, row(), Scene::Well]);
    let run = bench.append(vec![post(bench.ann, "a"), post(bench.ann, "b"), post(bench.ann, "c")]).await;
    let Ok(AppendOutcome::Done { posts, .. }) = outcome(run).await else { panic!() };
    assert!(
        matches!(&posts[..], [PostOutcome::Stored(a), PostOutcome::Refused(Refusal { fault: Fault::BadRequest, .. }), PostOutcome::Stored(c)]
        if a.seq.0 == 1 && c.seq.0 == 2)
    );
}

#[actix::test]
async fn a_panic_of_the_actor_spares_the_batch_in_flight() {
    let bench = Bench::new(|_| {}).await;
    let (here, go) = bench.hold();
    let in_flight = bench.say("1").await;
    here.await.unwrap();
    let waiting = bench.say("2").await;
    bench.persistence.strike();
    assert_eq!(outcome(waiting).await, Err(Fault::Unavailable.into()), "certainly not stored");
    let after = bench.say("3").await;
    go.send(()).unwrap();
    assert_eq!(seqs(outcome(in_flight).await), [1]);
    assert_eq!(seqs(outcome(after).await), [2]);
}

#[actix::test]
async fn a_panic_beside_the_transaction_leaves_the_outcome_unknown_and_the_actor_at_work() {
    let bench = Bench::new(|_| {}).await;
    bench.lane.script([Scene::Panics]);
    assert_eq!(outcome(bench.say("1").await).await, Err(Fault::OutcomeUnknown.into()));
    assert_eq!(seqs(outcome(bench.say("2").await).await), [1]);
}

#[actix::test]
async fn a_full_queue_answers_busy() {
    let bench = Bench::new(|settings| settings.queue_max = 2).await;
    let (here, go) = bench.hold();
    let first = bench.say("1").await;
    here.await.unwrap();
    let queued = bench.append(vec![post(bench.ann, "2"), post(bench.ann, "3")]).await;
    let refused = outcome(bench.say("4").await).await.unwrap_err();
    assert!(refused.fault == Fault::Busy && refused.retry_after.is_some());
    go.send(()).unwrap();
    assert_eq!(seqs(outcome(first).await), [1]);
    assert_eq!(seqs(outcome(queued).await), [2, 3]);
}

#[actix::test]
async fn draining_waits_for_the_last_commit() {
    let bench = Bench::new(|_| {}).await;
    let (here, go) = bench.hold();
    let first = bench.say("1").await;
    here.await.unwrap();
    let mut drain = Box::pin(bench.persistence.drain());
    assert!(futures_util::poll!(&mut drain).is_pending());
    go.send(()).unwrap();
    timeout(PATIENCE, drain).await.unwrap();
    assert_eq!(seqs(outcome(first).await), [1]);
}

#[actix::test]
async fn what_nobody_waits_for_is_stored_behind_the_posts_that_came_after_it() {
    let bench = Bench::new(|_| {}).await;
    let [(here, go), (second_here, second_go), (third_here, third_go)] = std::array::from_fn(|_| bench.hold());
    let first = bench.say("1").await;
    here.await.unwrap();
    let nothing = EndMemberships { room: bench.room, people_max: 1 };
    let mut idle = Box::pin(bench.persistence.run_in_background(Key::User(bench.bob), nothing));
    let second = bench.say("2").await;
    go.send(()).unwrap();
    assert_eq!(seqs(outcome(first).await), [1]);
    second_here.await.unwrap();
    second_go.send(()).unwrap();
    third_here.await.unwrap();
    assert!(futures_util::poll!(&mut idle).is_pending(), "it went before a post");
    assert_eq!(seqs(outcome(second).await), [2]);
    third_go.send(()).unwrap();
    timeout(PATIENCE, idle).await.unwrap().unwrap().unwrap();
}
