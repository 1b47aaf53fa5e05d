//! Accounts over REST: registering, logging in, renewing, revoking, finding people, administering, leaving for good.

use crate::support::person::{PASSWORD, Person};
use crate::support::server::Server;
use crate::support::within;
use reqwest::header::{HeaderMap, HeaderName};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};

const LOGGED_OUT: u16 = 4200;

fn items(page: &Value, field: &str) -> Vec<String> {
    let items = page["items"].as_array().unwrap_or_else(|| panic!("no items: {page}"));
    items.iter().map(|item| item[field].as_str().unwrap_or_default().to_owned()).collect()
}

async fn admin(server: &Server) -> Person {
    server.user_command(&["add", "root1", "--admin"], PASSWORD).await;
    Person::log_in(server, "root1").await
}

#[tokio::test]
async fn registering_logs_in_and_shows_only_what_others_may_see() {
    let server = Server::start().await;
    let mut ann = Person::anonymous(&server.base());
    let made = ann.post("accounts", json!({"name": "Ann", "password": PASSWORD, "display_name": "Ann Lee"})).await;
    assert_eq!(made.status, StatusCode::CREATED);
    ann.adopt(&made.ok());
    let me = ann.get("me").await.ok();
    assert_eq!((&me["user"]["name"], &me["user"]["display_name"]), (&json!("Ann"), &json!("Ann Lee")));
    let bob = Person::register(&server, "bob").await;
    let seen = bob.get(&format!("users/{}", ann.id)).await.ok();
    let fields: Vec<&String> = seen.as_object().expect("an object").keys().collect();
    assert_eq!(fields, ["deleted", "display_name", "id", "name"]);
}

#[tokio::test]
async fn names_that_look_alike_are_taken_and_weak_passwords_refused() {
    let server = Server::start().await;
    Person::register(&server, "paypal").await;
    let anybody = Person::anonymous(&server.base());
    let account = |name: &str, password: &str| json!({"name": name, "password": password});
    for taken in ["PAYPAL", "p\u{430}ypal"] {
        assert_eq!(anybody.post("accounts", account(taken, PASSWORD)).await.code(), "name_taken", "{taken}");
    }
    assert_eq!(anybody.post("accounts", account("bob", "password1")).await.code(), "password_weak");
    assert_eq!(anybody.post("accounts", account("b b", PASSWORD)).await.code(), "name_invalid");
    let long = "correct horse battery staple ".repeat(20);
    anybody.post("accounts", account("carl", &long)).await.ok();
    anybody.post("logins", account("carl", &long)).await.ok();
    assert_eq!(anybody.post("logins", account("carl", &long[..580 - 1])).await.code(), "credentials_wrong");
}

#[tokio::test]
async fn an_unknown_name_and_a_wrong_password_answer_the_same() {
    let server = Server::start().await;
    Person::register(&server, "ann").await;
    let anybody = Person::anonymous(&server.base());
    let wrong = anybody.post("logins", json!({"name": "ann", "password": "not the password"})).await;
    let unknown = anybody.post("logins", json!({"name": "nobody", "password": "not the password"})).await;
    assert_eq!(wrong.status, StatusCode::UNAUTHORIZED);
    assert_eq!(wrong.but_its_id(), unknown.but_its_id());
}

#[tokio::test]
async fn a_refresh_token_rotates_and_an_old_one_ends_the_login() {
    let server = Server::start_with(&[("accounts.refresh_grace", "1ms")]).await;
    let mut ann = Person::register(&server, "ann").await;
    let (stolen, socket) = (ann.refresh.clone(), ann.connect().await);
    let next = ann.post("logins/refresh", json!({"refresh_token": stolen})).await.ok();
    assert_ne!(next["refresh_token"], json!(stolen));
    ann.adopt(&next);
    ann.get("me").await.ok();
    assert_eq!(ann.post("logins/refresh", json!({"refresh_token": stolen})).await.code(), "unauthenticated");
    assert_eq!(ann.get("me").await.code(), "unauthenticated", "its access tokens end with it");
    let mut socket = socket;
    assert_eq!(within("the close", socket.closed()).await, Some(LOGGED_OUT));
    assert_eq!(ann.post("logins/refresh", json!({"refresh_token": ann.refresh})).await.code(), "unauthenticated");
}

#[tokio::test]
async fn a_repeated_refresh_gives_the_same_token_within_the_grace() {
    let server = Server::start().await;
    let ann = Person::register(&server, "ann").await;
    let refresh = || ann.post("logins/refresh", json!({"refresh_token": ann.refresh}));
    let (first, second) = tokio::join!(refresh(), refresh());
    assert_eq!(first.ok()["refresh_token"], second.ok()["refresh_token"]);
}

#[tokio::test]
async fn logins_are_listed_and_end_one_by_one_or_all_at_once() {
    let server = Server::start().await;
    let here = Person::register(&server, "ann").await;
    let (there, elsewhere) = (Person::log_in(&server, "ann").await, Person::log_in(&server, "ann").await);
    let listed = here.get("logins").await.ok();
    let current: Vec<&Value> =
        listed["items"].as_array().unwrap().iter().filter(|login| login["current"] == json!(true)).collect();
    assert_eq!(current.len(), 1);
    assert_eq!(current[0]["address"], "127.0.0.1");
    let of_there = there.get("logins").await.ok();
    let its_id = of_there["items"].as_array().unwrap().iter().find(|login| login["current"] == json!(true)).unwrap()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let mut socket = there.connect().await;
    here.delete(&format!("logins/{its_id}")).await.ok();
    assert_eq!(there.get("me").await.code(), "unauthenticated");
    assert_eq!(within("the close", socket.closed()).await, Some(LOGGED_OUT));
    here.delete("logins?others=true").await.ok();
    assert_eq!(elsewhere.get("me").await.code(), "unauthenticated");
    here.get("me").await.ok();
    here.delete("logins/current").await.ok();
    assert_eq!(here.get("me").await.code(), "unauthenticated");
    assert_eq!(here.post("logins/refresh", json!({"refresh_token": here.refresh})).await.code(), "unauthenticated");
}

#[tokio::test]
async fn a_new_password_ends_the_other_logins_at_once() {
    let server = Server::start().await;
    let (here, there) = (Person::register(&server, "ann").await, Person::log_in(&server, "ann").await);
    let mut socket = there.connect().await;
    let change = |old: &str| json!({"old": old, "new": "another fine phrase"});
    assert_eq!(here.put("me/password", change("not the password")).await.code(), "credentials_wrong");
    here.put("me/password", change(PASSWORD)).await.ok();
    here.get("me").await.ok();
    assert_eq!(there.get("me").await.code(), "unauthenticated");
    assert_eq!(within("the close", socket.closed()).await, Some(LOGGED_OUT));
}

#[tokio::test]
async fn a_changed_profile_is_seen_by_others_and_on_my_other_devices() {
    let server = Server::start().await;
    let (ann, bob) = (Person::register(&server, "ann").await, Person::register(&server, "bob").await);
    let mut socket = ann.connect().await;
    let changed = ann.patch("me", json!({"display_name": "Ann Lee", "invisible": true})).await.ok();
    assert_eq!((&changed["user"]["display_name"], &changed["invisible"]), (&json!("Ann Lee"), &json!(true)));
    let seen = bob.get(&format!("users/{}", ann.id)).await.ok();
    assert_eq!(seen["display_name"], "Ann Lee");
    loop {
        let push = socket.push("user_changes").await;
        let profile = push["items"].as_array().unwrap().iter().find_map(|item| item.get("profile")).cloned();
        if profile.is_some_and(|profile| profile["user"]["display_name"] == json!("Ann Lee")) {
            break;
        }
    }
    assert_eq!(ann.patch("me", json!({"display_name": "a\u{202e}b"})).await.code(), "name_invalid");
}

#[tokio::test]
async fn people_are_found_by_the_beginning_of_a_name_in_pages_and_by_ids() {
    let server = Server::start().await;
    let ann = Person::register(&server, "ann").await;
    let (anna, bob) = (Person::register(&server, "anna").await, Person::register(&server, "bob").await);
    bob.patch("me", json!({"display_name": "Anton"})).await.ok();
    let first = ann.get("users?prefix=AN&limit=2").await.ok();
    assert_eq!(items(&first, "name"), ["ann", "anna"]);
    let next = first["next"].as_str().expect("another page");
    let second = ann.get(&format!("users?prefix=AN&limit=2&page={next}")).await.ok();
    assert_eq!((items(&second, "name"), &second["next"]), (vec!["bob".to_owned()], &Value::Null));
    let mut by_ids = items(&ann.get(&format!("users?ids={},{}", anna.id, bob.id)).await.ok(), "name");
    by_ids.sort();
    assert_eq!(by_ids, ["anna", "bob"]);
    for bad in ["users", "users?prefix=", "users?prefix=a&ids=b", "users?prefix=a&page=forged", "users?prefix=a&wrong=1"] {
        assert_eq!(ann.get(bad).await.code(), "bad_request", "{bad}");
    }
    assert_eq!(Person::anonymous(&server.base()).get("users?prefix=a").await.code(), "unauthenticated");
}

#[tokio::test]
async fn a_deleted_person_leaves_their_words_without_a_name_and_their_room_to_another() {
    let server = Server::start().await;
    let (ann, bob) = (Person::register(&server, "ann").await, Person::register(&server, "bob").await);
    let room = ann.make_room("Kitchen", "public").await;
    bob.join(&room).await;
    ann.say(&room, "hello").await;
    let mut watching = bob.connect().await;
    watching.subscribe(&room).await;
    let mut socket = ann.connect().await;
    assert_eq!(ann.request(Method::DELETE, "me", Some(json!({"password": "wrong"}))).await.code(), "credentials_wrong");
    ann.request(Method::DELETE, "me", Some(json!({"password": PASSWORD}))).await.ok();
    assert_eq!(within("the close", socket.closed()).await, Some(LOGGED_OUT));
    assert_eq!(ann.get("me").await.code(), "unauthenticated");
    let left = bob.get(&format!("users/{}", ann.id)).await.ok();
    assert_eq!((&left["deleted"], &left["name"], &left["display_name"]), (&json!(true), &json!(""), &json!("")));
    assert_eq!(bob.texts(&room).await, ["hello"]);
    let members = bob.get(&format!("rooms/{room}/members")).await.ok();
    assert!(!members.to_string().contains(&ann.id), "{members}");
    // The heir may do what only an owner may, and saw the change live.
    bob.patch(&format!("rooms/{room}"), json!({"name": "Bob's kitchen"})).await.ok();
    let seen = watching.push("changes").await;
    assert!(seen.to_string().contains(&ann.id), "{seen}");
    let again = Person::register(&server, "ann").await;
    assert_ne!(again.id, ann.id, "the name is free, the account another");
}

#[tokio::test]
async fn an_administrator_shuts_somebody_out_and_lets_them_in() {
    let server = Server::start().await;
    let (ann, root) = (Person::register(&server, "ann").await, admin(&server).await);
    let mut socket = ann.connect().await;
    let path = format!("admin/users/{}", ann.id);
    assert_eq!(ann.patch(&path, json!({"admin": true})).await.code(), "not_allowed");
    assert_eq!(root.patch(&format!("admin/users/{}", root.id), json!({"admin": false})).await.code(), "not_allowed");
    assert_eq!(root.patch(&path, json!({"disabled": true})).await.ok()["disabled"], true);
    assert_eq!(ann.get("me").await.code(), "unauthenticated");
    assert_eq!(within("the close", socket.closed()).await, Some(LOGGED_OUT));
    let log_in = |password: &str| json!({"name": "ann", "password": password});
    assert_eq!(ann.post("logins", log_in(PASSWORD)).await.code(), "account_disabled");
    assert_eq!(ann.post("logins", log_in("not the password")).await.code(), "credentials_wrong");
    root.patch(&path, json!({"disabled": false})).await.ok();
    ann.post("logins", log_in(PASSWORD)).await.ok();
    assert_eq!(items(&root.get("admin/users").await.ok(), "name"), ["ann", "root1"]);
}

#[tokio::test]
async fn what_the_command_line_does_is_felt_by_the_running_server() {
    let server = Server::start().await;
    let ann = Person::register(&server, "ann").await;
    let mut socket = ann.connect().await;
    server.user_command(&["disable", "ann"], "").await;
    assert_eq!(within("the close", socket.closed()).await, Some(LOGGED_OUT));
    assert_eq!(ann.get("me").await.code(), "unauthenticated");
    server.user_command(&["disable", "ann", "--undo"], "").await;
    server.user_command(&["reset-password", "ann"], "another fine phrase").await;
    let log_in = |password: &str| json!({"name": "ann", "password": password});
    assert_eq!(ann.post("logins", log_in(PASSWORD)).await.code(), "credentials_wrong");
    ann.post("logins", log_in("another fine phrase")).await.ok();
}

#[tokio::test]
async fn where_registration_is_by_invitation_a_code_is_needed_and_used_up() {
    let server = Server::start_with(&[("accounts.registration", "invite")]).await;
    let root = admin(&server).await;
    let anybody = Person::anonymous(&server.base());
    let account = |name: &str, code: &Value| json!({"name": name, "password": PASSWORD, "invitation": code});
    assert_eq!(anybody.post("accounts", json!({"name": "ann", "password": PASSWORD})).await.code(), "registration_closed");
    let made = root.post("admin/registrations", json!({"max_uses": 1})).await.ok();
    anybody.post("accounts", account("ann", &made["code"])).await.ok();
    assert_eq!(anybody.post("accounts", account("bob", &made["code"])).await.code(), "invitation_invalid");
    let listed = root.get("admin/registrations").await.ok();
    assert_eq!((&listed["items"][0]["uses"], listed.to_string().contains("code")), (&json!(1), false));
    let second = root.post("admin/registrations", json!({})).await.ok();
    root.delete(&format!("admin/registrations/{}", second["id"].as_str().unwrap())).await.ok();
    assert_eq!(anybody.post("accounts", account("bob", &second["code"])).await.code(), "invitation_invalid");
    let ann = Person::log_in(&server, "ann").await;
    assert_eq!(ann.post("admin/registrations", json!({})).await.code(), "not_allowed");
}

#[tokio::test]
async fn too_many_log_ins_are_busy_for_that_account_and_for_that_address() {
    let limits = [("rates.login_per_account", "3/1h"), ("rates.register_per_address", "2/1h")];
    let server = Server::start_with(&limits).await;
    let anybody = Person::anonymous(&server.base());
    let account = |name: &str| json!({"name": name, "password": PASSWORD});
    for name in ["ann", "bob"] {
        anybody.post("accounts", account(name)).await.ok();
    }
    let refused = anybody.post("accounts", account("carl")).await;
    assert_eq!((refused.code(), refused.status), ("busy", StatusCode::TOO_MANY_REQUESTS));
    assert!(refused.body["retry_after_ms"].as_u64().is_some_and(|wait| wait > 1000), "{}", refused.body);
    for _ in 0..3 {
        let wrong = anybody.post("logins", json!({"name": "ANN", "password": "not the password"})).await;
        assert_eq!(wrong.code(), "credentials_wrong");
    }
    assert_eq!(anybody.post("logins", account("ann")).await.code(), "busy", "right or wrong");
    anybody.post("logins", account("bob")).await.ok();
}

#[tokio::test]
async fn addresses_are_believed_from_trusted_proxies_only() {
    let rate = ("rates.register_per_address", "1/1h");
    let account = |name: &str| json!({"name": name, "password": PASSWORD});
    let register = async |server: &Server, name: &str, from: &str| {
        let url = format!("{}/api/v1/accounts", server.base());
        let sent = Client::new().post(url).header("x-forwarded-for", from).json(&account(name)).send().await;
        sent.expect("an answer").status()
    };
    let direct = Server::start_with(&[rate]).await;
    assert_eq!(register(&direct, "ann", "198.51.100.1").await, StatusCode::CREATED);
    assert_eq!(register(&direct, "bob", "198.51.100.2").await, StatusCode::TOO_MANY_REQUESTS);
    let behind = Server::start_with(&[rate, ("server.trusted_proxies", "[\"127.0.0.0/8\"]")]).await;
    assert_eq!(register(&behind, "ann", "198.51.100.1").await, StatusCode::CREATED);
    assert_eq!(register(&behind, "bob", "198.51.100.2").await, StatusCode::CREATED);
    assert_eq!(register(&behind, "carl", "198.51.100.2").await, StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn every_answer_has_its_id_and_headers_and_every_refusal_is_a_problem_document() {
    let server = Server::start().await;
    let ann = Person::register(&server, "ann").await;
    let http = Client::new();
    let ask = async |method: Method, path: &str, body: Option<&'static str>| {
        let mut request = http.request(method, format!("{}{path}", server.base())).bearer_auth(&ann.token);
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body);
        }
        request.send().await.expect("an answer")
    };
    let header = |headers: &HeaderMap, name: &'static str| {
        let value = headers.get(HeaderName::from_static(name));
        value.map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
    };
    let huge: &'static str = Box::leak(format!("{{\"display_name\":\"{}\"}}", "x".repeat(300_000)).into_boxed_str());
    for (method, path, body, code) in [
        (Method::GET, "/api/v1/me", None, ""),
        (Method::GET, "/nowhere", None, "not_found"),
        (Method::POST, "/api/v1/me", Some("{}"), "method_not_allowed"),
        (Method::PUT, "/docs/index.html", None, "method_not_allowed"),
        (Method::PATCH, "/api/v1/me", Some("{\"admin\":true}"), "bad_request"),
        (Method::PATCH, "/api/v1/me", Some("{"), "bad_request"),
        (Method::PATCH, "/api/v1/me", Some(huge), "too_large"),
        (Method::GET, "/api/v1/users/not-an-id", None, "bad_request"),
    ] {
        let answer = ask(method.clone(), path, body).await;
        let headers = answer.headers().clone();
        assert_eq!(header(&headers, "x-request-id").len(), 36, "{method} {path}");
        assert_eq!(header(&headers, "x-content-type-options"), "nosniff");
        assert!(header(&headers, "content-security-policy").contains("frame-ancestors 'none'"));
        assert_eq!(header(&headers, "referrer-policy"), "no-referrer");
        if !code.is_empty() {
            assert_eq!(header(&headers, "content-type"), "application/problem+json", "{method} {path}");
            let body: Value = answer.json().await.expect("JSON");
            assert_eq!(body["code"], code, "{method} {path}");
            assert_eq!(body["request_id"], header(&headers, "x-request-id"), "{method} {path}");
        }
        let allow = if path == "/api/v1/me" { "DELETE, GET, PATCH" } else { "GET, HEAD" };
        let expected = if code == "method_not_allowed" { allow } else { "" };
        assert_eq!(header(&headers, "allow"), expected, "{method} {path}");
    }
}

#[tokio::test]
async fn logins_survive_a_restart_and_so_does_their_end() {
    let mut server = Server::start().await;
    let (here, there) = (Person::register(&server, "ann").await, Person::log_in(&server, "ann").await);
    here.delete("logins?others=true").await.ok();
    server.restart().await;
    here.moved_to(&server).get("me").await.ok();
    assert_eq!(there.moved_to(&server).get("me").await.code(), "unauthenticated");
}
