//! The promises of the design as functions: each says where what was seen breaks it. Ordinary tests expect nothing; `tests/faults` arms a
//! breach and expects something, so that none of these is blind.

use super::scene::Drained;
use super::viewer::{Viewer, number, text};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

/// I1: places and revisions are dense, time does not run backwards, and what one session sent stands in sending order.
pub fn order(history: &[Value], sent: &[String]) -> Vec<String> {
    let mut broken = Vec::new();
    for (place, message) in (1..).zip(history) {
        if number(&message["seq"]) != place {
            broken.push(format!("place {place} has number {}", message["seq"]));
        }
    }
    for pair in history.windows(2) {
        if number(&pair[0]["revision"]) >= number(&pair[1]["revision"]) {
            broken.push(format!("revision {} stands before {}", pair[0]["revision"], pair[1]["revision"]));
        }
        // Not as texts: a fraction is written as short as it can be.
        if time(&pair[0]["created_at"]) > time(&pair[1]["created_at"]) {
            broken.push(format!("time runs backwards at place {}", pair[1]["seq"]));
        }
    }
    let stands: HashMap<&str, usize> =
        history.iter().enumerate().map(|(at, message)| (message["client_id"].as_str().unwrap_or_default(), at)).collect();
    let places: Vec<_> = sent.iter().filter_map(|client_id| stands.get(client_id.as_str())).collect();
    if !places.is_sorted() {
        broken.push("posts of one session stand in another order than they were sent".to_owned());
    }
    broken
}

fn time(value: &Value) -> chrono::DateTime<chrono::Utc> {
    text(value).parse().expect("RFC 3339")
}

/// I2, I7: what a viewer was shown is what is stored, and nothing of it is missing.
pub fn shown(viewer: &Viewer, history: &[Value]) -> Vec<String> {
    let mut broken = viewer.broken.clone();
    let stored: BTreeMap<u64, &Value> = history.iter().map(|message| (number(&message["seq"]), message)).collect();
    let seen: BTreeMap<u64, &Value> = viewer.came.iter().map(|message| (number(&message["seq"]), message)).collect();
    for (seq, message) in &seen {
        if stored.get(seq) != Some(message) {
            broken.push(format!("message {seq} was shown and is not stored like this"));
        }
    }
    for seq in stored.keys().filter(|seq| !seen.contains_key(seq)) {
        broken.push(format!("message {seq} is stored and was not shown"));
    }
    if viewer.came.len() != seen.len() {
        broken.push("a message was shown twice".to_owned());
    }
    broken
}

/// I3: each client id is stored once, under the one number that every answer named.
pub fn once(answers: &[(String, Value)], history: &[Value]) -> Vec<String> {
    let mut broken = Vec::new();
    let mut named: BTreeMap<&str, BTreeSet<u64>> = BTreeMap::new();
    for (client_id, answer) in answers {
        match answer["seq"].as_u64() {
            Some(seq) => drop(named.entry(client_id).or_default().insert(seq)),
            None => broken.push(format!("a repeat was answered {answer}")),
        }
    }
    for (client_id, seqs) in &named {
        if seqs.len() > 1 {
            broken.push(format!("{client_id} was answered as {seqs:?}"));
        }
        let firsts = answers.iter().filter(|(of, answer)| of == client_id && answer["repeat"] == false).count();
        if firsts > 1 {
            broken.push(format!("{client_id} was stored anew {firsts} times, by its answers"));
        }
    }
    let mut texts = BTreeSet::new();
    for message in history {
        if !texts.insert(text(&message["text"])) {
            broken.push(format!("stored twice: {}", message["text"]));
        }
    }
    broken
}

/// I7: somebody who was away and resumed knows what somebody who never left knows.
pub fn same(away: &Viewer, stayed: &Viewer) -> Vec<String> {
    let mut broken: Vec<_> = away.broken.iter().chain(&stayed.broken).cloned().collect();
    if away.cursor != stayed.cursor {
        broken.push(format!("one knows revision {}, the other {}", away.cursor, stayed.cursor));
    }
    let keys: BTreeSet<_> = away.rows.keys().chain(stayed.rows.keys()).collect();
    for key in keys {
        if away.rows.get(key) != stayed.rows.get(key) {
            broken.push(format!("{key}: {:?} after resuming, {:?} without", away.rows.get(key), stayed.rows.get(key)));
        }
    }
    broken
}

/// I10: nothing by this author is committed after a notice of this kind.
pub fn nothing_after(notice: &str, author: &str, items: &[Value]) -> Vec<String> {
    let ended = items.iter().filter_map(|item| item.get("notice")).find(|it| it["kind"] == notice);
    let Some(ended) = ended.map(|notice| number(&notice["revision"])) else {
        return vec![format!("no notice of kind {notice}")];
    };
    let messages = items.iter().filter_map(|item| item.get("message"));
    let late = messages.filter(|message| message["author"] == author && number(&message["revision"]) > ended);
    late.map(|message| format!("message {} was committed after {notice} at {ended}", message["seq"])).collect()
}

/// I8, I9: an answer came in time, and when it says that nothing was stored, nothing is.
pub fn answered(replies: &[(String, Duration, Option<Value>)], within: Duration, history: &[Value]) -> Vec<String> {
    let mut broken = Vec::new();
    for (client_id, after, reply) in replies {
        let Some(reply) = reply else {
            broken.push(format!("{client_id} was never answered"));
            continue;
        };
        if *after > within {
            broken.push(format!("{client_id} was answered after {after:?}"));
        }
        let is_stored = history.iter().any(|message| message["client_id"] == client_id.as_str());
        if is_stored && reply["error"]["stored"] == "no" {
            broken.push(format!("{client_id} is stored, and was answered {}", reply["error"]["code"]));
        }
        if !is_stored && reply.get("ok").is_some() {
            broken.push(format!("{client_id} was acknowledged and is not stored"));
        }
    }
    broken
}

/// I4: a reader that does not keep up is closed with its own code.
pub fn slow_reader(closed: Option<u16>) -> Vec<String> {
    if closed == Some(4000) { Vec::new() } else { vec![format!("a slow reader was closed with {closed:?}")] }
}

/// I11: everybody was told and closed as draining, in time, and what was acknowledged is stored.
pub fn drained(drained: &Drained, history: &[Value]) -> Vec<String> {
    let mut broken = Vec::new();
    for (who, goodbye) in &drained.goodbyes {
        if goodbye.closed != Some(1001) {
            broken.push(format!("{who} was closed with {:?}", goodbye.closed));
        }
        if !goodbye.told {
            broken.push(format!("{who} was not told to reconnect"));
        }
    }
    if drained.took > Duration::from_secs(25) {
        broken.push(format!("it took {:?}", drained.took));
    }
    for client_id in &drained.acknowledged {
        if !history.iter().any(|message| message["client_id"] == client_id.as_str()) {
            broken.push(format!("{client_id} was acknowledged and is not stored"));
        }
    }
    broken
}

/// I5: nobody waited for somebody slower.
pub fn prompt(times: &[(&str, Duration)], limit: Duration) -> Vec<String> {
    let late = times.iter().filter(|(_, took)| *took > limit);
    late.map(|(what, took)| format!("{what} took {took:?}")).collect()
}

/// I12: none of these stands in the log.
pub fn secrets(log: &str, secrets: &[(&str, &str)]) -> Vec<String> {
    let leaked = secrets.iter().filter(|(_, secret)| log.contains(secret));
    leaked.map(|(what, _)| format!("the log has {what}")).collect()
}
