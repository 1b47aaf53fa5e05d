//! The drills themselves: what each breaks, how often, and what it promises beside what all promise (`scene.rs`).

use crate::database::{Kind, sqlite};
use crate::disk;
use crate::panics::{self, Strike, Struck};
use crate::proxy::Mode;
use crate::reader::SlowReader;
use crate::scene::Scene;
use crate::swarm::Report;
use crate::{Failed, Settings};
use diesel::connection::SimpleConnection;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// One drill.
pub struct Drill {
    pub name: &'static str,
    pub about: &'static str,
    pub databases: &'static [Kind],
    /// How long the swarm must talk for it.
    pub lasts: fn(&Settings) -> Duration,
    /// Breaks things; the swarm talks meanwhile.
    pub act: fn(&mut Scene<'_>) -> Result<(), Failed>,
    /// Its own promises, when the swarm has finished.
    pub after: fn(&mut Scene<'_>, &Report),
    pub text_bytes: usize,
    /// The swarm does all that belongs to a conversation, instead of only posting.
    pub converses: bool,
    pub through_proxy: bool,
    pub small_disk: bool,
    pub is_baseline: bool,
}

const BOTH: &[Kind] = &[Kind::Sqlite, Kind::Maria];
const SQLITE: &[Kind] = &[Kind::Sqlite];
const MARIA: &[Kind] = &[Kind::Maria];
const SECOND: Duration = Duration::from_secs(1);
/// Before the first and after the last fault.
const AROUND: Duration = Duration::from_secs(4);
/// From one kill to the next; a debug build needs about one to come up.
const KILL_EVERY: Duration = Duration::from_secs(4);
/// From one panic to the next: less often than the supervisor's limit allows.
const PANIC_EVERY: Duration = Duration::from_millis(1500);
/// How often the directory of rooms does what it panics at: the default of `room.head_check_interval`.
const HEAD_CHECK_EVERY: Duration = Duration::from_secs(5);
/// From one SIGTERM to the next.
const TERM_EVERY: Duration = Duration::from_secs(15);

const NOTHING: Drill = Drill {
    name: "",
    about: "",
    databases: BOTH,
    lasts: |set| set.outage + AROUND * 3,
    act: |_| Ok(()),
    after: |_, _| {},
    text_bytes: 64,
    converses: false,
    through_proxy: false,
    small_disk: false,
    is_baseline: false,
};

/// A drill of panics at one place in the midst of a conversation: that it goes on, and is right. How long others wait is told by the drills of posts.
macro_rules! talk_panic_drill {
    ($name:literal, $about:literal, $point:literal, $kind:expr, $struck:expr) => {
        Drill {
            name: $name,
            about: $about,
            lasts: |set| PANIC_EVERY * set.times + AROUND * 2,
            act: |scene| panics::strike(scene, Strike { point: $point, kind: $kind, struck: $struck, every: PANIC_EVERY }),
            converses: true,
            ..NOTHING
        }
    };
}

/// A drill of panics at one place, and who is struck by them.
macro_rules! panic_drill {
    ($name:literal, $about:literal, $point:literal, $kind:expr, $struck:expr) => {
        panic_drill!($name, $about, $point, $kind, $struck, PANIC_EVERY)
    };
    ($name:literal, $about:literal, $point:literal, $kind:expr, $struck:expr, $every:expr) => {
        Drill {
            name: $name,
            about: $about,
            lasts: |set| $every * set.times + AROUND * 2,
            act: |scene| panics::strike(scene, Strike { point: $point, kind: $kind, struck: $struck, every: $every }),
            after: |scene, report| {
                panics::judge(scene, report, Strike { point: $point, kind: $kind, struck: $struck, every: $every })
            },
            ..NOTHING
        }
    };
}

/// In the order they are played.
pub const ALL: &[Drill] = &[
    Drill {
        name: "baseline",
        about: "no fault, to compare with",
        lasts: |_| SECOND * 15,
        is_baseline: true,
        act: |scene| {
            scene.outcome.done = "no fault".into();
            Ok(())
        },
        after: |scene, _| sockets_stayed(scene, 0),
        ..NOTHING
    },
    Drill {
        name: "kill",
        about: "kill -9 of the server, again and again",
        lasts: |set| KILL_EVERY * set.times + AROUND * 2,
        act: kill,
        ..NOTHING
    },
    Drill {
        name: "term",
        about: "SIGTERM and a restart, three times",
        lasts: |_| TERM_EVERY * 3 + AROUND * 2,
        act: term,
        ..NOTHING
    },
    panic_drill!("panic-room", "a panic in a room", "room.panic", Some("room"), Struck::ItsRoom),
    panic_drill!(
        "panic-room-commit",
        "a panic in a room that has just heard of its commit",
        "room.panic_after_commit",
        Some("room"),
        Struck::ItsRoom
    ),
    panic_drill!(
        "panic-persistence",
        "a panic in a persistence actor",
        "persistence.panic",
        Some("persistence"),
        Struck::Refused
    ),
    panic_drill!("panic-store", "a panic in a task on the store's threads", "store.panic", None, Struck::Refused),
    panic_drill!("panic-presence", "a panic in the presence tracker", "presence.tick", Some("presence"), Struck::Nobody),
    panic_drill!(
        "panic-directory",
        "a panic in the directory of rooms",
        "directory.tick",
        Some("directory"),
        Struck::Nobody,
        HEAD_CHECK_EVERY
    ),
    panic_drill!("panic-accounts", "a panic in the accounts keeper", "accounts.panic", Some("accounts"), Struck::Nobody),
    panic_drill!("panic-relay", "a panic in a relay", "relay.panic", Some("relay"), Struck::Closed),
    panic_drill!("panic-session", "a panic in a session", "session.panic", None, Struck::Closed),
    Drill {
        name: "sqlite-locked",
        about: "another process holds SQLite's write lock",
        databases: SQLITE,
        act: locked,
        after: |scene, _| sockets_stayed(scene, 0),
        ..NOTHING
    },
    Drill {
        name: "disk-full",
        about: "the disk under SQLite is full, then not any more",
        databases: SQLITE,
        small_disk: true,
        act: disk_full,
        after: |scene, _| sockets_stayed(scene, 0),
        ..NOTHING
    },
    Drill {
        name: "db-stopped",
        about: "MariaDB is stopped and started again",
        databases: MARIA,
        act: stopped,
        after: |scene, _| sockets_stayed(scene, 0),
        ..NOTHING
    },
    Drill {
        name: "db-frozen",
        about: "MariaDB stands still (SIGSTOP)",
        databases: MARIA,
        act: frozen,
        after: |scene, _| sockets_stayed(scene, 0),
        ..NOTHING
    },
    Drill {
        name: "db-cut-off",
        about: "nothing comes through to MariaDB, and nobody is told",
        databases: MARIA,
        through_proxy: true,
        act: |scene| cut_off(scene, Mode::Swallow),
        after: |scene, _| sockets_stayed(scene, 0),
        ..NOTHING
    },
    Drill {
        name: "db-refused",
        about: "connections to MariaDB are reset and refused",
        databases: MARIA,
        through_proxy: true,
        act: |scene| cut_off(scene, Mode::Refuse),
        after: |scene, _| sockets_stayed(scene, 0),
        ..NOTHING
    },
    Drill {
        name: "db-commits-lost",
        about: "connections end at COMMIT, before or after it arrived",
        databases: MARIA,
        through_proxy: true,
        act: commits_lost,
        after: |scene, _| sockets_stayed(scene, 0),
        ..NOTHING
    },
    Drill {
        name: "db-killed",
        about: "KILL on all connections of the server, five times a second",
        databases: MARIA,
        act: connections_killed,
        after: |scene, _| sockets_stayed(scene, 0),
        ..NOTHING
    },
    Drill {
        name: "slow-reader",
        about: "somebody in every room stops reading",
        text_bytes: 4096,
        act: slow_reader,
        after: |scene, _| sockets_stayed(scene, 0),
        ..NOTHING
    },
    Drill {
        name: "talk",
        about: "no fault, but all that belongs to a conversation: the drills below are this with a fault",
        lasts: |_| SECOND * 15,
        act: |scene| {
            scene.outcome.done = "no fault".into();
            Ok(())
        },
        converses: true,
        ..NOTHING
    },
    Drill {
        name: "talk-kill",
        about: "kill -9 of the server, again and again",
        lasts: |set| KILL_EVERY * set.times + AROUND * 2,
        act: kill,
        converses: true,
        ..NOTHING
    },
    talk_panic_drill!("talk-panic-room", "a panic in a room", "room.panic", Some("room"), Struck::ItsRoom),
    talk_panic_drill!(
        "talk-panic-persistence",
        "a panic in a persistence actor",
        "persistence.panic",
        Some("persistence"),
        Struck::Refused
    ),
    talk_panic_drill!("talk-panic-relay", "a panic in a relay", "relay.panic", Some("relay"), Struck::Closed),
    talk_panic_drill!("talk-panic-reading", "a panic in the reader", "reading.panic", Some("reading"), Struck::Nobody),
    talk_panic_drill!("talk-panic-notify", "a panic in the notifier", "notify.panic", Some("notify"), Struck::Nobody),
    talk_panic_drill!(
        "talk-panic-moderation",
        "a panic in the moderation keeper",
        "moderation.panic",
        Some("moderation"),
        Struck::Nobody
    ),
    Drill {
        name: "talk-locked",
        about: "another process holds SQLite's write lock",
        databases: SQLITE,
        act: locked,
        converses: true,
        ..NOTHING
    },
    Drill {
        name: "talk-stopped",
        about: "MariaDB is stopped and started again",
        databases: MARIA,
        act: stopped,
        converses: true,
        ..NOTHING
    },
    Drill {
        name: "talk-commits-lost",
        about: "connections end at COMMIT, before or after it arrived",
        databases: MARIA,
        through_proxy: true,
        act: commits_lost,
        converses: true,
        ..NOTHING
    },
    Drill {
        name: "talk-killed",
        about: "KILL on all connections of the server, five times a second",
        databases: MARIA,
        act: connections_killed,
        converses: true,
        ..NOTHING
    },
];

/// Waits for the next point of a rhythm.
fn until(begun: Instant, offset: Duration) {
    sleep((begun + offset).saturating_duration_since(Instant::now()));
}

fn kill(scene: &mut Scene<'_>) -> Result<(), Failed> {
    let begun = Instant::now();
    for turn in 0..scene.set.times {
        until(begun, KILL_EVERY * turn);
        let at = Instant::now();
        scene.server.kill()?;
        scene.server.restart()?;
        scene.recovers_since(at)?;
    }
    scene.outcome.done = format!("{} × kill -9, started again at once", scene.set.times);
    Ok(())
}

fn term(scene: &mut Scene<'_>) -> Result<(), Failed> {
    let begun = Instant::now();
    let mut slowest = Duration::ZERO;
    for turn in 0..3 {
        until(begun, TERM_EVERY * turn);
        let (status, took) = scene.server.terminate(SECOND * 26)?;
        scene.outcome.must(status.success(), || format!("SIGTERM under load: {status}"));
        scene.outcome.must_in_time(took <= SECOND * 25, || format!("SIGTERM to exit took {} ms", took.as_millis()));
        slowest = slowest.max(took);
        let ended = Instant::now();
        scene.server.restart()?;
        scene.recovers_since(ended)?;
    }
    scene.outcome.done = format!("3 × SIGTERM, exit within {} ms, started again", slowest.as_millis());
    Ok(())
}

/// At most `most` sockets closed.
fn sockets_stayed(scene: &mut Scene<'_>, most: u64) {
    let reconnects = scene.outcome.reconnects;
    scene.outcome.must(reconnects <= most, || format!("{reconnects} sockets closed, at most {most} should"));
}

fn locked(scene: &mut Scene<'_>) -> Result<(), Failed> {
    let mut other = sqlite(&scene.server.place)?;
    other.batch_execute("BEGIN IMMEDIATE")?;
    scene.away(scene.set.outage);
    other.batch_execute("ROLLBACK")?;
    scene.outcome.done = format!("write lock held for {} s", scene.set.outage.as_secs());
    scene.recovers()
}

fn disk_full(scene: &mut Scene<'_>) -> Result<(), Failed> {
    let folder = scene.server.place.data.clone();
    disk::fill(&folder)?;
    // What the server frees meanwhile is taken, too, until something is refused.
    let begun = Instant::now();
    let bites =
        |scene: &Scene<'_>| scene.witness.attempts().iter().any(|attempt| attempt.begun >= begun && attempt.answer.is_err());
    while !bites(scene) && begun.elapsed() < scene.set.outage {
        disk::fill(&folder)?;
        sleep(Duration::from_millis(20));
    }
    let until_full = begun.elapsed();
    scene.away(scene.set.outage);
    disk::free(&folder)?;
    scene.outcome.done = format!("full for {} s (writes failed after {} ms)", scene.set.outage.as_secs(), until_full.as_millis());
    scene.recovers()
}

fn stopped(scene: &mut Scene<'_>) -> Result<(), Failed> {
    scene.database.maria()?.stop()?;
    scene.away(scene.set.outage);
    scene.database.maria()?.resume()?;
    scene.outcome.done = format!("stopped for {} s", scene.set.outage.as_secs());
    scene.recovers()
}

fn frozen(scene: &mut Scene<'_>) -> Result<(), Failed> {
    scene.database.maria()?.freeze(true)?;
    scene.away(scene.set.outage);
    scene.database.maria()?.freeze(false)?;
    scene.outcome.done = format!("frozen for {} s", scene.set.outage.as_secs());
    scene.recovers()
}

fn cut_off(scene: &mut Scene<'_>, mode: Mode) -> Result<(), Failed> {
    scene.database.proxy()?.set(mode);
    scene.away(scene.set.outage);
    scene.database.proxy()?.set(Mode::Pass);
    scene.outcome.done = format!("cut off for {} s", scene.set.outage.as_secs());
    scene.recovers()
}

fn commits_lost(scene: &mut Scene<'_>) -> Result<(), Failed> {
    scene.database.proxy()?.set(Mode::LoseCommits);
    sleep(scene.set.outage);
    scene.database.proxy()?.set(Mode::Pass);
    let lost = scene.database.proxy()?.lost();
    scene.outcome.must(lost > 0, || "no COMMIT was lost: the fault did not bite".into());
    scene.outcome.done = format!("{lost} COMMITs lost with their connections in {} s", scene.set.outage.as_secs());
    scene.recovers()
}

fn connections_killed(scene: &mut Scene<'_>) -> Result<(), Failed> {
    let begun = Instant::now();
    let mut killed = 0;
    while begun.elapsed() < scene.set.outage {
        killed += scene.database.kill_connections()?;
        sleep(SECOND / 5);
    }
    scene.outcome.must(killed > 0, || "no connection was killed: the fault did not bite".into());
    scene.outcome.done = format!("{killed} connections killed in {} s", scene.set.outage.as_secs());
    scene.recovers()
}

fn slow_reader(scene: &mut Scene<'_>) -> Result<(), Failed> {
    let mut reader = SlowReader::join(&scene.server.url(), &scene.folder.join("cast.json"))?;
    let begun = Instant::now();
    reader.wait_until_given_up(scene.set.outage + AROUND)?;
    let took = begun.elapsed();
    let (code, changes) = reader.read_to_the_end()?;
    scene.outcome.must(code == Some(4000), || format!("its socket closed with {code:?} instead of 4000"));
    scene.outcome.done =
        format!("one reader of every room stopped: closed after {} ms with {code:?}, {changes} pushes before", took.as_millis());
    scene.recovers()
}
