//! An answer that stays true when nobody gives it.
//!
//! Purpose: whoever carries a write on its way to the store may panic; then the write's answer is dropped, and says by itself whether
//! the write may have been stored (I8, I9). Invariant: dropped before [`Owed::stake`] it says *unavailable* (certainly not stored),
//! after it *outcome unknown*. Must not know: what is written.

use crate::domain::fault::{Fault, Refusal};
use crate::faults;
use crate::supervision::reply::ReplyTo;

/// An answer that is owed: given once, or by dropping it.
#[derive(Debug)]
pub struct Owed<T> {
    reply_to: Option<ReplyTo<Result<T, Refusal>>>,
    at_stake: bool,
}

impl<T> Owed<T> {
    /// Owed to whoever waits at `reply_to`.
    #[must_use]
    pub const fn new(reply_to: ReplyTo<Result<T, Refusal>>) -> Self {
        Self { reply_to: Some(reply_to), at_stake: false }
    }

    /// From here on it may be stored.
    pub const fn stake(&mut self) {
        self.at_stake = true;
    }

    /// Answers.
    pub fn settle(mut self, answer: Result<T, Refusal>) {
        if let Some(reply_to) = self.reply_to.take() {
            reply_to.send(answer);
        }
    }
}

impl<T> Drop for Owed<T> {
    fn drop(&mut self) {
        if let Some(reply_to) = self.reply_to.take() {
            if faults::hit("owed.silent") {
                // The breach of I8: whoever waits, waits for ever.
                return std::mem::forget(reply_to);
            }
            let fault = if self.at_stake { Fault::OutcomeUnknown } else { Fault::Unavailable };
            reply_to.send(Err(fault.into()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::supervision::reply::reply;

    #[tokio::test]
    async fn a_dropped_write_is_unavailable_until_it_may_be_stored() {
        let (reply_to, answer) = reply::<Result<(), Refusal>>();
        drop(Owed::new(reply_to));
        assert_eq!(answer.await, Ok(Err(Fault::Unavailable.into())));

        let (reply_to, answer) = reply::<Result<(), Refusal>>();
        let mut owed = Owed::new(reply_to);
        owed.stake();
        drop(owed);
        assert_eq!(answer.await, Ok(Err(Fault::OutcomeUnknown.into())));
    }
}
