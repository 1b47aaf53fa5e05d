//! Limits, escalation, stopping, and what operators see.

use std::cell::RefCell;
use std::mem;

use super::*;

#[actix::test]
async fn a_transient_actor_over_its_limit_ends_and_its_supervisor_bears_it() {
    let mut stage = Stage::new(1);
    let victim = stage.spawn("v", transient(2));
    for _ in 0..3 {
        give(&victim, Order::Panic);
    }
    let behind = ask(&victim, |reply_to| Order::Echo(1, reply_to));
    assert_eq!(by_deadline(behind).await, Err(Dropped));
    assert!(!victim.is_open());
    assert!(stage.root.is_empty());
    assert!(!stage.has_failed());
}

#[actix::test]
async fn a_permanent_actor_over_its_limit_goes_on_at_its_supervisors_expense() {
    let mut stage = Stage::new(1);
    let victim = stage.spawn("v", permanent(2));
    for _ in 0..5 {
        give(&victim, Order::Panic);
    }
    assert_eq!(echo(&victim, 1).await, Ok(1));
    assert!(!stage.has_failed());
    give(&victim, Order::Panic);
    stage.settle().await;
    assert!(stage.has_failed());
    assert!(!victim.is_open());
}

#[actix::test]
async fn escalation_climbs_and_reaches_the_root_exactly_once() {
    let mut stage = Stage::new(1);
    let rooms = stage.root.supervisor("rooms", permanent(1));
    let failures = Rc::new(RefCell::new(Vec::new()));
    let (heard, mut listener) = (Rc::clone(&failures), stage.failure.clone());
    actix::spawn(async move {
        loop {
            let failed = listener.failed.wait_for(Option::is_some).await;
            heard.borrow_mut().extend(failed.unwrap().clone());
            listener.failed.changed().await.unwrap();
        }
    });
    // One is borne by the supervisor, one by the root, and there are two more.
    for name in ["a", "b", "c", "d"] {
        assert!(!stage.has_failed() || name == "d", "before {name}");
        let victim = stage.spawn_below(&rooms, name, transient(0), None);
        give(&victim, Order::Panic);
        stage.settle().await;
        assert!(!victim.is_open());
    }
    let failures = failures.borrow();
    assert_eq!(failures.len(), 1);
    assert_eq!(failures[0].path, "node/rooms/c");
    assert_eq!(failures[0].kind, "victim");
    assert_eq!(failures[0].panic.as_ref().unwrap().text(), "struck in a handler");
}

#[actix::test]
async fn limits_recover_with_time() {
    let mut stage = Stage::new(0);
    let victim = stage.spawn("v", transient(1));
    for _ in 0..5 {
        give(&victim, Order::Panic);
        assert_eq!(echo(&victim, 1).await, Ok(1));
        tokio::time::sleep(DEADLINE).await;
    }
    assert!(!stage.has_failed());
}

#[actix::test]
async fn a_permanent_actor_is_restarted_after_a_stop_until_the_tree_stops() {
    let stage = Stage::new(0);
    let below = stage.root.supervisor("below", permanent(0));
    let victim = stage.spawn_below(&below, "v", permanent(5), None);
    give(&victim, Order::Stop);
    assert_eq!(echo(&victim, 1).await, Ok(1));
    assert_eq!(stage.script.started.get(), 2);

    stage.root.begin_stop();
    give(&victim, Order::Panic);
    assert_eq!(echo(&victim, 2).await, Ok(2), "panics are still borne");
    give(&victim, Order::Stop);
    stage.settle().await;
    assert!(!victim.is_open());
    assert!(stage.root.is_empty());
}

#[actix::test]
async fn an_actor_nobody_can_reach_any_more_ends_unless_it_is_permanent() {
    let stage = Stage::new(0);
    let stays = stage.spawn_below(&stage.root, "stays", permanent(5), None);
    let victim = stage.spawn("v", transient(5));
    stage.settle().await;
    drop((victim, stays));
    stage.settle().await;
    assert_eq!(stage.root.len(), 1);
    assert_eq!(stage.script.stopped.get(), 1);
}

#[actix::test]
async fn the_snapshot_lists_living_actors_by_path_from_any_thread() {
    let stage = Stage::new(0);
    let rooms = stage.root.supervisor("rooms", permanent(0));
    let second = stage.spawn_below(&rooms, "2", transient(0), None);
    let _first = stage.spawn_below(&rooms, "1", transient(0), None);
    let _presence = stage.spawn("presence", permanent(0));
    give(&second, Order::Panic);
    tokio::time::advance(2 * SECOND).await;
    assert!(stage.root.snapshot()[0].started_ago_ms >= 2_000);
    let root = stage.root.clone();
    let reports = std::thread::spawn(move || root.snapshot()).join().unwrap();
    let paths: Vec<_> = reports.iter().map(|report| report.path.as_str()).collect();
    // The second one's panic used up a limit of zero all the way up, so it is gone.
    assert_eq!(paths, ["node/presence", "node/rooms/1"]);
    let json = serde_json::to_value(&reports[0]).unwrap();
    assert_eq!(json["state"], "running");
    assert_eq!(json["mailbox_capacity"], CAPACITY);
    assert_eq!(json["last_panic"], serde_json::Value::Null);
}

#[test]
fn a_panic_in_stopped_while_the_arbiter_ends_aborts_nothing() {
    let script = Rc::<Script>::default();
    let inside = Rc::clone(&script);
    actix::System::new().block_on(async move {
        let stage = Stage { script: inside, ..Stage::new(0) };
        let victim = stage.spawn("v", permanent(5));
        assert_eq!(echo(&victim, 1).await, Ok(1));
        stage.script.panics_in_stopped.set(1);
        // Kept alive beyond the system, so that only the arbiter's end can end the actor.
        mem::forget(victim);
    });
    assert_eq!(script.stopped.get(), 1);
}

#[actix::test]
async fn kinds_are_summed_up_over_the_whole_tree() {
    let stage = Stage::new(0);
    let rooms = stage.root.supervisor("rooms", permanent(0));
    let first = stage.spawn_below(&rooms, "1", transient(0), None);
    let _second = stage.spawn("2", transient(0));
    for _ in 0..CAPACITY / 2 {
        give(&first, Order::Stop);
    }
    let sums = stage.root.kinds();
    assert_eq!(sums.len(), 1);
    assert_eq!((sums[0].kind, sums[0].actors), ("victim", 2));
    assert_eq!(sums[0].mailbox_depth, u64::from(CAPACITY / 2));
    assert_eq!(sums[0].deepest, CAPACITY / 2);
    assert_eq!(sums[0].fullest_percent, 50);
}

#[actix::test]
async fn gauges_and_counters_carry_the_kind_and_fall_back_to_zero() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let metrics = recorder.handle();
    let _local = metrics::set_default_local_recorder(&recorder);
    let stage = Stage::new(0);
    let victim = stage.spawn("v", transient(1));
    give(&victim, Order::Panic);
    assert_eq!(echo(&victim, 1).await, Ok(1));
    stage.root.set_gauges();
    let text = metrics.render();
    assert!(text.contains(r#"hubbub_actor_panics_total{kind="victim"} 1"#), "{text}");
    assert!(text.contains(r#"hubbub_actor_restarts_total{kind="victim"} 1"#), "{text}");
    assert!(text.contains(r#"hubbub_actors{kind="victim"} 1"#), "{text}");
    give(&victim, Order::Stop);
    stage.settle().await;
    stage.root.set_gauges();
    let text = metrics.render();
    assert!(text.contains(r#"hubbub_actors{kind="victim"} 0"#), "{text}");
}
