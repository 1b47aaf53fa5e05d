//! A person with an account, using the REST API.

use super::server::Server;
use super::socket::Socket;
use reqwest::header::HeaderMap;
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

/// An account with a login.
pub struct Person {
    pub id: String,
    pub name: String,
    pub token: String,
    pub refresh: String,
    pub base: String,
    /// Whose server may be killed: a request that is lost then is answered with 502, as by a gateway before it.
    pub goes_on_through_crashes: bool,
    http: Client,
}

/// What a request came to.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Value,
}

impl Answer {
    async fn to(request: RequestBuilder) -> Self {
        Self::try_to(request).await.expect("the server answers")
    }

    async fn try_to(request: RequestBuilder) -> reqwest::Result<Self> {
        let response = request.send().await?;
        let (status, headers) = (response.status(), response.headers().clone());
        let bytes = response.bytes().await?;
        // Several values, as lines of JSON: a list of them.
        let values: Vec<Value> =
            serde_json::Deserializer::from_slice(&bytes).into_iter().collect::<Result<_, _>>().unwrap_or_default();
        let body = if values.len() > 1 { Value::Array(values) } else { values.into_iter().next().unwrap_or(Value::Null) };
        Ok(Self { status, headers, body })
    }

    /// The body of a success; fails the test on any other.
    #[track_caller]
    pub fn ok(self) -> Value {
        assert!(self.status.is_success(), "{} {}", self.status, self.body);
        self.body
    }

    /// What can be told of it by whoever compares: everything but which request it answers.
    pub fn but_its_id(mut self) -> (u16, Value) {
        if let Some(body) = self.body.as_object_mut() {
            body.remove("request_id");
        }
        (self.status.as_u16(), self.body)
    }

    /// The fault code of a failure; fails the test on success.
    #[track_caller]
    pub fn code(&self) -> &str {
        assert!(!self.status.is_success(), "succeeded: {}", self.body);
        self.body["code"].as_str().unwrap_or_else(|| panic!("no code: {} {}", self.status, self.body))
    }
}

pub const PASSWORD: &str = "correct horse battery";

impl Person {
    /// Registers, which logs in.
    pub async fn register(server: &Server, name: &str) -> Self {
        Self::register_at(&server.base(), name).await
    }

    /// The same with a server of another process.
    pub async fn register_at(base: &str, name: &str) -> Self {
        let mut person = Self::anonymous(base);
        let account = json!({"name": name, "password": PASSWORD, "display_name": name, "device": "test"});
        let login = person.post("accounts", account).await.ok();
        person.adopt(&login);
        person.name = name.to_owned();
        person
    }

    /// Logs into an existing account, as a new device.
    pub async fn log_in(server: &Server, name: &str) -> Self {
        let mut person = Self::anonymous(&server.base());
        let login = person.post("logins", json!({"name": name, "password": PASSWORD, "device": "test"})).await.ok();
        person.adopt(&login);
        person.name = name.to_owned();
        person
    }

    /// Whose server may be killed.
    pub fn through_crashes(mut self) -> Self {
        self.goes_on_through_crashes = true;
        self
    }

    /// Takes over the tokens of a log-in or refresh.
    pub fn adopt(&mut self, login: &Value) {
        let field = |name: &str| login[name].as_str().unwrap_or_else(|| panic!("no {name}: {login}")).to_owned();
        self.token = field("access_token");
        self.refresh = field("refresh_token");
        self.id = login["user"]["id"].as_str().unwrap_or(&self.id).to_owned();
    }

    /// Somebody without a login.
    pub fn anonymous(base: &str) -> Self {
        // Without idle connections, for which a server that stops would wait.
        let http = Client::builder().pool_max_idle_per_host(0).build().expect("a client");
        let (base, goes_on_through_crashes) = (base.to_owned(), false);
        Self {
            id: String::new(),
            name: String::new(),
            token: String::new(),
            refresh: String::new(),
            base,
            goes_on_through_crashes,
            http,
        }
    }

    /// The same person towards a server that was restarted elsewhere.
    pub fn moved_to(&self, server: &Server) -> Self {
        Self {
            id: self.id.clone(),
            name: self.name.clone(),
            token: self.token.clone(),
            refresh: self.refresh.clone(),
            base: server.base(),
            goes_on_through_crashes: self.goes_on_through_crashes,
            http: self.http.clone(),
        }
    }

    pub async fn request(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let url = if path.starts_with('/') { format!("{}{path}", self.base) } else { format!("{}/api/v1/{path}", self.base) };
        let mut request = self.http.request(method, url);
        if !self.token.is_empty() {
            request = request.bearer_auth(&self.token);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        if !self.goes_on_through_crashes {
            return Answer::to(request).await;
        }
        let lost = Answer { status: StatusCode::BAD_GATEWAY, headers: HeaderMap::new(), body: Value::Null };
        Answer::try_to(request).await.unwrap_or(lost)
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.request(Method::GET, path, None).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.request(Method::POST, path, Some(body)).await
    }

    /// Posts under an `Idempotency-Key`.
    pub async fn post_with_key(&self, path: &str, body: Value, key: &str) -> Answer {
        let url = format!("{}/api/v1/{path}", self.base);
        let request = self.http.post(url).bearer_auth(&self.token).header("idempotency-key", key).json(&body);
        Answer::to(request).await
    }

    pub async fn put(&self, path: &str, body: Value) -> Answer {
        self.request(Method::PUT, path, Some(body)).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        self.request(Method::PATCH, path, Some(body)).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.request(Method::DELETE, path, None).await
    }

    /// Makes a room and returns its id.
    pub async fn make_room(&self, name: &str, kind: &str) -> String {
        let room = self.post("rooms", json!({"name": name, "kind": kind})).await.ok();
        room["id"].as_str().expect("a room has an id").to_owned()
    }

    /// Joins a public room, or one invited into.
    pub async fn join(&self, room: &str) {
        self.put(&format!("rooms/{room}/members/me"), json!({})).await.ok();
    }

    /// Posts over REST under a new client id.
    pub async fn say(&self, room: &str, text: &str) -> Value {
        self.say_as(room, text, &Uuid::now_v7().to_string()).await.ok()
    }

    /// Posts over REST under the client id given.
    pub async fn say_as(&self, room: &str, text: &str, client_id: &str) -> Answer {
        self.post(&format!("rooms/{room}/messages"), json!({"client_id": client_id, "text": text})).await
    }

    /// The texts of a room's newest messages, oldest first.
    pub async fn texts(&self, room: &str) -> Vec<String> {
        let page = self.get(&format!("rooms/{room}/messages?limit=200")).await.ok();
        let messages = page["messages"].as_array().unwrap_or_else(|| panic!("no messages: {page}"));
        messages.iter().map(|message| message["text"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// Every message of a room, oldest first.
    pub async fn history(&self, room: &str) -> Vec<Value> {
        let mut messages = Vec::new();
        loop {
            let after = messages.last().map_or(0, |last: &Value| last["seq"].as_u64().expect("a number"));
            let mut page = self.get(&format!("rooms/{room}/messages?after={after}&limit=200")).await.ok();
            messages.append(page["messages"].as_array_mut().unwrap_or_else(|| panic!("no messages")));
            if page["more_after"] != true {
                return messages;
            }
        }
    }

    /// Every row of a room that changed after a revision, and its head.
    pub async fn changes(&self, room: &str, mut after: u64) -> (Vec<Value>, u64) {
        let mut items = Vec::new();
        loop {
            let page = self.get(&format!("rooms/{room}/changes?after={after}")).await.ok();
            let changes = &page["changes"];
            items.extend(changes["items"].as_array().unwrap_or_else(|| panic!("no changes: {page}")).iter().cloned());
            after = changes["to"].as_u64().expect("a revision");
            if changes["to"] == page["head"] {
                return (items, after);
            }
        }
    }

    /// The newest revision of a room.
    pub async fn head(&self, room: &str) -> u64 {
        let room = self.get(&format!("rooms/{room}")).await.ok();
        room["head"].as_u64().unwrap_or_else(|| panic!("no head: {room}"))
    }

    /// A page that is no JSON.
    pub async fn get_text(&self, path: &str) -> String {
        let response = self.http.get(format!("{}{path}", self.base)).send().await.expect("the server answers");
        response.text().await.expect("the body arrives")
    }

    /// Opens a socket and says hello with nothing known.
    pub async fn connect(&self) -> Socket {
        self.connect_with(json!({})).await.0
    }

    /// Opens a socket and says hello with the cursors given; also what the server answered.
    pub async fn connect_with(&self, mut hello: Value) -> (Socket, Value) {
        let mut socket = Socket::open(&self.base).await;
        hello["token"] = json!(self.token);
        let welcome = socket.ask("hello", hello).await;
        let welcome = welcome.get("ok").unwrap_or_else(|| panic!("hello was refused: {welcome}")).clone();
        (socket, welcome)
    }
}
