//! Every breach, each by the smallest history that has it, against a run that is otherwise right.

use super::ledger::tests::{HERE, THERE, sighting, two_members};
use super::ledger::{Ledger, Outcome};
use super::verdict::{Breach, Stored, judge};
use uuid::Uuid;

/// Three posts of member 0, acknowledged, stored and seen by both.
fn good() -> (Ledger, Vec<Stored>) {
    let mut ledger = two_members();
    let mut history = Vec::new();
    for n in 0..3 {
        let seen = sighting(n);
        let client_id = Uuid::from_u128(u128::from(n) + 50);
        assert_eq!(ledger.posting(HERE, client_id, None), Some(n));
        ledger.answered(HERE, n, Outcome::Acknowledged { seq: seen.seq, revision: seen.revision });
        ledger.saw(HERE, &seen);
        ledger.saw(THERE, &seen);
        history.push(Stored {
            seq: seen.seq,
            revision: seen.revision,
            author: Uuid::from_u128(1),
            client_id,
            stamp: seen.stamp,
            created_at: format!("2026-11-22T10:00:0{n}Z"),
            body: seen.body,
        });
    }
    (ledger, history)
}

fn found(ledger: &Ledger, history: Vec<Stored>) -> Vec<(Breach, u64)> {
    let findings = judge(ledger, &[history]).findings;
    Breach::ALL.into_iter().map(|breach| (breach, findings.count(breach))).filter(|(_, count)| *count > 0).collect()
}

#[test]
fn a_right_run_has_no_findings_and_is_counted() {
    let (ledger, history) = good();
    let verdict = judge(&ledger, &[history]);
    assert_eq!(verdict.findings.total(), 0, "{:?}", verdict.findings);
    assert_eq!((verdict.sent, verdict.acknowledged, verdict.stored, verdict.seen, verdict.members), (3, 3, 3, 6, 2));
}

#[test]
fn acknowledged_and_not_stored_is_lost_and_what_was_seen_of_it_a_ghost() {
    let (ledger, mut history) = good();
    history.pop();
    assert_eq!(found(&ledger, history), [(Breach::Lost, 1), (Breach::Ghost, 1)]);
}

#[test]
fn stored_and_not_delivered_to_one_member_is_lost() {
    let (mut ledger, mut history) = good();
    let unseen = sighting(3);
    ledger.posting(HERE, Uuid::from_u128(60), None);
    ledger.saw(HERE, &unseen);
    history.push(Stored {
        client_id: Uuid::from_u128(60),
        seq: 104,
        revision: 14,
        stamp: unseen.stamp,
        body: 4,
        ..history[2].clone()
    });
    assert_eq!(found(&ledger, history.clone()), [(Breach::Lost, 1)]);
    ledger.rooms[0].members[1].skipped.push((13, 14));
    assert_eq!(found(&ledger, history), [], "a member that was told of a reset is owed nothing of it");
}

#[test]
fn one_post_under_two_numbers_is_duplicated() {
    let (ledger, mut history) = good();
    history.push(Stored { seq: 104, revision: 14, ..history[2].clone() });
    let found = found(&ledger, history);
    assert!(found.contains(&(Breach::Duplicated, 2)), "once for the client_id, once for n: {found:?}");
}

#[test]
fn one_senders_posts_in_another_order_are_reordered() {
    let (ledger, mut history) = good();
    let (first, second) = (history[0].clone(), history[1].clone());
    history[0] = Stored { seq: first.seq, revision: first.revision, ..second.clone() };
    history[1] = Stored { seq: second.seq, revision: second.revision, ..first };
    let found = found(&ledger, history);
    assert!(found.iter().any(|(breach, _)| *breach == Breach::Reordered), "{found:?}");
}

#[test]
fn revisions_and_times_that_run_backwards_are_reordered() {
    let (ledger, mut history) = good();
    history[2].created_at = "2026-11-22T09:00:00Z".into();
    assert_eq!(found(&ledger, history), [(Breach::Reordered, 1)]);
}

#[test]
fn times_are_compared_and_not_their_texts() {
    let (ledger, mut history) = good();
    history[1].created_at = "2026-11-22T10:00:01.123Z".into();
    history[2].created_at = "2026-11-22T10:00:01.123456Z".into();
    assert_eq!(found(&ledger, history), []);
}

#[test]
fn a_number_that_is_missing_is_a_gap() {
    let (ledger, mut history) = good();
    history.push(Stored {
        seq: 105,
        revision: 15,
        stamp: None,
        author: Uuid::nil(),
        created_at: "2026-11-22T11:00:00Z".into(),
        ..history[0].clone()
    });
    let found = found(&ledger, history);
    assert!(found.contains(&(Breach::Gap, 2)), "one seq, one revision: {found:?}");
}

#[test]
fn an_answer_that_names_another_place_disagrees() {
    let (mut ledger, history) = good();
    ledger.rooms[0].members[0].sent[1].outcome = Outcome::Acknowledged { seq: 102, revision: 99 };
    assert_eq!(found(&ledger, history.clone()), [(Breach::Disagreed, 1)]);
    ledger.rooms[0].members[0].sent[1].outcome = Outcome::Refused;
    assert_eq!(found(&ledger, history), [(Breach::Disagreed, 1)]);
}

#[test]
fn a_stored_message_that_nobody_sent_is_a_ghost() {
    let (mut ledger, history) = good();
    ledger.rooms[0].members[0].sent.pop();
    assert_eq!(found(&ledger, history), [(Breach::Ghost, 1)]);
}

#[test]
fn a_post_without_an_answer_may_be_stored_or_not() {
    let (mut ledger, history) = good();
    ledger.rooms[0].members[0].sent[2].outcome = Outcome::Unanswered;
    assert_eq!(found(&ledger, history), []);
    ledger.posting(THERE, Uuid::from_u128(77), None);
    let (_, history) = good();
    assert_eq!(found(&ledger, history), []);
}
