//! How often each address and each person may do things, shared by all threads, over REST and sockets together.
//!
//! Each rate remembers a bounded number of keys; beyond it the longest unused are forgotten, so whoever sends from many addresses costs
//! memory up to a limit and no more (I4). Counting is in this process only.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use metrics::Counter;

use crate::config::{self, Rate};
use crate::domain::fault::{Fault, Refusal};
use crate::domain::ids::UserId;
use crate::session::bucket::Bucket;
use crate::telemetry::metrics as names;

/// All rates. Clones share them.
#[derive(Clone)]
pub struct Rates(Arc<Inner>);

struct Inner {
    login_address: Keyed<IpAddr>,
    login_account: Keyed<String>,
    register_address: Keyed<IpAddr>,
    refresh: Keyed<UserId>,
    connection_address: Keyed<IpAddr>,
    request_address: Keyed<IpAddr>,
    request_account: Keyed<UserId>,
    command: Keyed<UserId>,
    post: Keyed<UserId>,
    people_search: Keyed<UserId>,
    room_made: Keyed<UserId>,
    report: Keyed<UserId>,
}

/// A password that somebody typed for an account, counted and not yet judged.
#[derive(Debug)]
#[must_use = "an unjudged guess counts as a wrong one"]
pub struct Guess(String);

impl Rates {
    /// As the settings say.
    #[must_use]
    pub fn new(settings: &config::Rates) -> Self {
        let most = settings.tracked_max;
        Self(Arc::new(Inner {
            login_address: Keyed::new("login_per_address", settings.login_per_address, most),
            login_account: Keyed::new("login_per_account", settings.login_per_account, most),
            register_address: Keyed::new("register_per_address", settings.register_per_address, most),
            refresh: Keyed::new("refresh_per_account", settings.refresh_per_account, most),
            connection_address: Keyed::new("connections_per_address", settings.connections_per_address, most),
            request_address: Keyed::new("requests_per_address", settings.requests_per_address, most),
            request_account: Keyed::new("requests_per_account", settings.requests_per_account, most),
            command: Keyed::new("commands_per_account", settings.commands_per_account, most),
            post: Keyed::new("posts_per_account", settings.posts_per_account, most),
            people_search: Keyed::new("people_search_per_account", settings.people_search_per_account, most),
            room_made: Keyed::new("rooms_made_per_account", settings.rooms_made_per_account, most),
            report: Keyed::new("reports_per_account", settings.reports_per_account, most),
        }))
    }

    /// A log-in with this name (its [`crate::domain::text::UserName::key`]). It counts against the name until [`Rates::judged`] says that
    /// the password was not wrong: so nobody guesses faster by guessing many at once.
    ///
    /// # Errors
    /// Busy, with the time to wait; so for all of these.
    pub fn log_in(&self, address: IpAddr, name_key: &str) -> Result<Guess, Refusal> {
        self.guess(address, name_key.to_owned())
    }

    /// A password typed by somebody who is logged in: counts as a log-in to that account.
    ///
    /// # Errors
    /// Busy.
    pub fn password(&self, address: IpAddr, user: UserId) -> Result<Guess, Refusal> {
        self.guess(address, user.to_string())
    }

    fn guess(&self, address: IpAddr, account: String) -> Result<Guess, Refusal> {
        self.0.login_address.take(network(address))?;
        self.0.login_account.take(account.clone())?;
        Ok(Guess(account))
    }

    /// What a guess came to: only wrong ones count against the account.
    ///
    /// # Errors
    /// Those of the outcome.
    pub fn judged<T>(&self, guess: &Guess, outcome: Result<T, Refusal>) -> Result<T, Refusal> {
        if !outcome.as_ref().is_err_and(|refusal| refusal.fault == Fault::CredentialsWrong) {
            self.0.login_account.give_back(&guess.0);
        }
        outcome
    }

    /// A registration.
    ///
    /// # Errors
    /// Busy.
    pub fn register(&self, address: IpAddr) -> Result<(), Refusal> {
        self.0.register_address.take(network(address))
    }

    /// A renewal of tokens by somebody who has shown one of this person's.
    ///
    /// # Errors
    /// Busy.
    pub fn refresh(&self, user: UserId) -> Result<(), Refusal> {
        self.0.refresh.take(user)
    }

    /// A WebSocket handshake.
    ///
    /// # Errors
    /// Busy.
    pub fn connection(&self, address: IpAddr) -> Result<(), Refusal> {
        self.0.connection_address.take(network(address))
    }

    /// A REST request from an address.
    ///
    /// # Errors
    /// Busy.
    pub fn request_from(&self, address: IpAddr) -> Result<(), Refusal> {
        self.0.request_address.take(network(address))
    }

    /// A REST request of a person.
    ///
    /// # Errors
    /// Busy.
    pub fn request(&self, user: UserId) -> Result<(), Refusal> {
        self.0.request_account.take(user)
    }

    /// A command on a socket that is no post.
    ///
    /// # Errors
    /// Busy.
    pub fn command(&self, user: UserId) -> Result<(), Refusal> {
        self.0.command.take(user)
    }

    /// A post, over socket or REST.
    ///
    /// # Errors
    /// Busy.
    pub fn post(&self, user: UserId) -> Result<(), Refusal> {
        self.0.post.take(user)
    }

    /// A search for people.
    ///
    /// # Errors
    /// Busy.
    pub fn people_search(&self, user: UserId) -> Result<(), Refusal> {
        self.0.people_search.take(user)
    }

    /// A room or group made.
    ///
    /// # Errors
    /// Busy.
    pub fn room_made(&self, user: UserId) -> Result<(), Refusal> {
        self.0.room_made.take(user)
    }

    /// A report to moderators, over socket or REST.
    ///
    /// # Errors
    /// Busy.
    pub fn report(&self, user: UserId) -> Result<(), Refusal> {
        self.0.report.take(user)
    }
}

/// Who counts as one address: with IPv6 a household or server has at least a /64 to itself.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        v4 => v4,
    }
}

/// One rate for many keys.
struct Keyed<K> {
    rate: Rate,
    /// Counts refusals. Looked up once: whoever does too much is refused often.
    refused: Counter,
    /// Keys in each half.
    half_max: usize,
    halves: Mutex<Halves<K>>,
}

/// A key that is used moves to the recent half. When that is full, the older half is forgotten: nobody in it was seen since.
struct Halves<K> {
    recent: HashMap<K, Bucket>,
    older: HashMap<K, Bucket>,
}

impl<K: Eq + Hash> Keyed<K> {
    /// `key` is its name in the settings.
    fn new(key: &'static str, rate: Rate, tracked_max: usize) -> Self {
        let halves = Halves { recent: HashMap::new(), older: HashMap::new() };
        let refused = metrics::counter!(names::RATE_LIMITED, "rate" => key);
        Self { rate, refused, half_max: (tracked_max / 2).max(1), halves: Mutex::new(halves) }
    }

    fn take(&self, key: K) -> Result<(), Refusal> {
        self.take_at(key, Instant::now()).inspect_err(|_| self.refused.increment(1))
    }

    fn take_at(&self, key: K, now: Instant) -> Result<(), Refusal> {
        if self.rate == Rate::Unlimited {
            return Ok(());
        }
        let mut halves = self.halves.lock().unwrap_or_else(PoisonError::into_inner);
        if halves.recent.len() >= self.half_max && !halves.recent.contains_key(&key) {
            halves.older = std::mem::take(&mut halves.recent);
        }
        let known = halves.older.remove(&key).unwrap_or_default();
        let bucket = halves.recent.entry(key).or_insert(known);
        bucket.take_or_wait(self.rate, now).map_err(Refusal::busy)
    }

    fn give_back<Q: Hash + Eq + ?Sized>(&self, key: &Q)
    where
        K: std::borrow::Borrow<Q>,
    {
        let mut halves = self.halves.lock().unwrap_or_else(PoisonError::into_inner);
        let Halves { recent, older } = &mut *halves;
        if let Some(bucket) = recent.get_mut(key).or_else(|| older.get_mut(key)) {
            bucket.give_back(self.rate);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fault::Fault;
    use std::time::Duration;

    fn keyed(tracked_max: usize) -> Keyed<u32> {
        Keyed::new("test", "2/2s".parse().unwrap(), tracked_max)
    }

    #[test]
    fn each_key_has_its_own_allowance_and_is_told_when_to_come_back() {
        let (rate, now) = (keyed(100), Instant::now());
        assert!((0..2).all(|_| rate.take_at(1, now).is_ok()));
        let refusal = rate.take_at(1, now).unwrap_err();
        assert_eq!((refusal.fault, refusal.retry_after), (Fault::Busy, Some(Duration::from_secs(1))));
        assert!(rate.take_at(2, now).is_ok());
        assert!(rate.take_at(1, now + Duration::from_secs(1)).is_ok());
    }

    #[test]
    fn beyond_the_limit_the_longest_unused_keys_are_forgotten() {
        let (rate, now) = (keyed(10), Instant::now());
        assert!((0..2).all(|_| rate.take_at(0, now).is_ok()));
        for other in 1..1000 {
            assert!(rate.take_at(other, now).is_ok());
            assert!(rate.take_at(0, now).is_err(), "seen all the time: remembered");
        }
        let halves = rate.halves.lock().unwrap();
        assert!(halves.recent.len() + halves.older.len() <= 10);
    }

    #[test]
    fn addresses_of_one_network_count_as_one() {
        let parse = |text: &str| network(text.parse().unwrap());
        assert_eq!(parse("2001:db8::1"), parse("2001:db8::ffff:1"));
        assert_ne!(parse("2001:db8::1"), parse("2001:db8:0:1::1"));
        assert_eq!(parse("::ffff:192.0.2.1"), parse("192.0.2.1"));
        assert_ne!(parse("192.0.2.1"), parse("192.0.2.2"));
    }
}
