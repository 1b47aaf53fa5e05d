//! Who may know whom: the level table of the house, executed. A module uses only modules of lower levels, never one of its own.
//!
//! Every `crate::…` and `super::…` path in `src/` is read, also inside functions and tests. Comments, strings and characters are
//! skipped by a small lexer, so that prose about a module is no use of it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Module and level: the table of docs/ARCHITECTURE.md. It names the modules of `src/lib.rs` and no others; one that is still to come gets
/// its row with its first file.
const LEVELS: &[(&str, u8)] = &[
    ("domain", 0),
    ("faults", 0),
    ("protocol", 1),
    ("config", 1),
    ("folder", 1),
    ("telemetry", 1),
    ("supervision", 1),
    ("policy", 1),
    ("store", 2),
    ("auth", 2),
    ("persistence", 3),
    ("delivery", 3),
    ("presence", 4),
    ("accounts", 4),
    ("reading", 4),
    ("moderation", 4),
    ("notify", 4),
    ("room", 5),
    ("session", 6),
    ("http", 7),
    ("app", 8),
    ("cli", 9),
];

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Mark(char),
}

/// The words and marks of Rust source with their lines; comments and literals are left out.
fn tokens(source: &str) -> Vec<(usize, Token)> {
    let chars: Vec<char> = source.chars().collect();
    let at = |i: usize| chars.get(i).copied().unwrap_or('\0');
    let (mut found, mut i, mut line) = (Vec::new(), 0, 1);
    while i < chars.len() {
        let begin = i;
        match at(i) {
            '/' if at(i + 1) == '/' => {
                while i < chars.len() && at(i) != '\n' {
                    i += 1;
                }
            }
            '/' if at(i + 1) == '*' => i = end_of_block_comment(&chars, i),
            '"' => i = end_of_string(&chars, i),
            '\'' => i = end_of_character(&chars, i),
            c if c.is_alphabetic() || c == '_' => {
                while at(i).is_alphanumeric() || at(i) == '_' {
                    i += 1;
                }
                let word: String = chars[begin..i].iter().collect();
                match (word.as_str(), at(i)) {
                    ("r" | "br" | "cr", '"') => i = end_of_raw_string(&chars, i),
                    ("r" | "br" | "cr", '#') if raw_string_follows(&chars, i) => i = end_of_raw_string(&chars, i),
                    ("b" | "c", '"') => i = end_of_string(&chars, i),
                    ("b", '\'') => i = end_of_character(&chars, i),
                    _ => found.push((line, Token::Word(word))),
                }
            }
            c => {
                if !c.is_whitespace() {
                    found.push((line, Token::Mark(c)));
                }
                i += 1;
            }
        }
        line += chars[begin..i.min(chars.len())].iter().filter(|c| **c == '\n').count();
    }
    found
}

fn end_of_block_comment(chars: &[char], mut i: usize) -> usize {
    let mut depth = 0;
    while i < chars.len() {
        match (chars[i], chars.get(i + 1)) {
            ('/', Some('*')) => (depth, i) = (depth + 1, i + 2),
            ('*', Some('/')) => (depth, i) = (depth - 1, i + 2),
            _ => i += 1,
        }
        if depth == 0 {
            break;
        }
    }
    i
}

fn end_of_string(chars: &[char], begin: usize) -> usize {
    let mut i = begin + 1;
    while i < chars.len() && chars[i] != '"' {
        i += if chars[i] == '\\' { 2 } else { 1 };
    }
    i + 1
}

fn raw_string_follows(chars: &[char], hashes: usize) -> bool {
    chars[hashes..].iter().find(|c| **c != '#') == Some(&'"')
}

fn end_of_raw_string(chars: &[char], begin: usize) -> usize {
    let hashes = chars[begin..].iter().take_while(|c| **c == '#').count();
    let mut i = begin + hashes + 1;
    while i < chars.len() {
        if chars[i] == '"' && chars[i + 1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes {
            return i + 1 + hashes;
        }
        i += 1;
    }
    i
}

/// A quote begins a character, `'x'` or `'\n'`, or else a lifetime, of which only the quote is skipped.
fn end_of_character(chars: &[char], begin: usize) -> usize {
    if chars.get(begin + 1) == Some(&'\\') {
        let rest = chars.get(begin + 3..).unwrap_or_default();
        return begin + 4 + rest.iter().take_while(|c| **c != '\'').count();
    }
    if chars.get(begin + 2) == Some(&'\'') { begin + 3 } else { begin + 1 }
}

/// Modules right below the crate root that `source`, whose module path is `own`, uses; with lines.
fn used_modules(source: &str, own: &[String]) -> Vec<(usize, String)> {
    let tokens = tokens(source);
    let word = |i: usize| match tokens.get(i) {
        Some((_, Token::Word(word))) => Some(word.as_str()),
        _ => None,
    };
    let mark = |i: usize, c: char| matches!(tokens.get(i), Some((_, Token::Mark(found))) if *found == c);
    let (mut used, mut braces, mut inline) = (Vec::new(), 0, Vec::new());
    let mut i = 0;
    while i < tokens.len() {
        if mark(i, '{') {
            braces += 1;
        } else if mark(i, '}') {
            braces -= 1;
            inline.retain(|depth| *depth <= braces);
        } else if word(i) == Some("mod") && word(i + 1).is_some() && mark(i + 2, '{') {
            inline.push(braces + 1);
        } else if word(i) == Some("crate") || word(i) == Some("super") && !mark(i.wrapping_sub(1), ':') {
            let mut depth = own.len() + inline.len();
            let mut next = i;
            while word(next) == Some("super") && mark(next + 1, ':') && mark(next + 2, ':') {
                (depth, next) = (depth.saturating_sub(1), next + 3);
            }
            if word(next) == Some("crate") && mark(next + 1, ':') && mark(next + 2, ':') {
                (depth, next) = (0, next + 3);
            }
            if depth == 0 && next > i {
                used.extend(first_words(&tokens[next..]));
            }
        }
        i += 1;
    }
    used
}

/// The words that a path or a group in braces begins with. A macro (`name!`) lives at the root by itself and is none.
fn first_words(tokens: &[(usize, Token)]) -> Vec<(usize, String)> {
    let mut words = Vec::new();
    let (mut depth, mut begins) = (0, true);
    for (i, (line, token)) in tokens.iter().enumerate() {
        match token {
            Token::Word(word) if begins => {
                if !matches!(tokens.get(i + 1), Some((_, Token::Mark('!')))) {
                    words.push((*line, word.clone()));
                }
                begins = false;
            }
            Token::Mark('*') if begins => words.push((*line, "*".to_owned())),
            Token::Mark('{') => depth += 1,
            Token::Mark('}') => depth -= 1,
            Token::Mark(',') => begins = depth == 1,
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    words
}

fn level(module: &str) -> Option<u8> {
    LEVELS.iter().find(|(name, _)| *name == module).map(|(_, level)| *level)
}

/// What is wrong with the uses in one file.
fn breaches(file: &str, source: &str, own: &[String]) -> Vec<String> {
    let Some(module) = own.first() else { return Vec::new() };
    let own_level = level(module).unwrap_or_else(|| panic!("{module} is missing in LEVELS"));
    let mut found = Vec::new();
    for (line, used) in used_modules(source, own) {
        let complaint = match level(&used) {
            _ if used == *module => continue,
            None => "which is no module of the house".to_owned(),
            Some(level) if level > own_level => format!("of level {level}, which lies above"),
            Some(level) if level == own_level => "of its own level".to_owned(),
            Some(_) => continue,
        };
        found.push(format!("{file}:{line}: {module} (level {own_level}) uses {used} {complaint}"));
    }
    found
}

/// `src/room/state/tail.rs` is `room::state::tail`, `src/room/mod.rs` is `room`, `src/lib.rs` the root.
fn module_path(relative: &Path) -> Vec<String> {
    let mut path: Vec<String> =
        relative.with_extension("").components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect();
    if path.last().is_some_and(|last| last == "mod" || path.len() == 1 && (last == "lib" || last == "main")) {
        path.pop();
    }
    path
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

#[test]
fn modules_use_only_lower_levels() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = rust_files(&src);
    assert!(files.len() > 10, "the sources were not found");
    let mut found = Vec::new();
    for file in files {
        let relative = file.strip_prefix(&src).unwrap();
        let source = fs::read_to_string(&file).unwrap();
        found.extend(breaches(&format!("src/{}", relative.display()), &source, &module_path(relative)));
    }
    assert!(found.is_empty(), "{} forbidden uses:\n{}", found.len(), found.join("\n"));
}

fn text_of(file: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap()
}

#[test]
fn every_module_has_a_level_and_every_level_its_modules() {
    let tokens = tokens(&text_of("src/lib.rs"));
    let modules: BTreeSet<_> = tokens
        .windows(2)
        .filter_map(|pair| match pair {
            [(_, Token::Word(word)), (_, Token::Word(name))] if word == "mod" => Some(name.as_str()),
            _ => None,
        })
        .collect();
    let in_table: BTreeSet<_> = LEVELS.iter().map(|(name, _)| *name).collect();
    assert_eq!(modules, in_table, "the modules of src/lib.rs, and those of LEVELS");
}

/// The rows of the house in docs/ARCHITECTURE.md: `| 1 | `config`, `telemetry` | …`.
#[test]
fn the_table_of_the_architecture_is_this_one() {
    let document = text_of("docs/ARCHITECTURE.md");
    let house = document.split_once("\n## The house\n").unwrap().1.split_once("\n### ").unwrap().0;
    let mut told = BTreeSet::new();
    for row in house.lines().filter_map(|line| line.strip_prefix("| ")) {
        let cells: Vec<_> = row.split(" | ").collect();
        if let Ok(level) = cells[0].parse::<u8>() {
            told.extend(cells[1].split('`').skip(1).step_by(2).map(|module| (module, level)));
        }
    }
    let executed: BTreeSet<_> = LEVELS.iter().copied().collect();
    assert_eq!(told, executed);
}

fn in_room(source: &str) -> Vec<String> {
    breaches("f", source, &["room".to_owned(), "actor".to_owned()])
}

#[test]
fn uses_upwards_and_sideways_are_found_with_their_line() {
    assert_eq!(
        in_room("use std::fmt;\nuse crate::session::Session;\n"),
        ["f:2: room (level 5) uses session of level 6, which lies above"]
    );
    assert_eq!(
        breaches("f", "fn f(x: crate::auth::Key) {}", &["store".to_owned()]),
        ["f:1: store (level 2) uses auth of its own level"]
    );
    assert_eq!(in_room("use crate::Config;"), ["f:1: room (level 5) uses Config which is no module of the house"]);
    assert_eq!(in_room("use crate::*;").len(), 1);
}

#[test]
fn groups_are_taken_apart() {
    let source = "use crate::{\n    domain::{ids::RoomId, http},\n    http::{self, room},\n    room::tail,\n    session,\n};\n";
    let lines: Vec<_> = used_modules(source, &["room".to_owned()]);
    let expected = [(2, "domain"), (3, "http"), (4, "room"), (5, "session")].map(|(line, name)| (line, name.to_owned()));
    assert_eq!(lines, expected);
    assert_eq!(in_room(source).len(), 2);
}

#[test]
fn super_that_reaches_the_root_is_a_use() {
    assert_eq!(in_room("use super::super::http::Route;").len(), 1);
    assert!(in_room("use super::http;").is_empty(), "room::http is its own");
    assert!(in_room("mod tests { use super::super::http; }").is_empty(), "room::http, seen from room::actor::tests");
    assert_eq!(in_room("mod tests { fn f() {} }\nuse super::super::http;").len(), 1, "the inline module has ended");
    assert_eq!(in_room("mod tests { use super::super::super::http; }").len(), 1);
}

#[test]
fn own_lower_and_macro_uses_pass() {
    assert!(
        in_room("use crate::{domain::ids, room::tail, store};\nfn f() { crate::macro_at_root!(); } pub(crate) fn g() {}")
            .is_empty()
    );
}

#[test]
fn comments_strings_and_characters_are_no_uses() {
    for source in [
        "// use crate::http::x;\n",
        "/// see [`crate::http`]\n//! crate::http\n",
        "/* /* crate::http */ crate::http */",
        "const A: &str = \"\\\" crate::http::x\";",
        "const A: &str = r#\"a\" crate::http::x\"#;",
        "const A: &[u8] = b\"crate::http\"; const B: &[u8] = br\"\\\";",
    ] {
        assert!(in_room(source).is_empty(), "{source}");
    }
    for source in [
        "const Q: char = '\"'; use crate::http;",
        "const Q: char = '\\''; use crate::http;",
        "const Q: char = '\\u{1F600}'; use crate::http;",
        "const Q: u8 = b'\"'; use crate::http;",
        "fn f<'a>(x: &'a str) {} use crate::http;",
        "const A: &str = r\"\\\"; use crate::http;",
        "let r#type = 1; use crate::http;",
        "const A: &str = \"a // b\"; use crate::http;",
    ] {
        assert_eq!(in_room(source).len(), 1, "{source}");
    }
}
