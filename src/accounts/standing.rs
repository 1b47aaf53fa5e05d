//! Which access tokens are worth something although nobody asks the database: pure.
//!
//! A token lives for minutes; a login that ended is remembered for as long as its last token could live. Administrators are few, so
//! all are known by name and a token need not say who is one: being made one, or not any more, counts at once.

use crate::domain::ids::{LoginId, UserId};
use crate::domain::time::Timestamp;
use std::collections::{HashMap, HashSet};
use std::time::Duration;

/// What is known of logins and administrators.
#[derive(Debug)]
pub struct Standing {
    token_life: Duration,
    /// Logins that ended, each with the time from which none of its tokens can live.
    ended: HashMap<LoginId, Timestamp>,
    admins: HashSet<UserId>,
    /// How often [`Standing::set_admin`] was called: what was read from the store before such a call may be older than it.
    admin_changes: u64,
}

impl Standing {
    /// Nothing is known yet; access tokens live for `token_life`.
    #[must_use]
    pub fn new(token_life: Duration) -> Self {
        Self { token_life, ended: HashMap::new(), admins: HashSet::new(), admin_changes: 0 }
    }

    /// Notes that a login ended. True if that is news.
    pub fn end(&mut self, login: LoginId, at: Timestamp) -> bool {
        // Twice: another process, whose clock may be behind, could have signed a little later.
        self.ended.insert(login, at + self.token_life.saturating_mul(2)).is_none()
    }

    /// Whether tokens of this login are refused.
    #[must_use]
    pub fn is_ended(&self, login: LoginId) -> bool {
        self.ended.contains_key(&login)
    }

    /// To be taken before the administrators are read, for [`Standing::set_admins`].
    #[must_use]
    pub fn admin_changes(&self) -> u64 {
        self.admin_changes
    }

    /// Notes all administrators there are, as read when there had been `changes`; worth nothing if there was one since.
    pub fn set_admins(&mut self, changes: u64, admins: impl IntoIterator<Item = UserId>) {
        if changes == self.admin_changes {
            self.admins = admins.into_iter().collect();
        }
    }

    /// Notes whether one person is an administrator.
    pub fn set_admin(&mut self, user: UserId, admin: bool) {
        self.admin_changes += 1;
        if admin {
            self.admins.insert(user);
        } else {
            self.admins.remove(&user);
        }
    }

    /// Whether this person administers the server.
    #[must_use]
    pub fn is_admin(&self, user: UserId) -> bool {
        self.admins.contains(&user)
    }

    /// Forgets logins whose tokens have all expired.
    pub fn forget_expired(&mut self, now: Timestamp) {
        self.ended.retain(|_, until| *until > now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{DateTime, Duration as Delta};

    fn now() -> Timestamp {
        DateTime::from_timestamp(1_800_000_000, 0).unwrap()
    }

    #[test]
    fn an_ended_login_is_remembered_until_its_last_token_has_expired() {
        let mut standing = Standing::new(Duration::from_secs(600));
        let (ended, other) = (LoginId::generate(), LoginId::generate());
        assert!(standing.end(ended, now()));
        assert!(!standing.end(ended, now()), "no news");
        assert!(standing.is_ended(ended) && !standing.is_ended(other));
        standing.forget_expired(now() + Delta::seconds(601));
        assert!(standing.is_ended(ended));
        standing.forget_expired(now() + Delta::seconds(1200));
        assert!(!standing.is_ended(ended));
    }

    #[test]
    fn whoever_is_an_administrator_is_so_at_once_and_no_longer() {
        let mut standing = Standing::new(Duration::from_secs(600));
        let (ann, bob) = (UserId::generate(), UserId::generate());
        standing.set_admins(0, [ann]);
        standing.set_admin(bob, true);
        standing.set_admin(ann, false);
        assert!(standing.is_admin(bob) && !standing.is_admin(ann));
        standing.set_admins(1, [ann]);
        assert!(standing.is_admin(bob) && !standing.is_admin(ann), "read before ann was one no longer");
        standing.set_admins(standing.admin_changes(), [ann]);
        assert!(standing.is_admin(ann) && !standing.is_admin(bob));
    }
}
