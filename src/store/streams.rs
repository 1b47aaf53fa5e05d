//! Catch-up: what changed in a room since a revision, as pages that never split one (I6, I7). That of a user stream stands in [`person`].
//!
//! *Invariant.* A page covers (from, to] completely: every visible row whose newest revision lies in it is there. A message that has moved above
//! `head` since is there, too: live may come only what moved it, such as a reaction, and a change before that would be lost. Other rows come live as
//! a whole. So what changes live may be added to what a page left, if it had all messages there were.

pub mod person;

use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use super::backend::Db;
use super::columns::{Id, int, revision};
use super::error::StoreError;
use super::messages::whole::{fitting, whole};
use super::rooms;
use super::rows::{MemberRow, NoticeRow, WHOLE_MESSAGE, WholeMessageRow};
use super::schema::{members, messages, notices};
use crate::domain::fault::Fault;
use crate::domain::ids::{RoomId, UserId};
use crate::domain::message::{Changes, Item};
use crate::domain::order::Revision;
use crate::policy::{self, View, seen_item};

/// How much one page of catch-up holds, unless a single revision is more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageMax {
    /// Rows.
    pub rows: usize,
    /// Bytes of message text, and of what belongs to messages.
    pub bytes: usize,
}

/// A page of catch-up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// What changed.
    pub changes: Changes,
    /// When it was read there were changes behind `changes.to`.
    pub more: bool,
}

impl Part {
    /// The newest revision of its room that is known, if before it was read that was `head`.
    #[must_use]
    pub fn newest(&self, head: Revision) -> Revision {
        head.max(if self.more { self.changes.to.next() } else { self.changes.to })
    }
}

/// The rows of a room that changed since `from`, or the first of them: at most `max`, unless one revision alone has more. All of them reach at
/// least to `head`, which the caller has read after subscribing; who goes on live reads until there is no more.
///
/// # Errors
/// Those of the database.
pub async fn room_changes(
    db: &mut Db,
    room: RoomId,
    view: &View,
    from: Revision,
    head: Revision,
    max: PageMax,
) -> Result<Part, StoreError> {
    let (items, read, left_out) = changed_rows(db, room, view, from, head, Some(max)).await?;
    let (items, to, more) = match cut(items, read, max) {
        Cut::Kept(items, to) => (items, to, left_out || to < read),
        // One revision has more rows than a page: it comes whole.
        Cut::TooNarrow(revision) => {
            let (items, to, _) = changed_rows(db, room, view, from, revision, None).await?;
            (items, to, true)
        }
    };
    Ok(Part { changes: Changes { room, from, to, items }, more })
}

/// The same for a member who was let in with this sight, if they still are: what they may see ends with the membership, and `head` may be of
/// later, as nobody has to wait for the news of its end. Their standing is read behind the rows, so what was read was committed before it ended.
///
/// # Errors
/// Those of the database; the fault that reading meets now; [`Fault::NotMember`] also for who left and came back, as the sight is of before.
pub async fn member_changes(
    db: &mut Db,
    room: RoomId,
    (member, view): (UserId, &View),
    from: Revision,
    head: Revision,
    max: PageMax,
) -> Result<Part, StoreError> {
    let part = room_changes(db, room, view, from, head, max).await?;
    let (room, standing) = rooms::with_member(db, room, member).await?.ok_or(Fault::NotFound)?;
    if policy::may_read(&room, standing.as_ref())? != view.sight {
        return Err(Fault::NotMember.into());
    }
    Ok(part)
}

/// Rows by revision, up to which they are all here, and whether messages behind that were left out, as with their reactions they are far more than
/// a page. With a limit these are all messages since `from`, and each table gives at most one row more than that, enough to see that there is
/// more; without one, all up to `to`.
async fn changed_rows(
    db: &mut Db,
    room: RoomId,
    view: &View,
    from: Revision,
    to: Revision,
    max: Option<PageMax>,
) -> Result<(Vec<Item>, Revision, bool), StoreError> {
    let (id, above) = (Id::from(room), int(from.0));
    let newest = if max.is_some() { i64::MAX } else { int(to.0) };
    let limit = max.map_or(i64::MAX, |max| super::Page::<Item>::one_more(max.rows));
    let query = messages::table
        .filter(messages::room.eq(id))
        .filter(messages::revision.gt(above).and(messages::revision.le(newest)))
        .filter(messages::seq.ge(int(view.sight.from_seq.0)))
        .order(messages::revision)
        .limit(limit)
        .select(WHOLE_MESSAGE);
    let mut said: Vec<WholeMessageRow> = each!(db, |c| query.load(c).await)?;
    let left_out = max.and_then(|max| first_left_out(&said, max.bytes.saturating_mul(2)));
    let to = match (left_out, said.last()) {
        (Some(over), _) => {
            said.retain(|(row, ..)| row.revision < over);
            revision(over)?.previous()
        }
        (None, Some((last, ..))) => to.max(revision(last.revision)?),
        (None, None) => to.max(from),
    };
    let most = int(to.0);
    let said = whole(db, room, said).await?;
    let query = members::table
        .filter(members::room.eq(id))
        .filter(members::revision.gt(above).and(members::revision.le(most)))
        .order(members::revision)
        .limit(limit)
        .select(members::all_columns);
    let people: Vec<MemberRow> = each!(db, |c| query.load(c).await)?;
    let query = notices::table
        .filter(notices::room.eq(id))
        .filter(notices::revision.gt(above).and(notices::revision.le(most)))
        .filter(notices::revision.ge(int(view.sight.first_line().0)))
        .order(notices::revision)
        .limit(limit)
        .select(notices::all_columns);
    let lines: Vec<NoticeRow> = each!(db, |c| query.load(c).await)?;
    let settings = rooms::get(db, room).await?.filter(|room| room.settings_revision > from && room.settings_revision <= to);

    let mut items = Vec::with_capacity(said.len() + people.len() + lines.len() + 1);
    for row in people {
        items.push(Item::Member(row.try_into()?));
    }
    for row in lines {
        items.push(Item::Notice(row.try_into()?));
    }
    items.extend(said.into_iter().filter_map(|message| seen_item(Item::Message(message), &view.hidden)));
    items.extend(settings.map(|room| Item::Room(Box::new(room))));
    items.sort_by_key(Item::revision);
    Ok((items, to, left_out.is_some()))
}

/// The revision of the first of these rows that is not worth reading the reactions of; none, if all fit, or if all before it have the same.
fn first_left_out(said: &[WholeMessageRow], bytes_max: usize) -> Option<i64> {
    let over = said.get(fitting(said, bytes_max))?.0.revision;
    (said.first()?.0.revision < over).then_some(over)
}

enum Cut {
    /// These rows, up to this revision.
    Kept(Vec<Item>, Revision),
    /// The first revision alone has more rows than fit.
    TooNarrow(Revision),
}

/// Ends a page before the revision that does not fit whole. If nothing was cut off in any table, there are at most `max.rows` of each
/// and all are here; else some table gave one more than `max.rows`, so the cut lies before what it left out.
fn cut(mut items: Vec<Item>, head: Revision, max: PageMax) -> Cut {
    let mut bytes = 0;
    let fits = items.iter().take(max.rows).take_while(|item| {
        bytes += text_bytes(item);
        bytes <= max.bytes
    });
    // The first always fits: a page must lead on.
    let fitting = fits.count().max(1);
    let Some(over) = items.get(fitting).map(Item::revision) else { return Cut::Kept(items, head) };
    match items.as_slice().first().map(Item::revision) {
        Some(first) if first == over => Cut::TooNarrow(over),
        _ => {
            items.retain(|item| item.revision() < over);
            Cut::Kept(items, over.previous())
        }
    }
}

fn text_bytes(item: &Item) -> usize {
    match item {
        Item::Message(message) => message.size(),
        Item::Stub(_) | Item::Reaction(_) | Item::Thread(_) | Item::Member(_) | Item::Notice(_) | Item::Room(_) => 0,
    }
}

#[cfg(test)]
mod tests;
