//! Every place a panic can strike, on an actor made to be struck. Time is paused: a deadline costs none.

use std::cell::Cell;
use std::rc::Rc;

use actix::{ActorContext, ActorFutureExt, Handler, Message, Running, WrapFuture};
use tokio::time::timeout;

use super::*;
use crate::supervision::mailbox::Queued;
use crate::supervision::reply::{Answer, Dropped, ReplyTo, reply};
use crate::supervision::tree::RootFailure;

mod limits;

const DEADLINE: Duration = Duration::from_secs(60);
const SECOND: Duration = Duration::from_secs(1);
const CAPACITY: u32 = 8;

/// What the next life-cycle calls will do, and what the past ones did. Outlives every restart.
#[derive(Default)]
struct Script {
    panics_in_started: Cell<u32>,
    panics_in_restarting: Cell<u32>,
    panics_in_stopped: Cell<u32>,
    started: Cell<u32>,
    stopped: Cell<u32>,
}

struct Victim {
    script: Rc<Script>,
    /// Questions kept open, as an actor keeps those whose answer depends on a neighbour.
    open: Vec<ReplyTo<u32>>,
    wait_in_start: Option<Answer<()>>,
}

fn strike(countdown: &Cell<u32>, text: &'static str) {
    if let Some(left) = countdown.get().checked_sub(1) {
        countdown.set(left);
        std::panic::panic_any(text);
    }
}

impl Actor for Victim {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.script.started.set(self.script.started.get() + 1);
        strike(&self.script.panics_in_started, "struck in started");
        if let Some(gate) = self.wait_in_start.take() {
            ctx.wait(gate.into_actor(self).map(|_, _, _| ()));
        }
    }

    fn stopping(&mut self, _: &mut Self::Context) -> Running {
        Running::Stop
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        self.script.stopped.set(self.script.stopped.get() + 1);
        strike(&self.script.panics_in_stopped, "struck in stopped");
    }
}

impl Supervised for Victim {
    fn restarting(&mut self, _: &mut Self::Context) {
        self.open.clear();
        strike(&self.script.panics_in_restarting, "struck in restarting");
    }
}

#[derive(Debug)]
enum Order {
    Echo(u32, ReplyTo<u32>),
    Hold(ReplyTo<u32>),
    Panic,
    PanicInTimer,
    PanicInFuture(ReplyTo<u32>),
    PanicInWait,
    Stop,
}

impl Message for Order {
    type Result = ();
}

impl Handler<Queued<Order>> for Victim {
    type Result = ();

    fn handle(&mut self, queued: Queued<Order>, ctx: &mut Self::Context) {
        match queued.open() {
            Order::Echo(number, reply_to) => reply_to.send(number),
            Order::Hold(reply_to) => self.open.push(reply_to),
            Order::Panic => panic!("struck in a handler"),
            Order::PanicInTimer => {
                ctx.run_later(SECOND, |_, _| panic!("struck in a timer"));
            }
            Order::PanicInFuture(reply_to) => {
                let work = tokio::task::yield_now();
                ctx.spawn(work.into_actor(self).map(move |(), _, _| {
                    let _open = reply_to;
                    panic!("struck in a future")
                }));
            }
            Order::PanicInWait => {
                let work = async { panic!("struck in a wait") };
                ctx.wait(work.into_actor(self));
            }
            Order::Stop => ctx.stop(),
        }
    }
}

struct Stage {
    root: Supervisor,
    failure: RootFailure,
    script: Rc<Script>,
}

impl Stage {
    /// A stage whose root bears `root_limit` failures.
    fn new(root_limit: u32) -> Self {
        tokio::time::pause();
        let policy = RestartPolicy::new(RestartClass::Permanent, root_limit, DEADLINE);
        let (root, failure) = Supervisor::root("node", policy);
        let script = Rc::default();
        Self { root, failure, script }
    }

    fn spawn(&self, name: &str, policy: RestartPolicy) -> Mailbox<Victim> {
        self.spawn_below(&self.root, name, policy, None)
    }

    fn spawn_below(
        &self,
        supervisor: &Supervisor,
        name: &str,
        policy: RestartPolicy,
        wait_in_start: Option<Answer<()>>,
    ) -> Mailbox<Victim> {
        let spec = ChildSpec { kind: "victim", name: name.into(), policy, mailbox_capacity: CAPACITY };
        supervisor.spawn(spec, |_| Victim { script: Rc::clone(&self.script), open: Vec::new(), wait_in_start })
    }

    fn has_failed(&mut self) -> bool {
        let wait = std::pin::pin!(self.failure.wait());
        wait.poll(&mut Task::from_waker(std::task::Waker::noop())).is_ready()
    }

    /// Lets everything run that can run without time passing.
    async fn settle(&self) {
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }
}

fn transient(max_restarts: u32) -> RestartPolicy {
    RestartPolicy::new(RestartClass::Transient, max_restarts, DEADLINE)
}

fn permanent(max_restarts: u32) -> RestartPolicy {
    RestartPolicy::new(RestartClass::Permanent, max_restarts, DEADLINE)
}

fn give(victim: &Mailbox<Victim>, order: Order) {
    victim.try_send(order).unwrap();
}

fn ask(victim: &Mailbox<Victim>, order: impl FnOnce(ReplyTo<u32>) -> Order) -> Answer<u32> {
    let (reply_to, answer) = reply();
    give(victim, order(reply_to));
    answer
}

async fn by_deadline(answer: Answer<u32>) -> Result<u32, Dropped> {
    timeout(DEADLINE, answer).await.expect("an answer before the deadline")
}

async fn echo(victim: &Mailbox<Victim>, number: u32) -> Result<u32, Dropped> {
    by_deadline(ask(victim, |reply_to| Order::Echo(number, reply_to))).await
}

/// The actor was restarted once, by this panic, and answers again.
async fn assert_restarted(stage: &Stage, victim: &Mailbox<Victim>, text: &str) {
    assert_eq!(echo(victim, 1).await, Ok(1));
    let report = &stage.root.snapshot()[0];
    assert_eq!((report.restarts, report.state), (1, ActorState::Running));
    assert_eq!(report.last_panic.as_ref().unwrap().text(), text);
    assert_eq!(stage.root.panics(), 1);
}

#[actix::test]
async fn a_panic_in_a_handler_is_followed_by_a_restart() {
    let stage = Stage::new(0);
    let victim = stage.spawn("v", transient(1));
    give(&victim, Order::Panic);
    assert_restarted(&stage, &victim, "struck in a handler").await;
    assert_eq!(stage.script.started.get(), 2);
}

#[actix::test]
async fn messages_behind_the_panic_are_kept_and_answered() {
    let stage = Stage::new(0);
    let victim = stage.spawn("v", transient(1));
    give(&victim, Order::Panic);
    let behind = [5, 6].map(|number| ask(&victim, |reply_to| Order::Echo(number, reply_to)));
    for (answer, number) in behind.into_iter().zip([5, 6]) {
        assert_eq!(by_deadline(answer).await, Ok(number));
    }
}

#[actix::test]
async fn a_panic_in_a_timer_is_followed_by_a_restart() {
    let stage = Stage::new(0);
    let victim = stage.spawn("v", transient(1));
    give(&victim, Order::PanicInTimer);
    tokio::time::sleep(2 * SECOND).await;
    assert_restarted(&stage, &victim, "struck in a timer").await;
}

#[actix::test]
async fn a_panic_in_an_actor_future_is_followed_by_a_restart() {
    let stage = Stage::new(0);
    let victim = stage.spawn("v", transient(1));
    let inside = ask(&victim, Order::PanicInFuture);
    assert_eq!(by_deadline(inside).await, Err(Dropped));
    assert_restarted(&stage, &victim, "struck in a future").await;
}

#[actix::test]
async fn a_panic_in_an_awaited_future_is_followed_by_a_restart() {
    let stage = Stage::new(0);
    let victim = stage.spawn("v", transient(1));
    give(&victim, Order::PanicInWait);
    assert_restarted(&stage, &victim, "struck in a wait").await;
}

#[actix::test]
async fn a_panic_in_started_is_followed_by_a_restart() {
    let stage = Stage::new(0);
    stage.script.panics_in_started.set(1);
    let victim = stage.spawn("v", transient(1));
    assert_restarted(&stage, &victim, "struck in started").await;
}

#[actix::test]
async fn a_panic_in_restarting_counts_as_one_more() {
    let stage = Stage::new(0);
    let victim = stage.spawn("v", transient(2));
    stage.script.panics_in_restarting.set(1);
    give(&victim, Order::Panic);
    assert_eq!(echo(&victim, 1).await, Ok(1));
    assert_eq!(stage.root.panics(), 2);
    assert_eq!(stage.script.started.get(), 2);
}

#[actix::test]
async fn restarting_that_always_panics_ends_at_the_limit() {
    let mut stage = Stage::new(0);
    let victim = stage.spawn("v", transient(3));
    stage.script.panics_in_restarting.set(u32::MAX);
    give(&victim, Order::Panic);
    assert_eq!(timeout(DEADLINE, stage.failure.wait()).await.unwrap().path, "node/v");
    assert_eq!(stage.root.panics(), 4);
    assert!(!victim.is_open());
}

#[actix::test]
async fn a_panic_in_stopped_after_a_stop_aborts_nothing() {
    let stage = Stage::new(0);
    let victim = stage.spawn("v", RestartPolicy::TEMPORARY);
    stage.script.panics_in_stopped.set(1);
    give(&victim, Order::Stop);
    stage.settle().await;
    assert!(!victim.is_open());
    assert_eq!(stage.root.panics(), 1);
}

#[actix::test]
async fn a_panic_in_stopped_after_a_panic_aborts_nothing() {
    let stage = Stage::new(0);
    let victim = stage.spawn("v", RestartPolicy::TEMPORARY);
    stage.script.panics_in_stopped.set(1);
    give(&victim, Order::Panic);
    stage.settle().await;
    assert_eq!(stage.script.stopped.get(), 1);
    assert_eq!(stage.root.panics(), 2);
    assert!(stage.root.is_empty());
}

#[actix::test]
async fn open_questions_are_answered_dropped_before_the_pause() {
    let stage = Stage::new(0);
    let pause = 30 * SECOND;
    let victim = stage.spawn("v", transient(1).with_backoff(pause, pause));
    let open = ask(&victim, Order::Hold);
    give(&victim, Order::Panic);
    let begin = Instant::now();
    assert_eq!(by_deadline(open).await, Err(Dropped));
    assert_eq!(begin.elapsed(), Duration::ZERO);
}

#[actix::test]
async fn messages_wait_bounded_while_the_restart_is_delayed() {
    let stage = Stage::new(0);
    let policy = transient(2).with_backoff(SECOND, 10 * SECOND);
    let victim = stage.spawn("v", policy);
    give(&victim, Order::Panic);
    stage.settle().await;
    let report = &stage.root.snapshot()[0];
    assert_eq!(report.state, ActorState::Restarting);
    let answers: Vec<_> = (0..CAPACITY).map(|number| ask(&victim, |reply_to| Order::Echo(number, reply_to))).collect();
    assert_eq!(stage.root.snapshot()[0].mailbox_depth, CAPACITY);
    let refused = victim.try_send(Order::Stop);
    assert!(matches!(refused, Err(actix::dev::SendError::Full(Order::Stop))));

    let begin = Instant::now();
    for (number, answer) in (0..).zip(answers) {
        assert_eq!(by_deadline(answer).await, Ok(number));
    }
    assert!(begin.elapsed() >= SECOND && begin.elapsed() < 2 * SECOND);
    assert_eq!(stage.root.snapshot()[0].mailbox_depth, 0);

    give(&victim, Order::Panic);
    let begin = Instant::now();
    assert_eq!(echo(&victim, 1).await, Ok(1));
    assert!(begin.elapsed() >= 2 * SECOND, "the second pause is longer");
}

#[actix::test]
async fn clones_of_a_mailbox_share_one_bound() {
    let stage = Stage::new(0);
    let (_gate, closed) = reply();
    let victim = stage.spawn_below(&stage.root, "v", transient(0), Some(closed));
    let sent = (0..1000).filter(|_| victim.clone().try_send(Order::Panic).is_ok()).count();
    assert_eq!(sent, CAPACITY as usize);
}

#[actix::test]
async fn a_postbox_shares_the_bound_of_its_mailbox() {
    let stage = Stage::new(0);
    let victim = stage.spawn("v", transient(0));
    let postbox = victim.post_to::<Order>();
    let (reply_to, answer) = reply();
    postbox.try_send(Order::Echo(3, reply_to)).unwrap();
    assert_eq!(victim.gauge().depth(), 1);
    assert_eq!(by_deadline(answer).await, Ok(3));
    assert_eq!(victim.gauge().depth(), 0);
}

#[actix::test]
async fn a_permanent_actor_that_nobody_writes_to_begins_again_too() {
    let stage = Stage::new(0);
    let victim = stage.spawn("v", permanent(1));
    give(&victim, Order::PanicInTimer);
    drop(victim);
    stage.settle().await;
    tokio::time::sleep(2 * SECOND).await;
    assert_eq!((stage.root.panics(), stage.script.started.get()), (1, 2));
    assert_eq!(stage.root.len(), 1);
}

#[actix::test]
async fn a_temporary_actor_is_not_restarted_and_concerns_nobody() {
    let mut stage = Stage::new(0);
    let neighbour = stage.spawn("neighbour", transient(0));
    let victim = stage.spawn("v", RestartPolicy::TEMPORARY);
    let open = ask(&victim, Order::Hold);
    give(&victim, Order::Panic);
    let behind = ask(&victim, |reply_to| Order::Echo(1, reply_to));
    assert_eq!(by_deadline(open).await, Err(Dropped));
    assert_eq!(by_deadline(behind).await, Err(Dropped));
    assert_eq!(stage.script.started.get(), 2, "once each");
    assert_eq!(stage.root.panics(), 1);
    assert!(!stage.has_failed());
    assert_eq!(echo(&neighbour, 1).await, Ok(1));
    assert_eq!(stage.root.len(), 1);
}

#[actix::test]
async fn a_closed_mailbox_gives_the_message_back() {
    let stage = Stage::new(0);
    let victim = stage.spawn("v", RestartPolicy::TEMPORARY);
    give(&victim, Order::Stop);
    stage.settle().await;
    let refused = victim.try_send(Order::Panic);
    assert!(matches!(refused, Err(actix::dev::SendError::Closed(Order::Panic))));
    assert_eq!(victim.gauge().depth(), 0);
}

#[actix::test]
async fn other_actors_on_the_arbiter_are_unaffected() {
    let stage = Stage::new(0);
    let other = stage.spawn("other", transient(0));
    let kept = ask(&other, Order::Hold);
    let victim = stage.spawn("v", transient(100));
    for _ in 0..50 {
        give(&victim, Order::Panic);
        stage.settle().await;
    }
    assert_eq!(echo(&other, 2).await, Ok(2));
    let other = &stage.root.snapshot()[0];
    assert_eq!((other.path.as_str(), other.restarts), ("node/other", 0));
    assert!(timeout(SECOND, kept).await.is_err(), "its question is still open");
}

/// Wants a timer as it starts.
struct Ticking;

impl Actor for Ticking {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_interval(SECOND, |_, _| ());
    }
}

impl Supervised for Ticking {}

#[test]
fn an_actor_that_was_never_polled_ends_with_its_arbiter_without_a_panic() {
    let system = actix::System::new();
    let (root, _failure) = system.block_on(async {
        let (root, failure) = Supervisor::root("root", RestartPolicy::TEMPORARY);
        let spec = ChildSpec { kind: "ticking", name: "one".into(), policy: RestartPolicy::TEMPORARY, mailbox_capacity: 1 };
        drop(root.spawn(spec, |_| Ticking));
        (root, failure)
    });
    drop(system);
    assert_eq!(root.panics(), 0);
}
