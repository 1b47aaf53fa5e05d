//! The whole of a conversation as a script that people can read, played over REST and sockets.

mod play;
mod script;

use hubbub::http::routes;
use hubbub::protocol::v1::command::Command;
use play::Play;
use script::Step;
use std::collections::BTreeSet;

#[tokio::test]
async fn the_conversation_goes_as_its_script_says() {
    let text = text();
    let mut play = Play::start().await;
    for step in script::parse(&text) {
        play.step(&step).await;
    }
}

/// Commands that are of the connection, not of the conversation.
const OF_THE_CONNECTION: [&str; 4] = ["hello", "unsubscribe", "renew", "ping"];

/// Routes of accounts and their logins, of links into a room, and for operators, developers and browsers.
const NOT_OF_THE_CONVERSATION: [&str; 11] = [
    "/api/v1/accounts",
    "/api/v1/logins",
    "/api/v1/me/password",
    "/api/v1/rooms/{room}/links",
    "/api/v1/links",
    "/api/v1/admin/users",
    "/api/v1/admin/registrations",
    "/api/v1/admin/actors",
    "/api/v1/admin/faults",
    "/api/v1/openapi.json",
    "/docs",
];

/// Below one of those, all the same.
const PROFILE: &str = "/api/v1/admin/users/{user}/profile";

/// Who ends their account ends the conversation.
const BEHIND_IT: (&str, &str) = ("delete", "/api/v1/me");

#[test]
fn every_command_and_every_route_of_a_conversation_succeeds_in_the_script() {
    let text = text();
    let succeeds = |step: &Step<'_>| step.refusal().is_none() && !step.line.starts_with('#');
    let steps: Vec<Step<'_>> = script::parse(&text).into_iter().filter(succeeds).collect();
    let said = |word: &str| steps.iter().any(|step| step.words()[1] == word || begins(step, word));
    let unsaid: Vec<_> = Command::names().filter(|name| !OF_THE_CONNECTION.contains(name) && !said(name)).collect();
    assert_eq!(unsaid, [""; 0], "commands that nobody says");

    let asked: BTreeSet<_> = steps.iter().filter_map(route).collect();
    let is_told = |(method, path): &(&str, &str)| {
        let elsewhere = NOT_OF_THE_CONVERSATION.iter().any(|other| path.starts_with(other)) && *path != PROFILE;
        path.starts_with("/api/v1") && !elsewhere && (*method, *path) != BEHIND_IT
    };
    let unasked: Vec<_> = routes::TABLE.iter().copied().filter(|route| is_told(route) && !asked.contains(route)).collect();
    assert_eq!(unasked, [("", ""); 0], "routes that nobody asks");
}

fn text() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/demonstration/conversation.demo");
    std::fs::read_to_string(path).expect("the script is there")
}

/// Somebody begins what is answered later.
fn begins(step: &Step<'_>, command: &str) -> bool {
    let [_, word, rest] = step.words();
    word == "begins" && rest.split(' ').next() == Some(command)
}

/// The route that a request of the script takes: of those that fit it, the first.
fn route(step: &Step<'_>) -> Option<(&'static str, &'static str)> {
    let [_, word, rest] = step.words();
    let (method, rest) = if word == "awaits" { rest.split_once(' ')? } else { (word, rest) };
    let path = rest.split([' ', '?']).next()?;
    let fits = |pattern: &str| {
        let parts = pattern.trim_start_matches("/api/v1/").split('/');
        parts.clone().count() == path.split('/').count()
            && parts.zip(path.split('/')).all(|(part, said)| part.starts_with('{') || part == said)
    };
    routes::TABLE.iter().copied().find(|(of, pattern)| of.to_uppercase() == method && fits(pattern))
}
