//! Who may report what, what is kept of it, who finds it.

use super::*;
use crate::domain::room::{HistoryRule, RoomChange, RoomKind};
use crate::store::testing::{TestStore, actor, noon};
use chrono::TimeDelta;

fn report(reporter: impl Into<Option<UserId>>, target: ReportTarget) -> MakeReport {
    let reporter = reporter.into();
    let reason = if reporter.is_some() { ReportReason::Abuse } else { ReportReason::Filter };
    MakeReport { id: ReportId::generate(), reporter, target, reason, text: Some("look".to_owned()), now: noon() }
}

async fn queue(at: &TestStore, who: Actor, wanted: Wanted) -> Vec<Report> {
    at.store.read(move |db| Box::pin(page(db, who, wanted, None, 10))).await.unwrap().items
}

#[tokio::test]
async fn a_report_keeps_what_the_reporter_saw_and_is_made_once() {
    let at = TestStore::open().await;
    let [ann, bob, cem] = at.people().await;
    let room = at.room(RoomKind::Public, HistoryRule::SinceJoining, ann, &[bob]).await;
    at.say(room, ann, &["1", "2", "3"]).await;
    at.change(cem, room, RoomChange::Join).await.unwrap();
    at.say(room, bob, &["4", "5", "6", "7", "8", "9", "10", "11"]).await;
    let target = ReportTarget::Message { room, seq: Seq(5) };
    let made = at.run(report(cem, target)).await.unwrap();
    let again = at.run(report(cem, target)).await.unwrap();
    assert_eq!((made.is_new, again), (true, Reported { report: made.report, is_new: false }));
    assert!(at.run(report(ann, target)).await.unwrap().is_new, "of another person it is another one");
    assert!(at.run(report(None, target)).await.unwrap().is_new, "and of the server");
    let found = queue(&at, actor(ann), Wanted { room: Some(room), ..Wanted::default() }).await;
    let seqs = |report: &Report| report.context.iter().map(|quoted| quoted.seq.0).collect::<Vec<_>>();
    assert_eq!(seqs(&found[0]), [4, 5, 6, 7, 8, 9, 10], "nothing from before they could read");
    assert_eq!(seqs(&found[1]), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    assert_eq!((found[0].subject, found[0].reporter, found[2].reporter), (bob, Some(cem), None));
    assert_eq!(found[0].context[1].text, "5");
}

#[tokio::test]
async fn what_is_suspect_again_before_anybody_looked_is_added_to_the_report_of_the_server_and_to_no_other() {
    let at = TestStore::open().await;
    let [ann, bob] = at.people().await;
    at.room(RoomKind::Public, HistoryRule::All, ann, &[bob]).await;
    let say =
        |reporter: Option<UserId>, text: String| MakeReport { text: Some(text), ..report(reporter, ReportTarget::Person(ann)) };
    let first = at.run(say(None, "odd\nAn odd name".to_owned())).await.unwrap();
    at.run(say(Some(bob), "look".to_owned())).await.unwrap();
    for more in ["An odd name", "odd\nA worse one", "odd\nA worse one"] {
        let again = at.run(say(None, more.to_owned())).await.unwrap();
        assert_eq!(again, Reported { report: first.report, is_new: false });
        at.run(say(Some(bob), more.to_owned())).await.unwrap();
    }
    at.run(say(None, "x".repeat(TEXT_BYTES_MAX))).await.unwrap();
    let admin = Actor { admin: true, ..actor(bob) };
    let found = queue(&at, admin, Wanted::default()).await;
    let texts: Vec<_> = found.iter().map(|report| (report.reporter, report.text.as_deref().unwrap())).collect();
    assert_eq!(texts.len(), 2);
    assert!(texts.contains(&(None, "odd\nAn odd name\nodd\nA worse one")) && texts.contains(&(Some(bob), "look")), "{texts:?}");
}

#[tokio::test]
async fn only_who_may_read_reports_a_message_and_who_shares_a_room_a_person() {
    let at = TestStore::open().await;
    let [ann, bob, eve] = at.people().await;
    let room = at.room(RoomKind::Private, HistoryRule::All, ann, &[bob]).await;
    at.say(room, ann, &["hello"]).await;
    let message = |seq| ReportTarget::Message { room, seq: Seq(seq) };
    let cases = [
        (eve, message(1), Err(Fault::NotFound)),
        (bob, message(2), Err(Fault::NotFound)),
        (ann, message(1), Err(Fault::NotAllowed)),
        (bob, message(1), Ok(())),
        (eve, ReportTarget::Person(ann), Err(Fault::NotFound)),
        (bob, ReportTarget::Person(bob), Err(Fault::NotAllowed)),
        (bob, ReportTarget::Person(UserId::generate()), Err(Fault::NotFound)),
        (bob, ReportTarget::Person(ann), Ok(())),
    ];
    for (who, target, expected) in cases {
        let got = at.run(report(who, target)).await.map(|_| ());
        assert_eq!(got, expected.map_err(StoreError::Refused), "{target:?}");
    }
}

#[tokio::test]
async fn moderators_judge_what_is_of_their_rooms_administrators_all_and_nobody_what_is_about_them() {
    let at = TestStore::open().await;
    let [ann, bob, cem, root] = at.people().await;
    let room = at.room(RoomKind::Public, HistoryRule::All, ann, &[bob, cem]).await;
    at.say(room, bob, &["one"]).await;
    at.say(room, ann, &["two"]).await;
    let of_bob = at.run(report(cem, ReportTarget::Message { room, seq: Seq(1) })).await.unwrap().report;
    let of_ann = at.run(report(cem, ReportTarget::Message { room, seq: Seq(2) })).await.unwrap().report;
    let person = at.run(report(cem, ReportTarget::Person(bob))).await.unwrap().report;
    let admin = |user| Actor { admin: true, ..actor(user) };
    let everybody = [
        (actor(ann), vec![of_bob]),
        (actor(bob), vec![]),
        (actor(cem), vec![]),
        (admin(root), vec![of_bob, of_ann, person]),
        (admin(bob), vec![of_ann]),
    ];
    for (who, expected) in everybody {
        let found: Vec<_> = queue(&at, who, Wanted::default()).await.iter().map(|report| report.id).collect();
        assert_eq!(found, expected, "{who:?}");
        for id in [of_bob, of_ann, person] {
            let one = at.store.read(move |db| Box::pin(for_judge(db, id, who))).await.map(|report| report.id);
            let handled = HandleReport { report: id, actor: who, state: ReportState::Open, note: None, now: noon() };
            assert_eq!(at.run(handled).await.unwrap_err(), StoreError::Refused(Fault::BadRequest));
            let handle = HandleReport { report: id, actor: who, state: ReportState::Resolved, note: None, now: noon() };
            match expected.contains(&id) {
                true => assert_eq!(one, Ok(id), "{who:?}"),
                false => {
                    assert_eq!(one, Err(StoreError::Refused(Fault::NotFound)), "{who:?}");
                    assert_eq!(at.run(handle).await.unwrap_err(), StoreError::Refused(Fault::NotFound), "{who:?}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_report_is_handled_once_stands_in_the_audit_log_and_is_forgotten_in_the_end() {
    let at = TestStore::open().await;
    let [ann, bob, cem] = at.people().await;
    let room = at.room(RoomKind::Public, HistoryRule::All, ann, &[bob, cem]).await;
    at.say(room, bob, &["one"]).await;
    let target = ReportTarget::Message { room, seq: Seq(1) };
    let id = at.run(report(cem, target)).await.unwrap().report;
    let handle = |state, note: Option<&str>| HandleReport {
        report: id,
        actor: actor(ann),
        state,
        note: note.map(str::to_owned),
        now: noon(),
    };
    for _ in 0..2 {
        let handled = at.run(handle(ReportState::Resolved, Some("kicked"))).await.unwrap();
        assert_eq!(
            (handled.state, handled.handled_by, handled.note.as_deref()),
            (ReportState::Resolved, Some(ann), Some("kicked"))
        );
    }
    let wanted = audit::Wanted { action: Some(AuditAction::ReportHandled), ..audit::Wanted::default() };
    let log = at.store.read(move |db| Box::pin(audit::page(db, wanted, audit::Order::Oldest(None), 10))).await.unwrap();
    assert_eq!(log.items.len(), 1, "{log:?}");
    assert_eq!((log.items[0].subject, log.items[0].seq, log.items[0].room), (Some(bob), Some(Seq(1)), Some(room)));
    assert!(at.run(report(cem, target)).await.unwrap().is_new, "a handled one does not hide the next");
    assert_eq!(at.run(ForgetReports { before: noon(), rows_max: 10 }).await, Ok(0));
    assert_eq!(at.run(ForgetReports { before: noon() + TimeDelta::seconds(1), rows_max: 10 }).await, Ok(1), "open ones stay");
    let open = queue(&at, actor(ann), Wanted { state: Some(ReportState::Open), ..Wanted::default() }).await;
    assert_eq!(open.len(), 1);
}
