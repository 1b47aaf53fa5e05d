//! Profiles against a database: what is kept, who sees it, what the stream tells.

use super::*;
use crate::domain::audit::AuditAction;
use crate::domain::fault::Fault;
use crate::domain::order::Revision;
use crate::domain::profile::{OwnProfile, ProfileChange};
use crate::domain::relation::RelationChange;
use crate::domain::report::{ReportReason, Suspicion};
use crate::domain::room::{HistoryRule, RoomChange, RoomKind};
use crate::domain::stream::StreamItem;
use crate::domain::text::DisplayName;
use crate::domain::time::Timestamp;
use crate::store::audit;
use crate::store::relations::{RelationLimits, SetRelation};
use crate::store::schema;
use crate::store::testing::{TestStore, noon};
use crate::store::users::by_ids;
use crate::store::users::changes::{Administer, ChangeProfile, ClearProfile, DeleteAccount};
use chrono::TimeDelta;

async fn change(test: &TestStore, user: UserId, change: ProfileChange) -> (OwnProfile, Revision) {
    let changed = test.run(asked(user, change)).await.unwrap();
    (changed.own, changed.head)
}

fn asked(user: UserId, change: ProfileChange) -> ChangeProfile {
    ChangeProfile { user, change, verdict: Ok(()), suspicion: None, now: noon() }
}

fn about(text: &str) -> ProfileChange {
    ProfileChange { about: Some(About::parse(text).unwrap()), ..ProfileChange::default() }
}

fn status(text: &str, until: Option<Timestamp>) -> Option<Status> {
    Status::from_now(StatusText::parse(text).unwrap(), Emoji::parse("🌴").ok(), until, noon()).ok()
}

/// Whether there is a row.
async fn has_row(test: &TestStore, user: UserId) -> bool {
    let query = schema::profiles::table.find(Id::from(user)).select(schema::profiles::user);
    let read = test.store.read(move |db| Box::pin(async move { Ok(each!(db, |c| query.first::<Id>(c).await.optional())?) }));
    read.await.unwrap().is_some()
}

#[tokio::test]
async fn everything_said_comes_back_and_who_says_nothing_has_no_row() {
    let test = TestStore::open().await;
    let [ann, bob] = test.people().await;
    assert!(!has_row(&test, ann).await);
    let until = Some(noon() + TimeDelta::microseconds(1_234_567));
    let all = Profile {
        about: About::parse("Gardener\nof Zoë's 🌳").unwrap(),
        status: status("Away", until),
        time_zone: TimeZone::parse("Europe/Berlin").ok(),
    };
    let Profile { about, status, time_zone } = all.clone();
    let wanted =
        ProfileChange { about: Some(about), status: Some(status), time_zone: Some(time_zone), ..ProfileChange::default() };
    let (set, head) = change(&test, ann, wanted.clone()).await;
    assert_eq!((&set.profile, set.revision, head), (&all, Revision(1), Revision(1)));
    assert_eq!(change(&test, ann, wanted).await, (set, head), "again, it changes nothing");
    let read = test.store.read(move |db| Box::pin(async move { of(db, &[ann, bob]).await })).await.unwrap();
    assert_eq!(read, HashMap::from([(ann, all)]));
    assert!(has_row(&test, ann).await);
    let nothing =
        ProfileChange { about: Some(About::default()), status: Some(None), time_zone: Some(None), ..ProfileChange::default() };
    let (set, head) = change(&test, ann, nothing).await;
    assert_eq!((set.profile, head), (Profile::default(), Revision(2)));
    assert!(!has_row(&test, ann).await);
}

#[tokio::test]
async fn an_emoji_alone_is_a_status() {
    let test = TestStore::open().await;
    let [ann] = test.people().await;
    let status = status("", None);
    change(&test, ann, ProfileChange { status: Some(status.clone()), ..ProfileChange::default() }).await;
    let read = test.store.read(move |db| Box::pin(of_one(db, ann))).await.unwrap();
    assert_eq!((read.status.is_some(), read.status), (true, status));
}

#[tokio::test]
async fn the_stream_tells_of_name_and_profile_as_one_item_at_the_newest_revision() {
    let test = TestStore::open().await;
    let [ann] = test.people().await;
    change(&test, ann, about("Gardener")).await;
    let renamed = ProfileChange { display_name: DisplayName::parse("Ann Lee").ok(), ..ProfileChange::default() };
    change(&test, ann, renamed).await;
    for from in 0..2 {
        let page = test.stream(ann, from, 10).await;
        let [StreamItem::Profile(own)] = page.items.as_slice() else { panic!("{page:?}") };
        assert_eq!((own.revision, own.user.display_name.as_str()), (Revision(2), "Ann Lee"), "from {from}");
        assert_eq!(own.profile.about.said(), Some("Gardener"));
    }
    assert_eq!(test.stream(ann, 2, 10).await.items, []);
}

/// What `asking` sees `user` say about themselves.
async fn seen(test: &TestStore, asking: UserId, user: UserId) -> Option<String> {
    let read = test.store.read(move |db| {
        Box::pin(async move {
            let people = by_ids(db, &[user]).await?;
            seen_by(db, asking, people).await
        })
    });
    let people = read.await.unwrap();
    assert_eq!(people.iter().map(|person| person.user.id).collect::<Vec<_>>(), [user]);
    people[0].profile.about.said().map(str::to_owned)
}

#[tokio::test]
async fn a_profile_is_seen_while_a_room_is_shared_and_its_person_does_not_block() {
    let test = TestStore::open().await;
    let [ann, bob, cem] = test.people().await;
    for user in [ann, bob, cem] {
        change(&test, user, about("me")).await;
    }
    let said = Some("me".to_owned());
    assert_eq!(seen(&test, bob, ann).await, None);
    let room = test.room(RoomKind::Public, HistoryRule::All, ann, &[bob]).await;
    assert_eq!((seen(&test, bob, ann).await, seen(&test, ann, bob).await), (said.clone(), said.clone()));
    assert_eq!((seen(&test, cem, ann).await, seen(&test, ann, ann).await), (None, said.clone()));
    let limits = RelationLimits { blocks_per_user: 9, mutes_per_user: 9 };
    let relate = async |user, other, change| {
        test.run(SetRelation { user, other, change, now: noon(), limits, missed_max: 9 }).await.unwrap()
    };
    relate(ann, bob, RelationChange::MUTE).await;
    assert_eq!(seen(&test, bob, ann).await, said);
    relate(ann, bob, RelationChange::BLOCK).await;
    assert_eq!((seen(&test, bob, ann).await, seen(&test, ann, bob).await), (None, said.clone()));
    relate(ann, bob, RelationChange::UNBLOCK).await;
    assert_eq!(seen(&test, bob, ann).await, said);
    let disable = |disabled| Administer { user: ann, disabled: Some(disabled), admin: None, by: None, reason: None, now: noon() };
    test.run(disable(true)).await.unwrap();
    assert_eq!(seen(&test, bob, ann).await, None);
    test.run(disable(false)).await.unwrap();
    test.change(bob, room, RoomChange::Leave).await.unwrap();
    assert_eq!((seen(&test, bob, ann).await, seen(&test, ann, bob).await), (None, None));
}

#[tokio::test]
async fn a_deleted_account_says_nothing_and_never_will() {
    let test = TestStore::open().await;
    let [ann] = test.people().await;
    change(&test, ann, about("me")).await;
    test.run(DeleteAccount { user: ann, known_hash: None, now: noon() }).await.unwrap();
    assert!(!has_row(&test, ann).await);
    let late = test.run(asked(ann, about("still here"))).await;
    assert_eq!(late, Err(StoreError::Refused(Fault::NotFound)));
}

#[tokio::test]
async fn what_filters_refuse_is_not_said_and_what_is_said_already_is_no_news() {
    let test = TestStore::open().await;
    let [ann] = test.people().await;
    change(&test, ann, about("me")).await;
    let refused = |text: &str| ChangeProfile { verdict: Err(Fault::Filtered), ..asked(ann, about(text)) };
    assert_eq!(test.run(refused("you")).await, Err(StoreError::Refused(Fault::Filtered)));
    let again = test.run(refused("me")).await.unwrap();
    assert_eq!((again.own.profile.about.said(), again.head), (Some("me"), Revision(1)));
}

#[tokio::test]
async fn the_server_reports_a_person_once_until_that_is_handled() {
    let test = TestStore::open().await;
    let [ann] = test.people().await;
    let suspicion = Suspicion { reason: ReportReason::Filter, text: Some("odd".to_owned()) };
    let suspect = |text: &str| ChangeProfile { suspicion: Some(suspicion.clone()), ..asked(ann, about(text)) };
    assert_eq!(test.run(suspect("odd")).await.unwrap().reported, Some(ReportReason::Filter));
    assert_eq!(test.run(suspect("odd")).await.unwrap().reported, None, "a repeat");
    assert_eq!(test.run(suspect("odder")).await.unwrap().reported, None, "one is open");
}

#[tokio::test]
async fn a_cleared_profile_keeps_its_time_zone_and_stands_in_the_log_once() {
    let test = TestStore::open().await;
    let [ann, root] = test.people().await;
    let clear = ClearProfile { user: ann, by: root, reason: None, now: noon() };
    assert_eq!(test.run(clear.clone()).await.unwrap(), Revision(0), "nothing was said");
    let zone = TimeZone::parse("Europe/Berlin").ok();
    change(&test, ann, ProfileChange { status: Some(status("Away", None)), time_zone: Some(zone), ..about("me") }).await;
    for _again in 0..2 {
        assert_eq!(test.run(clear.clone()).await.unwrap(), Revision(2));
    }
    let kept = test.store.read(move |db| Box::pin(of_one(db, ann))).await.unwrap();
    assert_eq!(kept, Profile { time_zone: zone, ..Profile::default() });
    let wanted = audit::Wanted::default();
    let read = test.store.read(move |db| Box::pin(audit::page(db, wanted, audit::Order::Oldest(None), 10)));
    let logged: Vec<_> = read.await.unwrap().items.iter().map(|entry| (entry.action, entry.actor, entry.subject)).collect();
    assert_eq!(logged, [(AuditAction::ProfileCleared, Some(root), Some(ann))]);
}
