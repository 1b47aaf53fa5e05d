//! The socket of a bot: TCP, the opening handshake (RFC 6455 §4), reading into the thread's one buffer.

use super::comeback::Gone;
use super::frame::{self, Opcode, Reader, Whole};
use mio::net::TcpStream;
use socket2::{Domain, Protocol, Socket, Type};
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::time::Duration;
use tungstenite::handshake::client::generate_key;
use tungstenite::handshake::derive_accept_key;

/// Where the server is, and how it is greeted.
#[derive(Clone, Debug)]
pub struct Target {
    address: SocketAddr,
    request: Vec<u8>,
    accept: String,
}

/// Connections per local address: below the 28,000 local ports a Linux gives by default.
const PER_SOURCE: usize = 20_000;
/// Read at once; larger would only spoil the cache.
const CHUNK: usize = 256 * 1024;

impl Target {
    /// The server at an `http://host:port` address.
    pub fn parse(url: &str) -> Result<Self, String> {
        let url = reqwest::Url::parse(url).map_err(|error| format!("{url}: {error}"))?;
        let host = url.host_str().ok_or("the address has no host")?;
        let port = url.port_or_known_default().ok_or("the address has no port")?;
        let address = (host, port).to_socket_addrs().map_err(|error| format!("{host}: {error}"))?.next();
        let address = address.ok_or_else(|| format!("{host} has no address"))?;
        // One key for all: it need not be secret, only fresh per run, and the answer is then computed once.
        let key = generate_key();
        let request = format!(
            "GET /api/v1/ws HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: hubbub.v1\r\nSec-WebSocket-Key: {key}\r\n\r\n"
        );
        Ok(Self { address, request: request.into_bytes(), accept: derive_accept_key(key.as_bytes()) })
    }
}

/// What a bot wants to send, as frames.
#[derive(Debug)]
pub struct Outbox {
    /// Not yet written.
    pub bytes: Vec<u8>,
    mask: u32,
}

impl Outbox {
    pub fn new(seed: usize) -> Self {
        Self { bytes: Vec::new(), mask: (seed as u32).wrapping_mul(0x9E37_79B9) | 1 }
    }

    /// Appends one frame.
    pub fn push(&mut self, opcode: Opcode, payload: &[u8]) {
        // Xorshift: a server must unmask, so the keys must differ; they hide nothing here.
        self.mask ^= self.mask << 13;
        self.mask ^= self.mask >> 17;
        self.mask ^= self.mask << 5;
        frame::write(&mut self.bytes, opcode, payload, Some(self.mask.to_le_bytes()));
    }

    /// Appends a close frame.
    pub fn close(&mut self, code: u16) {
        self.push(Opcode::Close, &code.to_be_bytes());
    }
}

/// One connection.
#[derive(Debug)]
pub struct Link {
    stream: TcpStream,
    reader: Reader,
    /// What has not been written of the request, then what has come of the answer.
    request: Vec<u8>,
    answer: Vec<u8>,
    accept: String,
    upgraded: bool,
    refusal: Option<Gone>,
}

impl Link {
    /// Begins to connect. Bot `index` decides the local address, so that tens of thousands find a port.
    pub fn open(target: &Target, index: usize) -> io::Result<Self> {
        let domain = Domain::for_address(target.address);
        let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        if let SocketAddr::V4(v4) = target.address
            && v4.ip().is_loopback()
            && index >= PER_SOURCE
        {
            let last = u8::try_from(index / PER_SOURCE).unwrap_or(u8::MAX).saturating_add(1);
            socket.bind(&SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 0, last)), 0).into())?;
        }
        match socket.connect(&target.address.into()) {
            Err(error) if error.raw_os_error() != Some(EINPROGRESS) && error.kind() != io::ErrorKind::WouldBlock => {
                return Err(error);
            }
            _ => {}
        }
        Ok(Self {
            stream: TcpStream::from_std(socket.into()),
            reader: Reader::default(),
            request: target.request.clone(),
            answer: Vec::new(),
            accept: target.accept.clone(),
            upgraded: false,
            refusal: None,
        })
    }

    pub fn stream(&mut self) -> &mut TcpStream {
        &mut self.stream
    }

    /// The handshake is done.
    pub fn upgraded(&self) -> bool {
        self.upgraded
    }

    /// How the server refused the handshake, if it did.
    pub fn refusal(&self) -> Option<Gone> {
        self.refusal
    }

    /// Reads the answer to the handshake; true once it is complete and right.
    pub fn upgrade(&mut self, scratch: &mut [u8]) -> io::Result<bool> {
        loop {
            let count = match self.stream.read(scratch) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => count,
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::NotConnected) => {
                    return Ok(false);
                }
                Err(error) => return Err(error),
            };
            self.answer.extend_from_slice(scratch.get(..count).unwrap_or_default());
            let Some(end) = self.answer.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
            let rest = self.answer.split_off(end + 4);
            let answer = std::mem::take(&mut self.answer);
            self.check(&String::from_utf8_lossy(&answer))?;
            self.reader.preload(&rest);
            self.upgraded = true;
            return Ok(true);
        }
    }

    fn check(&mut self, answer: &str) -> io::Result<()> {
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        let field = |name: &str| {
            let fields = answer.lines().filter_map(|line| line.split_once(':'));
            fields.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).next()
        };
        if status != 101 {
            let pause = field("retry-after").and_then(|seconds| seconds.parse().ok()).map(Duration::from_secs);
            self.refusal = Some(Gone::Refused(status, pause));
        } else if field("sec-websocket-accept") != Some(self.accept.as_str())
            || field("sec-websocket-protocol") != Some("hubbub.v1")
        {
            self.refusal = Some(Gone::Nonsense);
        }
        if self.refusal.is_some() { Err(io::ErrorKind::ConnectionRefused.into()) } else { Ok(()) }
    }

    /// Reads all there is. The end of the stream is an error; with `to_end` it has been announced, so a short read is not the last.
    pub fn read<E: FnMut(Whole<'_>)>(&mut self, scratch: &mut [u8], to_end: bool, mut each: E) -> io::Result<()> {
        let stream = &mut self.stream;
        loop {
            let mut wanted = 0;
            let read = |room: &mut [u8]| {
                let room = match room.split_at_mut_checked(CHUNK) {
                    Some((chunk, _)) => chunk,
                    None => room,
                };
                wanted = room.len();
                stream.read(room)
            };
            match self.reader.read(scratch, read, &mut each) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                // A short read has emptied the socket; what comes later is a new event (epoll(7), edge-triggered).
                Ok(count) if count < wanted && !to_end => return Ok(()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Writes the request, then `out`, as far as the socket takes them.
    pub fn write(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        drain(&mut self.stream, &mut self.request)?;
        if self.request.is_empty() && self.upgraded { drain(&mut self.stream, out) } else { Ok(()) }
    }
}

/// Writes as much of `bytes` as `stream` takes, and forgets it.
pub fn drain(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> io::Result<()> {
    let mut done = 0;
    let result = loop {
        let left = bytes.get(done..).unwrap_or_default();
        if left.is_empty() {
            break Ok(());
        }
        match stream.write(left) {
            Ok(0) => break Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => done += count,
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::NotConnected) => break Ok(()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => break Err(error),
        }
    };
    bytes.drain(..done);
    result
}

/// Linux's number for a connection that is being made.
const EINPROGRESS: i32 = 115;
