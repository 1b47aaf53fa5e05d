//! Checked texts: what people type and what becomes of it. Each type refuses with the [`Fault`] the sender sees.

use super::fault::Fault;
use super::markup;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;
use unicode_security::{GeneralSecurityProfile, skeleton};

/// The name one logs in with and is found by. Letters of any script, digits, `.`, `-`, `_`; no spaces. Kept as typed, NFC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserName(String);

impl UserName {
    /// The shortest, in characters.
    pub const MIN_CHARS: usize = 2;
    /// The longest, in characters.
    pub const MAX_CHARS: usize = 32;

    /// Checks and normalises a name that somebody wants to have.
    ///
    /// # Errors
    /// Those of [`Self::parse_any`]; [`Fault::NameTaken`] for what looks like a mention of everybody.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let name = Self::parse_any(text)?;
        let reserved = [markup::ROOM, markup::ONLINE].iter().any(|word| fold(word) == name.key());
        if reserved { Err(Fault::NameTaken) } else { Ok(name) }
    }

    /// Checks and normalises what may be a name.
    ///
    /// # Errors
    /// [`Fault::NameInvalid`] when it is too short or long, or has a character outside Unicode's identifier profile (UTS #39 §3.1).
    pub fn parse_any(text: &str) -> Result<Self, Fault> {
        let name: String = text.trim().nfc().collect();
        let length = name.chars().count();
        let allowed = |c: char| in_names(c) && (c.is_ascii() || c.identifier_allowed());
        let edge = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || is_combining_mark(c));
        let fits = (Self::MIN_CHARS..=Self::MAX_CHARS).contains(&length)
            && name.chars().all(allowed)
            && !piles_marks(&name)
            && name.starts_with(char::is_alphanumeric)
            && edge(name.chars().next_back());
        if fits { Ok(Self(name)) } else { Err(Fault::NameInvalid) }
    }

    /// The name as typed.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What two names must not share: case folded, then the confusables skeleton of UTS #39 §4, so that `paypal` and `pаypal` are one.
    #[must_use]
    pub fn key(&self) -> String {
        fold(&self.0)
    }
}

/// May stand in a name, as far as its sort tells. Marks are half of the letters of many scripts.
pub(super) fn in_names(c: char) -> bool {
    c.is_alphanumeric() || is_combining_mark(c) || matches!(c, '.' | '-' | '_')
}

/// Whether marks are piled up, over or under the lines around the name: the same one twice, or more than four (UTS #39 §5.4).
fn piles_marks(name: &str) -> bool {
    let (mut last, mut run) = (None, 0);
    name.chars().any(|c| {
        let repeats = last == Some(c);
        run = if is_combining_mark(c) { run + 1 } else { 0 };
        last = Some(c);
        run > 4 || (run > 0 && repeats)
    })
}

/// The form by which lists of names are ordered and searched: capitals do not matter.
#[must_use]
pub fn fold_case(text: &str) -> String {
    caseless::default_case_fold_str(&text.nfc().collect::<String>()).nfc().collect()
}

/// Whether a name begins with `prefix`, or with what looks like it to a person.
#[must_use]
pub fn begins_like(name: &str, prefix: &str) -> bool {
    let wanted = fold(prefix);
    let longest = wanted.chars().count();
    // Whole characters of the name only: the skeleton of `m` is `rn`, which does not make `r` a beginning of `maria`.
    let ends = name.char_indices().map(|(at, c)| at + c.len_utf8());
    let beginnings = ends.filter_map(|end| name.get(..end)).map(fold);
    let mut beginnings = beginnings.take_while(|beginning| beginning.chars().count() <= longest);
    beginnings.any(|beginning| beginning == wanted)
}

/// The comparison form of a name: two texts with one fold look alike to a person.
#[must_use]
pub fn fold(text: &str) -> String {
    // Folding comes before and after the skeleton: the skeleton of a capital may be a small letter's and the other way round.
    let folded = caseless::default_case_fold_str(text);
    let shape: String = skeleton(&folded).collect();
    caseless::default_case_fold_str(&shape).nfc().collect()
}

macro_rules! line {
    ($(#[$doc:meta])* $name:ident, $min:expr, $max:expr, $fault:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name(String);

        impl $name {
            /// The longest, in characters.
            pub const MAX_CHARS: usize = $max;

            /// Leaves out what only hides in a line, trims, normalises to NFC, and checks length and control characters.
            ///
            /// # Errors
            /// The fault named in the type's description.
            pub fn parse(text: &str) -> Result<Self, Fault> {
                let kept: String = text.nfc().filter(|c| !hides_in_line(*c)).collect();
                let text = kept.trim().to_owned();
                let shows = $min == 0 || is_seen(&text);
                if !shows || !($min..=$max).contains(&text.chars().count()) || text.chars().any(forbidden_in_line) {
                    return Err($fault);
                }
                Ok(Self(text))
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
    };
}

line!(
    /// How a person is shown. 1–64 characters on one line, else [`Fault::NameInvalid`].
    DisplayName,
    1,
    64,
    Fault::NameInvalid
);
line!(
    /// A room's name. 1–80 characters on one line, else [`Fault::NameInvalid`].
    RoomName,
    1,
    80,
    Fault::NameInvalid
);
line!(
    /// A room's topic line. At most 250 characters on one line, else [`Fault::TextTooLong`].
    Topic,
    0,
    250,
    Fault::TextTooLong
);
line!(
    /// Why somebody was kicked or banned. At most 250 characters on one line, else [`Fault::TextTooLong`].
    Reason,
    0,
    250,
    Fault::TextTooLong
);
line!(
    /// How a login is told from others in the list of devices. At most 64 characters on one line, else [`Fault::NameInvalid`].
    DeviceName,
    0,
    64,
    Fault::NameInvalid
);

line!(
    /// What somebody is doing. At most 100 characters on one line, else [`Fault::TextTooLong`].
    StatusText,
    0,
    100,
    Fault::TextTooLong
);
line!(
    /// The beginning of a name by which people are looked for: 1–64 characters, as no name is longer, else [`Fault::BadRequest`].
    NamePrefix,
    1,
    64,
    Fault::BadRequest
);

/// Control characters, line breaks and the marks that turn text around (UAX #9): a name that carries them deceives.
pub(super) fn forbidden_in_line(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// Shows nothing and joins nothing: two lines that differ by it look alike, and no writing needs it in one line.
const fn hides_in_line(c: char) -> bool {
    matches!(c, '\u{AD}' | '\u{61C}' | '\u{180E}' | '\u{200B}' | '\u{200E}' | '\u{200F}' | '\u{2060}'..='\u{2064}' | '\u{FEFF}')
}

/// Characters that show nothing by themselves, though some shape what stands beside them.
pub(crate) const fn is_unseen(c: char) -> bool {
    matches!(
        c,
        '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{115F}' | '\u{1160}' | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}' | '\u{2800}' | '\u{3164}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFA0}' | '\u{E0000}'..='\u{E0FFF}'
    )
}

/// Is there anything to be seen in it?
fn is_seen(text: &str) -> bool {
    text.chars().any(|c| !c.is_whitespace() && !is_unseen(c))
}

/// A message's text: kept exactly as sent, 1 byte to `max` bytes of UTF-8, something to be seen, no NUL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageText(String);

impl MessageText {
    /// Checks a text against the limit `max_bytes`.
    ///
    /// # Errors
    /// [`Fault::TextTooLong`], [`Fault::TextEmpty`], or [`Fault::BadRequest`] for a NUL character, which not every client can show or store.
    pub fn parse(text: String, max_bytes: usize) -> Result<Self, Fault> {
        if text.len() > max_bytes {
            Err(Fault::TextTooLong)
        } else if text.contains('\0') {
            Err(Fault::BadRequest)
        } else if !is_seen(&text) {
            Err(Fault::TextEmpty)
        } else {
            Ok(Self(text))
        }
    }

    /// A text that the store kept, checked when it was posted.
    #[must_use]
    pub fn stored(text: String) -> Self {
        Self(text)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text, given away.
    #[must_use]
    pub fn into_string(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_names_that_look_alike_share_a_key() {
        let latin = UserName::parse("paypal").unwrap();
        let cyrillic = UserName::parse("p\u{430}ypal").unwrap();
        let capital = UserName::parse("PayPal").unwrap();
        assert_eq!(latin.key(), cyrillic.key());
        assert_eq!(latin.key(), capital.key());
        assert_ne!(latin.key(), UserName::parse("paypa1s").unwrap().key());
    }

    #[test]
    fn a_beginning_is_one_of_whole_characters_or_of_their_look_alikes() {
        for (name, prefix) in [("maria", "mar"), ("maria", "MA"), ("m\u{430}ria", "mar"), ("maria", "m\u{430}"), ("1ina", "l")] {
            assert!(begins_like(name, prefix), "{name} {prefix}");
        }
        for (name, prefix) in [("maria", "r"), ("maria", "aria"), ("ma", "mar"), ("rosa", "m")] {
            assert!(!begins_like(name, prefix), "{name} {prefix}");
        }
        assert_eq!(fold_case("GARDEN 1\u{430}"), "garden 1\u{430}");
    }

    #[test]
    fn user_name_with_space_control_or_bad_edge_is_refused() {
        for bad in [
            "a",
            "a b",
            "a\u{202e}b",
            ".ab",
            "ab-",
            "",
            "a\nb",
            "\u{94d}ab",
            "a\u{200d}b",
            "ส้้มโอ",
            "a\u{301}\u{302}\u{303}\u{304}\u{308}\u{30c}b",
            &"x".repeat(33),
        ] {
            assert_eq!(UserName::parse(bad), Err(Fault::NameInvalid), "{bad:?}");
        }
    }

    #[test]
    fn names_of_any_script_are_accepted() {
        for good in ["Zoë", "Ольга", "山田太郎", "o.k-a_y2", "हिन्दी", "ส้มโอ"] {
            assert!(UserName::parse(good).is_ok(), "{good}");
        }
    }

    #[test]
    fn display_name_cannot_turn_text_around() {
        assert_eq!(DisplayName::parse("a\u{202e}b"), Err(Fault::NameInvalid));
        assert_eq!(DisplayName::parse("  Ann Lee ").unwrap().as_str(), "Ann Lee");
    }

    #[test]
    fn what_is_not_seen_makes_no_other_name_and_no_name_by_itself() {
        assert_eq!(DisplayName::parse("\u{feff}Ann\u{200b}\u{200f} \u{2060}").unwrap().as_str(), "Ann");
        for nothing in ["\u{200b}", "\u{200d}\u{fe0f}", "\u{3164}", "\u{2800} \u{2800}"] {
            assert_eq!(RoomName::parse(nothing), Err(Fault::NameInvalid), "{nothing:?}");
            assert_eq!(MessageText::parse(nothing.into(), 100), Err(Fault::TextEmpty), "{nothing:?}");
        }
        // Joined letters and a family of emoji need what joins them.
        for joined in ["می\u{200c}خواهم", "👩\u{200d}👧 \u{2764}\u{fe0f}"] {
            assert_eq!(DisplayName::parse(joined).unwrap().as_str(), joined);
            assert_eq!(MessageText::parse(joined.into(), 100).unwrap().as_str(), joined);
        }
        assert_eq!(Topic::parse("\u{200b}").unwrap().as_str(), "");
    }

    #[test]
    fn message_text_is_bounded_in_bytes_and_kept_as_sent() {
        assert_eq!(MessageText::parse("é".repeat(5), 9), Err(Fault::TextTooLong));
        assert_eq!(MessageText::parse(" \n ".into(), 10), Err(Fault::TextEmpty));
        assert_eq!(MessageText::parse("a\0".into(), 10), Err(Fault::BadRequest));
        assert_eq!(MessageText::parse(" hi \n".into(), 10).unwrap().as_str(), " hi \n");
    }
}
