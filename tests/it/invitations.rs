//! Ways into a room: invitations and links.

use crate::support::person::Person;
use crate::support::server::Server;
use hubbub::config::Secrets;
use reqwest::Client;
use serde_json::{Value, json};

fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_else(|| panic!("no {field}: {value}")).to_owned()
}

async fn redeem(person: &Person, secret: &str) -> crate::support::person::Answer {
    person.post("links/redeem", json!({"secret": secret})).await
}

#[tokio::test]
async fn an_invitation_lets_in_and_one_declined_or_taken_back_does_not() {
    let server = Server::start().await;
    let ann = Person::register(&server, "ann").await;
    let room = ann.make_room("Kitchen", "private").await;
    let [bob, cem, dan] =
        [Person::register(&server, "bob").await, Person::register(&server, "cem").await, Person::register(&server, "dan").await];
    for person in [&bob, &cem, &dan] {
        ann.put(&format!("rooms/{room}/invitations/{}", person.id), json!({})).await.ok();
        let invited = person.get("me/rooms?state=invited").await.ok();
        assert_eq!(invited["items"][0]["room"]["id"], json!(room));
    }
    bob.join(&room).await;
    cem.delete(&format!("me/invitations/{room}")).await.ok();
    ann.delete(&format!("rooms/{room}/invitations/{}", dan.id)).await.ok();
    for person in [&cem, &dan] {
        assert_eq!(person.put(&format!("rooms/{room}/members/me"), json!({})).await.code(), "not_found");
        assert_eq!(person.get("me/rooms?state=invited").await.ok()["items"], json!([]));
    }
    let open = ann.get(&format!("rooms/{room}/members?state=invited")).await.ok();
    assert_eq!(open["items"], json!([]));
}

#[tokio::test]
async fn a_link_lets_in_as_often_as_it_says() {
    let server = Server::start().await;
    let ann = Person::register(&server, "ann").await;
    let room = ann.make_room("Kitchen", "private").await;
    let link = ann.post(&format!("rooms/{room}/links"), json!({"max_uses": 1})).await.ok();
    let secret = text(&link, "secret");
    let (bob, cem) = (Person::register(&server, "bob").await, Person::register(&server, "cem").await);
    assert_eq!(redeem(&bob, &secret).await.ok()["id"], json!(room));
    assert_eq!(redeem(&cem, &secret).await.code(), "invitation_invalid");
    let listed = ann.get(&format!("rooms/{room}/links")).await.ok();
    assert_eq!(listed["items"][0]["uses"], json!(1));
    assert!(!listed.to_string().contains(&secret), "the list does not show secrets");
}

#[tokio::test]
async fn a_revoked_or_invented_link_lets_nobody_in() {
    let server = Server::start().await;
    let (ann, bob) = (Person::register(&server, "ann").await, Person::register(&server, "bob").await);
    let room = ann.make_room("Kitchen", "private").await;
    let link = ann.post(&format!("rooms/{room}/links"), json!({})).await.ok();
    ann.delete(&format!("rooms/{room}/links/{}", text(&link, "id"))).await.ok();
    for secret in [text(&link, "secret"), "nonsense".to_owned(), String::new()] {
        assert_eq!(redeem(&bob, &secret).await.code(), "invitation_invalid");
    }
}

#[tokio::test]
async fn a_link_has_an_end_within_the_servers_limit() {
    let server = Server::start_with(&[("limits.invite_link_ttl_max", "1h")]).await;
    let ann = Person::register(&server, "ann").await;
    let room = ann.make_room("Kitchen", "private").await;
    let links = format!("rooms/{room}/links");
    for wrong in [json!({"expires_in_s": 3601}), json!({"expires_in_s": 0}), json!({"max_uses": 0})] {
        assert_eq!(ann.post(&links, wrong).await.code(), "bad_request");
    }
    let link = ann.post(&links, json!({})).await.ok();
    let instant = |field: &str| text(&link, field).parse::<chrono::DateTime<chrono::Utc>>().expect("RFC 3339");
    let life = instant("expires_at") - instant("created_at");
    assert!((3590..=3600).contains(&(life.num_milliseconds() / 1000 + 1)), "{life}");
}

#[tokio::test]
async fn a_link_asked_for_twice_under_one_key_is_one_link_with_one_secret() {
    let server = Server::start().await;
    let ann = Person::register(&server, "ann").await;
    let room = ann.make_room("Kitchen", "private").await;
    let make = async || {
        let request = Client::new().post(format!("{}/api/v1/rooms/{room}/links", server.base())).bearer_auth(&ann.token);
        let response = request.header("Idempotency-Key", "once").json(&json!({})).send().await.expect("an answer");
        response.json::<Value>().await.expect("JSON")
    };
    assert_eq!(make().await, make().await);
    assert_eq!(ann.get(&format!("rooms/{room}/links")).await.ok()["items"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn a_link_asked_for_again_after_the_keys_were_rotated_has_the_secret_that_works() {
    let mut server = Server::start().await;
    let (ann, bob) = (Person::register(&server, "ann").await, Person::register(&server, "bob").await);
    let room = ann.make_room("Kitchen", "private").await;
    let links = format!("rooms/{room}/links");
    let first = ann.post_with_key(&links, json!({}), "once").await.ok();
    server.stop().await;
    Secrets::rotate(server.folder.path()).expect("new keys");
    server.restart().await;
    let (ann, bob) = (ann.moved_to(&server), bob.moved_to(&server));
    let again = ann.post_with_key(&links, json!({}), "once").await.ok();
    assert_eq!(again, first);
    assert_eq!(redeem(&bob, &text(&again, "secret")).await.ok()["id"], json!(room));
}
