//! Lists of messages that are not consecutive: a thread, the pinned ones, what stood in a message before it was edited.
//!
//! *Invariant.* Every message returned is within the sight of the one who asks (I10).

use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use super::backend::Db;
use super::columns::{Id, int, revision};
use super::error::StoreError;
use super::history::{cut, seen};
use super::messages::whole::whole;
use super::page::Page;
use super::rows::{WHOLE_MESSAGE, WholeMessageRow};
use super::schema::{edits, messages, pins, replies};
use crate::domain::ids::RoomId;
use crate::domain::message::Shown;
use crate::domain::order::{Revision, Seq};
use crate::domain::time::Timestamp;
use crate::policy::View;

/// The messages of a thread behind its first, after `after`, the oldest first.
///
/// # Errors
/// Those of the database.
pub async fn thread(
    db: &mut Db,
    room: RoomId,
    view: &View,
    thread: Seq,
    after: Seq,
    limit: usize,
) -> Result<Page<Shown>, StoreError> {
    let above = int(after.max(view.sight.from_seq.previous()).0);
    let query = replies::table
        .inner_join(messages::table.on(messages::room.eq(replies::room).and(messages::seq.eq(replies::seq))))
        .filter(replies::room.eq(Id::from(room)))
        .filter(replies::thread.eq(int(thread.0)))
        .filter(replies::seq.gt(above))
        .order(replies::seq)
        .limit(Page::<Shown>::one_more(limit))
        .select(WHOLE_MESSAGE);
    let mut rows: Vec<WholeMessageRow> = each!(db, |c| query.load(c).await)?;
    let more = cut(&mut rows, limit);
    Ok(Page { items: seen(whole(db, room, rows).await?, view), more })
}

/// The pinned messages of a room, the newest first. There is a limit to them, so they are one page.
///
/// # Errors
/// Those of the database.
pub async fn pinned(db: &mut Db, room: RoomId, view: &View) -> Result<Vec<Shown>, StoreError> {
    let query = pins::table
        .inner_join(messages::table.on(messages::room.eq(pins::room).and(messages::seq.eq(pins::seq))))
        .filter(pins::room.eq(Id::from(room)))
        .filter(pins::seq.ge(int(view.sight.from_seq.0)))
        .order(pins::seq.desc())
        .select(WHOLE_MESSAGE);
    let rows: Vec<WholeMessageRow> = each!(db, |c| query.load(c).await)?;
    Ok(seen(whole(db, room, rows).await?, view))
}

/// A text that an edit has replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Earlier {
    /// The message's revision while this was its text.
    pub revision: Revision,
    /// The text.
    pub text: String,
    /// When it was written.
    pub written_at: Timestamp,
    /// When it was replaced.
    pub replaced_at: Timestamp,
}

/// What stood in a message before, the oldest first; as many as are kept.
///
/// # Errors
/// Those of the database.
pub async fn earlier(db: &mut Db, room: RoomId, seq: Seq) -> Result<Vec<Earlier>, StoreError> {
    let query = edits::table
        .filter(edits::room.eq(Id::from(room)))
        .filter(edits::seq.eq(int(seq.0)))
        .order(edits::revision)
        .select((edits::revision, edits::body, edits::written_at, edits::replaced_at));
    let rows: Vec<(i64, String, chrono::NaiveDateTime, chrono::NaiveDateTime)> = each!(db, |c| query.load(c).await)?;
    let earlier = |(at, text, written_at, replaced_at): (i64, String, chrono::NaiveDateTime, chrono::NaiveDateTime)| {
        Ok(Earlier { revision: revision(at)?, text, written_at: written_at.and_utc(), replaced_at: replaced_at.and_utc() })
    };
    rows.into_iter().map(earlier).collect()
}
