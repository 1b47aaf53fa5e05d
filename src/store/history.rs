//! History: pages of what was said, and what happened between.
//!
//! *Invariant.* Every row returned is within the sight of the one who asks (I10); paging through a room shows each line once, if the lines
//! that a page says it has left out are read with [`lines`].

use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use super::backend::Db;
use super::columns::{Id, int};
use super::error::StoreError;
use super::messages::whole::{fitting, whole};
use super::page::Page;
use super::rows::{NoticeRow, WHOLE_MESSAGE, WholeMessageRow};
use super::schema::{messages, notices};
use crate::domain::ids::{RoomId, UserId};
use crate::domain::message::{Message, Notice, Shown};
use crate::domain::order::{Revision, Seq};
use crate::policy::{Sight, View, seen_message};

/// Where a page lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The newest messages.
    Latest,
    /// Those before a message, without it.
    Before(Seq),
    /// Those after a message, without it.
    After(Seq),
    /// A message with as many before as after it.
    Around(Seq),
}

/// Part of a room's history, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HistoryPage {
    /// Consecutive messages.
    pub messages: Vec<Shown>,
    /// The timeline lines that stand after one of these messages, and those before the first message the person sees if the page
    /// begins with it; of very many only the newest.
    pub notices: Vec<Notice>,
    /// There are more of these lines, before the first one here.
    pub more_notices: bool,
    /// There are visible messages before these.
    pub more_before: bool,
    /// There are messages after these.
    pub more_after: bool,
}

/// A page of at most `limit` messages.
///
/// # Errors
/// Those of the database.
pub async fn page(db: &mut Db, room: RoomId, view: &View, place: Place, limit: usize) -> Result<HistoryPage, StoreError> {
    let sight = view.sight;
    let mut page = match place {
        Place::Latest => older(db, room, view, i64::MAX, limit).await?,
        Place::Before(seq) => HistoryPage { more_after: true, ..older(db, room, view, int(seq.0), limit).await? },
        Place::After(seq) => {
            HistoryPage { more_before: seq >= sight.from_seq.max(Seq(1)), ..newer(db, room, view, int(seq.0), limit).await? }
        }
        Place::Around(seq) => {
            let before = older(db, room, view, int(seq.0), limit / 2).await?;
            let rest = limit.saturating_sub(before.messages.len());
            let after = newer(db, room, view, int(seq.0).saturating_sub(1), rest).await?;
            let messages = before.messages.into_iter().chain(after.messages).collect();
            HistoryPage { messages, more_before: before.more_before, more_after: after.more_after, ..HistoryPage::default() }
        }
    };
    let nothing_newer = page.messages.is_empty() && matches!(place, Place::After(_) | Place::Before(_));
    if !nothing_newer {
        let Page { items, more } = lines_of(db, room, sight, &page, limit).await?;
        (page.notices, page.more_notices) = (items, more);
    }
    Ok(page)
}

/// The newest timeline lines with a revision below `before`, oldest first, and whether there are more before them.
///
/// # Errors
/// Those of the database.
pub async fn lines(db: &mut Db, room: RoomId, sight: Sight, before: Revision, limit: usize) -> Result<Page<Notice>, StoreError> {
    let query = notices::table
        .filter(notices::room.eq(Id::from(room)))
        .filter(notices::revision.ge(int(sight.first_line().0)).and(notices::revision.lt(int(before.0))))
        .order(notices::revision.desc())
        .limit(with_one_more(limit))
        .select(notices::all_columns);
    into_lines(each!(db, |c| query.load(c).await)?, limit)
}

/// One message, if it is within sight.
///
/// # Errors
/// Those of the database.
pub async fn get(db: &mut Db, room: RoomId, view: &View, seq: Seq) -> Result<Option<Shown>, StoreError> {
    if seq < view.sight.from_seq {
        return Ok(None);
    }
    let query = messages::table.find((Id::from(room), int(seq.0))).select(WHOLE_MESSAGE);
    let row: Option<WholeMessageRow> = each!(db, |c| query.first(c).await.optional())?;
    Ok(seen(whole(db, room, row.into_iter().collect()).await?, view).pop())
}

/// Who wrote a message, if it is there; also one that is deleted.
///
/// # Errors
/// Those of the database.
pub async fn author(db: &mut Db, room: RoomId, seq: Seq) -> Result<Option<UserId>, StoreError> {
    let query = messages::table.find((Id::from(room), int(seq.0))).select(messages::author);
    let author: Option<Id> = each!(db, |c| query.first(c).await.optional())?;
    Ok(author.map(Into::into))
}

/// Messages as the one who asks sees them.
pub(super) fn seen(messages: Vec<Message>, view: &View) -> Vec<Shown> {
    messages.into_iter().map(|message| seen_message(message, &view.hidden)).collect()
}

/// A page has no more text and reactions than this, in bytes, unless one message alone has: so many may be asked for at once.
const PAGE_BYTES: usize = 2 << 20;

/// Leaves of one more row than a page may have what belongs to it. Says whether something was left out.
pub(super) fn cut(rows: &mut Vec<WholeMessageRow>, limit: usize) -> bool {
    let kept = fitting(rows, PAGE_BYTES).min(limit);
    let more = rows.len() > kept;
    rows.truncate(kept);
    more
}

fn with_one_more(limit: usize) -> i64 {
    Page::<Message>::one_more(limit)
}

/// The newest messages below `below`.
async fn older(db: &mut Db, room: RoomId, view: &View, below: i64, limit: usize) -> Result<HistoryPage, StoreError> {
    let query = messages::table
        .filter(messages::room.eq(Id::from(room)))
        .filter(messages::seq.lt(below))
        .filter(messages::seq.ge(int(view.sight.from_seq.0)))
        .order(messages::seq.desc())
        .limit(with_one_more(limit))
        .select(WHOLE_MESSAGE);
    let mut rows: Vec<WholeMessageRow> = each!(db, |c| query.load(c).await)?;
    let more_before = cut(&mut rows, limit);
    rows.reverse();
    Ok(HistoryPage { messages: seen(whole(db, room, rows).await?, view), more_before, ..HistoryPage::default() })
}

/// The oldest messages above `above`.
async fn newer(db: &mut Db, room: RoomId, view: &View, above: i64, limit: usize) -> Result<HistoryPage, StoreError> {
    let query = messages::table
        .filter(messages::room.eq(Id::from(room)))
        .filter(messages::seq.gt(above))
        .filter(messages::seq.ge(int(view.sight.from_seq.0)))
        .order(messages::seq)
        .limit(with_one_more(limit))
        .select(WHOLE_MESSAGE);
    let mut rows: Vec<WholeMessageRow> = each!(db, |c| query.load(c).await)?;
    let more_after = cut(&mut rows, limit);
    Ok(HistoryPage { messages: seen(whole(db, room, rows).await?, view), more_after, ..HistoryPage::default() })
}

/// A line belongs to the page that has the message before it. Of lines after the same message the one with the lower revision stands
/// first, so the order of places is that of revisions.
async fn lines_of(db: &mut Db, room: RoomId, sight: Sight, page: &HistoryPage, limit: usize) -> Result<Page<Notice>, StoreError> {
    let first = page.messages.as_slice().first().filter(|_| page.more_before).map_or(0, |message| int(message.seq().0));
    let last = page.messages.as_slice().last().map_or(i64::MAX, |message| int(message.seq().0));
    let query = notices::table
        .filter(notices::room.eq(Id::from(room)))
        .filter(notices::after_seq.between(first, last))
        .filter(notices::revision.ge(int(sight.first_line().0)))
        .order((notices::after_seq.desc(), notices::revision.desc()))
        .limit(with_one_more(limit))
        .select(notices::all_columns);
    into_lines(each!(db, |c| query.load(c).await)?, limit)
}

fn into_lines(rows: Vec<NoticeRow>, limit: usize) -> Result<Page<Notice>, StoreError> {
    let mut page = Page::cut(rows.into_iter().map(Notice::try_from), limit)?;
    page.items.reverse();
    Ok(page)
}
