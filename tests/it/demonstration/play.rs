//! Plays a script against a server of its own.

use super::script::{Expected, Step};
use crate::support::hook::{Hook, Manner};
use crate::support::person::Person;
use crate::support::server::Server;
use crate::support::socket::Socket;
use crate::support::viewer::number;
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;
use uuid::Uuid;

/// How long somebody listens for what must come.
const PATIENCE: Duration = Duration::from_secs(20);

pub struct Play {
    server: Server,
    hook: Hook,
    people: HashMap<String, Taking>,
    /// What `?name` kept, as JSON.
    kept: HashMap<String, Value>,
}

/// Somebody who takes part, with a socket while they are there.
struct Taking {
    person: Person,
    socket: Option<Socket>,
    /// Pushes nobody asked for yet.
    heard: Vec<Value>,
    /// How far they know the rooms they receive, and their own stream.
    cursors: BTreeMap<String, u64>,
    user_cursor: u64,
    epoch: Value,
}

impl Play {
    pub async fn start() -> Self {
        let hook = Hook::start(Manner::Action("allow")).await;
        let url = hook.url();
        let server = Server::start_with(&[("filter_hook.url", url.as_str()), ("filter_hook.fail", "open")]).await;
        let soon = hubbub::domain::time::Clock::system().now() + chrono::TimeDelta::hours(1);
        Self { server, hook, people: HashMap::new(), kept: [("in_an_hour".to_owned(), json!(soon))].into() }
    }

    /// Plays one step; fails the test where it goes otherwise. With `--no-capture` people can follow.
    pub async fn step(&mut self, step: &Step<'_>) {
        eprintln!("{}", step.line);
        let line = self.filled(step.line);
        let (first, rest) = line.split_once(' ').unwrap_or((&line, ""));
        match first {
            "#" | "##" => {}
            "people" => self.register(rest).await,
            "hook" => self.hook.answer(match rest {
                "refuses" => Manner::Action("refuse"),
                "fails" => Manner::Status(500),
                "allows" => Manner::Action("allow"),
                other => panic!("line {}: the hook {other}", step.number),
            }),
            name => {
                let (word, rest) = rest.split_once(' ').unwrap_or((rest, ""));
                self.acts(step, name, word, rest).await;
            }
        }
    }

    async fn register(&mut self, names: &str) {
        for name in names.split(' ') {
            let person = Person::register(&self.server, name).await;
            self.kept.insert(name.to_owned(), json!(person.id));
            let mut taking =
                Taking { person, socket: None, heard: Vec::new(), cursors: BTreeMap::new(), user_cursor: 0, epoch: Value::Null };
            taking.returns().await;
            self.people.insert(name.to_owned(), taking);
        }
    }

    async fn acts(&mut self, step: &Step<'_>, name: &str, word: &str, rest: &str) {
        let at = step.number;
        let taking = self.people.get_mut(name).unwrap_or_else(|| panic!("line {at}: who is {name}?"));
        let answer = match word {
            "goes" => return taking.goes().await,
            "returns" => return taking.returns().await,
            "hears" => {
                let (kind, expected) = rest.split_once(' ').unwrap_or_else(|| panic!("line {at}: hears what?"));
                taking.hears(kind, &json_of(expected, at), at).await;
                return;
            }
            verb if verb.chars().all(char::is_uppercase) => taking.requests(verb, rest, at).await,
            command => taking.commands(command, json_of(rest, at)).await,
        };
        eprintln!("    {}", answer.as_ref().map_or_else(|code| format!("refused: {code}"), Value::to_string));
        match (&step.expected, answer) {
            (Expected::Success, Ok(_)) => {}
            (Expected::Has(expected), Ok(answer)) => {
                let expected = json_of(&self.filled(expected), at);
                let mut found = Vec::new();
                assert!(has(&answer, &expected, &mut found), "line {at}: {}\nexpected {expected}\nanswered {answer}", step.line);
                self.kept.extend(found);
            }
            (Expected::Refused(code), Err(refused)) => assert_eq!(*code, refused, "line {at}: {}", step.line),
            (expected, answer) => panic!("line {at}: {}\nexpected {expected:?}\nanswered {answer:?}", step.line),
        }
    }

    /// With what is kept in the place of its name.
    fn filled(&self, line: &str) -> String {
        let mut filled = String::new();
        let mut rest = line;
        while let Some((before, behind)) = rest.split_once('$') {
            filled.push_str(before);
            let end = behind.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(behind.len());
            let (name, behind) = behind.split_at(end);
            match self.kept.get(name) {
                Some(Value::String(text)) => filled.push_str(text),
                Some(value) => filled.push_str(&value.to_string()),
                None if name == "uuid" => filled.push_str(&Uuid::now_v7().to_string()),
                // In the remarks at the head.
                None => filled.push_str(name),
            }
            rest = behind;
        }
        filled + rest
    }
}

impl Taking {
    /// Over REST; the body, or the code of the refusal.
    async fn requests(&mut self, verb: &str, rest: &str, at: usize) -> Result<Value, String> {
        let (path, body) = rest.split_once(' ').map_or((rest, None), |(path, body)| (path, Some(body)));
        let (body, key) = match body.and_then(|body| body.split_once(" with ")) {
            Some((body, key)) => (Some(body), Some(key)),
            None => (body, None),
        };
        let body = body.map(|body| json_of(body, at));
        let method = Method::from_bytes(verb.as_bytes()).unwrap_or_else(|_| panic!("line {at}: {verb}"));
        let answer = match (key, body) {
            (Some(key), Some(body)) => self.person.post_with_key(path, body, key).await,
            (_, body) => self.person.request(method, path, body).await,
        };
        if answer.status.is_success() { Ok(answer.body) } else { Err(answer.code().to_owned()) }
    }

    /// Over the socket; what is in `ok`, or the code of the fault.
    async fn commands(&mut self, command: &str, body: Value) -> Result<Value, String> {
        let socket = self.socket.as_mut().expect("who has gone says nothing");
        let reply = socket.ask(command, body).await;
        if command == "subscribe" {
            for room in reply["ok"]["rooms"].as_array().into_iter().flatten() {
                self.cursors.insert(room["room"].as_str().unwrap_or_default().to_owned(), number(&room["head"]));
            }
        }
        match reply.get("ok") {
            Some(ok) => Ok(ok.clone()),
            None => Err(reply["error"]["code"].as_str().unwrap_or_default().to_owned()),
        }
    }

    /// Waits for a push of this kind that has this.
    async fn hears(&mut self, kind: &str, expected: &Value, at: usize) {
        let matches = |push: &Value| push.get(kind).is_some_and(|body| has(body, expected, &mut Vec::new()));
        if let Some(place) = self.heard.iter().position(matches) {
            self.heard.remove(place);
            return;
        }
        loop {
            let socket = self.socket.as_mut().expect("who has gone hears nothing");
            let push = match tokio::time::timeout(PATIENCE, socket.any_push()).await {
                Ok(push) => push,
                Err(_) => panic!("line {at}: {} hears {kind} {expected} in vain", self.person.name),
            };
            self.knows(&push);
            if matches(&push) {
                eprintln!("    {push}");
                return;
            }
            self.heard.push(push);
        }
    }

    /// Remembers how far they know what.
    fn knows(&mut self, push: &Value) {
        if let Some(changes) = push.get("changes") {
            self.cursors.insert(changes["room"].as_str().unwrap_or_default().to_owned(), number(&changes["to"]));
        }
        if let Some(changes) = push.get("user_changes") {
            self.user_cursor = number(&changes["to"]);
        }
    }

    async fn goes(&mut self) {
        let mut socket = self.socket.take().expect("they are there");
        for push in socket.heard() {
            self.knows(&push);
        }
        self.heard.clear();
        socket.leave().await;
    }

    async fn returns(&mut self) {
        let rooms: Vec<Value> = self.cursors.iter().map(|(room, cursor)| json!({"room": room, "cursor": cursor})).collect();
        let hello = match &self.epoch {
            Value::Null => json!({}),
            epoch => json!({"epoch": epoch, "user_cursor": self.user_cursor, "rooms": rooms}),
        };
        let (socket, welcome) = self.person.connect_with(hello).await;
        self.epoch = welcome["epoch"].clone();
        self.socket = Some(socket);
    }
}

fn json_of(text: &str, at: usize) -> Value {
    if text.is_empty() {
        json!({})
    } else {
        serde_json::from_str(text).unwrap_or_else(|error| panic!("line {at}: {error}: {text}"))
    }
}

/// Whether a value has all that is expected of it: objects may have more, lists as well, in the order expected. What is expected to be `null`
/// may be missing.
fn has(value: &Value, expected: &Value, kept: &mut Vec<(String, Value)>) -> bool {
    match expected {
        Value::Object(fields) => {
            fields.iter().all(|(name, expected)| has(value.get(name).unwrap_or(&Value::Null), expected, kept))
        }
        Value::Array(items) => value.as_array().is_some_and(|values| {
            let mut values = values.iter();
            items.iter().all(|expected| values.any(|value| has(value, expected, kept)))
                && (!items.is_empty() || values.next().is_none())
        }),
        Value::String(text) if text == "*" => !value.is_null(),
        Value::String(text) if text.starts_with('?') => {
            kept.push((text.trim_start_matches('?').to_owned(), value.clone()));
            !value.is_null()
        }
        expected => value == expected,
    }
}
