//! Links that invite into a room. Made, revoked and spent under the room's lock (see [`super::rooms::ChangeRoom`]).

use chrono::NaiveDateTime;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use super::backend::Db;
use super::columns::{Id, at, int, number};
use super::error::StoreError;
use super::schema::room_links;
use crate::domain::fault::Fault;
use crate::domain::ids::{LinkId, RoomId, UserId};
use crate::domain::room::RoomLink;
use crate::domain::time::Timestamp;

#[derive(Clone, Debug, Queryable)]
struct LinkRow {
    id: Id,
    room: Id,
    created_by: Id,
    created_at: NaiveDateTime,
    expires_at: Option<NaiveDateTime>,
    max_uses: Option<i64>,
    uses: i64,
}

/// The columns of a [`LinkRow`]; the secret's hash stays where it is.
const LINK: Link = (
    room_links::id,
    room_links::room,
    room_links::created_by,
    room_links::created_at,
    room_links::expires_at,
    room_links::max_uses,
    room_links::uses,
);

type Link = (
    room_links::id,
    room_links::room,
    room_links::created_by,
    room_links::created_at,
    room_links::expires_at,
    room_links::max_uses,
    room_links::uses,
);

impl TryFrom<LinkRow> for RoomLink {
    type Error = StoreError;

    fn try_from(row: LinkRow) -> Result<Self, StoreError> {
        let small = |count: i64| number(count).map(|count| u32::try_from(count).unwrap_or(u32::MAX));
        Ok(Self {
            id: row.id.into(),
            room: row.room.into(),
            created_by: row.created_by.into(),
            created_at: row.created_at.and_utc(),
            expires_at: row.expires_at.map(|at| at.and_utc()),
            max_uses: row.max_uses.map(small).transpose()?,
            uses: small(row.uses)?,
        })
    }
}

impl LinkRow {
    fn works(&self, now: NaiveDateTime) -> bool {
        self.expires_at.is_none_or(|end| now < end) && self.max_uses.is_none_or(|most| self.uses < most)
    }
}

/// A link to be made.
#[derive(Clone, Copy, Debug)]
pub(super) struct NewLink<'a> {
    pub id: LinkId,
    pub room: RoomId,
    pub secret_hash: &'a [u8; 32],
    pub created_by: UserId,
    pub created_at: Timestamp,
    pub expires_at: Option<Timestamp>,
    pub max_uses: Option<u32>,
}

/// The links of a room, oldest first, those that no longer work included until their places are needed. Their number is limited.
///
/// # Errors
/// Those of the database.
pub async fn of(db: &mut Db, room: RoomId) -> Result<Vec<RoomLink>, StoreError> {
    rows(db, room).await?.into_iter().map(RoomLink::try_from).collect()
}

/// Into which room a secret leads, whether or not its link still works: who came in by its last use and asks again, because the answer
/// was lost, is told that they are in (I3). Whoever else asks learns nothing of the room from a link that does not work: the room's
/// change sees to that.
///
/// # Errors
/// Those of the database.
pub async fn find(db: &mut Db, secret_hash: &[u8; 32]) -> Result<Option<RoomId>, StoreError> {
    Ok(by_secret(db, secret_hash).await?.map(|row| row.room.into()))
}

/// Whether a room's link works.
pub(super) async fn works(db: &mut Db, room: RoomId, secret_hash: &[u8; 32], now: Timestamp) -> Result<bool, StoreError> {
    Ok(by_secret(db, secret_hash).await?.is_some_and(|row| row.room == room.into() && row.works(at(now))))
}

/// Makes a link; if it is there already, it is left as it is. The oldest of those that no longer work make room for it, no more than
/// must: a repeat finds a link as long as it is there. Whether it was made now.
pub(super) async fn create(db: &mut Db, new: &NewLink<'_>, limit: usize) -> Result<bool, StoreError> {
    let rows = rows(db, new.room).await?;
    if rows.iter().any(|row| row.id == new.id.into()) {
        return Ok(false);
    }
    let (working, spent): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.works(at(new.created_at)));
    if working.len() >= limit {
        return Err(Fault::LimitReached.into());
    }
    let too_many = (working.len() + spent.len() + 1).saturating_sub(limit);
    let spent: Vec<Id> = spent.into_iter().take(too_many).map(|row| row.id).collect();
    if !spent.is_empty() {
        each!(db, |c| diesel::delete(room_links::table.filter(room_links::id.eq_any(&spent))).execute(c).await)?;
    }
    let values = (
        room_links::id.eq(Id::from(new.id)),
        room_links::room.eq(Id::from(new.room)),
        room_links::secret_hash.eq(new.secret_hash.to_vec()),
        room_links::created_by.eq(Id::from(new.created_by)),
        room_links::created_at.eq(at(new.created_at)),
        room_links::expires_at.eq(new.expires_at.map(at)),
        room_links::max_uses.eq(new.max_uses.map(|most| int(most.into()))),
        room_links::uses.eq(0_i64),
    );
    each!(db, |c| diesel::insert_into(room_links::table).values(values).execute(c).await)?;
    Ok(true)
}

/// Removes a link; false if there is none.
pub(super) async fn revoke(db: &mut Db, room: RoomId, link: LinkId) -> Result<bool, StoreError> {
    let target = room_links::table.filter(room_links::id.eq(Id::from(link))).filter(room_links::room.eq(Id::from(room)));
    Ok(each!(db, |c| diesel::delete(target).execute(c).await)? > 0)
}

/// Counts one use, under the lock of the room the link leads into.
pub(super) async fn spend(db: &mut Db, room: RoomId, secret_hash: &[u8; 32], now: Timestamp) -> Result<(), StoreError> {
    let row = by_secret(db, secret_hash).await?;
    let link = row.filter(|row| row.room == room.into() && row.works(at(now))).ok_or(Fault::InvitationInvalid)?;
    let target = room_links::table.find(link.id);
    each!(db, |c| diesel::update(target).set(room_links::uses.eq(room_links::uses + 1)).execute(c).await)?;
    Ok(())
}

async fn rows(db: &mut Db, room: RoomId) -> Result<Vec<LinkRow>, StoreError> {
    let query = room_links::table.filter(room_links::room.eq(Id::from(room))).order(room_links::id).select(LINK);
    Ok(each!(db, |c| query.load(c).await)?)
}

async fn by_secret(db: &mut Db, secret_hash: &[u8; 32]) -> Result<Option<LinkRow>, StoreError> {
    let query = room_links::table.filter(room_links::secret_hash.eq(secret_hash.as_slice())).select(LINK);
    Ok(each!(db, |c| query.first(c).await.optional())?)
}
