//! Reports, the audit log and filters, over REST and socket.

use crate::support::person::{PASSWORD, Person};
use crate::support::scene::Scene;
use crate::support::server::Server;
use crate::support::within;
use chrono::TimeDelta;
use hubbub::domain::time::Clock;
use serde_json::{Value, json};
use uuid::Uuid;

async fn root(server: &Server) -> Person {
    server.user_command(&["add", "root1", "--admin"], PASSWORD).await;
    Person::log_in(server, "root1").await
}

fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_else(|| panic!("no {field}: {value}")).to_owned()
}

fn items(page: &Value) -> &Vec<Value> {
    page["items"].as_array().unwrap_or_else(|| panic!("no items: {page}"))
}

fn seq(posted: &Value) -> u64 {
    posted["seq"].as_u64().unwrap_or_else(|| panic!("no seq: {posted}"))
}

fn word(pattern: &str, action: &str) -> Value {
    json!({"kind": "word", "pattern": pattern, "action": action})
}

#[tokio::test]
async fn who_is_made_an_administrator_or_is_one_no_longer_is_so_at_once_on_sockets_that_are_open() {
    let scene = Scene::start().await;
    let (bob, root) = (&scene.bob, root(&scene.server).await);
    let mut socket = bob.connect().await;
    for (admin, expected) in [(false, "not_allowed"), (true, "null"), (false, "not_allowed")] {
        root.patch(&format!("admin/users/{}", bob.id), json!({"admin": admin})).await.ok();
        let answer = socket.ask("filters", json!({})).await;
        assert_eq!(answer["error"]["code"].as_str().unwrap_or("null"), expected, "{answer}");
    }
}

#[tokio::test]
async fn a_reported_message_is_judged_by_a_moderator_with_what_stood_around_it() {
    let scene = Scene::start().await;
    let (ann, bob) = (&scene.ann, &scene.bob);
    for text in ["one", "two", "three"] {
        ann.say(&scene.room, text).await;
    }
    let about = json!({"room": scene.room, "seq": 2, "reason": "abuse", "text": "unkind"});
    // Ann owns the room, so nobody in it may judge what is about her but an administrator.
    let report = text(&bob.post("reports", about.clone()).await.ok(), "report");
    assert_eq!(text(&bob.post("reports", about).await.ok(), "report"), report, "one open report of each by each");
    assert!(items(&ann.get("reports").await.ok()).is_empty(), "nobody sees what is about them");
    assert_eq!(ann.get(&format!("reports/{report}")).await.code(), "not_found");
    assert_eq!(bob.get(&format!("reports/{report}")).await.code(), "not_found", "nor does the reporter");
    let root = root(&scene.server).await;
    let found = root.get(&format!("reports?state=open&room={}", scene.room)).await.ok();
    let found = &items(&found)[0];
    assert_eq!((&found["reporter"], &found["user"], &found["text"]), (&json!(bob.id), &json!(ann.id), &json!("unkind")));
    let quoted: Vec<_> = found["context"].as_array().unwrap().iter().map(|line| text(line, "text")).collect();
    assert_eq!(quoted, ["one", "two", "three"]);
    let outcome = json!({"state": "dismissed", "note": "a joke"});
    let handled = root.patch(&format!("reports/{report}"), outcome.clone()).await.ok();
    assert_eq!(
        (&handled["state"], &handled["note"], &handled["handled_by"]),
        (&json!("dismissed"), &json!("a joke"), &json!(root.id))
    );
    assert!(items(&root.get("reports?state=open").await.ok()).is_empty());
    let logged = root.get("admin/audit?action=report_handled").await.ok();
    assert_eq!(items(&logged).len(), 1);
    assert!(!logged.to_string().contains(&bob.id), "who reported is told in the report alone");
    // Over the socket, the other way round.
    let bobs = seq(&bob.say(&scene.room, "four").await);
    let (mut annes, mut bobs_socket) = (ann.connect().await, bob.connect().await);
    let of_self = bobs_socket.ask("report", json!({"room": scene.room, "seq": bobs, "reason": "spam"})).await;
    assert_eq!(of_self["error"]["code"], "not_allowed");
    let made = annes.ask("report", json!({"room": scene.room, "seq": bobs, "reason": "spam"})).await;
    let report = text(&made["ok"], "report");
    let listed = annes.ask("reports", json!({"state": "open", "limit": 1})).await;
    assert_eq!(items(&listed["ok"])[0]["id"], json!(report));
    assert_eq!(annes.ask("get_report", json!({"report": report})).await["ok"]["seq"], json!(bobs));
    assert_eq!(bobs_socket.ask("get_report", json!({"report": report})).await["error"]["code"], "not_found");
    let handled = annes.ask("handle_report", json!({"report": report, "state": "resolved"})).await;
    assert_eq!(handled["ok"]["state"], "resolved");
    let logged = annes.ask("audit", json!({"room": scene.room, "action": "report_handled"})).await;
    assert_eq!(items(&logged["ok"]).len(), 2);
    assert_eq!(bobs_socket.ask("audit", json!({"room": scene.room})).await["error"]["code"], "not_allowed");
}

#[tokio::test]
async fn what_is_reported_outlives_its_message_and_a_person_is_reported_by_who_knows_them() {
    let scene = Scene::start().await;
    let eve = Person::register(&scene.server, "eve").await;
    let (ann, bob) = (&scene.ann, &scene.bob);
    let root = root(&scene.server).await;
    let person = |who: &Person| json!({"user": who.id, "reason": "other", "text": "strange"});
    assert_eq!(eve.post("reports", person(bob)).await.code(), "not_found");
    assert_eq!(bob.post("reports", person(bob)).await.code(), "not_allowed");
    assert_eq!(bob.post("reports", json!({"reason": "spam"})).await.code(), "bad_request");
    assert_eq!(bob.post("reports", json!({"user": ann.id, "reason": "filter"})).await.code(), "bad_request");
    let long = json!({"user": ann.id, "reason": "spam", "text": "x".repeat(1001)});
    assert_eq!(bob.post("reports", long).await.code(), "text_too_long");
    let report = text(&ann.post("reports", person(bob)).await.ok(), "report");
    assert_eq!(ann.get(&format!("reports/{report}")).await.code(), "not_found", "of a person administrators judge");
    assert_eq!(root.get(&format!("reports/{report}")).await.ok()["user"], json!(bob.id));
    let said = seq(&bob.say(&scene.room, "evidence").await);
    let report = text(&ann.post("reports", json!({"room": scene.room, "seq": said, "reason": "illegal"})).await.ok(), "report");
    ann.delete(&format!("rooms/{}", scene.room)).await.ok();
    assert_eq!(ann.get(&format!("reports/{report}")).await.code(), "not_found", "moderators go with their room");
    assert!(root.get(&format!("reports/{report}")).await.ok()["context"].to_string().contains("evidence"));
}

#[tokio::test]
async fn reports_are_as_often_as_the_rate_allows_over_rest_and_socket_together() {
    let server = Server::start_with(&[("rates.reports_per_account", "2/1h")]).await;
    let (ann, bob) = (Person::register(&server, "ann").await, Person::register(&server, "bob").await);
    let room = ann.make_room("Kitchen", "public").await;
    bob.join(&room).await;
    for text in ["one", "two", "three"] {
        ann.say(&room, text).await;
    }
    let about = |seq: u64| json!({"room": room, "seq": seq, "reason": "spam"});
    bob.post("reports", about(1)).await.ok();
    let mut socket = bob.connect().await;
    assert!(socket.ask("report", about(2)).await["ok"]["report"].is_string());
    assert_eq!(socket.ask("report", about(3)).await["error"]["code"], "busy");
    assert_eq!(bob.post("reports", about(3)).await.code(), "busy");
}

#[tokio::test]
async fn the_audit_log_is_paged_by_what_is_asked_and_exported_to_its_end() {
    let scene = Scene::start().await;
    let root = root(&scene.server).await;
    let (ann, bob) = (&scene.ann, &scene.bob);
    let ban = format!("rooms/{}/bans/{}", scene.room, bob.id);
    ann.put(&ban, json!({"reason": "noise"})).await.ok();
    ann.delete(&ban).await.ok();
    root.patch(&format!("admin/users/{}", bob.id), json!({"disabled": true})).await.ok();
    root.patch(&format!("admin/users/{}", bob.id), json!({"disabled": false})).await.ok();
    let actions = |page: &Value| items(page).iter().map(|entry| text(entry, "action")).collect::<Vec<_>>();
    let about_bob = root.get(&format!("admin/audit?subject={}", bob.id)).await.ok();
    assert_eq!(actions(&about_bob), ["account_enabled", "account_disabled", "unbanned", "banned"], "newest first");
    let by_ann = root.get(&format!("admin/audit?actor={}", ann.id)).await.ok();
    assert_eq!(actions(&by_ann), ["unbanned", "banned"]);
    assert_eq!(items(&by_ann)[1]["reason"], "noise");
    let of_room = ann.get(&format!("rooms/{}/audit?limit=1", scene.room)).await.ok();
    assert_eq!(actions(&of_room), ["unbanned"]);
    let next = ann.get(&format!("rooms/{}/audit?limit=1&page={}", scene.room, text(&of_room, "next"))).await.ok();
    assert_eq!((actions(&next), next.get("next")), (vec!["banned".to_owned()], None));
    let since = text(&items(&about_bob)[1], "at");
    let since = root.get(&format!("admin/audit?subject={}&since={since}", bob.id)).await.ok();
    assert_eq!(actions(&since), ["account_enabled", "account_disabled"]);
    let until = text(&items(&about_bob)[1], "at");
    let until = root.get(&format!("admin/audit?subject={}&until={until}", bob.id)).await.ok();
    assert_eq!(actions(&until), ["unbanned", "banned"]);
    for path in ["admin/audit", "admin/audit/export"] {
        assert_eq!(ann.get(path).await.code(), "not_allowed");
    }
    // More than one page, so that it is read in parts.
    for number in 0..250 {
        let topic = json!({"topic": format!("topic {number}")});
        ann.patch(&format!("rooms/{}", scene.room), topic).await.ok();
    }
    let lines = export(&root).await;
    let (end, entries) = lines.split_last().expect("a last line");
    assert_eq!(end, &json!({"end": true, "entries": entries.len()}));
    assert!(entries.len() >= 254, "{}", entries.len());
    let times: Vec<_> = entries.iter().map(|entry| text(entry, "at")).collect();
    assert!(times.is_sorted(), "oldest first");
    assert_eq!(entries.iter().filter(|entry| entry["action"] == "room_changed").count(), 250);
}

async fn export(root: &Person) -> Vec<Value> {
    let url = format!("{}/api/v1/admin/audit/export", root.base);
    let response =
        within("the export", reqwest::Client::new().get(url).bearer_auth(&root.token).send()).await.expect("an answer");
    assert_eq!(response.headers()["content-type"], "application/x-ndjson");
    let text = within("its end", response.text()).await.expect("all of it");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[tokio::test]
async fn a_filter_of_a_room_refuses_from_the_next_post_on_and_what_is_stored_stays_answered() {
    let scene = Scene::start().await;
    let (ann, bob) = (&scene.ann, &scene.bob);
    let before = Uuid::now_v7().to_string();
    bob.say_as(&scene.room, "buy spam", &before).await.ok();
    let filters = format!("rooms/{}/filters", scene.room);
    assert_eq!(bob.post(&filters, word("spam", "refuse")).await.code(), "not_allowed");
    let made = ann.post(&filters, word("spam", "refuse")).await.ok();
    // The very next post, over REST and socket, of everybody.
    let refused = bob.say_as(&scene.room, "more SPÁM!", &Uuid::now_v7().to_string()).await;
    assert_eq!(refused.code(), "filtered");
    assert!(!refused.body.to_string().to_lowercase().contains("spam"), "it names no pattern: {}", refused.body);
    let mut socket = ann.connect().await;
    assert_eq!(socket.say(&scene.room, "spam").await["error"]["code"], "filtered", "owners too");
    let again = bob.say_as(&scene.room, "buy spam", &before).await.ok();
    assert_eq!(again["repeat"], json!(true), "a repeat is answered as it was");
    bob.say(&scene.room, "spammers").await;
    // Over the socket a filter has a name of the sender's.
    let link =
        json!({"room": scene.room, "filter": Uuid::now_v7(), "kind": "link", "pattern": "evil.example", "action": "refuse"});
    for _ in 0..2 {
        assert_eq!(socket.ask("add_filter", link.clone()).await["ok"]["pattern"], "evil.example");
    }
    assert_eq!(bob.say_as(&scene.room, "see http://www.evil.example/x", &Uuid::now_v7().to_string()).await.code(), "filtered");
    let listed = socket.ask("filters", json!({"room": scene.room})).await;
    assert_eq!(items(&listed["ok"]).len(), 2);
    assert_eq!(items(&ann.get(&filters).await.ok()).len(), 2);
    assert_eq!(bob.get(&filters).await.code(), "not_allowed");
    for _ in 0..2 {
        ann.delete(&format!("{filters}/{}", text(&made, "id"))).await.ok();
    }
    bob.say(&scene.room, "spam").await;
    let removed = json!({"room": scene.room, "filter": link["filter"]});
    assert_eq!(socket.ask("remove_filter", removed).await["ok"], json!({}));
    bob.say(&scene.room, "http://evil.example").await;
    let logged = ann.get(&format!("rooms/{}/audit", scene.room)).await.ok();
    assert_eq!(items(&logged).len(), 4, "{logged}");
}

#[tokio::test]
async fn a_filter_may_let_through_and_report() {
    let scene = Scene::start().await;
    let (ann, bob) = (&scene.ann, &scene.bob);
    ann.post(&format!("rooms/{}/filters", scene.room), word("odd", "report")).await.ok();
    let client_id = Uuid::now_v7().to_string();
    let posted = bob.say_as(&scene.room, "how odd", &client_id).await.ok();
    bob.say_as(&scene.room, "how odd", &client_id).await.ok();
    bob.say(&scene.room, "even").await;
    // It is stored with the message.
    let found = ann.get("reports").await.ok();
    assert_eq!(items(&found).len(), 1, "{found}");
    let report = &items(&found)[0];
    assert_eq!((&report["seq"], &report["reason"], &report["text"]), (&posted["seq"], &json!("filter"), &json!("odd")));
    assert_eq!((&report["user"], report.get("reporter")), (&json!(bob.id), None));
}

#[tokio::test]
async fn filters_of_administrators_hold_in_every_room_and_for_first_direct_messages() {
    let scene = Scene::start().await;
    let root = root(&scene.server).await;
    let (ann, bob) = (&scene.ann, &scene.bob);
    for (method, path) in [("get", "admin/filters"), ("post", "admin/filters")] {
        let answer = if method == "get" { ann.get(path).await } else { ann.post(path, word("spam", "refuse")).await };
        assert_eq!(answer.code(), "not_allowed");
    }
    let made = root.post_with_key("admin/filters", word("spam", "refuse"), "once").await.ok();
    assert_eq!(root.post_with_key("admin/filters", word("spam", "refuse"), "once").await.ok(), made);
    assert_eq!(root.post("admin/filters", word("?!", "refuse")).await.code(), "bad_request");
    let whisper = |text: &str| json!({"client_id": Uuid::now_v7(), "text": text});
    let direct = format!("direct/{}/messages", bob.id);
    assert_eq!(ann.post(&direct, whisper("spam")).await.code(), "filtered");
    assert_eq!(items(&bob.get("me/rooms").await.ok()).len(), 1, "no room was made for it");
    ann.post(&direct, whisper("hello")).await.ok();
    assert_eq!(ann.post(&direct, whisper("spam")).await.code(), "filtered");
    assert_eq!(root.say_as(&scene.room, "x", &Uuid::now_v7().to_string()).await.code(), "not_member");
    let mut socket = root.connect().await;
    assert_eq!(items(&socket.ask("filters", json!({})).await["ok"])[0]["id"], made["id"]);
    assert_eq!(bob.connect().await.ask("filters", json!({})).await["error"]["code"], "not_allowed");
    let everywhere = json!({"filter": Uuid::now_v7(), "kind": "word", "pattern": "eggs", "action": "refuse"});
    assert!(socket.ask("add_filter", everywhere.clone()).await["ok"]["id"].is_string());
    assert_eq!(bob.say_as(&scene.room, "eggs", &Uuid::now_v7().to_string()).await.code(), "filtered");
    assert_eq!(socket.ask("remove_filter", json!({"filter": everywhere["filter"]})).await["ok"], json!({}));
    bob.say(&scene.room, "eggs").await;
    root.delete(&format!("admin/filters/{}", text(&made, "id"))).await.ok();
    bob.say(&scene.room, "spam").await;
    assert_eq!(items(&root.get("admin/audit?action=filter_made").await.ok()).len(), 2);
}

#[tokio::test]
async fn filters_outlive_a_restart_and_their_number_is_limited() {
    let mut server = Server::start_with(&[("limits.filters_per_room", "1"), ("limits.filters_everywhere", "1")]).await;
    let ann = Person::register(&server, "ann").await;
    let root = root(&server).await;
    let room = ann.make_room("Kitchen", "public").await;
    let filters = format!("rooms/{room}/filters");
    ann.post(&filters, word("spam", "refuse")).await.ok();
    assert_eq!(ann.post(&filters, word("eggs", "refuse")).await.code(), "limit_reached");
    root.post("admin/filters", word("ham", "refuse")).await.ok();
    assert_eq!(root.post("admin/filters", word("eggs", "refuse")).await.code(), "limit_reached");
    server.restart().await;
    let ann = ann.moved_to(&server);
    for text in ["spam", "ham"] {
        assert_eq!(ann.say_as(&room, text, &Uuid::now_v7().to_string()).await.code(), "filtered", "{text}");
    }
    ann.say(&room, "eggs").await;
}

/// I10 for filters: nothing that a filter refuses is committed after the filter.
#[tokio::test]
async fn nothing_is_posted_against_a_filter_once_it_is_made() {
    let scene = Scene::start().await;
    let (ann, bob) = (&scene.ann, &scene.bob);
    let posting = async {
        let mut stored = 0_usize;
        loop {
            let posted = bob.say_as(&scene.room, "spam", &Uuid::now_v7().to_string()).await;
            match posted.status.is_success() {
                true => stored += 1,
                false => break (stored, posted.code().to_owned()),
            }
        }
    };
    let making = async {
        ann.say(&scene.room, "begin").await;
        ann.post(&format!("rooms/{}/filters", scene.room), word("spam", "refuse")).await.ok();
        ann.head(&scene.room).await
    };
    let ((stored, code), _) = within("a refusal", async { tokio::join!(posting, making) }).await;
    assert_eq!(code, "filtered");
    let (changes, _) = ann.changes(&scene.room, 1).await;
    let made = changes.iter().filter_map(|item| item["room"]["revision"].as_u64().or(item["room"]["head"].as_u64())).max();
    let after = ann.history(&scene.room).await.into_iter().filter(|message| message["text"] == "spam").collect::<Vec<_>>();
    assert_eq!(after.len(), stored, "what was acknowledged is stored, and no more");
    if let Some(made) = made {
        assert!(after.iter().all(|message| message["revision"].as_u64() < Some(made)), "{made}: {after:?}");
    }
}

#[tokio::test]
async fn what_moderates_done_again_does_nothing_more() {
    let scene = Scene::start().await;
    let root = root(&scene.server).await;
    let (ann, bob) = (&scene.ann, &scene.bob);
    let said = seq(&bob.say(&scene.room, "one").await);
    let filters = format!("rooms/{}/filters", scene.room);
    let about = json!({"room": scene.room, "seq": said, "reason": "spam"});
    let report = ann.post("reports", about.clone()).await.ok();
    assert_eq!(ann.post("reports", about.clone()).await.ok(), report);
    let path = format!("reports/{}", text(&report, "report"));
    // Ann reported it, and moderates the room.
    let handled = ann.patch(&path, json!({"state": "resolved"})).await.ok();
    assert_eq!(ann.patch(&path, json!({"state": "resolved"})).await.ok(), handled);
    let made = ann.post_with_key(&filters, word("spam", "refuse"), "once").await.ok();
    assert_eq!(ann.post_with_key(&filters, word("spam", "refuse"), "once").await.ok(), made);
    assert_eq!(ann.post_with_key(&filters, word("eggs", "refuse"), "once").await.code(), "key_reused");
    let everywhere = root.post_with_key("admin/filters", word("ham", "refuse"), "once").await.ok();
    assert_eq!(root.post_with_key("admin/filters", word("ham", "refuse"), "once").await.ok(), everywhere);
    let head = ann.head(&scene.room).await;
    let removed = format!("{filters}/{}", text(&made, "id"));
    for _ in 0..2 {
        ann.delete(&removed).await.ok();
        root.delete(&format!("admin/filters/{}", text(&everywhere, "id"))).await.ok();
    }
    assert_eq!(ann.head(&scene.room).await, head + 1, "one change");
    let mut socket = ann.connect().await;
    let filter = Uuid::now_v7();
    let new = json!({"room": scene.room, "filter": filter, "kind": "word", "pattern": "eggs", "action": "refuse"});
    let commands = [
        ("report", about),
        ("handle_report", json!({"report": report["report"], "state": "resolved"})),
        ("add_filter", new.clone()),
        ("reports", json!({})),
        ("get_report", json!({"report": report["report"]})),
        ("filters", json!({"room": scene.room})),
        ("audit", json!({"room": scene.room})),
        ("remove_filter", json!({"room": scene.room, "filter": filter})),
    ];
    for (name, body) in commands {
        let first = socket.ask(name, body.clone()).await["ok"].clone();
        assert!(first.is_object(), "{name}: {first}");
        let head = ann.head(&scene.room).await;
        assert_eq!(socket.ask(name, body).await["ok"], first, "{name}");
        assert_eq!(ann.head(&scene.room).await, head, "{name} acted twice");
    }
    let others = json!({"room": scene.room, "filter": filter, "kind": "word", "pattern": "ham", "action": "refuse"});
    socket.ask("add_filter", new).await;
    assert_eq!(socket.ask("add_filter", others).await["error"]["code"], "key_reused");
}

#[tokio::test]
async fn filters_hold_for_edits_and_deleting_the_message_of_another_stands_in_the_log() {
    let scene = Scene::start().await;
    let (ann, bob) = (&scene.ann, &scene.bob);
    for (pattern, action) in [("spam", "refuse"), ("odd", "report")] {
        ann.post(&format!("rooms/{}/filters", scene.room), word(pattern, action)).await.ok();
    }
    let said = seq(&bob.say(&scene.room, "fine").await);
    let message = format!("rooms/{}/messages/{said}", scene.room);
    assert_eq!(bob.patch(&message, json!({"text": "spam"})).await.code(), "filtered");
    let edit = json!({"room": scene.room, "seq": said, "text": "spam"});
    assert_eq!(bob.connect().await.ask("edit", edit).await["error"]["code"], "filtered");
    bob.patch(&message, json!({"text": "rather odd"})).await.ok();
    let found = ann.get("reports").await.ok();
    assert_eq!((items(&found).len(), &items(&found)[0]["seq"]), (1, &json!(said)), "{found}");
    let own = seq(&bob.say(&scene.room, "mine").await);
    bob.delete(&format!("rooms/{}/messages/{own}", scene.room)).await.ok();
    for _ in 0..2 {
        ann.delete(&message).await.ok();
    }
    let logged = ann.connect().await.ask("audit", json!({"room": scene.room, "action": "message_deleted"})).await;
    let logged = items(&logged["ok"]).clone();
    assert_eq!(logged.len(), 1, "what is one's own is nobody's deed: {logged:?}");
    assert_eq!((&logged[0]["seq"], &logged[0]["subject"], &logged[0]["actor"]), (&json!(said), &json!(bob.id), &json!(ann.id)));
}

#[tokio::test]
async fn what_may_be_said_nowhere_no_room_is_called_or_about() {
    let scene = Scene::start().await;
    let (root, ann, bob, room) = (root(&scene.server).await, &scene.ann, &scene.bob, &scene.room);
    let mut socket = ann.connect().await;
    let path = format!("rooms/{room}");
    let made = ann.post_with_key("rooms", json!({"name": "Spam", "kind": "public"}), "before").await.ok();
    let named_before = format!("rooms/{}", text(&made, "id"));
    root.post("admin/filters", word("spam", "refuse")).await.ok();
    root.post("admin/filters", word("odd", "report")).await.ok();
    for bad in [json!({"name": "SP\u{c1}M"}), json!({"topic": "all about spam"}), json!({"topic": "fine", "name": "spam"})] {
        assert_eq!(ann.patch(&path, bad.clone()).await.code(), "filtered", "{bad}");
        let change = json!({"room": room, "settings": bad});
        assert_eq!(socket.ask("change_room", change).await["error"]["code"], "filtered", "{bad}");
        assert_eq!(bob.patch(&path, bad.clone()).await.code(), "not_allowed", "who may not change it learns nothing of filters");
    }
    for (name, topic) in [("Spam", ""), ("Garden", "spam")] {
        let new = json!({"name": name, "topic": topic, "kind": "private"});
        assert_eq!(ann.post("rooms", new.clone()).await.code(), "filtered", "{new}");
    }
    let again = ann.post_with_key("rooms", json!({"name": "Spam", "kind": "public"}), "before").await.ok();
    assert_eq!(again["id"], made["id"], "what is made already is answered");
    ann.patch(&named_before, json!({"name": "Spam", "topic": "as it is called"})).await.ok();
    assert_eq!(ann.get(&path).await.ok()["topic"], "");
    ann.patch(&path, json!({"topic": "an odd one"})).await.ok();
    ann.patch(&path, json!({"topic": "an odd one"})).await.ok();
    let reports = root.get("reports?state=open").await.ok();
    let found: Vec<_> = items(&reports).iter().map(|report| (&report["user"], &report["text"])).collect();
    assert_eq!(found, [(&json!(ann.id), &json!("odd\nan odd one"))]);
}

/// Does it over REST, or by the command, which takes what stands in path and body.
async fn deed(who: &Person, socket: bool, room: &str, (route, named, command): (&str, Value, &str), body: Value) {
    if socket {
        let mut all = body;
        let of = [&json!({ "room": room }), &named];
        of.iter().flat_map(|some| some.as_object().unwrap()).for_each(|(key, value)| all[key] = value.clone());
        let answer = who.connect().await.ask(command, all).await;
        assert_eq!(answer["ok"], json!({}), "{command}: {answer}");
    } else {
        let (method, path) = route.split_once(' ').unwrap();
        who.request(method.parse().unwrap(), &format!("rooms/{room}{path}"), Some(body)).await.ok();
    }
}

#[tokio::test]
async fn why_something_was_done_stands_in_the_log_whichever_way_it_was_asked() {
    let server = Server::start().await;
    let root = root(&server).await;
    let [ann, bob, cem] = ["ann", "bob", "cem"].map(|name| Person::register(&server, name));
    let (ann, bob, cem) = (ann.await, bob.await, cem.await);
    for socket in [false, true] {
        let room = ann.make_room("Hall", "public").await;
        bob.join(&room).await;
        bob.put(&format!("rooms/{room}/invitations/{}", cem.id), json!({})).await.ok();
        let (of_bob, of_cem) = (json!({"user": bob.id}), json!({"user": cem.id}));
        let path = |path: &str, user: &str| format!("{path}/{user}");
        let uninvite = path("DELETE /invitations", &cem.id);
        deed(&ann, socket, &room, (&uninvite, of_cem.clone(), "uninvite"), json!({"reason": "why uninvited"})).await;
        ann.put(&format!("rooms/{room}/bans/{}", cem.id), json!({})).await.ok();
        let unban = path("DELETE /bans", &cem.id);
        deed(&ann, socket, &room, (&unban, of_cem, "unban"), json!({"reason": "why unbanned"})).await;
        let silence = json!({"until": Clock::system().now() + TimeDelta::hours(1)});
        ann.put(&format!("rooms/{room}/silences/{}", bob.id), silence).await.ok();
        let unsilence = path("DELETE /silences", &bob.id);
        deed(&ann, socket, &room, (&unsilence, of_bob.clone(), "unsilence"), json!({"reason": "why unsilenced"})).await;
        let role = json!({"role": "moderator", "reason": "why role_changed"});
        deed(&ann, socket, &room, (&path("PATCH /members", &bob.id), of_bob.clone(), "set_role"), role).await;
        let transfer = json!({"user": bob.id, "reason": "why transferred"});
        deed(&ann, socket, &room, ("PUT /owner", of_bob, "transfer"), transfer).await;
        deed(&bob, socket, &room, ("DELETE ", json!({}), "delete_room"), json!({"reason": "why room_deleted"})).await;
        let log = root.get(&format!("admin/audit?room={room}")).await.ok();
        let told: Vec<_> = items(&log).iter().rev().filter(|entry| entry["reason"].is_string()).collect();
        let actions = ["uninvited", "unbanned", "unsilenced", "role_changed", "transferred", "room_deleted"];
        assert_eq!(told.iter().map(|entry| &entry["action"]).collect::<Vec<_>>(), actions);
        assert!(told.iter().all(|entry| entry["reason"] == format!("why {}", text(entry, "action"))), "{told:?}");
    }
    bob.patch("me", json!({"about": "spam"})).await.ok();
    let account = format!("admin/users/{}", bob.id);
    root.request(reqwest::Method::DELETE, &format!("{account}/profile"), Some(json!({"reason": "spam"}))).await.ok();
    root.patch(&account, json!({"disabled": true, "reason": "spam again"})).await.ok();
    let log = root.get(&format!("admin/audit?subject={}&actor={}", bob.id, root.id)).await.ok();
    assert_eq!(items(&log).iter().rev().map(|entry| &entry["reason"]).collect::<Vec<_>>(), ["spam", "spam again"]);
}
