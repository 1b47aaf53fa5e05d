//! What somebody sees of those they block, played as `tests/it/sight` does.

#[allow(dead_code, reason = "shared with `it`")]
#[path = "../it/sight/attempt.rs"]
mod attempt;
#[allow(dead_code, reason = "shared with `it`")]
#[path = "../it/sight/cell.rs"]
mod cell;
#[allow(dead_code, reason = "shared with `it`")]
#[path = "../it/sight/deeds.rs"]
pub mod deeds;
#[allow(dead_code, reason = "shared with `it`")]
#[path = "../it/sight/paths.rs"]
pub mod paths;
#[path = "../it/sight/table.rs"]
pub mod table;
#[path = "../it/sight/unseen.rs"]
mod unseen;
