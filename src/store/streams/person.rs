//! Catch-up of a user stream: what is a person's own and changed since a revision, in pages (I7).
//!
//! *Invariant.* No two rows of a person lie at the same revision of their stream, so a page may end behind any of them.

use std::collections::HashMap;

use diesel::dsl::max;
use diesel::prelude::*;
use diesel::sql_types::Integer;
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

/// A kind of row of a person's own: which of the revisions of a [`Newest`] is its.
#[derive(Clone, Copy)]
enum Own {
    /// None, but the head of the stream.
    Head,
    Profile,
    Membership,
    ReadMark,
    Notification,
    Draft,
    Preferences,
    RoomPreferences,
    ThreadPreferences,
    Relation,
}

/// How far a person's stream is, and when each kind of what is their own changed last, as of one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Newest([Revision; Own::Relation as usize + 1]);

impl Newest {
    fn of(&self, own: Own) -> Revision {
        self.0.get(own as usize).copied().unwrap_or_default()
    }
}

/// Of each of these people what changed last; who has no account is left out. It says what to read of them, as most have rows of few kinds.
/// Asked about many at once, a person costs a fraction of one who is asked about alone.
///
/// # Errors
/// Those of the database.
pub async fn newest(db: &mut Db, people: &[UserId]) -> Result<Vec<(UserId, Newest)>, StoreError> {
    let ids: Vec<Id> = people.iter().copied().map(Id::from).collect();
    macro_rules! of_accounts {
        ($own:ident, $revision:ident) => {
            users::table.filter(among(users::id, &ids)).select((
                users::id,
                (Own::$own as i32).into_sql::<Integer>(),
                users::$revision.nullable(),
            ))
        };
    }
    macro_rules! of_rows {
        ($own:ident, $table:ident) => {
            $table::table.filter(among($table::user, &ids)).group_by($table::user).select((
                $table::user,
                (Own::$own as i32).into_sql::<Integer>(),
                max($table::stream_revision),
            ))
        };
    }
    let query = of_accounts!(Head, stream_revision)
        .union_all(of_accounts!(Profile, profile_revision))
        .union_all(of_rows!(Membership, members))
        .union_all(of_rows!(ReadMark, read_marks))
        .union_all(of_rows!(Notification, notifications))
        .union_all(of_rows!(Draft, drafts))
        .union_all(of_rows!(Preferences, preferences))
        .union_all(of_rows!(RoomPreferences, room_preferences))
        .union_all(of_rows!(ThreadPreferences, thread_preferences))
        .union_all(of_rows!(Relation, relations));
    let rows: Vec<(Id, i32, Option<i64>)> = each!(db, |c| query.load(c).await)?;
    // There are rows only of who has an account.
    let mut found: HashMap<UserId, Newest> = HashMap::new();
    for (id, own, newest) in rows {
        let Newest(person) = found.entry(id.into()).or_default();
        let Ok(own) = usize::try_from(own) else { continue };
        if let (Some(place), Some(newest)) = (person.get_mut(own), newest) {
            *place = revision(newest)?;
        }
    }
    Ok(found.into_iter().collect())
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
    let head = newest.of(Own::Head);
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
    let head = newest.of(Own::Head);
    let (span, limit) = ((from, head), Page::<StreamItem>::one_more(rows));
    let has = |own| newest.of(own) > from;
    let mut items = Vec::new();
    if has(Own::Membership) {
        items.extend(standings(db, user, span, limit).await?);
    }
    if has(Own::ReadMark) {
        items.extend(store::read_marks::changed(db, user, span, limit).await?);
    }
    if has(Own::Notification) {
        items.extend(store::notifications::changed(db, user, span, limit).await?);
    }
    if has(Own::Draft) {
        items.extend(store::drafts::changed(db, user, span, limit).await?);
    }
    if has(Own::Preferences) || has(Own::RoomPreferences) || has(Own::ThreadPreferences) {
        items.extend(store::preferences::changed(db, user, span, limit).await?);
    }
    if has(Own::Relation) {
        items.extend(store::relations::changed(db, user, span, limit, rows).await?);
    }
    if has(Own::Profile)
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
