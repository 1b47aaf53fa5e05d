//! The filter hook: a program of the operator's that is asked about a text before it is stored.
//!
//! It is asked for each text by itself, outside the room, so that only who posts waits for it. What it is asked, and how it answers, stands in
//! docs/OPERATIONS.md. So many questions are under way at most; a hook that fails again and again is left alone for a while. For a text it was not
//! asked about, or did not answer as it should, holds what the settings say.
//!
//! Must not know: rooms as actors, what became of a text.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::{StreamExt, stream};
use reqwest::{Client, Response, StatusCode, redirect};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::breaker::Breaker;
use super::filters::Judgement;
use super::signature::hmac_sha256;
use crate::config::{FailRule, FilterHook};
use crate::domain::fault::Fault;
use crate::domain::ids::{ClientId, RoomId, UserId};
use crate::domain::message::Post;
use crate::domain::order::Seq;
use crate::domain::report::{ReportReason, ReportText, Suspicion};
use crate::domain::time::Clock;
use crate::telemetry::metrics as names;

/// The longest answer that is read.
const ANSWER_BYTES_MAX: usize = 16 * 1024;
/// Questions of one group of posts that are under way at the same time.
const GROUP_AT_ONCE: usize = 8;

/// The hook. Clones share it.
#[derive(Clone)]
pub struct Hook(Arc<Inner>);

struct Inner {
    client: Client,
    settings: FilterHook,
    slots: Semaphore,
    breaker: Mutex<Breaker>,
    clock: Clock,
}

/// What it is asked, as JSON.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Question<'a> {
    /// `post` or `edit`.
    pub event: &'static str,
    /// In which room; absent for the first message to a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub room: Option<RoomId>,
    /// To whom, where it is for a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<UserId>,
    /// Who says it.
    pub author: UserId,
    /// The author's name for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<ClientId>,
    /// The message's number, for an edit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<Seq>,
    /// What is said.
    pub text: &'a str,
}

/// What it answers.
#[derive(Deserialize)]
struct Answer {
    action: Action,
    /// For moderators, with `report`.
    #[serde(default)]
    reason: Option<String>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Action {
    Allow,
    Refuse,
    Report,
}

/// Why there is no answer, as metrics call it.
type Failure = &'static str;

impl Hook {
    /// The hook of the settings; `None` if they name none.
    ///
    /// # Errors
    /// The client for it cannot be made, such as without certificates of authorities.
    pub fn new(settings: &FilterHook, clock: Clock) -> Result<Option<Self>, String> {
        if settings.url.is_empty() {
            return Ok(None);
        }
        let client = Client::builder().timeout(settings.timeout).redirect(redirect::Policy::none()).no_proxy().build();
        Ok(Some(Self(Arc::new(Inner {
            client: client.map_err(|error| error.to_string())?,
            settings: settings.clone(),
            slots: Semaphore::new(settings.max_in_flight),
            breaker: Mutex::new(Breaker::new(settings.failures_max, settings.pause)),
            clock,
        }))))
    }

    /// What it says of each of these posts, in order. They are answered together, so they have the time of one.
    pub async fn judge_posts(&self, room: Option<RoomId>, to: Option<UserId>, posts: &[Post]) -> Vec<Judgement> {
        let asked = posts.iter().map(|post| Question {
            event: "post",
            room,
            to,
            author: post.author,
            client_id: Some(post.client_id),
            seq: None,
            text: post.text.as_str(),
        });
        // Collected first: a stream of borrowing futures would not be known to be `Send`.
        let until = Instant::now() + self.0.settings.timeout;
        let judge = |(question, post): (_, &Post)| self.judge_unless(post.verdict.is_err(), question, until);
        let asked: Vec<_> = asked.zip(posts).map(judge).collect();
        stream::iter(asked).buffered(GROUP_AT_ONCE).collect().await
    }

    /// What is refused already, such as forwarding what one may not read, has nothing in it to be asked about.
    async fn judge_unless(&self, refused: bool, question: Question<'_>, until: Instant) -> Judgement {
        if refused { Judgement::Pass } else { self.judge_until(until, question).await }
    }

    /// What it says of a text that is to replace another.
    pub async fn judge_edit(&self, room: RoomId, author: UserId, seq: Seq, text: &str) -> Judgement {
        let question = Question { event: "edit", room: Some(room), to: None, author, client_id: None, seq: Some(seq), text };
        self.judge(question).await
    }

    /// What it says of a text, or what holds when it says nothing.
    pub async fn judge(&self, question: Question<'_>) -> Judgement {
        self.judge_until(Instant::now() + self.0.settings.timeout, question).await
    }

    async fn judge_until(&self, until: Instant, question: Question<'_>) -> Judgement {
        let outcome = self.answer(question, until).await;
        let word = match &outcome {
            Ok(Answer { action: Action::Allow, .. }) => "allow",
            Ok(Answer { action: Action::Refuse, .. }) => "refuse",
            Ok(Answer { action: Action::Report, .. }) => "report",
            Err(failure) => failure,
        };
        metrics::counter!(names::FILTER_HOOK, "outcome" => word).increment(1);
        match outcome {
            Ok(answer) => judgement(answer),
            Err(_) => match self.0.settings.fail {
                FailRule::Open => Judgement::Pass,
                FailRule::Closed => Judgement::Refuse(Fault::Unavailable),
            },
        }
    }

    async fn answer(&self, question: Question<'_>, until: Instant) -> Result<Answer, Failure> {
        let begun = Instant::now();
        let Ok(_slot) = self.0.slots.try_acquire() else { return Err("full") };
        if !self.breaker(|breaker| breaker.may_ask(begun)) {
            return Err("left_alone");
        }
        let answer = tokio::time::timeout_at(until, self.ask(question)).await.unwrap_or(Err("late"));
        metrics::histogram!(names::FILTER_HOOK_SECONDS).record(begun.elapsed());
        let left_alone = self.breaker(|breaker| {
            let before = breaker.is_open();
            match &answer {
                Ok(_) => breaker.succeeded(),
                Err(_) => breaker.failed(Instant::now()),
            }
            breaker.is_open() && !before
        });
        if left_alone {
            let failure = answer.as_ref().err().copied().unwrap_or_default();
            tracing::warn!(failure, pause = ?self.0.settings.pause, "the filter hook fails and is left alone");
        }
        answer
    }

    async fn ask(&self, question: Question<'_>) -> Result<Answer, Failure> {
        let settings = &self.0.settings;
        let body = serde_json::to_vec(&question).map_err(|_| "garbage")?;
        let now = self.0.clock.now().timestamp().to_string();
        let mut request = self.0.client.post(&settings.url).header("content-type", "application/json");
        if !settings.secret.expose().is_empty() {
            let code = hmac_sha256(settings.secret.expose().as_bytes(), &[now.as_bytes(), b".", &body]);
            request = request.header("x-hubbub-signature", format!("v1={code}"));
        }
        let request = request.header("x-hubbub-timestamp", now).body(body);
        let response = request.send().await.map_err(|error| if error.is_timeout() { "late" } else { "gone" })?;
        if response.status() != StatusCode::OK {
            return Err("status");
        }
        let body = read(response).await?;
        serde_json::from_slice(&body).map_err(|_| "garbage")
    }

    fn breaker<T>(&self, with: impl FnOnce(&mut Breaker) -> T) -> T {
        with(&mut self.0.breaker.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn read(mut response: Response) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    while let Some(part) = response.chunk().await.map_err(|_| "gone")? {
        if body.len() + part.len() > ANSWER_BYTES_MAX {
            return Err("garbage");
        }
        body.extend_from_slice(&part);
    }
    Ok(body)
}

fn judgement(answer: Answer) -> Judgement {
    match answer.action {
        Action::Allow => Judgement::Pass,
        Action::Refuse => Judgement::Refuse(Fault::Filtered),
        Action::Report => {
            // Words that are too long are no reason to lose the report.
            let text = answer.reason.and_then(|reason| ReportText::parse(&reason).ok());
            let text = text.and_then(|text| text.said().map(str::to_owned));
            Judgement::Report(Suspicion { reason: ReportReason::Hook, text })
        }
    }
}

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hook")
    }
}
