//! A set of filters, ready to judge texts: made once when the set changes, asked for every post.
//!
//! Must not know: where a set comes from, who may change it.

use std::collections::HashMap;
use std::fmt;

use aho_corasick::AhoCorasick;

use super::{links, words};
use crate::domain::fault::Fault;
use crate::domain::filter::{Filter, FilterAction, FilterKind, FilterRule};
use crate::domain::report::{Judged, ReportReason, Suspicion};
use unicode_normalization::UnicodeNormalization;

/// What filters, or the hook, say of a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Judgement {
    /// Nothing.
    #[default]
    Pass,
    /// It may be posted, and moderators hear of it.
    Report(Suspicion),
    /// It may not be posted.
    Refuse(Fault),
}

impl Judgement {
    /// Whether the text may be stored, and why it is to be reported with that.
    pub fn split(self) -> Judged {
        match self {
            Self::Pass => (Ok(()), None),
            Self::Report(suspicion) => (Ok(()), Some(suspicion)),
            Self::Refuse(fault) => (Err(fault), None),
        }
    }

    /// The stricter of two; of two alike the first.
    #[must_use]
    pub fn or_stricter(self, other: impl FnOnce() -> Self) -> Self {
        match self {
            Self::Refuse(_) => self,
            Self::Pass => other(),
            Self::Report(_) => match other() {
                refused @ Self::Refuse(_) => refused,
                Self::Pass | Self::Report(_) => self,
            },
        }
    }
}

/// Filters as one thing to ask.
#[derive(Default)]
pub struct Filters {
    /// Words of which none may be said.
    refused: Words,
    /// Words of which moderators hear.
    reported: Words,
    /// By host.
    links: HashMap<String, Vec<(String, Rule)>>,
}

/// Words that have the same consequence, so the first that is found is enough: a text is read once, however many of them overlap in it.
#[derive(Default)]
struct Words {
    needles: Option<AhoCorasick>,
    /// In the order of the needles.
    patterns: Vec<String>,
}

impl Words {
    fn new(words: Vec<(String, String)>) -> Self {
        let (needles, patterns): (Vec<_>, Vec<_>) = words.into_iter().unzip();
        let needles = (!needles.is_empty()).then(|| AhoCorasick::new(needles).expect("the limits of filters fit an automaton"));
        Self { needles, patterns }
    }

    /// The pattern of the word that ends first.
    fn find(&self, folded: &str) -> Option<&String> {
        let found = self.needles.as_ref()?.find(folded)?;
        self.patterns.get(found.pattern().as_usize())
    }
}

struct Rule {
    action: FilterAction,
    pattern: String,
}

fn suspicion(pattern: &str) -> Judgement {
    Judgement::Report(Suspicion { reason: ReportReason::Filter, text: Some(pattern.to_owned()) })
}

impl Filters {
    /// Makes a set ready. A pattern that cannot match, which no rule of ours has, is left out.
    ///
    /// # Panics
    /// Never: the number of filters and the length of each have limits, far below what an automaton holds.
    #[must_use]
    pub fn compile<'a>(all: impl IntoIterator<Item = &'a Filter>) -> Self {
        let (mut refused, mut reported) = (Vec::new(), Vec::new());
        let mut links: HashMap<_, Vec<_>> = HashMap::new();
        for FilterRule { kind, pattern, action } in all.into_iter().map(|filter| &filter.rule) {
            match kind {
                FilterKind::Word => {
                    let words = match action {
                        FilterAction::Refuse => &mut refused,
                        FilterAction::Report => &mut reported,
                    };
                    words.extend(words::needle(pattern).map(|needle| (needle, pattern.clone())));
                }
                FilterKind::Link => {
                    if let Some(place) = links::pattern(pattern) {
                        let rule = Rule { action: *action, pattern: pattern.clone() };
                        links.entry(place.host).or_default().push((place.path, rule));
                    }
                }
            }
        }
        Self { refused: Words::new(refused), reported: Words::new(reported), links }
    }

    /// What the set says of a text: the strictest of all that match.
    #[must_use]
    pub fn judge(&self, text: &str) -> Judgement {
        self.judge_words(text).or_stricter(|| self.judge_links(text))
    }

    /// What the set says of texts by which something is to be known. What is to be reported comes with the text itself, as that may be changed
    /// before anybody looks.
    pub fn judge_names<'a>(&self, texts: impl IntoIterator<Item = &'a str>) -> Judged {
        let judge = |text: &str| match self.judge(text) {
            Judgement::Report(Suspicion { reason, text: pattern }) => {
                let text = pattern.map_or_else(|| text.to_owned(), |pattern| format!("{pattern}\n{text}"));
                Judgement::Report(Suspicion { reason, text: Some(text) })
            }
            judgement => judgement,
        };
        let all = texts.into_iter().fold(Judgement::Pass, |all, text| all.or_stricter(|| judge(text)));
        all.split()
    }

    fn judge_words(&self, text: &str) -> Judgement {
        if self.refused.patterns.is_empty() && self.reported.patterns.is_empty() {
            return Judgement::Pass;
        }
        let folded = words::folded(text);
        if self.refused.find(&folded).is_some() {
            return Judgement::Refuse(Fault::Filtered);
        }
        self.reported.find(&folded).map_or(Judgement::Pass, |pattern| suspicion(pattern))
    }

    fn judge_links(&self, text: &str) -> Judgement {
        if self.links.is_empty() {
            return Judgement::Pass;
        }
        let places = links::places(text);
        let found = places.iter().flat_map(|place| {
            let of_hosts = place.hosts().filter_map(|host| self.links.get(host)).flatten();
            of_hosts.filter(|(path, _)| place.is_below(path)).map(|(_, rule)| rule)
        });
        strictest(found)
    }
}

/// Looks no further once something refuses; of those that report the first counts.
fn strictest<'a>(found: impl Iterator<Item = &'a Rule>) -> Judgement {
    let mut reported = None;
    for rule in found {
        match rule.action {
            FilterAction::Refuse => return Judgement::Refuse(Fault::Filtered),
            FilterAction::Report => reported = reported.or(Some(rule)),
        }
    }
    reported.map_or(Judgement::Pass, |rule| suspicion(&rule.pattern))
}

impl fmt::Debug for Filters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = self.refused.patterns.len() + self.reported.patterns.len();
        write!(f, "Filters({words} words, {} hosts)", self.links.len())
    }
}

/// A rule whose pattern can match.
///
/// # Errors
/// [`Fault::TextEmpty`], [`Fault::TextTooLong`]; [`Fault::BadRequest`] if there is no word, or no host, in it.
pub fn rule(kind: FilterKind, pattern: &str, action: FilterAction) -> Result<FilterRule, Fault> {
    let pattern: String = pattern.trim().nfc().collect();
    if pattern.is_empty() {
        return Err(Fault::TextEmpty);
    }
    if pattern.chars().count() > FilterRule::MAX_CHARS {
        return Err(Fault::TextTooLong);
    }
    let matches = match kind {
        FilterKind::Word => words::needle(&pattern).is_some(),
        FilterKind::Link => links::pattern(&pattern).is_some(),
    };
    let fits = matches && !pattern.chars().any(char::is_control);
    if fits { Ok(FilterRule { kind, pattern, action }) } else { Err(Fault::BadRequest) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::{FilterId, UserId};
    use chrono::DateTime;

    fn set(rules: &[(FilterKind, &str, FilterAction)]) -> Filters {
        let filter = |(kind, pattern, action): &(FilterKind, &str, FilterAction)| Filter {
            id: FilterId::generate(),
            room: None,
            rule: rule(*kind, pattern, *action).unwrap(),
            created_by: UserId::generate(),
            created_at: DateTime::UNIX_EPOCH,
        };
        let filters: Vec<_> = rules.iter().map(filter).collect();
        Filters::compile(&filters)
    }

    #[test]
    fn the_strictest_of_all_that_match_counts() {
        use FilterAction::{Refuse, Report};
        use FilterKind::{Link, Word};
        let filters = set(&[
            (Word, "odd", Report),
            (Word, "bad", Refuse),
            (Word, "odd bad", Report),
            (Link, "example.org", Report),
            (Link, "example.org/bad", Refuse),
        ]);
        let reported =
            |pattern: &str| Judgement::Report(Suspicion { reason: ReportReason::Filter, text: Some(pattern.to_owned()) });
        let refused = || Judgement::Refuse(Fault::Filtered);
        let table = [
            ("fine", Judgement::Pass),
            ("odd", reported("odd")),
            ("odd bad", refused()),
            ("bad", refused()),
            ("example.org", reported("example.org")),
            ("odd example.org", reported("odd")),
            ("odd example.org/bad", refused()),
            ("http://www.example.org/bad/x", refused()),
        ];
        for (text, expected) in table {
            assert_eq!(filters.judge(text), expected, "{text}");
        }
        assert_eq!(Filters::default().judge("bad"), Judgement::Pass);
    }

    #[test]
    fn a_rule_can_match_and_has_a_length() {
        let refuse = FilterAction::Refuse;
        assert_eq!(rule(FilterKind::Word, "  ", refuse), Err(Fault::TextEmpty));
        assert_eq!(rule(FilterKind::Word, "!?", refuse), Err(Fault::BadRequest));
        assert_eq!(rule(FilterKind::Link, "two words", refuse), Err(Fault::BadRequest));
        assert_eq!(rule(FilterKind::Word, &"x".repeat(FilterRule::MAX_CHARS + 1), refuse), Err(Fault::TextTooLong));
        assert_eq!(rule(FilterKind::Word, " spam ", refuse).unwrap().pattern, "spam");
    }

    #[test]
    fn thousands_of_filters_are_one_automaton() {
        let patterns: Vec<String> = (0..5_000).map(|number| format!("word{number} and its long companion {number}")).collect();
        let rules: Vec<_> = patterns.iter().map(|pattern| (FilterKind::Word, pattern.as_str(), FilterAction::Refuse)).collect();
        let filters = set(&rules);
        assert_eq!(filters.judge("say word4999 and its long companion 4999 now"), Judgement::Refuse(Fault::Filtered));
        assert_eq!(filters.judge("say word4999 and its long companion 4998 now"), Judgement::Pass);
    }
}
