//! How domain values are kept in columns: ids as sixteen bytes, small words as codes, instants as UTC.
//!
//! *Invariant.* A code is never given another meaning: rows with it exist.

use chrono::NaiveDateTime;
use diesel::backend::Backend;
use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::expression::AsExpression;
use diesel::serialize::{self, Output, ToSql};
use diesel::sql_types::Binary;

use super::error::StoreError;
use crate::domain::audit::AuditAction;
use crate::domain::filter::{FilterAction, FilterKind};
use crate::domain::ids::{AuditId, ClientId, Epoch, FilterId, LinkId, LoginId, NodeId, RegistrationId, ReportId, RoomId, UserId};
use crate::domain::member::{MemberState, Role};
use crate::domain::message::NoticeKind;
use crate::domain::notification::NotificationKind;
use crate::domain::order::{Revision, Seq};
use crate::domain::preference::{DirectRule, Following, Notify};
use crate::domain::report::{ReportReason, ReportState};
use crate::domain::room::{HistoryRule, RoomKind};
use crate::domain::time::Timestamp;

/// An identifier in a column: `BINARY(16)`, `BLOB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, AsExpression, FromSqlRow)]
#[diesel(sql_type = Binary)]
pub struct Id(pub [u8; 16]);

impl<DB: Backend> FromSql<Binary, DB> for Id
where
    Vec<u8>: FromSql<Binary, DB>,
{
    fn from_sql(bytes: DB::RawValue<'_>) -> deserialize::Result<Self> {
        let bytes = Vec::<u8>::from_sql(bytes)?;
        bytes.try_into().map(Self).map_err(|_| "an identifier is not sixteen bytes long".into())
    }
}

impl<DB: Backend> ToSql<Binary, DB> for Id
where
    [u8]: ToSql<Binary, DB>,
{
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, DB>) -> serialize::Result {
        <[u8] as ToSql<Binary, DB>>::to_sql(&self.0, out)
    }
}

macro_rules! ids {
    ($($id:ident),*) => {$(
        impl From<$id> for Id {
            fn from(id: $id) -> Self {
                Self(*id.as_bytes())
            }
        }

        impl From<Id> for $id {
            fn from(id: Id) -> Self {
                Self(uuid::Uuid::from_bytes(id.0))
            }
        }
    )*};
}

ids!(UserId, RoomId, LoginId, LinkId, RegistrationId, ClientId, Epoch, NodeId, AuditId, ReportId, FilterId);

/// A small word kept as a code.
pub trait Code: Sized {
    /// The code of this word.
    fn code(self) -> i16;

    /// The word of this code.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`].
    fn from_code(code: i16) -> Result<Self, StoreError>;
}

macro_rules! codes {
    ($word:ident { $($name:ident = $code:literal),* $(,)? }) => {
        impl Code for $word {
            fn code(self) -> i16 {
                match self {
                    $(Self::$name => $code,)*
                }
            }

            fn from_code(code: i16) -> Result<Self, StoreError> {
                match code {
                    $($code => Ok(Self::$name),)*
                    other => Err(StoreError::Corrupt(format!("{other} is no {}", stringify!($word)))),
                }
            }
        }
    };
}

codes!(RoomKind { Public = 0, Private = 1, Direct = 2, Group = 3 });
codes!(HistoryRule { All = 0, SinceJoining = 1 });
codes!(MemberState { Invited = 0, Joined = 1, Left = 2, Banned = 3 });
// The highest role first, which is the order of member pages.
codes!(Role { Owner = 0, Moderator = 1, Member = 2 });
codes!(Notify { Default = 0, All = 1, Mentions = 2, Nothing = 3 });
codes!(Following { Default = 0, Yes = 1, No = 2 });
codes!(NotificationKind { Direct = 0, Mention = 1, RoomMention = 2, OnlineMention = 3, Keyword = 4, Thread = 5, All = 6 });
codes!(DirectRule { Everyone = 0, SharedRooms = 1, Nobody = 2 });
codes!(NoticeKind {
    Created = 0,
    Joined = 1,
    Left = 2,
    Invited = 3,
    InvitationEnded = 4,
    Kicked = 5,
    Banned = 6,
    Unbanned = 7,
    RoleChanged = 8,
    Transferred = 9,
    Renamed = 10,
    TopicChanged = 11,
    AccessChanged = 12,
    Archived = 13,
    Unarchived = 14,
    Silenced = 15,
    Unsilenced = 16,
    SlowModeChanged = 17,
    PostingChanged = 18,
    Pinned = 19,
});

codes!(AuditAction {
    Kicked = 0,
    Banned = 1,
    Unbanned = 2,
    Silenced = 3,
    Unsilenced = 4,
    RoleChanged = 5,
    Transferred = 6,
    RoomChanged = 7,
    RoomDeleted = 8,
    LinkMade = 9,
    LinkRevoked = 10,
    MessageDeleted = 11,
    AccountDisabled = 12,
    AccountEnabled = 13,
    AdminGranted = 14,
    AdminRevoked = 15,
    PasswordReset = 16,
    RegistrationMade = 17,
    RegistrationRevoked = 18,
    ReportHandled = 19,
    FilterMade = 20,
    FilterRemoved = 21,
    ProfileCleared = 22,
    Uninvited = 23,
});
codes!(ReportReason { Spam = 0, Abuse = 1, Illegal = 2, Other = 3, Filter = 4, Hook = 5 });
codes!(ReportState { Open = 0, Resolved = 1, Dismissed = 2 });
codes!(FilterKind { Word = 0, Link = 1 });
codes!(FilterAction { Report = 0, Refuse = 1 });

/// A number for a column. Numbers of ours stay below 2^53.
pub fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A number from a column.
///
/// # Errors
/// [`StoreError::Corrupt`] if it is negative.
pub fn number(int: i64) -> Result<u64, StoreError> {
    u64::try_from(int).map_err(|_| StoreError::Corrupt("a counter is negative".to_owned()))
}

/// See [`number`].
pub fn seq(int: i64) -> Result<Seq, StoreError> {
    number(int).map(Seq)
}

/// See [`number`].
pub fn revision(int: i64) -> Result<Revision, StoreError> {
    number(int).map(Revision)
}

/// An instant for a column. Instants of ours are whole microseconds.
pub fn at(instant: Timestamp) -> NaiveDateTime {
    instant.naive_utc()
}

/// The longest folded text an index holds, in characters.
const KEY_CHARS: usize = 200;

/// What a name looks like, by which people are found: cut, so that it fits its index on both databases.
pub fn name_key(name: &str) -> String {
    crate::domain::text::fold(name).chars().take(KEY_CHARS).collect()
}

/// The form of a room's name by which the list of rooms is ordered and searched; as long.
pub fn room_key(name: &str) -> String {
    crate::domain::text::fold_case(name).chars().take(KEY_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_comes_back_as_its_word() {
        for code in 0..20 {
            assert_eq!(NoticeKind::from_code(code).unwrap().code(), code);
        }
        assert!(matches!(NoticeKind::from_code(20), Err(StoreError::Corrupt(_))));
        for action in AuditAction::ALL {
            assert_eq!(AuditAction::from_code(action.code()), Ok(*action));
        }
        assert!(Role::Owner.code() < Role::Moderator.code() && Role::Moderator.code() < Role::Member.code());
    }

    #[test]
    fn negative_counter_is_corrupt() {
        assert!(matches!(number(-1), Err(StoreError::Corrupt(_))));
        assert_eq!(number(int(7)), Ok(7));
    }
}
