use super::*;
use crate::domain::text::{DisplayName, UserName};
use crate::store::registrations::Register;
use crate::store::testing::TestStore;
use crate::store::users::NewUser;
use chrono::{DateTime, Duration as Delta};

const GRACE: Duration = Duration::from_secs(60);

fn now() -> Timestamp {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

fn after(seconds: i64) -> Timestamp {
    now() + Delta::seconds(seconds)
}

fn login(used: i64) -> NewLogin {
    NewLogin {
        id: LoginId::generate(),
        device: DeviceName::parse("phone").unwrap(),
        address: "192.0.2.7".to_owned(),
        family_hash: [9; 32],
        refresh_hash: [0; 32],
        now: after(used),
        expires_at: after(used) + Delta::days(30),
    }
}

async fn person(at: &TestStore, login: Option<NewLogin>) -> UserId {
    let user = NewUser {
        id: UserId::generate(),
        name: UserName::parse("ann").unwrap(),
        display_name: DisplayName::parse("Ann").unwrap(),
        password_hash: "hash".to_owned(),
        now: now(),
    };
    at.run(Register { user, admin: false, invitation: None, login, suspicion: None }).await.unwrap().id
}

/// The token number `token` at `seconds`; token n is followed by n + 1, and n is sealed as such.
fn refresh(login: LoginId, token: u8, seconds: i64) -> Refresh {
    Refresh {
        login,
        family_hash: [9; 32],
        presented_hash: [token; 32],
        next_hash: [token + 1; 32],
        sealed: [token + 1; 32],
        grace: GRACE,
        address: "192.0.2.8".to_owned(),
        now: after(seconds),
        expires_at: after(seconds) + Delta::days(30),
    }
}

fn sealed(refreshed: &Refreshed) -> Option<u8> {
    match refreshed {
        Refreshed::Exchanged { sealed, .. } => Some(sealed[0]),
        Refreshed::Reused { .. } | Refreshed::Unknown => None,
    }
}

async fn open_logins(at: &TestStore, user: UserId) -> usize {
    at.store.read(move |db| Box::pin(list(db, user, now()))).await.unwrap().len()
}

#[tokio::test]
async fn each_token_is_exchanged_for_the_next() {
    let at = TestStore::open().await;
    let login = login(0);
    let id = login.id;
    let user = person(&at, Some(login)).await;
    assert_eq!(sealed(&at.run(refresh(id, 0, 600)).await.unwrap()), Some(1));
    assert_eq!(sealed(&at.run(refresh(id, 1, 1200)).await.unwrap()), Some(2));
    let listed = at.store.read(move |db| Box::pin(list(db, user, now()))).await.unwrap();
    assert_eq!((listed[0].address.as_str(), listed[0].used_at), ("192.0.2.8", after(1200)));
}

#[tokio::test]
async fn the_token_before_gives_the_same_answer_within_the_grace() {
    let at = TestStore::open().await;
    let login = login(0);
    let id = login.id;
    let user = person(&at, Some(login)).await;
    at.run(refresh(id, 0, 600)).await.unwrap();
    let repeat = Refresh { next_hash: [77; 32], sealed: [77; 32], ..refresh(id, 0, 660) };
    assert_eq!(sealed(&at.run(repeat).await.unwrap()), Some(1), "the same next token, not another");
    assert_eq!(sealed(&at.run(refresh(id, 1, 700)).await.unwrap()), Some(2));
    assert_eq!(open_logins(&at, user).await, 1);
}

#[tokio::test]
async fn an_older_token_ends_its_login() {
    let at = TestStore::open().await;
    let (login, other) = (login(0), login(0));
    let (id, other_id) = (login.id, other.id);
    let user = person(&at, Some(login)).await;
    let second = LogIn { user, known_hash: "hash".to_owned(), better_hash: None, login: other, max_logins: 5 };
    at.run(second).await.unwrap();
    at.run(refresh(id, 0, 600)).await.unwrap();
    assert!(at.run(refresh(id, 0, 661)).await.unwrap() == Refreshed::Reused { user }, "after the grace");
    assert!(at.run(refresh(id, 1, 662)).await.unwrap() == Refreshed::Unknown, "the thief's and the owner's alike");
    at.run(refresh(other_id, 0, 600)).await.unwrap();
    at.run(refresh(other_id, 1, 601)).await.unwrap();
    assert!(at.run(refresh(other_id, 0, 602)).await.unwrap() == Refreshed::Reused { user }, "two steps back");
    assert_eq!(open_logins(&at, user).await, 0);
    let ended = at.store.read(|db| Box::pin(ended_since(db, now()))).await.unwrap();
    assert_eq!(ended.len(), 2);
}

#[tokio::test]
async fn who_only_knows_the_id_of_a_login_cannot_end_it() {
    let at = TestStore::open().await;
    let login = login(0);
    let id = login.id;
    let user = person(&at, Some(login)).await;
    let guess = Refresh { family_hash: [8; 32], ..refresh(id, 5, 600) };
    assert!(at.run(guess).await.unwrap() == Refreshed::Unknown);
    assert!(at.run(refresh(LoginId::generate(), 0, 600)).await.unwrap() == Refreshed::Unknown);
    assert_eq!(open_logins(&at, user).await, 1);
}

#[tokio::test]
async fn a_login_nobody_used_for_its_life_is_over() {
    let at = TestStore::open().await;
    let login = login(0);
    let id = login.id;
    person(&at, Some(login)).await;
    assert!(at.run(refresh(id, 0, 30 * 86_400)).await.unwrap() == Refreshed::Unknown);
}

#[tokio::test]
async fn beyond_the_limit_the_longest_unused_login_ends() {
    let at = TestStore::open().await;
    let oldest = login(0);
    let oldest_id = oldest.id;
    let user = person(&at, Some(oldest)).await;
    let log_in = |used| LogIn {
        user,
        known_hash: "hash".to_owned(),
        better_hash: Some("better".to_owned()),
        login: login(used),
        max_logins: 2,
    };
    assert!(at.run(log_in(10)).await.unwrap().1.is_empty());
    let stale = at.run(LogIn { better_hash: None, ..log_in(20) }).await;
    assert!(stale == Err(StoreError::Refused(Fault::CredentialsWrong)), "the hash was replaced by the better one");
    let current = LogIn { known_hash: "better".to_owned(), better_hash: None, ..log_in(20) };
    assert_eq!(at.run(current).await.unwrap().1, [oldest_id]);
    assert_eq!(open_logins(&at, user).await, 2);
}

#[tokio::test]
async fn ended_logins_are_forgotten_when_their_access_tokens_have_expired() {
    let at = TestStore::open().await;
    let login = login(0);
    let id = login.id;
    let user = person(&at, Some(login)).await;
    at.run(EndLogins { user, which: Which::One(id), now: after(10) }).await.unwrap();
    let clean = |seconds| CleanUp {
        now: after(seconds),
        access_life: Duration::from_secs(600),
        operation_life: Duration::from_secs(86_400),
        rows_max: 100,
    };
    let known = || at.store.read(|db| Box::pin(ended_since(db, now())));
    at.run(clean(700)).await.unwrap();
    assert_eq!(known().await.unwrap(), [(id, user, after(10))]);
    at.run(clean(1300)).await.unwrap();
    assert!(known().await.unwrap().is_empty());
}
