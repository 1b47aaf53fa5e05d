use super::*;
use crate::panics::allowed_ms;

const MS: u64 = 1000;
const ROOMS: u64 = 20;
const PEOPLE: u64 = 4;
const EVERY: u64 = 1500 * MS;
/// What a delivery takes while nothing happens.
const QUICK: u64 = 5 * MS;

/// As a drill has it: ten panics.
fn panics() -> Vec<u64> {
    (1..=10).map(|turn| turn * EVERY).collect()
}

/// 200 posts a second, in all rooms by all people in turn, seen by all four of a room after `took(room, sender, viewer, meant)`.
fn talk(took: impl Fn(usize, usize, usize, u64) -> u64) -> Vec<Delivery> {
    let post = |n: u64| {
        let (meant_us, room, sender) = (n * 5 * MS, (n % ROOMS) as usize, (n / ROOMS % PEOPLE) as usize);
        (0..PEOPLE as usize).map(move |viewer| (meant_us, room, sender, viewer))
    };
    let delivery = |(meant_us, room, sender, viewer)| {
        let took_us = took(room, sender, viewer, meant_us);
        Delivery { meant_us, took_us, room, sender, viewer }
    };
    (0..12 * 300).flat_map(post).map(delivery).collect()
}

/// What a standstill at `from` of such a length adds to what was meant for `meant`.
fn wait(meant: u64, from: u64, still: u64) -> u64 {
    if (from..from + still).contains(&meant) { from + still - meant } else { 0 }
}

/// The same at each panic.
fn wait_at_each(meant: u64, still: u64) -> u64 {
    panics().into_iter().map(|panic| wait(meant, panic, still)).sum()
}

fn is_noise(windows: &Windows) -> bool {
    let quiet = Windows::quiet(&talk(|_, _, _, _| QUICK)).median_ms().unwrap();
    windows.median_ms().unwrap() <= allowed_ms(quiet)
}

#[test]
fn a_stall_in_one_window_of_ten_is_told_and_breaks_nothing() {
    let windows = Windows::at(&panics(), &talk(|_, _, _, meant| QUICK + wait(meant, 4 * EVERY + 300 * MS, 500 * MS)), &[]);
    assert_eq!((windows.told(), windows.median_ms()), (10, Some(5.0)));
    assert!(windows.worst_ms().unwrap() > 450.0 && is_noise(&windows), "{windows:?}");
}

#[test]
fn a_standstill_of_everybody_at_each_panic_is_more_than_noise() {
    let standstill = |still: u64| Windows::at(&panics(), &talk(|_, _, _, meant| QUICK + wait_at_each(meant, still * MS)), &[]);
    assert!(!is_noise(&standstill(50)), "{:?}", standstill(50));
    assert!(is_noise(&standstill(20)), "{:?}", standstill(20));
}

#[test]
fn who_lost_a_socket_is_left_out_as_viewer_and_as_sender_until_the_next_panic() {
    // Half of each room's people, in turn, lose their sockets at each panic and are back after 300 ms; the last delivery before is in flight.
    let is_away = |member: usize, panic: u64| member as u64 % 2 == panic / EVERY % 2;
    let deliveries = talk(|_, sender, viewer, meant| {
        let away = panics().into_iter().filter(|panic| is_away(sender, *panic) || is_away(viewer, *panic));
        QUICK + away.map(|panic| wait(meant, panic - 7 * MS, 307 * MS)).sum::<u64>()
    });
    let members = (0..ROOMS as usize).flat_map(|room| (0..PEOPLE as usize).map(move |member| (room, member)));
    let lost = |at: u64| move |(room, member)| Blow::Member { room, member, at_us: at + MS };
    let blows: Vec<_> = panics()
        .into_iter()
        .flat_map(|at| members.clone().filter(move |(_, member)| is_away(*member, at)).map(lost(at)))
        .collect();
    let windows = Windows::at(&panics(), &deliveries, &blows);
    assert_eq!((windows.told(), windows.worst_ms()), (10, Some(5.0)), "{windows:?}");
    // Of 16 pairs of sender and viewer 12 have somebody of the half; in a window not everybody posts as often as the others.
    let share = windows.struck as f64 / windows.all as f64;
    assert!((0.73..=0.78).contains(&share), "{windows:?}");
    assert!(!is_noise(&Windows::at(&panics(), &deliveries, &[])), "the same without knowing of the losses");
}

#[test]
fn a_struck_room_is_left_out_until_the_end_of_the_next_window() {
    // Room 7 is refused at each other panic and asked to wait for 1.4 s, up to 400 ms past the next panic.
    let deliveries = talk(|room, _, _, meant| {
        let waits = |panic: u64| wait(meant, panic + 500 * MS, 1400 * MS);
        if room == 7 { QUICK + panics().into_iter().step_by(2).map(waits).sum::<u64>() } else { QUICK }
    });
    let blows: Vec<_> = panics().into_iter().step_by(2).map(|panic| Blow::Room { room: 7, at_us: panic + 500 * MS }).collect();
    let windows = Windows::at(&panics(), &deliveries, &blows);
    assert_eq!((windows.told(), windows.worst_ms()), (10, Some(5.0)), "{windows:?}");
    assert!(windows.struck > 0 && windows.struck * 20 <= windows.all, "no more than that room: {windows:?}");
    let other = [Blow::Room { room: 8, at_us: panics()[0] }];
    assert!(Windows::at(&panics(), &deliveries, &other).worst_ms() > Some(1000.0), "another room excuses nothing");
}

#[test]
fn a_window_ends_with_the_next_panic_and_one_with_too_few_deliveries_is_not_told() {
    let deliveries = talk(|_, _, _, _| QUICK);
    let windows = Windows::at(&[0, 500 * MS, 510 * MS, 100 * EVERY], &deliveries, &[]);
    assert_eq!((windows.told(), windows.all), (2, 400 + 8 + 1200), "{windows:?}");
    assert_eq!(Windows::quiet(&deliveries).told(), 11, "the last one is not whole");
    let none = Windows::quiet(&[]);
    assert_eq!((none.told(), none.median_ms(), none.worst_ms()), (0, None, None));
}
