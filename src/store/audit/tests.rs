//! Each deed has its entry, written with it; what is only asked, repeated or refused has none.

use super::*;
use crate::domain::fault::Fault;
use crate::domain::filter::{FilterAction, FilterKind, FilterRule};
use crate::domain::ids::{FilterId, LinkId, RegistrationId};
use crate::domain::member::Role;
use crate::domain::room::{HistoryRule, RoomChange, RoomKind, RoomSettings};
use crate::domain::text::{Reason, RoomName};
use crate::store::registrations::{CreateRegistration, Registration, RevokeRegistration};
use crate::store::testing::{TestStore, noon};
use crate::store::users::changes::{Administer, SetPassword};
use chrono::TimeDelta;

async fn log(at: &TestStore, wanted: Wanted) -> Vec<AuditEntry> {
    let read = at.store.read(move |db| Box::pin(page(db, wanted, Order::Oldest(None), 100)));
    read.await.unwrap().items
}

fn rule(pattern: &str) -> FilterRule {
    FilterRule { kind: FilterKind::Word, pattern: pattern.to_owned(), action: FilterAction::Refuse }
}

#[tokio::test]
async fn every_deed_in_a_room_has_one_entry_and_a_repeat_has_none() {
    let at = TestStore::open().await;
    let [ann, bob, cem] = at.people().await;
    let room = at.room(RoomKind::Public, HistoryRule::All, ann, &[bob, cem]).await;
    let (link, filter) = (LinkId::generate(), FilterId::generate());
    let why = || Some(Reason::parse("noise").unwrap());
    let named = RoomSettings { name: Some(RoomName::parse("Attic").unwrap()), archived: Some(false), ..RoomSettings::default() };
    let deeds = [
        (RoomChange::SetRole { user: bob, role: Role::Moderator, reason: why() }, AuditAction::RoleChanged),
        (RoomChange::Silence { user: cem, until: noon() + TimeDelta::hours(1), reason: why() }, AuditAction::Silenced),
        (RoomChange::Unsilence { user: cem, reason: why() }, AuditAction::Unsilenced),
        (RoomChange::Kick { user: cem, reason: why() }, AuditAction::Kicked),
        (RoomChange::Ban { user: cem, reason: why() }, AuditAction::Banned),
        (RoomChange::Unban { user: cem, reason: why() }, AuditAction::Unbanned),
        (RoomChange::Settings(named), AuditAction::RoomChanged),
        (RoomChange::CreateLink { link, secret_hash: [1; 32], expires_at: None, max_uses: None }, AuditAction::LinkMade),
        (RoomChange::RevokeLink { link }, AuditAction::LinkRevoked),
        (RoomChange::AddFilter { filter, rule: rule("spam") }, AuditAction::FilterMade),
        (RoomChange::RemoveFilter { filter }, AuditAction::FilterRemoved),
        (RoomChange::Transfer { user: bob, reason: why() }, AuditAction::Transferred),
    ];
    let before = log(&at, Wanted::default()).await;
    assert_eq!(before, [], "people who come in by themselves are nobody's deed");
    for (number, (change, action)) in deeds.iter().enumerate() {
        for _ in 0..2 {
            at.change(ann, room, change.clone()).await.unwrap();
        }
        // All at the same instant, so that ids say nothing of their order.
        let entries = log(&at, Wanted { action: Some(*action), ..Wanted::default() }).await;
        assert_eq!(entries.len(), 1, "{action:?}");
        assert_eq!((entries[0].actor, entries[0].room, entries[0].at), (Some(ann), Some(room), noon()), "{action:?}");
        assert_eq!(log(&at, Wanted::default()).await.len(), number + 1, "{action:?}");
        if let Some(subject) = change.subject() {
            assert_eq!((entries[0].subject, entries[0].reason.as_deref()), (Some(subject), Some("noise")), "{action:?}");
        }
    }
    let changed = log(&at, Wanted { action: Some(AuditAction::RoomChanged), ..Wanted::default() }).await;
    assert_eq!(changed[0].detail.as_deref(), Some("name: Attic"), "only what becomes another");
    at.change(bob, room, RoomChange::Delete { reason: why() }).await.unwrap();
    let of_bob = log(&at, Wanted { actor: Some(bob), ..Wanted::default() }).await;
    assert_eq!(of_bob.iter().map(|entry| entry.reason.as_deref()).collect::<Vec<_>>(), [Some("noise")]);
}

#[tokio::test]
async fn an_invitation_of_another_that_is_taken_back_has_an_entry_and_ones_own_has_none() {
    let at = TestStore::open().await;
    let [ann, bob, cem] = at.people().await;
    let room = at.room(RoomKind::Public, HistoryRule::All, ann, &[bob]).await;
    let take_back = || RoomChange::Uninvite { user: cem, reason: Some(Reason::parse("full").unwrap()) };
    for inviter in [ann, bob] {
        at.change(inviter, room, RoomChange::Invite { user: cem }).await.unwrap();
        at.change(ann, room, take_back()).await.unwrap();
        at.change(ann, room, take_back()).await.unwrap();
    }
    let entries = log(&at, Wanted::default()).await;
    let told: Vec<_> = entries.iter().map(|entry| (entry.action, entry.actor, entry.subject, entry.reason.as_deref())).collect();
    assert_eq!(told, [(AuditAction::Uninvited, Some(ann), Some(cem), Some("full"))]);
}

#[tokio::test]
async fn what_is_refused_leaves_no_entry() {
    let at = TestStore::open().await;
    let [ann, bob] = at.people().await;
    let room = at.room(RoomKind::Public, HistoryRule::All, ann, &[bob]).await;
    let refused = at.change(bob, room, RoomChange::Kick { user: ann, reason: None }).await;
    assert_eq!(refused, Err(StoreError::Refused(Fault::NotAllowed)));
    let link = RoomChange::CreateLink { link: LinkId::generate(), secret_hash: [1; 32], expires_at: None, max_uses: None };
    assert!(at.change(bob, room, link).await.is_err());
    assert_eq!(log(&at, Wanted::default()).await, []);
}

#[tokio::test]
async fn changes_of_accounts_have_their_entries() {
    let at = TestStore::open().await;
    let [root, ann] = at.people().await;
    let why = || Some(Reason::parse("noise").unwrap());
    let set = |disabled, admin, by| Administer { user: ann, disabled, admin, by, reason: why(), now: noon() };
    at.run(set(Some(true), Some(true), Some(root))).await.unwrap();
    at.run(set(Some(true), Some(true), Some(root))).await.unwrap();
    at.run(set(Some(false), None, None)).await.unwrap();
    let reset = SetPassword { user: ann, known_hash: None, new_hash: "hash".to_owned(), keep: None, now: noon() };
    at.run(reset).await.unwrap();
    let about = log(&at, Wanted { subject: Some(ann), ..Wanted::default() }).await;
    let mut told: Vec<_> = about.iter().map(|entry| (entry.action.code(), entry.actor)).collect();
    told.sort_unstable();
    let expected = [
        (AuditAction::AccountDisabled, Some(root)),
        (AuditAction::AccountEnabled, None),
        (AuditAction::AdminGranted, Some(root)),
        (AuditAction::PasswordReset, None),
    ];
    assert_eq!(told, expected.map(|(action, actor)| (action.code(), actor)));
    let because = |entry: &&AuditEntry| entry.reason.as_deref() == Some("noise");
    assert_eq!(about.iter().filter(because).count(), 3, "all but the password, for which nobody asked why");
    let registration = Registration {
        id: RegistrationId::generate(),
        created_by: root,
        created_at: noon(),
        expires_at: noon(),
        max_uses: 1,
        uses: 0,
        admin: false,
    };
    let made = CreateRegistration { registration: registration.clone(), secret_hash: [1; 32] };
    at.run(made.clone()).await.unwrap();
    at.run(made).await.unwrap();
    for _ in 0..2 {
        at.run(RevokeRegistration { registration: registration.id, by: root, now: noon() }).await.unwrap();
    }
    for action in [AuditAction::RegistrationMade, AuditAction::RegistrationRevoked] {
        assert_eq!(log(&at, Wanted { action: Some(action), ..Wanted::default() }).await.len(), 1, "{action:?}");
    }
}

/// Writes entries a second apart.
struct Entries(Vec<AuditEntry>);

impl Operation for Entries {
    type Output = ();
    const NAME: &'static str = "test_entries";

    fn run<'a>(&'a self, db: &'a mut Db) -> Reply<'a, ()> {
        Box::pin(async move {
            for entry in &self.0 {
                write(db, entry).await?;
            }
            Ok(())
        })
    }
}

#[tokio::test]
async fn pages_go_either_way_within_their_bounds_and_the_old_is_forgotten() {
    let at = TestStore::open().await;
    let second = |n: i64| noon() + TimeDelta::seconds(n);
    let room = RoomId::generate();
    let entries: Vec<_> =
        (0..7).map(|n| AuditEntry::new(second(n), None, AuditAction::RoomDeleted).in_room(room).namely(n.to_string())).collect();
    at.run(Entries(entries.clone())).await.unwrap();
    let wanted = Wanted { room: Some(room), since: Some(second(1)), until: Some(second(6)), ..Wanted::default() };
    let page_of = async |order| at.store.read(move |db| Box::pin(page(db, wanted, order, 3))).await.unwrap();
    let first = page_of(Order::Newest(None)).await;
    assert_eq!(
        (first.items.as_slice(), first.more),
        ([&entries[5], &entries[4], &entries[3]].map(Clone::clone).as_slice(), true)
    );
    let rest = page_of(Order::Newest(Some(entries[3].id))).await;
    assert_eq!((rest.items.as_slice(), rest.more), ([&entries[2], &entries[1]].map(Clone::clone).as_slice(), false));
    let oldest = page_of(Order::Oldest(Some(entries[1].id))).await;
    assert_eq!(oldest.items, entries[2..5]);
    assert_eq!(at.run(ForgetEntries { before: second(4), rows_max: 3 }).await, Ok(3));
    assert_eq!(at.run(ForgetEntries { before: second(4), rows_max: 3 }).await, Ok(1));
    assert_eq!(log(&at, Wanted::default()).await, entries[4..]);
}
