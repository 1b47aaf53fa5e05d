//! A server in this process, on a free port, with a data folder and a database of its own.

use super::command::CommandLine;
use super::database::Database;
use super::{DEADLINE, eventually, within};
use hubbub::app::{self, Stopped};
use hubbub::config::{Config, Sources};
use hubbub::domain::time::Clock;
use std::net::SocketAddr;
use std::thread::JoinHandle;
use tempfile::TempDir;
use tokio::sync::oneshot;

/// A running server; stopped when dropped.
pub struct Server {
    pub folder: TempDir,
    pub database: Database,
    changes: Vec<(String, String)>,
    running: Option<Running>,
}

struct Running {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    stopped: oneshot::Receiver<Stopped>,
    thread: JoinHandle<()>,
}

impl Server {
    /// A server with default settings, save what tests need to be quick.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// A server with settings changed, such as `("limits.text_max", "16B")`.
    pub async fn start_with(changes: &[(&str, &str)]) -> Self {
        Self::start_on(tempfile::tempdir().expect("a temporary folder"), Database::create().await, changes).await
    }

    /// A server on what is there.
    pub async fn start_on(folder: TempDir, database: Database, changes: &[(&str, &str)]) -> Self {
        let changes = changes.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let mut server = Self { folder, database, changes, running: None };
        server.launch().await;
        server
    }

    /// Stops in good order and starts again on the same data.
    pub async fn restart(&mut self) {
        self.stop().await;
        self.launch().await;
    }

    /// The same with these settings in the place of those it was started with.
    pub async fn restart_with(&mut self, changes: &[(&str, &str)]) {
        self.changes = changes.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        self.restart().await;
    }

    /// Stops in good order (I11); how that went, if it ran.
    pub async fn stop(&mut self) -> Option<Stopped> {
        let Running { stop, stopped: how, thread, .. } = self.running.take()?;
        let stopped = stop.send(()).is_ok();
        let ended = tokio::task::spawn_blocking(move || thread.join());
        within("the server's end", ended).await.expect("joined").expect("the server ends without a panic");
        assert!(stopped, "the server had ended by itself");
        how.await.ok()
    }

    /// Runs `hubbub user …` beside it.
    pub async fn user_command(&self, arguments: &[&str], password: &str) {
        CommandLine::of(self).run_with(&[&["user"], arguments].concat(), password).await.done();
    }

    /// Waits until nobody is to be notified of anything: that comes behind what was done.
    pub async fn everybody_is_notified(&self) {
        self.is_empty("notify_queue").await;
    }

    /// Waits until people have followed the deletions of their rooms. Their memberships say so before, by the room's row and with the revision
    /// that they had.
    pub async fn nobody_is_in_a_deleted_room(&self) {
        self.is_empty("room_endings").await;
    }

    async fn is_empty(&self, table: &str) {
        eventually(&format!("nothing in {table}"), || async {
            let waiting = self.database.count(self.folder.path(), &format!("SELECT COUNT(*) AS number FROM {table}")).await;
            (waiting == 0).then_some(())
        })
        .await;
    }

    /// Where it answers.
    pub fn base(&self) -> String {
        format!("http://{}", self.address())
    }

    pub fn address(&self) -> SocketAddr {
        self.running.as_ref().expect("the server runs").address
    }

    /// The settings of this server.
    pub fn config(&self) -> Config {
        let url = self.database.url();
        let folder = self.folder.path().to_str().expect("a readable path").to_owned();
        let quick = [
            ("server.listen", "127.0.0.1:0"),
            ("server.workers", "2"),
            ("server.drain_delay", "0s"),
            ("server.drain_spread", "0s"),
            ("accounts.bcrypt_cost", "4"),
            ("accounts.read_mark_flush", "50ms"),
            // Tests of rates set them; all others must not meet them.
            ("rates.posts_per_account", "off"),
            ("rates.commands_per_account", "off"),
            ("rates.frames_per_connection", "off"),
            ("rates.requests_per_address", "off"),
            ("rates.requests_per_account", "off"),
            ("rates.connections_per_address", "off"),
            ("rates.register_per_address", "off"),
            ("data.folder", folder.as_str()),
            ("database.url", url.as_str()),
        ];
        let changes = self.changes.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        let set = quick.into_iter().chain(changes).map(|(key, value)| format!("{key}={value}")).collect();
        Sources { set, ..Sources::default() }.load().expect("valid settings").config
    }

    async fn launch(&mut self) {
        let config = self.config();
        let (started, starting) = oneshot::channel();
        let (stop, stopping) = oneshot::channel::<()>();
        let (how, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            actix::System::new().block_on(async move {
                match app::start(config, Clock::system()).await {
                    Ok(running) => {
                        let address = running.address();
                        started.send(Ok(address)).expect("the test waits");
                        // An error here is a test that was dropped: stop all the same.
                        drop(stopping.await);
                        how.send(running.stop().await).ok();
                    }
                    Err(error) => started.send(Err(error.to_string())).expect("the test waits"),
                }
            });
        });
        let address = within("the server's start", starting).await.expect("the server's thread lives");
        let address = address.unwrap_or_else(|error| panic!("the server does not start: {error}"));
        self.running = Some(Running { address, stop, stopped, thread });
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(Running { stop, thread, .. }) = self.running.take() {
            let asked = stop.send(()).is_ok();
            let begun = std::time::Instant::now();
            while asked && !thread.is_finished() && begun.elapsed() < DEADLINE {
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
        }
    }
}
