use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use diesel::connection::InstrumentationEvent;
use diesel_async::AsyncConnection;

use super::*;
use crate::domain::emoji::Emoji;
use crate::domain::ids::RoomId;
use crate::domain::member::MemberState;
use crate::domain::message::{Findings, Mentions, MessageChange};
use crate::domain::order::Seq;
use crate::domain::room::{HistoryRule, RoomChange, RoomKind, RoomSettings};
use crate::domain::stream::StreamItem;
use crate::domain::text::{MessageText, RoomName};
use crate::policy::{self, Sight};
use crate::store::history::{self, HistoryPage, Place};
use crate::store::operation::{Operation, Reply};
use crate::store::testing::{TestStore, limits, noon};

async fn sight(test: &TestStore, room: RoomId, user: UserId) -> Sight {
    let (room, member) = test.store.read(move |db| Box::pin(rooms::with_member(db, room, user))).await.unwrap().unwrap();
    policy::may_read(&room, member.as_ref()).unwrap()
}

fn everybody(sight: Sight) -> View {
    View::of_everybody(sight)
}

async fn missed(test: &TestStore, room: RoomId, sight: Sight, from: u64, rows: usize) -> Changes {
    let head = test.get(room).await.head;
    let max = PageMax { rows, bytes: 1_000_000 };
    test.store
        .read(move |db| Box::pin(async move { room_changes(db, room, &everybody(sight), Revision(from), head, max).await }))
        .await
        .unwrap()
        .changes
}

async fn page(test: &TestStore, room: RoomId, sight: Sight, place: Place, limit: usize) -> HistoryPage {
    test.store
        .read(move |db| Box::pin(async move { history::page(db, room, &everybody(sight), place, limit).await }))
        .await
        .unwrap()
}

fn seqs(page: &HistoryPage) -> Vec<u64> {
    page.messages.iter().map(|message| message.seq().0).collect()
}

/// Posts, a rename, somebody who comes and goes: every kind of row.
async fn lively(test: &TestStore) -> (RoomId, [UserId; 3]) {
    let people: [UserId; 3] = test.people().await;
    let [ann, bob, eve] = people;
    let room = test.room(RoomKind::Public, HistoryRule::SinceJoining, ann, &[bob]).await;
    test.say(room, ann, &["1", "2", "3"]).await;
    test.change(eve, room, RoomChange::Join).await.unwrap();
    test.say(room, eve, &["4"]).await;
    let settings = RoomSettings { name: RoomName::parse("New").ok(), ..RoomSettings::default() };
    test.change(ann, room, RoomChange::Settings(settings)).await.unwrap();
    test.say(room, bob, &["5", "6"]).await;
    (room, people)
}

/// Every message has as many reactions, if its row is to be believed.
struct HaveReactions(i64);

impl Operation for HaveReactions {
    type Output = ();
    const NAME: &'static str = "test_have_reactions";

    fn run<'a>(&'a self, db: &'a mut Db) -> Reply<'a, ()> {
        Box::pin(async move {
            each!(db, |c| diesel::update(messages::table).set(messages::reaction_count.eq(self.0)).execute(c).await)?;
            Ok(())
        })
    }
}

#[tokio::test]
async fn of_messages_with_very_many_reactions_a_page_reads_few_and_says_that_there_is_more() {
    let test = TestStore::open().await;
    let (room, [ann, ..]) = lively(&test).await;
    let sight = sight(&test, room, ann).await;
    let (whole, head) = (missed(&test, room, sight, 1, 100).await, test.get(room).await.head);
    test.run(HaveReactions(100_000)).await.unwrap();
    let (mut from, mut items) = (Revision(1), Vec::new());
    while from < head {
        let page = missed(&test, room, sight, from.0, 100).await;
        let said = page.items.iter().filter(|item| matches!(item, Item::Message(_))).count();
        assert!(page.to > from && said <= 1, "{page:?}");
        items.extend(page.items);
        from = page.to;
    }
    assert_eq!(items, whole.items);
    let (mut before, mut read) = (Place::Latest, Vec::new());
    loop {
        let page = page(&test, room, sight, before, 100).await;
        assert_eq!(page.messages.len(), 1);
        read.extend(seqs(&page));
        before = Place::Before(page.messages[0].seq());
        if !page.more_before {
            break;
        }
    }
    assert_eq!(read, [6, 5, 4, 3, 2, 1]);
}

#[tokio::test]
async fn pages_of_any_size_together_hold_every_changed_row_once_and_never_split_a_revision() {
    let test = TestStore::open().await;
    let (room, [ann, ..]) = lively(&test).await;
    let sight = sight(&test, room, ann).await;
    let whole = missed(&test, room, sight, 0, 100).await;
    assert_eq!((whole.from, whole.to), (Revision(0), test.get(room).await.head));
    assert_eq!(whole.items.iter().map(|item| item.revision().0).collect::<BTreeSet<_>>(), (1..=whole.to.0).collect());
    for rows in 1..8 {
        let (mut from, mut items) = (0, Vec::new());
        while from < whole.to.0 {
            let part = missed(&test, room, sight, from, rows).await;
            assert_eq!(part.from, Revision(from));
            assert!(part.to > part.from, "{rows} rows: no progress");
            assert!(part.items.iter().all(|item| item.revision() > part.from && item.revision() <= part.to));
            let revisions: BTreeSet<_> = part.items.iter().map(Item::revision).collect();
            assert!(part.items.len() <= rows || revisions.len() == 1, "{rows} rows: {part:?}");
            from = part.to.0;
            items.extend(part.items);
        }
        assert_eq!(items, whole.items, "{rows} rows");
    }
    assert_eq!(missed(&test, room, sight, whole.to.0, 10).await.items, []);
}

#[tokio::test]
async fn a_page_of_long_texts_ends_at_its_bytes_and_leads_on_by_one_at_least() {
    let test = TestStore::open().await;
    let [ann]: [UserId; 1] = test.people().await;
    let room = test.room(RoomKind::Private, HistoryRule::All, ann, &[]).await;
    let text = "x".repeat(1_000);
    test.say(room, ann, &[text.as_str(); 5]).await;
    let sight = sight(&test, room, ann).await;
    let head = test.get(room).await.head;
    for (bytes, expected) in [(10_000, vec![5]), (2_500, vec![2, 2, 1]), (1, vec![1, 1, 1, 1, 1])] {
        let (mut from, mut sizes) = (head.0 - 5, Vec::new());
        while from < head.0 {
            let max = PageMax { rows: 100, bytes };
            let part = test
                .store
                .read(move |db| {
                    Box::pin(async move { room_changes(db, room, &everybody(sight), Revision(from), head, max).await })
                })
                .await
                .unwrap();
            sizes.push(part.changes.items.len());
            from = part.changes.to.0;
        }
        assert_eq!(sizes, expected, "{bytes} bytes");
    }
}

#[tokio::test]
async fn revision_larger_than_a_page_comes_whole() {
    let test = TestStore::open().await;
    let people: [UserId; 6] = test.people().await;
    let group = rooms::CreateGroup {
        creator: people[0],
        room: RoomId::generate(),
        people: people[1..].to_vec(),
        now: noon(),
        limits: limits(),
    };
    let room = test.run(group).await.unwrap().room.id;
    test.say(room, people[0], &["1"]).await;
    let sight = sight(&test, room, people[1]).await;
    let first = missed(&test, room, sight, 0, 2).await;
    assert_eq!((first.to, first.items.len()), (Revision(1), 8));
    let second = missed(&test, room, sight, 1, 2).await;
    assert_eq!((second.to, second.items.len()), (Revision(2), 1));
}

#[tokio::test]
async fn what_was_before_joining_stays_unseen_on_every_path() {
    let test = TestStore::open().await;
    let (room, [_, _, eve]) = lively(&test).await;
    let sight = sight(&test, room, eve).await;
    assert_eq!(sight.from_seq, Seq(4));
    let changes = missed(&test, room, sight, 0, 100).await;
    let (mut said, mut lines) = (Vec::new(), Vec::new());
    for item in &changes.items {
        match item {
            Item::Message(message) => said.push(message.seq.0),
            Item::Notice(line) => lines.push(line.revision),
            _ => {}
        }
    }
    assert_eq!(said, [4, 5, 6]);
    assert!(lines.iter().all(|line| *line >= sight.joined_revision) && lines.len() == 2);
    for place in [Place::Latest, Place::After(Seq(0)), Place::Before(Seq(9)), Place::Around(Seq(2)), Place::Around(Seq(5))] {
        let page = page(&test, room, sight, place, 10).await;
        assert_eq!(seqs(&page), [4, 5, 6], "{place:?}");
        assert!(!page.more_before && page.notices.len() == 2, "{place:?}: {page:?}");
    }
    assert_eq!(page(&test, room, sight, Place::Before(Seq(4)), 10).await.messages, []);
    for (seq, seen) in [(3, false), (4, true), (7, false)] {
        let found = test
            .store
            .read(move |db| Box::pin(async move { history::get(db, room, &everybody(sight), Seq(seq)).await }))
            .await
            .unwrap();
        assert_eq!(found.is_some(), seen, "{seq}");
    }
}

#[tokio::test]
async fn paging_either_way_shows_each_message_and_each_line_once() {
    let test = TestStore::open().await;
    let (room, [ann, ..]) = lively(&test).await;
    let sight = sight(&test, room, ann).await;
    let whole = page(&test, room, sight, Place::Latest, 100).await;
    assert_eq!((seqs(&whole), whole.notices.len()), (vec![1, 2, 3, 4, 5, 6], 4));
    let (mut back, mut lines) = (Vec::new(), Vec::new());
    let mut place = Place::Latest;
    loop {
        let page = page(&test, room, sight, place, 4).await;
        place = Place::Before(page.messages[0].seq());
        back.splice(0..0, seqs(&page));
        lines.splice(0..0, page.notices);
        if !page.more_before {
            break;
        }
    }
    assert_eq!((back, lines), (seqs(&whole), whole.notices.clone()));
    let (mut forth, mut lines) = (Vec::new(), Vec::new());
    let mut place = Place::After(Seq(0));
    loop {
        let page = page(&test, room, sight, place, 4).await;
        place = Place::After(page.messages.last().unwrap().seq());
        forth.extend(seqs(&page));
        lines.extend(page.notices);
        if !page.more_after {
            break;
        }
    }
    assert_eq!((forth, lines), (seqs(&whole), whole.notices));
    let middle = page(&test, room, sight, Place::Around(Seq(4)), 3).await;
    assert_eq!((seqs(&middle), middle.more_before, middle.more_after), (vec![3, 4, 5], true, true));
    let end = page(&test, room, sight, Place::After(Seq(6)), 3).await;
    assert!(end.messages.is_empty() && end.notices.is_empty() && !end.more_after);
}

#[tokio::test]
async fn room_without_messages_has_its_lines() {
    let test = TestStore::open().await;
    let [ann] = test.people().await;
    let room = test.room(RoomKind::Public, HistoryRule::All, ann, &[]).await;
    let sight = sight(&test, room, ann).await;
    let page = page(&test, room, sight, Place::Latest, 5).await;
    assert_eq!((page.messages.len(), page.notices.len(), page.more_before, page.more_after), (0, 1, false, false));
}

#[tokio::test]
async fn user_stream_pages_hold_the_newest_state_of_each_membership() {
    let test = TestStore::open().await;
    let [ann, bob] = test.people().await;
    let mut all = Vec::new();
    for _ in 0..3 {
        all.push(test.room(RoomKind::Private, HistoryRule::All, ann, &[bob]).await);
    }
    test.change(ann, all[0], RoomChange::Kick { user: bob, reason: None }).await.unwrap();
    let whole = test.stream(bob, 0, 10).await;
    let rooms_in_order: Vec<_> = whole
        .items
        .iter()
        .map(|item| match item {
            StreamItem::Membership(membership) => (membership.room.id, membership.member.state, membership.room.name.as_str()),
            other => panic!("{other:?}"),
        })
        .collect();
    let joined = MemberState::Joined;
    assert_eq!(rooms_in_order, [(all[1], joined, "Hall"), (all[2], joined, "Hall"), (all[0], MemberState::Left, "")]);
    assert_eq!((whole.from, whole.to), (Revision(0), Revision(7)));
    let (mut from, mut items) = (0, Vec::new());
    while from < 7 {
        let part = test.stream(bob, from, 1).await;
        assert!(part.items.len() <= 1 && part.to > part.from);
        from = part.to.0;
        items.extend(part.items);
    }
    assert_eq!(items, whole.items);
}

/// All lines of a history page, those it left out read in parts of the same size; the number of questions it took.
async fn all_lines(test: &TestStore, room: RoomId, sight: Sight, page: &HistoryPage, limit: usize) -> Vec<u64> {
    let (mut lines, mut more) = (page.notices.clone(), page.more_notices);
    while more {
        let before = lines[0].revision;
        let part = test.store.read(move |db| Box::pin(history::lines(db, room, sight, before, limit))).await.unwrap();
        assert!(part.items.len() == limit || !part.more, "a part is full or the last");
        more = part.more;
        lines.splice(0..0, part.items);
    }
    lines.iter().map(|line| line.revision.0).collect()
}

#[tokio::test]
async fn however_many_lines_stand_between_two_messages_each_can_be_read() {
    const LIMIT: usize = 4;
    let test = TestStore::open().await;
    let [ann] = test.people().await;
    for joins in [0, LIMIT - 1, LIMIT, LIMIT + 1, 5 * LIMIT + 1] {
        let room = test.room(RoomKind::Public, HistoryRule::All, ann, &[]).await;
        test.say(room, ann, &["1", "2"]).await;
        let first = test.get(room).await.head.0 + 1;
        for _ in 0..joins {
            let [guest] = test.people().await;
            test.change(guest, room, RoomChange::Join).await.unwrap();
        }
        test.say(room, ann, &["3"]).await;
        let sight = sight(&test, room, ann).await;
        let expected: Vec<u64> = (first..first + joins as u64).collect();
        let between = page(&test, room, sight, Place::After(Seq(1)), LIMIT).await;
        assert_eq!((seqs(&between), between.notices.len(), between.more_notices), (vec![2, 3], joins.min(LIMIT), joins > LIMIT));
        let mut read = all_lines(&test, room, sight, &between, LIMIT).await;
        // The line of the making stands before the first message: it is on the page before, or behind what was left out of this one.
        read.retain(|revision| *revision > 1);
        assert_eq!(read, expected, "{joins} joins");
        // Paging through the room shows each line once.
        let (mut shown, mut place) = (Vec::new(), Place::Latest);
        loop {
            let part = page(&test, room, sight, place, LIMIT).await;
            let lines = all_lines(&test, room, sight, &part, LIMIT).await;
            shown.splice(0..0, lines);
            match part.more_before {
                true => place = Place::Before(part.messages[0].seq()),
                false => break,
            }
        }
        assert_eq!(shown, [vec![1], expected].concat(), "{joins} joins");
    }
}

#[tokio::test]
async fn lines_from_before_joining_are_not_shown_where_history_is_since_joining() {
    let test = TestStore::open().await;
    for said in [0, 2] {
        let [ann, bob, eve] = test.people().await;
        let room = test.room(RoomKind::Public, HistoryRule::SinceJoining, ann, &[bob]).await;
        test.say(room, ann, &["1", "2"][..said]).await;
        let joined = test.change(eve, room, RoomChange::Join).await.unwrap().room.head;
        let sight = sight(&test, room, eve).await;
        let lines = async |before: u64, limit| {
            let part = test.store.read(move |db| Box::pin(history::lines(db, room, sight, Revision(before), limit)));
            let part = part.await.unwrap();
            (part.items.iter().map(|line| line.revision).collect::<Vec<_>>(), part.more)
        };
        assert_eq!(lines(1000, 10).await, (vec![joined], false));
        assert_eq!(lines(1000, 1).await, (vec![joined], false), "that there are more is not told either");
        assert_eq!(lines(joined.0, 10).await, (vec![], false));
        let shown = page(&test, room, sight, Place::Latest, 10).await;
        assert_eq!((shown.notices.len(), shown.more_notices), (1, false), "{said} said before");
    }
}

#[tokio::test]
async fn pages_end_with_the_membership_they_were_asked_for() {
    let test = TestStore::open().await;
    let (room, [ann, bob, eve]) = lively(&test).await;
    let max = PageMax { rows: 100, bytes: 1_000_000 };
    let page = async |user: UserId, sight: Sight| {
        let head = test.get(room).await.head;
        test.store
            .read(move |db| {
                Box::pin(async move { member_changes(db, room, (user, &everybody(sight)), Revision(0), head, max).await })
            })
            .await
    };
    let before = sight(&test, room, eve).await;
    let whole = page(eve, before).await.unwrap();
    assert_eq!(whole.changes, missed(&test, room, before, 0, 100).await);

    test.change(eve, room, RoomChange::Leave).await.unwrap();
    test.say(room, ann, &["not for eve"]).await;
    assert!(matches!(page(eve, before).await, Err(StoreError::Refused(Fault::NotMember))), "{:?}", page(eve, before).await);
    test.change(eve, room, RoomChange::Join).await.unwrap();
    assert!(matches!(page(eve, before).await, Err(StoreError::Refused(Fault::NotMember))), "{:?}", page(eve, before).await);
    let after = sight(&test, room, eve).await;
    assert!(page(eve, after).await.is_ok() && page(bob, sight(&test, room, bob).await).await.is_ok());
}

/// What a page of everything holds, and the statements that it takes.
async fn statements(test: &TestStore, room: RoomId, user: UserId) -> (usize, usize) {
    let (head, sight) = (test.get(room).await.head, sight(test, room, user).await);
    let max = PageMax { rows: 1_000, bytes: 10_000_000 };
    let counted = test.store.read(move |db| {
        Box::pin(async move {
            let asked = Arc::new(AtomicUsize::new(0));
            let count = Arc::clone(&asked);
            each!(db, |c| c.set_instrumentation(move |event: InstrumentationEvent<'_>| {
                if matches!(event, InstrumentationEvent::StartQuery { .. }) {
                    count.fetch_add(1, Ordering::Relaxed);
                }
            }));
            let page = member_changes(db, room, (user, &everybody(sight)), Revision(0), head, max).await;
            each!(db, |c| c.set_instrumentation(|_: InstrumentationEvent<'_>| {}));
            Ok((page?.changes.items.len(), AtomicUsize::load(&asked, Ordering::Relaxed)))
        })
    });
    counted.await.unwrap()
}

#[tokio::test]
async fn a_message_that_moved_behind_the_head_is_in_the_page_as_live_may_come_only_what_moved_it() {
    let test = TestStore::open().await;
    let [ann, bob] = test.people().await;
    let room = test.room(RoomKind::Public, HistoryRule::All, ann, &[bob]).await;
    test.say(room, ann, &["before", "other"]).await;
    let from = test.get(room).await.head;
    let edit = || MessageChange::edit(MessageText::parse("after".to_owned(), 100).unwrap());
    test.change_message(ann, room, 1, edit()).await;
    let head = test.get(room).await.head;
    test.change_message(bob, room, 1, MessageChange::React(Emoji::parse("👍").unwrap())).await;
    test.change_message(bob, room, 2, MessageChange::React(Emoji::parse("👍").unwrap())).await;
    let sight = sight(&test, room, ann).await;
    let part = async |from: Revision, rows: usize| {
        let max = PageMax { rows, bytes: 1_000_000 };
        let read =
            test.store.read(move |db| Box::pin(async move { room_changes(db, room, &everybody(sight), from, head, max).await }));
        let part = read.await.unwrap();
        assert_eq!(part.newest(head), test.get(room).await.head, "who has this page knows of what is behind it");
        let Part { changes, more } = part;
        let texts = changes.items.iter().map(|item| match item {
            Item::Message(message) => format!("{} {}", message.seq.0, message.text),
            other => panic!("{other:?}"),
        });
        (texts.collect::<Vec<_>>(), changes.to, more)
    };
    let newest = test.get(room).await.head;
    assert_eq!(part(from, 10).await, (vec!["1 after".to_owned(), "2 other".to_owned()], newest, false));
    assert_eq!(
        part(from, 1).await,
        (vec!["1 after".to_owned()], newest.previous(), true),
        "there is more, though the head is reached"
    );
    assert_eq!(part(newest.previous(), 1).await, (vec!["2 other".to_owned()], newest, false));
    assert_eq!(part(newest, 1).await, (Vec::new(), newest, false));
}

#[tokio::test]
async fn a_page_takes_the_same_few_statements_however_much_belongs_to_its_messages() {
    let test = TestStore::open().await;
    let [ann, bob] = test.people().await;
    let mut pages = Vec::new();
    for messages in [1_u64, 4, 40] {
        let room = test.room(RoomKind::Public, HistoryRule::All, ann, &[bob]).await;
        for seq in 1..=messages {
            test.say(room, ann, &["once"]).await;
            let text = MessageText::parse("twice".to_owned(), 100).unwrap();
            let edit = MessageChange::Edit {
                text,
                mentions: Mentions { users: vec![bob], ..Mentions::default() },
                findings: Findings::NOT_YET,
            };
            test.change_message(ann, room, seq, edit).await;
            test.change_message(ann, room, seq, MessageChange::Pin).await;
            for (who, emoji) in [(ann, "👍"), (bob, "👍"), (bob, "🎂")] {
                test.change_message(who, room, seq, MessageChange::React(Emoji::parse(emoji).unwrap())).await;
            }
        }
        let (rows, asked) = statements(&test, room, bob).await;
        assert!(rows as u64 > 2 * messages, "{rows} rows, a message and the line of its pin each");
        pages.push(asked);
    }
    assert_eq!(pages, [pages[0]; 3], "statements of pages of more and more messages");
    assert!((4..=8).contains(&pages[0]), "a few: {pages:?}");
}
