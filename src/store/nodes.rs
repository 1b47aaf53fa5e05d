//! Which servers use this database, and which history it holds.
//!
//! Nodes register with a heartbeat. Without a bus between them two nodes would each tell only their own people of what happens, so
//! the second one must not start. A node that crashed takes its own row over at once: its id lies in its data folder.
//!
//! *Must not know*: how often a node beats, what it does when it has lost its row (`app` decides).

use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use super::backend::Db;
use super::columns::{Id, at};
use super::error::StoreError;
use super::operation::{Operation, Reply};
use super::schema::{meta, nodes};
use crate::domain::ids::{Epoch, NodeId};
use crate::domain::time::Timestamp;

/// Another node that seems to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OtherNode {
    /// Which.
    pub id: NodeId,
    /// Its last sign of life.
    pub seen_at: Timestamp,
}

/// Registers this node unless another one runs. Repeated at intervals it is the heartbeat.
#[derive(Clone, Debug)]
pub struct RegisterNode {
    /// This node.
    pub node: NodeId,
    /// When it started.
    pub started_at: Timestamp,
    /// The present time.
    pub now: Timestamp,
    /// Nodes last seen before this instant are gone and are forgotten.
    pub alive_since: Timestamp,
}

impl Operation for RegisterNode {
    /// The node that is there already; `None` once this one is registered.
    type Output = Option<OtherNode>;
    const NAME: &'static str = "register_node";

    fn run<'a>(&'a self, db: &'a mut Db) -> Reply<'a, Self::Output> {
        Box::pin(async move {
            // The lock on the one row of `meta` makes two nodes that start at once see each other.
            read_epoch(db, true).await?;
            let gone = nodes::table.filter(nodes::seen_at.lt(at(self.alive_since)));
            each!(db, |c| diesel::delete(gone).execute(c).await)?;
            let id = Id::from(self.node);
            let others = nodes::table.select((nodes::id, nodes::seen_at)).filter(nodes::id.ne(id)).order(nodes::seen_at.desc());
            let other: Option<(Id, chrono::NaiveDateTime)> = each!(db, |c| others.first(c).await.optional())?;
            if let Some((id, seen_at)) = other {
                return Ok(Some(OtherNode { id: id.into(), seen_at: seen_at.and_utc() }));
            }
            let mine = nodes::table.filter(nodes::id.eq(id));
            each!(db, |c| diesel::delete(mine).execute(c).await)?;
            let row = (nodes::id.eq(id), nodes::started_at.eq(at(self.started_at)), nodes::seen_at.eq(at(self.now)));
            each!(db, |c| diesel::insert_into(nodes::table).values(row).execute(c).await)?;
            Ok(None)
        })
    }
}

/// Another node than `own` that was seen since `alive_since`.
///
/// # Errors
/// Those of the database.
pub async fn alive(db: &mut Db, own: NodeId, alive_since: Timestamp) -> Result<Option<OtherNode>, StoreError> {
    let query = nodes::table
        .select((nodes::id, nodes::seen_at))
        .filter(nodes::id.ne(Id::from(own)))
        .filter(nodes::seen_at.ge(at(alive_since)))
        .order(nodes::seen_at.desc());
    let other: Option<(Id, chrono::NaiveDateTime)> = each!(db, |c| query.first(c).await.optional())?;
    Ok(other.map(|(id, seen_at)| OtherNode { id: id.into(), seen_at: seen_at.and_utc() }))
}

/// Takes this node off the list, so that another may start at once.
#[derive(Clone, Debug)]
pub struct UnregisterNode {
    /// This node.
    pub node: NodeId,
}

impl Operation for UnregisterNode {
    type Output = ();
    const NAME: &'static str = "unregister_node";

    fn run<'a>(&'a self, db: &'a mut Db) -> Reply<'a, ()> {
        Box::pin(async move {
            let mine = nodes::table.filter(nodes::id.eq(Id::from(self.node)));
            each!(db, |c| diesel::delete(mine).execute(c).await)?;
            Ok(())
        })
    }
}

/// Names the store's history: the first one of a new database stays, a restored backup gets another (I7).
#[derive(Clone, Debug)]
pub struct BeginEpoch {
    /// The name to give.
    pub epoch: Epoch,
    /// Give it even if there is one.
    pub restored: bool,
}

impl Operation for BeginEpoch {
    /// The epoch that holds now.
    type Output = Epoch;
    const NAME: &'static str = "begin_epoch";

    fn run<'a>(&'a self, db: &'a mut Db) -> Reply<'a, Epoch> {
        Box::pin(async move {
            match read_epoch(db, true).await? {
                Some(epoch) if !self.restored => return Ok(epoch),
                _ => each!(db, |c| diesel::delete(meta::table).execute(c).await)?,
            };
            let row = (meta::one.eq(1_i16), meta::epoch.eq(Id::from(self.epoch)));
            each!(db, |c| diesel::insert_into(meta::table).values(row).execute(c).await)?;
            Ok(self.epoch)
        })
    }
}

/// The epoch of this store; `None` before its first start.
///
/// # Errors
/// Those of the database.
pub async fn epoch(db: &mut Db) -> Result<Option<Epoch>, StoreError> {
    read_epoch(db, false).await
}

async fn read_epoch(db: &mut Db, lock: bool) -> Result<Option<Epoch>, StoreError> {
    let row = meta::table.select(meta::epoch);
    let epoch: Option<Id> = match db {
        Db::Mysql(c) if lock => row.for_update().first(c).await.optional()?,
        Db::Mysql(c) => row.first(c).await.optional()?,
        Db::Sqlite(c) => row.first(c).await.optional()?,
    };
    Ok(epoch.map(Into::into))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::TestStore;
    use chrono::{DateTime, Duration};

    fn second(number: i64) -> Timestamp {
        DateTime::UNIX_EPOCH + Duration::seconds(number)
    }

    fn register(node: NodeId, now: i64) -> RegisterNode {
        RegisterNode { node, started_at: second(0), now: second(now), alive_since: second(now - 10) }
    }

    #[tokio::test]
    async fn second_node_does_not_start_while_the_first_beats() {
        let test = TestStore::open().await;
        let (first, second_node) = (NodeId::generate(), NodeId::generate());
        test.run(BeginEpoch { epoch: Epoch::generate(), restored: false }).await.unwrap();
        assert_eq!(test.run(register(first, 100)).await.unwrap(), None);
        let other = test.run(register(second_node, 105)).await.unwrap();
        assert_eq!(other, Some(OtherNode { id: first, seen_at: second(100) }));
        assert_eq!(test.run(register(first, 106)).await.unwrap(), None, "a node takes its own row over");
        assert_eq!(test.run(register(second_node, 117)).await.unwrap(), None, "a node that is silent for too long is gone");
        assert!(test.run(register(first, 118)).await.unwrap().is_some());
        test.run(UnregisterNode { node: second_node }).await.unwrap();
        assert_eq!(test.run(register(first, 119)).await.unwrap(), None);
    }

    #[tokio::test]
    async fn epoch_stays_until_a_backup_is_restored() {
        let test = TestStore::open().await;
        let (one, two) = (Epoch::generate(), Epoch::generate());
        assert_eq!(test.store.read(|db| Box::pin(epoch(db))).await.unwrap(), None);
        assert_eq!(test.run(BeginEpoch { epoch: one, restored: false }).await.unwrap(), one);
        assert_eq!(test.run(BeginEpoch { epoch: two, restored: false }).await.unwrap(), one);
        assert_eq!(test.run(BeginEpoch { epoch: two, restored: true }).await.unwrap(), two);
        assert_eq!(test.store.read(|db| Box::pin(epoch(db))).await.unwrap(), Some(two));
    }
}
