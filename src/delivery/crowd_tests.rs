//! Rooms with more sessions on a thread than have an envelope in one turn, and who of a room has it first.

use super::*;
use crate::delivery::feed::AT_ONCE;

/// Wakes by adding its number to a list.
struct Bell(usize, Arc<std::sync::Mutex<Vec<usize>>>);

impl std::task::Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.1.lock().unwrap().push(self.0);
    }
}

#[test]
fn what_happens_between_two_parts_of_a_crowd_neither_repeats_nor_loses_an_envelope() {
    let mut bench = Bench::new();
    let mut people: Vec<Person> = (0..=AT_ONCE).map(|_| bench.live(1)).collect();
    let late = bench.behind(1);
    let changes = Changes { room: bench.room, from: Revision(1), to: Revision(2), items: vec![message(bench.room, 2)] };
    let envelope = Arc::new(Envelope::new(changes));
    let Appended::Begun { count: 0, rest } = bench.state.append(&envelope) else { panic!("it is a crowd") };
    let first: Vec<Seat> = people[..AT_ONCE / 2].iter().map(|person| person.seat).collect();
    let second: Vec<Seat> = rest.into_iter().filter(|seat| !first.contains(seat)).collect();
    assert_eq!(bench.state.append_to(&envelope, &first), AT_ONCE / 2);
    // Somebody goes, somebody comes who knows it, and somebody has caught up with what was before it.
    let gone = people.pop().unwrap();
    assert_eq!(bench.state.unsubscribe(gone.seat, bench.room), None);
    let new = bench.behind(2);
    assert_eq!((bench.caught_up(&new, 2), bench.caught_up(&late, 1)), (CaughtUp::Live, CaughtUp::Live));
    bench.state.append_to(&envelope, &first);
    bench.state.append_to(&envelope, &second);
    assert_eq!(bench.state.end_append(&envelope), None);
    for person in people.iter().chain([&late]) {
        assert_eq!(received(&person.outbox), [(1, 2)]);
    }
    assert_eq!((received(&new.outbox), bench.say(2, 3)), (vec![], sent(AT_ONCE + 2)));
}

#[test]
fn whose_deed_it_is_is_woken_before_everybody_else_and_gets_it_once() {
    let mut bench = Bench::new();
    let people: Vec<Person> = (0..50).map(|_| bench.live(1)).collect();
    let woken = Arc::default();
    for (number, person) in people.iter().enumerate() {
        person.outbox.set_waker(&Arc::new(Bell(number, Arc::clone(&woken))).into());
    }
    for (revision, author) in [(2, 7), (3, 42), (4, 23)] {
        let Item::Message(said) = message(bench.room, revision) else { unreachable!() };
        let item = Item::Message(Message { author: people[author].user, ..said });
        assert_eq!(bench.append(revision - 1, revision, vec![item]), sent(50));
        let woken = std::mem::take(&mut *woken.lock().unwrap());
        assert_eq!((woken.len(), woken[0]), (50, author));
    }
    assert_eq!(received(&people[7].outbox), [(1, 2), (2, 3), (3, 4)]);
}
