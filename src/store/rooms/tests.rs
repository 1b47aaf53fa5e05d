use super::*;
use crate::domain::fault::Fault;
use crate::domain::ids::LinkId;
use crate::domain::member::{MemberState, Role};
use crate::domain::message::{Item, NoticeKind};
use crate::domain::order::Seq;
use crate::domain::room::{HistoryRule, RoomChange, RoomSettings};
use crate::domain::text::{RoomName, Topic};
use crate::domain::user::Actor;
use crate::store::StoreError;
use crate::store::members;
use crate::store::testing::{TestStore, actor, limits, noon, post, run};
use crate::store::users::changes::Administer;
use chrono::Duration;
use std::collections::BTreeSet;

async fn row(test: &TestStore, room: RoomId, user: UserId) -> Member {
    test.store.read(move |db| Box::pin(with_member(db, room, user))).await.unwrap().unwrap().1.unwrap()
}

fn refused(result: Result<Changed, StoreError>) -> Fault {
    match result {
        Err(StoreError::Refused(fault)) => fault,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn each_change_takes_the_next_revision_and_says_what_changed() {
    let test = TestStore::open().await;
    let [ann, bob] = test.people().await;
    let room = test.room(RoomKind::Private, HistoryRule::All, ann, &[bob]).await;
    let before = test.get(room).await;
    assert_eq!((before.head, before.member_count, before.policy_revision), (Revision(3), 2, Revision(3)));
    let changed = test.change(ann, room, RoomChange::Kick { user: bob, reason: None }).await.unwrap();
    let changes = changed.changes.unwrap();
    assert_eq!((changes.from, changes.to), (Revision(3), Revision(4)));
    assert!(changes.items.iter().all(|item| item.revision() == Revision(4)));
    assert!(matches!(&changes.items[..], [Item::Member(member), Item::Notice(line)]
        if member.user == bob && member.state == MemberState::Left && member.by == Some(ann)
            && line.kind == NoticeKind::Kicked && line.subject == Some(bob)));
    assert_eq!(changed.user_heads, [(bob, Revision(3))], "invited, joined, kicked");
    assert_eq!(row(&test, room, bob).await.stream_revision, Revision(3));
    let again = test.change(ann, room, RoomChange::Kick { user: bob, reason: None }).await.unwrap();
    assert_eq!((again.changes, again.room.head), (None, Revision(4)));
    assert_eq!(test.get(room).await, changed.room);
}

#[tokio::test]
async fn settings_that_change_together_take_a_revision_each() {
    let test = TestStore::open().await;
    let [ann] = test.people().await;
    let room = test.room(RoomKind::Public, HistoryRule::All, ann, &[]).await;
    let settings = RoomSettings {
        name: RoomName::parse("New").ok(),
        topic: Topic::parse("news").ok(),
        archived: Some(true),
        ..RoomSettings::default()
    };
    let changed = test.change(ann, room, RoomChange::Settings(settings.clone())).await.unwrap();
    let changes = changed.changes.unwrap();
    let revisions: Vec<u64> = changes.items.iter().map(|item| item.revision().0).collect();
    assert_eq!((changes.from, changes.to, revisions), (Revision(1), Revision(4), vec![2, 3, 4, 4]));
    assert_eq!((changed.room.policy_revision, changed.room.settings_revision), (Revision(4), Revision(4)));
    let again = test.change(ann, room, RoomChange::Settings(settings)).await.unwrap();
    assert_eq!(again.changes, None);
}

#[tokio::test]
async fn who_joins_again_sees_what_the_history_rule_says() {
    let test = TestStore::open().await;
    let [ann, bob] = test.people().await;
    for (rule, first, second) in [(HistoryRule::All, 0, 0), (HistoryRule::SinceJoining, 1, 4)] {
        let room = test.room(RoomKind::Public, rule, ann, &[bob]).await;
        assert_eq!(row(&test, room, bob).await.visible_from_seq, Seq(first));
        test.say(room, ann, &["1", "2"]).await;
        test.change(bob, room, RoomChange::Leave).await.unwrap();
        test.say(room, ann, &["3"]).await;
        let changed = test.change(bob, room, RoomChange::Join).await.unwrap();
        let member = row(&test, room, bob).await;
        assert_eq!((member.visible_from_seq, member.joined_revision), (Seq(second), changed.room.head));
    }
}

#[tokio::test]
async fn limits_are_counted_under_the_lock() {
    let test = TestStore::open().await;
    let [ann, bob, eve] = test.people().await;
    let room = test.room(RoomKind::Public, HistoryRule::All, ann, &[]).await;
    let tight = RoomLimits { members_per_room: 2, rooms_per_user: 1, invites_per_room: 1, ..limits() };
    let change = |user, change| ChangeRoom {
        actor: crate::store::testing::actor(user),
        room,
        change,
        judged: (Ok(()), None),
        now: noon(),
        limits: tight,
    };
    let (one, two) = tokio::join!(test.run(change(bob, RoomChange::Join)), test.run(change(eve, RoomChange::Join)));
    let late = if one.is_ok() { two } else { one };
    assert_eq!(refused(late), Fault::LimitReached);
    assert_eq!(test.get(room).await.member_count, 2);
    let invite = |user| change(ann, RoomChange::Invite { user });
    let [kim, lee] = test.people().await;
    test.run(invite(kim)).await.unwrap();
    assert_eq!(refused(test.run(invite(lee)).await), Fault::LimitReached);
    let create = CreateRoom {
        creator: ann,
        room: RoomId::generate(),
        kind: RoomKind::Private,
        name: RoomName::parse("x").unwrap(),
        topic: Topic::parse("").unwrap(),
        history: HistoryRule::All,
        judged: (Ok(()), None),
        now: noon(),
        limits: tight,
    };
    assert_eq!(refused(test.run(create).await), Fault::LimitReached);
    let stranger = UserId::generate();
    assert_eq!(refused(test.run(change(ann, RoomChange::Invite { user: stranger })).await), Fault::NotFound);
}

#[tokio::test]
async fn link_lets_in_as_often_and_as_long_as_it_says() {
    let test = TestStore::open().await;
    let [ann, bob, eve, kim] = test.people().await;
    let room = test.room(RoomKind::Private, HistoryRule::All, ann, &[]).await;
    let (link, secret_hash) = (LinkId::generate(), [7; 32]);
    let create = RoomChange::CreateLink { link, secret_hash, expires_at: Some(noon() + Duration::hours(1)), max_uses: Some(2) };
    assert_eq!(test.change(ann, room, create.clone()).await.unwrap().changes, None);
    test.change(ann, room, create).await.unwrap();
    let join = RoomChange::JoinByLink { secret_hash };
    test.change(bob, room, join.clone()).await.unwrap();
    test.change(bob, room, join.clone()).await.unwrap();
    let links = test.store.read(move |db| Box::pin(crate::store::links::of(db, room))).await.unwrap();
    assert_eq!((links.len(), links[0].uses), (1, 1), "who is in already spends nothing");
    let mut late = ChangeRoom {
        actor: crate::store::testing::actor(eve),
        room,
        change: join.clone(),
        judged: (Ok(()), None),
        now: noon() + Duration::hours(1),
        limits: limits(),
    };
    assert_eq!(refused(test.run(late.clone()).await), Fault::InvitationInvalid);
    late.now = noon();
    test.run(late).await.unwrap();
    assert_eq!(refused(test.change(kim, room, join.clone()).await), Fault::InvitationInvalid);
    // It is used up, but who is in by it may ask again; nobody else learns from it what became of the room.
    assert_eq!(test.change(eve, room, join.clone()).await.unwrap().changes, None);
    let find = || test.store.read(move |db| Box::pin(crate::store::links::find(db, &[7; 32])));
    assert_eq!(find().await.unwrap(), Some(room));
    let archived = RoomSettings { archived: Some(true), ..RoomSettings::default() };
    test.change(ann, room, RoomChange::Settings(archived)).await.unwrap();
    assert_eq!(refused(test.change(kim, room, join.clone()).await), Fault::InvitationInvalid);
    let wrong = RoomChange::JoinByLink { secret_hash: [8; 32] };
    assert_eq!(refused(test.change(kim, room, wrong).await), Fault::InvitationInvalid);
    test.change(ann, room, RoomChange::RevokeLink { link }).await.unwrap();
    assert_eq!(find().await.unwrap(), None);
}

#[tokio::test]
async fn a_link_that_is_used_up_stays_until_its_place_is_needed() {
    let test = TestStore::open().await;
    let [ann, bob] = test.people().await;
    let room = test.room(RoomKind::Private, HistoryRule::All, ann, &[]).await;
    let tight = RoomLimits { invite_links_per_room: 2, ..limits() };
    let make = |number: u8| {
        let (link, secret_hash) = (LinkId::generate(), [number; 32]);
        let change = RoomChange::CreateLink { link, secret_hash, expires_at: None, max_uses: Some(1) };
        test.run(ChangeRoom {
            actor: crate::store::testing::actor(ann),
            room,
            change,
            judged: (Ok(()), None),
            now: noon(),
            limits: tight,
        })
    };
    let find =
        |number: u8| test.store.read(move |db| Box::pin(async move { crate::store::links::find(db, &[number; 32]).await }));
    make(1).await.unwrap();
    test.change(bob, room, RoomChange::JoinByLink { secret_hash: [1; 32] }).await.unwrap();
    make(2).await.unwrap();
    assert_eq!(find(1).await.unwrap(), Some(room));
    make(3).await.unwrap();
    assert_eq!((find(1).await.unwrap(), find(2).await.unwrap()), (None, Some(room)));
    assert_eq!(refused(make(4).await), Fault::LimitReached);
}

#[tokio::test]
async fn bans_have_a_limit_and_those_who_left_are_not_loaded() {
    let test = TestStore::open().await;
    let [ann, bob, eve, kim] = test.people().await;
    let room = test.room(RoomKind::Public, HistoryRule::All, ann, &[bob]).await;
    let tight = RoomLimits { bans_per_room: 2, ..limits() };
    let ban = |user| {
        let change = RoomChange::Ban { user, reason: None };
        test.run(ChangeRoom {
            actor: crate::store::testing::actor(ann),
            room,
            change,
            judged: (Ok(()), None),
            now: noon(),
            limits: tight,
        })
    };
    ban(bob).await.unwrap();
    ban(eve).await.unwrap();
    ban(eve).await.unwrap();
    assert_eq!(refused(ban(kim).await), Fault::LimitReached);
    test.change(ann, room, RoomChange::Unban { user: eve, reason: None }).await.unwrap();
    ban(kim).await.unwrap();
    let loaded = || test.store.read(move |db| Box::pin(load(db, room)));
    let held = |rows: Option<(Room, Vec<Member>)>| rows.unwrap().1.into_iter().map(|row| row.user).collect::<BTreeSet<_>>();
    assert_eq!(held(loaded().await.unwrap()), BTreeSet::from([ann, bob, kim]));
    let passing: [UserId; 8] = test.people().await;
    for user in passing {
        test.change(user, room, RoomChange::Join).await.unwrap();
        test.change(user, room, RoomChange::Leave).await.unwrap();
    }
    assert_eq!(held(loaded().await.unwrap()), BTreeSet::from([ann, bob, kim]));
}

#[tokio::test]
async fn two_people_have_one_room_however_they_begin() {
    let test = TestStore::open().await;
    let [ann, bob] = test.people().await;
    let first = |author, other| FirstDirect {
        other,
        room: RoomId::generate(),
        post: post(author, "hi"),
        verdict: Ok(()),
        now: noon(),
        limits: limits(),
    };
    let (from_ann, from_bob) = (first(ann, bob), first(bob, ann));
    let (one, two) = tokio::join!(test.run(from_ann), test.run(from_bob));
    let (one, two) = (one.unwrap(), two.unwrap());
    let (made, exists) = if matches!(one, FirstDirectOutcome::Made { .. }) { (one, two) } else { (two, one) };
    let FirstDirectOutcome::Made { changed, message } = made else { panic!() };
    assert_eq!(exists, FirstDirectOutcome::Exists(changed.room.id));
    assert_eq!((message.seq, message.revision), (Seq(1), Revision(2)));
    assert_eq!(changed.changes.unwrap().items.last(), Some(&Item::Message(message)));
    assert_eq!(changed.user_heads.len(), 2);
    let stored = test.get(changed.room.id).await;
    assert_eq!((stored.head, stored.last_seq, stored.member_count), (Revision(2), Seq(1), 2));
    assert_eq!(stored, changed.room);
    let people = test.store.read(move |db| Box::pin(members::rooms_of(db, ann, MemberState::Joined, None, 10))).await.unwrap();
    assert_eq!(people.items[0].people.iter().map(|user| user.id).collect::<Vec<_>>(), [bob]);
}

#[tokio::test]
async fn creation_run_again_makes_nothing_new_and_groups_are_always_new() {
    let test = TestStore::open().await;
    let [ann, bob, eve] = test.people().await;
    let group =
        || CreateGroup { creator: ann, room: RoomId::generate(), people: vec![bob, eve, ann], now: noon(), limits: limits() };
    let once = group();
    let made = test.run(once.clone()).await.unwrap();
    assert_eq!((made.room.member_count, made.room.head), (3, Revision(1)));
    let again = test.run(once).await.unwrap();
    assert_eq!((again.room, again.changes), (made.room.clone(), None));
    let other = test.run(group()).await.unwrap();
    assert_ne!(other.room.id, made.room.id);
    let small = CreateGroup { limits: RoomLimits { group_members_max: 2, ..limits() }, ..group() };
    assert_eq!(refused(test.run(small).await), Fault::LimitReached);
}

#[tokio::test]
async fn room_of_a_deleted_account_gets_another_owner() {
    let test = TestStore::open().await;
    let [ann, bob, eve] = test.people().await;
    let room = test.room(RoomKind::Public, HistoryRule::All, ann, &[bob, eve]).await;
    test.change(ann, room, RoomChange::SetRole { user: eve, role: Role::Moderator, reason: None }).await.unwrap();
    let depart = Depart { user: ann, room, now: noon() };
    let changed = test.run(depart.clone()).await.unwrap();
    assert_eq!(row(&test, room, eve).await.role, Role::Owner, "a moderator comes before an older member");
    assert_eq!(row(&test, room, ann).await.state, MemberState::Left);
    assert_eq!((changed.room.member_count, changed.user_heads.len()), (2, 2));
    assert_eq!(test.run(depart).await.unwrap().changes, None);
    test.run(Depart { user: eve, room, now: noon() }).await.unwrap();
    assert_eq!(row(&test, room, bob).await.role, Role::Owner);
}

#[tokio::test]
async fn an_account_that_is_disabled_inherits_no_room_while_there_is_another() {
    let test = TestStore::open().await;
    let [ann, bob, eve] = test.people().await;
    let room = test.room(RoomKind::Private, HistoryRule::All, ann, &[bob, eve]).await;
    test.change(ann, room, RoomChange::SetRole { user: eve, role: Role::Moderator, reason: None }).await.unwrap();
    test.run(Administer { user: eve, disabled: Some(true), admin: None, by: None, reason: None, now: noon() }).await.unwrap();
    test.run(Depart { user: ann, room, now: noon() }).await.unwrap();
    assert_eq!(row(&test, room, bob).await.role, Role::Owner);
}

#[tokio::test]
async fn transfer_and_deletion_asked_again_are_already_so() {
    let test = TestStore::open().await;
    let [ann, bob] = test.people().await;
    let room = test.room(RoomKind::Public, HistoryRule::All, ann, &[bob]).await;
    let transfer = RoomChange::Transfer { user: bob, reason: None };
    assert!(test.change(ann, room, transfer.clone()).await.unwrap().changes.is_some());
    assert_eq!(row(&test, room, ann).await.role, Role::Moderator);
    assert_eq!(test.change(ann, room, transfer).await.unwrap().changes, None);
    assert!(test.change(bob, room, RoomChange::Delete { reason: None }).await.unwrap().room.deleted);
    assert_eq!(test.change(bob, room, RoomChange::Delete { reason: None }).await.unwrap().changes, None);
    assert_eq!(refused(test.change(ann, room, RoomChange::Leave).await), Fault::NotFound);
}

#[tokio::test]
async fn a_room_that_an_administrator_gives_away_has_one_owner() {
    let test = TestStore::open().await;
    let [ann, bob, root] = test.people().await;
    let room = test.room(RoomKind::Public, HistoryRule::All, ann, &[bob]).await;
    let change = RoomChange::Transfer { user: bob, reason: None };
    let admin = Actor { admin: true, ..actor(root) };
    let give = ChangeRoom { actor: admin, room, change, now: noon(), limits: limits(), judged: (Ok(()), None) };
    assert!(test.run(give).await.unwrap().changes.is_some());
    assert_eq!((row(&test, room, bob).await.role, row(&test, room, ann).await.role), (Role::Owner, Role::Moderator));
}

#[tokio::test]
async fn lists_come_in_pages_without_gap_or_repeat() {
    let test = TestStore::open().await;
    let people: [UserId; 7] = test.people().await;
    let mut names = Vec::new();
    for (index, name) in ["Beta", "alpha", "Gamma_1", "alpha", "delta%"].iter().enumerate() {
        let room = test.room(RoomKind::Public, HistoryRule::All, people[0], if index == 0 { &people[1..] } else { &[] }).await;
        let settings = RoomSettings { name: RoomName::parse(name).ok(), ..RoomSettings::default() };
        test.change(people[0], room, RoomChange::Settings(settings)).await.unwrap();
        names.push(room);
    }
    let (mut after, mut found) = (None, Vec::new());
    loop {
        let from = after.take();
        let page = test.store.read(move |db| Box::pin(public(db, None, from, 2))).await.unwrap();
        found.extend(page.items.iter().map(|room| room.name.clone()));
        after = page.items.last().map(RoomPlace::of);
        if !page.more {
            break;
        }
    }
    assert_eq!(found, ["alpha", "alpha", "Beta", "delta%", "Gamma_1"]);
    for (text, count) in [("PHA", 2), ("_", 1), ("%", 1), ("!", 0)] {
        let page = test.store.read(move |db| Box::pin(async move { public(db, Some(text), None, 9).await })).await.unwrap();
        assert_eq!(page.items.len(), count, "{text}");
    }
    let room = names[0];
    test.change(people[0], room, RoomChange::SetRole { user: people[3], role: Role::Moderator, reason: None }).await.unwrap();
    let (mut after, mut found) = (None, Vec::new());
    loop {
        let page = test.store.read(move |db| Box::pin(members::page(db, room, MemberState::Joined, after, 3))).await.unwrap();
        found.extend(page.items.iter().map(|named| named.member.user));
        after = page.items.last().map(|named| (named.member.role, named.member.user));
        if !page.more {
            break;
        }
    }
    let mut rest: Vec<UserId> = people.iter().copied().filter(|user| ![people[0], people[3]].contains(user)).collect();
    rest.sort_unstable();
    assert_eq!(found[..2], [people[0], people[3]]);
    assert_eq!(found[2..], rest);
}

#[tokio::test]
async fn people_share_a_room_only_while_both_are_in_it() {
    let test = TestStore::open().await;
    let [ann, bob, eve] = test.people().await;
    let room = test.room(RoomKind::Private, HistoryRule::All, ann, &[bob]).await;
    test.change(ann, room, RoomChange::Invite { user: eve }).await.unwrap();
    let sharing = || test.store.read(move |db| Box::pin(async move { members::sharing(db, ann, &[bob, eve]).await }));
    assert_eq!(sharing().await.unwrap(), [bob]);
    test.change(ann, room, RoomChange::Kick { user: bob, reason: None }).await.unwrap();
    assert_eq!(sharing().await.unwrap(), []);
}

/// Changes of many rooms about the same people, from many sides: rooms are locked before people, people by id.
#[tokio::test(flavor = "multi_thread")]
async fn changes_of_the_same_people_in_many_rooms_do_not_deadlock() {
    let test = TestStore::open().await;
    let people: [UserId; 4] = test.people().await;
    let mut tasks = Vec::new();
    for turn in 0..4_usize {
        let mut others = people.to_vec();
        others.rotate_left(turn);
        let owner = others.remove(0);
        let room = test.room(RoomKind::Public, HistoryRule::All, owner, &[]).await;
        let store = test.store.clone();
        tasks.push(tokio::spawn(async move {
            for _ in 0..4 {
                for (user, change) in others.iter().flat_map(|user| {
                    [
                        (*user, RoomChange::Join),
                        (owner, RoomChange::Transfer { user: *user, reason: None }),
                        (*user, RoomChange::Transfer { user: owner, reason: None }),
                    ]
                }) {
                    let actor = crate::store::testing::actor(user);
                    run(&store, ChangeRoom { actor, room, change, judged: (Ok(()), None), now: noon(), limits: limits() })
                        .await
                        .unwrap();
                }
                for user in &others {
                    let (actor, change) = (crate::store::testing::actor(*user), RoomChange::Leave);
                    run(&store, ChangeRoom { actor, room, change, judged: (Ok(()), None), now: noon(), limits: limits() })
                        .await
                        .unwrap();
                }
            }
            room
        }));
    }
    for task in tasks {
        let room = task.await.unwrap();
        assert_eq!(test.get(room).await.head, Revision(1 + 4 * (3 * 3 + 3)));
    }
    for user in people {
        let heads = test
            .store
            .read(move |db| Box::pin(async move { crate::store::people::stream_heads(db, &[user]).await }))
            .await
            .unwrap();
        // Its own room: made, and given and taken back by each of three, four times; in each other room joined, got, gave, left.
        assert_eq!(heads, [(user, Revision(1 + 4 * 3 * 2 + 3 * 4 * 4))]);
    }
}

#[tokio::test]
async fn people_of_a_deleted_room_follow_in_parts_and_each_stream_says_so_once() {
    let test = TestStore::open().await;
    let [ann, bob, cem, dan, eve] = test.people().await;
    let room = test.room(RoomKind::Private, HistoryRule::All, ann, &[bob, cem]).await;
    test.change(ann, room, RoomChange::Invite { user: dan }).await.unwrap();
    test.change(ann, room, RoomChange::Ban { user: eve, reason: None }).await.unwrap();
    let end = EndMemberships { room, people_max: 3 };
    assert_eq!(test.run(end).await.unwrap().user_heads, [], "nobody leaves a room that is there");
    assert_eq!(test.get(room).await.member_count, 3);
    test.change(ann, room, RoomChange::Delete { reason: None }).await.unwrap();
    let left = || async { test.store.read(move |db| Box::pin(ending(db, None, 10))).await.unwrap().items };
    assert_eq!(left().await, [room]);
    let first = test.run(end).await.unwrap();
    let mut told: Vec<UserId> = first.user_heads.iter().map(|(user, _)| *user).collect();
    assert_eq!((told.len(), first.more, left().await), (3, true, vec![room]));
    let second = test.run(end).await.unwrap();
    told.extend(second.user_heads.iter().map(|(user, _)| *user));
    assert_eq!((second.more, left().await), (false, vec![]));
    told.sort_unstable();
    let mut all = vec![ann, bob, cem, dan];
    all.sort_unstable();
    assert_eq!(told, all, "each once, and not who was banned");
    for (user, head) in first.user_heads.iter().chain(&second.user_heads) {
        let row = row(&test, room, *user).await;
        assert_eq!((row.state, row.stream_revision), (MemberState::Left, *head));
    }
    assert_eq!(test.run(end).await.unwrap(), MembershipsEnded { user_heads: vec![], more: false }, "run again");
    let quiet: crate::store::backup::Progress = std::sync::Arc::new(|_| ());
    let report = test.store.verify(None, &quiet).await.unwrap();
    assert_eq!(report.breaches, []);
    assert!(
        test.change(ann, room, RoomChange::Delete { reason: None }).await.is_ok(),
        "the owner who asks again is told that it is so"
    );
}

#[tokio::test]
async fn nobody_is_in_a_deleted_room_even_before_its_people_have_followed() {
    let test = TestStore::open().await;
    let [ann, bob] = test.people().await;
    let room = test.room(RoomKind::Public, HistoryRule::All, ann, &[bob]).await;
    test.change(ann, room, RoomChange::Delete { reason: None }).await.unwrap();
    let stream = test.stream(bob, 0, 10).await;
    let states: Vec<MemberState> = stream
        .items
        .iter()
        .filter_map(|item| match item {
            crate::domain::stream::StreamItem::Membership(membership) => Some(membership.member.state),
            _ => None,
        })
        .collect();
    assert_eq!(states, [MemberState::Left]);
}
