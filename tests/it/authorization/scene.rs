//! The people of the tables, and the rooms in which they have their places.

use super::rule::{Place, Who};
use crate::support::DEADLINE;
use crate::support::person::Person;
use crate::support::server::Server;
use futures_util::future::join_all;
use hubbub::domain::time::Clock;
use hubbub::store::Store;
use hubbub::store::users::changes::Administer;
use serde_json::{Value, json};
use std::sync::Arc;
use uuid::Uuid;

/// Everybody who takes part, in every scene the same.
pub struct Cast {
    /// Those who ask, in the order of [`Who::ALL`].
    asking: Vec<Person>,
    /// A plain member, who is done to.
    pub victim: Person,
    /// Somebody invited by the owner.
    pub invited: Person,
    /// Whom others block, mute and administer.
    pub bystander: Person,
    /// The direct rooms of a member, and of who is blocked, with the victim.
    direct: [Scene; 2],
}

/// One room with everybody in their places.
#[derive(Clone, Debug, Default)]
pub struct Scene {
    pub room: String,
    pub link: String,
    pub secret: String,
    pub report: String,
}

fn id(of: &Value) -> String {
    of.as_str().unwrap_or_else(|| panic!("no text: {of}")).to_owned()
}

pub fn in_an_hour() -> chrono::DateTime<chrono::Utc> {
    Clock::system().now() + chrono::TimeDelta::hours(1)
}

/// A server on which nobody meets a rate.
pub async fn server() -> Server {
    let rates = [
        "rates.login_per_address",
        "rates.login_per_account",
        "rates.refresh_per_account",
        "rates.people_search_per_account",
        "rates.rooms_made_per_account",
        "rates.reports_per_account",
    ];
    Server::start_with(&rates.map(|rate| (rate, "off"))).await
}

impl Cast {
    /// Registers everybody. In each direct room the asking person has said `messages` things, before any block.
    pub async fn gather(server: &mut Server, messages: usize) -> Self {
        let names = Who::ALL.map(Who::name).into_iter().chain(["victim", "invited", "bystander"]);
        let people = join_all(names.map(|name| Person::register(server, name))).await;
        make_administrator(server, &people[7]).await;
        let mut people: Vec<_> = people.iter().map(|person| person.moved_to(server)).collect();
        let [victim, invited, bystander] = people.split_off(8).try_into().unwrap_or_else(|_| panic!("three more"));
        let talk = |from| talk(from, &victim, messages);
        let (member, blocked) = tokio::join!(talk(&people[1]), talk(&people[3]));
        let cast = Self { asking: people, victim, invited, bystander, direct: [member, blocked] };
        let blocked = cast.who(Who::Blocked);
        for person in [cast.who(Who::Stranger), cast.who(Who::Owner), &cast.victim] {
            person.put(&format!("me/blocks/{}", blocked.id), json!({})).await.ok();
        }
        cast
    }

    pub fn who(&self, who: Who) -> &Person {
        let at = Who::ALL.iter().position(|other| *other == who).expect("one of them");
        &self.asking[at]
    }

    pub fn owner(&self) -> &Person {
        self.who(Who::Owner)
    }

    /// A room like every other of its kind.
    pub async fn scene(&self, place: Place, who: Who) -> Scene {
        let kind = match place {
            Place::Public => "public",
            Place::Private => "private",
            Place::Direct => return self.direct[usize::from(who == Who::Blocked)].clone(),
        };
        let owner = self.owner();
        let room = owner.make_room("room", kind).await;
        let inside = [Who::Member, Who::Silenced, Who::Blocked, Who::Moderator].map(|who| self.who(who));
        let invite = async |person: &Person| {
            owner.put(&format!("rooms/{room}/invitations/{}", person.id), json!({})).await.ok();
        };
        let join = async |person| {
            invite(person).await;
            person.join(&room).await;
        };
        join_all(inside.into_iter().chain([&self.victim]).map(join)).await;
        let make = async |what: &str, who: Who, body: Value| {
            let path = format!("rooms/{room}/{what}/{}", self.who(who).id);
            if what == "members" { owner.patch(&path, body).await.ok() } else { owner.put(&path, body).await.ok() }
        };
        let ready = tokio::join!(
            make("members", Who::Moderator, json!({"role": "moderator"})),
            make("silences", Who::Silenced, json!({"until": in_an_hour()})),
            make("bans", Who::Banned, json!({})),
            owner.say(&room, "first"),
            async { owner.post(&format!("rooms/{room}/links"), json!({})).await.ok() },
            invite(&self.invited),
        );
        let link = ready.4;
        let report = self.victim.post("reports", json!({"room": room, "seq": 1, "reason": "spam"})).await.ok();
        Scene { link: id(&link["id"]), secret: id(&link["secret"]), report: id(&report["report"]), room }
    }

    /// The rooms that a stranger must not know of, and what they are.
    pub async fn hidden(&self) -> Vec<(&'static str, Scene)> {
        let (owner, member) = (self.owner(), self.who(Who::Member));
        let archived = owner.make_room("archive", "private").await;
        owner.patch(&format!("rooms/{archived}"), json!({"archived": true})).await.ok();
        let group = owner.post("groups", json!({"users": [member.id, self.victim.id]})).await.ok();
        let private = owner.make_room("room", "private").await;
        let rooms = [("private", private), ("archived", archived), ("group", id(&group["id"]))];
        let mut hidden: Vec<_> = rooms.map(|(kind, room)| (kind, Scene::at(&room))).into();
        hidden.push(("direct", self.direct[0].clone()));
        hidden
    }
}

impl Scene {
    /// A room without anything in it.
    pub fn at(room: &str) -> Self {
        let unknown = || Uuid::now_v7().to_string();
        Self { room: room.to_owned(), link: unknown(), secret: unknown(), report: unknown() }
    }
}

/// The direct room of the two, where one has said something.
async fn talk(from: &Person, to: &Person, messages: usize) -> Scene {
    let first = json!({"client_id": Uuid::now_v7(), "text": "first"});
    let room = id(&from.post(&format!("direct/{}/messages", to.id), first).await.ok()["room"]);
    let mut socket = from.connect().await;
    for _ in 1..messages {
        assert!(socket.say(&room, "more").await["ok"].is_object());
    }
    Scene::at(&room)
}

/// As the operator does at the console.
async fn make_administrator(server: &mut Server, person: &Person) {
    server.stop().await;
    let config = server.config();
    let store = Store::open(&config.database, server.folder.path()).await.expect("the store opens");
    let user = person.id.parse().expect("an id");
    let promote = Administer { user, disabled: None, admin: Some(true), by: None, reason: None, now: Clock::system().now() };
    store.transaction(Arc::new(promote), DEADLINE).await.expect("the account is promoted");
    drop(store);
    server.restart().await;
}
