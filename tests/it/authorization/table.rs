//! The rows: every route and every command once or more, and who may ask it. Where both are one thing they are one row.
//!
//! In paths and bodies stand for what the scene has: `{room}`, `{seq}`, `{link}`, `{secret}`, `{filter}`, `{report}`; `{user}` for whom it is
//! about; `{token}`, `{refresh}` for those of the asking person; `{new}` for a UUID that nobody has used.

use super::rule::{
    ADMINS, ANYBODY, BUT_THE_AUTHOR, BUT_THE_LAST_OWNER, EVERYBODY, INVITERS, JUDGES, MEMBERS, MODERATORS, MODERATORS_AND_ADMINS,
    MODERATORS_AND_THE_AUTHOR, MODERATORS_INSIDE, OWNERS, PINNERS, Place, Rule, SPEAKERS, THE_AUTHOR, TWICE, WHO_IS_NOT_BLOCKED,
    WHO_MAY_FIND, WHO_MAY_JOIN, WHO_MAY_KNOW, WITH_A_LINK,
};
use crate::support::person::PASSWORD;
use serde_json::{Map, Value, json};

/// One thing that may be asked.
pub struct Row {
    /// Method and path, as the route table has them.
    pub route: Option<(&'static str, &'static str)>,
    pub query: &'static str,
    /// The body over REST.
    pub body: Value,
    pub command: Option<(&'static str, Value)>,
    pub rule: Rule,
    /// Where it succeeds the scene is another one afterwards.
    pub spoils: bool,
    /// Where it succeeds the login it is asked with has ended.
    pub ends_login: bool,
}

fn route(method: &'static str, path: &'static str, body: Value, rule: Rule) -> Row {
    Row { route: Some((method, path)), query: "", body, command: None, rule, spoils: false, ends_login: false }
}

fn get(path: &'static str, rule: Rule) -> Row {
    route("get", path, Value::Null, rule)
}

fn put(path: &'static str, rule: Rule) -> Row {
    route("put", path, Value::Null, rule)
}

fn delete(path: &'static str, rule: Rule) -> Row {
    route("delete", path, Value::Null, rule)
}

fn command(name: &'static str, body: Value, rule: Rule) -> Row {
    let command = Some((name, body));
    Row { route: None, query: "", body: Value::Null, command, rule, spoils: false, ends_login: false }
}

impl Row {
    /// The command does the same, and takes what stands in path and body.
    fn command(self, name: &'static str) -> Self {
        let path = self.route.map_or("", |(_, path)| path);
        let named = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
        let mut body: Map<_, _> = named.map(|name| (name.to_owned(), json!(format!("{{{name}}}")))).collect();
        body.extend(self.body.as_object().cloned().unwrap_or_default());
        self.command_with(name, Value::Object(body))
    }

    /// The command does the same, and takes this.
    fn command_with(self, name: &'static str, body: Value) -> Self {
        Self { command: Some((name, body)), ..self }
    }

    fn spoils(self) -> Self {
        Self { spoils: true, ..self }
    }

    fn ends_login(self) -> Self {
        Self { ends_login: true, ..self }
    }

    fn query(self, query: &'static str) -> Self {
        Self { query, ..self }
    }

    /// Where it is asked: what is not about a room is asked once.
    pub fn places(&self) -> &'static [Place] {
        let path = self.route.map_or("", |(_, path)| path);
        let command = self.command.as_ref().map(|(_, body)| body);
        let text = format!("{path}{}{command:?}", self.body);
        let of_a_room = ["{room}", "{secret}", "{report}"].iter().any(|name| text.contains(name));
        if of_a_room { &[Place::Public, Place::Private, Place::Direct] } else { &[Place::Public] }
    }
}

/// All of them.
pub fn table() -> Vec<Row> {
    [people(), own(), rooms(), members(), talk(), moderation(), operators(), connection()].into_iter().flatten().collect()
}

fn people() -> Vec<Row> {
    let account = json!({"name": "{name}", "password": PASSWORD});
    vec![
        route("post", "/api/v1/accounts", account, ANYBODY),
        route("post", "/api/v1/logins", json!({"name": "bystander", "password": PASSWORD}), ANYBODY),
        route("post", "/api/v1/logins/refresh", json!({"refresh_token": "{refresh}"}), ANYBODY),
        get("/api/v1/logins", EVERYBODY),
        delete("/api/v1/logins", EVERYBODY).ends_login(),
        delete("/api/v1/logins/current", EVERYBODY).ends_login(),
        delete("/api/v1/logins/{login}", EVERYBODY),
        get("/api/v1/me", EVERYBODY),
        route("patch", "/api/v1/me", json!({"about": "here"}), EVERYBODY).command("change_profile"),
        route("delete", "/api/v1/me", json!({"password": PASSWORD}), EVERYBODY).ends_login(),
        route("put", "/api/v1/me/password", json!({"old": PASSWORD, "new": "another horse entirely"}), EVERYBODY).ends_login(),
        get("/api/v1/users", EVERYBODY).query("?prefix=vic").command_with("people", json!({"prefix": "vic"})),
        get("/api/v1/users/{user}", EVERYBODY).command_with("people", json!({"users": ["{user}"]})),
        get("/api/v1/presence", EVERYBODY).query("?users={user}"),
        get("/api/v1/me/relations", EVERYBODY),
        put("/api/v1/me/blocks/{user}", EVERYBODY).command("block"),
        delete("/api/v1/me/blocks/{user}", EVERYBODY).command("unblock"),
        put("/api/v1/me/mutes/{user}", EVERYBODY).command("mute"),
        delete("/api/v1/me/mutes/{user}", EVERYBODY).command("unmute"),
    ]
}

fn own() -> Vec<Row> {
    let thread = json!({"room": "{room}", "thread": "{seq}", "following": "yes"});
    vec![
        get("/api/v1/me/preferences", EVERYBODY),
        route("patch", "/api/v1/me/preferences", json!({"notify": "default"}), EVERYBODY).command("set_preferences"),
        get("/api/v1/rooms/{room}/preferences", MEMBERS),
        route("put", "/api/v1/rooms/{room}/preferences", json!({"muted_until": "forever"}), MEMBERS)
            .command("set_room_preferences"),
        get("/api/v1/rooms/{room}/threads/{seq}/preferences", MEMBERS),
        route("put", "/api/v1/rooms/{room}/threads/{seq}/preferences", json!({"following": "yes"}), MEMBERS)
            .command_with("set_thread_preferences", thread),
        get("/api/v1/me/notifications", EVERYBODY),
        get("/api/v1/me/drafts", EVERYBODY),
        route("put", "/api/v1/me/drafts/{room}", json!({"text": "so far"}), MEMBERS).command("set_draft"),
        // There is nothing of it to be seen for anybody else: it is gone, or never was.
        delete("/api/v1/me/drafts/{room}", EVERYBODY).command_with("set_draft", json!({"room": "{room}", "text": ""})),
        get("/api/v1/me/rooms", EVERYBODY),
        get("/api/v1/me/threads", EVERYBODY),
        put("/api/v1/me/read", EVERYBODY).command("read_all"),
        route("put", "/api/v1/rooms/{room}/read", json!({"seq": 1}), MEMBERS).command("read"),
        route("put", "/api/v1/rooms/{room}/read", json!({"delivered": 1}), MEMBERS)
            .command_with("delivered", json!({"room": "{room}", "seq": 1})),
        get("/api/v1/rooms/{room}/receipts", MEMBERS),
    ]
}

fn rooms() -> Vec<Row> {
    let change = |settings: Value, rule| {
        let command = json!({"room": "{room}", "settings": settings.clone()});
        route("patch", "/api/v1/rooms/{room}", settings, rule).command_with("change_room", command)
    };
    vec![
        route("post", "/api/v1/rooms", json!({"name": "another", "kind": "private"}), EVERYBODY),
        get("/api/v1/rooms", EVERYBODY),
        route("post", "/api/v1/groups", json!({"users": ["{user}", "{other}"]}), WHO_IS_NOT_BLOCKED),
        get("/api/v1/rooms/{room}", WHO_MAY_FIND),
        change(json!({"topic": "news"}), MODERATORS),
        change(json!({"slow_mode_s": 0}), MODERATORS),
        change(json!({"name": "hall"}), OWNERS),
        change(json!({"history": "all"}), OWNERS),
        change(json!({"posting": "member"}), OWNERS),
        change(json!({"archived": true}), OWNERS).spoils(),
        // Without the command: an administrator who has closed a room that is not theirs does not find it any more.
        route("patch", "/api/v1/rooms/{room}", json!({"kind": "private"}), OWNERS).spoils(),
        route("delete", "/api/v1/rooms/{room}", json!({"reason": "empty"}), OWNERS).command("delete_room").spoils(),
    ]
}

fn members() -> Vec<Row> {
    vec![
        put("/api/v1/rooms/{room}/members/me", WHO_MAY_JOIN).command("join").spoils(),
        delete("/api/v1/rooms/{room}/members/me", BUT_THE_LAST_OWNER).command("leave").spoils(),
        get("/api/v1/rooms/{room}/members", MEMBERS),
        route("patch", "/api/v1/rooms/{room}/members/{user}", json!({"role": "moderator", "reason": "trusted"}), OWNERS)
            .command("set_role")
            .spoils(),
        delete("/api/v1/rooms/{room}/members/{user}", MODERATORS).command("kick").spoils(),
        get("/api/v1/rooms/{room}/bans", MODERATORS),
        put("/api/v1/rooms/{room}/bans/{user}", MODERATORS).command("ban").spoils(),
        route("delete", "/api/v1/rooms/{room}/bans/{user}", json!({"reason": "calm"}), MODERATORS).command("unban").spoils(),
        get("/api/v1/rooms/{room}/silences", MODERATORS),
        route("put", "/api/v1/rooms/{room}/silences/{user}", json!({"until": "{in_an_hour}"}), MODERATORS)
            .command("silence")
            .spoils(),
        route("delete", "/api/v1/rooms/{room}/silences/{user}", json!({"reason": "calm"}), MODERATORS)
            .command("unsilence")
            .spoils(),
        route("put", "/api/v1/rooms/{room}/owner", json!({"user": "{user}", "reason": "away"}), OWNERS)
            .command("transfer")
            .spoils(),
        put("/api/v1/rooms/{room}/invitations/{user}", INVITERS).command("invite").spoils(),
        route("delete", "/api/v1/rooms/{room}/invitations/{user}", json!({"reason": "full"}), MODERATORS_INSIDE)
            .command("uninvite")
            .spoils(),
        delete("/api/v1/me/invitations/{room}", WHO_MAY_KNOW).command("decline").spoils(),
        route("post", "/api/v1/rooms/{room}/links", json!({}), MODERATORS),
        get("/api/v1/rooms/{room}/links", MODERATORS),
        delete("/api/v1/rooms/{room}/links/{link}", MODERATORS).spoils(),
        route("post", "/api/v1/links/redeem", json!({"secret": "{secret}"}), WITH_A_LINK).spoils(),
    ]
}

fn talk() -> Vec<Row> {
    let post = json!({"client_id": "{new}", "text": "hello"});
    vec![
        route("post", "/api/v1/rooms/{room}/messages", post.clone(), SPEAKERS).command("post"),
        route("post", "/api/v1/direct/{user}/messages", post, WHO_IS_NOT_BLOCKED).command("post_direct"),
        route("post", "/api/v1/rooms/{room}/typing", Value::Null, SPEAKERS).command("typing"),
        get("/api/v1/rooms/{room}/messages", MEMBERS),
        get("/api/v1/rooms/{room}/messages/{seq}", MEMBERS),
        route("patch", "/api/v1/rooms/{room}/messages/{seq}", json!({"text": "second"}), THE_AUTHOR).command("edit"),
        delete("/api/v1/rooms/{room}/messages/{seq}", MODERATORS_AND_THE_AUTHOR).command("delete").spoils(),
        get("/api/v1/rooms/{room}/messages/{seq}/edits", MODERATORS_AND_THE_AUTHOR),
        get("/api/v1/rooms/{room}/messages/{seq}/thread", MEMBERS),
        put("/api/v1/rooms/{room}/messages/{seq}/reactions/{emoji}", SPEAKERS).command("react"),
        delete("/api/v1/rooms/{room}/messages/{seq}/reactions/{emoji}", SPEAKERS).command("unreact"),
        put("/api/v1/rooms/{room}/messages/{seq}/pin", PINNERS).command("pin"),
        delete("/api/v1/rooms/{room}/messages/{seq}/pin", PINNERS).command("unpin"),
        get("/api/v1/rooms/{room}/pins", MEMBERS),
        get("/api/v1/rooms/{room}/notices", MEMBERS),
        get("/api/v1/rooms/{room}/changes", MEMBERS).query("?after=0"),
    ]
}

fn moderation() -> Vec<Row> {
    let report = json!({"room": "{room}", "seq": "{seq}", "reason": "abuse"});
    let filter = || json!({"kind": "word", "pattern": "spam", "action": "refuse"});
    let with_name = |room: bool| {
        let mut filter = filter();
        filter["filter"] = json!("{new}");
        if room {
            filter["room"] = json!("{room}");
        }
        filter
    };
    vec![
        route("post", "/api/v1/reports", report, BUT_THE_AUTHOR).command("report"),
        // Who judges nothing gets an empty list.
        get("/api/v1/reports", EVERYBODY).command("reports"),
        get("/api/v1/reports/{report}", JUDGES).command("get_report"),
        route("patch", "/api/v1/reports/{report}", json!({"state": "resolved"}), JUDGES).command("handle_report"),
        get("/api/v1/rooms/{room}/filters", MODERATORS).command("filters"),
        route("post", "/api/v1/rooms/{room}/filters", filter(), MODERATORS).command_with("add_filter", with_name(true)),
        delete("/api/v1/rooms/{room}/filters/{filter}", MODERATORS).command("remove_filter"),
        get("/api/v1/rooms/{room}/audit", MODERATORS),
        command("audit", json!({"room": "{room}"}), MODERATORS_AND_ADMINS),
        get("/api/v1/admin/filters", ADMINS).command("filters"),
        route("post", "/api/v1/admin/filters", filter(), ADMINS).command_with("add_filter", with_name(false)),
        delete("/api/v1/admin/filters/{filter}", ADMINS).command("remove_filter"),
        get("/api/v1/admin/audit", ADMINS).command("audit"),
        get("/api/v1/admin/audit/export", ADMINS),
    ]
}

fn operators() -> Vec<Row> {
    vec![
        get("/api/v1/admin/users", ADMINS),
        get("/api/v1/admin/users/{user}", ADMINS),
        route("patch", "/api/v1/admin/users/{user}", json!({"disabled": false, "reason": "calm"}), ADMINS),
        route("delete", "/api/v1/admin/users/{user}/profile", json!({"reason": "spam"}), ADMINS),
        route("post", "/api/v1/admin/registrations", json!({}), ADMINS),
        get("/api/v1/admin/registrations", ADMINS),
        delete("/api/v1/admin/registrations/{registration}", ADMINS),
        get("/api/v1/admin/actors", ADMINS),
        #[cfg(feature = "faults")]
        route("post", "/api/v1/admin/faults", json!({"name": "no.such.point", "times": 1}), ADMINS),
        get("/health/live", ANYBODY),
        get("/health/ready", ANYBODY),
        get("/metrics", ANYBODY),
        get("/", ANYBODY),
        route("head", "/", Value::Null, ANYBODY),
        get("/api/v1/openapi.json", ANYBODY),
        get("/docs", ANYBODY),
        route("head", "/docs", Value::Null, ANYBODY),
        get("/docs/{file:.*}", ANYBODY),
        route("head", "/docs/{file:.*}", Value::Null, ANYBODY),
    ]
}

/// What concerns the connection has no route.
fn connection() -> Vec<Row> {
    let users = json!({"users": ["{user}"]});
    vec![
        command("hello", json!({"token": "{token}"}), TWICE),
        command("subscribe", json!({"rooms": [{"room": "{room}", "cursor": 1}]}), MEMBERS),
        command("unsubscribe", json!({"rooms": ["{room}"]}), EVERYBODY),
        command("watch_presence", users.clone(), EVERYBODY),
        command("unwatch_presence", users, EVERYBODY),
        command("set_presence", json!({"state": "online"}), EVERYBODY),
        command("renew", json!({"token": "{token}"}), EVERYBODY),
        command("ping", json!({}), EVERYBODY),
    ]
}
