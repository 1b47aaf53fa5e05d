//! The supervision tree: what happens when an actor panics, and who hears of it.
//!
//! Purpose: a panic costs the unfinished requests of one actor and nothing else (I8). The actor keeps its address and its
//! mailbox and starts again, up to a limit; past the limit its supervisor is told, and past the root's limit the process
//! leaves for its host to start it anew.
//!
//! Reading order: [`policy`] decides (pure), [`mod@panic`] catches and describes, [`mailbox`] counts and bounds what waits (I4),
//! [`supervisor`] carries decisions out for one actor, [`record`] is what is known of it, [`tree`] joins supervisors up to the
//! root, [`reply`] makes every question come to an answer.
//!
//! Neighbours: every module with actors is above this one and hands in its own.
//! Invariants: no panic leaves [`supervisor`]; the root fails at most once; a record lives exactly as long as its actor.
//! Must not know: what any child does, its messages, the wire, the store, wall-clock time.
//!
//! ```
//! use std::time::Duration;
//! use actix::{Actor, Context, Handler, Message, Supervised};
//! use hubbub::supervision::mailbox::Queued;
//! use hubbub::supervision::policy::{RestartClass, RestartPolicy};
//! use hubbub::supervision::reply::{Dropped, ReplyTo, reply};
//! use hubbub::supervision::supervisor::ChildSpec;
//! use hubbub::supervision::tree::Supervisor;
//!
//! struct Counter { count: u32 }
//!
//! impl Actor for Counter {
//!     type Context = Context<Self>;
//! }
//!
//! impl Supervised for Counter {
//!     fn restarting(&mut self, _: &mut Self::Context) {
//!         self.count = 0;
//!     }
//! }
//!
//! #[derive(Message)]
//! #[rtype(result = "()")]
//! struct Add { amount: u32, reply_to: ReplyTo<u32> }
//!
//! impl Handler<Queued<Add>> for Counter {
//!     type Result = ();
//!
//!     fn handle(&mut self, queued: Queued<Add>, _: &mut Self::Context) {
//!         let Add { amount, reply_to } = queued.open();
//!         self.count = self.count.checked_add(amount).expect("the sum fits");
//!         reply_to.send(self.count);
//!     }
//! }
//!
//! # actix::System::new().block_on(async {
//! let policy = RestartPolicy::new(RestartClass::Transient, 3, Duration::from_secs(10));
//! let (root, _failure) = Supervisor::root("node", policy);
//! let counters = root.supervisor("counters", policy);
//! let spec = ChildSpec { kind: "counter", name: "1".into(), policy, mailbox_capacity: 16 };
//! let counter = counters.spawn(spec, |_| Counter { count: 0 });
//!
//! let add = |amount| {
//!     let (reply_to, answer) = reply();
//!     counter.try_send(Add { amount, reply_to }).expect("room in the mailbox");
//!     answer
//! };
//! assert_eq!(add(u32::MAX).await, Ok(u32::MAX));
//! assert_eq!(add(1).await, Err(Dropped)); // It panicked, was restarted, and takes messages again.
//! assert_eq!(add(7).await, Ok(7));
//! assert_eq!(root.snapshot()[0].path, "node/counters/1");
//! # });
//! ```

pub mod mailbox;
pub mod panic;
pub mod policy;
pub mod record;
pub mod reply;
pub mod supervisor;
pub mod tree;
