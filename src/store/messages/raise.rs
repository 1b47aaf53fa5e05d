//! The `UPDATE` of a room's counters, which every post needs.

use chrono::NaiveDateTime;
use diesel::backend::Backend;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::serialize::ToSql;
use diesel::sql_types::{BigInt, Binary, Timestamp};

use super::Counter;
use crate::store::columns::Id;

/// Raises the counters of one room. The `UPDATE` that diesel writes is prepared anew at every run, as its assignments might differ from run to
/// run; these do not.
#[derive(QueryId)]
pub(super) struct Raise {
    pub(super) id: Id,
    pub(super) counter: Counter,
}

impl<DB> QueryFragment<DB> for Raise
where
    DB: Backend,
    i64: ToSql<BigInt, DB>,
    NaiveDateTime: ToSql<Timestamp, DB>,
    Id: ToSql<Binary, DB>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        out.push_sql("UPDATE rooms SET last_seq = ");
        out.push_bind_param::<BigInt, _>(&self.counter.last_seq)?;
        out.push_sql(", head = ");
        out.push_bind_param::<BigInt, _>(&self.counter.head)?;
        out.push_sql(", last_created_at = ");
        out.push_bind_param::<Timestamp, _>(&self.counter.last_created_at)?;
        out.push_sql(" WHERE id = ");
        out.push_bind_param::<Binary, _>(&self.id)
    }
}

impl RunQueryDsl<SqliteConnection> for Raise {}
