//! The REST side of a bot: accounts, logins, rooms, history (the OpenAPI document at `/api/v1/openapi.json`).

use super::talk::fingerprint;
use super::wire::{Message, Refused};
use crate::action::text::Stamp;
use crate::report::verdict::Stored;
use reqwest::{Client, Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::fmt;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// How long one request is tried again while the server says *busy*.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long while it cannot be reached: a restart takes less, a wrong address should not take longer.
const UNREACHABLE: Duration = Duration::from_secs(15);
/// The code of a request that did not reach the server or lost its answer.
const NO_ANSWER: &str = "no answer from the server";
/// The pause when the server does not name one.
const PAUSE: Duration = Duration::from_millis(500);
/// Rows of history per page.
const PAGE: usize = 200;

/// A request that did not succeed.
#[derive(Debug)]
pub struct Failed {
    /// The fault's code, where the server answered with one.
    pub code: String,
    what: String,
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.code)
    }
}

/// The tokens of a login.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Login {
    #[serde(rename = "access_token")]
    pub access: String,
    #[serde(rename = "refresh_token")]
    pub refresh: String,
}

/// A connection to the REST API; cheap to clone.
#[derive(Clone, Debug)]
pub struct Rest {
    http: Client,
    base: String,
}

impl Rest {
    /// The API of the server at `url`.
    pub fn new(url: &str) -> Result<Self, String> {
        let http = Client::builder().timeout(Duration::from_secs(30)).build().map_err(|error| error.to_string())?;
        Ok(Self { http, base: format!("{}/api/v1/", url.trim_end_matches('/')) })
    }

    /// Makes an account; false when the name exists already.
    pub async fn register(&self, name: &str, password: &str) -> Result<bool, Failed> {
        let body = json!({ "name": name, "password": password });
        match self.send(Method::POST, "accounts", None, Some(&body)).await {
            Ok(_) => Ok(true),
            Err(failed) if failed.code == "name_taken" => Ok(false),
            Err(failed) => Err(failed),
        }
    }

    /// Logs in with a password.
    pub async fn log_in(&self, name: &str, password: &str) -> Result<Login, Failed> {
        let body = json!({ "name": name, "password": password });
        self.login("logins", &body).await
    }

    /// Changes a refresh token for new tokens.
    pub async fn refresh(&self, login: &Login) -> Result<Login, Failed> {
        self.login("logins/refresh", &json!({ "refresh_token": login.refresh })).await
    }

    /// Who the token belongs to.
    pub async fn me(&self, token: &str) -> Result<Uuid, Failed> {
        let me = self.send(Method::GET, "me", Some(token), None).await?;
        id(&me, &["/id", "/user/id"]).ok_or_else(|| unexpected("me", &me))
    }

    /// Makes a public room.
    pub async fn create_room(&self, token: &str, name: &str) -> Result<Uuid, Failed> {
        let body = json!({ "name": name, "kind": "public" });
        let room = self.send(Method::POST, "rooms", Some(token), Some(&body)).await?;
        id(&room, &["/id", "/room/id"]).ok_or_else(|| unexpected("rooms", &room))
    }

    /// Joins a public room.
    pub async fn join(&self, token: &str, room: Uuid) -> Result<(), Failed> {
        self.send(Method::PUT, &format!("rooms/{room}/members/me"), Some(token), None).await.map(|_| ())
    }

    /// The number of the room's newest message.
    pub async fn newest_seq(&self, token: &str, room: Uuid) -> Result<u64, Failed> {
        let page = self.send(Method::GET, &format!("rooms/{room}/messages?limit=1"), Some(token), None).await?;
        let newest = rows(&page).into_iter().flatten().filter_map(|row| row.get("seq")?.as_u64()).max();
        Ok(newest.unwrap_or(0))
    }

    /// Every message after `seq`, in the order the server gives them.
    pub async fn history(&self, token: &str, room: Uuid, seq: u64) -> Result<Vec<Stored>, Failed> {
        let mut all = Vec::new();
        let mut after = seq;
        loop {
            let path = format!("rooms/{room}/messages?after={after}&limit={PAGE}");
            let page = self.send(Method::GET, &path, Some(token), None).await?;
            let rows = rows(&page).ok_or_else(|| unexpected("messages", &page))?;
            for row in rows {
                let message = Message::deserialize(row).map_err(|_| unexpected("messages", row))?;
                all.push(stored(&message));
            }
            match all.last().map(|message| message.seq) {
                Some(last) if last > after && !rows.is_empty() => after = last,
                _ => return Ok(all),
            }
        }
    }

    async fn login(&self, path: &str, body: &Value) -> Result<Login, Failed> {
        let answer = self.send(Method::POST, path, None, Some(body)).await?;
        let tokens = [answer.get("tokens"), answer.get("login"), Some(&answer)];
        let login = tokens.into_iter().flatten().find_map(|value| Login::deserialize(value).ok());
        login.ok_or_else(|| Failed { code: "no tokens in the answer".into(), what: path.into() })
    }

    /// One request, repeated while the server says that it may succeed later. Only used for requests that may be repeated.
    pub async fn send(&self, method: Method, path: &str, token: Option<&str>, body: Option<&Value>) -> Result<Value, Failed> {
        let begun = Instant::now();
        loop {
            let (failed, pause) = match self.once(method.clone(), path, token, body).await {
                Ok(value) => return Ok(value),
                Err((failed, None)) => return Err(failed),
                Err((failed, Some(pause))) => (failed, pause),
            };
            let patience = if failed.code == NO_ANSWER { UNREACHABLE } else { PATIENCE };
            if begun.elapsed() + pause > patience {
                return Err(failed);
            }
            tokio::time::sleep(pause).await;
        }
    }

    async fn once(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: Option<&Value>,
    ) -> Result<Value, (Failed, Option<Duration>)> {
        let fail = |code: String| Failed { code, what: path.split('?').next().unwrap_or_default().to_owned() };
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.map_err(|_| (fail(NO_ANSWER.to_owned()), Some(PAUSE)))?;
        let status = response.status();
        let seconds = response.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
        let bytes = response.bytes().await.map_err(|_| (fail(NO_ANSWER.to_owned()), Some(PAUSE)))?;
        if status.is_success() {
            return Ok(serde_json::from_slice(&bytes).unwrap_or(Value::Null));
        }
        let problem = serde_json::from_slice::<Refused>(&bytes).ok();
        let waits = status == StatusCode::TOO_MANY_REQUESTS || problem.as_ref().is_some_and(|problem| problem.retry);
        let told = problem.as_ref().and_then(|problem| problem.retry_after_ms).map(Duration::from_millis);
        let pause = waits.then(|| told.or(seconds.map(Duration::from_secs)).unwrap_or(PAUSE));
        Err((fail(problem.map_or_else(|| status.to_string(), |problem| problem.code)), pause))
    }
}

/// A message of the history as the verdict needs it.
fn stored(message: &Message<'_>) -> Stored {
    Stored {
        seq: message.seq,
        revision: message.revision,
        author: message.author,
        client_id: message.client_id,
        stamp: Stamp::read(message.text.as_bytes()),
        created_at: message.created_at.clone().into_owned(),
        body: fingerprint(message),
    }
}

/// The messages of a page of history.
fn rows(page: &Value) -> Option<&Vec<Value>> {
    page.get("messages")?.as_array()
}

fn id(value: &Value, places: &[&str]) -> Option<Uuid> {
    places.iter().find_map(|place| value.pointer(place)?.as_str()?.parse().ok())
}

/// The answer has another shape than expected; only its keys are told, never what it says.
fn unexpected(what: &str, value: &Value) -> Failed {
    let keys: Vec<_> = value.as_object().map(|object| object.keys().cloned().collect()).unwrap_or_default();
    Failed { code: format!("unexpected answer with {}", keys.join(", ")), what: what.to_owned() }
}
