use super::candidates::{Chunk, Said};
use super::keeping::ForgetNotifications;
use super::queue::{self, Job};
use super::write::{News, Notified, Notify, Part, TakeBack};
use super::*;
use crate::domain::ids::RoomId;
use crate::domain::message::{Details, Findings, Mentions, MessageChange, Post};
use crate::domain::notification::{NotificationKind, Person};
use crate::domain::order::Seq;
use crate::domain::preference::{self, Following, RoomPreferences, ThreadPreferences};
use crate::domain::reading::Progress;
use crate::domain::relation::RelationChange;
use crate::domain::room::{HistoryRule, RoomKind};
use crate::domain::text::MessageText;
use crate::store::messages::{Append, AppendBatch};
use crate::store::preferences::{SetRoomPreferences, SetThreadPreferences};
use crate::store::read_marks::RaiseMarks;
use crate::store::relations::SetRelation;
use crate::store::schema::mentions;
use crate::store::testing::{TestStore, noon, post};
use chrono::TimeDelta;
use std::collections::BTreeSet;

async fn hall<const N: usize>(test: &TestStore) -> ([UserId; N], RoomId) {
    let people = test.people().await;
    let (owner, others) = people.split_first().unwrap();
    let room = test.room(RoomKind::Public, HistoryRule::All, *owner, others).await;
    (people, room)
}

/// A post that may notify somebody.
async fn say(test: &TestStore, room: RoomId, author: UserId, details: Details) {
    let details = Some(Box::new(details)).filter(|details| **details != Details::default());
    let post = Post { details, notifies: true, ..post(author, "hello") };
    let policy_revision = test.get(room).await.policy_revision;
    let append = Append { room, policy_revision, posts: vec![(post, Ok(()))] };
    test.run(AppendBatch { now: noon(), appends: vec![append] }).await.unwrap();
}

async fn oldest(test: &TestStore) -> Option<Job> {
    test.store.read(|db| Box::pin(queue::oldest(db, 1, noon()))).await.unwrap().pop()
}

async fn look(test: &TestStore, job: Job, limit: usize) -> Option<(Said, Chunk)> {
    let read = test.store.read(move |db| {
        Box::pin(async move {
            let Some(said) = candidates::said(db, job).await? else { return Ok(None) };
            let chunk = candidates::chunk(db, job, &said, &[], limit).await?;
            Ok(Some((said, chunk)))
        })
    });
    read.await.unwrap()
}

async fn waiting(test: &TestStore, most: usize) -> u64 {
    test.store.read(move |db| Box::pin(queue::waiting(db, most))).await.unwrap()
}

fn mentioning(users: Vec<UserId>) -> Details {
    Details { mentions: Mentions { users, ..Mentions::default() }, ..Details::default() }
}

fn everybody() -> Details {
    Details { mentions: Mentions { room: true, ..Mentions::default() }, ..Details::default() }
}

fn notify(job: Job, author: UserId, people: &[UserId], next: Option<UserId>) -> Notify {
    Notify { parts: vec![part(job, author, people, next)], now: noon() }
}

fn part(job: Job, author: UserId, people: &[UserId], next: Option<UserId>) -> Part {
    let notified = |user: &UserId| Notified { user: *user, kind: NotificationKind::Mention, quiet: false };
    Part { job, author, people: people.iter().map(notified).collect(), online: Vec::new(), next }
}

async fn told(test: &TestStore, user: UserId, unread: bool) -> Vec<u64> {
    let page = test.store.read(move |db| Box::pin(page(db, user, unread, None, 10))).await.unwrap();
    page.items.iter().map(|item| item.seq.0).collect()
}

/// The first of what the stream has of it from the beginning on.
async fn streamed(test: &TestStore, user: UserId, limit: i64) -> Vec<u64> {
    let span = (Revision::ZERO, Revision(1000));
    let items = test.store.read(move |db| Box::pin(changed(db, user, span, limit))).await.unwrap();
    let seqs = items.iter().filter_map(|item| match item {
        StreamItem::Notification(told) => Some(told.seq.0),
        _ => None,
    });
    seqs.collect()
}

fn users(news: &News) -> Vec<UserId> {
    news.iter().map(|(user, _)| *user).collect()
}

#[tokio::test]
async fn a_message_waits_from_its_own_commit_on_and_a_repeat_waits_no_second_time() {
    let test = TestStore::open().await;
    let ([ann, bob], room) = hall(&test).await;
    test.say(room, ann, &["an ordinary one"]).await;
    assert_eq!(oldest(&test).await, None);
    let post = Post { notifies: true, details: Some(Box::new(mentioning(vec![bob]))), ..post(ann, "you") };
    let policy_revision = test.get(room).await.policy_revision;
    let append = Append { room, policy_revision, posts: vec![(post, Ok(()))] };
    for _ in 0..2 {
        test.run(AppendBatch { now: noon(), appends: vec![append.clone()] }).await.unwrap();
    }
    let job = oldest(&test).await.unwrap();
    assert_eq!(job, Job { room, seq: Seq(2), after: None });
    assert_eq!(users(&test.run(notify(job, ann, &[bob], None)).await.unwrap()), [bob]);
    test.run(AppendBatch { now: noon(), appends: vec![append] }).await.unwrap();
    assert_eq!(oldest(&test).await, None);
}

#[tokio::test]
async fn what_is_postponed_lets_the_others_pass_and_has_its_turn_when_its_time_has_come() {
    let test = TestStore::open().await;
    let ([ann, bob], room) = hall(&test).await;
    for _ in 0..2 {
        say(&test, room, ann, mentioning(vec![bob])).await;
    }
    let first = oldest(&test).await.unwrap();
    let until = noon() + TimeDelta::minutes(1);
    test.run(queue::Postpone { job: first, until }).await.unwrap();
    assert_eq!(oldest(&test).await.map(|job| job.seq), Some(Seq(2)));
    assert_eq!(waiting(&test, 10).await, 2, "both wait");
    let later = test.store.read(move |db| Box::pin(queue::oldest(db, 10, until))).await.unwrap();
    assert_eq!(later.iter().map(|job| job.seq.0).collect::<Vec<_>>(), [2, 1]);
}

#[tokio::test]
async fn those_that_wait_are_counted_as_far_as_is_asked() {
    let test = TestStore::open().await;
    let ([ann, bob], room) = hall(&test).await;
    assert_eq!(waiting(&test, 2).await, 0);
    for _ in 0..3 {
        say(&test, room, ann, mentioning(vec![bob])).await;
    }
    assert_eq!((waiting(&test, 2).await, waiting(&test, 9).await), (2, 3));
    let job = oldest(&test).await.unwrap();
    test.run(notify(job, ann, &[bob], None)).await.unwrap();
    assert_eq!(waiting(&test, 9).await, 2);
}

#[tokio::test]
async fn every_member_is_in_one_chunk_and_only_one() {
    let test = TestStore::open().await;
    let (people, room): ([UserId; 7], _) = hall(&test).await;
    let [ann, bob, ..] = people;
    // Bob is found twice: by name and as a member.
    let mentions = Mentions { users: vec![bob], room: true, online: false };
    say(&test, room, ann, Details { mentions, ..Details::default() }).await;
    let mut job = oldest(&test).await.unwrap();
    let mut found: Vec<Person> = Vec::new();
    let mut chunks = 0;
    loop {
        let (_, chunk) = look(&test, job, 3).await.unwrap();
        assert!(chunk.people.len() <= 3);
        found.extend(chunk.people);
        chunks += 1;
        match chunk.next {
            Some(next) => job.after = Some(next),
            None => break,
        }
    }
    let mut expected = people.to_vec();
    expected.sort_unstable();
    assert_eq!(found.iter().map(|person| person.user).collect::<Vec<_>>(), expected);
    assert_eq!((chunks, found.iter().filter(|person| person.mentioned).count()), (3, 1));
}

#[tokio::test]
async fn without_a_mention_of_all_only_those_are_looked_at_whom_an_index_names() {
    let test = TestStore::open().await;
    let ([ann, bob, cem, dan, _eve], room) = hall(&test).await;
    test.say(room, bob, &["the first"]).await;
    let follows = ThreadPreferences { following: Following::Yes, ..ThreadPreferences::none(room, Seq(1)) };
    test.run(SetThreadPreferences { user: cem, wanted: follows, now: noon(), threads_max: 9, missed_max: 9 }).await.unwrap();
    let all = RoomPreferences { notify: preference::Notify::All, ..RoomPreferences::none(room) };
    test.run(SetRoomPreferences { user: dan, wanted: all }).await.unwrap();
    say(&test, room, ann, Details { thread: Some(Seq(1)), ..Details::default() }).await;
    let (said, chunk) = look(&test, oldest(&test).await.unwrap(), 100).await.unwrap();
    assert!(said.fact().in_thread && chunk.next.is_none());
    let mut expected = vec![ann, bob, cem, dan];
    expected.sort_unstable();
    assert_eq!(chunk.people.iter().map(|person| person.user).collect::<Vec<_>>(), expected);
    let of = |user| *chunk.people.iter().find(|person| person.user == user).unwrap();
    assert!(of(bob).takes_part && of(ann).takes_part && !of(cem).takes_part);
    assert_eq!((of(cem).following, of(dan).in_room), (Following::Yes, preference::Notify::All));
}

#[tokio::test]
async fn what_counts_for_a_person_is_read_with_them() {
    let test = TestStore::open().await;
    let ([ann, bob, cem, dan], room) = hall(&test).await;
    let limits = (&crate::config::Config::default().limits).into();
    for (user, change) in [(bob, RelationChange::BLOCK), (cem, RelationChange::MUTE)] {
        test.run(SetRelation { user, other: ann, change, now: noon(), limits, missed_max: 100 }).await.unwrap();
    }
    let until = Some(noon() + TimeDelta::hours(1));
    let muted = RoomPreferences { muted_until: until, ..RoomPreferences::none(room) };
    test.run(SetRoomPreferences { user: dan, wanted: muted }).await.unwrap();
    say(&test, room, ann, everybody()).await;
    let progress = [(room, Progress { read: Seq(1), delivered: Seq(1) })].into();
    test.run(RaiseMarks { user: cem, progress }).await.unwrap();
    let (_, chunk) = look(&test, oldest(&test).await.unwrap(), 100).await.unwrap();
    let of = |user| *chunk.people.iter().find(|person| person.user == user).unwrap();
    assert!(chunk.people.iter().all(|person| person.sees));
    assert_eq!(
        [ann, bob, cem, dan].map(|user| (of(user).blocks, of(user).mutes)),
        [(false, false), (true, false), (false, true), (false, false)]
    );
    assert_eq!((of(dan).room_muted_until, of(cem).read, of(dan).read), (until, Seq(1), Seq::ZERO));
}

#[tokio::test]
async fn a_part_that_is_done_again_notifies_nobody_twice() {
    let test = TestStore::open().await;
    let ([ann, bob, cem], room) = hall(&test).await;
    say(&test, room, ann, everybody()).await;
    let job = oldest(&test).await.unwrap();
    let first = notify(job, ann, &[bob], Some(bob));
    assert_eq!(users(&test.run(first.clone()).await.unwrap()), [bob]);
    let head = test.stream(bob, 0, 100).await.to;
    assert_eq!(test.run(first).await.unwrap(), []);
    let job = oldest(&test).await.unwrap();
    assert_eq!(job.after, Some(bob));
    // From the beginning once more, as if its place had been lost: who has a row gets no other.
    let again = notify(job, ann, &[bob, cem], None);
    assert_eq!(users(&test.run(again).await.unwrap()), [cem]);
    assert_eq!((told(&test, bob, false).await, told(&test, cem, false).await), (vec![1], vec![1]));
    assert_eq!((test.stream(bob, 0, 100).await.to, oldest(&test).await), (head, None));
}

#[tokio::test]
async fn of_several_messages_at_once_each_person_gets_what_their_stream_reads_as() {
    let test = TestStore::open().await;
    let ([ann, bob, cem], room) = hall(&test).await;
    let [first, second] = [vec![bob, cem], vec![bob]];
    for users in [&first, &second] {
        say(&test, room, ann, mentioning(users.clone())).await;
    }
    let jobs = test.store.read(|db| Box::pin(queue::oldest(db, 10, noon()))).await.unwrap();
    let before = [test.stream(bob, 0, 100).await.to, test.stream(cem, 0, 100).await.to];
    // Whatever the order they are handed in.
    let parts = vec![part(jobs[1], ann, &second, None), part(jobs[0], ann, &first, None)];
    let mut news = test.run(Notify { parts, now: noon() }).await.unwrap();
    news.sort_by_key(|(user, _)| *user != bob);
    assert_eq!(users(&news), [bob, cem]);
    assert_eq!(news[0].1, test.stream(bob, before[0].0, 100).await);
    assert_eq!(news[1].1, test.stream(cem, before[1].0, 100).await);
    assert_eq!([news[0].1.items.len(), news[1].1.items.len()], [2, 1]);
    assert_eq!((told(&test, bob, false).await, oldest(&test).await), (vec![2, 1], None));
}

#[tokio::test]
async fn a_deleted_message_notifies_nobody_any_more_and_takes_back_what_it_did() {
    let test = TestStore::open().await;
    let ([ann, bob, cem], room) = hall(&test).await;
    say(&test, room, ann, everybody()).await;
    let job = oldest(&test).await.unwrap();
    test.run(notify(job, ann, &[bob], Some(bob))).await.unwrap();
    let late = oldest(&test).await.unwrap();
    test.change_message(ann, room, 1, MessageChange::Delete { reason: None }).await;
    // What was decided before is written behind the deletion.
    assert_eq!(test.run(notify(late, ann, &[cem], None)).await.unwrap(), []);
    let job = oldest(&test).await.unwrap();
    assert!(job.after.is_none() && look(&test, job, 100).await.is_none());
    let before = test.stream(bob, 0, 100).await.to;
    let back = TakeBack { job, people_max: 100, now: noon() };
    let news = test.run(back).await.unwrap();
    assert_eq!(news, [(bob, test.stream(bob, before.0, 100).await)]);
    assert_eq!((told(&test, bob, false).await, told(&test, cem, false).await, oldest(&test).await), (vec![], vec![], None));
    let items = test.stream(bob, before.0, 100).await.items;
    assert!(matches!(&items[..], [StreamItem::Notification(of)] if of.gone && of.seq == Seq(1)), "{items:?}");
    assert_eq!(test.run(back).await.unwrap(), [], "once");
}

/// Changes what a message says, and with that whom it mentions.
async fn edit(test: &TestStore, (room, seq): (RoomId, u64), author: UserId, mentions: Mentions) {
    let text = MessageText::parse(format!("{mentions:?}"), 1000).unwrap();
    test.change_message(author, room, seq, MessageChange::Edit { text, mentions, findings: Findings::NOT_YET }).await;
}

#[tokio::test]
async fn whoever_was_online_stays_mentioned_while_the_text_mentions_who_is_online() {
    let test = TestStore::open().await;
    let ([ann, bob, cem, dan], room) = hall(&test).await;
    let mentioned = async || {
        let query = test.store.read(move |db| {
            Box::pin(async move {
                let query = mentions::table.filter(mentions::room.eq(Id::from(room))).select(mentions::user);
                let found: Vec<Id> = each!(db, |c| query.load(c).await)?;
                Ok(found.into_iter().map(UserId::from).collect::<BTreeSet<_>>())
            })
        });
        query.await.unwrap()
    };
    let online = |users: &[UserId]| Mentions { users: users.to_vec(), room: false, online: true };
    say(&test, room, ann, Details { mentions: online(&[bob]), ..Details::default() }).await;
    let job = oldest(&test).await.unwrap();
    let parts = vec![Part { online: vec![bob, cem], ..part(job, ann, &[bob, cem], None) }];
    test.run(Notify { parts, now: noon() }).await.unwrap();
    assert_eq!(mentioned().await, [bob, cem].into());
    edit(&test, (room, 1), ann, online(&[dan])).await;
    assert_eq!(mentioned().await, [cem, dan].into(), "Cem is online's, Bob is named no more");
    edit(&test, (room, 1), ann, online(&[cem])).await;
    assert_eq!(mentioned().await, [cem].into());
    edit(&test, (room, 1), ann, Mentions { users: vec![dan], ..Mentions::default() }).await;
    assert_eq!(mentioned().await, [dan].into(), "it mentions those online no more");
    say(&test, room, ann, Details { mentions: online(&[]), ..Details::default() }).await;
    let job = oldest(&test).await.unwrap();
    edit(&test, (room, 2), ann, Mentions::default()).await;
    let parts = vec![Part { online: vec![bob], ..part(job, ann, &[bob], None) }];
    test.run(Notify { parts, now: noon() }).await.unwrap();
    assert_eq!(mentioned().await, [dan].into(), "who was found online before the edit is not mentioned behind it");
}

#[tokio::test]
async fn the_list_leaves_out_what_is_read_and_list_and_stream_whom_one_blocks() {
    let test = TestStore::open().await;
    let ([ann, bob, cem], room) = hall(&test).await;
    for author in [ann, cem, ann] {
        say(&test, room, author, mentioning(vec![bob])).await;
        let job = oldest(&test).await.unwrap();
        test.run(notify(job, author, &[bob], None)).await.unwrap();
    }
    assert_eq!(told(&test, bob, true).await, [3, 2, 1]);
    let progress = [(room, Progress { read: Seq(1), delivered: Seq(1) })].into();
    test.run(RaiseMarks { user: bob, progress }).await.unwrap();
    assert_eq!((told(&test, bob, true).await, told(&test, bob, false).await), (vec![3, 2], vec![3, 2, 1]));
    assert_eq!(streamed(&test, bob, 10).await, [1, 2, 3]);
    let limits = (&crate::config::Config::default().limits).into();
    let set = async |change| {
        test.run(SetRelation { user: bob, other: cem, change, now: noon(), limits, missed_max: 100 }).await.unwrap();
    };
    set(RelationChange::BLOCK).await;
    assert_eq!(told(&test, bob, true).await, [3]);
    assert_eq!(streamed(&test, bob, 10).await, [1, 3]);
    assert_eq!(streamed(&test, bob, 2).await, [1, 3], "what is left out takes nobody's place on a page");
    set(RelationChange::UNBLOCK).await;
    assert_eq!(streamed(&test, bob, 10).await, [1, 2, 3]);
}

#[tokio::test]
async fn the_newest_are_kept_and_what_is_old_goes() {
    let test = TestStore::open().await;
    let ([ann, bob, cem], room) = hall(&test).await;
    for _ in 0..4 {
        say(&test, room, ann, everybody()).await;
        let job = oldest(&test).await.unwrap();
        test.run(notify(job, ann, &[bob, cem], None)).await.unwrap();
    }
    let forget = |after, before, kept| ForgetNotifications { after, people_max: 1, before, kept };
    let first = bob.min(cem);
    assert_eq!(test.run(forget(None, noon(), 3)).await.unwrap(), Some(first));
    assert_eq!(told(&test, first, false).await, [4, 3, 2]);
    assert_eq!(told(&test, bob.max(cem), false).await, [4, 3, 2, 1], "not their turn yet");
    test.run(forget(Some(first), noon(), 3)).await.unwrap();
    assert_eq!(told(&test, bob.max(cem), false).await, [4, 3, 2]);
    test.run(forget(None, noon() + TimeDelta::seconds(1), 3)).await.unwrap();
    assert!(told(&test, first, false).await.is_empty());
}
