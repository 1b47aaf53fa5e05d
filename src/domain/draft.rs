//! What somebody has begun to write.

use super::fault::Fault;
use super::ids::RoomId;
use super::order::{Revision, Seq};
use super::time::Timestamp;

/// The text of a draft, kept as typed; nothing, or nothing but white space, means that there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DraftText(String);

impl DraftText {
    /// Checks a text against the limit `max_bytes`, which is that of a message.
    ///
    /// # Errors
    /// [`Fault::TextTooLong`], or [`Fault::BadRequest`] for a NUL character.
    pub fn parse(text: String, max_bytes: usize) -> Result<Self, Fault> {
        if text.len() > max_bytes {
            Err(Fault::TextTooLong)
        } else if text.contains('\0') {
            Err(Fault::BadRequest)
        } else if text.chars().all(char::is_whitespace) {
            Ok(Self::default())
        } else {
            Ok(Self(text))
        }
    }

    /// A text that the store kept.
    #[must_use]
    pub const fn stored(text: String) -> Self {
        Self(text)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// There is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A draft in a room or in a thread of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// The room.
    pub room: RoomId,
    /// The thread's first message; none: in the room.
    pub thread: Option<Seq>,
    /// What is written so far.
    pub text: DraftText,
    /// When that was.
    pub changed_at: Timestamp,
    /// The revision of the person's own stream at which this last changed.
    pub revision: Revision,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draft_is_kept_as_typed_within_its_limit_and_white_space_is_none() {
        let parse = |text: &str| DraftText::parse(text.to_owned(), 8);
        assert_eq!(parse(" so far ").unwrap().as_str(), " so far ");
        for nothing in ["", "  ", "\n\t"] {
            assert!(parse(nothing).unwrap().is_empty(), "{nothing:?}");
        }
        assert_eq!(parse("123456789"), Err(Fault::TextTooLong));
        assert_eq!(parse("a\0"), Err(Fault::BadRequest));
    }
}
