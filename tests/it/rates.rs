//! Rates, over real sockets and requests: beyond one the answer is *busy* with a time, and after that time it works again (I4).

use crate::support::person::{Answer, PASSWORD, Person};
use crate::support::scene::Scene;
use crate::support::server::Server;
use crate::support::{eventually, within};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// The test's clock begins a little after the server's.
const SLACK: Duration = Duration::from_millis(100);

/// Does something until it is refused as busy; how long the refusal asks to wait.
async fn until_busy<F: Future<Output = Value>>(what: &str, mut act: impl FnMut() -> F) -> Duration {
    let refusal = within(what, async {
        loop {
            let error = act().await;
            if error["code"] == "busy" {
                return error;
            }
            assert!(error.is_null(), "{error}");
        }
    })
    .await;
    assert_eq!((&refusal["retry"], &refusal["stored"]), (&json!(true), &json!("no")));
    let wait = refusal["retry_after_ms"].as_u64().unwrap_or_else(|| panic!("no time: {refusal}"));
    assert!(wait > 0, "{refusal}");
    Duration::from_millis(wait)
}

/// Waits until it works again, which is not before the refusal said.
async fn until_it_works<F: Future<Output = Value>>(what: &str, wait: Duration, mut act: impl FnMut() -> F) {
    let refused = Instant::now();
    eventually(what, || {
        let acting = act();
        async { acting.await.is_null().then_some(()) }
    })
    .await;
    assert!(refused.elapsed() + SLACK >= wait, "{what} worked after {:?}, not {wait:?}", refused.elapsed());
}

fn error(answer: Answer) -> Value {
    if answer.status.is_success() { Value::Null } else { answer.body }
}

#[tokio::test]
async fn requests_beyond_the_rate_are_busy_and_work_again_after_the_time() {
    let server = Server::start_with(&[("rates.requests_per_account", "4/2s")]).await;
    let ann = Person::register(&server, "ann").await;
    let ask = || async { error(ann.get("me").await) };
    let wait = until_busy("a refusal", ask).await;
    until_it_works("a request", wait, ask).await;
    let refused = eventually("a refusal", || async {
        let answer = ann.get("me").await;
        (!answer.status.is_success()).then_some(answer)
    })
    .await;
    let header =
        refused.headers.get("retry-after").and_then(|value| value.to_str().ok()).and_then(|text| text.parse::<u64>().ok());
    let wait = refused.body["retry_after_ms"].as_u64().expect("a time");
    assert_eq!((refused.status.as_u16(), header), (429, Some(wait.div_ceil(1000))));
}

#[tokio::test]
async fn commands_beyond_the_rate_are_busy_and_work_again_after_the_time() {
    let scene = Scene::start_with(&[("rates.commands_per_account", "4/2s")]).await;
    let socket = tokio::sync::Mutex::new(scene.bob.connect().await);
    let ping = || async { socket.lock().await.ask("ping", json!({})).await["error"].clone() };
    let wait = until_busy("a refusal", ping).await;
    // Posts have a rate of their own.
    assert!(socket.lock().await.say(&scene.room, "still here").await.get("ok").is_some());
    until_it_works("a command", wait, ping).await;
}

#[tokio::test]
async fn posts_beyond_the_rate_are_busy_over_every_way_and_work_again_after_the_time() {
    let scene = Scene::start_with(&[("rates.posts_per_account", "4/2s")]).await;
    let socket = tokio::sync::Mutex::new(scene.bob.connect().await);
    let text = || Uuid::new_v4().to_string();
    let post = || async { socket.lock().await.say(&scene.room, &text()).await["error"].clone() };
    let rest = || async { error(scene.bob.say_as(&scene.room, &text(), &Uuid::now_v7().to_string()).await) };
    let wait = until_busy("a refusal", post).await;
    assert_eq!(rest().await["code"], "busy");
    until_it_works("a post", wait, post).await;
    let wait = until_busy("a refusal", rest).await;
    until_it_works("a post over REST", wait, rest).await;
}

#[tokio::test]
async fn direct_posts_behind_a_refused_one_are_refused_too() {
    let scene = Scene::start_with(&[("rates.posts_per_account", "3/1h")]).await;
    let mut socket = scene.bob.connect().await;
    let (mut waiting, mut before) = (Vec::new(), None::<Uuid>);
    for n in 0..6 {
        let client_id = Uuid::now_v7();
        let mut post = json!({"user": scene.ann.id, "client_id": client_id, "text": n.to_string()});
        if let Some(before) = before {
            post["after"] = json!(before);
        }
        waiting.push(socket.command("post_direct", post).await);
        before = Some(client_id);
    }
    let mut codes = Vec::new();
    for reference in waiting {
        let reply = socket.reply(reference).await;
        codes.push(reply["error"]["code"].as_str().unwrap_or("ok").to_owned());
    }
    assert_eq!(codes, ["ok", "ok", "ok", "busy", "previous_refused", "previous_refused"]);
}

#[tokio::test]
async fn a_stranger_cannot_use_up_somebodys_token_renewals() {
    let server = Server::start_with(&[("rates.refresh_per_account", "2/1h")]).await;
    let ann = Person::register(&server, "ann").await;
    let anybody = Person::anonymous(&server.base());
    let refresh = |token: &str| json!({"refresh_token": token});
    // The id of the login is in the token and no secret; all behind it is.
    let mut forged = BASE64_URL_SAFE_NO_PAD.decode(&ann.refresh).expect("a token");
    forged[16..].fill(7);
    let forged = BASE64_URL_SAFE_NO_PAD.encode(forged);
    for _ in 0..4 {
        assert_eq!(anybody.post("logins/refresh", refresh(&forged)).await.code(), "unauthenticated");
    }
    let renewed = anybody.post("logins/refresh", refresh(&ann.refresh)).await.ok();
    let second = renewed["refresh_token"].as_str().expect("a token");
    let renewed = anybody.post("logins/refresh", refresh(second)).await.ok();
    // Her own do count.
    let third = renewed["refresh_token"].as_str().expect("a token");
    assert_eq!(anybody.post("logins/refresh", refresh(third)).await.code(), "busy");
}

#[tokio::test]
async fn only_wrong_passwords_count_and_for_unknown_names_alike() {
    let server = Server::start_with(&[("rates.login_per_account", "2/1h")]).await;
    let ann = Person::register(&server, "ann").await;
    let log_in = async |name: &str, password: &str| ann.post("logins", json!({"name": name, "password": password})).await;
    for _ in 0..4 {
        log_in("ann", PASSWORD).await.ok();
    }
    for name in ["ann", "nobody"] {
        let (first, second) = (log_in(name, "not the password").await, log_in(name, "nor is this").await);
        assert_eq!((first.code(), second.code()), ("credentials_wrong", "credentials_wrong"), "{name}");
        assert_eq!(log_in(name, PASSWORD).await.code(), "busy", "{name}");
    }
    // The same where a password is asked for again; an account of its own, as that count is one's own.
    let bob = Person::register(&server, "bob").await;
    for n in 0..4 {
        let (old, new) = if n % 2 == 0 { (PASSWORD, "another long one") } else { ("another long one", PASSWORD) };
        bob.put("me/password", json!({"old": old, "new": new})).await.ok();
    }
    for _ in 0..2 {
        assert_eq!(bob.put("me/password", json!({"old": "wrong", "new": PASSWORD})).await.code(), "credentials_wrong");
    }
    assert_eq!(bob.put("me/password", json!({"old": PASSWORD, "new": "another long one"})).await.code(), "busy");
}
