//! Two people, from nothing.

use crate::support::person::Person;
use crate::support::server::Server;
use serde_json::json;

#[tokio::test]
async fn two_people_talk_and_read_the_history_after_a_restart() {
    let mut server = Server::start().await;
    let ann = Person::register(&server, "ann").await;
    let bob = Person::register(&server, "bob").await;

    let room = ann.make_room("Kitchen", "private").await;
    ann.put(&format!("rooms/{room}/invitations/{}", bob.id), json!({})).await.ok();
    bob.join(&room).await;

    let (mut ann_socket, mut bob_socket) = (ann.connect().await, bob.connect().await);
    ann_socket.subscribe(&room).await;
    bob_socket.subscribe(&room).await;
    let reply = ann_socket.say(&room, "hello Bob").await;
    assert_eq!(reply["ok"]["seq"], json!(1), "{reply}");
    assert_eq!(bob_socket.message().await, (1, "hello Bob".to_owned()));
    assert_eq!(ann_socket.message().await, (1, "hello Bob".to_owned()));
    bob_socket.say(&room, "hello Ann").await;
    assert_eq!(ann_socket.message().await, (2, "hello Ann".to_owned()));

    let direct = bob
        .post(&format!("direct/{}/messages", ann.id), json!({"client_id": uuid::Uuid::now_v7(), "text": "psst"}))
        .await
        .ok();
    let direct = direct["room"].as_str().expect("a direct room").to_owned();
    ann.delete("logins/current").await.ok();

    server.restart().await;
    let ann = Person::log_in(&server, "ann").await;
    assert_eq!(ann.texts(&room).await, ["hello Bob", "hello Ann"]);
    assert_eq!(ann.texts(&direct).await, ["psst"]);
}
