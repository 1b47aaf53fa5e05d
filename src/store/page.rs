//! Part of a list.

use super::error::StoreError;

/// Some rows in order, and whether more follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// At most as many as were asked for.
    pub items: Vec<T>,
    /// There is another after the last of `items`.
    pub more: bool,
}

impl<T> Page<T> {
    /// What to ask the database for, to know whether more follow.
    pub(super) fn one_more(limit: usize) -> i64 {
        i64::try_from(limit).unwrap_or(i64::MAX - 1) + 1
    }

    /// Keeps `limit` rows.
    pub(super) fn cut(rows: impl Iterator<Item = Result<T, StoreError>>, limit: usize) -> Result<Self, StoreError> {
        let mut items = rows.collect::<Result<Vec<T>, _>>()?;
        let more = items.len() > limit;
        items.truncate(limit);
        Ok(Self { items, more })
    }
}
