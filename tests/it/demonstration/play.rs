//! Plays a script against a server of its own.

use super::script::{Expected, Step};
use crate::support::hook::{Hook, Manner};
use crate::support::person::{PASSWORD, Person};
use crate::support::server::Server;
use crate::support::socket::Socket;
use crate::support::viewer::number;
use crate::support::{eventually, within};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;
use uuid::Uuid;

/// How long somebody listens for what must come.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the server is always started with, beside the address of the hook.
const USUAL: &[(&str, &str)] =
    &[("filter_hook.fail", "open"), ("filter_hook.timeout", "20s"), ("room.typing_pause", "1ms"), ("presence.coalesce", "50ms")];

pub struct Play {
    server: Server,
    hook: Hook,
    /// How often the hook had been asked when it was last told how to answer.
    asked: usize,
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
    /// The command that has no answer yet.
    begun: Option<u64>,
    /// How far they know the rooms they receive, and their own stream.
    cursors: BTreeMap<String, u64>,
    user_cursor: u64,
    epoch: Value,
}

impl Play {
    pub async fn start() -> Self {
        let hook = Hook::start(Manner::Action("allow")).await;
        let server = Server::start_with(&[&[("filter_hook.url", hook.url().as_str())], USUAL].concat()).await;
        let now = hubbub::domain::time::Clock::system().now();
        // All day but one minute, which is not now nor soon.
        let minute = (now.timestamp() / 60).rem_euclid(24 * 60);
        let kept = [
            ("in_an_hour", json!(now + chrono::TimeDelta::hours(1))),
            ("quiet_from", json!((minute + 721) % 1440)),
            ("quiet_until", json!((minute + 720) % 1440)),
        ];
        Self { server, hook, asked: 0, people: HashMap::new(), kept: kept.map(|(name, value)| (name.to_owned(), value)).into() }
    }

    /// Plays one step; fails the test where it goes otherwise. With `--no-capture` people can follow.
    pub async fn step(&mut self, step: &Step<'_>) {
        eprintln!("{}", step.line);
        let line = self.filled(step.line);
        let (first, rest) = line.split_once(' ').unwrap_or((&line, ""));
        match first {
            "#" | "##" => {}
            "people" => self.register(rest).await,
            "administrator" => self.appoint(rest).await,
            "device" => self.unpack(rest, step.number).await,
            "server" => self.restart(rest).await,
            "hook" => self.tell_hook(rest, step.number).await,
            name => {
                let (word, rest) = rest.split_once(' ').unwrap_or((rest, ""));
                self.acts(step, name, word, rest).await;
            }
        }
    }

    async fn register(&mut self, names: &str) {
        for name in names.split(' ') {
            let person = Person::register(&self.server, name).await;
            self.takes_part(name, person).await;
        }
    }

    /// An account that the operator makes on the command line.
    async fn appoint(&mut self, name: &str) {
        self.server.user_command(&["add", name, "--admin"], PASSWORD).await;
        let person = Person::log_in(&self.server, name).await;
        self.takes_part(name, person).await;
    }

    /// Another device of somebody, with a socket of its own: `tablet of cid`.
    async fn unpack(&mut self, names: &str, at: usize) {
        let (device, of) = names.split_once(" of ").unwrap_or_else(|| panic!("line {at}: a device of whom?"));
        let person = self.people[of].person.moved_to(&self.server);
        self.takes_part(device, person).await;
    }

    async fn takes_part(&mut self, name: &str, person: Person) {
        self.kept.insert(name.to_owned(), json!(person.id));
        let (socket, begun, cursors) = (None, None, BTreeMap::new());
        let mut taking = Taking { person, socket, heard: Vec::new(), begun, cursors, user_cursor: 0, epoch: Value::Null };
        taking.returns().await;
        self.people.insert(name.to_owned(), taking);
    }

    /// Everybody goes, the server starts again with what is usual and these settings, and everybody comes back.
    async fn restart(&mut self, settings: &str) {
        let url = self.hook.url();
        let changes = settings.split(' ').filter_map(|setting| setting.split_once('='));
        let changes: Vec<_> =
            [("filter_hook.url", url.as_str())].into_iter().chain(USUAL.iter().copied()).chain(changes).collect();
        let mut there: Vec<_> = self.people.values_mut().filter(|taking| taking.socket.is_some()).collect();
        for taking in &mut there {
            taking.goes().await;
        }
        self.server.restart_with(&changes).await;
        for taking in there {
            taking.person.base = self.server.base();
            taking.returns().await;
        }
        // Who has gone comes to this server as well, later.
        self.people.values_mut().for_each(|taking| taking.person.base = self.server.base());
    }

    async fn tell_hook(&mut self, what: &str, at: usize) {
        let manner = match what {
            "refuses" => Manner::Action("refuse"),
            "fails" => Manner::Status(500),
            "allows" => Manner::Action("allow"),
            "holds" => Manner::Held,
            "is asked" => {
                return eventually("a question", || async { (self.hook.asked().len() > self.asked).then_some(()) }).await;
            }
            other => panic!("line {at}: the hook {other}"),
        };
        self.asked = self.hook.asked().len();
        self.hook.answer(manner);
        self.hook.release();
    }

    async fn acts(&mut self, step: &Step<'_>, name: &str, word: &str, rest: &str) {
        let at = step.number;
        let taking = self.people.get_mut(name).unwrap_or_else(|| panic!("line {at}: who is {name}?"));
        let answer = match word {
            "goes" => return taking.goes().await,
            "returns" => return taking.returns().await,
            "hears" => {
                let (kind, expected) = rest.split_once(' ').unwrap_or_else(|| panic!("line {at}: hears what?"));
                let found = taking.hears(kind, &json_of(expected, at), at).await;
                return self.kept.extend(found);
            }
            "heard" => return taking.heard_no(rest, at),
            "begins" => return taking.begins(rest, at).await,
            "awaits" => return self.awaits(step, name, rest).await,
            "ends" => taking.ends(at).await,
            verb if is_verb(verb) => taking.requests(verb, rest, at).await,
            command => taking.commands(command, json_of(rest, at)).await,
        };
        eprintln!("    {}", answer.as_ref().map_or_else(|code| format!("refused: {code}"), Value::to_string));
        match self.judge(step, &answer) {
            Ok(found) => self.kept.extend(found),
            Err(other) => panic!("line {at}: {}\n{other}\nanswered {answer:?}", step.line),
        }
    }

    /// Asks again and again until the answer is as expected.
    async fn awaits(&mut self, step: &Step<'_>, name: &str, request: &str) {
        let (verb, path) = request.split_once(' ').unwrap_or_else(|| panic!("line {}: awaits what?", step.number));
        within(step.line, async {
            loop {
                let taking = self.people.get_mut(name).expect("they take part");
                let answer = taking.requests(verb, path, step.number).await;
                if self.judge(step, &answer).is_ok() {
                    return eprintln!("    {answer:?}");
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        })
        .await;
    }

    /// What an answer has for `?name`, or what is expected otherwise of it.
    fn judge(&self, step: &Step<'_>, answer: &Result<Value, String>) -> Result<Vec<(String, Value)>, String> {
        let mut found = Vec::new();
        let mut otherwise = |expected: &Expected<'_>| match (expected, answer) {
            (Expected::Has(expected), Ok(answer)) => !has(answer, &json_of(&self.filled(expected), step.number), &mut found),
            (Expected::Lacks(expected), Ok(answer)) => {
                has(answer, &json_of(&self.filled(expected), step.number), &mut Vec::new())
            }
            (Expected::Refused(code), Err(refused)) => code != refused,
            _ => true,
        };
        let first = step.expected.iter().find_map(|expected| otherwise(expected).then(|| format!("expected {expected:?}")));
        match first {
            Some(wrong) => Err(wrong),
            None if step.refusal().is_none() && answer.is_err() => Err("expected success".to_owned()),
            None => Ok(found),
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
                None if name == "in_a_moment" => filled.push_str(&in_a_moment()),
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
        answer_of(&reply)
    }

    /// Sends a command over the socket, whose answer is waited for later.
    async fn begins(&mut self, rest: &str, at: usize) {
        let (command, body) = rest.split_once(' ').unwrap_or((rest, ""));
        let socket = self.socket.as_mut().expect("who has gone says nothing");
        self.begun = Some(socket.command(command, json_of(body, at)).await);
    }

    async fn ends(&mut self, at: usize) -> Result<Value, String> {
        let begun = self.begun.take().unwrap_or_else(|| panic!("line {at}: nothing was begun"));
        answer_of(&self.socket.as_mut().expect("who has gone hears nothing").reply(begun).await)
    }

    /// Waits for a push of this kind that has this; what it has for `?name`.
    async fn hears(&mut self, kind: &str, expected: &Value, at: usize) -> Vec<(String, Value)> {
        let found_in = |push: &Value| {
            let mut found = Vec::new();
            push.get(kind).is_some_and(|body| has(body, expected, &mut found)).then_some(found)
        };
        if let Some((place, found)) = self.heard.iter().enumerate().find_map(|(place, push)| Some((place, found_in(push)?))) {
            let push = self.heard.remove(place);
            if let Some(left) = left_of(&push[kind], expected) {
                self.heard.insert(place, json!({kind: left}));
            }
            return found;
        }
        loop {
            let socket = self.socket.as_mut().expect("who has gone hears nothing");
            let push = match tokio::time::timeout(PATIENCE, socket.any_push()).await {
                Ok(push) => push,
                Err(_) => panic!("line {at}: {} hears {kind} {expected} in vain", self.person.name),
            };
            self.knows(&push);
            let Some(found) = found_in(&push) else {
                self.heard.push(push);
                continue;
            };
            eprintln!("    {push}");
            self.heard.extend(left_of(&push[kind], expected).map(|left| json!({kind: left})));
            return found;
        }
    }

    /// Nothing like this has been pushed before what they heard last.
    fn heard_no(&self, rest: &str, at: usize) {
        let said = rest.strip_prefix("no ").and_then(|rest| rest.split_once(' '));
        let (kind, expected) = said.unwrap_or_else(|| panic!("line {at}: heard no what?"));
        let expected = json_of(expected, at);
        let told = self.heard.iter().find(|push| push.get(kind).is_some_and(|body| has(body, &expected, &mut Vec::new())));
        assert_eq!(told, None, "line {at}: {} heard it", self.person.name);
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

/// What is in `ok`, or the code of the fault.
fn answer_of(reply: &Value) -> Result<Value, String> {
    reply.get("ok").cloned().ok_or_else(|| reply["error"]["code"].as_str().unwrap_or_default().to_owned())
}

/// A method of HTTP.
fn is_verb(word: &str) -> bool {
    word.chars().all(char::is_uppercase)
}

/// An instant that is waited for.
fn in_a_moment() -> String {
    let now = hubbub::domain::time::Clock::system().now();
    (now + chrono::TimeDelta::seconds(1)).to_rfc3339()
}

fn json_of(text: &str, at: usize) -> Value {
    if text.is_empty() {
        json!({})
    } else {
        serde_json::from_str(text).unwrap_or_else(|error| panic!("line {at}: {error}: {text}"))
    }
}

/// What a push tells beside what was expected of its lists, as what happens at the same time may come in one.
fn left_of(body: &Value, expected: &Value) -> Option<Value> {
    let mut left = body.clone();
    let mut is_empty = true;
    for (name, wanted) in expected.as_object().into_iter().flatten() {
        let (Some(wanted), Some(values)) = (wanted.as_array(), left[name.as_str()].as_array_mut()) else { continue };
        let mut wanted = wanted.iter().peekable();
        values.retain(|value| wanted.next_if(|expected| has(value, expected, &mut Vec::new())).is_none());
        is_empty &= values.is_empty();
    }
    (!is_empty).then_some(left)
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
