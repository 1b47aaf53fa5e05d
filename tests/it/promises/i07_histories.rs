//! I7 over random histories: whoever was away and has resumed knows what somebody knows who never left, and what REST shows.

use crate::support::histories::{Found, histories, search, search_with_kills};

/// Mostly enough for every kind of deed to succeed, and done within half a minute; more by `HUBBUB_TEST_HISTORIES`.
const HISTORIES: u32 = 12;
const SHRINKS: u32 = 60;

#[test]
fn away_and_resumed_equals_never_left_over_random_histories() {
    holds(search(histories(HISTORIES), SHRINKS));
}

/// Each takes a second or two, for its servers that start.
const HISTORIES_WITH_KILLS: u32 = 4;

#[test]
fn away_and_resumed_equals_never_left_whatever_the_server_was_doing_when_it_was_killed() {
    holds(search_with_kills(histories(HISTORIES_WITH_KILLS), SHRINKS));
}

/// Nothing was wrong, and that says something of every deed.
#[track_caller]
fn holds(Found { broken, undone }: Found) {
    if let Some(broken) = broken {
        panic!("{broken}");
    }
    assert_eq!(undone, [""; 0], "deeds that never succeeded");
}
