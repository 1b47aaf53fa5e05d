//! What can go wrong with a read or a write, told apart by what the caller can do about it.

use diesel::result::{DatabaseErrorKind, Error as DieselError};
use thiserror::Error;

use crate::domain::fault::Fault;

/// What [`StoreError::RowRefused`] says of a row that is there already.
pub(super) const UNIQUE_KEY: &str = "unique key";

/// Why the store did not do it. No variant carries stored text (I12).
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum StoreError {
    /// No connection became free in time. Nothing was stored.
    #[error("no free connection")]
    Busy,
    /// The database is away, full, read-only or too slow. Certainly not stored; the same may work later.
    #[error("the database is unavailable: {0}")]
    Unavailable(String),
    /// The connection is gone: ended by the server, by its restart, or by something on the way. Certainly not stored; another connection may
    /// work at once.
    #[error("the connection to the database is gone: {0}")]
    Disconnected(String),
    /// The answer to COMMIT was lost. Run it again: the keys show what is stored (I9).
    #[error("the outcome of the commit is unknown: {0}")]
    OutcomeUnknown(String),
    /// Deadlock or lock wait. Rolled back; run it again soon.
    #[error("contention: {0}")]
    Contention(String),
    /// The database refuses a row for what is in it. Whoever batched it with others runs them apart.
    #[error("the database refuses a row: {0}")]
    RowRefused(&'static str),
    /// A decision inside the transaction. Rolled back.
    #[error("refused: {}", .0.row().code)]
    Refused(Fault),
    /// Stored values that no version of this program has written.
    #[error("the database holds what it should not: {0}")]
    Corrupt(String),
    /// A mistake of ours.
    #[error("internal: {0}")]
    Internal(String),
    /// A panic in our code. Rolled back.
    #[error("a panic ended the transaction")]
    Panicked,
}

impl StoreError {
    /// What the person at the other end sees of it.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Busy => Fault::Busy,
            Self::Unavailable(_) | Self::Disconnected(_) | Self::Contention(_) | Self::Panicked => Fault::Unavailable,
            Self::OutcomeUnknown(_) => Fault::OutcomeUnknown,
            Self::RowRefused(_) => Fault::BadRequest,
            Self::Refused(fault) => *fault,
            Self::Corrupt(_) | Self::Internal(_) => Fault::Internal,
        }
    }

    /// May the same operation succeed when it is run again at once or soon?
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::Busy | Self::Unavailable(_) | Self::Disconnected(_) | Self::OutcomeUnknown(_) | Self::Contention(_) => true,
            Self::RowRefused(_) | Self::Refused(_) | Self::Corrupt(_) | Self::Internal(_) | Self::Panicked => false,
        }
    }

    /// Is the connection it happened on worth nothing any more, and perhaps those that lie idle with it?
    pub(super) const fn spoils_connections(&self) -> bool {
        match self {
            Self::Unavailable(_) | Self::Disconnected(_) | Self::OutcomeUnknown(_) | Self::Corrupt(_) => true,
            Self::Busy | Self::Contention(_) | Self::RowRefused(_) | Self::Refused(_) | Self::Internal(_) | Self::Panicked => {
                false
            }
        }
    }

    /// May a question that ended so be put once more at once, on a new connection? Not after a time limit or an overload: it would double them.
    pub(super) const fn asks_for_another_connection(&self) -> bool {
        matches!(self, Self::Disconnected(_))
    }
}

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        Self::Refused(fault)
    }
}

impl From<DieselError> for StoreError {
    fn from(error: DieselError) -> Self {
        match error {
            DieselError::DatabaseError(kind, details) => from_database(&kind, details.message()),
            DieselError::DeserializationError(error) => Self::Corrupt(error.to_string()),
            DieselError::NotFound => Self::Internal("a row that must exist does not".to_owned()),
            other => Self::Internal(other.to_string()),
        }
    }
}

fn from_database(kind: &DatabaseErrorKind, message: &str) -> StoreError {
    match kind {
        DatabaseErrorKind::UniqueViolation => StoreError::RowRefused(UNIQUE_KEY),
        DatabaseErrorKind::ForeignKeyViolation => StoreError::RowRefused("foreign key"),
        DatabaseErrorKind::NotNullViolation => StoreError::RowRefused("missing value"),
        DatabaseErrorKind::CheckViolation => StoreError::RowRefused("check"),
        DatabaseErrorKind::SerializationFailure => StoreError::Contention("serialization".to_owned()),
        DatabaseErrorKind::ClosedConnection => StoreError::Disconnected(message.to_owned()),
        DatabaseErrorKind::ReadOnlyTransaction => unavailable(message),
        _ => from_message(message),
    }
}

/// Words by which an error is known, because the driver hands on the text but not the number. Servers of both kinds speak English
/// here: a session sets `lc_messages`.
fn from_message(message: &str) -> StoreError {
    const CONTENTION: &[&str] = &[
        "Deadlock found",                     // MySQL 1213
        "Lock wait timeout exceeded",         // MySQL 1205
        "Record has changed since last read", // MariaDB 1020
        "database is locked",                 // SQLITE_BUSY
        "database table is locked",           // SQLITE_LOCKED
    ];
    const ROW: &[&str] = &[
        "Data too long",            // MySQL 1406
        "Incorrect string value",   // MySQL 1366
        "Out of range value",       // MySQL 1264
        "Incorrect datetime value", // MySQL 1292
        "string or blob too big",   // SQLITE_TOOBIG
    ];
    const DISCONNECTED: &[&str] = &[
        "Input/output error:",                          // the connection
        "Driver error:",                                // the connection, or what came over it out of turn
        "Connection was killed",                        // MariaDB 1927
        "Server shutdown in progress",                  // MySQL 1053
        "disconnected by the server because of inacti", // MySQL 4031
        "server has gone away",                         // 2006, of a proxy
        "Lost connection to",                           // 2013, of a proxy
    ];
    const UNAVAILABLE: &[&str] = &[
        "Query execution was interrupted", // MySQL 1317
        "--read-only",                     // MySQL 1290
        "is full",                         // MySQL 1114, SQLITE_FULL
        "Disk full",                       // MySQL 1021
        "No space left",                   // MySQL 3, 1030
        "Too many connections",            // MySQL 1040
        "disk I/O error",                  // SQLITE_IOERR
        "unable to open database file",    // SQLITE_CANTOPEN
        "readonly database",               // SQLITE_READONLY
        "out of memory",                   // SQLITE_NOMEM
    ];
    let is = |words: &[&str]| words.iter().any(|word| message.contains(word));
    if is(CONTENTION) {
        StoreError::Contention(message.to_owned())
    } else if is(ROW) {
        // The message quotes the value.
        StoreError::RowRefused("value")
    } else if is(DISCONNECTED) {
        StoreError::Disconnected(message.to_owned())
    } else if is(UNAVAILABLE) {
        unavailable(message)
    } else if message.contains("malformed") || message.contains("not a database") || message.contains("marked as crashed") {
        StoreError::Corrupt(message.to_owned())
    } else {
        StoreError::Internal(message.to_owned())
    }
}

fn unavailable(message: &str) -> StoreError {
    StoreError::Unavailable(message.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unknown(message: &str) -> StoreError {
        DieselError::DatabaseError(DatabaseErrorKind::Unknown, Box::new(message.to_owned())).into()
    }

    #[test]
    fn errors_of_both_databases_are_told_apart_by_what_one_can_do() {
        assert!(matches!(
            unknown("Deadlock found when trying to get lock; try restarting transaction"),
            StoreError::Contention(_)
        ));
        assert!(matches!(unknown("database is locked"), StoreError::Contention(_)));
        assert!(matches!(unknown("database or disk is full"), StoreError::Unavailable(_)));
        assert!(matches!(unknown("You have an error in your SQL syntax"), StoreError::Internal(_)));
        assert!(matches!(unknown("database disk image is malformed"), StoreError::Corrupt(_)));
    }

    #[test]
    fn only_a_lost_connection_asks_for_another_one() {
        for message in [
            "Input/output error: Broken pipe",
            "Driver error: `Packet out of order.'",
            "Connection was killed",
            "Server shutdown in progress",
            "The client was disconnected by the server because of inactivity. See wait_timeout and interactive_timeout for \
             configuring this behavior.",
        ] {
            let error = unknown(message);
            assert!(error.asks_for_another_connection() && error.spoils_connections() && error.is_transient(), "{error:?}");
            assert_eq!(error.fault(), Fault::Unavailable);
        }
        for error in [
            StoreError::Busy,
            StoreError::Unavailable("read deadline".to_owned()),
            StoreError::Panicked,
            unknown("Query execution was interrupted"),
            unknown("Lock wait timeout exceeded; try restarting transaction"),
            unknown("database is locked"),
            unknown("disk I/O error"),
            unknown("You have an error in your SQL syntax"),
        ] {
            assert!(!error.asks_for_another_connection(), "{error:?}");
        }
    }

    #[test]
    fn refused_value_is_not_quoted() {
        let error = unknown("Data too long for column 'body' with 'my secret'");
        assert_eq!(error, StoreError::RowRefused("value"));
        let error: StoreError =
            DieselError::DatabaseError(DatabaseErrorKind::UniqueViolation, Box::new("Duplicate entry 'ann'".to_owned())).into();
        assert!(!format!("{error} {error:?}").contains("ann"));
    }
}
