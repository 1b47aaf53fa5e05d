//! Something that somebody tries, over REST and over the socket alike.

use crate::support::person::{Answer, Person};
use reqwest::Method;
use serde_json::Value;

/// A request and, where there is one, the command that asks the same.
pub struct Attempt<'a> {
    who: &'a Person,
    method: Method,
    path: String,
    body: Option<Value>,
    command: Option<(&'static str, Value)>,
}

impl<'a> Attempt<'a> {
    pub fn new(who: &'a Person, method: Method, path: String, body: impl Into<Option<Value>>) -> Self {
        Self { who, method, path, body: body.into(), command: None }
    }

    /// The command that asks the same.
    pub fn or(self, command: &'static str, body: Value) -> Self {
        Self { command: Some((command, body)), ..self }
    }

    pub async fn over_rest(&self) -> Answer {
        self.who.request(self.method.clone(), &self.path, self.body.clone()).await
    }

    /// Makes it. If that is refused, it is made over the socket too, and the code with which both are refused is the error.
    pub async fn make(&self) -> Result<Answer, String> {
        let answer = self.over_rest().await;
        if answer.status.is_success() {
            return Ok(answer);
        }
        let code = answer.code().to_owned();
        let Some((command, body)) = &self.command else { return Err(code) };
        let reply = self.who.connect().await.ask(command, body.clone()).await;
        let told = reply["error"]["code"].as_str().unwrap_or("granted");
        Err(if told == code { code } else { format!("{code} over REST, {told} over the socket") })
    }
}
