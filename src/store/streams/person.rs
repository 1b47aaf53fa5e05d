//! Catch-up of a user stream: what is a person's own and changed since a revision, in pages (I7).
//!
//! *Invariant.* No two rows of a person lie at the same revision of their stream, so a page may end behind any of them.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use super::PageMax;
use crate::domain::ids::UserId;
use crate::domain::order::Revision;
use crate::domain::stream::{StreamItem, UserChanges};
use crate::store::Page;
use crate::store::among::among;
use crate::store::backend::Db;
use crate::store::columns::{Id, int, revision};
use crate::store::error::StoreError;
use crate::store::members::memberships;
use crate::store::rows::{MemberRow, RoomRow};
use crate::store::schema::{
    drafts, members, notifications, preferences, read_marks, relations, room_preferences, rooms, thread_preferences, users,
};
use crate::store::{self, people};

/// How far a person's stream is, and when each kind of what is their own changed last, as of one moment; 0 is never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Newest {
    head: Revision,
    profile: Revision,
    membership: Revision,
    read_mark: Revision,
    notification: Revision,
    draft: Revision,
    /// Of whichever scope.
    preferences: Revision,
    relation: Revision,
}

/// Of each of these people what changed last; who has no account is left out. It says what to read of them, as most have rows of few kinds.
/// Asked about many at once, a person costs a fraction of one who is asked about alone.
///
/// # Errors
/// Those of the database.
pub async fn newest(db: &mut Db, people: &[UserId]) -> Result<Vec<(UserId, Newest)>, StoreError> {
    type Last = Option<i64>;
    type Row = (Id, i64, i64, Last, Last, Last, Last, (Last, Last, Last), Last);
    let ids: Vec<Id> = people.iter().copied().map(Id::from).collect();
    macro_rules! last {
        ($own:ident) => {
            $own::table
                .filter($own::user.eq(users::id))
                .order($own::stream_revision.desc())
                .select($own::stream_revision)
                .single_value()
        };
    }
    let query = users::table.filter(among(users::id, &ids)).select((
        users::id,
        users::stream_revision,
        users::profile_revision,
        last!(members),
        last!(read_marks),
        last!(notifications),
        last!(drafts),
        (last!(preferences), last!(room_preferences), last!(thread_preferences)),
        last!(relations),
    ));
    let rows: Vec<Row> = each!(db, |c| query.load(c).await)?;
    let last = |row: Last| revision(row.unwrap_or_default());
    let found =
        rows.into_iter().map(|(id, head, profile, membership, read_mark, notification, draft, (all, room, thread), relation)| {
            let newest = Newest {
                head: revision(head)?,
                profile: revision(profile)?,
                membership: last(membership)?,
                read_mark: last(read_mark)?,
                notification: last(notification)?,
                draft: last(draft)?,
                preferences: last(all.max(room).max(thread))?,
                relation: last(relation)?,
            };
            Ok((id.into(), newest))
        });
    found.collect()
}

/// What changed in a user stream after `from` and up to the head that `newest` tells: at most `max`, unless one item alone is more. `to` is the head
/// if that was all.
///
/// # Errors
/// Those of the database.
pub async fn user_changes(
    db: &mut Db,
    user: UserId,
    from: Revision,
    newest: &Newest,
    max: PageMax,
) -> Result<UserChanges, StoreError> {
    let head = newest.head;
    let mut items = changed(db, user, from, newest, max.rows).await?;
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

/// Everything up to the head, as many of each kind as fit a page and one more.
async fn changed(db: &mut Db, user: UserId, from: Revision, newest: &Newest, rows: usize) -> Result<Vec<StreamItem>, StoreError> {
    let head = newest.head;
    let (span, limit) = ((from, head), Page::<StreamItem>::one_more(rows));
    let mut items = Vec::new();
    if newest.membership > from {
        items.extend(standings(db, user, span, limit).await?);
    }
    if newest.read_mark > from {
        items.extend(store::read_marks::changed(db, user, span, limit).await?);
    }
    if newest.notification > from {
        items.extend(store::notifications::changed(db, user, span, limit).await?);
    }
    if newest.draft > from {
        items.extend(store::drafts::changed(db, user, span, limit).await?);
    }
    if newest.preferences > from {
        items.extend(store::preferences::changed(db, user, span, limit).await?);
    }
    if newest.relation > from {
        items.extend(store::relations::changed(db, user, span, limit, rows).await?);
    }
    if newest.profile > from
        && let Some(own) = people::profile_changed(db, user, from, head).await?
    {
        items.push(StreamItem::Profile(Box::new(own)));
    }
    Ok(items)
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
