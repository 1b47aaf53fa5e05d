//! Finding people by the beginning of a name.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use super::{COLUMNS, UserRow, listed, page, rows};
use crate::domain::ids::UserId;
use crate::domain::user::User;
use crate::store::backend::Db;
use crate::store::columns::{Id, name_key};
use crate::store::error::StoreError;
use crate::store::schema::users;

/// How far a search for people has come: log-in names first, then how people are shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FoundUpTo {
    /// The last one was found by this log-in name.
    Name(String),
    /// The last one was found by how they are shown.
    Display(String, UserId),
}

/// Up to `limit` people whose log-in name or display name begins with `prefix`, and where to go on. Nobody is found twice.
///
/// # Errors
/// Those of the database.
pub async fn search(
    db: &mut Db,
    prefix: &str,
    after: Option<FoundUpTo>,
    limit: usize,
) -> Result<(Vec<User>, Option<FoundUpTo>), StoreError> {
    let (low, high) = range(&name_key(prefix));
    let mut found: Vec<(FoundUpTo, User)> = Vec::new();
    let display_after = match after {
        Some(FoundUpTo::Display(key, user)) => Some((key, Id::from(user))),
        name => {
            let from = match name {
                Some(FoundUpTo::Name(key)) => key,
                _ => String::new(),
            };
            let columns = (COLUMNS, users::name_key.assume_not_null());
            let query = listed()
                .select(columns)
                .filter(users::name_key.ge(&low).and(users::name_key.lt(&high)).and(users::name_key.gt(from)))
                .order(users::name_key)
                .limit(rows(limit) + 1);
            let by_name: Vec<(UserRow, String)> = each!(db, |c| query.load(c).await)?;
            found.extend(by_name.into_iter().map(|(row, key)| (FoundUpTo::Name(key), row.into())));
            None
        }
    };
    if found.len() <= limit {
        let (from, user) = display_after.unwrap_or_else(|| (String::new(), Id([0; 16])));
        let columns = (COLUMNS, users::display_key);
        let beyond = users::display_key.gt(&from).or(users::display_key.eq(&from).and(users::id.gt(user)));
        let by_name = users::name_key.ge(&low).and(users::name_key.lt(&high));
        let query = listed()
            .select(columns)
            .filter(users::display_key.ge(&low).and(users::display_key.lt(&high)).and(beyond))
            .filter(diesel::dsl::not(by_name.assume_not_null()))
            .order((users::display_key, users::id))
            .limit(rows(limit - found.len()) + 1);
        let by_display: Vec<(UserRow, String)> = each!(db, |c| query.load(c).await)?;
        let place = |(row, key): (UserRow, String)| (FoundUpTo::Display(key, row.id.into()), row.into());
        found.extend(by_display.into_iter().map(place));
    }
    Ok(page(found, limit))
}

/// All keys that begin with `prefix` lie in this half-open range, in the byte order of both databases.
fn range(prefix: &str) -> (String, String) {
    (prefix.to_owned(), format!("{prefix}{}", char::MAX))
}
