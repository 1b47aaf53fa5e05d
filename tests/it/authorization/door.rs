//! Who is not signed in, or not any more, gets past no door: no route but those that are open, and no command.

use super::ask::{Filling, code};
use super::rule::{NOT_FOUND, OK, Who};
use super::scene::{self, Cast, Scene};
use super::table::table;
use crate::support::person::{PASSWORD, Person};
use crate::support::server::Server;
use crate::support::socket::{Next, Socket};
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;
use uuid::Uuid;

/// The close code of `unauthenticated` (PROTOCOL §8).
const UNAUTHENTICATED: u16 = 4101;

/// People whose token is worth nothing, and how it came to that.
async fn outsiders(server: &Server, cast: &Cast) -> Vec<(&'static str, Person)> {
    let base = &cast.victim.base;
    let register = |name| Person::register_at(base, name);
    let (gone, out, disabled, changed) =
        tokio::join!(register("gone"), register("out"), register("disabled"), register("changed"));
    gone.request(Method::DELETE, "me", Some(json!({"password": PASSWORD}))).await.ok();
    out.delete("logins/current").await.ok();
    let admin = cast.who(Who::Admin);
    admin.patch(&format!("admin/users/{}", disabled.id), json!({"disabled": true})).await.ok();
    let (mut nobody, mut liar) = (Person::anonymous(base), Person::anonymous(base));
    liar.token = admin.token.rsplit_once('.').map(|(head, _)| format!("{head}.c2ln")).expect("a signed token");
    nobody.refresh.clone_from(&cast.victim.refresh);
    liar.refresh.clone_from(&cast.victim.refresh);
    // The login with which a password is changed stays, every other ends.
    let other = Person::log_in(server, "changed").await;
    changed.put("me/password", json!({"old": PASSWORD, "new": "another horse entirely"})).await.ok();
    vec![
        ("not signed in", nobody),
        ("with a token that nobody signed", liar),
        ("deleted", gone),
        ("logged out", out),
        ("disabled", disabled),
        ("with another password since", other),
    ]
}

#[tokio::test]
async fn who_is_not_signed_in_any_more_gets_past_no_door_but_the_open_ones() {
    let mut server = scene::server().await;
    let cast = &Cast::gather(&mut server, 1).await;
    let scene = &Scene::at(&Uuid::now_v7().to_string());
    let table = &table();
    let each = outsiders(&server, cast).await.into_iter().map(|(how, person)| async move {
        let mut wrong = Vec::new();
        for row in table {
            let filling = Filling { cast, scene, seq: 1 };
            let Some(answer) = filling.route(row, &person).await else { continue };
            let got = if row.rule.open { code(&answer) } else { format!("{} {}", answer.status.as_u16(), answer.code()) };
            let expected = if row.rule.open { OK } else { "401 unauthenticated" };
            // Their refresh tokens have ended, too.
            let refresh = row.route.is_some_and(|(_, path)| path.ends_with("logins/refresh")) && got == "unauthenticated";
            let ended = refresh && !person.id.is_empty();
            if got != expected && !ended {
                wrong.push(format!("{how}: {:?}: {got}, not {expected}", row.route));
            }
        }
        let mut socket = Socket::open(&person.base).await;
        let reply = socket.ask("hello", json!({"token": person.token})).await;
        if reply["error"]["code"] != "unauthenticated" || socket.closed().await != Some(UNAUTHENTICATED) {
            wrong.push(format!("{how}: hello: {reply}"));
        }
        wrong
    });
    let wrong = join_all(each).await.concat();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn no_command_is_carried_out_before_hello() {
    let mut server = scene::server().await;
    let cast = &Cast::gather(&mut server, 1).await;
    let scene = &cast.scene(super::rule::Place::Public, Who::Owner).await;
    let owner = cast.owner();
    let mut wrong = Vec::new();
    for row in table().iter().filter(|row| row.command.as_ref().is_some_and(|(name, _)| *name != "hello")) {
        let mut socket = Socket::open(&owner.base).await;
        let reply = Filling { cast, scene, seq: 1 }.command(row, owner, &mut socket).await.expect("it has a command");
        let closed = matches!(socket.next().await, Next::Closed(Some(UNAUTHENTICATED)));
        if reply["error"]["code"] != "hello_first" || !closed {
            wrong.push(format!("{:?}: {reply}, closed: {closed}", row.command));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_ne!(owner.get(&format!("rooms/{}", scene.room)).await.body["code"], NOT_FOUND);
    let members = owner.get(&format!("rooms/{}/members", scene.room)).await.ok();
    assert_eq!(members["items"].as_array().map(Vec::len), Some(6), "{}", members);
}
