//! Catch-up of a user stream: what is a person's own and changed since a revision, in pages (I7).
//!
//! *Invariant.* No two rows of a person lie at the same revision of their stream, so a page may end behind any of them.

use diesel::dsl::exists;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use super::PageMax;
use crate::domain::fault::Fault;
use crate::domain::ids::UserId;
use crate::domain::order::Revision;
use crate::domain::stream::{StreamItem, UserChanges};
use crate::store::Page;
use crate::store::backend::Db;
use crate::store::columns::{Id, int, revision};
use crate::store::error::StoreError;
use crate::store::members::memberships;
use crate::store::rows::{MemberRow, RoomRow};
use crate::store::schema::{
    drafts, members, notifications, preferences, read_marks, relations, room_preferences, rooms, thread_preferences, users,
};
use crate::store::{self, people};

/// What changed in a user stream after `from`: at most `max`, unless one item alone is more. `to` is the head if that was all.
///
/// # Errors
/// Those of the database; [`Fault::NotFound`] if there is no such account.
pub async fn user_changes(db: &mut Db, user: UserId, from: Revision, max: PageMax) -> Result<UserChanges, StoreError> {
    let (mut items, head) = changed(db, user, from, max.rows).await?;
    items.sort_by_key(StreamItem::revision);
    let mut bytes = 0;
    let fits = items.iter().take(max.rows).take_while(|item| {
        bytes += text_bytes(item);
        bytes <= max.bytes
    });
    // The first always fits: a page must lead on.
    let fitting = fits.count().max(1);
    let more = items.len() > fitting;
    items.truncate(fitting);
    let to = items.last().filter(|_| more).map_or(head, StreamItem::revision);
    Ok(UserChanges { from, to, items })
}

/// Everything up to the head of the stream, as many of each kind as fit a page and one more. One statement finds the head and the tables that have
/// something: a live page has one row, and who comes for the first time has rows in few of them.
async fn changed(db: &mut Db, user: UserId, from: Revision, rows: usize) -> Result<(Vec<StreamItem>, Revision), StoreError> {
    macro_rules! any {
        ($table:ident, $revision:ident) => {
            exists($table::table.filter($table::user.eq(Id::from(user))).filter($table::$revision.gt(int(from.0))))
        };
    }
    let head = users::table.find(Id::from(user)).select(users::stream_revision);
    let profile = users::table.find(Id::from(user)).filter(users::profile_revision.gt(int(from.0)));
    let query = diesel::select((
        head.single_value(),
        any!(members, stream_revision),
        any!(read_marks, stream_revision),
        any!(notifications, stream_revision),
        any!(drafts, stream_revision),
        any!(preferences, stream_revision),
        any!(room_preferences, stream_revision),
        any!(thread_preferences, stream_revision),
        any!(relations, stream_revision),
        exists(profile),
    ));
    type Found = (Option<i64>, bool, bool, bool, bool, bool, bool, bool, bool, bool);
    let (head, member, marks, notified, drafted, general, of_rooms, of_threads, related, profiled): Found =
        each!(db, |c| query.get_result(c).await)?;
    let to = revision(head.ok_or(Fault::NotFound)?)?;
    let (span, limit) = ((from, to), Page::<StreamItem>::one_more(rows));
    let mut items = Vec::new();
    if member {
        items.extend(standings(db, user, span, limit).await?);
    }
    if marks {
        items.extend(store::read_marks::changed(db, user, span, limit).await?);
    }
    if notified {
        items.extend(store::notifications::changed(db, user, span, limit).await?);
    }
    if drafted {
        items.extend(store::drafts::changed(db, user, span, limit).await?);
    }
    if general || of_rooms || of_threads {
        items.extend(store::preferences::changed(db, user, span, limit).await?);
    }
    if related {
        items.extend(store::relations::changed(db, user, span, limit, rows).await?);
    }
    if profiled && let Some(own) = people::profile_changed(db, user, from, to).await? {
        items.push(StreamItem::Profile(Box::new(own)));
    }
    Ok((items, to))
}

/// The memberships among them, by revision.
async fn standings(
    db: &mut Db,
    user: UserId,
    (from, to): (Revision, Revision),
    limit: i64,
) -> Result<Vec<StreamItem>, StoreError> {
    let query = members::table
        .inner_join(rooms::table.on(rooms::id.eq(members::room)))
        .filter(members::user.eq(Id::from(user)))
        .filter(members::stream_revision.gt(int(from.0)))
        .filter(members::stream_revision.le(int(to.0)))
        .order(members::stream_revision)
        .limit(limit)
        .select((members::all_columns, rooms::all_columns));
    let found: Vec<(MemberRow, RoomRow)> = each!(db, |c| query.load(c).await)?;
    let memberships = memberships(db, user, found).await?;
    Ok(memberships.into_iter().map(|membership| StreamItem::Membership(Box::new(membership))).collect())
}

/// What of an item grows with what a person has typed, or with how much it names.
fn text_bytes(item: &StreamItem) -> usize {
    match item {
        StreamItem::Draft(draft) => draft.text.as_str().len(),
        StreamItem::Profile(own) => own.profile.about.said().map_or(0, str::len),
        StreamItem::Membership(_)
        | StreamItem::Relation { .. }
        | StreamItem::ReadMark(_)
        | StreamItem::RoomPreferences(_)
        | StreamItem::ThreadPreferences(_)
        | StreamItem::Preferences(_)
        | StreamItem::Notification(_) => 0,
    }
}
