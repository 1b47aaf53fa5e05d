//! Finding people by the beginning of a name.
//!
//! The index is over what names look like, so that look-alikes are found; what it yields is more than what is meant (`maria` stands under
//! `rnaria`, for `rn` looks like `m`), and [`begins_like`] judges each row.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use super::{COLUMNS, UserRow, listed, page, rows};
use crate::domain::ids::UserId;
use crate::domain::text::begins_like;
use crate::domain::user::{FoundUpTo, User};
use crate::store::backend::Db;
use crate::store::columns::{Id, name_key};
use crate::store::error::StoreError;
use crate::store::schema::users;

/// So many rows are read at once at least.
const CHUNK: usize = 100;
/// So often one search reads on before it answers what it has found, with the place to go on (I4).
const CHUNKS: usize = 20;

/// Up to `limit` people whose log-in name or display name begins with `prefix` or with what looks like it, and where to go on. Nobody is
/// found twice. There may be fewer than `limit` although there is a place to go on.
///
/// # Errors
/// Those of the database.
pub async fn search(
    db: &mut Db,
    prefix: &str,
    after: Option<FoundUpTo>,
    limit: usize,
) -> Result<(Vec<User>, Option<FoundUpTo>), StoreError> {
    let (range, chunk) = (range(&name_key(prefix)), CHUNK.max(limit + 1));
    let mut place = after.unwrap_or_else(|| FoundUpTo::Name(String::new()));
    let mut found: Vec<(FoundUpTo, User)> = Vec::new();
    for _ in 0..CHUNKS {
        let (read, next) = match &place {
            FoundUpTo::Name(key) => by_name(db, &range, key, chunk).await?,
            FoundUpTo::Display(key, user) => by_display(db, &range, (key, *user), chunk).await?,
        };
        for (at, user) in read {
            // By their display name only those are found who were not found by the other.
            let is_meant = match &at {
                FoundUpTo::Name(_) => begins_like(&user.name, prefix),
                FoundUpTo::Display(..) => begins_like(&user.display_name, prefix) && !begins_like(&user.name, prefix),
            };
            if is_meant {
                found.push((at, user));
            }
        }
        match next {
            Some(next) if found.len() <= limit => place = next,
            _ => return Ok(page(found, limit)),
        }
    }
    let people = found.into_iter().map(|(_, user)| user).collect();
    Ok((people, Some(place)))
}

/// The people of a range of log-in names, and where to read on if that was not all there is to read.
async fn by_name(db: &mut Db, (low, high): &Range, from: &str, chunk: usize) -> Result<Read, StoreError> {
    let columns = (COLUMNS, users::name_key.assume_not_null());
    let query = listed()
        .select(columns)
        .filter(users::name_key.ge(low).and(users::name_key.lt(high)).and(users::name_key.gt(from)))
        .order(users::name_key)
        .limit(rows(chunk));
    let read: Vec<(UserRow, String)> = each!(db, |c| query.load(c).await)?;
    let full = read.len() >= chunk;
    let read: Vec<_> = read.into_iter().map(|(row, key)| (FoundUpTo::Name(key), row.into())).collect();
    let first_shown = FoundUpTo::Display(String::new(), Id([0; 16]).into());
    let next = read.last().filter(|_| full).map_or(first_shown, |(at, _): &(FoundUpTo, User)| at.clone());
    Ok((read, Some(next)))
}

/// The same for how people are shown, which comes last.
async fn by_display(db: &mut Db, (low, high): &Range, (from, user): (&str, UserId), chunk: usize) -> Result<Read, StoreError> {
    let columns = (COLUMNS, users::display_key);
    let beyond = users::display_key.gt(from).or(users::display_key.eq(from).and(users::id.gt(Id::from(user))));
    let query = listed()
        .select(columns)
        .filter(users::display_key.ge(low).and(users::display_key.lt(high)).and(beyond))
        .order((users::display_key, users::id))
        .limit(rows(chunk));
    let read: Vec<(UserRow, String)> = each!(db, |c| query.load(c).await)?;
    let full = read.len() >= chunk;
    let read: Vec<_> = read.into_iter().map(|(row, key)| (FoundUpTo::Display(key, row.id.into()), row.into())).collect();
    let next = read.last().filter(|_| full).map(|(at, _): &(FoundUpTo, User)| at.clone());
    Ok((read, next))
}

/// From the first to before the second.
type Range = (String, String);

/// People, each with their place, and where to read on.
type Read = (Vec<(FoundUpTo, User)>, Option<FoundUpTo>);

/// All keys that begin with `prefix` lie in this half-open range, in the byte order of both databases.
fn range(prefix: &str) -> Range {
    (prefix.to_owned(), format!("{prefix}{}", char::MAX))
}
