//! A stretch of network between the server and its database that can be cut: forwards TCP until it is told to swallow everything, to refuse
//! everybody, or to lose a COMMIT on its way there or its answer on the way back. Knows nothing of the drills: tests/it/support takes this
//! file, too.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::thread::{Builder, sleep};
use std::time::Duration;

/// What happens to what comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Mode {
    /// It goes through.
    Pass = 0,
    /// It is swallowed, and nobody is told: a cable pulled.
    Swallow = 1,
    /// Connections are reset, new ones too.
    Refuse = 2,
    /// Every so-many-th COMMIT is lost with its connection, before it or just after it was forwarded, in turn.
    LoseCommits = 3,
    /// For good.
    End = 4,
}

/// How often data is looked at while nothing comes.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// COM_QUERY with the text COMMIT, behind its length and sequence number.
const COMMIT: &[u8] = b"\x03COMMIT";

/// See the module. Ends when dropped.
#[derive(Debug)]
pub struct Proxy {
    pub port: u16,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// Such as `127.0.0.1:3306`.
    to: String,
    /// A COMMIT in so many is lost.
    lose_one_in: u64,
    mode: AtomicU8,
    commits: AtomicU64,
    lost: AtomicU64,
}

impl Proxy {
    /// Listens on a free port of loopback and forwards to `to`, such as `127.0.0.1:3306`; one COMMIT in so many is lost when any is to be.
    pub fn start(to: String, lose_one_in: u64) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        listener.set_nonblocking(true)?;
        let (mode, commits, lost) = (AtomicU8::new(Mode::Pass as u8), AtomicU64::new(0), AtomicU64::new(0));
        let shared = Arc::new(Shared { to, lose_one_in, mode, commits, lost });
        let accepting = Arc::clone(&shared);
        Builder::new().name("proxy".into()).spawn(move || accepting.accept(&listener))?;
        Ok(Self { port, shared })
    }

    pub fn set(&self, mode: Mode) {
        self.shared.mode.store(mode as u8, Ordering::Relaxed);
    }

    /// COMMITs lost so far.
    pub fn lost(&self) -> u64 {
        self.shared.lost.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.set(Mode::End);
    }
}

impl Shared {
    fn mode(&self) -> Mode {
        match self.mode.load(Ordering::Relaxed) {
            0 => Mode::Pass,
            1 => Mode::Swallow,
            2 => Mode::Refuse,
            3 => Mode::LoseCommits,
            _ => Mode::End,
        }
    }

    fn accept(self: Arc<Self>, listener: &TcpListener) {
        while self.mode() != Mode::End {
            match listener.accept() {
                Ok((near, _)) if self.mode() != Mode::Refuse => self.join(near),
                Ok(_) => {}
                Err(_) => sleep(LOOK_EVERY),
            }
        }
    }

    /// Two threads carry one connection.
    fn join(self: &Arc<Self>, near: TcpStream) {
        // Whatever fails here ends this connection, as a network would.
        let Ok(far) = TcpStream::connect(&self.to) else { return };
        let (Ok(near_too), Ok(far_too)) = (near.try_clone(), far.try_clone()) else { return };
        let (there, back) = (Arc::clone(self), Arc::clone(self));
        drop(Builder::new().name("proxy there".into()).spawn(move || there.carry(&near, &far, true)));
        drop(Builder::new().name("proxy back".into()).spawn(move || back.carry(&far_too, &near_too, false)));
    }

    fn carry(&self, from: &TcpStream, to: &TcpStream, there: bool) {
        // An accepted socket may have the listener's mode.
        drop([from.set_nonblocking(false), from.set_nodelay(true), to.set_nodelay(true)]);
        drop(from.set_read_timeout(Some(LOOK_EVERY)));
        let mut bytes = vec![0; 64 * 1024];
        loop {
            let mode = self.mode();
            if matches!(mode, Mode::Refuse | Mode::End) {
                break;
            }
            let count = match (&*from).read(&mut bytes) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => continue,
                Err(_) => break,
            };
            if self.mode() == Mode::Swallow {
                continue;
            }
            let part = bytes.get(..count).unwrap_or_default();
            let losing = there && mode == Mode::LoseCommits && self.loses(part);
            // One is lost on the way there, the next one's answer on the way back.
            let forwarded = !losing || self.lost.fetch_add(1, Ordering::Relaxed) % 2 == 1;
            let failed = forwarded && (&*to).write_all(part).is_err();
            if losing || failed {
                break;
            }
        }
        drop((from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both)));
    }

    fn loses(&self, part: &[u8]) -> bool {
        let commit = part.get(4..).is_some_and(|query| query == COMMIT);
        commit && self.commits.fetch_add(1, Ordering::Relaxed) % self.lose_one_in == self.lose_one_in - 1
    }
}
