//! Accounts over a store and relays of their own, with a clock the test moves.

use super::administer::Wanted;
use super::admission::{Device, NewAccount, Tokens};
use super::handle::{Accounts, Parts};
use crate::auth::hashing::Hashing;
use crate::auth::secret::Secret;
use crate::auth::token::TokenKeys;
use crate::config::{self, Config, Registration, Secrets};
use crate::delivery::feeds::Feeds;
use crate::delivery::handle::{RelayHandle, Relays};
use crate::delivery::outbox::Outbox;
use crate::delivery::relay::{self, LocalRelay};
use crate::domain::fault::{Close, Fault, Refusal};
use crate::domain::ids::{LoginId, RoomId, SessionId, UserId};
use crate::domain::order::Revision;
use crate::domain::text::DeviceName;
use crate::domain::time::Clock;
use crate::domain::user::{Actor, User};
use crate::persistence::handle::Persistence;
use crate::store::testing::TestStore;
use crate::supervision::policy::{RestartClass, RestartPolicy};
use crate::supervision::tree::Supervisor;
use chrono::{DateTime, Duration as Delta};
use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, Instant};

const PASSWORD: &str = "correct horse battery";

struct NoFeeds;

impl Feeds for NoFeeds {
    fn refill(&self, _: &RelayHandle, _: RoomId, _: Revision) -> bool {
        true
    }

    fn unwanted(&self, _: &RelayHandle, _: RoomId, _: u64) {}
}

/// One process: its accounts and the relay of its one thread.
struct Process {
    accounts: Accounts,
    relay: LocalRelay,
}

struct World {
    test: TestStore,
    secrets: Secrets,
    clock: Clock,
    settings: config::Accounts,
}

impl World {
    async fn new(change: impl FnOnce(&mut config::Accounts)) -> Self {
        let mut settings = config::Accounts { bcrypt_cost: 4, ..Config::default().accounts };
        change(&mut settings);
        let clock = Clock::fixed(DateTime::from_timestamp(1_800_000_000, 0).unwrap());
        Self { test: TestStore::open().await, secrets: Secrets::generate(), clock, settings }
    }

    async fn process(&self) -> Process {
        let policy = RestartPolicy::new(RestartClass::Permanent, 10, Duration::from_secs(60));
        let (root, _failure) = Supervisor::root("test", policy);
        let relays = Relays::default();
        let feeds = Arc::new(NoFeeds);
        let relay = LocalRelay::start(relay::Start {
            supervisor: &root,
            policy,
            mailbox: 100,
            turn_bytes: 1 << 18,
            feeds,
            relays: &relays,
        });
        let persistence = Persistence::start(&root, policy, &self.test.store, &self.clock, &self.test.settings);
        let parts = Parts {
            store: self.test.store.clone(),
            persistence,
            relays,
            keys: TokenKeys::new(&self.secrets, self.settings.access_token_ttl),
            hashing: Hashing::new(&self.settings),
            clock: self.clock.clone(),
            limits: Config::default().limits,
            settings: self.settings.clone(),
            wishes_changed: std::sync::Arc::new(|| Box::pin(std::future::ready(()))),
            missed_max: 100,
            operation_life: Duration::from_secs(86_400),
        };
        Process { accounts: Accounts::open(parts).await.unwrap(), relay }
    }

    fn pass(&self, seconds: i64) {
        self.clock.advance(Delta::seconds(seconds));
    }
}

impl Process {
    async fn register(&self, name: &str) -> (User, Tokens) {
        self.accounts.register(account(name)).await.unwrap()
    }

    async fn log_in(&self, name: &str) -> Tokens {
        self.accounts.log_in(name, PASSWORD, &device()).await.unwrap().1
    }

    fn who(&self, tokens: &Tokens) -> Result<Actor, Fault> {
        self.accounts.authenticate(&tokens.access).map(|known| known.actor)
    }

    fn connect(&self, user: UserId, login: LoginId) -> Outbox {
        let outbox = Outbox::new(1 << 16);
        let _seat = self.relay.register(SessionId::generate(), user, login, &outbox);
        outbox
    }
}

fn account(name: &str) -> NewAccount {
    NewAccount {
        name: name.to_owned(),
        display_name: None,
        password: PASSWORD.to_owned(),
        invitation: None,
        device: device(),
        verdict: Ok(()),
        suspicion: None,
    }
}

fn device() -> Device {
    Device { name: DeviceName::parse("phone").unwrap(), address: "192.0.2.7".to_owned() }
}

async fn closed(outbox: &Outbox) -> Close {
    let waiting = async {
        loop {
            match outbox.closed() {
                Some(close) => return close,
                None => tokio::task::yield_now().await,
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(10), waiting).await.expect("the socket is told to close")
}

fn fault<T: std::fmt::Debug>(result: Result<T, Refusal>) -> Fault {
    result.unwrap_err().fault
}

#[actix::test]
async fn a_token_is_good_until_it_expires_and_then_says_so() {
    let world = World::new(|_| {}).await;
    let at = world.process().await;
    let (user, tokens) = at.register("ann").await;
    assert_eq!(at.who(&tokens), Ok(Actor { user: user.id, login: tokens.login, admin: false }));
    assert_eq!(at.accounts.authenticate("abc"), Err(Fault::Unauthenticated));
    world.pass(600);
    assert_eq!(at.who(&tokens), Err(Fault::TokenExpired));
}

#[actix::test]
async fn after_logging_out_the_token_is_refused_and_the_socket_closes() {
    let world = World::new(|_| {}).await;
    let at = world.process().await;
    let (user, tokens) = at.register("ann").await;
    let other = at.log_in("ann").await;
    let (socket, stays) = (at.connect(user.id, tokens.login), at.connect(user.id, other.login));
    at.accounts.end_login(user.id, tokens.login).await.unwrap();
    assert_eq!(at.who(&tokens), Err(Fault::Unauthenticated));
    assert_eq!(closed(&socket).await, Close::LoggedOut);
    assert_eq!(stays.closed(), None);
    assert!(at.who(&other).is_ok());
    assert_eq!(fault(at.accounts.refresh(&tokens.refresh, String::new()).await), Fault::Unauthenticated);
}

#[actix::test]
async fn nobody_ends_the_login_of_another() {
    let world = World::new(|_| {}).await;
    let at = world.process().await;
    let (_, tokens) = at.register("ann").await;
    let (bob, _) = at.register("bob").await;
    at.accounts.end_login(bob.id, tokens.login).await.unwrap();
    assert!(at.who(&tokens).is_ok());
}

#[actix::test]
async fn a_changed_password_ends_every_other_login_at_once() {
    let world = World::new(|_| {}).await;
    let at = world.process().await;
    let (user, here) = at.register("ann").await;
    let there = at.log_in("ann").await;
    let actor = at.who(&here).unwrap();
    let wrong = at.accounts.change_password(actor, "not the password", "another fine phrase").await;
    assert_eq!(fault(wrong), Fault::CredentialsWrong);
    assert_eq!(fault(at.accounts.change_password(actor, PASSWORD, "short").await), Fault::PasswordWeak);
    assert!(at.who(&there).is_ok());
    let socket = at.connect(user.id, there.login);
    at.accounts.change_password(actor, PASSWORD, "another fine phrase").await.unwrap();
    assert!(at.who(&here).is_ok());
    assert_eq!(at.who(&there), Err(Fault::Unauthenticated));
    assert_eq!(closed(&socket).await, Close::LoggedOut);
    assert_eq!(fault(at.accounts.log_in("ann", PASSWORD, &device()).await), Fault::CredentialsWrong);
    assert!(at.accounts.log_in("ann", "another fine phrase", &device()).await.is_ok());
}

#[actix::test]
async fn refreshing_rotates_and_a_lost_answer_is_given_again() {
    let world = World::new(|_| {}).await;
    let at = world.process().await;
    let (_, first) = at.register("ann").await;
    let second = at.accounts.refresh(&first.refresh, String::new()).await.unwrap();
    assert_ne!(second.refresh, first.refresh);
    world.pass(60);
    let again = at.accounts.refresh(&first.refresh, String::new()).await.unwrap();
    assert_eq!(again.refresh, second.refresh, "within the grace the same next token");
    let third = at.accounts.refresh(&second.refresh, String::new()).await.unwrap();
    assert!(at.who(&third).is_ok());
}

#[actix::test]
async fn a_stolen_refresh_token_ends_the_login_with_its_access_tokens_and_sockets() {
    let world = World::new(|_| {}).await;
    let at = world.process().await;
    let (user, first) = at.register("ann").await;
    let second = at.accounts.refresh(&first.refresh, String::new()).await.unwrap();
    let socket = at.connect(user.id, first.login);
    world.pass(61);
    assert_eq!(fault(at.accounts.refresh(&first.refresh, String::new()).await), Fault::Unauthenticated);
    assert_eq!(at.who(&second), Err(Fault::Unauthenticated));
    assert_eq!(closed(&socket).await, Close::LoggedOut);
    assert_eq!(fault(at.accounts.refresh(&second.refresh, String::new()).await), Fault::Unauthenticated);
}

#[actix::test]
async fn an_unknown_name_and_a_wrong_password_look_the_same_and_take_the_same_work() {
    let world = World::new(|settings| settings.bcrypt_cost = 9).await;
    let at = world.process().await;
    at.register("ann").await;
    let quickest = async |name: &str| {
        let mut quickest = Duration::MAX;
        for _ in 0..5 {
            let begun = Instant::now();
            let answer = at.accounts.log_in(name, "not the password", &device()).await;
            assert_eq!(answer.unwrap_err(), Refusal::from(Fault::CredentialsWrong));
            quickest = quickest.min(begun.elapsed());
        }
        quickest.as_secs_f64()
    };
    let (known, unknown, no_name) = (quickest("ann").await, quickest("bob").await, quickest("not a name").await);
    for other in [unknown, no_name] {
        assert!((0.5..2.0).contains(&(other / known)), "{known} {unknown} {no_name}");
    }
}

#[actix::test]
async fn what_another_process_ended_is_heard_of() {
    let world = World::new(|_| {}).await;
    let (here, elsewhere) = (world.process().await, world.process().await);
    let (user, tokens) = here.register("ann").await;
    let socket = here.connect(user.id, tokens.login);
    elsewhere.accounts.set(user.id, Some(true), None).await.unwrap();
    assert!(here.who(&tokens).is_ok(), "not heard yet");
    here.accounts.hear_since(here.accounts.now() - Delta::seconds(30)).await.unwrap();
    assert_eq!(here.who(&tokens), Err(Fault::Unauthenticated));
    assert_eq!(closed(&socket).await, Close::LoggedOut);
}

#[actix::test]
async fn a_restart_does_not_revive_a_token() {
    let world = World::new(|_| {}).await;
    let before = world.process().await;
    let (user, tokens) = before.register("ann").await;
    before.accounts.end_logins(user.id, None).await.unwrap();
    drop(before);
    world.pass(300);
    assert_eq!(world.process().await.who(&tokens), Err(Fault::Unauthenticated));
}

#[actix::test]
async fn only_who_knows_the_password_learns_that_an_account_is_disabled() {
    let world = World::new(|_| {}).await;
    let at = world.process().await;
    let (user, tokens) = at.register("ann").await;
    at.accounts.set(user.id, Some(true), None).await.unwrap();
    assert_eq!(at.who(&tokens), Err(Fault::Unauthenticated));
    assert_eq!(fault(at.accounts.log_in("ann", PASSWORD, &device()).await), Fault::AccountDisabled);
    assert_eq!(fault(at.accounts.log_in("ann", "not the password", &device()).await), Fault::CredentialsWrong);
    at.accounts.set(user.id, Some(false), None).await.unwrap();
    assert!(at.accounts.log_in("Ann", PASSWORD, &device()).await.is_ok(), "capitals do not matter");
}

#[actix::test]
async fn administrators_are_such_at_once_and_change_others_only() {
    let world = World::new(|_| {}).await;
    let at = world.process().await;
    let ((ann, tokens), (bob, _)) = (at.register("ann").await, at.register("bob").await);
    let before = at.who(&tokens).unwrap();
    assert_eq!(fault(at.accounts.administer(before, bob.id, (Some(true), None), None).await), Fault::NotAllowed);
    at.accounts.set(ann.id, None, Some(true)).await.unwrap();
    let admin = at.who(&tokens).unwrap();
    assert!(admin.admin);
    assert!(at.accounts.administer(admin, bob.id, (Some(true), None), None).await.unwrap().disabled);
    assert_eq!(fault(at.accounts.administer(admin, ann.id, (None, Some(false)), None).await), Fault::NotAllowed);
    at.accounts.set(ann.id, None, Some(false)).await.unwrap();
    assert!(!at.who(&tokens).unwrap().admin);
}

#[actix::test]
async fn a_repeated_change_of_password_succeeds_and_does_nothing_more() {
    const NEW: &str = "another fine phrase";
    let world = World::new(|_| {}).await;
    let at = world.process().await;
    let (_, here) = at.register("ann").await;
    let actor = at.who(&here).unwrap();
    at.accounts.change_password(actor, PASSWORD, NEW).await.unwrap();
    let since = at.accounts.log_in("ann", NEW, &device()).await.unwrap().1;
    at.accounts.change_password(actor, PASSWORD, NEW).await.unwrap();
    assert!(at.who(&since).is_ok(), "it ended the other logins once");
    // Only who knows both may repeat it, and only the last change.
    for (old, new) in [("not the password", NEW), (PASSWORD, "not this one either"), (PASSWORD, PASSWORD)] {
        assert_eq!(fault(at.accounts.change_password(actor, old, new).await), Fault::CredentialsWrong, "{old} {new}");
    }
    at.accounts.change_password(actor, NEW, "a third fine phrase").await.unwrap();
    assert_eq!(fault(at.accounts.change_password(actor, PASSWORD, NEW).await), Fault::CredentialsWrong);
    at.accounts.change_password(actor, NEW, "a third fine phrase").await.unwrap();
    // Two at once are a change and its repeat.
    let change = || at.accounts.change_password(actor, "a third fine phrase", PASSWORD);
    let (one, two) = tokio::join!(change(), change());
    assert_eq!((one, two), (Ok(()), Ok(())));
}

#[actix::test]
async fn registration_is_as_open_as_the_settings_say() {
    let closed = World::new(|settings| settings.registration = Registration::Closed).await;
    let at = closed.process().await;
    assert_eq!(fault(at.accounts.register(account("ann")).await), Fault::RegistrationClosed);
    assert!(at.accounts.add("ann", None, PASSWORD, true).await.unwrap().admin);

    let invited = World::new(|settings| settings.registration = Registration::Invite).await;
    let at = invited.process().await;
    let root = at.accounts.add("root1", None, PASSWORD, true).await.unwrap();
    let admin = Actor { user: root.id, login: LoginId::generate(), admin: true };
    let (wanted, secret) = (Wanted { max_uses: 1, admin: false }, Secret::generate());
    at.accounts.invite_to_register(admin, None, wanted, |_| Secret::parse(&secret.expose()).unwrap()).await.unwrap();
    let code = secret.expose();
    let with = |name: &str, code: &str| NewAccount { invitation: Some(code.to_owned()), ..account(name) };
    assert_eq!(fault(at.accounts.register(account("ann")).await), Fault::RegistrationClosed);
    assert_eq!(fault(at.accounts.register(with("ann", "abc")).await), Fault::InvitationInvalid);
    assert!(at.accounts.register(with("ann", &code)).await.is_ok());
    assert_eq!(fault(at.accounts.register(with("bob", &code)).await), Fault::InvitationInvalid);
}

#[actix::test]
async fn names_and_passwords_follow_the_settings() {
    let world = World::new(|settings| {
        settings.user_name_min = 4;
        settings.display_name_max = 6;
    })
    .await;
    let at = world.process().await;
    at.register("paypal").await;
    let refused = async |account| fault(at.accounts.register(account).await);
    assert_eq!(refused(account("p\u{430}ypal")).await, Fault::NameTaken);
    assert_eq!(refused(account("ann")).await, Fault::NameInvalid);
    assert_eq!(refused(account("anne marie")).await, Fault::NameInvalid);
    assert_eq!(refused(account("annemarie")).await, Fault::NameInvalid, "shown by the log-in name, which is too long");
    assert_eq!(refused(NewAccount { password: "anna".to_owned(), ..account("anna") }).await, Fault::PasswordWeak);
}

#[actix::test]
async fn a_deleted_account_has_left_before_and_after_and_cannot_come_back() {
    let world = World::new(|_| {}).await;
    let at = world.process().await;
    let (user, tokens) = at.register("ann").await;
    let actor = at.who(&tokens).unwrap();
    let socket = at.connect(user.id, tokens.login);
    let departed = Cell::new(0);
    let depart = async |_| {
        departed.set(departed.get() + 1);
        Ok(())
    };
    assert_eq!(fault(at.accounts.delete(actor, "not the password", depart).await), Fault::CredentialsWrong);
    assert_eq!(departed.get(), 0);
    let fails = at.accounts.delete(actor, PASSWORD, async |_| Err(Fault::Unavailable.into())).await;
    assert_eq!(fault(fails), Fault::Unavailable);
    assert!(at.who(&tokens).is_ok(), "still there, to try again");
    at.accounts.delete(actor, PASSWORD, depart).await.unwrap();
    assert_eq!(departed.get(), 2);
    assert_eq!(closed(&socket).await, Close::LoggedOut);
    assert_eq!(at.who(&tokens), Err(Fault::Unauthenticated));
    assert_eq!(fault(at.accounts.log_in("ann", PASSWORD, &device()).await), Fault::CredentialsWrong);
    let left = at.accounts.person(user.id, user.id).await.unwrap().user;
    assert!(left.deleted && left.name.is_empty());
    assert_ne!(at.register("ann").await.0.id, user.id);
}

#[actix::test]
async fn a_password_is_rehashed_when_the_work_factor_changed() {
    let mut world = World::new(|_| {}).await;
    world.process().await.register("ann").await;
    world.settings.bcrypt_cost = 5;
    let at = world.process().await;
    at.log_in("ann").await;
    let stored = world.test.store.read(|db| Box::pin(crate::store::users::by_name(db, "ann"))).await.unwrap().unwrap();
    let hash = crate::auth::password::PasswordHash::stored(stored.password_hash.unwrap());
    assert_eq!(hash.cost(), Some(5));
    at.log_in("ann").await;
}
