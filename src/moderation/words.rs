//! How words are found in a text: whole words, whatever their case, accents and look-alike letters.
//!
//! A text becomes a row of folded words with one space before, between and after them; so does a pattern, and then it is looked for as it stands.
//! Scripts written without spaces have no whole words: a pattern that begins or ends with one of their letters may stand inside a run of them.
//!
//! Must not know: what follows a match.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::domain::text::{fold, is_unseen};

/// What a character is to the words around it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sort {
    /// Between words.
    Gap,
    /// Part of a word that ends where others begin.
    Bounded,
    /// Part of a run in which nothing shows where a word ends.
    Unbounded,
}

/// The words of a text, folded, with a space at either end and between them.
pub(super) fn folded(text: &str) -> String {
    let mut words = String::from(" ");
    let mut word = String::new();
    let mut last = Sort::Gap;
    for c in plain(text).chars() {
        let next = sort(c, last);
        if next != last {
            end_word(&mut words, &mut word);
            last = next;
        }
        if next != Sort::Gap {
            word.push(c);
        }
    }
    end_word(&mut words, &mut word);
    words
}

fn end_word(words: &mut String, word: &mut String) {
    if !word.is_empty() {
        // Folding may bring accents again: the look-alike of `ø` is an `o` with a stroke.
        words.extend(fold(word).nfd().filter(|c| !is_accent(*c)).nfc());
        words.push(' ');
        word.clear();
    }
}

/// What is looked for in [`folded`] texts; `None` if the pattern has no word in it.
pub(super) fn needle(pattern: &str) -> Option<String> {
    let plain = plain(pattern);
    let sorts = || plain.chars().map(|c| sort(c, Sort::Gap)).filter(|sort| *sort != Sort::Gap);
    let (first, last) = (sorts().next()?, sorts().next_back()?);
    let words = folded(pattern);
    let words = if first == Sort::Unbounded { words.trim_start() } else { &words };
    let words = if last == Sort::Unbounded { words.trim_end() } else { words };
    Some(words.to_owned()).filter(|words| !words.trim().is_empty())
}

/// Without what is not seen, without other ways of writing the same letter, without accents.
fn plain(text: &str) -> String {
    let kept: String = text.nfkd().filter(|c| !is_accent(*c) && !is_unseen(*c)).collect();
    kept.nfc().collect()
}

fn sort(c: char, last: Sort) -> Sort {
    if is_combining_mark(c) && last != Sort::Gap {
        return last;
    }
    match c {
        _ if !c.is_alphanumeric() => Sort::Gap,
        // Thai, Lao; Myanmar; Khmer.
        '\u{E00}'..='\u{EFF}' | '\u{1000}'..='\u{109F}' | '\u{1780}'..='\u{17FF}' => Sort::Unbounded,
        // Han radicals and iteration marks; kana; bopomofo.
        '\u{2E80}'..='\u{2FDF}' | '\u{3005}'..='\u{3007}' | '\u{3021}'..='\u{312F}' | '\u{31A0}'..='\u{31FF}' => Sort::Unbounded,
        // Han.
        '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{3FFFF}' => {
            Sort::Unbounded
        }
        _ => Sort::Bounded,
    }
}

/// Marks that stand on letters of many scripts. Those of a script of its own are part of its letters: without them they would be others.
const fn is_accent(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36F}' | '\u{1AB0}'..='\u{1AFF}' | '\u{1DC0}'..='\u{1DFF}' | '\u{20D0}'..='\u{20FF}' | '\u{FE20}'..='\u{FE2F}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_the_table_says() {
        let table = [
            // Whole words, whatever their case and what stands between them.
            ("spam", "no SPAM here", true),
            ("spam", "(spam)", true),
            ("spam", "*spam*_", true),
            ("spam", "spammer", false),
            ("spam", "antispam", false),
            ("buy now", "Buy,  NOW!", true),
            ("buy now", "buy it now", false),
            // Accents, other ways of writing a letter, letters that look alike, characters that are not seen.
            ("uber", "Über", true),
            ("über", "UBER", true),
            ("naive", "nai\u{308}ve", true),
            ("strasse", "Straße", true),
            ("spam", "ｓｐａｍ", true),
            ("spam", "𝐬𝐩𝐚𝐦", true),
            ("spam", "sp\u{430}m", true),
            ("spam", "s\u{200B}p\u{AD}am", true),
            ("kobenhavn", "København", true),
            ("лес", "ЛЕС", true),
            ("лес", "лесной", false),
            // Scripts without spaces.
            ("漢字", "これは漢字です", true),
            ("漢字", "漢 字", false),
            ("カタ", "カタカナ", true),
            ("が", "か", false),
            ("A型", "血液型はA型です", true),
            ("ไทย", "ภาษาไทยง่าย", true),
            // A script with spaces between words.
            ("한국", "한국", true),
            ("한국", "한국어", false),
        ];
        for (pattern, text, expected) in table {
            let found = folded(text).contains(&needle(pattern).unwrap());
            assert_eq!(found, expected, "{pattern:?} in {text:?}: {:?} in {:?}", needle(pattern), folded(text));
        }
        for nothing in ["", " ", "...", "\u{301}", "\u{200B}"] {
            assert_eq!(needle(nothing), None, "{nothing:?}");
        }
    }
}
