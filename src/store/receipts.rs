//! Receipts: who sees how far whom has read. Asked of rooms with few people only (the policy says which).
//!
//! *Must not know*: how a mark comes about; [`super::read_marks`] writes them.

use std::collections::HashSet;

use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use super::backend::Db;
use super::columns::{Code, Id};
use super::error::StoreError;
use super::schema::{members, preferences};
use super::{read_marks, relations};
use crate::domain::ids::{RoomId, UserId};
use crate::domain::member::MemberState;
use crate::domain::reading::ReadMark;

/// Who among `people` must not see how far `user` has read: those with a block between them, in whichever direction, and those who want no
/// receipts. `None`: nobody may see it, as the person wants none.
///
/// # Errors
/// Those of the database.
pub async fn withheld(db: &mut Db, user: UserId, people: &[UserId]) -> Result<Option<Vec<UserId>>, StoreError> {
    let ids: Vec<Id> = people.iter().copied().chain([user]).map(Id::from).collect();
    let query = preferences::table
        .filter(preferences::user.eq_any(&ids))
        .filter(preferences::receipts.eq(false))
        .select(preferences::user);
    let without: Vec<Id> = each!(db, |c| query.load(c).await)?;
    let mut withheld: Vec<UserId> = without.into_iter().map(Into::into).collect();
    if withheld.contains(&user) {
        return Ok(None);
    }
    withheld.extend(relations::apart(db, user, people).await?);
    Ok(Some(withheld))
}

/// How far the others in a room have read it, as far as `user` may see it; by person.
///
/// # Errors
/// Those of the database.
pub async fn seen_by(db: &mut Db, room: RoomId, user: UserId) -> Result<Vec<(UserId, ReadMark)>, StoreError> {
    let query = members::table
        .filter(members::room.eq(Id::from(room)))
        .filter(members::state.eq(MemberState::Joined.code()))
        .filter(members::user.ne(Id::from(user)))
        .select(members::user);
    let others: Vec<Id> = each!(db, |c| query.load(c).await)?;
    let others: Vec<UserId> = others.into_iter().map(Into::into).collect();
    // Who must not see of whom goes both ways, so it is the same question.
    let Some(withheld) = withheld(db, user, &others).await? else { return Ok(Vec::new()) };
    let withheld: HashSet<UserId> = withheld.into_iter().collect();
    let shown: Vec<UserId> = others.into_iter().filter(|other| !withheld.contains(other)).collect();
    read_marks::of_room(db, room, &shown).await
}

#[cfg(test)]
#[path = "receipts_tests.rs"]
mod tests;
