//! One careful person with a room of their own, who posts over REST all the while: each post until it is answered, then the next. Tells when
//! the server was away and for how long, and reads at the end whether everything is there once.

use crate::Failed;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// Pause between an answer and the next post.
const PAUSE: Duration = Duration::from_millis(20);
/// An answer that takes longer is none.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long something may be tried when nothing is broken.
const READ_WITHIN: Duration = Duration::from_secs(30);

/// A post and its answer.
#[derive(Clone, Debug)]
pub struct Attempt {
    pub begun: Instant,
    pub ended: Instant,
    client_id: Uuid,
    /// The seq, or the fault's code; no code when there was no answer at all.
    pub answer: Result<u64, Option<String>>,
}

/// See the module.
#[derive(Debug)]
pub struct Witness {
    api: Api,
    room: String,
    attempts: Arc<Mutex<Vec<Attempt>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// REST with one person's token.
#[derive(Clone, Debug)]
pub struct Api {
    http: Client,
    base: String,
    token: String,
}

impl Api {
    /// Registers `name`.
    pub fn register(url: &str, name: &str) -> Result<Self, Failed> {
        let http = Client::builder().timeout(PATIENCE).build()?;
        let mut api = Self { http, base: format!("{url}/api/v1/"), token: String::new() };
        let body = json!({ "name": name, "password": Uuid::new_v4().to_string() });
        let (_, account) = block_on(api.send(Method::POST, "accounts", Some(&body)))??;
        api.token = account.pointer("/access_token").and_then(Value::as_str).ok_or("registering gave no token")?.to_owned();
        Ok(api)
    }

    /// The access token.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// What a page outside the API says.
    pub fn text(&self, path: &str) -> Result<String, Failed> {
        let url = format!("{}{path}", self.base.trim_end_matches("/api/v1/"));
        Ok(block_on(async { self.http.get(url).send().await?.text().await })??)
    }

    /// One request: status and body. An error means that there was no whole answer.
    async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Result<(u16, Value), Failed> {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if !self.token.is_empty() {
            request = request.bearer_auth(&self.token);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await?;
        let status = response.status().as_u16();
        let bytes = response.bytes().await?;
        Ok((status, serde_json::from_slice(&bytes).unwrap_or(Value::Null)))
    }

    /// One request that must succeed; tried again for a while.
    pub fn ask(&self, method: &Method, path: &str, body: Option<&Value>) -> Result<Value, Failed> {
        let begun = Instant::now();
        loop {
            let answer = block_on(self.send(method.clone(), path, body))?;
            match answer {
                Ok((200..300, value)) => return Ok(value),
                refused if begun.elapsed() > READ_WITHIN => {
                    return Err(format!("{method} {path}: {:?}", refused.map(|(status, _)| status)).into());
                }
                _ => std::thread::sleep(PAUSE * 10),
            }
        }
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> Result<T, Failed> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(future))
}

impl Witness {
    /// Registers and begins to post.
    pub fn start(url: &str) -> Result<Self, Failed> {
        let api = Api::register(url, &format!("witness-{}", Uuid::new_v4().simple().to_string().split_off(24)))?;
        let room = api.ask(&Method::POST, "rooms", Some(&json!({ "name": "the witness", "kind": "public" })))?;
        let room = room.pointer("/id").and_then(Value::as_str).ok_or("a room without id")?.to_owned();
        let (attempts, stop) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let poster = Poster { api: api.clone(), room: room.clone(), attempts: Arc::clone(&attempts), stop: Arc::clone(&stop) };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = std::thread::Builder::new().name("witness".into()).spawn(move || runtime.block_on(poster.post()))?;
        Ok(Self { api, room, attempts, stop, thread: Some(thread) })
    }

    /// Waits until a post that began after `since` was accepted; how long after `since` its answer came.
    pub fn accepted_after(&self, since: Instant, within: Duration) -> Result<Duration, Failed> {
        let until = Instant::now() + within;
        while Instant::now() < until {
            let found = self.attempts().iter().find(|attempt| attempt.begun >= since && attempt.answer.is_ok()).cloned();
            if let Some(attempt) = found {
                return Ok(attempt.ended.saturating_duration_since(since));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Err(format!("nothing was accepted within {} s", within.as_secs()).into())
    }

    /// Everything tried so far.
    pub fn attempts(&self) -> Vec<Attempt> {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Stops posting and compares what was answered with what is stored: a sentence for each contradiction.
    pub fn finish(mut self) -> Result<(Vec<Attempt>, Vec<String>), Failed> {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().map_err(|_| "the witness panicked")?;
        }
        let attempts = self.attempts();
        let stored = self.stored()?;
        Ok((attempts.clone(), compare(&attempts, &stored)))
    }

    fn stored(&self) -> Result<Vec<(u64, Uuid)>, Failed> {
        let mut stored: Vec<(u64, Uuid)> = Vec::new();
        loop {
            let after = stored.last().map_or(0, |(seq, _)| *seq);
            let page = self.api.ask(&Method::GET, &format!("rooms/{}/messages?after={after}&limit=200", self.room), None)?;
            let rows = page.pointer("/messages").and_then(Value::as_array).ok_or("a page without messages")?;
            let row = |row: &Value| Some((row.get("seq")?.as_u64()?, row.get("client_id")?.as_str()?.parse().ok()?));
            let before = stored.len();
            stored.extend(rows.iter().filter_map(row));
            if stored.len() == before {
                return Ok(stored);
            }
        }
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Pure: stored once, densely, where the answer said, and nothing else.
fn compare(attempts: &[Attempt], stored: &[(u64, Uuid)]) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut places: HashMap<Uuid, u64> = HashMap::new();
    for ((seq, client_id), expected) in stored.iter().zip(1..) {
        if *seq != expected {
            wrong.push(format!("the witness's room has seq {seq} where {expected} belongs"));
        }
        if places.insert(*client_id, *seq).is_some() {
            wrong.push(format!("the witness's post {client_id} is stored twice"));
        }
        if !attempts.iter().any(|attempt| attempt.client_id == *client_id) {
            wrong.push(format!("nobody posted {client_id} to the witness's room"));
        }
    }
    for attempt in attempts {
        if let Ok(seq) = attempt.answer
            && places.get(&attempt.client_id) != Some(&seq)
        {
            wrong.push(format!("the witness's post acknowledged as seq {seq} is stored as {:?}", places.get(&attempt.client_id)));
        }
    }
    wrong
}

/// The thread's side.
struct Poster {
    api: Api,
    room: String,
    attempts: Arc<Mutex<Vec<Attempt>>>,
    stop: Arc<AtomicBool>,
}

impl Poster {
    async fn post(self) {
        let path = format!("rooms/{}/messages", self.room);
        let mut client_id = Uuid::now_v7();
        let mut stopping = None;
        loop {
            // A post without an answer is asked for until there is one, though not for ever.
            if self.stop.load(Ordering::Relaxed) && stopping.get_or_insert_with(Instant::now).elapsed() > PATIENCE {
                return;
            }
            let begun = Instant::now();
            let answered =
                self.api.send(Method::POST, &path, Some(&json!({ "client_id": client_id, "text": "still here" }))).await;
            let answer = match answered {
                Ok((200..300, body)) => body.get("seq").and_then(Value::as_u64).ok_or(Some("no seq".to_owned())),
                Ok((status, body)) => {
                    Err(Some(body.get("code").and_then(Value::as_str).map_or_else(|| status.to_string(), str::to_owned)))
                }
                Err(_) => Err(None),
            };
            let accepted = answer.is_ok();
            let attempt = Attempt { begun, ended: Instant::now(), client_id, answer };
            self.attempts.lock().unwrap_or_else(PoisonError::into_inner).push(attempt);
            if accepted {
                client_id = Uuid::now_v7();
                if self.stop.load(Ordering::Relaxed) {
                    return;
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(id: u128, answer: Result<u64, Option<String>>) -> Attempt {
        Attempt { begun: Instant::now(), ended: Instant::now(), client_id: Uuid::from_u128(id), answer }
    }

    #[test]
    fn an_acknowledged_post_that_is_not_stored_is_told() {
        let attempts = [attempt(1, Ok(1)), attempt(2, Ok(2))];
        assert_eq!(compare(&attempts, &[(1, Uuid::from_u128(1)), (2, Uuid::from_u128(2))]), [""; 0]);
        assert_eq!(compare(&attempts, &[(1, Uuid::from_u128(1))]).len(), 1);
    }

    #[test]
    fn gaps_repeats_and_strangers_are_told() {
        let attempts = [attempt(1, Err(None)), attempt(1, Ok(1))];
        assert_eq!(compare(&attempts, &[(1, Uuid::from_u128(1)), (3, Uuid::from_u128(9))]).len(), 2, "a gap, a stranger");
        assert_eq!(
            compare(&attempts, &[(1, Uuid::from_u128(1)), (2, Uuid::from_u128(1))]).len(),
            2,
            "twice, and at another place"
        );
    }
}
