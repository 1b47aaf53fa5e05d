//! The filter hook: what it is asked, what its answers do, and that nobody but who posts waits for it.

use crate::support::hook::{Hook, Manner};
use crate::support::person::Person;
use crate::support::server::Server;
use crate::support::{eventually, within};
use serde_json::json;
use uuid::Uuid;

struct At {
    server: Server,
    ann: Person,
    bob: Person,
    room: String,
}

async fn start(hook: &Hook, changes: &[(&str, &str)]) -> At {
    let url = hook.url();
    let mut settings = vec![("filter_hook.url", url.as_str())];
    settings.extend(changes);
    let server = Server::start_with(&settings).await;
    let (ann, bob) = (Person::register(&server, "ann").await, Person::register(&server, "bob").await);
    let room = ann.make_room("Kitchen", "public").await;
    bob.join(&room).await;
    At { server, ann, bob, room }
}

async fn say(at: &At, text: &str) -> crate::support::person::Answer {
    at.bob.say_as(&at.room, text, &Uuid::now_v7().to_string()).await
}

#[tokio::test]
async fn it_is_asked_about_each_text_in_a_signed_question() {
    let hook = Hook::start(Manner::Action("allow")).await;
    let at = start(&hook, &[("filter_hook.secret", "Jefe")]).await;
    let posted = say(&at, "hello").await.ok();
    assert_eq!(posted["seq"], json!(1));
    let direct = json!({"client_id": Uuid::now_v7(), "text": "psst"});
    at.bob.post(&format!("direct/{}/messages", at.ann.id), direct).await.ok();
    at.bob.patch(&format!("rooms/{}/messages/1", at.room), json!({"text": "hello again"})).await.ok();
    let asked = hook.asked();
    let [post, direct, edit] = &asked[..] else { panic!("{asked:?}") };
    let edit = edit.json();
    assert_eq!((&edit["event"], &edit["seq"], &edit["text"]), (&json!("edit"), &json!(1), &json!("hello again")));
    let question = post.json();
    assert_eq!(
        (&question["event"], &question["room"], &question["author"]),
        (&json!("post"), &json!(at.room), &json!(at.bob.id))
    );
    assert_eq!(question["text"], "hello");
    assert_eq!((&direct.json()["to"], direct.json().get("room")), (&json!(at.ann.id), None));
    // As the manual says: of the time, a dot and the body.
    let now = &post.headers["x-hubbub-timestamp"];
    assert!(now.parse::<i64>().is_ok());
    let signature = &post.headers["x-hubbub-signature"];
    assert_eq!(signature, &format!("v1={}", hmac("Jefe", &format!("{now}.{}", post.body))));
    drop(at.server);
}

/// By another hand than the server's: with the Python of the machine, as an operator would check.
fn hmac(key: &str, text: &str) -> String {
    let program = "import hashlib,hmac,sys;print(hmac.new(sys.argv[1].encode(),sys.argv[2].encode(),hashlib.sha256).hexdigest())";
    let told = std::process::Command::new("python3").args(["-c", program, key, text]).output().expect("python3 runs");
    String::from_utf8(told.stdout).expect("text").trim().to_owned()
}

#[tokio::test]
async fn it_refuses_and_reports_and_a_repeat_is_answered_whatever_it_says() {
    let hook = Hook::start(Manner::Action("allow")).await;
    let at = start(&hook, &[]).await;
    let client_id = Uuid::now_v7().to_string();
    at.bob.say_as(&at.room, "first", &client_id).await.ok();
    hook.answer(Manner::Action("refuse"));
    assert_eq!(say(&at, "second").await.code(), "filtered");
    let first = format!("rooms/{}/messages/1", at.room);
    assert_eq!(at.bob.patch(&first, json!({"text": "other"})).await.code(), "filtered");
    let mut socket = at.bob.connect().await;
    assert_eq!(socket.say(&at.room, "third").await["error"]["code"], "filtered");
    let again = at.bob.say_as(&at.room, "first", &client_id).await.ok();
    assert_eq!(again["repeat"], json!(true));
    let direct = json!({"client_id": Uuid::now_v7(), "text": "psst"});
    assert_eq!(at.bob.post(&format!("direct/{}/messages", at.ann.id), direct).await.code(), "filtered");
    hook.answer(Manner::Action("report"));
    let posted = say(&at, "fourth").await.ok();
    // It is stored with the message.
    let found = at.ann.get("reports").await.ok()["items"][0].clone();
    assert_eq!((&found["seq"], &found["reason"], &found["text"]), (&posted["seq"], &json!("hook"), &json!("so it says")));
}

#[tokio::test]
async fn it_is_not_asked_about_what_will_be_refused_anyway() {
    let hook = Hook::start(Manner::Action("allow")).await;
    let at = start(&hook, &[]).await;
    at.ann.say(&at.room, "mine").await;
    let eve = Person::register(&at.server, "eve").await;
    let asked = hook.asked().len();
    assert_eq!(eve.say_as(&at.room, "spam", &Uuid::now_v7().to_string()).await.code(), "not_member");
    let message = format!("rooms/{}/messages/1", at.room);
    assert_eq!(at.bob.patch(&message, json!({"text": "not his"})).await.code(), "not_allowed");
    assert_eq!(eve.patch(&message, json!({"text": "not hers"})).await.code(), "not_member");
    assert_eq!(hook.asked().len(), asked);
    at.ann.patch(&message, json!({"text": "still mine"})).await.ok();
    assert_eq!(hook.asked().len(), asked + 1);
}

#[tokio::test]
async fn a_repeat_of_who_is_out_meanwhile_is_answered_and_asked_about_no_more() {
    let hook = Hook::start(Manner::Action("allow")).await;
    let at = start(&hook, &[]).await;
    let client_id = Uuid::now_v7().to_string();
    at.bob.say_as(&at.room, "first", &client_id).await.ok();
    let asked = hook.asked().len();
    at.bob.delete(&format!("rooms/{}/members/me", at.room)).await.ok();
    assert_eq!(at.bob.say_as(&at.room, "first", &client_id).await.ok()["repeat"], json!(true));
    assert_eq!(hook.asked().len(), asked);
}

#[tokio::test]
async fn it_is_asked_about_what_a_forwarded_post_will_say() {
    let hook = Hook::start(Manner::Action("allow")).await;
    let at = start(&hook, &[]).await;
    at.ann.say(&at.room, "worth a thought").await;
    let forward = |seq: u64| json!({"client_id": Uuid::now_v7(), "forward": {"room": at.room, "seq": seq}});
    let path = format!("rooms/{}/messages", at.room);
    at.bob.post(&path, forward(1)).await.ok();
    let asked = hook.asked();
    assert_eq!(asked.last().expect("a question").json()["text"], "worth a thought");
    assert_eq!(at.bob.post(&path, forward(9)).await.code(), "not_found");
    assert_eq!(hook.asked().len(), asked.len(), "where there is nothing to be read nothing is asked");
    hook.answer(Manner::Action("refuse"));
    assert_eq!(at.bob.post(&path, forward(1)).await.code(), "filtered");
    assert_eq!(at.ann.texts(&at.room).await, ["worth a thought", "worth a thought"]);
    let direct = format!("direct/{}/messages", at.ann.id);
    assert_eq!(at.bob.post(&direct, forward(1)).await.code(), "filtered");
    hook.answer(Manner::Action("allow"));
    at.bob.post(&direct, forward(1)).await.ok();
    let question = hook.asked().last().expect("a question").json();
    assert_eq!((&question["text"], &question["to"]), (&json!("worth a thought"), &json!(at.ann.id)));
}

#[tokio::test]
async fn one_that_fails_leaves_posts_alone_or_refuses_them_as_the_settings_say() {
    let failing = [Manner::Status(500), Manner::Garbage, Manner::Gone, Manner::Action("dance"), Manner::Held];
    for (rule, expected) in [("open", None), ("closed", Some("unavailable"))] {
        let hook = Hook::start(Manner::Action("allow")).await;
        let settings = [("filter_hook.fail", rule), ("filter_hook.failures_max", "1000"), ("filter_hook.timeout", "300ms")];
        let at = start(&hook, &settings).await;
        for manner in failing {
            hook.answer(manner);
            let answer = say(&at, "hello").await;
            let got = (!answer.status.is_success()).then(|| answer.code());
            assert_eq!(got, expected, "{manner:?}");
            if expected.is_some() {
                assert!(answer.body["retry_after_ms"].is_u64(), "{}", answer.body);
            }
        }
        hook.answer(Manner::Action("allow"));
        say(&at, "well again").await.ok();
    }
}

#[tokio::test]
async fn one_that_fails_again_and_again_is_left_alone() {
    let hook = Hook::start(Manner::Status(500)).await;
    let at = start(&hook, &[("filter_hook.failures_max", "3"), ("filter_hook.pause", "1h")]).await;
    for _ in 0..10 {
        say(&at, "hello").await.ok();
    }
    assert_eq!(hook.asked().len(), 3);
}

#[tokio::test]
async fn only_who_posts_waits_for_it_and_their_posts_stay_in_order() {
    let hook = Hook::start(Manner::Held).await;
    let at = start(&hook, &[("filter_hook.timeout", "60s")]).await;
    let mut socket = at.bob.connect().await;
    let (first, first_id) = socket.pipeline(&at.room, "first", None).await;
    let (second, _) = socket.pipeline(&at.room, "second", Some(&first_id)).await;
    eventually("the question", || async { (!hook.asked().is_empty()).then_some(()) }).await;
    // The room goes on meanwhile, and so does everybody else in it.
    hook.answer(Manner::Action("allow"));
    let posted = within("a post of somebody else", at.ann.say(&at.room, "meanwhile")).await;
    assert_eq!(posted["seq"], json!(1));
    at.ann.patch(&format!("rooms/{}", at.room), json!({"topic": "news"})).await.ok();
    hook.release();
    for reference in [first, second] {
        assert!(socket.reply(reference).await["ok"]["seq"].is_u64());
    }
    assert_eq!(at.ann.texts(&at.room).await, ["meanwhile", "first", "second"]);
}

#[tokio::test]
async fn no_more_questions_than_allowed_are_under_way() {
    let hook = Hook::start(Manner::Held).await;
    let at = start(&hook, &[("filter_hook.timeout", "60s"), ("filter_hook.max_in_flight", "1")]).await;
    let mut socket = at.bob.connect().await;
    let (held, _) = socket.pipeline(&at.room, "held", None).await;
    eventually("the question", || async { (!hook.asked().is_empty()).then_some(()) }).await;
    within("a post that is not asked about", at.ann.say(&at.room, "beyond")).await;
    assert_eq!(hook.asked().len(), 1);
    hook.release();
    assert!(socket.reply(held).await["ok"]["seq"].is_u64());
}
