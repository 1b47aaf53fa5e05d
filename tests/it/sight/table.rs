//! The table of docs/BLOCKING.md, and what is seen otherwise than it says.

use super::cell::{self, Cell, Seen};
use super::deeds::Deed;
use super::paths::Path;
use crate::support::server::Server;
use futures_util::future::join_all;
use std::collections::BTreeMap;

const DOCUMENT: &str = include_str!("../../../docs/BLOCKING.md");

/// The rows of the document's table by their first cell, each with what is expected of each column.
pub fn table() -> BTreeMap<&'static str, BTreeMap<&'static str, &'static str>> {
    let cells = |line: &'static str| -> Vec<&'static str> {
        line.trim().trim_matches('|').split('|').map(|cell| cell.trim().trim_matches('`')).collect()
    };
    let lines = DOCUMENT.lines().skip_while(|line| !line.contains("<!-- table: sight -->")).skip(1);
    let mut lines = lines.skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|')).map(cells);
    let head = lines.next().expect("a head");
    let row = |row: Vec<&'static str>| {
        assert_eq!(row.len(), head.len(), "{row:?}");
        (row[0], head.iter().copied().zip(row).skip(1).collect())
    };
    // Behind the line that only draws.
    lines.skip(1).map(row).collect()
}

/// Plays the cells of a row under these deeds; what is otherwise than the document says.
pub async fn wrong(path: Path, text: &str, deeds: &[Deed]) -> Vec<String> {
    let expected = table().remove(text).unwrap_or_else(|| panic!("docs/BLOCKING.md has no row {text}"));
    let server = Server::start_with(cell::SETTINGS).await;
    let seen = join_all(deeds.iter().enumerate().map(async |(number, deed)| {
        let mut cell = Box::pin(Cell::set(&server, number, path != Path::FirstDirect)).await;
        Box::pin(path.prepare(&mut cell)).await;
        Box::pin(deed.prepare(&cell)).await;
        (deed, path.play(&cell, *deed).await)
    }));
    let mut wrong = Vec::new();
    for (deed, Seen { live, resumed, rest }) in seen.await {
        let expected = expected[deed.text()];
        for (view, seen) in [("live", live), ("resumed", resumed), ("over REST", rest)] {
            if seen != expected {
                wrong.push(format!("{}, {view}: the document says {expected}, seen is {seen}", deed.text()));
            }
        }
    }
    wrong
}
