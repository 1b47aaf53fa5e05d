//! How whoever catches up goes live behind what is kept for them (I6).

use super::*;

#[test]
fn whoever_has_read_the_last_page_goes_live_behind_what_was_committed_meanwhile() {
    let mut bench = Bench::new();
    let (bob, ann) = (bench.live(4), bench.behind(4));
    assert_eq!((bench.say(4, 5), bench.say(5, 6)), (sent(1), sent(1)));
    assert_eq!(bench.caught_up(&ann, 4), CaughtUp::Behind(Revision(6)));
    assert_eq!(bench.send_tail(&ann, 4), 6);
    assert_eq!(bench.caught_up(&ann, 6), CaughtUp::Live);
    assert_eq!(bench.send_tail(&ann, 4), 4, "whoever is live gets nothing again");
    assert_eq!(bench.say(6, 7), sent(2));
    assert_eq!(received(&ann.outbox), [(4, 5), (5, 6), (6, 7)]);
    assert_eq!(received(&bob.outbox), [(4, 5), (5, 6), (6, 7)]);
}

#[test]
fn what_is_kept_is_sent_only_where_it_begins_at_the_end_of_the_page() {
    let mut bench = Bench::new();
    let ann = bench.behind(4);
    bench.say(4, 6);
    assert_eq!(bench.send_tail(&ann, 5), 5);
    assert_eq!(bench.caught_up(&ann, 5), CaughtUp::Behind(Revision(6)));
    // What is sent again to another relay may reach back.
    bench.say(5, 8);
    bench.say(8, 9);
    assert_eq!(bench.send_tail(&ann, 4), 6);
    assert_eq!(bench.caught_up(&ann, 6), CaughtUp::Behind(Revision(9)));
    assert_eq!(bench.send_tail(&ann, 8), 9);
    assert_eq!(received(&ann.outbox), [(4, 6), (8, 9)]);
}

#[test]
fn what_is_kept_is_shown_as_it_is_to_who_is_live() {
    let mut bench = Bench::new();
    let (ann, bob) = (bench.connect(), bench.connect());
    bench.arrive(&ann, 4, 6, 3);
    assert_eq!(bench.caught_up(&ann, 4), CaughtUp::Live);
    bench.arrive(&bob, 4, 6, 3);
    bench.say(4, 5);
    bench.say(5, 7);
    assert_eq!(bench.send_tail(&bob, 4), 7);
    let (live, tail) = (wire(&ann.outbox), wire(&bob.outbox));
    assert_eq!(tail, live);
    let text = String::from_utf8_lossy(&tail);
    assert!(!text.contains("text 5") && text.contains("text 6") && text.contains("text 7"), "{text}");
}

#[test]
fn with_more_committed_than_is_kept_one_more_page_is_read() {
    let mut bench = Bench::new();
    let ann = bench.behind(4);
    for number in 5..=8 {
        let Item::Message(message) = message(bench.room, number) else { unreachable!("it is one") };
        let long = Item::Message(Message { text: "x".repeat(100_000), ..message });
        bench.append(number - 1, number, vec![long]);
    }
    assert_eq!(bench.kept(), [7, 8]);
    assert_eq!(bench.send_tail(&ann, 4), 4);
    assert_eq!(bench.caught_up(&ann, 4), CaughtUp::Behind(Revision(8)));
    bench.say(8, 9);
    assert_eq!(bench.send_tail(&ann, 8), 9);
    assert_eq!(bench.caught_up(&ann, 9), CaughtUp::Live);
    assert_eq!(received(&ann.outbox), [(8, 9)]);
}

#[test]
fn what_is_kept_waits_for_a_socket_that_does_not_keep_up() {
    let mut bench = Bench::new();
    let ann = bench.behind(4);
    bench.say(4, 5);
    bench.say(5, 6);
    assert_eq!(bench.state.send_tail(ann.seat, bench.room, Revision(4), 1), (Revision(5), 1));
    assert_eq!(bench.caught_up(&ann, 5), CaughtUp::Behind(Revision(6)));
    assert_eq!(received(&ann.outbox), [(4, 5)]);
}

#[test]
fn before_a_gap_what_is_kept_is_sent_and_what_is_missing_read() {
    let mut bench = Bench::new();
    let ann = bench.behind(4);
    bench.say(4, 5);
    assert_eq!(bench.say(7, 8), Appended::Gap { after: Revision(5), ask: true });
    assert_eq!(bench.send_tail(&ann, 4), 5);
    assert_eq!(bench.caught_up(&ann, 5), CaughtUp::Behind(Revision(8)));
    bench.say(5, 8);
    bench.say(8, 9);
    assert_eq!(bench.send_tail(&ann, 8), 9);
    assert_eq!(bench.caught_up(&ann, 9), CaughtUp::Live);
    bench.say(9, 10);
    assert_eq!(received(&ann.outbox), [(4, 5), (8, 9), (9, 10)]);
}

#[test]
fn whoever_left_while_catching_up_is_sent_nothing_that_is_kept_not_even_after_coming_back() {
    let mut bench = Bench::new();
    let (ann, bob) = (bench.behind(4), bench.behind(4));
    let left = bench.member(ann.user, MemberState::Left, 1, 5);
    bench.append(4, 5, vec![left]);
    assert_eq!(ann.outbox.take_notes().ended, [(bench.room, Fault::NotMember)]);
    assert_eq!((bench.send_tail(&ann, 4), bench.caught_up(&ann, 4)), (4, CaughtUp::Ended));
    bench.say(5, 6);
    let joined = bench.member(ann.user, MemberState::Joined, 7, 7);
    bench.append(6, 7, vec![joined]);
    assert_eq!(bench.kept(), [5, 6, 7]);
    bench.arrive(&ann, 7, 7, 7);
    bench.say(7, 8);
    assert_eq!(bench.send_tail(&ann, 7), 8);
    assert_eq!(bench.caught_up(&ann, 8), CaughtUp::Live);
    assert_eq!(received(&ann.outbox), [(7, 8)]);
    assert_eq!(bench.send_tail(&bob, 4), 8);
}

#[test]
fn nothing_is_kept_once_nobody_catches_up() {
    let mut bench = Bench::new();
    let _live = bench.live(4);
    bench.say(4, 5);
    assert_eq!(bench.kept(), [0; 0]);
    type End = fn(&mut Bench, &Person, u64);
    let ends: [End; 3] = [
        |bench, person, at| assert_eq!(bench.caught_up(person, at), CaughtUp::Live),
        |bench, person, _| assert_eq!(bench.state.unsubscribe(person.seat, bench.room), None),
        |bench, person, at| {
            let left = bench.member(person.user, MemberState::Left, 1, at + 1);
            bench.append(at, at + 1, vec![left]);
        },
    ];
    for (at, end) in (5..).zip(ends) {
        let ann = bench.behind(at);
        // Subscribed again it is still one that catches up.
        bench.arrive(&ann, at, 1, 1);
        bench.say(at, at + 1);
        assert_eq!(bench.kept(), [at + 1]);
        end(&mut bench, &ann, at + 1);
        assert_eq!(bench.kept(), [0; 0]);
    }
    bench.say(9, 10);
    assert_eq!(bench.kept(), [0; 0]);
}

proptest! {
    /// However commits and pages fall together: each page that reaches its aim is the last, and every revision comes once and in order.
    #[test]
    fn whoever_reads_pages_while_others_post_is_live_after_the_last(steps in proptest::collection::vec(proptest::option::of(1_u64..4), 1..60)) {
        let mut bench = Bench::new();
        let (_bob, ann) = (bench.live(9), bench.behind(9));
        let (mut head, mut cursor, mut live) = (9, 0, false);
        // A step posts so many in one commit, or reads a page of at most four.
        for step in steps.into_iter().chain([None; 3]).chain([Some(1)]) {
            match step {
                Some(length) => {
                    bench.say(head, head + length);
                    head += length;
                }
                None if live => {}
                None => {
                    let page = (cursor + 4).min(9);
                    cursor = bench.send_tail(&ann, page);
                    let sent = received(&ann.outbox);
                    prop_assert_eq!(sent.first().map_or(page, |(from, _)| *from), page);
                    prop_assert!(sent.windows(2).all(|two| two[0].1 == two[1].0), "{:?}", sent);
                    prop_assert_eq!(sent.last().map_or(page, |(_, to)| *to), cursor);
                    if cursor >= 9 {
                        prop_assert_eq!(bench.caught_up(&ann, cursor), CaughtUp::Live);
                        live = true;
                    }
                }
            }
            for (from, to) in received(&ann.outbox) {
                prop_assert_eq!(from, cursor);
                cursor = to;
            }
        }
        prop_assert!(live);
        prop_assert_eq!(cursor, head);
    }
}
