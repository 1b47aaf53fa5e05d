//! Tokens that prove nothing: made up, over, replayed.

use super::goes_on;
use crate::support::calm::Calm;
use crate::support::eventually;
use crate::support::person::Person;
use crate::support::scene::Scene;
use crate::support::server::Server;
use crate::support::wire::Wire;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use serde_json::json;

/// How a `hello` with this token is refused and closed.
async fn turned_away(server: &Server, token: &str) -> (String, Option<u16>) {
    let mut wire = Wire::open(server).await;
    wire.command(1, "hello", json!({"token": token})).await;
    let reply = wire.reply(1).await;
    (reply["error"]["code"].as_str().unwrap_or("none").to_owned(), wire.closed().await)
}

fn refused() -> (String, Option<u16>) {
    ("unauthenticated".to_owned(), Some(4101))
}

#[tokio::test]
async fn a_token_that_is_not_of_this_server_is_refused() {
    let (calm, scene, other) = (Calm::watch(), Scene::start().await, Server::start().await);
    let stranger = Person::register(&other, "bob").await;
    let parts: Vec<&str> = scene.bob.token.split('.').collect();
    let [head, body, signature] = parts[..] else { panic!("not a token") };
    let signed_by_nobody = String::from_utf8(BASE64.decode(head).expect("base64")).expect("text").replace("HS256", "none");
    let tokens = [
        ("another server's", stranger.token.clone()),
        ("nothing", String::new()),
        ("no token", "a.b.c".to_owned()),
        ("a refresh token", scene.bob.refresh.clone()),
        ("unsigned", format!("{head}.{body}.")),
        ("signed by nobody", format!("{}.{body}.", BASE64.encode(signed_by_nobody))),
        ("another's body", format!("{head}.{}.{signature}", scene.ann.token.split('.').nth(1).expect("a body"))),
        ("very long", "x".repeat(60_000)),
    ];
    for (what, token) in tokens {
        assert_eq!(turned_away(&scene.server, &token).await, refused(), "{what}");
    }
    goes_on(&scene, &calm).await;
}

#[tokio::test]
async fn a_token_whose_time_is_over_is_refused_as_such() {
    let (calm, scene) = (Calm::watch(), Scene::start().await);
    let short = Server::start_with(&[("accounts.access_token_ttl", "1s"), ("session.token_warning", "100ms")]).await;
    let mut carl = Person::register(&short, "carl").await;
    let refused = eventually("the token's end", || async {
        let mut wire = Wire::open(&short).await;
        wire.command(1, "hello", json!({"token": carl.token})).await;
        let reply = wire.reply(1).await;
        match reply["error"]["code"].as_str() {
            None => None,
            Some(code) => Some((code.to_owned(), wire.closed().await)),
        }
    })
    .await;
    assert_eq!(refused, ("token_expired".to_owned(), Some(4100)));
    assert_eq!(carl.get("me").await.code(), "token_expired");
    let renewed = carl.post("logins/refresh", json!({"refresh_token": carl.refresh})).await.ok();
    carl.adopt(&renewed);
    // A socket does not outlive its token either.
    assert_eq!(Wire::greeted(&short, &carl).await.closed().await, Some(4100));
    goes_on(&scene, &calm).await;
}

#[tokio::test]
async fn a_token_that_is_replayed_after_its_login_ended_is_refused() {
    let (calm, scene) = (Calm::watch(), Scene::start().await);
    let device = Person::log_in(&scene.server, "bob").await;
    let mut wire = Wire::greeted(&scene.server, &device).await;
    device.delete("logins/current").await.ok();
    assert_eq!(wire.closed().await, Some(4200), "the open socket feels it");
    assert_eq!(turned_away(&scene.server, &device.token).await, refused());
    let mut mine = Wire::greeted(&scene.server, &scene.bob).await;
    mine.command(2, "renew", json!({"token": device.token})).await;
    assert_eq!(mine.reply(2).await["error"]["code"], json!("unauthenticated"));
    mine.command(3, "renew", json!({"token": scene.ann.token})).await;
    assert_eq!(mine.reply(3).await["error"]["code"], json!("unauthenticated"), "nobody becomes somebody else");
    assert_eq!(device.post("logins/refresh", json!({"refresh_token": device.refresh})).await.code(), "unauthenticated");
    goes_on(&scene, &calm).await;
}
