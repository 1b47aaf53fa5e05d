//! The verdict over a conversation is worth something only if it falls when it should: against a server that keeps every promise but one.

use super::breach::Breach;
use super::server::Loopback;
use crate::action::mix::Mix;
use crate::bot::rest::Rest;
use crate::report::summary::Summary;
use crate::report::verdict::Breach as Found;
use crate::swarm::cast::{Cast, Shape};
use crate::swarm::engine::Manners;
use crate::swarm::records::Release;
use crate::swarm::run::{Load, Plan, run};
use std::time::Duration;

/// Eight people in two rooms do some three thousand things.
fn swarm(breach: Option<Breach>, trouble: bool) -> Summary {
    let server = Loopback::start(breach, trouble).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let rest = Rest::new(&server.url).unwrap();
    let cast = runtime.block_on(Cast::make(&rest, Shape { people: 8, rooms: 2, room_size: 4 })).unwrap();
    let plan = Plan {
        url: server.url.clone(),
        load: Load::Rate(1500.0),
        senders: usize::MAX,
        release: Release::Acknowledged,
        warm_up: Duration::ZERO,
        duration: Duration::from_secs(2),
        settle: Duration::from_secs(20),
        manners: Manners {
            at_once: 8,
            later: Duration::from_millis(100),
            in_full: true,
            text_bytes: 64,
            mix: Mix::Talk,
            felt_within: Duration::from_secs(3),
        },
        server_pid: None,
        judge: true,
        journal: 0,
        mention_every: 0,
        command: String::new(),
    };
    run(&runtime, &plan, &cast).unwrap().0
}

#[track_caller]
fn is_noticed(breach: Breach, found: Found) {
    let summary = swarm(Some(breach), false);
    assert!(summary.verdict.as_ref().unwrap().findings.count(found) > 0, "{breach:?}: {summary}");
    assert_eq!(summary.exit_code(), 1);
}

#[test]
fn a_server_that_keeps_its_promises_passes() {
    let summary = swarm(None, false);
    assert_eq!(summary.exit_code(), 0, "{summary}");
    let verdict = summary.verdict.as_ref().unwrap();
    assert!(summary.settled && verdict.stored > 1500 && verdict.deeds_acknowledged > 500, "{summary}");
    // Leaving and pinning are too rare for two seconds to have some for certain; the epilogue does them, and `Overhear` falls only if it does.
    for kind in ["edit", "delete", "react", "read", "typing", "block"] {
        assert!(summary.deeds.contains_key(kind), "nobody did {kind}: {summary}");
    }
}

#[test]
fn lost_connections_and_refusals_are_no_breach() {
    let summary = swarm(None, true);
    assert_eq!(summary.exit_code(), 0, "{summary}");
    assert!(summary.settled && summary.reconnects > 0 && summary.refusals.contains_key("outcome_unknown"), "{summary}");
}

#[test]
fn an_edit_that_is_told_and_not_stored_is_noticed() {
    is_noticed(Breach::ForgetEdit, Found::Undone);
}

#[test]
fn a_text_left_by_a_deletion_is_noticed() {
    is_noticed(Breach::KeepText, Found::Undone);
}

#[test]
fn a_reaction_that_one_member_is_not_told_of_is_noticed() {
    is_noticed(Breach::LoseReaction, Found::Differs);
}

#[test]
fn a_reply_too_many_is_noticed() {
    is_noticed(Breach::Miscount, Found::Miscounted);
}

#[test]
fn a_read_mark_that_is_forgotten_is_noticed() {
    is_noticed(Breach::ForgetRead, Found::Undone);
}

#[test]
fn words_of_the_blocked_are_noticed_as_they_come() {
    is_noticed(Breach::ShowBlocked, Found::Shown);
}

#[test]
fn words_of_the_blocked_are_noticed_in_the_history() {
    is_noticed(Breach::ReadBlocked, Found::Shown);
}

#[test]
fn what_reaches_who_has_left_is_noticed() {
    is_noticed(Breach::Overhear, Found::Overheard);
}

#[test]
fn a_history_that_who_has_left_can_read_is_noticed() {
    is_noticed(Breach::ReadRemoved, Found::Overheard);
}

#[test]
fn reactions_of_the_blocked_are_noticed_as_they_come() {
    is_noticed(Breach::ShowReaction, Found::Shown);
}

#[test]
fn reactions_of_the_blocked_are_noticed_in_the_history() {
    is_noticed(Breach::ReadReaction, Found::Shown);
}

#[test]
fn typing_of_the_blocked_is_noticed() {
    is_noticed(Breach::ShowTyping, Found::Shown);
}

#[test]
fn a_block_that_is_forgotten_is_noticed() {
    is_noticed(Breach::ForgetBlock, Found::Undone);
}

#[test]
fn a_reaction_that_is_forgotten_is_noticed() {
    is_noticed(Breach::ForgetReaction, Found::Undone);
}

#[test]
fn a_pin_that_is_forgotten_is_noticed() {
    is_noticed(Breach::ForgetPin, Found::Undone);
}

#[test]
fn typing_of_which_nobody_is_ever_told_is_noticed() {
    is_noticed(Breach::DropTyping, Found::Lost);
}
