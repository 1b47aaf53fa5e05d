//! Turns: edits of one message go one after the other, in the order in which they came.
//!
//! An edit may have to wait before it is carried out, for the filter hook or for the names it mentions, and a later one may not: without turns it
//! would come first, and the older text would stay. Must not know: what is done in a turn.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, Weak};

use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::domain::ids::{RoomId, UserId};
use crate::domain::order::Seq;

/// A message and who edits it: whoever may not would else hold up who may.
type Line = (RoomId, Seq, UserId);

/// The lines that somebody stands in. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Turns(Arc<std::sync::Mutex<Lines>>);

#[derive(Debug, Default)]
struct Lines {
    lines: HashMap<Line, Weak<Mutex<()>>>,
    /// At so many those are thrown away in which nobody stands.
    sweep_at: usize,
}

/// At fewer lines none is looked for to be thrown away.
const SWEPT_MIN: usize = 64;

impl Turns {
    /// Waits for all who asked earlier, and holds the turn until what comes back is dropped.
    pub(super) async fn take(&self, of: Line) -> OwnedMutexGuard<()> {
        // It serves in the order in which it was asked.
        self.line(of).lock_owned().await
    }

    fn line(&self, of: Line) -> Arc<Mutex<()>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(line) = all.lines.get(&of).and_then(Weak::upgrade) {
            return line;
        }
        if all.lines.len() >= all.sweep_at {
            all.lines.retain(|_, line| line.strong_count() > 0);
            all.sweep_at = (all.lines.len() * 2).max(SWEPT_MIN);
        }
        let line = Arc::default();
        all.lines.insert(of, Arc::downgrade(&line));
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    fn line(seq: u64) -> Line {
        (RoomId::generate(), Seq(seq), UserId::generate())
    }

    #[test]
    fn a_turn_comes_when_the_one_before_it_is_over_and_in_the_order_of_asking() {
        let (turns, here) = (Turns::default(), line(1));
        let first = turns.take(here).now_or_never().expect("nobody was before");
        let (mut second, mut third) = (Box::pin(turns.take(here)), Box::pin(turns.take(here)));
        assert!((&mut second).now_or_never().is_none() && (&mut third).now_or_never().is_none());
        assert!(turns.take(line(2)).now_or_never().is_some(), "another message is another line");
        drop(first);
        assert!((&mut third).now_or_never().is_none(), "it is not its turn");
        let turn = (&mut second).now_or_never().expect("its turn");
        drop(turn);
        assert!((&mut third).now_or_never().is_some());
    }

    #[test]
    fn who_gives_up_waiting_holds_up_nobody() {
        let (turns, here) = (Turns::default(), line(1));
        let first = turns.take(here).now_or_never();
        let (mut second, mut third) = (Box::pin(turns.take(here)), Box::pin(turns.take(here)));
        assert!((&mut second).now_or_never().is_none() && (&mut third).now_or_never().is_none());
        drop(second);
        drop(first);
        assert!((&mut third).now_or_never().is_some());
    }

    #[test]
    fn lines_that_nobody_stands_in_are_thrown_away() {
        let turns = Turns::default();
        let held = turns.take(line(1)).now_or_never();
        for _ in 0..10 * SWEPT_MIN {
            turns.take(line(1)).now_or_never();
        }
        assert!(turns.0.lock().unwrap().lines.len() <= SWEPT_MIN);
        drop(held);
    }
}
