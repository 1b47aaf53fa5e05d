//! I9 with a database behind a network: cut off, frozen, connections killed in the middle of a transaction and at COMMIT. SQLite has no
//! network; there the same fact is another program that holds the write lock, and an answer to COMMIT that is lost.

use crate::arm::Turn;
use crate::outages::{NOTHING, through_an_outage};
use crate::support::checks;
use crate::support::database::Database;
use crate::support::eventually;
use crate::support::lock::Lock;
use crate::support::proxy::{Mode, Proxy};
use crate::support::scene::Scene;
use crate::support::server::Server;
use crate::support::viewer::Viewer;
use serde_json::Value;
use std::cell::{Cell, RefCell};
use tempfile::TempDir;
use uuid::Uuid;

/// Of COMMITs, when any is to be lost.
const LOSE_ONE_IN: u64 = 3;

/// Ann and Bob on a server whose database is behind a network, where it is one that can be.
async fn behind_a_network() -> (Scene, Option<Proxy>) {
    let (folder, database) = (TempDir::new().expect("a folder"), Database::create().await);
    let Database::Mysql { server, name } = &database else {
        return (Scene::on(Server::start_on(folder, database, &[]).await).await, None);
    };
    let (before, address) = server.rsplit_once('@').expect("mysql://user:password@host:port");
    let network = Proxy::start(address.to_owned(), LOSE_ONE_IN).expect("a port");
    let url = format!("{before}@127.0.0.1:{}/{name}", network.port);
    let server = Server::start_on(folder, database, &[("database.url", &url)]).await;
    (Scene::on(server).await, Some(network))
}

async fn while_the_network_is(mode: Mode) {
    let _turn = Turn::take().await;
    let (scene, network) = behind_a_network().await;
    let lock = Cell::new(None);
    let begin = async || match &network {
        Some(network) => network.set(mode),
        None => lock.set(Some(Lock::take(&scene.server).await)),
    };
    let end = async || match &network {
        Some(network) => network.set(Mode::Pass),
        None => lock.take().expect("held").release().await,
    };
    through_an_outage(&scene, begin, end).await;
}

#[tokio::test]
async fn posts_while_the_database_refuses_connections_are_unavailable_in_time_and_work_after_it() {
    while_the_network_is(Mode::Refuse).await;
}

#[tokio::test]
async fn posts_while_the_network_swallows_everything_are_unavailable_in_time_and_work_after_it() {
    while_the_network_is(Mode::Swallow).await;
}

/// Sends each post until it is acknowledged, as a client does; every answer on the way must be one that may be tried again.
async fn insist(scene: &Scene, count: usize) -> Vec<(String, Value)> {
    let mut answers = Vec::new();
    for _ in 0..count {
        let (text, client_id) = (Uuid::new_v4().to_string(), Uuid::now_v7().to_string());
        let answer = eventually("an acknowledgement", || async {
            let answer = scene.bob.say_as(&scene.room, &text, &client_id).await;
            assert!(answer.status.is_success() || answer.body["retry"] == true, "{answer:?}");
            answer.status.is_success().then_some(answer.body)
        })
        .await;
        // Asked once more, it is the same one.
        let again = eventually("a repeat", || async {
            let answer = scene.bob.say_as(&scene.room, &text, &client_id).await;
            answer.status.is_success().then_some(answer.body)
        })
        .await;
        assert_eq!((&again["seq"], &again["repeat"]), (&answer["seq"], &Value::Bool(true)));
        answers.push((client_id, answer));
    }
    answers
}

async fn everything_is_there_once(scene: &Scene, viewer: &mut Viewer, answers: &[(String, Value)]) {
    scene.catch_up(viewer).await;
    let history = scene.history().await;
    let sent: Vec<String> = answers.iter().map(|(client_id, _)| client_id.clone()).collect();
    assert_eq!(history.len(), answers.len(), "each post once, and nothing else");
    assert_eq!(checks::once(answers, &history), NOTHING);
    assert_eq!(checks::order(&history, &sent), NOTHING);
    assert_eq!(checks::shown(viewer, &history), NOTHING);
}

#[tokio::test]
async fn commits_that_are_lost_on_their_way_or_with_their_answer_leave_each_post_once() {
    let turn = RefCell::new(Turn::take().await);
    let (scene, network) = behind_a_network().await;
    let mut viewer = Viewer::fresh(&scene.ann, &scene.room).await;
    match &network {
        Some(network) => network.set(Mode::LoseCommits),
        None => {
            turn.borrow_mut().arm("persistence.after_commit", 4);
            turn.borrow_mut().arm("persistence.before_commit", 4);
        }
    }
    let answers = insist(&scene, 30).await;
    match &network {
        Some(network) => {
            assert!(network.lost() >= 4, "{} COMMITs were lost", network.lost());
            network.set(Mode::Pass);
        }
        None => assert!(!hubbub::faults::is_armed("persistence.after_commit"), "all of them struck"),
    }
    everything_is_there_once(&scene, &mut viewer, &answers).await;
}

#[tokio::test]
async fn connections_that_are_killed_again_and_again_leave_each_post_once() {
    let _turn = Turn::take().await;
    let (scene, _network) = behind_a_network().await;
    let mut viewer = Viewer::fresh(&scene.ann, &scene.room).await;
    let over = Cell::new(false);
    let killing = async {
        let mut killed = 0;
        while !over.get() {
            killed += scene.server.database.kill_connections().await;
            if scene.server.database.is_file() {
                // Nobody can end a connection to a file; the lock strikes in the middle as well.
                Lock::take(&scene.server).await.release().await;
                killed += 1;
            }
            // The pause is part of the mishap, and nothing is waited for with it.
            tokio::time::sleep(std::time::Duration::from_millis(30)).await;
        }
        killed
    };
    let posting = async {
        let answers = insist(&scene, 40).await;
        over.set(true);
        answers
    };
    let (killed, answers) = tokio::join!(killing, posting);
    assert!(killed > 3, "only {killed} times");
    // Idle connections may be among the killed. Reads notice and take others.
    for _ in 0..scene.server.config().database.readers {
        scene.ann.get(&format!("rooms/{}", scene.room)).await.ok();
    }
    everything_is_there_once(&scene, &mut viewer, &answers).await;
}
