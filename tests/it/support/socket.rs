//! A WebSocket of protocol version 1, as a client sees it.

use super::within;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::collections::VecDeque;
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, client_async, connect_async};
use uuid::Uuid;

/// An open socket. Replies are matched by `ref`; pushes wait in order until asked for.
pub struct Socket {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    next_ref: u64,
    pushes: VecDeque<Value>,
    replies: Vec<Value>,
}

fn handshake(base: &str) -> Request {
    let url = format!("{}/api/v1/ws", base.replacen("http", "ws", 1));
    let mut request = url.into_client_request().expect("a valid address");
    request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static("hubbub.v1"));
    request
}

/// What came next.
#[derive(Debug)]
pub enum Next {
    Frame(Value),
    /// The socket was closed, with its code where there was one.
    Closed(Option<u16>),
}

impl Socket {
    /// Opens a socket; the subprotocol is agreed, nothing else is said.
    pub async fn open(base: &str) -> Self {
        let (stream, _) = within("the handshake", connect_async(handshake(base))).await.expect("the handshake succeeds");
        Self { stream, next_ref: 1, pushes: VecDeque::new(), replies: Vec::new() }
    }

    /// Opens a socket if the server lets it.
    pub async fn try_open(base: &str) -> Result<Self, tokio_tungstenite::tungstenite::Error> {
        let (stream, _) = within("the handshake", connect_async(handshake(base))).await?;
        Ok(Self { stream, next_ref: 1, pushes: VecDeque::new(), replies: Vec::new() })
    }

    /// The same with a small receive buffer, for somebody who reads slowly.
    pub async fn open_narrow(base: &str) -> Self {
        let address = base.trim_start_matches("http://").parse().expect("an address");
        let tcp = TcpSocket::new_v4().expect("a socket");
        tcp.set_recv_buffer_size(4096).expect("a small buffer");
        let tcp = within("a connection", tcp.connect(address)).await.expect("the server accepts");
        let opening = client_async(handshake(base), MaybeTlsStream::Plain(tcp));
        let (stream, _) = within("the handshake", opening).await.expect("the handshake succeeds");
        Self { stream, next_ref: 1, pushes: VecDeque::new(), replies: Vec::new() }
    }

    /// Closes in good order, and waits until the server has too.
    pub async fn leave(&mut self) {
        self.send(Message::Close(None)).await;
        self.closed().await;
    }

    /// Pushes that came while something else was waited for.
    pub fn heard(&mut self) -> Vec<Value> {
        self.pushes.drain(..).collect()
    }

    /// Sends a command on a socket that may be closed; whether it went out.
    pub async fn try_command(&mut self, reference: u64, name: &str, body: Value) -> bool {
        let frame = json!({"ref": reference, name: body}).to_string();
        self.stream.send(Message::text(frame)).await.is_ok()
    }

    /// Sends any WebSocket message.
    pub async fn send(&mut self, message: Message) {
        self.stream.send(message).await.expect("the socket takes a frame");
    }

    /// Sends a command and returns its `ref` without waiting.
    pub async fn command(&mut self, name: &str, body: Value) -> u64 {
        let reference = self.next_ref;
        self.next_ref += 1;
        let frame = json!({"ref": reference, name: body}).to_string();
        self.send(Message::text(frame)).await;
        reference
    }

    /// Sends a command and waits for its reply; pushes on the way are kept.
    pub async fn ask(&mut self, name: &str, body: Value) -> Value {
        let reference = self.command(name, body).await;
        self.reply(reference).await
    }

    /// The reply to an earlier command.
    pub async fn reply(&mut self, reference: u64) -> Value {
        loop {
            if let Some(at) = self.replies.iter().position(|reply| reply["ref"] == json!(reference)) {
                return self.replies.swap_remove(at);
            }
            match self.next().await {
                Next::Frame(frame) if frame.get("ref").is_some() => self.replies.push(frame),
                Next::Frame(frame) => self.pushes.push_back(frame),
                Next::Closed(code) => panic!("closed with {code:?} before the reply to {reference}"),
            }
        }
    }

    /// Posts and returns the reply.
    pub async fn say(&mut self, room: &str, text: &str) -> Value {
        self.ask("post", json!({"room": room, "client_id": Uuid::now_v7(), "text": text})).await
    }

    /// Posts without waiting, naming the post before; its `ref` and client id.
    pub async fn pipeline(&mut self, room: &str, text: &str, after: Option<&str>) -> (u64, String) {
        let client_id = Uuid::now_v7().to_string();
        let mut post = json!({"room": room, "client_id": client_id, "text": text});
        if let Some(after) = after {
            post["after"] = json!(after);
        }
        (self.command("post", post).await, client_id)
    }

    /// Subscribes to a room from its present on; fails the test unless that is granted.
    pub async fn subscribe(&mut self, room: &str) -> u64 {
        let reply = self.ask("subscribe", json!({"rooms": [{"room": room}]})).await;
        reply["ok"]["rooms"][0]["head"].as_u64().unwrap_or_else(|| panic!("not subscribed: {reply}"))
    }

    /// The next push of the kind named; those of other kinds before it are dropped.
    pub async fn push(&mut self, kind: &str) -> Value {
        loop {
            if let Some(body) = self.any_push().await.get(kind) {
                return body.clone();
            }
        }
    }

    /// The next push of any kind.
    pub async fn any_push(&mut self) -> Value {
        if let Some(push) = self.pushes.pop_front() {
            return push;
        }
        loop {
            match self.next().await {
                Next::Frame(frame) if frame.get("ref").is_some() => self.replies.push(frame),
                Next::Frame(frame) => return frame,
                Next::Closed(code) => panic!("closed with {code:?} while waiting for a push"),
            }
        }
    }

    /// The next message text received, with its `seq`.
    pub async fn message(&mut self) -> (u64, String) {
        loop {
            let changes = self.push("changes").await;
            for item in changes["items"].as_array().into_iter().flatten() {
                if let Some(message) = item.get("message") {
                    return (message["seq"].as_u64().unwrap_or(0), message["text"].as_str().unwrap_or_default().to_owned());
                }
            }
        }
    }

    /// Waits until the server closes, and returns its code; frames on the way are dropped.
    pub async fn closed(&mut self) -> Option<u16> {
        loop {
            if let Next::Closed(code) = self.next().await {
                return code;
            }
        }
    }

    /// The next JSON frame, or the end.
    pub async fn next(&mut self) -> Next {
        // One deadline for all: pings come more often than it ends.
        within("a frame", async {
            loop {
                match self.stream.next().await {
                    Some(Ok(Message::Text(text))) => return Next::Frame(serde_json::from_str(&text).expect("frames are JSON")),
                    Some(Ok(Message::Close(close))) => return Next::Closed(close.map(|close| close.code.into())),
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => return Next::Closed(None),
                }
            }
        })
        .await
    }
}
