//! Who may do what with a room, over REST: every route of a room, for everybody, in a public and in a private room (I10).
//!
//! The table is checked against the routes: a new route without a row fails.

use crate::support::person::{Answer, Person};
use crate::support::server::Server;
use crate::support::socket::Socket;
use futures_util::{StreamExt, stream};
use hubbub::http::routes;
use hubbub::store::Store;
use hubbub::store::users::changes::Administer;
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use uuid::Uuid;

const OK: &str = "ok";
const NOT_FOUND: &str = "not_found";
const NOT_MEMBER: &str = "not_member";
const NOT_ALLOWED: &str = "not_allowed";
const BANNED: &str = "banned";
const LAST_OWNER: &str = "last_owner";
const SILENCED: &str = "silenced";

/// What a stranger, a member, a moderator, the owner, a banned person and an administrator (otherwise a stranger) are answered.
type Answers = [&'static str; 6];

/// First in a public room, then in a private one.
type Rule = (Answers, Answers);

const EVERYBODY: Rule = ([OK; 6], [OK; 6]);
const WHO_MAY_FIND: Rule = ([OK; 6], [NOT_FOUND, OK, OK, OK, NOT_FOUND, NOT_FOUND]);
const WHO_MAY_JOIN: Rule = ([OK, OK, OK, OK, BANNED, OK], [NOT_FOUND, OK, OK, OK, BANNED, NOT_FOUND]);
const WITH_A_LINK: Rule = ([OK, OK, OK, OK, BANNED, OK], [OK, OK, OK, OK, BANNED, OK]);
const BUT_THE_LAST_OWNER: Rule = ([OK, OK, OK, LAST_OWNER, OK, OK], [NOT_FOUND, OK, OK, LAST_OWNER, OK, NOT_FOUND]);
const WHO_MAY_KNOW: Rule = ([OK; 6], [NOT_FOUND, OK, OK, OK, OK, NOT_FOUND]);
const MEMBERS: Rule = ([NOT_MEMBER, OK, OK, OK, BANNED, NOT_MEMBER], [NOT_FOUND, OK, OK, OK, BANNED, NOT_FOUND]);
const INVITER_OR_MODERATOR: Rule =
    ([NOT_MEMBER, NOT_ALLOWED, OK, OK, BANNED, NOT_MEMBER], [NOT_FOUND, NOT_ALLOWED, OK, OK, BANNED, NOT_FOUND]);
const MODERATORS: Rule = ([NOT_MEMBER, NOT_ALLOWED, OK, OK, BANNED, OK], [NOT_FOUND, NOT_ALLOWED, OK, OK, BANNED, NOT_FOUND]);
/// Who administers the server must have joined to act on what was said.
const MODERATORS_INSIDE: Rule =
    ([NOT_MEMBER, NOT_ALLOWED, OK, OK, BANNED, NOT_MEMBER], [NOT_FOUND, NOT_ALLOWED, OK, OK, BANNED, NOT_FOUND]);
const THE_AUTHOR: Rule = (
    [NOT_MEMBER, NOT_ALLOWED, NOT_ALLOWED, OK, BANNED, NOT_MEMBER],
    [NOT_FOUND, NOT_ALLOWED, NOT_ALLOWED, OK, BANNED, NOT_FOUND],
);
const OWNERS: Rule =
    ([NOT_MEMBER, NOT_ALLOWED, NOT_ALLOWED, OK, BANNED, OK], [NOT_FOUND, NOT_ALLOWED, NOT_ALLOWED, OK, BANNED, NOT_FOUND]);

/// What is a way of speaking: the only routes that answer somebody who is silenced otherwise than any member.
const SPEAKING: &[(&str, &str)] = &[
    ("post", "/api/v1/rooms/{room}/messages"),
    ("patch", "/api/v1/rooms/{room}/messages/{seq}"),
    ("put", "/api/v1/rooms/{room}/messages/{seq}/reactions/{emoji}"),
    ("delete", "/api/v1/rooms/{room}/messages/{seq}/reactions/{emoji}"),
    ("put", "/api/v1/rooms/{room}/messages/{seq}/pin"),
    ("delete", "/api/v1/rooms/{room}/messages/{seq}/pin"),
    ("post", "/api/v1/rooms/{room}/typing"),
];

fn in_an_hour() -> chrono::DateTime<chrono::Utc> {
    hubbub::domain::time::Clock::system().now() + chrono::TimeDelta::hours(1)
}

struct Row {
    method: &'static str,
    path: &'static str,
    body: Value,
    rule: Rule,
}

/// The rows. In a body, `{victim}` and `{secret}` stand for what the scene has.
fn table() -> Vec<Row> {
    let row = |method, path, body, rule| Row { method, path, body, rule };
    vec![
        row("get", "/api/v1/rooms/{room}", Value::Null, WHO_MAY_FIND),
        row("patch", "/api/v1/rooms/{room}", json!({"topic": "news"}), MODERATORS),
        row("patch", "/api/v1/rooms/{room}", json!({"name": "hall"}), OWNERS),
        row("patch", "/api/v1/rooms/{room}", json!({"archived": true}), OWNERS),
        row("patch", "/api/v1/rooms/{room}", json!({"kind": "private"}), OWNERS),
        row("delete", "/api/v1/rooms/{room}", Value::Null, OWNERS),
        row("put", "/api/v1/rooms/{room}/members/me", Value::Null, WHO_MAY_JOIN),
        row("delete", "/api/v1/rooms/{room}/members/me", Value::Null, BUT_THE_LAST_OWNER),
        row("get", "/api/v1/rooms/{room}/members", Value::Null, MEMBERS),
        row("patch", "/api/v1/rooms/{room}/members/{user}", json!({"role": "moderator"}), OWNERS),
        row("delete", "/api/v1/rooms/{room}/members/{user}", Value::Null, MODERATORS),
        row("get", "/api/v1/rooms/{room}/bans", Value::Null, MODERATORS),
        row("put", "/api/v1/rooms/{room}/bans/{user}", Value::Null, MODERATORS),
        row("delete", "/api/v1/rooms/{room}/bans/{user}", Value::Null, MODERATORS),
        row("get", "/api/v1/rooms/{room}/silences", Value::Null, MODERATORS),
        row("put", "/api/v1/rooms/{room}/silences/{user}", json!({"until": in_an_hour()}), MODERATORS),
        row("delete", "/api/v1/rooms/{room}/silences/{user}", Value::Null, MODERATORS),
        row("put", "/api/v1/rooms/{room}/owner", json!({"user": "{victim}"}), OWNERS),
        row("put", "/api/v1/rooms/{room}/invitations/{user}", Value::Null, MEMBERS),
        row("delete", "/api/v1/rooms/{room}/invitations/{user}", Value::Null, INVITER_OR_MODERATOR),
        row("delete", "/api/v1/me/invitations/{room}", Value::Null, WHO_MAY_KNOW),
        row("post", "/api/v1/rooms/{room}/links", json!({}), MODERATORS),
        row("get", "/api/v1/rooms/{room}/links", Value::Null, MODERATORS),
        row("delete", "/api/v1/rooms/{room}/links/{link}", Value::Null, MODERATORS),
        row("post", "/api/v1/links/redeem", json!({"secret": "{secret}"}), WITH_A_LINK),
        row("post", "/api/v1/rooms/{room}/messages", json!({"client_id": Uuid::now_v7(), "text": "hello"}), MEMBERS),
        row("post", "/api/v1/rooms/{room}/typing", Value::Null, MEMBERS),
        row("get", "/api/v1/rooms/{room}/receipts", Value::Null, MEMBERS),
        row("put", "/api/v1/rooms/{room}/read", json!({"seq": 1}), MEMBERS),
        row("get", "/api/v1/rooms/{room}/preferences", Value::Null, MEMBERS),
        row("put", "/api/v1/rooms/{room}/preferences", json!({"muted_until": "forever"}), MEMBERS),
        row("get", "/api/v1/rooms/{room}/threads/{seq}/preferences", Value::Null, MEMBERS),
        row("put", "/api/v1/rooms/{room}/threads/{seq}/preferences", json!({"following": "yes"}), MEMBERS),
        row("put", "/api/v1/me/drafts/{room}", json!({"text": "so far"}), MEMBERS),
        row("delete", "/api/v1/me/drafts/{room}", Value::Null, EVERYBODY),
        row("get", "/api/v1/rooms/{room}/messages", Value::Null, MEMBERS),
        row("get", "/api/v1/rooms/{room}/messages/{seq}", Value::Null, MEMBERS),
        // The owner has said it.
        row("patch", "/api/v1/rooms/{room}/messages/{seq}", json!({"text": "second"}), THE_AUTHOR),
        row("delete", "/api/v1/rooms/{room}/messages/{seq}", Value::Null, MODERATORS_INSIDE),
        row("get", "/api/v1/rooms/{room}/messages/{seq}/edits", Value::Null, MODERATORS_INSIDE),
        row("get", "/api/v1/rooms/{room}/messages/{seq}/thread", Value::Null, MEMBERS),
        row("put", "/api/v1/rooms/{room}/messages/{seq}/reactions/{emoji}", Value::Null, MEMBERS),
        row("delete", "/api/v1/rooms/{room}/messages/{seq}/reactions/{emoji}", Value::Null, MEMBERS),
        row("put", "/api/v1/rooms/{room}/messages/{seq}/pin", Value::Null, MODERATORS_INSIDE),
        row("delete", "/api/v1/rooms/{room}/messages/{seq}/pin", Value::Null, MODERATORS_INSIDE),
        row("get", "/api/v1/rooms/{room}/pins", Value::Null, MEMBERS),
        row("get", "/api/v1/rooms/{room}/notices", Value::Null, MEMBERS),
        row("get", "/api/v1/rooms/{room}/changes", Value::Null, MEMBERS),
        row("get", "/api/v1/rooms/{room}/filters", Value::Null, MODERATORS),
        row("post", "/api/v1/rooms/{room}/filters", json!({"kind": "word", "pattern": "spam", "action": "refuse"}), MODERATORS),
        row("delete", "/api/v1/rooms/{room}/filters/{filter}", Value::Null, MODERATORS),
        row("get", "/api/v1/rooms/{room}/audit", Value::Null, MODERATORS),
    ]
}

/// Everybody who takes part, in every scene the same.
struct Cast {
    /// Those who ask, in the order of [`Answers`].
    asking: [Person; 6],
    /// A plain member, who is done to.
    victim: Person,
    /// Somebody invited by the owner.
    invited: Person,
}

impl Cast {
    fn owner(&self) -> &Person {
        &self.asking[3]
    }
}

/// One room with everybody in their places.
struct Scene {
    room: String,
    link: String,
    secret: String,
}

async fn cast(server: &mut Server) -> Cast {
    let register = |name| Person::register(server, name);
    let names = ["stranger", "member", "moderator", "owner", "banned", "admin"];
    let mut asking = Vec::new();
    for name in names {
        asking.push(register(name).await);
    }
    let (victim, invited) = (register("victim").await, register("invited").await);
    let admin = asking[5].id.parse().expect("an id");
    server.stop().await;
    let config = server.config();
    let store = Store::open(&config.database, server.folder.path()).await.expect("the store opens");
    let now = hubbub::domain::time::Clock::system().now();
    let promote = Administer { user: admin, disabled: None, admin: Some(true), by: None, now };
    store.transaction(Arc::new(promote), crate::support::DEADLINE).await.expect("the account is promoted");
    drop(store);
    server.restart().await;
    let asking: Vec<_> = asking.iter().map(|person| person.moved_to(server)).collect();
    let asking = asking.try_into().unwrap_or_else(|_| panic!("six ask"));
    Cast { asking, victim: victim.moved_to(server), invited: invited.moved_to(server) }
}

async fn scene(cast: &Cast, kind: &str) -> Scene {
    let owner = cast.owner();
    let room = owner.make_room("room", kind).await;
    let [_, member, moderator, _, banned, _] = &cast.asking;
    for person in [member, moderator, &cast.victim, &cast.invited] {
        owner.put(&format!("rooms/{room}/invitations/{}", person.id), json!({})).await.ok();
    }
    for person in [member, moderator, &cast.victim] {
        person.join(&room).await;
    }
    owner.patch(&format!("rooms/{room}/members/{}", moderator.id), json!({"role": "moderator"})).await.ok();
    owner.put(&format!("rooms/{room}/bans/{}", banned.id), json!({})).await.ok();
    owner.say(&room, "first").await;
    let link = owner.post(&format!("rooms/{room}/links"), json!({})).await.ok();
    let text = |name: &str| link[name].as_str().expect("a text").to_owned();
    Scene { link: text("id"), secret: text("secret"), room }
}

async fn ask(cast: &Cast, scene: &Scene, row: &Row, who: &Person) -> Answer {
    let about = match (row.method, row.path) {
        ("delete", path) if path.contains("invitations/{user}") => &cast.invited,
        ("put", path) if path.contains("invitations/{user}") => &cast.asking[0],
        ("delete", path) if path.contains("bans/{user}") => &cast.asking[4],
        _ => &cast.victim,
    };
    let mut path = row.path.replace("{room}", &scene.room).replace("{user}", &about.id);
    path = path.replace("{link}", &scene.link).replace("{filter}", &scene.link);
    path = path.replace("{seq}", "1").replace("{emoji}", "👍");
    if path.ends_with("/changes") {
        path.push_str("?after=0");
    }
    let body = row.body.to_string().replace("{victim}", &cast.victim.id).replace("{secret}", &scene.secret);
    let body = (!row.body.is_null()).then(|| serde_json::from_str(&body).expect("still JSON"));
    let method: Method = row.method.to_uppercase().parse().expect("a method");
    who.request(method, &path, body).await
}

#[test]
fn every_route_of_a_room_has_a_row() {
    let of_rooms = |path: &str| path.contains("{room}") || path.contains("/links");
    let routes: BTreeSet<_> = routes::TABLE.iter().copied().filter(|(_, path)| of_rooms(path)).collect();
    let rows: BTreeSet<_> = table().iter().map(|row| (row.method, row.path)).collect();
    assert_eq!(routes, rows);
}

#[tokio::test]
async fn everybody_may_do_with_a_room_what_the_table_says_and_nothing_else() {
    let off =
        ["rates.requests_per_address", "rates.requests_per_account", "rates.rooms_made_per_account", "rates.posts_per_account"];
    let mut server = Server::start_with(&off.map(|rate| (rate, "off"))).await;
    let cast = cast(&mut server).await;
    let table = table();
    let cases = table.iter().flat_map(|row| (0..6).flat_map(move |who| [("public", row, who), ("private", row, who)]));
    let (cast, shared) = (&cast, [scene(&cast, "public").await, scene(&cast, "private").await]);
    let shared = &shared;
    let judged = stream::iter(cases).map(|(kind, row, who)| async move {
        let expected = if kind == "public" { row.rule.0[who] } else { row.rule.1[who] };
        // What changes something needs a room of its own; everything else is asked about the same two.
        let answer = if expected == OK && row.method != "get" {
            ask(cast, &scene(cast, kind).await, row, &cast.asking[who]).await
        } else {
            ask(cast, &shared[usize::from(kind == "private")], row, &cast.asking[who]).await
        };
        let got = if answer.status.is_success() { OK.to_owned() } else { answer.code().to_owned() };
        let name = &cast.asking[who].name;
        (got != expected)
            .then(|| format!("{name} in a {kind} room: {} {} {}: {got}, not {expected}", row.method, row.path, row.body))
    });
    let wrong: Vec<_> = judged.buffer_unordered(8).filter_map(|wrong| async { wrong }).collect().await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn somebody_silenced_may_do_what_a_member_may_but_speak() {
    let off = ["rates.rooms_made_per_account", "rates.posts_per_account"];
    let mut server = Server::start_with(&off.map(|rate| (rate, "off"))).await;
    let cast = cast(&mut server).await;
    let silenced = &cast.asking[1];
    let mut wrong = Vec::new();
    for row in &table() {
        let scene = scene(&cast, "private").await;
        let silence = json!({"until": in_an_hour()});
        cast.owner().put(&format!("rooms/{}/silences/{}", scene.room, silenced.id), silence).await.ok();
        let expected = if SPEAKING.contains(&(row.method, row.path)) { SILENCED } else { row.rule.1[1] };
        let answer = ask(&cast, &scene, row, silenced).await;
        let got = if answer.status.is_success() { OK } else { answer.code() };
        if got != expected {
            wrong.push(format!("{} {} {}: {got}, not {expected}", row.method, row.path, row.body));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn a_stranger_gets_of_every_hidden_room_exactly_what_an_unknown_one_gives() {
    let mut server = Server::start_with(&[("rates.rooms_made_per_account", "off")]).await;
    let cast = cast(&mut server).await;
    let [_, member, _, owner, ..] = &cast.asking;
    let archived = owner.make_room("archive", "private").await;
    owner.patch(&format!("rooms/{archived}"), json!({"archived": true})).await.ok();
    let direct = json!({"client_id": Uuid::now_v7(), "text": "psst"});
    let direct = owner.post(&format!("direct/{}/messages", member.id), direct).await.ok()["room"].clone();
    let group = owner.post("groups", json!({"users": [member.id, cast.victim.id]})).await.ok()["id"].clone();
    let id = |room: &Value| room.as_str().expect("an id").to_owned();
    let private = owner.make_room("room", "private").await;
    let hidden = [("private", private), ("archived", archived), ("direct", id(&direct)), ("group", id(&group))];
    let at = |room: &str| Scene { room: room.to_owned(), link: Uuid::now_v7().to_string(), secret: String::new() };
    let unknown = at(&Uuid::now_v7().to_string());
    let mut wrong = Vec::new();
    // A plain stranger, and one who administers the server.
    for stranger in [&cast.asking[0], &cast.asking[5]] {
        let mut socket = stranger.connect().await;
        for row in table().iter().filter(|row| row.path.contains("{room}")) {
            let expected = ask(&cast, &unknown, row, stranger).await.but_its_id();
            for (kind, room) in &hidden {
                let got = ask(&cast, &at(room), row, stranger).await.but_its_id();
                if got != expected {
                    wrong.push(format!(
                        "{} in a {kind} room: {} {}: {got:?}, not {expected:?}",
                        stranger.name, row.method, row.path
                    ));
                }
            }
        }
        let expected = over_socket(&mut socket, &unknown.room).await;
        for (kind, room) in &hidden {
            let got = over_socket(&mut socket, room).await;
            if got != expected {
                wrong.push(format!("{} at a {kind} room over a socket: {got:?}, not {expected:?}", stranger.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What the commands that name a room answer.
async fn over_socket(socket: &mut Socket, room: &str) -> [Value; 3] {
    let said = socket.say(room, "hello").await["error"].clone();
    let mut subscribed = socket.ask("subscribe", json!({"rooms": [{"room": room, "cursor": 1}]})).await["ok"]["rooms"][0].clone();
    subscribed["room"] = Value::Null;
    let left = socket.ask("unsubscribe", json!({"rooms": [room]})).await["ok"].clone();
    [said, subscribed, left]
}

#[cfg(feature = "faults")]
#[tokio::test]
async fn faults_are_armed_by_administrators_only() {
    let mut server = Server::start().await;
    let cast = cast(&mut server).await;
    let fault = json!({"name": "no.such.point", "times": 1});
    for (who, expected) in cast.asking.iter().zip(["not_allowed", "not_allowed", "not_allowed", "not_allowed", "not_allowed", OK])
    {
        let answer = who.post("admin/faults", fault.clone()).await;
        let got = if answer.status.is_success() { OK } else { answer.code() };
        assert_eq!(got, expected, "{}", who.name);
    }
    assert!(routes::TABLE.contains(&("post", "/api/v1/admin/faults")));
}

#[tokio::test]
async fn nobody_without_a_token_gets_past_the_door() {
    let server = Server::start().await;
    let nobody = Person::anonymous(&server.base());
    let open = ["/api/v1/accounts", "/api/v1/logins", "/api/v1/logins/refresh", "/api/v1/openapi.json"];
    let id = Uuid::now_v7().to_string();
    for (method, path) in routes::TABLE.iter().filter(|(_, path)| path.starts_with("/api/") && !open.contains(path)) {
        let mut path = (*path).to_owned();
        for name in ["{room}", "{user}", "{link}", "{login}", "{registration}", "{report}", "{filter}"] {
            path = path.replace(name, &id);
        }
        let path = path.replace("{seq}", "1").replace("{emoji}", "👍");
        let query = match path.rsplit('/').next() {
            Some("changes") => "?after=0",
            Some("presence") => "?users=",
            _ => "",
        };
        let method: Method = method.to_uppercase().parse().expect("a method");
        let body = (method != Method::GET && method != Method::DELETE).then(|| json!({}));
        let answer = nobody.request(method.clone(), &format!("{path}{query}"), body).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (401, "unauthenticated"), "{method} {path}");
    }
}
