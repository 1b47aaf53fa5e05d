//! The order of one session's posts (I1).
//!
//! Purpose: at most one group of posts is under way per target; what arrives meanwhile gathers into the next group. A refusal that may be
//! retried refuses everything behind it: the rest of its group, what has gathered, and, by their `after`, what is still on the wire.
//! Neighbours: the actor sends groups and brings answers. Invariants: every accepted post is answered once; at most `max` per target wait
//! for an answer (I4). Must not know: rooms, permissions, time.

use crate::domain::fault::{Fault, Refusal};
use crate::domain::ids::{ClientId, RoomId, UserId};
use crate::domain::message::Post;
use std::collections::HashMap;

/// So many targets are remembered for a refusal alone. A client that is refused in more at once should wait for its answers.
const REMEMBERED: usize = 256;

/// Where posts go in order: a room, or a person whose room may not exist yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// A room.
    Room(RoomId),
    /// A person.
    Person(UserId),
}

/// The posts of one session that have no answer yet.
#[derive(Debug, Default)]
pub struct Posting {
    lines: HashMap<Target, Line>,
}

#[derive(Debug, Default)]
struct Line {
    under_way: Vec<Ticket>,
    gathered: Vec<(Ticket, Post)>,
    /// The last post refused with *retry*, as long as none was accepted since: `after` may name it.
    refused: Option<ClientId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ticket {
    reference: u64,
    client_id: ClientId,
}

/// What to do with a post.
#[derive(Debug, PartialEq, Eq)]
pub enum Accepted {
    /// Send this group now.
    Send(Vec<Post>),
    /// It goes with the next group.
    Gathered,
    /// Answer it with this.
    Refused(Refusal),
}

/// What an answered group leads to.
#[derive(Debug, PartialEq, Eq)]
pub struct Answered<T> {
    /// What to reply, by `ref`, in sending order.
    pub replies: Vec<(u64, Result<T, Refusal>)>,
    /// The next group to send.
    pub next: Option<Vec<Post>>,
}

impl Posting {
    /// A post arrives. `count` says whether the sender's rate allows it, and is asked only for posts that fit.
    pub fn accept(
        &mut self,
        target: Target,
        reference: u64,
        post: Post,
        after: Option<ClientId>,
        max: usize,
        count: impl FnOnce() -> Result<(), Refusal>,
    ) -> Accepted {
        if self.lines.len() >= REMEMBERED {
            self.lines.retain(|_, line| !line.under_way.is_empty());
        }
        let line = self.lines.entry(target).or_default();
        let waiting = line.under_way.len() + line.gathered.len();
        let ticket = Ticket { reference, client_id: post.client_id };
        let refusal = if after.is_some() && after == line.refused {
            Some(Fault::PreviousRefused.into())
        } else if waiting >= max {
            Some(Fault::Busy.into())
        } else {
            count().err()
        };
        if let Some(refusal) = refusal {
            line.refused = Some(ticket.client_id);
            return Accepted::Refused(refusal);
        }
        line.refused = None;
        if line.under_way.is_empty() {
            line.under_way.push(ticket);
            Accepted::Send(vec![post])
        } else {
            line.gathered.push((ticket, post));
            Accepted::Gathered
        }
    }

    /// The group under way is answered: each post by itself, or all with one refusal.
    pub fn answered<T>(&mut self, target: Target, answers: Result<Vec<Result<T, Refusal>>, Refusal>) -> Answered<T> {
        let Some(line) = self.lines.get_mut(&target) else {
            return Answered { replies: Vec::new(), next: None };
        };
        let tickets = std::mem::take(&mut line.under_way);
        let mut replies = line.settle(&tickets, answers);
        let retry = replies.iter().any(|(_, answer)| answer.as_ref().is_err_and(|refusal| refusal.fault.row().retry));
        if retry {
            let behind = std::mem::take(&mut line.gathered);
            line.refused = behind.last().map(|(ticket, _)| *ticket).or(tickets.last().copied()).map(|ticket| ticket.client_id);
            replies.extend(behind.into_iter().map(|(ticket, _)| (ticket.reference, Err(Fault::PreviousRefused.into()))));
        }
        let next = line.next_group(target);
        if next.is_none() && line.refused.is_none() {
            self.lines.remove(&target);
        }
        Answered { replies, next }
    }
}

impl Line {
    /// Pairs tickets with answers. Whatever has no answer of its own was not done.
    fn settle<T>(&self, tickets: &[Ticket], answers: Result<Vec<Result<T, Refusal>>, Refusal>) -> Vec<(u64, Result<T, Refusal>)> {
        let (mut answers, otherwise) = match answers {
            Ok(answers) => (answers.into_iter(), Fault::PreviousRefused.into()),
            Err(refusal) => (Vec::new().into_iter(), refusal),
        };
        tickets.iter().map(|ticket| (ticket.reference, answers.next().unwrap_or(Err(otherwise)))).collect()
    }

    fn next_group(&mut self, target: Target) -> Option<Vec<Post>> {
        // A person's room is asked for post by post: the first may make it.
        let size = match target {
            Target::Room(_) => self.gathered.len(),
            Target::Person(_) => self.gathered.len().min(1),
        };
        if size == 0 {
            return None;
        }
        let (tickets, posts) = self.gathered.drain(..size).unzip();
        self.under_way = tickets;
        Some(posts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::text::MessageText;
    use proptest::prelude::*;

    const MAX: usize = 4;

    fn post() -> Post {
        Post::plain(UserId::generate(), ClientId::generate(), MessageText::stored("hi".into()))
    }

    fn room() -> Target {
        Target::Room(RoomId::generate())
    }

    fn busy() -> Refusal {
        Fault::Busy.into()
    }

    struct Sender {
        posting: Posting,
        target: Target,
        reference: u64,
    }

    impl Sender {
        fn new(target: Target) -> Self {
            Self { posting: Posting::default(), target, reference: 0 }
        }

        fn send(&mut self, post: &Post, after: Option<&Post>) -> Accepted {
            self.reference += 1;
            let after = after.map(|post| post.client_id);
            self.posting.accept(self.target, self.reference, post.clone(), after, MAX, || Ok(()))
        }
    }

    #[test]
    fn posts_gather_while_one_is_under_way_and_leave_as_one_group() {
        let mut sender = Sender::new(room());
        let posts = [post(), post(), post()];
        assert_eq!(sender.send(&posts[0], None), Accepted::Send(vec![posts[0].clone()]));
        assert_eq!(sender.send(&posts[1], Some(&posts[0])), Accepted::Gathered);
        assert_eq!(sender.send(&posts[2], Some(&posts[1])), Accepted::Gathered);
        let answered = sender.posting.answered(sender.target, Ok(vec![Ok(())]));
        assert_eq!(answered.replies, [(1, Ok(()))]);
        assert_eq!(answered.next, Some(posts[1..].to_vec()));
        let answered = sender.posting.answered(sender.target, Ok(vec![Ok(()), Ok(())]));
        assert_eq!((answered.replies.len(), answered.next), (2, None));
        assert!(sender.posting.lines.is_empty(), "an idle session keeps nothing");
    }

    #[test]
    fn a_refusal_that_may_be_retried_refuses_all_behind_it_and_on_the_wire() {
        let mut sender = Sender::new(room());
        let posts = [post(), post(), post(), post()];
        sender.send(&posts[0], None);
        sender.send(&posts[1], Some(&posts[0]));
        let answered = sender.posting.answered::<()>(sender.target, Err(busy()));
        assert_eq!(answered.replies, [(1, Err(busy())), (2, Err(Fault::PreviousRefused.into()))]);
        assert_eq!(answered.next, None);
        // Still on the wire when the refusal was sent.
        assert_eq!(sender.send(&posts[2], Some(&posts[1])), Accepted::Refused(Fault::PreviousRefused.into()));
        assert_eq!(sender.send(&posts[3], Some(&posts[2])), Accepted::Refused(Fault::PreviousRefused.into()));
        // The client begins again with the first.
        assert_eq!(sender.send(&posts[0], None), Accepted::Send(vec![posts[0].clone()]));
        assert_eq!(sender.send(&posts[1], Some(&posts[0])), Accepted::Gathered);
    }

    #[test]
    fn a_final_refusal_concerns_its_post_only() {
        let mut sender = Sender::new(room());
        let posts = [post(), post()];
        sender.send(&posts[0], None);
        sender.send(&posts[1], Some(&posts[0]));
        let answered = sender.posting.answered::<()>(sender.target, Ok(vec![Err(Fault::ClientIdReused.into())]));
        assert_eq!(answered.next, Some(vec![posts[1].clone()]));
    }

    #[test]
    fn more_posts_than_the_limit_are_refused_as_busy() {
        let mut sender = Sender::new(room());
        for _ in 0..MAX {
            assert!(!matches!(sender.send(&post(), None), Accepted::Refused(_)));
        }
        let refused = post();
        assert_eq!(sender.send(&refused, None), Accepted::Refused(busy()));
        assert_eq!(sender.send(&post(), Some(&refused)), Accepted::Refused(Fault::PreviousRefused.into()));
    }

    #[test]
    fn refusals_in_ever_new_rooms_are_forgotten() {
        let mut posting = Posting::default();
        for _ in 0..3 * REMEMBERED {
            let refused = posting.accept(room(), 1, post(), None, MAX, || Err(busy()));
            assert_eq!(refused, Accepted::Refused(busy()));
        }
        assert!(posting.lines.len() <= REMEMBERED);
    }

    #[test]
    fn posts_to_a_person_leave_one_by_one() {
        let mut sender = Sender::new(Target::Person(UserId::generate()));
        for _ in 0..3 {
            sender.send(&post(), None);
        }
        for _ in 0..2 {
            assert_eq!(sender.posting.answered(sender.target, Ok(vec![Ok(())])).next.map(|group| group.len()), Some(1));
        }
    }

    proptest! {
        /// A client that names the post before in `after` sees its posts accepted in sending order, whatever is refused.
        #[test]
        fn what_is_stored_is_stored_in_sending_order(steps in proptest::collection::vec((any::<bool>(), 0_u8..4), 1..80)) {
            let mut sender = Sender::new(room());
            let (mut sent, mut flying, mut stored, mut previous) = (0_u64, Vec::<Post>::new(), Vec::new(), None::<Post>);
            let (mut order, mut replied) = (HashMap::new(), 0);
            for (send, outcome) in steps {
                if send || flying.is_empty() {
                    let next = post();
                    sent += 1;
                    order.insert(next.client_id, sent);
                    match sender.send(&next, previous.as_ref()) {
                        Accepted::Send(group) => flying = group,
                        Accepted::Gathered => {}
                        Accepted::Refused(_) => replied += 1,
                    }
                    previous = Some(next);
                } else {
                    let done = usize::from(outcome).min(flying.len());
                    let answers = flying.iter().enumerate().map(|(n, _)| if n < done { Ok(()) } else { Err(busy()) }).collect();
                    stored.extend(flying.iter().take(done).map(|post| order[&post.client_id]));
                    let answered = sender.posting.answered(sender.target, Ok(answers));
                    replied += answered.replies.len() as u64;
                    flying = answered.next.unwrap_or_default();
                }
            }
            prop_assert!(stored.is_sorted());
            let waiting = sender.posting.lines.values().map(|line| line.under_way.len() + line.gathered.len()).sum::<usize>();
            prop_assert_eq!(replied + waiting as u64, sent, "every post is answered once");
        }
    }
}
