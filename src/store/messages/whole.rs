//! Messages with all that belongs to them: from the columns, and from the rows beside them where the columns say that there are any.

use std::collections::HashMap;

use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use crate::domain::emoji::Emoji;
use crate::domain::ids::{RoomId, UserId};
use crate::domain::message::{Details, Mark, Mentions, Message, More, Origin, Reaction, Thread};
use crate::store::backend::Db;
use crate::store::columns::{Id, int, number, seq};
use crate::store::error::StoreError;
use crate::store::rows::{DetailsRow, LaterRow, WholeMessageRow};
use crate::store::schema::reactions;

/// The messages of rows of one room, in their order; one more statement if any of them has reactions.
///
/// # Errors
/// Those of the database.
pub async fn whole(db: &mut Db, room: RoomId, rows: Vec<WholeMessageRow>) -> Result<Vec<Message>, StoreError> {
    let reacted: Vec<i64> =
        rows.iter().filter(|(_, _, later)| later.reaction_count > 0).map(|(message, ..)| message.seq).collect();
    let mut reactions = reactions_of(db, room, &reacted).await?;
    let whole = |(row, details, later): WholeMessageRow| {
        let reactions = reactions.remove(&row.seq).unwrap_or_default();
        let more = more(&details, &later, reactions)?;
        Ok(Message { more, ..row.try_into()? })
    };
    rows.into_iter().map(whole).collect()
}

/// About what a reaction takes wherever it is shown, in bytes.
const REACTION_BYTES: usize = 64;

/// How many of these rows, from the first on, have at most so many bytes together with their reactions, which are not read yet; at least one.
#[must_use]
pub fn fitting(rows: &[WholeMessageRow], bytes_max: usize) -> usize {
    let mut bytes = 0_usize;
    let fits = rows.iter().take_while(|(message, _, later)| {
        let reactions = usize::try_from(later.reaction_count).unwrap_or(usize::MAX);
        bytes = bytes.saturating_add(message.body.len()).saturating_add(reactions.saturating_mul(REACTION_BYTES));
        bytes <= bytes_max
    });
    fits.count().max(1)
}

/// The reactions of these messages, the oldest first.
async fn reactions_of(db: &mut Db, room: RoomId, seqs: &[i64]) -> Result<HashMap<i64, Vec<Reaction>>, StoreError> {
    let mut found: HashMap<i64, Vec<Reaction>> = HashMap::new();
    if seqs.is_empty() {
        return Ok(found);
    }
    let query = reactions::table
        .filter(reactions::room.eq(Id::from(room)))
        .filter(reactions::seq.eq_any(seqs))
        .order((reactions::seq, reactions::revision))
        .select((reactions::seq, reactions::emoji, reactions::user));
    let rows: Vec<(i64, String, Id)> = each!(db, |c| query.load(c).await)?;
    for (seq, emoji, user) in rows {
        let emoji = Emoji::parse(&emoji).map_err(|_| StoreError::Corrupt("a reaction is no emoji".to_owned()))?;
        found.entry(seq).or_default().push(Reaction { emoji, user: user.into() });
    }
    Ok(found)
}

fn more(details: &DetailsRow, later: &LaterRow, reactions: Vec<Reaction>) -> Result<Option<Box<More>>, StoreError> {
    let mark =
        |at: Option<chrono::NaiveDateTime>, by: Option<Id>| at.zip(by).map(|(at, by)| Mark { at: at.and_utc(), by: by.into() });
    let replies = match later.last_reply {
        Some(last) => Some(Thread { count: number(later.reply_count)?, last: seq(last)? }),
        None => None,
    };
    let more = More {
        details: read_details(details)?,
        edited_at: later.edited_at.map(|at| at.and_utc()),
        deleted: mark(later.deleted_at, later.deleted_by),
        pinned: mark(later.pinned_at, later.pinned_by),
        replies,
        reactions,
    };
    Ok((more != More::default()).then(|| Box::new(more)))
}

fn read_details(row: &DetailsRow) -> Result<Details, StoreError> {
    let origin = match (row.origin_room, row.origin_seq, row.origin_author) {
        (Some(room), Some(number), Some(author)) => Some(Origin { room: room.into(), seq: seq(number)?, author: author.into() }),
        _ => None,
    };
    Ok(Details {
        thread: row.thread.map(seq).transpose()?,
        quote: row.quote.map(seq).transpose()?,
        origin,
        mentions: row.mentions.as_deref().map(read_mentions).transpose()?.unwrap_or_default(),
    })
}

/// The columns of what a message has from the beginning.
pub fn details_row(details: &Details) -> DetailsRow {
    let origin = details.origin;
    DetailsRow {
        thread: details.thread.map(|thread| int(thread.0)),
        quote: details.quote.map(|quote| int(quote.0)),
        origin_room: origin.map(|origin| origin.room.into()),
        origin_seq: origin.map(|origin| int(origin.seq.0)),
        origin_author: origin.map(|origin| origin.author.into()),
        mentions: mentions_column(&details.mentions),
    }
}

const EVERYBODY: u8 = 1;
const WHO_IS_ONLINE: u8 = 2;

/// A byte of bits, then sixteen bytes for each person.
pub fn mentions_column(mentions: &Mentions) -> Option<Vec<u8>> {
    if mentions.is_empty() {
        return None;
    }
    let bits = if mentions.room { EVERYBODY } else { 0 } | if mentions.online { WHO_IS_ONLINE } else { 0 };
    let mut column = vec![bits];
    mentions.users.iter().for_each(|user| column.extend(user.as_bytes()));
    Some(column)
}

/// Whom that column mentions.
pub fn read_mentions(column: &[u8]) -> Result<Mentions, StoreError> {
    let corrupt = || StoreError::Corrupt("mentions are not whole ids".to_owned());
    let (bits, ids) = column.split_first().ok_or_else(corrupt)?;
    let (ids, rest) = ids.as_chunks::<16>();
    if !rest.is_empty() {
        return Err(corrupt());
    }
    let users = ids.iter().map(|id| UserId::from(Id(*id))).collect();
    Ok(Mentions { users, room: bits & EVERYBODY != 0, online: bits & WHO_IS_ONLINE != 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mentions_come_back_from_their_column() {
        let users = vec![UserId::generate(), UserId::generate()];
        for mentions in [
            Mentions::default(),
            Mentions { users: users.clone(), room: false, online: true },
            Mentions { users: Vec::new(), room: true, online: false },
        ] {
            let back = mentions_column(&mentions).map(|column| read_mentions(&column).unwrap()).unwrap_or_default();
            assert_eq!(back, mentions);
        }
        assert!(read_mentions(&[0, 1, 2]).is_err() && read_mentions(&[]).is_err());
    }
}
