//! What is old is thrown away by a server that runs, as its settings say: entries of the audit log, reports that were handled, notifications.

use crate::support::eventually;
use crate::support::scene::Scene;
use serde_json::{Value, json};

/// How often old things are thrown away.
const OFTEN: (&str, &str) = ("accounts.clean_up_every", "50ms");

/// Two people whose server looks often for what is old, and whose settings keep all of it for long.
async fn scene() -> Scene {
    Scene::start_with(&[OFTEN]).await
}

/// The server begins anew with this setting.
async fn begin_anew(scene: &mut Scene, setting: (&'static str, &'static str)) {
    scene.server.restart_with(&[OFTEN, setting]).await;
    scene.ann = scene.ann.moved_to(&scene.server);
    scene.bob = scene.bob.moved_to(&scene.server);
}

async fn rows(scene: &Scene, table: &str) -> i64 {
    scene.server.database.rows(scene.server.folder.path(), table).await
}

/// Waits until so many are left.
async fn until(scene: &Scene, table: &str, left: i64) {
    eventually(&format!("{left} rows of {table}"), || async { (rows(scene, table).await == left).then_some(()) }).await;
}

/// The messages that Bob was notified of, the newest first.
async fn notified(scene: &Scene) -> Vec<Value> {
    let list = scene.bob.get("me/notifications").await.ok();
    list["items"].as_array().expect("items").iter().map(|item| item["seq"].clone()).collect()
}

/// Ann mentions Bob so often.
async fn mention(scene: &Scene, count: usize) {
    for _ in 0..count {
        scene.ann.say(&scene.room, "@bob").await;
    }
    scene.server.everybody_is_notified().await;
}

#[tokio::test]
async fn entries_of_the_audit_log_are_thrown_away_when_they_are_old() {
    let mut scene = scene().await;
    let ban = format!("rooms/{}/bans/{}", scene.room, scene.bob.id);
    scene.ann.put(&ban, json!({})).await.ok();
    assert!(rows(&scene, "audit").await > 0);
    begin_anew(&mut scene, ("moderation.audit_keep", "1h")).await;
    scene.ann.delete(&ban).await.ok();
    assert!(rows(&scene, "audit").await > 1, "an hour has not passed");
    begin_anew(&mut scene, ("moderation.audit_keep", "1ms")).await;
    until(&scene, "audit", 0).await;
}

#[tokio::test]
async fn reports_are_thrown_away_when_they_were_handled_long_ago() {
    let mut scene = scene().await;
    scene.ann.say(&scene.room, "buy soup").await;
    scene.server.user_command(&["add", "root1", "--admin"], crate::support::person::PASSWORD).await;
    let root = crate::support::person::Person::log_in(&scene.server, "root1").await;
    let mut reports = Vec::new();
    for body in [json!({"room": scene.room, "seq": 1, "reason": "spam"}), json!({"user": scene.ann.id, "reason": "abuse"})] {
        reports.push(scene.bob.post("reports", body).await.ok()["report"].clone());
    }
    let handled = format!("reports/{}", reports[0].as_str().expect("an id"));
    root.patch(&handled, json!({"state": "resolved"})).await.ok();
    begin_anew(&mut scene, ("moderation.reports_keep", "1h")).await;
    let root = root.moved_to(&scene.server);
    root.get(&handled).await.ok();
    begin_anew(&mut scene, ("moderation.reports_keep", "1ms")).await;
    until(&scene, "reports", 1).await;
    let root = root.moved_to(&scene.server);
    assert_eq!(root.get(&handled).await.code(), "not_found");
    let open = root.get("reports?state=open").await.ok();
    assert_eq!(open["items"][0]["id"], reports[1], "open ones stay");
}

#[tokio::test]
async fn of_their_notifications_people_keep_the_newest() {
    let mut scene = scene().await;
    mention(&scene, 4).await;
    assert_eq!(notified(&scene).await, [4, 3, 2, 1]);
    begin_anew(&mut scene, ("notify.kept_per_user", "2")).await;
    until(&scene, "notifications", 2).await;
    assert_eq!(notified(&scene).await, [4, 3]);
    mention(&scene, 1).await;
    until(&scene, "notifications", 2).await;
    assert_eq!(notified(&scene).await, [5, 4]);
}

#[tokio::test]
async fn notifications_are_thrown_away_when_they_are_old() {
    let mut scene = scene().await;
    mention(&scene, 2).await;
    begin_anew(&mut scene, ("notify.keep", "1h")).await;
    mention(&scene, 1).await;
    assert_eq!(notified(&scene).await, [3, 2, 1]);
    begin_anew(&mut scene, ("notify.keep", "1ms")).await;
    until(&scene, "notifications", 0).await;
    assert_eq!(notified(&scene).await, [Value::Null; 0]);
}
