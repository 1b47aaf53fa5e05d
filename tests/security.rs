//! `docs/SECURITY.md` claims nothing that it cannot point to: every place and every test it names is there.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "in a test a missing thing is a failure")]

use std::fs;
use std::path::Path;

#[test]
fn every_place_and_test_named_in_the_security_document_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let document = fs::read_to_string(root.join("docs/SECURITY.md")).unwrap();
    let quoted = document.split('`').skip(1).step_by(2);
    let places = quoted.filter(|text| ["src/", "tests/", "scripts/"].iter().any(|folder| text.starts_with(folder)));
    let (mut tests, mut missing) = (0, Vec::new());
    for place in places {
        let (file, test) = place.split_once("::").map_or((place, None), |(file, test)| (file, Some(test)));
        let found = fs::read_to_string(root.join(file)).is_ok_and(|text| match test {
            None => true,
            Some(test) => text.contains(&format!("fn {test}(")),
        });
        tests += usize::from(test.is_some());
        if !found {
            missing.push(place);
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
    assert!(tests > 30, "{tests} tests are named");
}

#[test]
fn every_line_of_its_tables_names_what_shows_it() {
    let document = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/SECURITY.md")).unwrap();
    let rows = document.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| |"));
    for row in rows {
        let shown = row.trim_matches('|').rsplit('|').next().unwrap().trim();
        assert!(shown.contains("::") || shown == "the compiler", "{row}");
    }
}
