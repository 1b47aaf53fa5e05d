//! Servers to test and people to test them with.

pub mod calm;
pub mod checks;
pub mod command;
pub mod database;
pub mod fill;
pub mod histories;
pub mod hook;
pub mod lock;
pub mod log;
pub mod person;
#[path = "../../../load-tests/src/drill/proxy.rs"]
pub mod proxy;
pub mod scene;
pub mod server;
pub mod socket;
pub mod test_database;
pub mod trace;
pub mod viewer;
pub mod wire;

use std::future::Future;
use std::time::Duration;

/// How long a test waits for something that must happen. Generous: machines are slow, and a wait that ends early costs nothing.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// Waits for `event`, and fails the test when it does not come.
pub async fn within<T>(what: &str, event: impl Future<Output = T>) -> T {
    match tokio::time::timeout(DEADLINE, event).await {
        Ok(outcome) => outcome,
        Err(_) => panic!("{what} did not happen within {DEADLINE:?}"),
    }
}

/// Asks again until `probe` answers, and fails the test when it never does.
pub async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, mut probe: impl FnMut() -> F) -> T {
    within(what, async {
        loop {
            if let Some(found) = probe().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
}
