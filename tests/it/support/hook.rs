//! A filter hook: a small HTTP server that answers as a test says, and keeps what it was asked.

use serde_json::Value;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// How it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// `{"action": …}`.
    Action(&'static str),
    /// This status, with nothing in it.
    Status(u16),
    /// Something that is no answer.
    Garbage,
    /// Closes the connection.
    Gone,
    /// Not before it is told to: then it allows.
    Held,
}

/// One question.
#[derive(Clone, Debug)]
pub struct Asked {
    pub headers: HashMap<String, String>,
    pub body: String,
}

impl Asked {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("JSON")
    }
}

/// The server; it ends with the runtime of its test.
pub struct Hook {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    manner: Mutex<Manner>,
    asked: Mutex<Vec<Asked>>,
    release: Notify,
}

impl Hook {
    /// On a free port.
    pub async fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared { manner: Mutex::new(manner), asked: Mutex::default(), release: Notify::new() });
        let serving = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, Arc::clone(&serving)));
            }
        });
        Self { address, shared }
    }

    pub fn url(&self) -> String {
        format!("http://{}/judge", self.address)
    }

    /// From now on.
    pub fn answer(&self, manner: Manner) {
        *self.shared.manner.lock().unwrap() = manner;
    }

    /// Everything it was asked.
    pub fn asked(&self) -> Vec<Asked> {
        self.shared.asked.lock().unwrap().clone()
    }

    /// Lets those go who are held.
    pub fn release(&self) {
        self.shared.release.notify_waiters();
    }
}

/// One question of a connection; the client opens another for the next.
async fn answer(stream: TcpStream, shared: Arc<Shared>) -> Option<()> {
    let mut stream = BufReader::new(stream);
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok().filter(|bytes| *bytes > 0)?;
        match line.trim_end().split_once(": ") {
            Some((name, value)) => drop(headers.insert(name.to_lowercase(), value.to_owned())),
            None if line.trim_end().is_empty() => break,
            None => {}
        }
    }
    let mut body = vec![0; headers.get("content-length")?.parse().ok()?];
    stream.read_exact(&mut body).await.ok()?;
    let body = String::from_utf8(body).ok()?;
    let released = shared.release.notified();
    tokio::pin!(released);
    released.as_mut().enable();
    shared.asked.lock().unwrap().push(Asked { headers, body });
    let manner = *shared.manner.lock().unwrap();
    let (status, text) = match manner {
        Manner::Action(action) => (200, format!("{{\"action\":\"{action}\",\"reason\":\"so it says\"}}")),
        Manner::Status(status) => (status, String::new()),
        Manner::Garbage => (200, "perhaps".to_owned()),
        Manner::Gone => return None,
        Manner::Held => {
            released.await;
            (200, "{\"action\":\"allow\"}".to_owned())
        }
    };
    let head = format!("HTTP/1.1 {status} So\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", text.len());
    stream.write_all(format!("{head}{text}").as_bytes()).await.ok()?;
    stream.shutdown().await.ok()
}
