//! An answer that comes exactly once.
//!
//! Purpose: whoever is asked holds a [`ReplyTo`], whoever asks holds the [`Answer`]. If the one asked panics, stops, or
//! forgets, its `ReplyTo` is dropped and the asker hears [`Dropped`] at once (I8): no question stays open and no timer is
//! needed to notice. Neighbours: messages of all actors carry a `ReplyTo`; askers map `Dropped` to the fault *unavailable*.
//! Invariant: one `ReplyTo` makes exactly one outcome. Must not know: what is asked or who asks.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::oneshot;

/// A question and where its answer will come: hand out the first, await the second.
pub fn reply<T>() -> (ReplyTo<T>, Answer<T>) {
    let (sender, receiver) = oneshot::channel();
    (ReplyTo { sender }, Answer { receiver })
}

/// The right and the duty to answer once; dropping it answers [`Dropped`].
#[must_use = "dropping this answers that the question was dropped"]
pub struct ReplyTo<T> {
    sender: oneshot::Sender<T>,
}

impl<T> ReplyTo<T> {
    /// Answers. An asker who is gone has lost interest, which is no error of the one who answers.
    pub fn send(self, answer: T) {
        drop(self.sender.send(answer));
    }

    /// Whether the asker is gone, so that work for it may be spared. It may go at any later time.
    pub fn is_abandoned(&self) -> bool {
        self.sender.is_closed()
    }
}

impl<T> fmt::Debug for ReplyTo<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReplyTo")
    }
}

/// The answer to come. Dropping it says that nobody waits any more.
#[must_use = "an answer is worth awaiting"]
pub struct Answer<T> {
    receiver: oneshot::Receiver<T>,
}

impl<T> Future for Answer<T> {
    type Output = Result<T, Dropped>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.receiver).poll(cx).map_err(|_| Dropped)
    }
}

impl<T> fmt::Debug for Answer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Answer")
    }
}

/// The question was dropped without an answer: whoever was asked panicked, stopped, or was replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the question was dropped without an answer")]
pub struct Dropped;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_answer_arrives() {
        let (reply_to, answer) = reply();
        reply_to.send(7);
        assert_eq!(answer.await, Ok(7));
    }

    #[tokio::test]
    async fn a_dropped_question_answers_dropped() {
        let (reply_to, answer) = reply::<u8>();
        drop(reply_to);
        assert_eq!(answer.await, Err(Dropped));
    }

    #[tokio::test]
    async fn the_answer_outlives_the_thread_that_gave_it() {
        let (reply_to, answer) = reply();
        std::thread::spawn(move || reply_to.send("done")).join().unwrap();
        assert_eq!(answer.await, Ok("done"));
    }

    #[test]
    fn a_question_without_asker_is_abandoned_and_may_still_be_answered() {
        let (reply_to, answer) = reply();
        assert!(!reply_to.is_abandoned());
        drop(answer);
        assert!(reply_to.is_abandoned());
        reply_to.send(());
    }
}
