//! Who may do what: every route and every command, for everybody, in a public, a private and a direct room (I10).
//!
//! The rows are in `table`, what they say in `rule`, the people and rooms in `scene`, and how a row is asked in `ask`. They are checked
//! against the server's own lists: a new route or command without a row fails.

mod ask;
mod door;
mod rule;
mod scene;
mod table;

use ask::{Filling, code, code_of};
use futures_util::future::join_all;
use hubbub::http::routes;
use hubbub::protocol::v1::command::Command;
use rule::{NOT_FOUND, OK, Place, Who};
use scene::{Cast, Scene};
use std::collections::BTreeSet;
use table::{Row, table};
use uuid::Uuid;

use crate::support::person::Person;
use crate::support::socket::Socket;

#[test]
fn every_route_and_every_command_has_a_row() {
    let table = table();
    let routes: BTreeSet<_> = routes::TABLE.iter().copied().collect();
    let rows: BTreeSet<_> = table.iter().filter_map(|row| row.route).collect();
    assert_eq!(routes, rows);
    let commands: BTreeSet<_> = Command::names().collect();
    let rows: BTreeSet<_> = table.iter().filter_map(|row| row.command.as_ref()).map(|(name, _)| *name).collect();
    assert_eq!(commands, rows);
}

/// What one person asks, one thing after the other.
struct Asking<'a> {
    cast: &'a Cast,
    who: Who,
    /// The scenes that stay as they are: a public one and a private one.
    shared: &'a [Scene; 2],
    socket: Socket,
}

impl Asking<'_> {
    /// What is answered otherwise than the table says.
    async fn judge(&mut self, number: usize, row: &Row, place: Place) -> Vec<String> {
        let Some(expected) = row.rule.answer(place, self.who) else { return Vec::new() };
        let cast = self.cast;
        let (shared, seq) = match place {
            Place::Public => (&self.shared[0], 1),
            Place::Private => (&self.shared[1], 1),
            // There the asking person has said one thing for each row.
            Place::Direct => (&cast.scene(place, self.who).await, number + 1),
        };
        // What makes it another scene has one for itself.
        let own;
        let scene = if row.spoils && expected == OK {
            own = cast.scene(place, self.who).await;
            &own
        } else {
            shared
        };
        let spare;
        let asking = if row.ends_login && expected == OK {
            spare = Person::register_at(&cast.victim.base, &format!("spare-{number}-{}", self.who.name())).await;
            &spare
        } else {
            cast.who(self.who)
        };
        let filling = Filling { cast, scene, seq };
        let over_rest = filling.route(row, asking).await.map(|answer| ("REST", code(&answer)));
        let over_socket = filling.command(row, asking, &mut self.socket).await.map(|reply| ("a socket", code_of(&reply)));
        let wrong = over_rest.into_iter().chain(over_socket).filter(|(_, got)| got != expected);
        let (name, command) = (self.who.name(), row.command.as_ref().map(|(name, _)| name));
        let what = format!("{:?} {} {command:?}", row.route, row.body);
        wrong.map(|(way, got)| format!("{name}, {place:?}, over {way}: {what}: {got}, not {expected}")).collect()
    }
}

#[tokio::test]
async fn everybody_may_do_what_the_table_says_and_nothing_else() {
    let (mut server, table) = (scene::server().await, table());
    let cast = &Cast::gather(&mut server, table.len()).await;
    let any = Who::Stranger;
    let shared = &[cast.scene(Place::Public, any).await, cast.scene(Place::Private, any).await];
    let table = &table;
    let each = Who::ALL.map(|who| async move {
        let mut asking = Asking { cast, who, shared, socket: cast.who(who).connect().await };
        let mut wrong = Vec::new();
        for (number, row) in table.iter().enumerate() {
            for place in row.places() {
                wrong.extend(asking.judge(number, row, *place).await);
            }
        }
        wrong
    });
    let wrong = join_all(each).await.concat();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn a_stranger_gets_of_every_hidden_room_exactly_what_an_unknown_one_gives() {
    let mut server = scene::server().await;
    let cast = &Cast::gather(&mut server, 1).await;
    let unknown = &Scene::at(&Uuid::now_v7().to_string());
    let hidden = cast.hidden().await;
    let mut wrong = Vec::new();
    // A plain stranger, and one who administers the server.
    for who in [Who::Stranger, Who::Admin] {
        let stranger = cast.who(who);
        let mut socket = stranger.connect().await;
        let filling = |scene| Filling { cast, scene, seq: 1 };
        let refused = |row: &&Row| row.rule.answer(Place::Private, who) == Some(NOT_FOUND);
        for row in table().iter().filter(refused) {
            let (route, command) = (row.route, row.command.as_ref().map(|(name, _)| name));
            let over_rest = filling(unknown).route(row, stranger).await.map(|answer| answer.but_its_id());
            let over_socket = filling(unknown).command(row, stranger, &mut socket).await;
            for (kind, room) in &hidden {
                let got = filling(room).route(row, stranger).await.map(|answer| answer.but_its_id());
                if got != over_rest {
                    wrong.push(format!("{who:?} in a {kind} room: {route:?}: {got:?}, not {over_rest:?}"));
                }
                let got = filling(room).command(row, stranger, &mut socket).await;
                if got != over_socket {
                    wrong.push(format!("{who:?} in a {kind} room: {command:?}: {got:?}, not {over_socket:?}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
