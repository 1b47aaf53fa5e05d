//! SQLite's checkpoints, beside the commits.
//!
//! Purpose: what is in the write-ahead log must come into the database file now and then. Left to itself SQLite does that within a commit, which
//! then takes as long as hundreds of others. Here another connection copies while the writer goes on, and only when the log has grown long is the
//! writer kept out for the moment in which it begins again from the front.
//!
//! Neighbours: `access` lends it a connection for as long as the store is open. *Must not know*: what is stored.

use std::time::Duration;

use diesel::prelude::*;
use diesel::sql_types::Integer;
use tokio::time::{Interval, MissedTickBehavior, interval};

/// How often is looked.
const EVERY: Duration = Duration::from_millis(100);

/// Pages that gather before they are copied: few enough that copying disturbs nobody, enough that pages written again and again are copied once.
const COPY_FROM: i32 = 1_000;

/// Pages in the log from which it begins again from the front: 16 MiB.
const BEGIN_AGAIN_FROM: i32 = 4_000;

/// What `PRAGMA wal_checkpoint` answers, in pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, QueryableByName)]
struct Log {
    #[diesel(sql_type = Integer)]
    log: i32,
    #[diesel(sql_type = Integer)]
    checkpointed: i32,
}

/// What to do about a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Nothing,
    /// Copy, beside the writer.
    Copy,
    /// Copy the little that is left while the writer waits, so that the next commit begins at the front.
    BeginAgain,
}

impl Log {
    const fn next(self) -> Step {
        let left = self.log - self.checkpointed;
        if left >= COPY_FROM {
            Step::Copy
        } else if self.log >= BEGIN_AGAIN_FROM && left > 0 {
            Step::BeginAgain
        } else {
            Step::Nothing
        }
    }
}

/// When to look.
pub(super) fn ticks() -> Interval {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// Copies what there is to copy. A connection that only reads may do so.
///
/// # Errors
/// Those of the database. A log that stays long is then the business of the commits.
pub(super) fn look(connection: &mut SqliteConnection) -> QueryResult<()> {
    let mut log = ask(connection, "PRAGMA wal_checkpoint(NOOP)")?;
    if log.next() == Step::Copy {
        log = ask(connection, "PRAGMA wal_checkpoint(PASSIVE)")?;
    }
    if log.next() == Step::BeginAgain {
        ask(connection, "PRAGMA wal_checkpoint(RESTART)")?;
    }
    Ok(())
}

fn ask(connection: &mut SqliteConnection, pragma: &str) -> QueryResult<Log> {
    diesel::sql_query(pragma).get_result(connection)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::backend::{Connector, Db, Role};

    #[test]
    fn what_gathers_is_copied_and_a_long_log_begins_again_once_little_is_left() {
        let next = |log, checkpointed| Log { log, checkpointed }.next();
        assert_eq!(next(999, 0), Step::Nothing);
        assert_eq!(next(1_000, 0), Step::Copy);
        assert_eq!(next(5_000, 4_500), Step::BeginAgain);
        assert_eq!(next(5_000, 3_000), Step::Copy, "the writer would wait for all of it");
        assert_eq!(next(5_000, 5_000), Step::Nothing, "the next commit begins at the front by itself");
        assert_eq!(next(-1, -1), Step::Nothing, "no log");
    }

    #[tokio::test]
    async fn the_log_of_a_busy_writer_stays_short() {
        let folder = tempfile::tempdir().unwrap();
        let settings = crate::config::Config::default().database;
        let writer = Connector::new(&settings, folder.path(), Role::Writer);
        let beside = writer.clone().with_role(Role::Reader);
        let (mut writer, mut beside) = (writer.open().await.unwrap(), beside.open().await.unwrap());
        let (Db::Sqlite(writer), Db::Sqlite(beside)) = (&mut writer, &mut beside) else { panic!("not SQLite") };
        let execute = |c: &mut SqliteConnection, sql: &str| diesel::sql_query(sql).execute(c).unwrap();
        writer.spawn_blocking(move |c| Ok(execute(c, "CREATE TABLE t (x BLOB)"))).await.unwrap();
        let mut longest = 0;
        for _ in 0..40 {
            // 250 pages of a megabyte.
            writer.spawn_blocking(move |c| Ok(execute(c, "INSERT INTO t VALUES (zeroblob(1000000))"))).await.unwrap();
            let log = beside.spawn_blocking(|c| look(c).and_then(|()| ask(c, "PRAGMA wal_checkpoint(NOOP)"))).await.unwrap();
            longest = longest.max(log.log);
        }
        assert!((COPY_FROM..BEGIN_AGAIN_FROM + COPY_FROM).contains(&longest), "{longest} pages");
    }
}
