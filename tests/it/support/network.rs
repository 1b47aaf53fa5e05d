//! A stretch of network between a server and its database that a test can cut, freeze and mend.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

/// What happens to what is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Mode {
    /// It arrives.
    Pass = 0,
    /// It is swallowed, and nobody is told: a cable pulled.
    Swallow = 1,
    /// Connections are closed, new ones too.
    Refuse = 2,
    /// Some COMMITs are lost with their connection: in turn before they arrive, and with their answer.
    LoseCommits = 3,
    /// For good.
    End = 4,
}

/// How often the mode is looked at while nothing is sent.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// One COMMIT in so many is lost.
const LOSE_ONE_IN: u64 = 3;
/// `COM_QUERY` with the text COMMIT, behind its length and sequence number.
const COMMIT: &[u8] = b"\x03COMMIT";

/// See the module. Ends when dropped.
pub struct Network {
    pub port: u16,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    mode: AtomicU8,
    commits: AtomicU64,
    lost: AtomicU64,
}

impl Network {
    /// Forwards a free port of loopback to `to`, such as `127.0.0.1:3306`.
    pub fn to(to: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        listener.set_nonblocking(true).expect("an option");
        let shared = Arc::new(Shared::default());
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            while accepting.mode() != Mode::End {
                match listener.accept() {
                    Ok((near, _)) if accepting.mode() != Mode::Refuse => accepting.join(&near, &to),
                    Ok(_) => {}
                    Err(_) => thread::sleep(LOOK_EVERY),
                }
            }
        });
        Self { port, shared }
    }

    pub fn set(&self, mode: Mode) {
        self.shared.mode.store(mode as u8, Ordering::Relaxed);
    }

    /// COMMITs lost so far.
    pub fn lost(&self) -> u64 {
        self.shared.lost.load(Ordering::Relaxed)
    }
}

impl Drop for Network {
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

    /// Two threads carry one connection.
    fn join(self: &Arc<Self>, near: &TcpStream, to: &str) {
        let Ok(far) = TcpStream::connect(to) else { return };
        near.set_nonblocking(false).expect("an option");
        for stream in [near, &far] {
            stream.set_nodelay(true).expect("an option");
            stream.set_read_timeout(Some(LOOK_EVERY)).expect("an option");
        }
        for there in [true, false] {
            let (near, far, shared) = (near.try_clone().expect("a socket"), far.try_clone().expect("a socket"), Arc::clone(self));
            thread::spawn(move || if there { shared.carry(&near, &far, true) } else { shared.carry(&far, &near, false) });
        }
    }

    fn carry(&self, mut from: &TcpStream, mut to: &TcpStream, there: bool) {
        let mut bytes = vec![0; 64 * 1024];
        while !matches!(self.mode(), Mode::Refuse | Mode::End) {
            let count = match from.read(&mut bytes) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => continue,
                Err(_) => break,
            };
            if self.mode() == Mode::Swallow {
                continue;
            }
            let losing = there && self.mode() == Mode::LoseCommits && self.loses(&bytes[..count]);
            // One is lost on its way, the next one's answer.
            let forwarded = !losing || self.lost.fetch_add(1, Ordering::Relaxed) % 2 == 1;
            if (forwarded && to.write_all(&bytes[..count]).is_err()) || losing {
                break;
            }
        }
        // It may be closed already.
        drop((from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both)));
    }

    fn loses(&self, sent: &[u8]) -> bool {
        let commit = sent.get(4..).is_some_and(|query| query == COMMIT);
        commit && self.commits.fetch_add(1, Ordering::Relaxed) % LOSE_ONE_IN == LOSE_ONE_IN - 1
    }
}
