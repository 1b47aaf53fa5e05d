//! A WebSocket byte by byte, by a client that can also misbehave. What the server sends is held to RFC 6455 as it is read.

use super::person::Person;
use super::server::Server;
use super::within;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, ToSocketAddrs};

pub const TEXT: u8 = 0x81;
pub const CLOSE: u8 = 0x88;
pub const PING: u8 = 0x89;
pub const PONG: u8 = 0x8A;

/// The key of the example in RFC 6455 §1.3, and what it must be answered with.
pub const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
pub const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// The head of an opening handshake, to be changed as a test likes.
#[derive(Clone)]
pub struct Head {
    pub line: String,
    pub fields: Vec<(String, String)>,
}

impl Head {
    /// A good one.
    pub fn good() -> Self {
        let fields = [
            ("Host", "chat.example.org"),
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", KEY),
            ("Sec-WebSocket-Protocol", "hubbub.v1"),
        ];
        let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        Self { line: "GET /api/v1/ws HTTP/1.1".to_owned(), fields }
    }

    pub fn line(mut self, line: &str) -> Self {
        line.clone_into(&mut self.line);
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.fields.retain(|(other, _)| !other.eq_ignore_ascii_case(name));
        self
    }

    /// One more field, even if there is one of this name.
    pub fn and(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn with(self, name: &str, value: &str) -> Self {
        self.without(name).and(name, value)
    }

    pub fn text(&self) -> String {
        let fields: String = self.fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        format!("{}\r\n{fields}\r\n", self.line)
    }
}

/// How a handshake was answered.
pub struct Answer {
    pub status: u16,
    pub fields: Vec<(String, String)>,
    pub wire: Wire,
}

impl Answer {
    /// The values of a field, which is rarely there more than once.
    pub fn field(&self, name: &str) -> Vec<&str> {
        self.fields.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str()).collect()
    }

    /// The problem document of a refusal, after which the connection is closed.
    pub async fn problem(self) -> Value {
        assert_eq!(self.field("content-type"), ["application/problem+json"]);
        self.json().await.0
    }

    /// The body, and the connection for what comes next.
    pub async fn json(mut self) -> (Value, Wire) {
        let length: usize = self.field("content-length")[0].parse().expect("a length");
        let body = self.wire.take(length).await.expect("the body arrives");
        (serde_json::from_slice(&body).expect("JSON"), self.wire)
    }
}

/// One thing the server said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    Text(String),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    /// Code and reason; no code for an empty body.
    Close(Option<u16>, String),
    /// It closed the TCP connection, or reset it.
    End,
}

/// A TCP connection to a server.
pub struct Wire {
    pub stream: TcpStream,
    /// Read and not used yet.
    rest: Vec<u8>,
    /// How long the payload of the last frame was.
    pub last_length: usize,
}

impl Wire {
    pub async fn dial(server: &Server) -> Self {
        Self::dial_at(server.address()).await
    }

    /// The same with a server of another process.
    pub async fn dial_at(address: impl ToSocketAddrs) -> Self {
        let stream = within("a connection", TcpStream::connect(address)).await.expect("the server accepts");
        stream.set_nodelay(true).expect("an option");
        Self { stream, rest: Vec::new(), last_length: 0 }
    }

    /// A connection after a good handshake.
    pub async fn open(server: &Server) -> Self {
        Self::try_open(server).await.expect("the handshake is answered with 101")
    }

    /// The same, if there is a place for it.
    pub async fn try_open(server: &Server) -> Option<Self> {
        let answer = Self::dial(server).await.shake(&Head::good()).await;
        (answer.status == 101).then_some(answer.wire)
    }

    /// The same, after a good `hello`.
    pub async fn greeted(server: &Server, person: &Person) -> Self {
        let mut wire = Self::open(server).await;
        wire.send(TEXT, json!({"ref": 1, "hello": {"token": person.token}}).to_string().as_bytes()).await;
        let welcome = wire.reply(1).await;
        assert!(welcome.get("ok").is_some(), "{welcome}");
        wire
    }

    /// Sends the head and reads how it is answered.
    pub async fn shake(mut self, head: &Head) -> Answer {
        self.bytes(head.text().as_bytes()).await;
        self.answer().await.expect("an answer")
    }

    /// The head of an answer; `None` when the connection ends without one.
    pub async fn answer(mut self) -> Option<Answer> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(*self.take(1).await?.first()?);
        }
        let head = String::from_utf8(head).expect("a readable head");
        let (line, fields) = head.split_once("\r\n").expect("a status line");
        let status = line.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).expect("a status").parse().expect("a number");
        let fields = fields.lines().filter_map(|line| line.split_once(": "));
        let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Some(Answer { status, fields, wire: self })
    }

    /// Sends bytes as they are. A server that has closed already does not take them: what it said is what counts.
    pub async fn bytes(&mut self, bytes: &[u8]) {
        drop(self.stream.write_all(bytes).await);
    }

    /// Sends a masked frame.
    pub async fn send(&mut self, first: u8, payload: &[u8]) {
        self.bytes(&frame(first, payload)).await;
    }

    /// Sends a command.
    pub async fn command(&mut self, reference: u64, name: &str, body: Value) {
        self.send(TEXT, json!({"ref": reference, name: body}).to_string().as_bytes()).await;
    }

    /// Says that nothing more will be sent.
    pub async fn hang_up(&mut self) {
        drop(self.stream.shutdown().await);
    }

    /// The reply with this `ref`; pushes before it are dropped.
    pub async fn reply(&mut self, reference: u64) -> Value {
        loop {
            match self.next().await {
                Said::Text(text) => {
                    let frame: Value = serde_json::from_str(&text).expect("frames are JSON");
                    if frame["ref"] == json!(reference) {
                        return frame;
                    }
                }
                Said::Ping(_) | Said::Pong(_) => {}
                other => panic!("{other:?} before the reply to {reference}"),
            }
        }
    }

    /// Waits for the end: the close frame, if one comes, and then that the *server* closes the connection (§7.1.1).
    pub async fn closed(&mut self) -> Option<u16> {
        let code = loop {
            match self.next().await {
                Said::Close(code, _) => break code,
                Said::End => return None,
                Said::Text(_) | Said::Ping(_) | Said::Pong(_) => {}
            }
        };
        assert_eq!(self.next().await, Said::End, "nothing follows a close frame (§5.5.1), and the server closes first");
        code
    }

    /// The next frame, held to the rules for a server's frames.
    pub async fn next(&mut self) -> Said {
        let Some(head) = self.take(2).await else { return Said::End };
        let (first, second) = (head[0], head[1]);
        assert_eq!(first & 0x70, 0, "§5.2: no extension, no reserved bits");
        assert_eq!(second & 0x80, 0, "§5.1: a server does not mask");
        let length = match second {
            126 => {
                let bytes = self.take(2).await.expect("a length");
                let length = u64::from(u16::from_be_bytes([bytes[0], bytes[1]]));
                assert!(length > 125, "§5.2: the shortest form");
                length
            }
            127 => {
                let length = u64::from_be_bytes(self.take(8).await.expect("a length").try_into().expect("eight bytes"));
                assert!(length > 65_535 && length >> 63 == 0, "§5.2: the shortest form");
                length
            }
            short => u64::from(short),
        };
        self.last_length = usize::try_from(length).expect("a length");
        let payload = self.take(self.last_length).await.expect("a whole frame");
        assert!(first & 0x0F < 8 || (first & 0x80 != 0 && length <= 125), "§5.5: a control frame is whole and short");
        match first {
            TEXT => Said::Text(String::from_utf8(payload).expect("§5.6: text is UTF-8")),
            PING => Said::Ping(payload),
            PONG => Said::Pong(payload),
            CLOSE => said_close(&payload),
            other => panic!("a frame that begins with {other:#x}"),
        }
    }

    async fn take(&mut self, count: usize) -> Option<Vec<u8>> {
        within("bytes from the server", async {
            while self.rest.len() < count {
                match self.stream.read_buf(&mut self.rest).await {
                    Ok(0) | Err(_) => return None,
                    Ok(_) => {}
                }
            }
            Some(self.rest.drain(..count).collect())
        })
        .await
    }
}

fn said_close(payload: &[u8]) -> Said {
    let &[a, b, ref reason @ ..] = payload else {
        assert!(payload.is_empty(), "§5.5.1: a close frame has no body, or a code");
        return Said::Close(None, String::new());
    };
    let code = u16::from_be_bytes([a, b]);
    assert!(![1004, 1005, 1006, 1015].contains(&code) && (1000..5000).contains(&code), "§7.4: {code} must not be sent");
    Said::Close(Some(code), String::from_utf8(reason.to_vec()).expect("§5.5.1: a reason is UTF-8"))
}

/// The bytes of a masked frame with its length in the shortest form.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    masked(first, payload, [0x37, 0xFA, 0x21, 0x3D])
}

pub fn masked(first: u8, payload: &[u8], mask: [u8; 4]) -> Vec<u8> {
    let mut bytes = header(first, payload.len() as u64);
    bytes.extend(mask);
    bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key));
    bytes
}

/// First byte and length, with the bit that says that a mask follows.
pub fn header(first: u8, length: u64) -> Vec<u8> {
    let mut bytes = vec![first];
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short @ 0..=125), _) => bytes.push(0x80 | short),
        (_, Ok(middle)) => {
            bytes.push(0x80 | 126);
            bytes.extend(middle.to_be_bytes());
        }
        _ => {
            bytes.push(0x80 | 127);
            bytes.extend(length.to_be_bytes());
        }
    }
    bytes
}

/// A close frame's payload.
pub fn close_body(code: u16, reason: &[u8]) -> Vec<u8> {
    [&code.to_be_bytes(), reason].concat()
}
