//! Posts: from a group that one session sent to what is appended, and back from the store's outcome to its answers.
//!
//! Neighbours: `membership` gives the verdict; the actor hands the append on. Invariants: a verdict names the revision it holds for
//! (I10); posts of a group stay in the order they were sent (I1); what is refused is sent all the same, as it may be a repeat (I3).
//! Must not know: who waits for the answer.

use crate::domain::fault::{Fault, Refusal};
use crate::domain::ids::{ClientId, RoomId};
use crate::domain::member::Role;
use crate::domain::message::{Changes, Details, Item, Message, Post};
use crate::domain::order::{Revision, Seq};
use crate::domain::report::ReportReason;
use crate::domain::room::RoomKind;
use crate::domain::time::Timestamp;
use crate::faults;
use crate::moderation::filters::{Filters, Judgement};
use crate::notify::interest::Interest;
use crate::store::messages::{Append, PostOutcome};

use super::membership::Membership;

/// What a post came to that is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Posted {
    /// The message's number.
    pub seq: Seq,
    /// The revision it was committed under.
    pub revision: Revision,
    /// When it was stored.
    pub created_at: Timestamp,
    /// It had been stored before.
    pub repeat: bool,
}

/// The answers to a group, one for each post in order.
pub type Answers = Vec<Result<Posted, Refusal>>;

/// How many posts of a room are on their way to the store.
#[derive(Debug)]
pub struct InFlight {
    posts: usize,
    max: usize,
}

impl InFlight {
    /// None of at most `max`.
    #[must_use]
    pub const fn new(max: usize) -> Self {
        Self { posts: 0, max }
    }

    /// Lets `posts` more be on their way, if there is room for them. A group larger than the bound goes alone.
    pub const fn begin(&mut self, posts: usize) -> bool {
        let fits = self.posts == 0 || self.posts + posts <= self.max;
        if fits {
            self.posts += posts;
        }
        fits
    }

    /// They have arrived.
    pub const fn end(&mut self, posts: usize) {
        self.posts = self.posts.saturating_sub(posts);
    }

    /// Whether none is on its way.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.posts == 0
    }
}

/// A post that the server reports to moderators if it is stored, and why.
pub type Suspect = (ClientId, ReportReason);

/// Who judges texts beside the room's own filters.
#[derive(Clone, Copy, Debug)]
pub struct Judges<'a> {
    /// The filters that hold in every room.
    pub everywhere: &'a Filters,
    /// What the filter hook says of each post of the group; empty where there is none.
    pub hook: &'a [Judgement],
}

/// What else a post is decided by.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances<'a> {
    /// The present time.
    pub now: Timestamp,
    /// Least role that mentions everybody.
    pub mention_all: Role,
    /// What people want to be notified of.
    pub interest: &'a Interest,
}

/// What is to be appended for a group, each post with its verdict, and which of them are suspect. Filters come before the hook: what they
/// refuse is refused for good, what the hook could not judge may come again.
#[must_use]
pub fn decide(
    membership: &Membership,
    posts: &[Post],
    judges: Judges<'_>,
    circumstances: Circumstances<'_>,
) -> (Append, Vec<Suspect>) {
    let Circumstances { now, mention_all, interest } = circumstances;
    let mut suspects = Vec::new();
    let mut hook = judges.hook.iter();
    let mut filtered = |post: &mut Post| {
        let asked = hook.next();
        verdict(membership, post, now)?;
        let text = post.text.as_str();
        let judgement = membership.judge(text).or_stricter(|| judges.everywhere.judge(text));
        match judgement.or_stricter(|| asked.cloned().unwrap_or_default()) {
            Judgement::Pass => Ok(()),
            Judgement::Report(suspicion) => {
                suspects.push((post.client_id, suspicion.reason));
                post.suspicion = Some(Box::new(suspicion));
                Ok(())
            }
            Judgement::Refuse(fault) => Err(fault),
        }
    };
    let decided = |post: &Post| {
        let mut decided = with_whom_it_may_mention(membership, post, mention_all);
        decided.notifies = may_notify(membership, &decided, interest);
        let verdict = filtered(&mut decided);
        (decided, verdict)
    };
    let mut posts: Vec<_> = posts.iter().map(decided).collect();
    if posts.len() > 1 && faults::hit("room.swap_pair") {
        posts.swap(0, 1);
    }
    (Append { room: membership.room().id, policy_revision: membership.policy_revision(), posts }, suspects)
}

/// Why of the suspect posts those were reported that are stored now. A repeat was reported when it was stored.
#[must_use]
pub fn reported(outcomes: &[PostOutcome], mut suspects: Vec<Suspect>) -> Vec<ReportReason> {
    let stored = outcomes.iter().filter_map(|outcome| match outcome {
        PostOutcome::Stored(message) | PostOutcome::Replied(message, _) if !suspects.is_empty() => {
            let place = suspects.iter().position(|(client_id, _)| *client_id == message.client_id)?;
            Some(suspects.swap_remove(place).1)
        }
        _ => None,
    });
    stored.collect()
}

/// May somebody have to be notified of it? Ordinary posts in ordinary rooms cost nothing beyond this.
fn may_notify(membership: &Membership, post: &Post, interest: &Interest) -> bool {
    let room = membership.room();
    let details = post.details.as_deref();
    matches!(room.kind, RoomKind::Direct | RoomKind::Group)
        || details.is_some_and(|details| details.thread.is_some() || !details.mentions.is_empty())
        || interest.everything_in(room.id)
        || membership.has_any_of(interest.everywhere())
        || !interest.keywords_in(post.text.as_str()).is_empty()
}

fn with_whom_it_may_mention(membership: &Membership, post: &Post, mention_all: Role) -> Post {
    let mut post = post.clone();
    if let Some(details) = &mut post.details {
        details.mentions = membership.mentioned(post.author, &details.mentions, mention_all);
        if **details == Details::default() {
            post.details = None;
        }
    }
    post
}

/// What names a message that the author may not see names one that is not there for them.
fn verdict(membership: &Membership, post: &Post, now: Timestamp) -> Result<(), Fault> {
    membership.may_post(post.author, now)?;
    if let Some(details) = post.details.as_deref() {
        let from_seq = membership.sight(post.author)?.from_seq;
        if details.thread.into_iter().chain(details.quote).any(|named| named < from_seq) {
            return Err(Fault::NotFound);
        }
    }
    post.verdict
}

/// The answer to each post of a group.
#[must_use]
pub fn answers(outcomes: &[PostOutcome]) -> Answers {
    outcomes.iter().map(answer).collect()
}

fn answer(outcome: &PostOutcome) -> Result<Posted, Refusal> {
    match outcome {
        PostOutcome::Stored(Message { seq, revision, created_at, .. })
        | PostOutcome::Replied(Message { seq, revision, created_at, .. }, _) => {
            Ok(Posted { seq: *seq, revision: *revision, created_at: *created_at, repeat: false })
        }
        PostOutcome::Repeat { seq, revision, created_at } => {
            Ok(Posted { seq: *seq, revision: *revision, created_at: *created_at, repeat: true })
        }
        PostOutcome::Refused(refusal) => Err(*refusal),
    }
}

/// All of a group refused alike: the first for this reason, what was behind it because of that (I1).
#[must_use]
pub fn all_refused(refusal: Refusal, posts: usize) -> Answers {
    let behind = if refusal.fault.row().retry { Fault::PreviousRefused.into() } else { refusal };
    (0..posts).map(|number| Err(if number == 0 { refusal } else { behind })).collect()
}

/// What a group changed, in pieces of consecutive revisions; nearly always one. A piece becomes one frame, so it ends with the message
/// that brings its text to `piece_bytes`: else a group alone could be more than the outboxes of those who read it hold (I4).
#[must_use]
pub fn changes(room: RoomId, outcomes: Vec<PostOutcome>, piece_bytes: usize) -> Vec<Changes> {
    let mut pieces: Vec<Changes> = Vec::new();
    let mut bytes = 0;
    for outcome in outcomes {
        let (message, thread) = match outcome {
            PostOutcome::Stored(message) => (message, None),
            PostOutcome::Replied(message, thread) => (message, Some(Item::Thread(thread))),
            PostOutcome::Repeat { .. } | PostOutcome::Refused(_) => continue,
        };
        let (revision, length) = (message.revision, message.size());
        let items = [Item::Message(message)].into_iter().chain(thread);
        match pieces.last_mut() {
            Some(piece) if piece.to == revision.previous() && bytes < piece_bytes => {
                piece.to = revision;
                piece.items.extend(items);
                bytes += length;
            }
            _ => {
                pieces.push(Changes { room, from: revision.previous(), to: revision, items: items.collect() });
                bytes = length;
            }
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::super::membership::tests::{member, room};
    use super::*;
    use crate::domain::filter::{Filter, FilterAction, FilterKind};
    use crate::domain::ids::{ClientId, FilterId, UserId};
    use crate::domain::member::MemberState;
    use crate::domain::message::Mentions;
    use crate::domain::text::MessageText;
    use crate::moderation::filters::rule;
    use chrono::DateTime;
    use std::collections::HashSet;
    use std::sync::Arc;

    fn nobody(everywhere: &Filters) -> Judges<'_> {
        Judges { everywhere, hook: &[] }
    }

    fn usual(interest: &Interest) -> Circumstances<'_> {
        Circumstances { now: DateTime::UNIX_EPOCH, mention_all: Role::Moderator, interest }
    }

    #[test]
    fn only_what_may_notify_somebody_says_so() {
        let (in_, other) = (UserId::generate(), UserId::generate());
        let members = || [in_, other].map(|user| member(user, MemberState::Joined, 2)).to_vec();
        let notifies = |room: crate::domain::room::Room, post: Post, interest: &Interest| {
            let membership = Membership::new(room, members());
            let (append, _) = decide(&membership, &[post], nobody(&Filters::default()), usual(interest));
            append.posts[0].0.notifies
        };
        let nothing = Interest::default();
        let with = |details: Details| Post { details: Some(Box::new(details)), ..post(in_, "hello") };
        let mentioning =
            |users: Vec<UserId>| with(Details { mentions: Mentions { users, ..Mentions::default() }, ..Details::default() });
        assert!(!notifies(room(5, 4), post(in_, "hello"), &nothing));
        assert!(notifies(room(5, 4), mentioning(vec![other]), &nothing));
        assert!(!notifies(room(5, 4), mentioning(vec![UserId::generate()]), &nothing), "who is not in the room is not mentioned");
        assert!(notifies(room(5, 4), with(Details { thread: Some(Seq(1)), ..Details::default() }), &nothing));
        for kind in [RoomKind::Direct, RoomKind::Group] {
            let direct = crate::domain::room::Room { kind, ..room(5, 4) };
            assert!(notifies(direct, post(in_, "hello"), &nothing));
        }
        let words = Interest::new(HashSet::new(), HashSet::new(), vec!["tea".to_owned()]);
        assert!(notifies(room(5, 4), post(in_, "Tea?"), &words) && !notifies(room(5, 4), post(in_, "team"), &words));
        let of_rooms = |rooms: HashSet<RoomId>| Interest::new(rooms, HashSet::new(), Vec::new());
        let of_people = |people: HashSet<UserId>| Interest::new(HashSet::new(), people, Vec::new());
        assert!(notifies(room(5, 4), post(in_, "hello"), &of_rooms([room(5, 4).id].into())));
        assert!(!notifies(room(5, 4), post(in_, "hello"), &of_rooms([RoomId::generate()].into())));
        let strangers = || (0..9).map(|_| UserId::generate());
        for others in [HashSet::new(), strangers().collect()] {
            let with = |user: UserId| others.iter().copied().chain([user]).collect();
            assert!(notifies(room(5, 4), post(in_, "hello"), &of_people(with(other))), "beside {} strangers", others.len());
            assert!(!notifies(room(5, 4), post(in_, "hello"), &of_people(with(UserId::generate()))));
        }
    }

    fn post(author: UserId, text: &str) -> Post {
        Post::plain(author, ClientId::generate(), MessageText::stored(text.into()))
    }

    #[test]
    fn a_group_with_much_text_comes_in_pieces_that_follow_each_other() {
        let pieces = changes(room(0, 0).id, (1..=5).map(stored).collect(), 15);
        let spans: Vec<_> = pieces.iter().map(|piece| (piece.from.0, piece.to.0, piece.items.len())).collect();
        assert_eq!(spans, [(0, 2, 2), (2, 4, 2), (4, 5, 1)]);
    }

    fn stored(number: u64) -> PostOutcome {
        PostOutcome::Stored(Message {
            room: room(0, 0).id,
            seq: Seq(number),
            revision: Revision(number),
            author: UserId::generate(),
            client_id: ClientId::generate(),
            text: "ten bytes.".to_owned(),
            created_at: DateTime::UNIX_EPOCH,
            more: None,
        })
    }

    #[test]
    fn a_group_keeps_its_order_and_each_post_its_verdict() {
        let (in_, out) = (UserId::generate(), UserId::generate());
        let membership =
            Membership::new(room(5, 4), vec![member(in_, MemberState::Joined, 2), member(out, MemberState::Banned, 3)]);
        let posts = [post(in_, "a"), post(out, "b"), post(in_, "c")];
        let (append, _) = decide(&membership, &posts, nobody(&Filters::default()), usual(&Interest::default()));
        assert_eq!(append.policy_revision, Revision(4));
        let texts: Vec<_> = append.posts.iter().map(|(post, _)| post.text.as_str()).collect();
        assert_eq!(texts, ["a", "b", "c"]);
        let verdicts: Vec<_> = append.posts.iter().map(|(_, verdict)| *verdict).collect();
        assert_eq!(verdicts, [Ok(()), Err(Fault::Banned), Ok(())]);
    }

    #[test]
    fn filters_come_before_the_hook_and_permission_before_both() {
        let (in_, out) = (UserId::generate(), UserId::generate());
        let bad = Filter {
            id: FilterId::generate(),
            room: None,
            rule: rule(FilterKind::Word, "bad", FilterAction::Refuse).unwrap(),
            created_by: in_,
            created_at: DateTime::UNIX_EPOCH,
        };
        let odd = Filter { rule: rule(FilterKind::Word, "odd", FilterAction::Report).unwrap(), ..bad.clone() };
        let members = vec![member(in_, MemberState::Joined, 2), member(out, MemberState::Banned, 3)];
        let membership = Membership::new(room(5, 4), members).with_filters(Arc::new(Filters::compile([&odd])));
        let everywhere = Filters::compile([&bad]);
        let posts = [post(in_, "fine"), post(in_, "odd"), post(in_, "bad"), post(out, "bad"), post(in_, "fine")];
        let away = Judgement::Refuse(Fault::Unavailable);
        let judged = [Judgement::Pass, Judgement::Pass, away.clone(), Judgement::Pass, away];
        let judges = Judges { everywhere: &everywhere, hook: &judged };
        let (append, suspects) = decide(&membership, &posts, judges, usual(&Interest::default()));
        let verdicts: Vec<_> = append.posts.iter().map(|(_, verdict)| *verdict).collect();
        let refused = [Err(Fault::Filtered), Err(Fault::Banned), Err(Fault::Unavailable)];
        assert_eq!(verdicts, [&[Ok(()), Ok(())], &refused[..]].concat());
        assert_eq!(suspects, [(posts[1].client_id, ReportReason::Filter)]);
        let reported: Vec<_> = append.posts.iter().map(|(post, _)| post.suspicion.is_some()).collect();
        assert_eq!(reported, [false, true, false, false, false]);
    }

    #[test]
    fn only_what_is_stored_now_counts_as_reported() {
        let suspect = |outcome: &PostOutcome| match outcome {
            PostOutcome::Stored(message) => (message.client_id, ReportReason::Filter),
            other => panic!("{other:?}"),
        };
        let (first, second) = (stored(1), stored(2));
        let suspects = vec![suspect(&first), suspect(&second)];
        let repeat = PostOutcome::Repeat { seq: Seq(1), revision: Revision(1), created_at: DateTime::UNIX_EPOCH };
        assert_eq!(reported(&[repeat, stored(3), second], suspects), [ReportReason::Filter]);
    }

    #[test]
    fn a_retryable_refusal_takes_the_group_behind_it_along() {
        let faults = |refusal: Fault| {
            all_refused(refusal.into(), 3).into_iter().map(|answer| answer.unwrap_err().fault).collect::<Vec<_>>()
        };
        assert_eq!(faults(Fault::Unavailable), [Fault::Unavailable, Fault::PreviousRefused, Fault::PreviousRefused]);
        assert_eq!(faults(Fault::NotFound), [Fault::NotFound; 3]);
    }

    #[test]
    fn a_run_is_one_piece_and_a_gap_in_it_makes_two() {
        let refused = PostOutcome::Refused(Fault::Banned.into());
        let pieces = changes(room(0, 0).id, vec![stored(4), refused, stored(5), stored(7)], 1000);
        let spans: Vec<_> = pieces.iter().map(|piece| (piece.from.0, piece.to.0, piece.items.len())).collect();
        assert_eq!(spans, [(3, 5, 2), (6, 7, 1)]);
    }

    #[test]
    fn a_repeat_is_answered_and_changes_nothing() {
        let repeat = PostOutcome::Repeat { seq: Seq(3), revision: Revision(8), created_at: DateTime::UNIX_EPOCH };
        let answer = answers(std::slice::from_ref(&repeat)).pop().unwrap().unwrap();
        assert!(answer.repeat && answer.seq == Seq(3));
        assert!(changes(room(0, 0).id, vec![repeat], 1000).is_empty());
    }

    #[test]
    fn posts_in_flight_are_bounded() {
        let mut in_flight = InFlight::new(3);
        assert!(in_flight.begin(2));
        assert!(!in_flight.begin(2));
        assert!(in_flight.begin(1));
        in_flight.end(3);
        assert!(in_flight.is_empty() && in_flight.begin(9));
    }
}
