//! The tracker's view of the store: plain reads, and last-active times through persistence like every other write.

use std::collections::BTreeMap;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};

use crate::domain::fault::Refusal;
use crate::domain::ids::UserId;
use crate::domain::time::Timestamp;
use crate::persistence::handle::{Key, Persistence};
use crate::store::presence::StoredPresence;
use crate::store::users::changes::TouchLastActive;
use crate::store::{Store, StoreError, presence};

use super::neighbours::Records;
use super::state::Profile;

/// Seconds in the step in which last-active times are written; people see minutes.
const STEP: i64 = 60;

/// The store and the way to write.
#[derive(Clone)]
pub struct StoreRecords {
    /// For reading.
    pub store: Store,
    /// For writing.
    pub persistence: Persistence,
    /// Writes that may wait in all before presence holds back its own: half of what would make posts busy.
    pub yields_at: usize,
}

impl Records for StoreRecords {
    fn profiles(&self, users: Vec<UserId>) -> BoxFuture<'static, Result<Vec<Profile>, Refusal>> {
        let store = self.store.clone();
        async move { answer(store.read(|db| Box::pin(async move { presence::of(db, &users).await })).await) }.boxed()
    }

    fn watchable(&self, watcher: UserId, users: Vec<UserId>) -> BoxFuture<'static, Result<Vec<Profile>, Refusal>> {
        let store = self.store.clone();
        async move {
            let shared = store.read(move |db| Box::pin(async move { presence::shared_with(db, watcher, &users).await }));
            answer(shared.await)
        }
        .boxed()
    }

    /// Yields to posts: what is handed in is written when no post waits; with the queue half full, or the database away, nothing is.
    fn save_last_active(&self, times: Vec<(UserId, Timestamp)>) -> BoxFuture<'static, bool> {
        let condition = self.persistence.condition();
        if condition.away || condition.waiting_rows > self.yields_at || condition.saturation > 0.5 {
            return async { false }.boxed();
        }
        let written = by_step(times).into_iter().filter_map(|operation| {
            let key = Key::User(*operation.users.first()?);
            Some(self.persistence.run_in_background(key, operation))
        });
        let written = join_all(written.collect::<Vec<_>>());
        async move { written.await.into_iter().all(|answer| matches!(answer, Ok(Ok(())))) }.boxed()
    }
}

/// One statement for all who were active in the same minute, with the newest of their times: so nobody's is wrong by more than that.
fn by_step(times: Vec<(UserId, Timestamp)>) -> Vec<TouchLastActive> {
    let mut steps: BTreeMap<i64, TouchLastActive> = BTreeMap::new();
    for (user, at) in times {
        let step = at.timestamp().div_euclid(STEP);
        let touch = steps.entry(step).or_insert_with(|| TouchLastActive { at, users: Vec::new() });
        touch.at = touch.at.max(at);
        touch.users.push(user);
    }
    steps.into_values().collect()
}

fn answer(stored: Result<Vec<StoredPresence>, StoreError>) -> Result<Vec<Profile>, Refusal> {
    let profile = |StoredPresence { user, invisible, last_active }| Profile { user, invisible, last_active };
    match stored {
        Ok(stored) => Ok(stored.into_iter().map(profile).collect()),
        Err(error) => {
            tracing::debug!(%error, "the store did not answer about presence");
            Err(error.fault().into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;

    #[test]
    fn people_active_in_the_same_minute_share_a_statement() {
        let at = |seconds| DateTime::from_timestamp(seconds, 0).unwrap();
        let people: Vec<_> = (0..3).map(|_| UserId::generate()).collect();
        let written = by_step(vec![(people[0], at(61)), (people[1], at(119)), (people[2], at(120))]);
        let written: Vec<_> = written.into_iter().map(|touch| (touch.at, touch.users)).collect();
        assert_eq!(written, [(at(119), vec![people[0], people[1]]), (at(120), vec![people[2]])]);
    }
}
