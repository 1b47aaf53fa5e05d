//! A row asked by somebody, over REST or a socket.

use super::rule::{OK, Who};
use super::scene::{Cast, Scene, in_an_hour};
use super::table::Row;
use crate::support::person::{Answer, Person};
use crate::support::socket::Socket;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

/// What fills the names in paths and bodies.
pub struct Filling<'a> {
    pub cast: &'a Cast,
    pub scene: &'a Scene,
    /// The message it is about.
    pub seq: usize,
}

impl Filling<'_> {
    /// Whom a row is about.
    fn about(&self, row: &Row) -> &Person {
        match row.route {
            Some((_, path)) if path.starts_with("/api/v1/me/") || path.contains("admin") => &self.cast.bystander,
            Some(("delete", path)) if path.contains("invitations/{user}") => &self.cast.invited,
            Some(("put", path)) if path.contains("invitations/{user}") => self.cast.who(Who::Stranger),
            Some(("delete", path)) if path.contains("bans/{user}") => self.cast.who(Who::Banned),
            _ => &self.cast.victim,
        }
    }

    fn text(&self, text: &str, row: &Row, asking: &Person) -> String {
        let (new, scene) = (Uuid::now_v7().to_string(), self.scene);
        let name = format!("n{}", &Uuid::new_v4().simple().to_string()[..20]);
        let (seq, in_an_hour) = (self.seq.to_string(), in_an_hour().to_rfc3339());
        let names = [
            // In a body it is a number.
            ("\"{seq}\"", seq.as_str()),
            ("{seq}", &seq),
            ("{room}", &scene.room),
            ("{link}", &scene.link),
            ("{secret}", &scene.secret),
            ("{report}", &scene.report),
            ("{user}", &self.about(row).id),
            ("{other}", &self.cast.invited.id),
            ("{token}", &asking.token),
            ("{refresh}", &asking.refresh),
            ("{emoji}", "👍"),
            ("{new}", &new),
            ("{filter}", &new),
            ("{login}", &new),
            ("{registration}", &new),
            ("{name}", &name),
            ("{in_an_hour}", &in_an_hour),
            ("{file:.*}", "index.html"),
        ];
        let filled = names.into_iter().fold(text.to_owned(), |text, (name, value)| text.replace(name, value));
        assert!(!filled.contains("{file") && !filled.contains("%7B"), "{filled}");
        filled
    }

    fn body(&self, body: &Value, row: &Row, asking: &Person) -> Value {
        serde_json::from_str(&self.text(&body.to_string(), row, asking)).expect("still JSON")
    }

    /// Over REST, where the row has a route.
    pub async fn route(&self, row: &Row, asking: &Person) -> Option<Answer> {
        let (method, path) = row.route?;
        let path = self.text(&format!("{path}{}", row.query), row, asking);
        let body = (!row.body.is_null()).then(|| self.body(&row.body, row, asking));
        let method: Method = method.to_uppercase().parse().expect("a method");
        Some(asking.request(method, &path, body).await)
    }

    /// Over a socket of the same person, where the row has a command: the reply, without what names the room it was asked about.
    pub async fn command(&self, row: &Row, asking: &Person, socket: &mut Socket) -> Option<Value> {
        let (name, body) = row.command.as_ref()?;
        let mut reply = socket.ask(name, self.body(body, row, asking)).await;
        reply["ref"].take();
        if let Some(room) = reply.pointer_mut("/ok/rooms/0/room") {
            *room = Value::Null;
        }
        // Nobody reads them here.
        socket.heard();
        Some(reply)
    }
}

/// How a request was answered.
pub fn code(answer: &Answer) -> String {
    if answer.status.is_success() { OK.to_owned() } else { answer.code().to_owned() }
}

/// How a command was answered; where it answers for each room, for the first.
pub fn code_of(reply: &Value) -> String {
    let refused = reply.get("error").or_else(|| reply["ok"]["rooms"][0].get("error"));
    refused.map_or(json!(OK), |error| error["code"].clone()).as_str().expect("a code").to_owned()
}
