//! What docs/ARCHITECTURE.md says of fault points and of the tests that use them, and docs/PROTOCOL.md of repeats and of lengths, held to
//! the code; and the settings that scripts, drills and documents give to a server, held to those there are.

use hubbub::config::Sources;
use hubbub::domain::filter::FilterRule;
use hubbub::domain::member::Member;
use hubbub::domain::preference::Keyword;
use hubbub::domain::profile::{About, Status};
use hubbub::domain::report::ReportText;
use hubbub::domain::room::SlowMode;
use hubbub::domain::text::{DeviceName, DisplayName, NamePrefix, Reason, RoomName, StatusText, Topic, UserName};
use hubbub::http::routes;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const PROTOCOL: &str = include_str!("../../docs/PROTOCOL.md");
const DOCUMENT: &str = include_str!("../../docs/ARCHITECTURE.md");

fn sources(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
}

/// Everything in these folders, in one text.
fn text_of(folders: &[&str]) -> String {
    let mut files = Vec::new();
    folders.iter().for_each(|folder| sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut files));
    files.iter().map(|file| fs::read_to_string(file).expect("a source file")).collect()
}

fn in_code() -> BTreeSet<String> {
    let text = text_of(&["src"]);
    let calls = ["faults::hit(\"", "faults::panic_point(\"", "faults::block_point(\""];
    let names = calls.iter().flat_map(|call| text.split(call).skip(1)).filter_map(|rest| rest.split('"').next());
    // The example in the module's own head aside, which names one that is there.
    names.map(str::to_owned).collect()
}

/// Words in backticks in the rows of tables.
fn words() -> BTreeSet<String> {
    let rows = DOCUMENT.lines().filter(|line| line.starts_with("| "));
    rows.flat_map(|row| row.split('`').skip(1).step_by(2)).map(str::to_owned).collect()
}

#[test]
fn every_fault_point_stands_in_the_architecture_and_the_other_way_round() {
    let (code, words) = (in_code(), words());
    let untold: Vec<_> = code.difference(&words).collect();
    assert!(untold.is_empty(), "not in docs/ARCHITECTURE.md: {untold:?}");
    let areas: BTreeSet<_> = code.iter().filter_map(|name| name.split('.').next()).collect();
    let looks_like_one = |word: &&String| {
        let Some((area, rest)) = word.split_once('.') else { return false };
        areas.contains(area) && rest != "rs" && rest.chars().all(|c| c.is_ascii_lowercase() || c == '_')
    };
    let gone: Vec<_> = words.iter().filter(looks_like_one).filter(|word| !code.contains(*word)).collect();
    // Settings are named `section.key` as well.
    let settings = include_str!("../../src/config/default.toml");
    let gone: Vec<_> =
        gone.into_iter().filter(|word| !settings.contains(word.split_once('.').map_or("", |(_, key)| key))).collect();
    assert!(gone.is_empty(), "no fault points any more: {gone:?}");
}

#[test]
fn every_test_that_the_architecture_names_is_there() {
    let text = text_of(&["src", "tests"]);
    let is_a_test = |word: &str| word.matches('_').count() >= 4 && word.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    let words = words();
    let named: Vec<&str> =
        words.iter().map(|word| word.rsplit("::").next().unwrap_or(word)).filter(|word| is_a_test(word)).collect();
    assert!(named.len() > 10, "{named:?}");
    let missing: Vec<_> = named.into_iter().filter(|name| !text.contains(&format!("fn {name}("))).collect();
    assert!(missing.is_empty(), "docs/ARCHITECTURE.md names tests that are not there: {missing:?}");
}

/// Settings as arguments give them: `section.key=value`, in files that start servers or show how.
fn given(text: &str) -> BTreeSet<String> {
    let ends = |c: char| c.is_whitespace() || "\"'`,".contains(c);
    let assignments = text.split(ends).filter_map(|word| word.split_once('='));
    // `section.key` stands for any.
    let is_key = |key: &&str| {
        key.contains('.') && *key != "section.key" && key.chars().all(|c| c.is_ascii_lowercase() || c == '_' || c == '.')
    };
    assignments.map(|(key, _)| key).filter(is_key).map(str::to_owned).collect()
}

#[test]
fn every_setting_that_scripts_drills_and_documents_give_is_one() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |file: &str| fs::read_to_string(root.join(file)).expect("a file");
    let drills = given(&read("load-tests/src/drill/settings.rs"));
    assert!(drills.len() > 10, "{drills:?}");
    let mut keys = drills;
    for file in
        ["README.md", "load-tests/README.md", "docs/OPERATIONS.md", "docs/PERFORMANCE.md", "docs/DRILLS.md", "scripts/run"]
    {
        keys.extend(given(&read(file)));
    }
    let measure = read("scripts/measure_processes.py");
    let rates = measure.split("RATES = (").nth(1).and_then(|rest| rest.split(')').next()).expect("the rates that are off");
    keys.extend(rates.split('"').skip(1).step_by(2).map(|rate| format!("rates.{rate}")));
    let unknown: Vec<_> = keys
        .into_iter()
        .filter_map(|key| {
            let sources = Sources { set: vec![format!("{key}=of no kind that any setting has")], ..Sources::default() };
            sources.load().err().map(|error| error.to_string()).filter(|error| error.contains("no such setting"))
        })
        .collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

/// Words in backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[test]
fn every_command_that_does_something_has_its_row_in_the_table_of_repeats() {
    let table = PROTOCOL.split_once("<!-- repeats -->").expect("the table").1;
    let rows: Vec<Vec<&str>> =
        table.lines().skip(3).filter(|line| line.starts_with("| ")).map(|line| line.split('|').collect()).collect();
    let listed: Vec<&str> = rows.iter().flat_map(|row| quoted(row[1])).collect();
    let does = routes::TABLE.iter().filter(|(method, path)| !["get", "head"].contains(method) && *path != "/api/v1/admin/faults");
    let routes = does.map(|(method, path)| format!("{} {}", method.to_uppercase(), path.trim_start_matches("/api/v1")));
    let section = PROTOCOL.split_once("## 3. Commands").expect("§3").1.split_once("## 4.").expect("§4").0;
    let commands = section.lines().filter(|line| line.starts_with("### ")).flat_map(quoted).map(str::to_owned);
    let expected: BTreeSet<String> = routes.chain(commands).collect();
    assert!(expected.contains("ping") && expected.len() > 30, "{expected:?}");
    assert_eq!(listed.iter().map(|row| (*row).to_owned()).collect::<BTreeSet<_>>(), expected);
    assert_eq!(listed.len(), expected.len(), "each once");
    let text = text_of(&["tests"]);
    let missing: Vec<_> =
        rows.iter().flat_map(|row| quoted(row[3])).filter(|name| !text.contains(&format!("async fn {name}("))).collect();
    assert!(rows.iter().all(|row| quoted(row[3]).count() == 1) && missing.is_empty(), "{missing:?}");
}

#[test]
fn the_lengths_that_the_protocol_fixes_are_those_of_the_code() {
    let (_, table) = PROTOCOL.split_once("<!-- fixed limits -->").expect("the table");
    let told = |what: &str| -> Option<usize> {
        let row = table.lines().find_map(|line| line.strip_prefix(&format!("| {what} | ")))?;
        row.split(' ').next()?.parse().ok()
    };
    let of_code = [
        ("a user name", UserName::MAX_CHARS),
        ("a display name", DisplayName::MAX_CHARS),
        ("a room's name", RoomName::MAX_CHARS),
        ("a topic", Topic::MAX_CHARS),
        ("a reason", Reason::MAX_CHARS),
        ("a device's name", DeviceName::MAX_CHARS),
        ("a silence", Member::SILENCE_DAYS_MAX),
        ("slow mode", SlowMode::MAX_S),
        ("what somebody says about themselves", About::MAX_CHARS),
        ("the text of a status", StatusText::MAX_CHARS),
        ("the end of a status", Status::DAYS_MAX),
        ("`prefix` of `GET /users` and `people`", NamePrefix::MAX_CHARS),
        ("`q` of `GET /rooms`", RoomName::MAX_CHARS),
        ("the text of a report, or the note of who handles it", ReportText::MAX_CHARS),
        ("the pattern of a filter", FilterRule::MAX_CHARS),
        ("a keyword", Keyword::MAX_WORDS),
    ];
    for (what, longest) in of_code {
        assert_eq!(told(what), Some(longest), "{what}");
    }
}

#[test]
fn every_metric_of_the_table_is_recorded_and_every_recorded_one_is_in_the_table() {
    let mut files = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
    let table =
        fs::read_to_string(files.iter().find(|file| file.ends_with("telemetry/metrics.rs")).expect("the table")).expect("text");
    let others = files.iter().filter(|file| !file.ends_with("telemetry/metrics.rs"));
    // Without the tests at the end of a file.
    let text = |file: &PathBuf| fs::read_to_string(file).expect("text").split("#[cfg(test)]").next().map(str::to_owned);
    let code: String = others.filter_map(text).collect();
    let rows: Vec<(&str, &str)> = table
        .lines()
        .filter_map(|line| {
            let (constant, rest) = line.trim().split_once(" \"hubbub_")?;
            Some((constant, rest.split('"').next()?)).filter(|_| constant.chars().all(|c| c.is_ascii_uppercase() || c == '_'))
        })
        .collect();
    assert!(rows.len() > 30, "{rows:?}");
    let is_used = |constant: &str, name: &str| {
        let used = format!("names::{constant}");
        let ends = |rest: &str| !rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
        code.split(&used).skip(1).any(ends)
            || code.split(&format!("metrics::{constant}")).skip(1).any(ends)
            || code.contains(&format!("\"hubbub_{name}\""))
    };
    // Set where the recorder is installed.
    let unrecorded: Vec<_> = rows.iter().filter(|(constant, name)| *constant != "BUILD" && !is_used(constant, name)).collect();
    assert!(unrecorded.is_empty(), "never recorded: {unrecorded:?}");
    let macros = ["counter!(\"", "gauge!(\"", "histogram!(\""];
    let literals = macros.iter().flat_map(|call| code.split(call).skip(1)).filter_map(|rest| rest.split('"').next());
    let untold: Vec<_> = literals.filter(|name| !rows.iter().any(|(_, row)| name.strip_prefix("hubbub_") == Some(row))).collect();
    assert!(untold.is_empty(), "recorded and not in the table: {untold:?}");
}
