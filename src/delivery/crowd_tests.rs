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

#[test]
fn a_crowd_has_an_envelope_at_once_and_is_woken_in_parts_each_once_whatever_comes_meanwhile() {
    let mut bench = Bench::new();
    let people: Vec<Person> = (0..2 * AT_ONCE + 1).map(|_| bench.live(1)).collect();
    let woken = Arc::new(std::sync::Mutex::new(Vec::new()));
    for (number, person) in people.iter().enumerate() {
        person.outbox.set_waker(&Arc::new(Bell(number, Arc::clone(&woken))).into());
    }
    let said_by = |bench: &Bench, revision, author: usize| {
        let Item::Message(said) = message(bench.room, revision) else { unreachable!() };
        vec![Item::Message(Message { author: people[author].user, ..said })]
    };
    let items = said_by(&bench, 2, 3);
    assert_eq!(bench.append(1, 2, items), sent(people.len()));
    assert_eq!((&*woken.lock().unwrap(), bench.state.is_crowded()), (&vec![3], true));
    assert!(bench.state.wake_some());
    assert_eq!(woken.lock().unwrap().len(), 1 + AT_ONCE);
    // Behind some of the first envelope: whoever has not been woken yet is so once for both.
    let items = said_by(&bench, 3, 4);
    assert_eq!(bench.append(2, 3, items), sent(people.len()));
    assert_eq!(woken.lock().unwrap().pop(), Some(4));
    while bench.state.wake_some() {}
    let mut woken = std::mem::take(&mut *woken.lock().unwrap());
    woken.sort_unstable();
    let twice = woken.windows(2).filter(|pair| pair[0] == pair[1]).count();
    assert!((AT_ONCE - 1..=AT_ONCE + 1).contains(&twice), "{twice}: those of the first part");
    woken.dedup();
    assert!(woken.len() >= people.len() - 1 && !bench.state.is_crowded());
    for person in &people {
        assert_eq!(received(&person.outbox), [(1, 2), (2, 3)]);
    }
}

#[test]
fn who_has_written_what_waited_before_being_woken_is_left_alone_and_a_slow_one_is_told() {
    let mut bench = Bench::new();
    let people: Vec<Person> = (0..=AT_ONCE).map(|_| bench.live(1)).collect();
    let woken = Arc::new(std::sync::Mutex::new(Vec::new()));
    for (number, person) in people.iter().enumerate() {
        person.outbox.set_waker(&Arc::new(Bell(number, Arc::clone(&woken))).into());
    }
    assert!(people[7].outbox.push(vec![0; (1 << 20) - 10].into()));
    woken.lock().unwrap().clear();
    assert_eq!(bench.say(1, 2), sent(AT_ONCE));
    assert_eq!(received(&people[5].outbox), [(1, 2)]);
    while bench.state.wake_some() {}
    let woken = woken.lock().unwrap();
    assert!(woken.contains(&7) && !woken.contains(&5));
    assert_eq!((people[7].outbox.closed(), woken.len()), (Some(Close::SlowConsumer), AT_ONCE));
}
