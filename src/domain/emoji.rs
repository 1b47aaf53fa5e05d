//! What people react with.

use super::fault::Fault;

/// One emoji of Unicode, in the form that shows it in colour: two ways to write the same one are one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Emoji(&'static str);

impl Emoji {
    /// Reads an emoji; skin tones and sequences are emoji of their own.
    ///
    /// # Errors
    /// [`Fault::BadRequest`] for anything else, such as two of them or a word.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        emojis::get(text).map(|emoji| Self(emoji.as_str())).ok_or(Fault::BadRequest)
    }

    /// As text.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_emoji_is_one_however_it_is_written() {
        assert_eq!(Emoji::parse("\u{2764}").unwrap(), Emoji::parse("\u{2764}\u{FE0F}").unwrap());
        assert_ne!(Emoji::parse("👍").unwrap(), Emoji::parse("👍🏽").unwrap());
        for sequence in ["👨‍👩‍👧", "🇩🇪", "🏳️‍🌈", "1️⃣"] {
            assert_eq!(Emoji::parse(sequence).unwrap().as_str(), sequence);
        }
    }

    #[test]
    fn what_is_no_emoji_is_refused() {
        for text in ["", "a", "👍👍", ":+1:", " 👍", "<b>", "\u{FE0F}"] {
            assert_eq!(Emoji::parse(text), Err(Fault::BadRequest), "{text}");
        }
    }

    #[test]
    fn every_emoji_fits_its_column() {
        assert!(emojis::iter().all(|emoji| emoji.as_str().len() <= 64));
    }
}
