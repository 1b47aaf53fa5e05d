//! What a message's text says besides its words: whom it mentions.
//!
//! Texts are CommonMark, of which docs/PROTOCOL.md §11 names the part that clients show. They are kept as typed; here they are only
//! read, so that what stands in code mentions nobody.

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd, TextMergeStream};

use super::text::{UserName, in_names};

/// Mentions everybody in the room.
pub const ROOM: &str = "room";
/// Mentions everybody in the room who is online.
pub const ONLINE: &str = "online";

/// The names after an `@` outside code, each once, in their order, at most `max` of them. Whether somebody is called so is not asked.
#[must_use]
pub fn names(text: &str, max: usize) -> Vec<UserName> {
    let mut names: Vec<UserName> = Vec::new();
    if !text.contains('@') {
        return names;
    }
    for words in plain_texts(text) {
        for name in names_in(&words) {
            if names.len() < max && !names.contains(&name) {
                names.push(name);
            }
        }
    }
    names
}

const OPTIONS: Options = Options::ENABLE_STRIKETHROUGH;

/// The text outside code, piece by piece.
fn plain_texts(text: &str) -> Vec<String> {
    let mut texts = Vec::new();
    let mut in_code = false;
    for event in TextMergeStream::new(Parser::new_ext(text, OPTIONS)) {
        match event {
            Event::Start(Tag::CodeBlock(_)) => in_code = true,
            Event::End(TagEnd::CodeBlock) => in_code = false,
            // What looks like HTML is text: it is shown as typed.
            Event::Text(words) | Event::Html(words) | Event::InlineHtml(words) if !in_code => texts.push(words.into_string()),
            _ => {}
        }
    }
    texts
}

fn names_in(words: &str) -> impl Iterator<Item = UserName> {
    words.match_indices('@').filter_map(|(at, _)| {
        // An address such as ann@example.org mentions nobody.
        let before = words.get(..at)?.chars().next_back();
        if before.is_some_and(|c| c.is_ascii_alphanumeric() || matches!(c, '@' | '.' | '-' | '_')) {
            return None;
        }
        let rest = words.get(at + 1..)?;
        let end = rest.find(|c: char| !in_names(c)).unwrap_or(rest.len());
        // A dot at the end is the sentence's.
        let name = rest.get(..end)?.trim_end_matches(['.', '-', '_']);
        UserName::parse_any(name).ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<String> {
        names(text, 10).iter().map(|name| name.as_str().to_owned()).collect()
    }

    #[test]
    fn names_after_an_at_sign_are_found_outside_code() {
        let cases: &[(&str, &[&str])] = &[
            ("@ann", &["ann"]),
            ("hello @ann, and @bob.", &["ann", "bob"]),
            ("(@ann) *@bob* **@eve**", &["ann", "bob", "eve"]),
            ("@ann_b-c.d and @ann", &["ann_b-c.d", "ann"]),
            ("@ann @ann", &["ann"]),
            ("ann@example.org", &[]),
            ("`@ann` and\n\n```\n@bob\n```", &[]),
            ("    @indented", &[]),
            ("> @quoted", &["quoted"]),
            ("[@ann](https://example.org)", &["ann"]),
            ("@room @online", &["room", "online"]),
            ("@ @. @@x @_", &[]),
            ("<b>@ann</b>", &["ann"]),
            ("@мария 你好@李雷", &["мария", "李雷"]),
            ("@हिन्दी, @ส้มโอ!", &["हिन्दी", "ส้มโอ"]),
        ];
        for (text, expected) in cases {
            assert_eq!(found(text), *expected, "{text}");
        }
    }

    #[test]
    fn no_more_names_than_wanted_are_found() {
        assert_eq!(names("@ann @bob @eve", 2).len(), 2);
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in ".*") {
            let _ = names(&text, 5);
        }
    }
}
