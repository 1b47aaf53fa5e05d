//! Lists of ids in statements that stay prepared.

use diesel::backend::Backend;
use diesel::expression::{AppearsOnTable, Expression, SelectableExpression, ValidGrouping};
use diesel::prelude::*;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::serialize::ToSql;
use diesel::sql_types::{Binary, Bool};

use super::columns::Id;

/// `column IN (ids)`; of no ids it is false.
pub(super) fn among<C>(column: C, ids: &[Id]) -> Among<C> {
    let mut ids = ids.to_vec();
    if let Some(last) = ids.last().copied() {
        ids.resize(ids.len().next_power_of_two(), last);
    }
    Among { column, ids }
}

/// See [`among`]. A statement with diesel's `eq_any` is prepared anew at every run, as there may be one for each length. Here the last id is repeated
/// up to the next power of two, so there are few.
#[derive(Clone, Debug, ValidGrouping)]
pub(super) struct Among<C> {
    column: C,
    ids: Vec<Id>,
}

impl<C: Expression> Expression for Among<C> {
    type SqlType = Bool;
}

impl<C: AppearsOnTable<From>, From> AppearsOnTable<From> for Among<C> {}

impl<C: SelectableExpression<From>, From> SelectableExpression<From> for Among<C> {}

/// None that is known before the length is: the statement is kept by its text.
impl<C> QueryId for Among<C> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<C, DB> QueryFragment<DB> for Among<C>
where
    DB: Backend,
    C: QueryFragment<DB>,
    Id: ToSql<Binary, DB>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        if self.ids.is_empty() {
            out.push_sql("0 = 1");
            return Ok(());
        }
        self.column.walk_ast(out.reborrow())?;
        out.push_sql(" IN (");
        for (place, id) in self.ids.iter().enumerate() {
            if place > 0 {
                out.push_sql(", ");
            }
            out.push_bind_param::<Binary, _>(id)?;
        }
        out.push_sql(")");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::UserId;
    use crate::store::schema::users;
    use crate::store::testing::TestStore;
    use diesel::connection::InstrumentationEvent;
    use diesel_async::{AsyncConnection, RunQueryDsl};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[tokio::test]
    async fn lists_of_any_length_find_what_is_in_them_with_few_statements_prepared() {
        let test = TestStore::open().await;
        let people: [UserId; 2] = test.people().await;
        let ids: Vec<Id> = people.into_iter().chain((0..6).map(|_| UserId::generate())).map(Id::from).collect();
        let prepared = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&prepared);
        let found = test.store.read(move |db| {
            Box::pin(async move {
                each!(db, |c| c.set_instrumentation(move |event: InstrumentationEvent<'_>| {
                    if matches!(event, InstrumentationEvent::CacheQuery { .. }) {
                        count.fetch_add(1, Ordering::Relaxed);
                    }
                }));
                let mut found = Vec::new();
                for length in (0..=8).chain(1..=8) {
                    let query = users::table.filter(among(users::id, &ids[..length])).count();
                    let rows: i64 = each!(db, |c| query.get_result(c).await)?;
                    found.push(rows);
                }
                each!(db, |c| c.set_instrumentation(|_: InstrumentationEvent<'_>| {}));
                Ok(found)
            })
        });
        assert_eq!(found.await.unwrap(), [0, 1, 2, 2, 2, 2, 2, 2, 2, 1, 2, 2, 2, 2, 2, 2, 2]);
        assert_eq!(AtomicUsize::load(&prepared, Ordering::Relaxed), 5, "of no ids, and of 1, 2, 4 and 8");
    }
}
