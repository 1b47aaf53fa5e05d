//! The posts of one bot to one room that have no final answer yet: what to send next, what to send again, in which order (I1, I3).
//!
//! Pure: no socket, no clock of its own. The rules are those any careful client follows: the same `client_id` on every retry, nothing
//! behind a refused post before that one is sent again, `after` names the unanswered post before.

use std::collections::VecDeque;
use std::time::Instant;
use uuid::Uuid;

/// A post without a final answer.
#[derive(Debug)]
struct Pending {
    n: u32,
    client_id: Uuid,
    text: String,
    thread: Option<u64>,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// To be sent.
    Waiting,
    /// Sent on this connection, no answer yet.
    Sent,
    /// Refused as retryable; to be sent again when nothing sent is left unanswered.
    Refused,
}

/// What to put on the wire.
#[derive(Debug, PartialEq, Eq)]
pub struct ToSend<'a> {
    pub n: u32,
    pub client_id: Uuid,
    pub text: &'a str,
    /// It is said in this thread.
    pub thread: Option<u64>,
    /// The post before it, when that has no answer yet.
    pub after: Option<Uuid>,
}

/// The queue, oldest first.
#[derive(Debug, Default)]
pub struct Posts {
    queue: VecDeque<Pending>,
    /// How many are [`Stage::Sent`].
    sent: usize,
    /// How many are [`Stage::Refused`].
    refused: usize,
    /// Nothing is sent before, as the last refusal asked.
    hold: Option<Instant>,
}

impl Posts {
    /// Adds a post that is to follow all others.
    pub fn push(&mut self, n: u32, client_id: Uuid, text: String, thread: Option<u64>) {
        self.queue.push_back(Pending { n, client_id, text, thread, stage: Stage::Waiting });
    }

    /// How many have no final answer.
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// When a refusal allows the next attempt, if that is still to come. Once it has passed, the next answer sets things going.
    pub fn held_until(&self, now: Instant) -> Option<Instant> {
        self.hold.filter(|until| *until > now && !self.queue.is_empty())
    }

    /// The next post to put on the wire, marked as sent; `None` while `limit` are unanswered or a refusal must be waited out.
    pub fn next(&mut self, limit: usize, now: Instant) -> Option<ToSend<'_>> {
        if self.sent >= limit || self.hold.is_some_and(|until| until > now) {
            return None;
        }
        if self.refused > 0 {
            // Later posts must not overtake: first every answer of this round, then all again from the front.
            if self.sent > 0 {
                return None;
            }
            self.queue.iter_mut().for_each(|post| post.stage = Stage::Waiting);
            self.refused = 0;
        }
        self.hold = None;
        let place = self.queue.partition_point(|post| post.stage == Stage::Sent);
        let before = place.checked_sub(1).and_then(|before| self.queue.get(before)).map(|post| post.client_id);
        let post = self.queue.get_mut(place)?;
        post.stage = Stage::Sent;
        self.sent += 1;
        Some(ToSend { n: post.n, client_id: post.client_id, text: &post.text, thread: post.thread, after: before })
    }

    /// `n` has its final answer, good or bad; false when it was not pending.
    pub fn answered(&mut self, n: u32) -> bool {
        let Some(place) = self.place(n) else { return false };
        match self.queue.remove(place).map(|post| post.stage) {
            Some(Stage::Sent) => self.sent -= 1,
            Some(Stage::Refused) => self.refused -= 1,
            _ => {}
        }
        true
    }

    /// `n` was refused but may succeed later, not before `until`.
    pub fn refused(&mut self, n: u32, until: Instant) {
        if let Some(post) = self.place(n).and_then(|place| self.queue.get_mut(place))
            && post.stage == Stage::Sent
        {
            post.stage = Stage::Refused;
            self.sent -= 1;
            self.refused += 1;
            self.hold = Some(self.hold.map_or(until, |held| held.max(until)));
        }
    }

    /// The connection is gone: what was sent and not answered may be stored or not, and is sent again with the same `client_id`.
    pub fn disconnected(&mut self) {
        self.queue.iter_mut().for_each(|post| post.stage = Stage::Waiting);
        (self.sent, self.refused, self.hold) = (0, 0, None);
    }

    fn place(&self, n: u32) -> Option<usize> {
        self.queue.iter().position(|post| post.n == n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn posts(count: u32) -> Posts {
        let mut posts = Posts::default();
        for n in 0..count {
            posts.push(n, Uuid::from_u128(u128::from(n) + 1), String::new(), None);
        }
        posts
    }

    fn drain(posts: &mut Posts, limit: usize, now: Instant) -> Vec<(u32, Option<u128>)> {
        std::iter::from_fn(|| posts.next(limit, now).map(|post| (post.n, post.after.map(|id| id.as_u128())))).collect()
    }

    #[test]
    fn posts_go_out_in_order_up_to_the_limit_and_name_the_unanswered_before() {
        let (mut posts, now) = (posts(4), Instant::now());
        assert_eq!(drain(&mut posts, 3, now), [(0, None), (1, Some(1)), (2, Some(2))]);
        assert!(posts.answered(0));
        assert_eq!(drain(&mut posts, 3, now), [(3, Some(3))]);
        assert!(!posts.answered(0));
        assert_eq!(posts.len(), 3);
    }

    #[test]
    fn after_a_refusal_everything_behind_waits_and_goes_again_in_order() {
        let (mut posts, now) = (posts(4), Instant::now());
        let later = now + Duration::from_millis(250);
        drain(&mut posts, 3, now);
        posts.refused(0, later);
        assert_eq!(drain(&mut posts, 3, later), [], "two answers are still to come");
        posts.refused(1, now);
        posts.refused(2, now);
        assert_eq!(drain(&mut posts, 3, now), [], "the server asked to wait");
        assert_eq!(posts.held_until(now), Some(later));
        assert_eq!(drain(&mut posts, 2, later), [(0, None), (1, Some(1))]);
    }

    #[test]
    fn a_final_refusal_lets_the_next_go_first() {
        let (mut posts, now) = (posts(2), Instant::now());
        drain(&mut posts, 9, now);
        assert!(posts.answered(0));
        posts.refused(1, now);
        assert_eq!(drain(&mut posts, 9, now), [(1, None)]);
    }

    #[test]
    fn a_lost_connection_sends_the_unanswered_again() {
        let (mut posts, now) = (posts(3), Instant::now());
        drain(&mut posts, 2, now);
        assert!(posts.answered(0));
        posts.disconnected();
        assert_eq!(drain(&mut posts, 9, now), [(1, None), (2, Some(2))]);
    }
}
