//! What makes a node look closer at a post: in which rooms, and who everywhere, wants to be told of everything, and words somebody waits for.

use std::collections::HashSet;

use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use crate::domain::ids::{RoomId, UserId};
use crate::domain::preference::Notify;
use crate::store::backend::Db;
use crate::store::columns::{Code, Id};
use crate::store::error::StoreError;
use crate::store::schema::{keywords, preferences, room_preferences};

/// Rooms of which somebody has said that they want to be told of every message.
///
/// # Errors
/// Those of the database.
pub async fn rooms(db: &mut Db) -> Result<HashSet<RoomId>, StoreError> {
    let query =
        room_preferences::table.filter(room_preferences::notify.eq(Notify::All.code())).select(room_preferences::room).distinct();
    let ids: Vec<Id> = each!(db, |c| query.load(c).await)?;
    Ok(ids.into_iter().map(Into::into).collect())
}

/// Who wants to be told of every message, wherever they are. A room knows who is in it: whoever joins counts from then on.
///
/// # Errors
/// Those of the database.
pub async fn people(db: &mut Db) -> Result<HashSet<UserId>, StoreError> {
    let query = preferences::table.filter(preferences::notify.eq(Notify::All.code())).select(preferences::user);
    let ids: Vec<Id> = each!(db, |c| query.load(c).await)?;
    Ok(ids.into_iter().map(Into::into).collect())
}

/// All keywords, each once, as they are looked for.
///
/// # Errors
/// Those of the database.
pub async fn words(db: &mut Db) -> Result<Vec<String>, StoreError> {
    let query = keywords::table.select(keywords::word_key).distinct();
    Ok(each!(db, |c| query.load(c).await)?)
}
