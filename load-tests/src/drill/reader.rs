//! Somebody who subscribes to every room and then stops reading (I4).

use crate::Failed;
use crate::witness::Api;
use reqwest::Method;
use serde_json::{Value, json};
use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};
use tungstenite::client::IntoClientRequest;
use tungstenite::{Message, WebSocket};

/// The server's count of those it gave up.
const GIVEN_UP: &str = "hubbub_slow_consumers_total";
/// For what the server sends at once.
const PATIENCE: Duration = Duration::from_secs(20);

/// See the module.
pub struct SlowReader {
    socket: WebSocket<TcpStream>,
    api: Api,
}

impl SlowReader {
    /// Joins every room of the swarm and subscribes to it.
    pub fn join(url: &str, cast: &Path) -> Result<Self, Failed> {
        let api = Api::register(url, "slow-reader")?;
        let cast: Value = serde_json::from_slice(&fs::read(cast)?)?;
        let rooms = cast.pointer("/rooms").and_then(Value::as_array).ok_or("a cast without rooms")?;
        let rooms: Vec<_> = rooms.iter().filter_map(|room| room.get("id")?.as_str()).collect();
        for room in &rooms {
            api.ask(&Method::PUT, &format!("rooms/{room}/members/me"), None)?;
        }
        let stream = connect(url)?;
        let mut request = url.replacen("http", "ws", 1).into_client_request()?;
        *request.uri_mut() = format!("{}/api/v1/ws", url.replacen("http", "ws", 1)).parse()?;
        request.headers_mut().insert("Sec-WebSocket-Protocol", "hubbub.v1".parse()?);
        let (mut socket, _) = tungstenite::client(request, stream).map_err(|error| error.to_string())?;
        let asked: Vec<_> = rooms.iter().map(|room| json!({ "room": room })).collect();
        let hello = json!({ "ref": 1, "hello": { "token": api.token(), "rooms": asked } });
        socket.send(Message::text(hello.to_string()))?;
        // The welcome is read; after it, nothing.
        loop {
            let text = socket.read()?.into_text()?;
            let frame: Value = serde_json::from_str(&text)?;
            if frame.get("error").is_some() {
                return Err(format!("the slow reader was refused: {frame}").into());
            }
            if frame.get("ok").is_some() {
                return Ok(Self { socket, api });
            }
        }
    }

    /// Waits, without reading, until the server has given the socket up.
    pub fn wait_until_given_up(&self, within: Duration) -> Result<(), Failed> {
        let begun = Instant::now();
        while begun.elapsed() < within {
            let metrics = self.api.text("/metrics")?;
            let line = metrics.lines().find_map(|line| line.strip_prefix(GIVEN_UP));
            if line.is_some_and(|value| value.trim().parse::<f64>().is_ok_and(|count| count > 0.0)) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Err(format!("a socket that is not read is still fed after {} s", within.as_secs()).into())
    }

    /// Reads what is left: the close code, and how many pushes came before it.
    pub fn read_to_the_end(&mut self) -> Result<(Option<u16>, usize), Failed> {
        self.socket.get_ref().set_read_timeout(Some(PATIENCE))?;
        let mut pushes = 0;
        loop {
            match self.socket.read() {
                Ok(Message::Close(frame)) => return Ok((frame.map(|frame| frame.code.into()), pushes)),
                Ok(_) => pushes += 1,
                Err(_) => return Ok((None, pushes)),
            }
        }
    }
}

/// A connection that can hold little, so that it is full soon.
fn connect(url: &str) -> Result<TcpStream, Failed> {
    let address: SocketAddr = url.trim_start_matches("http://").parse()?;
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
    socket.set_recv_buffer_size(4096)?;
    socket.connect(&address.into())?;
    let stream: TcpStream = socket.into();
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}
