//! The notifier: one per node, permanent, on the core arbiter. It takes no messages: it looks at the queue whenever a room says so, and every
//! `notify.check`, because what a room says may be lost; the queue itself is in the store.

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, AsyncContext, Context, Supervised, WrapFuture};

use super::work::Parts;
use crate::store::notifications::queue;
use crate::supervision::policy::RestartPolicy;
use crate::supervision::supervisor::ChildSpec;
use crate::supervision::tree::Supervisor;
use crate::telemetry::metrics as names;

/// From the first message that may notify somebody until the work begins: its author has the answer by then, and of what comes with it more is done
/// together.
const GATHERS: Duration = Duration::from_millis(10);

/// So many messages that wait are counted: a longer queue is told as this long.
const COUNTED_MAX: usize = 100_000;

/// Starts the notifier below `supervisor` on the current arbiter.
pub fn start(supervisor: &Supervisor, policy: RestartPolicy, parts: Parts) {
    // It gets no messages.
    let spec = ChildSpec { kind: "notify", name: "notifier".into(), policy, mailbox_capacity: 1 };
    let parts = Arc::new(parts);
    supervisor.spawn(spec, |_| Notifier { parts });
}

struct Notifier {
    parts: Arc<Parts>,
}

impl Actor for Notifier {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.spawn(work(Arc::clone(&self.parts)).into_actor(self));
        ctx.spawn(look(Arc::clone(&self.parts)).into_actor(self));
        ctx.run_interval(self.parts.clean_every, |notifier, ctx| {
            ctx.spawn(Arc::clone(&notifier.parts).clean().into_actor(notifier));
        });
    }
}

impl Supervised for Notifier {}

/// Works for as long as the actor lives.
async fn work(parts: Arc<Parts>) {
    loop {
        if let Err(refusal) = parts.work_off().await {
            tracing::debug!(fault = refusal.fault.row().code, "notifying waits");
        }
        // Whichever comes first.
        tokio::time::timeout(parts.settings.check, parts.notify.next_queued()).await.ok();
        tokio::time::sleep(GATHERS).await;
    }
}

/// Keeps what people wait for up to date, as another process may change it, and shows how many messages wait for it to be done.
async fn look(parts: Arc<Parts>) {
    loop {
        if let Ok(waiting) = parts.store.read(|db| Box::pin(queue::waiting(db, COUNTED_MAX))).await {
            #[expect(clippy::cast_precision_loss, reason = "a gauge need not be exact")]
            metrics::gauge!(names::NOTIFY_WAITING).set(waiting as f64);
        }
        if let Err(error) = parts.notify.refresh(&parts.store).await {
            tracing::warn!(%error, "cannot read for what people want to be notified");
        }
        tokio::time::sleep(parts.settings.refresh).await;
    }
}
