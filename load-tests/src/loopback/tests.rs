//! The verdict is worth something only if it falls when it should: against a server that keeps every promise but one.

use super::breach::Breach;
use super::server::Loopback;
use crate::action::mix::Mix;
use crate::bot::rest::Rest;
use crate::report::summary::Summary;
use crate::report::verdict::{self, Breach as Found};
use crate::swarm::cast::{Cast, Shape};
use crate::swarm::engine::Manners;
use crate::swarm::records::Release;
use crate::swarm::run::{Load, Plan, run};
use std::time::Duration;

/// Six people in two rooms, of whom one per room talks; about a second.
fn swarm(breach: Option<Breach>, trouble: bool, in_full: bool) -> Summary {
    let server = Loopback::start(breach, trouble).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let rest = Rest::new(&server.url).unwrap();
    let cast = runtime.block_on(Cast::make(&rest, Shape { people: 6, rooms: 2, room_size: 3 })).unwrap();
    let plan = Plan {
        url: server.url.clone(),
        load: Load::Rate(400.0),
        senders: 1,
        release: Release::Delivered,
        warm_up: Duration::ZERO,
        duration: Duration::from_millis(700),
        // A breach that leaves a member behind is waited for in vain.
        settle: Duration::from_secs(if breach.is_some() { 1 } else { 20 }),
        manners: Manners {
            at_once: 8,
            later: Duration::from_millis(100),
            in_full,
            text_bytes: 64,
            mix: Mix::Posts,
            felt_within: Duration::from_secs(3),
        },
        mention_every: 0,
        server_pid: None,
        judge: true,
        journal: 100_000,
        command: String::new(),
    };
    run(&runtime, &plan, &cast).unwrap().0
}

fn findings(summary: &Summary) -> &verdict::Findings {
    &summary.verdict.as_ref().unwrap().findings
}

fn is_noticed(breach: Breach, found: Found) {
    for in_full in [true, false] {
        let summary = swarm(Some(breach), false, in_full);
        assert!(findings(&summary).count(found) > 0, "{breach:?} in full {in_full}: {summary}");
        assert_eq!(summary.exit_code(), 1);
    }
}

#[test]
fn a_server_that_keeps_its_promises_passes() {
    for in_full in [true, false] {
        let summary = swarm(None, false, in_full);
        assert_eq!(summary.exit_code(), 0, "{summary}");
        let verdict = summary.verdict.as_ref().unwrap();
        assert!(summary.settled && verdict.stored > 200, "{summary}");
        assert_eq!((verdict.sent, verdict.seen), (verdict.stored, 3 * verdict.stored), "{summary}");
        assert_eq!(summary.to_each.count, 3 * summary.to_ack.count, "{summary}");
    }
}

#[test]
fn lost_connections_and_refusals_are_no_breach() {
    let summary = swarm(None, true, true);
    assert_eq!(summary.exit_code(), 0, "{summary}");
    assert!(
        summary.reconnects > 0 && summary.refusals.contains_key("busy") && summary.refusals.contains_key("outcome_unknown"),
        "{summary}"
    );
    assert!(summary.settled, "{summary}");
    assert!(summary.longest_pause_ms > 0.0, "refusals asked to wait: {summary}");
    let back = summary.to_welcome_again;
    assert!(back.count == summary.reconnects && back.max_ms > 0.0, "each came back, and after a time: {back:?}, {summary}");
    let journal = summary.journal.as_ref().unwrap();
    assert!(journal.rooms.len() == 2 && journal.left_out == 0 && journal.begun_unix_us > 0, "{journal:?}");
    assert_eq!(journal.deliveries.len() as u64, summary.to_each.count);
    // In this cast everybody sits in one room, and the first of each talks.
    assert_eq!(journal.lost.len() as u64, summary.reconnects);
    assert_eq!(journal.refused.len() as u64, summary.refusals.values().sum::<u64>());
    assert!(journal.deliveries.iter().all(|of| of.sender == 0) && journal.deliveries.iter().any(|of| of.viewer == 2));
    let slowest = journal.deliveries.iter().map(|of| of.took_us).max().unwrap() as f64 / 1000.0;
    assert!((slowest / summary.to_each.max_ms - 1.0).abs() < 0.01, "{slowest} ms: {summary}");
}

#[test]
fn a_delivery_left_out_is_noticed() {
    is_noticed(Breach::Lose, Found::Lost);
}

#[test]
fn a_delivery_skipped_is_noticed() {
    is_noticed(Breach::Skip, Found::Gap);
}

#[test]
fn a_post_stored_twice_is_noticed() {
    is_noticed(Breach::Duplicate, Found::Duplicated);
}

#[test]
fn posts_of_one_sender_swapped_are_noticed() {
    is_noticed(Breach::Reorder, Found::Reordered);
}

#[test]
fn a_message_shown_and_not_stored_is_noticed() {
    is_noticed(Breach::Ghost, Found::Ghost);
}

#[test]
fn an_acknowledgement_without_a_message_is_noticed() {
    is_noticed(Breach::AckBeforeStore, Found::Lost);
}

#[test]
fn a_number_given_to_nothing_is_noticed() {
    is_noticed(Breach::Gap, Found::Gap);
}

#[test]
fn an_acknowledgement_of_another_number_is_noticed() {
    is_noticed(Breach::WrongAck, Found::Disagreed);
}
