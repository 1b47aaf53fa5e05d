//! I6 at size: a room that is posted to without a pause does not keep somebody who catches up behind for ever. Here and not in `it`, as reads
//! are counted for the whole process.

use crate::arm::Turn;
use crate::support::fill::Filler;
use crate::support::person::Person;
use crate::support::scene::Scene;
use crate::support::viewer::{Viewer, number};
use crate::support::{checks, eventually};
use futures_util::future::join_all;
use std::cell::Cell;
use std::collections::VecDeque;

const MISSED: usize = 4_000;
const PAGE_ROWS: usize = 100;
/// Pages that hold what was missed.
const PAGES: u64 = (MISSED / PAGE_ROWS) as u64;
/// More is posted while these come, more than is kept for whoever reads them.
const PAGES_MAX: u64 = 3 * PAGES;
/// Revisions after the last page that come live.
const LIVE: u64 = 20;
/// Posts of one person without an answer.
const AT_ONCE: usize = 4;

/// Posts until it is over, the next whenever one is answered; the client ids in sending order.
async fn talk(person: &Person, room: &str, over: &Cell<bool>, answered: &Cell<usize>) -> Vec<String> {
    let mut socket = person.connect().await;
    let (mut sent, mut waiting) = (Vec::<String>::new(), VecDeque::new());
    loop {
        while waiting.len() < AT_ONCE && !over.get() {
            let text = format!("{} {}", person.name, sent.len());
            let (reference, client_id) = socket.pipeline(room, &text, sent.last().map(String::as_str)).await;
            waiting.push_back(reference);
            sent.push(client_id);
        }
        let Some(reference) = waiting.pop_front() else { return sent };
        let reply = socket.reply(reference).await;
        assert!(reply.get("ok").is_some(), "{reply}");
        answered.set(answered.get() + 1);
    }
}

/// Pages of catch-up that were read so far, for whomever.
async fn pages_read(scene: &Scene) -> u64 {
    let metrics = scene.ann.get_text("/metrics").await;
    let count = |line: &str| line.strip_prefix("hubbub_read_seconds_count{read=\"resume_room\"}")?.trim().parse().ok();
    metrics.lines().find_map(count).unwrap_or(0)
}

/// Takes in what comes until it comes live; how many pages were read since there were `before`.
async fn until_live(scene: &Scene, away: &mut Viewer, before: u64) -> u64 {
    loop {
        let read = pages_read(scene).await;
        assert!(read - before <= PAGES_MAX, "{} pages, and still behind at {}", read - before, away.cursor);
        // Committed after that count was taken: if no page is read for these, they come live.
        let head = scene.ann.head(&scene.room).await;
        away.until(head + LIVE).await;
        if pages_read(scene).await == read {
            return read - before;
        }
    }
}

#[tokio::test]
async fn whoever_missed_thousands_of_changes_is_live_after_bounded_pages_while_people_post_without_a_pause() {
    let _turn = Turn::take().await;
    let rows = PAGE_ROWS.to_string();
    let mut scene = Scene::start_with(&[("resume.page_rows", &rows), ("database.commit_deadline", "20s")]).await;
    let (cid, dan) = (Person::register(&scene.server, "cid").await, Person::register(&scene.server, "dan").await);
    cid.join(&scene.room).await;
    dan.join(&scene.room).await;
    let mut away = Viewer::fresh(&scene.bob, &scene.room).await;
    away.socket.leave().await;
    let cursor = away.cursor;
    scene.server.stop().await;
    let filler = Filler::open(&scene.server).await;
    filler.posts(&scene.room, &scene.ann.id, MISSED).await;
    filler.close();
    scene.restart().await;

    let people = [&scene.ann, &cid, &dan].map(|person| person.moved_to(&scene.server));
    let (over, answered) = (Cell::new(false), <[Cell<usize>; 3]>::default());
    let answers = || answered.each_ref().map(Cell::get);
    let talking = join_all(people.iter().zip(&answered).map(|(person, answered)| talk(person, &scene.room, &over, answered)));
    let coming = async {
        eventually("a busy room", || async { answers().iter().all(|count| *count > 0).then_some(()) }).await;
        let (before, talked) = (pages_read(&scene).await, answers());
        assert_eq!(away.resume(&scene.bob).await["status"], "resuming");
        away.until(cursor + MISSED as u64).await;
        let meanwhile: usize = answers().iter().sum::<usize>() - talked.iter().sum::<usize>();
        let pages = until_live(&scene, &mut away, before).await;
        assert!(answers().iter().zip(talked).all(|(now, before)| *now > before), "somebody had to wait for Bob");
        over.set(true);
        (pages, meanwhile)
    };
    let (sent, (pages, meanwhile)) = tokio::join!(talking, coming);
    eprintln!("live after {pages} pages; {meanwhile} posts were answered while what had been missed came");
    assert!(pages >= PAGES, "pages are counted");
    assert!(meanwhile > 0, "nobody posted while Bob caught up");

    scene.catch_up(&mut away).await;
    let history = scene.history().await;
    assert_eq!(history.len(), MISSED + sent.iter().map(Vec::len).sum::<usize>());
    let came = away.came.iter().map(|message| number(&message["seq"]));
    assert!(came.eq(1..=history.len() as u64), "each message came once, and in its place");
    assert_eq!(checks::shown(&away, &history), [""; 0]);
    for sent in &sent {
        assert_eq!(checks::order(&history, sent), [""; 0]);
    }
}
