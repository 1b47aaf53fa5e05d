//! A write for its own sake: whoever knows that one goes through knows that the database takes writes again.
//!
//! Purpose: an empty transaction commits on a full disk, and on a server that has become read-only; a probe must need what posts need. On
//! SQLite its pages take room in the log before the commit, as theirs do. On MySQL a table has room of its own, so there a probe may go through
//! although that of the messages is full.
//!
//! *Must not know*: when to probe (persistence decides).

use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use super::backend::Db;
use super::operation::{Operation, Reply};
use super::schema::probes;

/// Bytes of a probe: more than a small batch of posts changes, so that what has room for the one mostly has room for the other. Where it
/// has not, each probe still takes some of what is left.
const BYTES: usize = 48 * 1024;

/// Writes something that was not there before.
#[derive(Clone, Copy, Debug)]
pub struct Probe {
    /// Who probes: a row each, so that nobody waits for another one's lock.
    pub lane: i16,
}

impl Operation for Probe {
    type Output = ();
    const NAME: &'static str = "probe";

    fn run<'a>(&'a self, db: &'a mut Db) -> Reply<'a, ()> {
        Box::pin(async move {
            // Other bytes on every page each time: SQLite writes no page that is as it was.
            let filler = uuid::Uuid::new_v4().as_bytes().repeat(BYTES / 16);
            let row = (probes::lane.eq(self.lane), probes::filler.eq(filler));
            each!(db, |c| diesel::replace_into(probes::table).values(row).execute(c).await)?;
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::TestStore;

    #[tokio::test]
    async fn each_probe_writes_as_much_as_the_one_before_and_what_is_stored_does_not_grow() {
        let test = TestStore::open().await;
        let stored = async || -> Vec<(i16, Vec<u8>)> {
            test.store.read(|db| Box::pin(async { Ok(each!(db, |c| probes::table.load(c).await)?) })).await.unwrap()
        };
        let log = || std::fs::metadata(test.folder.path().join("hubbub.sqlite-wal")).map_or(0, |log| log.len());
        test.run(Probe { lane: 1 }).await.unwrap();
        let first = stored().await;
        let mut before = log();
        for _ in 0..3 {
            test.run(Probe { lane: 1 }).await.unwrap();
            assert!(!test.store.is_file() || log() - before > BYTES as u64, "{} bytes more in the log", log() - before);
            before = log();
        }
        let last = stored().await;
        assert_eq!((first.len(), last.len(), last[0].1.len()), (1, 1, BYTES));
        assert_ne!(first, last);
    }
}
