//! What the server logs, for all servers of this process.

use std::io;
use std::sync::{Arc, Mutex, OnceLock};
use tracing_subscriber::EnvFilter;

/// More than anybody runs a server with.
const FILTER: &str = "off,hubbub=trace,actix_web=debug,actix_http=debug,actix_server=debug,diesel=debug,mysql_async=debug";

/// A log that is kept.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Begins to keep the log; later calls return the same.
    pub fn capture() -> Self {
        static LOG: OnceLock<Log> = OnceLock::new();
        let begin = || {
            let log = Self::default();
            let writer = log.clone();
            let subscriber = tracing_subscriber::fmt().with_env_filter(EnvFilter::new(FILTER)).with_ansi(false);
            subscriber.with_writer(move || writer.clone()).try_init().expect("nobody else logs in this process");
            log
        };
        LOG.get_or_init(begin).clone()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().expect("not poisoned")).into_owned()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("not poisoned").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
