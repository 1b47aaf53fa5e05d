//! New access tokens while a run goes on: a thread of its own asks for them, so that the event loop never waits for REST.

use super::rest::{Login, Rest};
use mio::Waker;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

/// What is needed to renew a login.
#[derive(Clone, Debug)]
pub struct Credentials {
    pub name: String,
    pub password: String,
    pub login: Login,
}

/// A login renewed, or why not.
pub type Renewed = (usize, Result<Login, String>);

/// The thread, and both ways to it. It ends when this is dropped.
#[derive(Debug)]
pub struct Tokens {
    ask: Sender<(usize, Credentials)>,
    answers: Receiver<Renewed>,
    _thread: JoinHandle<()>,
}

impl Tokens {
    /// Starts the thread; it wakes the loop by `waker`.
    pub fn start(rest: Rest, waker: Arc<Waker>) -> std::io::Result<Self> {
        let (ask, asked) = channel();
        let (answer, answers) = channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = std::thread::Builder::new().name("tokens".into()).spawn(move || {
            runtime.block_on(renew_all(&rest, &asked, &answer, &waker));
        })?;
        Ok(Self { ask, answers, _thread: thread })
    }

    /// Asks for a new token of bot `index`.
    pub fn renew(&self, index: usize, credentials: Credentials) {
        // The thread lives as long as `self`.
        drop(self.ask.send((index, credentials)));
    }

    /// What has come since.
    pub fn take(&self) -> impl Iterator<Item = Renewed> {
        self.answers.try_iter()
    }
}

async fn renew_all(rest: &Rest, asked: &Receiver<(usize, Credentials)>, answer: &Sender<Renewed>, waker: &Waker) {
    // The newest login of each bot: a bot that asks twice must not use a refresh token that was used before.
    let mut newest: HashMap<usize, Login> = HashMap::new();
    while let Ok((index, credentials)) = asked.recv() {
        let login = newest.get(&index).unwrap_or(&credentials.login);
        let renewed = match rest.refresh(login).await {
            Ok(login) => Ok(login),
            Err(_) => rest.log_in(&credentials.name, &credentials.password).await.map_err(|failed| failed.to_string()),
        };
        if let Ok(login) = &renewed {
            newest.insert(index, login.clone());
        }
        if answer.send((index, renewed)).is_err() || waker.wake().is_err() {
            return;
        }
    }
}
