//! Which posts may notify somebody, as far as that depends on what people prefer: rooms of which somebody wants to be told everything, people who
//! want that of all their rooms, and words that somebody waits for. One set for the node, exchanged as a whole.
//!
//! Words are compared folded: capitals do not matter. A keyword of several words is found where they follow each other; one with signs,
//! such as `C++`, only where the signs are too. What has no word or too many is no keyword; of what was kept before that was so, nothing is found.

use std::collections::{HashMap, HashSet};

use unicode_segmentation::UnicodeSegmentation;

use crate::domain::ids::{RoomId, UserId};
use crate::domain::preference::Keyword;
use crate::domain::text::fold_case;

/// The set.
#[derive(Debug, Default)]
pub struct Interest {
    rooms: HashSet<RoomId>,
    people: HashSet<UserId>,
    /// By their words alone: the keywords as they are kept.
    keywords: HashMap<String, Vec<String>>,
    /// Words of the longest keyword.
    longest: usize,
}

impl Interest {
    /// From rooms of which somebody wants everything, people who want it everywhere, and keywords as they are kept.
    #[must_use]
    pub fn new(rooms: HashSet<RoomId>, people: HashSet<UserId>, keywords: Vec<String>) -> Self {
        let mut interest = Self { rooms, people, ..Self::default() };
        for keyword in keywords {
            if Keyword::can_be_found(&keyword) {
                let words: Vec<&str> = keyword.unicode_words().collect();
                interest.longest = interest.longest.max(words.len());
                interest.keywords.entry(words.join(" ")).or_default().push(keyword);
            }
        }
        interest
    }

    /// Has somebody said of this room that they want to be told of everything?
    #[must_use]
    pub fn everything_in(&self, room: RoomId) -> bool {
        self.rooms.contains(&room)
    }

    /// Who wants to be told of everything in all their rooms.
    #[must_use]
    pub const fn everywhere(&self) -> &HashSet<UserId> {
        &self.people
    }

    /// The keywords a text has, as they are kept; each once.
    #[must_use]
    pub fn keywords_in(&self, text: &str) -> Vec<String> {
        if self.keywords.is_empty() {
            return Vec::new();
        }
        let text = fold_case(text);
        let words: Vec<&str> = text.unicode_words().collect();
        let mut found = HashSet::new();
        for length in 1..=self.longest {
            for run in words.windows(length) {
                let one;
                let run = if let [word] = run {
                    *word
                } else {
                    one = run.join(" ");
                    &one
                };
                let there = |keyword: &&String| keyword.as_str() == run || text.contains(keyword.as_str());
                found.extend(self.keywords.get(run).into_iter().flatten().filter(there));
            }
        }
        found.into_iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_are_found_as_the_table_says() {
        let table = [
            ("rust", "I like Rust.", true),
            ("rust", "trust me", false),
            ("rust", "rusty", false),
            ("straße", "STRASSE", true),
            ("strasse", "Straße", true),
            ("release day", "The RELEASE day, at last", true),
            ("release day", "release of the day", false),
            ("c++", "C++ it is", true),
            ("c++", "vitamin c", false),
            ("++", "i++", false),
            ("can't", "I Can't go", true),
            ("λόγος", "ὁ λόγος ἦν", true),
            ("a b c d e f g h i", "a b c d e f g h i", false),
        ];
        for (keyword, text, expected) in table {
            let interest = Interest::new(HashSet::new(), HashSet::new(), vec![fold_case(keyword)]);
            let found = interest.keywords_in(text);
            assert_eq!(!found.is_empty(), expected, "{keyword} in {text}: {found:?}");
        }
    }

    #[test]
    fn each_keyword_of_a_text_is_found_once() {
        let keywords = ["tea", "green tea", "coffee"].map(str::to_owned).to_vec();
        let mut found = Interest::new(HashSet::new(), HashSet::new(), keywords).keywords_in("tea? Green tea!");
        found.sort();
        assert_eq!(found, ["green tea", "tea"]);
        assert!(Interest::default().keywords_in("tea").is_empty());
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in ".*", word in ".*") {
            let _ = Interest::new(HashSet::new(), HashSet::new(), vec![word]).keywords_in(&text);
        }
    }
}
