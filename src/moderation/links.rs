//! How links are found in a text: by host, whatever stands before it, and by the beginning of the path.
//!
//! Addresses are read as browsers read them (WHATWG URL): escapes, other dots, international names and numbers in odd notation are one
//! host. What is no address to a browser is none here.
//!
//! Must not know: what follows a match.

use url::Url;

/// A host, as browsers write it, and a path without escapes that does not end with a slash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) host: String,
    pub(super) path: String,
}

impl Place {
    /// The hosts whose filters concern this one: itself and what it lies below.
    pub(super) fn hosts(&self) -> impl Iterator<Item = &str> {
        let below = self.host.match_indices('.').filter_map(|(at, _)| self.host.get(at + 1..));
        std::iter::once(self.host.as_str()).chain(below)
    }

    /// Whether the path lies at or below this one.
    pub(super) fn is_below(&self, path: &str) -> bool {
        self.path.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

/// The place a pattern names: a host, with or without a scheme and a path; `None` if it names none.
pub(super) fn pattern(text: &str) -> Option<Place> {
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    let rest = rest.strip_prefix("*.").unwrap_or(rest);
    if rest.contains(char::is_whitespace) { None } else { place(rest) }
}

/// The places that a text links to. Words with a dot in them are links too: clients show them so.
pub(super) fn places(text: &str) -> Vec<Place> {
    let ends = |c: char| c.is_whitespace() || "<>\"'()[]{}|`*".contains(c);
    let mut places = Vec::new();
    for piece in text.split(ends) {
        let mut parts = piece.split("://");
        let bare = parts.next().unwrap_or_default();
        if bare.contains(DOTS) {
            places.extend(place(bare));
            // What stands before or behind it, as in `see:example.org,thanks`.
            places.extend(bare.split([':', ',', ';', '=']).filter(|part| part.contains(DOTS) && *part != bare).filter_map(place));
        }
        places.extend(parts.filter_map(place));
    }
    places
}

/// A dot, and what a browser takes for one in a host.
const DOTS: [char; 4] = ['.', '\u{3002}', '\u{FF0E}', '\u{FF61}'];

fn place(text: &str) -> Option<Place> {
    let text = text.trim_start_matches(['/', '\\']).trim_matches(|c| ".,;:!?_~".contains(c));
    let url = Url::parse(&format!("http://{text}")).ok()?;
    let host = url.host_str()?.trim_end_matches('.').to_owned();
    let path = without_escapes(url.path());
    Some(Place { host, path: path.trim_end_matches('/').to_owned() }).filter(|place| !place.host.is_empty())
}

/// `%41` is an `A`.
fn without_escapes(path: &str) -> String {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        match after {
            [high, low, behind @ ..] if *first == b'%' => match (digit(high), digit(low)) {
                (Some(high), Some(low)) => {
                    bytes.push(high << 4 | low);
                    rest = behind;
                }
                _ => bytes.push(*first),
            },
            _ => bytes.push(*first),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_match_as_the_table_says() {
        let table = [
            ("example.org", "see https://example.org/x?y", true),
            ("example.org", "EXAMPLE.ORG", true),
            ("example.org", "https://www.example.org.", true),
            ("https://example.org/", "ftp://a.b.example.org", true),
            ("*.example.org", "//example.org", true),
            ("example.org", "http://example.org.evil.net", false),
            ("example.org", "http://notexample.org", false),
            ("example.org", "http://evil.net/example.org", false),
            ("example.org", "[here](http://example.org)", true),
            ("example.org", "**example.org**, really", true),
            ("example.org", "see:example.org,thanks", true),
            ("example.org", "http://good.net/?to=http://example.org", true),
            ("example.org", "https://user:secret@example.org:8443/", true),
            ("example.org", "http://ex%61mple.org", true),
            ("example.org", "http://example\u{3002}org", true),
            ("example.org", "http://exa\u{200B}mple.org", true),
            ("bücher.example", "http://xn--bcher-kva.example", true),
            ("xn--bcher-kva.example", "BÜCHER.example", true),
            ("192.0.2.1", "http://0xC0.0.2.1/", true),
            ("example.org", "an example. organised", false),
            // Paths.
            ("example.org/bad", "example.org/bad", true),
            ("example.org/bad", "http://example.org/bad/thing", true),
            ("example.org/bad/", "http://example.org/%62ad?x", true),
            ("example.org/bad", "http://example.org/badly", false),
            ("example.org/bad", "http://example.org/good/../bad", true),
            ("example.org/bad", "http://example.org", false),
        ];
        for (filter, text, expected) in table {
            let wanted = pattern(filter).unwrap();
            let found = places(text);
            let matches = found.iter().any(|place| place.hosts().any(|host| host == wanted.host) && place.is_below(&wanted.path));
            assert_eq!(matches, expected, "{filter:?} in {text:?}: {wanted:?} in {found:?}");
        }
        for nothing in ["", "://", "two words.org", "a b"] {
            assert_eq!(pattern(nothing), None, "{nothing:?}");
        }
    }
}
