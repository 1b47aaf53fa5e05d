//! The reader with recorded writes, in paused time.

use super::*;
use crate::domain::ids::RoomId;
use crate::domain::order::Seq;
use crate::domain::reading::Progress;
use crate::store::read_marks::Marked;
use crate::supervision::policy::RestartClass;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

#[derive(Default)]
struct Script {
    /// What was written: marks by room, or everything.
    written: Vec<Option<BTreeMap<RoomId, Progress>>>,
    full: bool,
    panics: bool,
}

#[derive(Clone, Default)]
struct Book(Arc<Mutex<Script>>);

impl Book {
    fn with<T>(&self, act: impl FnOnce(&mut Script) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    fn writes(&self) -> usize {
        self.with(|script| script.written.len())
    }
}

impl Records for Book {
    fn is_full(&self) -> bool {
        self.with(|script| script.full)
    }

    fn raise(&self, _: UserId, progress: BTreeMap<RoomId, Progress>) -> BoxFuture<'static, Result<RoomMarks, Refusal>> {
        if self.with(|script| std::mem::take(&mut script.panics)) {
            panic!("a write that cannot be");
        }
        self.with(|script| script.written.push(Some(progress.clone())));
        let mark = |(room, by): (RoomId, Progress)| {
            let mark = ReadMark::none(room).raised(by, Seq(100));
            (room, Ok(Marked { mark, is_news: true }))
        };
        async move { Ok(progress.into_iter().map(mark).collect()) }.boxed()
    }

    fn read_everything(&self, _: UserId) -> BoxFuture<'static, Result<Vec<ReadMark>, Refusal>> {
        self.with(|script| script.written.push(None));
        async { Ok(vec![ReadMark::none(RoomId::generate())]) }.boxed()
    }
}

fn started(book: &Book) -> Reading {
    started_with(book, &Config::default())
}

fn started_with(book: &Book, config: &Config) -> Reading {
    let policy = RestartPolicy::new(RestartClass::Permanent, 5, Duration::from_secs(60));
    let (tree, _) = Supervisor::root("node", policy);
    start(&tree, policy, book.clone(), Settings::from(config))
}

fn read(seq: u64) -> Progress {
    Progress { read: Seq(seq), delivered: Seq::ZERO }
}

macro_rules! in_paused_time {
    ($body:expr) => {
        actix::System::with_tokio_rt(|| {
            tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap()
        })
        .block_on($body)
    };
}

#[test]
fn reports_within_the_pause_are_one_write_and_each_is_answered_behind_it() {
    in_paused_time!(async {
        let book = Book::default();
        let reading = started(&book);
        let (ann, room, other) = (UserId::generate(), RoomId::generate(), RoomId::generate());
        let begun = tokio::time::Instant::now();
        assert_eq!(reading.report(ann, room, read(1)).await.unwrap().mark.seq, Seq(1));
        assert_eq!((begun.elapsed(), book.writes()), (Duration::ZERO, 1), "at once");
        let (one, two, three, all) = tokio::join!(
            reading.report(ann, room, read(3)),
            reading.report(ann, room, read(2)),
            reading.report(ann, other, read(9)),
            reading.read_all(ann),
        );
        let (one, two, three) = (one.unwrap(), two.unwrap(), three.unwrap());
        assert_eq!([one.mark.seq, two.mark.seq, three.mark.seq], [Seq(3), Seq(3), Seq(9)]);
        assert_eq!([one.is_news, two.is_news, three.is_news], [true, false, true], "one of each room tells of it");
        assert_eq!((all.unwrap().len(), book.writes()), (1, 3));
        assert!(begun.elapsed() >= Config::default().accounts.read_mark_flush);
        let bob = UserId::generate();
        let begun = tokio::time::Instant::now();
        reading.report(bob, room, read(1)).await.unwrap();
        assert_eq!(begun.elapsed(), Duration::ZERO, "nobody waits for somebody else");
    });
}

#[test]
fn a_write_yields_to_posts_and_is_busy_in_the_end() {
    in_paused_time!(async {
        let book = Book::default();
        let reading = started(&book);
        let (ann, room) = (UserId::generate(), RoomId::generate());
        book.with(|script| script.full = true);
        let refused = reading.report(ann, room, read(1)).await.unwrap_err();
        assert_eq!((refused.fault, book.writes()), (Fault::Busy, 0));
        let later = reading.report(ann, room, read(2));
        let room_again = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            book.with(|script| script.full = false);
        };
        assert_eq!(tokio::join!(later, room_again).0.unwrap().mark.seq, Seq(2));
    });
}

#[test]
fn beyond_as_many_as_may_wait_to_be_taken_a_report_is_busy() {
    in_paused_time!(async {
        let book = Book::default();
        let mut config = Config::default();
        config.accounts.read_mark_queue = 2;
        let reading = started_with(&book, &config);
        let (ann, room) = (UserId::generate(), RoomId::generate());
        // All are asked before the first is taken.
        let (one, two, three, all) = tokio::join!(
            reading.report(ann, room, read(1)),
            reading.report(ann, room, read(2)),
            reading.report(ann, room, read(3)),
            reading.read_all(ann),
        );
        assert_eq!((one.unwrap().mark.seq, two.unwrap().mark.seq), (Seq(1), Seq(2)));
        let busy = Refusal::busy(config.database.busy_retry_after);
        assert_eq!((three.unwrap_err(), all.unwrap_err()), (busy, busy));
        assert_eq!(reading.report(ann, room, read(3)).await.unwrap().mark.seq, Seq(3), "later there is room again");
    });
}

#[test]
fn what_was_gathered_is_written_at_once_when_the_server_stops() {
    in_paused_time!(async {
        let book = Book::default();
        let reading = started(&book);
        let (ann, room) = (UserId::generate(), RoomId::generate());
        reading.report(ann, room, read(1)).await.unwrap();
        let begun = tokio::time::Instant::now();
        let waits = reading.report(ann, room, read(2));
        let stop = async { reading.hurry() };
        assert_eq!(tokio::join!(waits, stop).0.unwrap().mark.seq, Seq(2));
        reading.report(ann, room, read(3)).await.unwrap();
        assert_eq!(begun.elapsed(), Duration::ZERO);
    });
}

#[test]
fn a_reader_that_panics_answers_unavailable_and_takes_the_next_report() {
    in_paused_time!(async {
        let book = Book::default();
        let reading = started(&book);
        let (ann, room) = (UserId::generate(), RoomId::generate());
        book.with(|script| script.panics = true);
        let lost = reading.report(ann, room, read(1)).await.unwrap_err();
        assert_eq!(lost.fault, Fault::Unavailable);
        let again = async {
            loop {
                match reading.report(ann, room, read(1)).await {
                    Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
                    Ok(marked) => return marked,
                }
            }
        };
        assert_eq!(tokio::time::timeout(Duration::from_secs(60), again).await.unwrap().mark.seq, Seq(1));
    });
}
