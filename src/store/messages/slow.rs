//! Slow mode: when each author may post next, known under the room's lock alone, so that it holds over restarts, for REST and sockets
//! together. A batch without a room in slow mode asks the database nothing for it.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use chrono::NaiveDateTime;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use super::{Append, Counter};
use crate::domain::member::Role;
use crate::domain::room::SlowMode;
use crate::domain::time::Timestamp;
use crate::store::backend::Db;
use crate::store::columns::{Code, Id};
use crate::store::error::StoreError;
use crate::store::schema::members;

/// The authors of a batch who wait between posts: by room and person. Moderators and owners are not among them.
#[derive(Clone, Debug, Default)]
pub(super) struct Pauses(HashMap<(Id, Id), Pause>);

#[derive(Clone, Copy, Debug)]
struct Pause {
    slow_mode: SlowMode,
    last: Option<NaiveDateTime>,
    /// `last` is of this batch.
    posted: bool,
}

impl Pauses {
    /// Reads those of the locked rooms that are in slow mode.
    pub(super) async fn read(db: &mut Db, counters: &HashMap<Id, Counter>, appends: &[Append]) -> Result<Self, StoreError> {
        let mut pauses = HashMap::new();
        for (room, counter) in counters.iter().filter(|(_, counter)| counter.slow_mode != SlowMode::OFF) {
            let posts = appends.iter().filter(|append| Id::from(append.room) == *room).flat_map(|append| &append.posts);
            let authors: BTreeSet<Id> = posts.map(|(post, _)| post.author.into()).collect();
            let query = members::table
                .filter(members::room.eq(room))
                .filter(members::user.eq_any(authors))
                .filter(members::role.eq(Role::Member.code()))
                .select((members::user, members::last_post_at));
            let rows: Vec<(Id, Option<NaiveDateTime>)> = each!(db, |c| query.load(c).await)?;
            let pause = |last| Pause { slow_mode: counter.slow_mode, last, posted: false };
            pauses.extend(rows.into_iter().map(|(user, last)| ((*room, user), pause(last))));
        }
        Ok(Self(pauses))
    }

    /// How long the author has still to wait; `None`: they may post.
    pub(super) fn rest(&self, room: Id, author: Id, now: Timestamp) -> Option<Duration> {
        let pause = self.0.get(&(room, author))?;
        pause.slow_mode.rest(pause.last?.and_utc(), now)
    }

    /// The author has posted.
    pub(super) fn note(&mut self, room: Id, author: Id, at: NaiveDateTime) {
        if let Some(pause) = self.0.get_mut(&(room, author)) {
            (pause.last, pause.posted) = (Some(at), true);
        }
    }

    /// Keeps who posted when.
    pub(super) async fn write(self, db: &mut Db) -> Result<(), StoreError> {
        for ((room, user), pause) in self.0.into_iter().filter(|(_, pause)| pause.posted) {
            let posted = diesel::update(members::table.find((room, user))).set(members::last_post_at.eq(pause.last));
            each!(db, |c| posted.execute(c).await)?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "slow_tests.rs"]
mod tests;
