//! A fault on the wire: the same fields in an error reply and in a problem document (RFC 9457).

use crate::domain::fault::{Refusal, Stored};
use serde::Serialize;
use utoipa::ToSchema;

/// What went wrong, for programs (`code`, `retry`, `stored`, `retry_after_ms`) and for developers (`message`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ErrorBody {
    /// The stable word to act on.
    pub code: &'static str,
    /// What to do, in a sentence.
    pub message: String,
    /// Whether the same request may succeed later, unchanged.
    pub retry: bool,
    /// `no`: certainly not stored. `unknown`: repeat with the same `client_id` or key to find out.
    pub stored: &'static str,
    /// Not before this many milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// Tell it the operator: it names what happened in the log of the server. With `internal` on a socket; REST and refused handshakes
    /// name their request with every problem.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

impl From<Refusal> for ErrorBody {
    fn from(refusal: Refusal) -> Self {
        let row = refusal.fault.row();
        Self {
            code: row.code,
            message: refusal.advice.unwrap_or(row.advice).to_owned(),
            retry: row.retry,
            stored: match row.stored {
                Stored::No => "no",
                Stored::Unknown => "unknown",
            },
            retry_after_ms: refusal.retry_after.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)),
            request_id: refusal.incident.map(|incident| incident.to_string()),
        }
    }
}

impl ErrorBody {
    /// The same with a sentence of its own, such as where a field is wrong. The sentence never repeats what the other side sent.
    #[must_use]
    pub fn because(refusal: impl Into<Refusal>, message: impl Into<String>) -> Self {
        Self { message: message.into(), ..Self::from(refusal.into()) }
    }
}
