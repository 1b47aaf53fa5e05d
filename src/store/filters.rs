//! Filters of words and links: those of a room, changed under its lock (see [`super::rooms::ChangeRoom`]), and those that hold everywhere,
//! whose changes are counted by one row that is their lock.
//!
//! *Must not know*: how a pattern is matched.

use chrono::NaiveDateTime;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use super::audit;
use super::backend::Db;
use super::columns::{Code, Id, at, number};
use super::error::StoreError;
use super::operation::{Operation, Reply};
use super::schema::{filter_set, filters};
use crate::domain::audit::{AuditAction, AuditEntry};
use crate::domain::fault::Fault;
use crate::domain::filter::{Filter, FilterKind, FilterRule};
use crate::domain::ids::{FilterId, RoomId, UserId};
use crate::domain::time::Timestamp;

/// A row of `filters`.
#[derive(Clone, Debug, Queryable, Insertable)]
#[diesel(table_name = filters, treat_none_as_default_value = false)]
struct Row {
    id: Id,
    room: Option<Id>,
    kind: i16,
    pattern: String,
    action: i16,
    created_by: Id,
    created_at: NaiveDateTime,
}

impl From<&Filter> for Row {
    fn from(filter: &Filter) -> Self {
        Self {
            id: filter.id.into(),
            room: filter.room.map(Id::from),
            kind: filter.rule.kind.code(),
            pattern: filter.rule.pattern.clone(),
            action: filter.rule.action.code(),
            created_by: filter.created_by.into(),
            created_at: at(filter.created_at),
        }
    }
}

impl TryFrom<Row> for Filter {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let rule = FilterRule { kind: Code::from_code(row.kind)?, pattern: row.pattern, action: Code::from_code(row.action)? };
        Ok(Self {
            id: row.id.into(),
            room: row.room.map(Into::into),
            rule,
            created_by: row.created_by.into(),
            created_at: row.created_at.and_utc(),
        })
    }
}

/// The filters of a room, oldest first. Their number is limited.
///
/// # Errors
/// Those of the database.
pub async fn of_room(db: &mut Db, room: RoomId) -> Result<Vec<Filter>, StoreError> {
    let query = filters::table.filter(filters::room.eq(Id::from(room))).order(filters::id);
    let rows: Vec<Row> = each!(db, |c| query.load(c).await)?;
    rows.into_iter().map(Filter::try_from).collect()
}

/// The filters that hold everywhere, oldest first, with the number of their last change at least: a change that commits between the two reads
/// is read again. Their number is limited.
///
/// # Errors
/// Those of the database.
pub async fn global(db: &mut Db) -> Result<(u64, Vec<Filter>), StoreError> {
    let revision = global_revision(db).await?;
    let query = filters::table.filter(filters::room.is_null()).order(filters::id);
    let rows: Vec<Row> = each!(db, |c| query.load(c).await)?;
    Ok((revision, rows.into_iter().map(Filter::try_from).collect::<Result<_, _>>()?))
}

/// How often the filters that hold everywhere have changed.
///
/// # Errors
/// Those of the database.
pub async fn global_revision(db: &mut Db) -> Result<u64, StoreError> {
    let query = filter_set::table.find(1).select(filter_set::revision);
    let revision: Option<i64> = each!(db, |c| query.first(c).await.optional())?;
    number(revision.unwrap_or_default())
}

/// One more change; its lock is held until all of it is written.
async fn raise(db: &mut Db) -> Result<(), StoreError> {
    let raised = filter_set::revision.eq(filter_set::revision + 1);
    if each!(db, |c| diesel::update(filter_set::table.find(1)).set(raised).execute(c).await)? > 0 {
        return Ok(());
    }
    let first = (filter_set::one.eq(1_i16), filter_set::revision.eq(1_i64));
    let inserted = each!(db, |c| diesel::insert_into(filter_set::table).values(first).execute(c).await);
    match inserted.map_err(StoreError::from) {
        // Another first change was faster: run again, this is the second.
        Err(StoreError::RowRefused(_)) => Err(StoreError::Contention("the first filter was made just now".to_owned())),
        other => other.map(drop),
    }
}

/// What an administrator changes of the filters that hold everywhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GlobalChange {
    /// One more.
    Add {
        /// Its name in lists.
        filter: FilterId,
        /// What it does.
        rule: FilterRule,
    },
    /// One less; if it is gone, it is as asked.
    Remove {
        /// Which.
        filter: FilterId,
    },
}

/// Changes the filters that hold everywhere.
#[derive(Clone, Debug)]
pub struct ChangeGlobalFilters {
    /// Who asks, an administrator.
    pub actor: UserId,
    /// What.
    pub change: GlobalChange,
    /// The present time.
    pub now: Timestamp,
    /// How many there may be.
    pub filters_max: usize,
}

impl Operation for ChangeGlobalFilters {
    type Output = ();
    const NAME: &'static str = "change_global_filters";

    fn run<'a>(&'a self, db: &'a mut Db) -> Reply<'a, ()> {
        Box::pin(async move {
            raise(db).await?;
            let changed = match &self.change {
                GlobalChange::Add { filter, rule } => {
                    let new =
                        Filter { id: *filter, room: None, rule: rule.clone(), created_by: self.actor, created_at: self.now };
                    add(db, &new, self.filters_max).await?.then_some(new)
                }
                GlobalChange::Remove { filter } => remove(db, None, *filter).await?,
            };
            let Some(filter) = changed else { return Ok(()) };
            let action = match self.change {
                GlobalChange::Add { .. } => AuditAction::FilterMade,
                GlobalChange::Remove { .. } => AuditAction::FilterRemoved,
            };
            audit::write(db, &AuditEntry::new(self.now, Some(self.actor), action).namely(detail(&filter))).await
        })
    }
}

/// Which filter, for the audit log.
pub(super) fn detail(filter: &Filter) -> String {
    let kind = match filter.rule.kind {
        FilterKind::Word => "word",
        FilterKind::Link => "link",
    };
    format!("{kind} {} ({})", filter.rule.pattern, filter.id)
}

/// Makes a filter under the lock of its room or of all; false if this was done before.
pub(super) async fn add(db: &mut Db, new: &Filter, limit: usize) -> Result<bool, StoreError> {
    if let Some(known) = get(db, new.id).await? {
        let same = (known.room, &known.rule, known.created_by) == (new.room, &new.rule, new.created_by);
        return if same { Ok(false) } else { Err(Fault::KeyReused.into()) };
    }
    let count: i64 = match new.room {
        Some(room) => {
            let query = filters::table.filter(filters::room.eq(Id::from(room))).count();
            each!(db, |c| query.get_result(c).await)?
        }
        None => {
            let query = filters::table.filter(filters::room.is_null()).count();
            each!(db, |c| query.get_result(c).await)?
        }
    };
    if number(count)? >= limit as u64 {
        return Err(Fault::LimitReached.into());
    }
    let row = Row::from(new);
    each!(db, |c| diesel::insert_into(filters::table).values(row).execute(c).await)?;
    Ok(true)
}

/// Removes a filter of this room, or one that holds everywhere; `None` if there is none.
pub(super) async fn remove(db: &mut Db, room: Option<RoomId>, filter: FilterId) -> Result<Option<Filter>, StoreError> {
    let Some(known) = get(db, filter).await?.filter(|known| known.room == room) else { return Ok(None) };
    each!(db, |c| diesel::delete(filters::table.find(Id::from(filter))).execute(c).await)?;
    Ok(Some(known))
}

/// One filter.
///
/// # Errors
/// Those of the database.
pub async fn get(db: &mut Db, filter: FilterId) -> Result<Option<Filter>, StoreError> {
    let query = filters::table.find(Id::from(filter));
    let row: Option<Row> = each!(db, |c| query.first(c).await.optional())?;
    row.map(Filter::try_from).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::filter::FilterAction;
    use crate::store::testing::{TestStore, noon};

    fn change(actor: UserId, change: GlobalChange) -> ChangeGlobalFilters {
        ChangeGlobalFilters { actor, change, now: noon(), filters_max: 2 }
    }

    fn add(filter: FilterId, pattern: &str) -> GlobalChange {
        let rule = FilterRule { kind: FilterKind::Word, pattern: pattern.to_owned(), action: FilterAction::Refuse };
        GlobalChange::Add { filter, rule }
    }

    #[tokio::test]
    async fn changes_are_counted_from_the_first_on_and_limited_in_what_they_add() {
        let at = TestStore::open().await;
        let [root] = at.people().await;
        let known = async || at.store.read(|db| Box::pin(global(db))).await.unwrap();
        assert_eq!(known().await, (0, vec![]));
        let (one, two, three) = (FilterId::generate(), FilterId::generate(), FilterId::generate());
        // Two at once, of which one is the very first.
        let (first, second) = tokio::join!(at.run(change(root, add(one, "spam"))), at.run(change(root, add(two, "eggs"))));
        assert_eq!((first, second), (Ok(()), Ok(())));
        let (revision, filters) = known().await;
        assert_eq!((revision, filters.iter().map(|filter| filter.id).collect::<Vec<_>>()), (2, vec![one, two]));
        let refused = |fault| Err(StoreError::Refused(fault));
        assert_eq!(at.run(change(root, add(three, "ham"))).await, refused(Fault::LimitReached));
        assert_eq!(at.run(change(root, add(one, "ham"))).await, refused(Fault::KeyReused));
        assert_eq!(at.run(change(root, GlobalChange::Remove { filter: one })).await, Ok(()));
        assert_eq!(known().await.1.len(), 1);
    }
}
