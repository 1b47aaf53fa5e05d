//! Random histories, seen by somebody who never leaves and by somebody who comes and goes (I7: away and resumed equals never left).
//!
//! [`plan`] makes histories up, [`model`] is what a client knows, [`client`] is a client around it, `play` lets it all happen against a server,
//! which `apart` kills where a history says so, and `own` asks REST for what is one's own.

mod apart;
pub mod client;
pub mod model;
mod own;
pub mod plan;
pub mod play;

pub use play::Stage;

use super::server::Server;
use plan::{Plan, plans};
use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

/// What playing histories came to.
pub struct Found {
    /// What is wrong, with the smallest history found that shows it.
    pub broken: Option<String>,
    /// Kinds of deeds that never succeeded, so that nothing was shown of them.
    pub undone: Vec<&'static str>,
}

/// If some deed never succeeded, so many times as many histories are played at most.
const ROUNDS: u64 = 12;

/// Plays histories until one shows something wrong, or else until each kind of deed has succeeded. The seed and, unless told otherwise, the
/// number of histories come from `HUBBUB_TEST_SEED` and `HUBBUB_TEST_HISTORIES` (see CONTRIBUTING.md).
pub fn search(histories: u32, shrinks: u32) -> Found {
    search_on(async { Stage::set(server().await).await }, &plans(40, 0), histories, shrinks)
}

/// The same with a server that is killed again and again.
pub fn search_with_kills(histories: u32, shrinks: u32) -> Found {
    search_on(async { Stage::set_apart(server().await).await }, &plans(40, 3), histories, shrinks)
}

fn search_on(stage: impl Future<Output = Stage>, plans: &impl Strategy<Value = Plan>, histories: u32, shrinks: u32) -> Found {
    let first: u64 = from_environment("HUBBUB_TEST_SEED").unwrap_or_else(|| u64::from(uuid::Uuid::new_v4().as_fields().0));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let stage = runtime.block_on(stage);
    let mut found = Found { broken: None, undone: Vec::new() };
    for seed in first..first + ROUNDS {
        found.broken = round(plans, seed, histories, shrinks, |plan| runtime.block_on(stage.play(plan)));
        found.undone = stage.undone();
        if found.broken.is_some() || found.undone.is_empty() {
            break;
        }
    }
    // The runtime is needed to leave the stage.
    runtime.block_on(async {
        stage.verify().await;
        drop(stage);
    });
    found
}

/// Plays so many histories of one seed; the smallest that shows something wrong.
fn round(
    plans: &impl Strategy<Value = Plan>,
    seed: u64,
    histories: u32,
    shrinks: u32,
    play: impl Fn(&Plan) -> Result<(), String>,
) -> Option<String> {
    eprintln!("HUBBUB_TEST_SEED={seed}");
    let config = Config {
        cases: histories,
        failure_persistence: None,
        max_shrink_iters: shrinks,
        max_shrink_time: 120_000,
        ..Config::default()
    };
    let bytes: Vec<u8> = seed.to_le_bytes().repeat(4);
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    // Told at once, as looking for a smaller one takes long and may end otherwise.
    let told = |reason: String| {
        eprintln!("wrong: {reason}");
        TestCaseError::fail(reason)
    };
    match runner.run(plans, |plan: Plan| play(&plan).map_err(told)) {
        Ok(()) => None,
        Err(TestError::Fail(reason, plan)) => Some(format!("HUBBUB_TEST_SEED={seed}: {reason}\n{plan:#?}")),
        Err(TestError::Abort(reason)) => Some(format!("HUBBUB_TEST_SEED={seed}: {reason}")),
    }
}

/// How many histories a run plays: what the environment says, or so many.
pub fn histories(default: u32) -> u32 {
    from_environment("HUBBUB_TEST_HISTORIES").unwrap_or(default)
}

fn from_environment<T: std::str::FromStr>(name: &str) -> Option<T> {
    std::env::var(name).ok().map(|value| value.parse().unwrap_or_else(|_| panic!("{name} is no number: {value}")))
}

/// Pages and outboxes are small, so that whoever comes back is often cut off in the middle.
const SMALL: &[(&str, &str)] = &[
    ("resume.page_rows", "3"),
    ("limits.text_max", "256B"),
    ("limits.frame_max", "4KiB"),
    ("session.outbox_max", "8KiB"),
    ("rates.rooms_made_per_account", "off"),
    ("room.head_check_interval", "200ms"),
    ("accounts.read_mark_flush", "50ms"),
];

async fn server() -> Server {
    Server::start_with(SMALL).await
}
