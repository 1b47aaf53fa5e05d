//! The statements of an append on MySQL and MariaDB: one round trip for all rows of a batch; for a batch of one, which needs its answer
//! soonest, statements that stay prepared.

use std::collections::BTreeMap;

use chrono::NaiveDateTime;
use diesel::prelude::*;
use diesel_async::{AsyncMysqlConnection, RunQueryDsl};

use super::raise::Raise;
use super::{Counter, CounterRow, Key, StoredPost};
use crate::store::among::among;
use crate::store::columns::Id;
use crate::store::rows::MessageRow;
use crate::store::schema::{messages, rooms};

/// Rows in one INSERT; keeps the number of bound values below what the protocol takes.
pub(super) const ROWS_PER_INSERT: usize = 1000;

/// The rooms' counters, those that exist, locked in the order of their ids.
pub(super) async fn lock_counters(connection: &mut AsyncMysqlConnection, ids: &[Id]) -> QueryResult<Vec<CounterRow>> {
    let columns = (
        rooms::id,
        rooms::deleted,
        rooms::last_seq,
        rooms::head,
        rooms::policy_revision,
        rooms::last_created_at,
        rooms::slow_mode,
    );
    match ids {
        [id] => rooms::table.select(columns).filter(rooms::id.eq(id)).for_update().load(connection).await,
        ids => rooms::table.select(columns).filter(among(rooms::id, ids)).order(rooms::id).for_update().load(connection).await,
    }
}

/// Which of these posts are stored.
pub(super) async fn repeats(connection: &mut AsyncMysqlConnection, keys: &[Key]) -> QueryResult<Vec<(Key, StoredPost)>> {
    let columns = (messages::seq, messages::revision, messages::body_hash, messages::created_at);
    match keys {
        [key @ (room, author, client_id)] => {
            let named = messages::room.eq(room).and(messages::author.eq(author)).and(messages::client_id.eq(client_id));
            let stored = messages::table.select(columns).filter(named).get_result(connection).await.optional()?;
            Ok(stored.map(|stored| (*key, stored)).into_iter().collect())
        }
        keys => many_repeats(connection, keys).await,
    }
}

/// diesel has no row values, hence the text; the values are bound.
async fn many_repeats(connection: &mut AsyncMysqlConnection, keys: &[Key]) -> QueryResult<Vec<(Key, StoredPost)>> {
    use diesel::sql_types::{BigInt, Binary, Timestamp};

    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Binary)]
        room: Id,
        #[diesel(sql_type = Binary)]
        author: Id,
        #[diesel(sql_type = Binary)]
        client_id: Id,
        #[diesel(sql_type = BigInt)]
        seq: i64,
        #[diesel(sql_type = BigInt)]
        revision: i64,
        #[diesel(sql_type = Binary)]
        body_hash: Id,
        #[diesel(sql_type = Timestamp)]
        created_at: NaiveDateTime,
    }

    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let tuples = vec!["(?, ?, ?)"; keys.len()].join(", ");
    let mut query = diesel::sql_query(format!(
        "SELECT room, author, client_id, seq, revision, body_hash, created_at FROM messages FORCE INDEX (messages_by_client_id) \
         WHERE (room, author, client_id) IN ({tuples})"
    ))
    .into_boxed::<diesel::mysql::Mysql>();
    for (room, author, client_id) in keys {
        query = query.bind::<Binary, _>(room).bind::<Binary, _>(author).bind::<Binary, _>(client_id);
    }
    let rows: Vec<Row> = query.load(connection).await?;
    let stored =
        |row: &Row| StoredPost { seq: row.seq, revision: row.revision, body_hash: row.body_hash, created_at: row.created_at };
    Ok(rows.iter().map(|row| ((row.room, row.author, row.client_id), stored(row))).collect())
}

/// Inserts the messages and raises the counters.
pub(super) async fn write(
    connection: &mut AsyncMysqlConnection,
    rows: Vec<MessageRow>,
    raised: &[(Id, Counter)],
) -> QueryResult<()> {
    insert(connection, rows).await?;
    if let [(id, counter)] = *raised {
        Raise { id, counter }.execute(connection).await?;
        return Ok(());
    }
    for ((added, last_created_at), ids) in alike(raised) {
        let values = (
            rooms::last_seq.eq(rooms::last_seq + added),
            rooms::head.eq(rooms::head + added),
            rooms::last_created_at.eq(last_created_at),
        );
        diesel::update(rooms::table).filter(rooms::id.eq_any(ids)).set(values).execute(connection).await?;
    }
    Ok(())
}

/// Rooms that are raised alike share one UPDATE: nearly always all of them.
fn alike(raised: &[(Id, Counter)]) -> BTreeMap<(i64, NaiveDateTime), Vec<Id>> {
    let mut alike: BTreeMap<_, Vec<Id>> = BTreeMap::new();
    for (id, counter) in raised {
        alike.entry((counter.added, counter.last_created_at)).or_default().push(*id);
    }
    alike
}

async fn insert(connection: &mut AsyncMysqlConnection, mut rows: Vec<MessageRow>) -> QueryResult<()> {
    if let [row] = rows.as_slice() {
        diesel::insert_into(messages::table).values(row).execute(connection).await?;
        return Ok(());
    }
    while !rows.is_empty() {
        let rest = rows.split_off(rows.len().min(ROWS_PER_INSERT));
        let part = std::mem::replace(&mut rows, rest);
        diesel::insert_into(messages::table).values(part).execute(connection).await?;
    }
    Ok(())
}
