//! How often things may be done: per address before anybody is known, per account after (design §6).
//!
//! REST and sockets share one value, so that a person cannot post twice as fast over two ways. The counting is `governor`'s (GCRA).

use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use crate::config::{self, Rate};
use crate::domain::fault::Refusal;
use crate::domain::ids::UserId;

/// All rates of the node. Clones count together.
#[derive(Clone, Debug)]
pub struct Rates(Arc<Limits>);

#[derive(Debug)]
struct Limits {
    login_per_address: Limit<IpAddr>,
    login_per_account: Limit<String>,
    register_per_address: Limit<IpAddr>,
    refresh_per_account: Limit<UserId>,
    connections_per_address: Limit<IpAddr>,
    requests_per_address: Limit<IpAddr>,
    requests_per_account: Limit<UserId>,
    commands_per_account: Limit<UserId>,
    posts_per_account: Limit<UserId>,
    people_search_per_account: Limit<UserId>,
    rooms_made_per_account: Limit<UserId>,
}

macro_rules! counted {
    ($($(#[$doc:meta])* $method:ident($key:ident: $kind:ty) => $limit:ident;)*) => {$(
        $(#[$doc])*
        ///
        /// # Errors
        /// Busy, with the time after which it fits again.
        pub fn $method(&self, $key: $kind) -> Result<(), Refusal> {
            self.0.$limit.count($key.into())
        }
    )*};
}

impl Rates {
    /// Begins counting by the settings.
    #[must_use]
    pub fn new(settings: &config::Rates) -> Self {
        let tracked = settings.tracked_max;
        Self(Arc::new(Limits {
            login_per_address: Limit::new(&settings.login_per_address, tracked),
            login_per_account: Limit::new(&settings.login_per_account, tracked),
            register_per_address: Limit::new(&settings.register_per_address, tracked),
            refresh_per_account: Limit::new(&settings.refresh_per_account, tracked),
            connections_per_address: Limit::new(&settings.connections_per_address, tracked),
            requests_per_address: Limit::new(&settings.requests_per_address, tracked),
            requests_per_account: Limit::new(&settings.requests_per_account, tracked),
            commands_per_account: Limit::new(&settings.commands_per_account, tracked),
            posts_per_account: Limit::new(&settings.posts_per_account, tracked),
            people_search_per_account: Limit::new(&settings.people_search_per_account, tracked),
            rooms_made_per_account: Limit::new(&settings.rooms_made_per_account, tracked),
        }))
    }

    counted! {
        /// A post, over either way.
        post(user: UserId) => posts_per_account;
        /// A command of a socket other than a post.
        command(user: UserId) => commands_per_account;
        /// A REST request of somebody known.
        request(user: UserId) => requests_per_account;
        /// A search for people.
        people_search(user: UserId) => people_search_per_account;
        /// A room or group made.
        room_made(user: UserId) => rooms_made_per_account;
        /// A token renewed.
        refresh(user: UserId) => refresh_per_account;
        /// A log-in to the account of this name, right or wrong; the name's comparison form.
        login_to(name: &str) => login_per_account;
    }

    /// A log-in from an address.
    ///
    /// # Errors
    /// Busy, with the time after which it fits again.
    pub fn login_from(&self, address: IpAddr) -> Result<(), Refusal> {
        self.0.login_per_address.count(network(address))
    }

    /// A registration from an address.
    ///
    /// # Errors
    /// Busy, with the time after which it fits again.
    pub fn register_from(&self, address: IpAddr) -> Result<(), Refusal> {
        self.0.register_per_address.count(network(address))
    }

    /// A WebSocket handshake from an address.
    ///
    /// # Errors
    /// Busy, with the time after which it fits again.
    pub fn connection_from(&self, address: IpAddr) -> Result<(), Refusal> {
        self.0.connections_per_address.count(network(address))
    }

    /// A REST request from an address.
    ///
    /// # Errors
    /// Busy, with the time after which it fits again.
    pub fn request_from(&self, address: IpAddr) -> Result<(), Refusal> {
        self.0.requests_per_address.count(network(address))
    }
}

/// What counts as one address: of IPv6 the /64, which is what one household or host is given.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => IpAddr::V4(v4),
            None => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64))),
        },
    }
}

/// One rate over many keys; `None` where there is no limit.
#[derive(Debug)]
struct Limit<K: Clone + Eq + Hash>(Option<Counter<K>>);

#[derive(Debug)]
struct Counter<K: Clone + Eq + Hash> {
    limiter: DefaultKeyedRateLimiter<K>,
    clock: DefaultClock,
    tracked_max: usize,
}

impl<K: Clone + Eq + Hash> Limit<K> {
    fn new(rate: &Rate, tracked_max: usize) -> Self {
        let Rate::Limited { count, per } = *rate else { return Self(None) };
        let quota = Quota::with_period(per / count.get()).map(|quota| quota.allow_burst(count));
        Self(quota.map(|quota| Counter { limiter: RateLimiter::keyed(quota), clock: DefaultClock::default(), tracked_max }))
    }

    fn count(&self, key: K) -> Result<(), Refusal> {
        let Some(counter) = &self.0 else { return Ok(()) };
        if counter.limiter.len() >= counter.tracked_max {
            // Those whose allowance is full again count as never seen; what is left are the busy ones.
            counter.limiter.retain_recent();
        }
        counter.limiter.check_key(&key).map_err(|not_until| Refusal::busy(not_until.wait_time_from(counter.clock.now())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::domain::fault::Fault;

    #[test]
    fn posts_beyond_the_rate_are_busy_with_a_time_to_wait_and_others_are_not_touched() {
        let mut settings = Config::default().rates;
        settings.posts_per_account = "2/1h".parse().unwrap();
        let rates = Rates::new(&settings);
        let (ann, bob) = (UserId::generate(), UserId::generate());
        assert!(rates.post(ann).is_ok() && rates.clone().post(ann).is_ok());
        let refusal = rates.post(ann).unwrap_err();
        assert_eq!(refusal.fault, Fault::Busy);
        assert!(refusal.retry_after.is_some_and(|wait| wait.as_secs() > 1000), "{refusal:?}");
        assert!(rates.post(bob).is_ok());
        assert!(rates.command(ann).is_ok());
    }

    #[test]
    fn a_rate_that_is_off_refuses_nobody() {
        let mut settings = Config::default().rates;
        settings.posts_per_account = "off".parse().unwrap();
        let rates = Rates::new(&settings);
        let ann = UserId::generate();
        assert!((0..10_000).all(|_| rates.post(ann).is_ok()));
    }

    #[test]
    fn an_ipv6_household_is_one_address() {
        let [one, two, other] = ["2001:db8::1", "2001:db8::ffff:1", "2001:db8:0:1::1"].map(|text| network(text.parse().unwrap()));
        assert_eq!(one, two);
        assert_ne!(one, other);
        assert_eq!(network("::ffff:10.0.0.1".parse().unwrap()), "10.0.0.1".parse::<IpAddr>().unwrap());
    }
}
