//! What makes a node look closer at a post: rooms in which somebody wants to be told of everything, and words somebody waits for.

use std::collections::HashSet;

use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use crate::domain::ids::RoomId;
use crate::domain::member::MemberState;
use crate::domain::preference::Notify;
use crate::store::backend::Db;
use crate::store::columns::{Code, Id};
use crate::store::error::StoreError;
use crate::store::schema::{keywords, members, preferences, room_preferences};

/// Rooms in which somebody wants to be told of every message.
///
/// # Errors
/// Those of the database.
pub async fn rooms(db: &mut Db) -> Result<HashSet<RoomId>, StoreError> {
    let query =
        room_preferences::table.filter(room_preferences::notify.eq(Notify::All.code())).select(room_preferences::room).distinct();
    let mut ids: Vec<Id> = each!(db, |c| query.load(c).await)?;
    let query = preferences::table
        .inner_join(members::table.on(members::user.eq(preferences::user)))
        .filter(preferences::notify.eq(Notify::All.code()))
        .filter(members::state.eq(MemberState::Joined.code()))
        .select(members::room)
        .distinct();
    let general: Vec<Id> = each!(db, |c| query.load(c).await)?;
    ids.extend(general);
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
