//! The statements of an append on SQLite: each is prepared once for the connection and run once for each row. There are no round trips to
//! save, and a statement for many rows would be planned anew for each batch, which costs more than running the short ones.

use diesel::prelude::*;

use super::raise::Raise;
use super::{Counter, CounterRow, Key, StoredPost};
use crate::store::backend::sqlite::Connection;
use crate::store::columns::Id;
use crate::store::rows::MessageRow;
use crate::store::schema::{messages, rooms};

/// The rooms' counters, those that exist.
pub(super) async fn counters(connection: &mut Connection, ids: Vec<Id>) -> QueryResult<Vec<CounterRow>> {
    let columns = (
        rooms::id,
        rooms::deleted,
        rooms::last_seq,
        rooms::head,
        rooms::policy_revision,
        rooms::last_created_at,
        rooms::slow_mode,
    );
    let each = move |c: &mut SqliteConnection| {
        let one = |id: Id| rooms::table.select(columns).filter(rooms::id.eq(id)).get_result(c).optional().transpose();
        ids.into_iter().filter_map(one).collect()
    };
    connection.spawn_blocking(each).await
}

/// Which of these posts are stored.
pub(super) async fn repeats(connection: &mut Connection, keys: Vec<Key>) -> QueryResult<Vec<(Key, StoredPost)>> {
    let columns = (messages::seq, messages::revision, messages::body_hash, messages::created_at);
    let each = move |c: &mut SqliteConnection| {
        let one = |key: Key| {
            let (room, author, client_id) = key;
            let named = messages::room.eq(room).and(messages::author.eq(author)).and(messages::client_id.eq(client_id));
            let stored = messages::table.select(columns).filter(named).get_result(c).optional().transpose();
            stored.map(|stored| stored.map(|stored| (key, stored)))
        };
        keys.into_iter().filter_map(one).collect()
    };
    connection.spawn_blocking(each).await
}

/// Inserts the messages and raises the counters.
pub(super) async fn write(connection: &mut Connection, rows: Vec<MessageRow>, raised: Vec<(Id, Counter)>) -> QueryResult<()> {
    let each = move |c: &mut SqliteConnection| {
        for row in rows {
            diesel::insert_into(messages::table).values(row).execute(c)?;
        }
        for (id, counter) in raised {
            Raise { id, counter }.execute(c)?;
        }
        Ok(())
    };
    connection.spawn_blocking(each).await
}
