//! Who is notified of a message, and why: one decision for one person. Pure.
//!
//! A person is not notified of what they wrote or may not see, of people they block or mute, in a room or thread they have muted, where they
//! want to be told of nothing, and of what they have read elsewhere. A mute holds for mentions too: whoever wants those wants `mentions`,
//! which is another setting. For what is left the first kind that fits counts, in the order of [`NotificationKind`]. In quiet hours people
//! are notified quietly.
//!
//! Must not know: where the facts come from.

use crate::domain::notification::{Fact, NotificationKind, Person};
use crate::domain::preference::{Following, Notify};
use crate::domain::room::RoomKind;
use crate::domain::time::Timestamp;
use crate::domain::time_zone::local_minute;

/// That somebody is notified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Why.
    pub kind: NotificationKind,
    /// Without disturbing them.
    pub quiet: bool,
}

/// Is this person notified now?
#[must_use]
pub fn decide(fact: &Fact, person: &Person, now: Timestamp) -> Option<Notice> {
    let muted = |until: Option<Timestamp>| until.is_some_and(|until| now < until);
    let out = person.user == fact.author || !person.sees || person.blocks || person.mutes;
    let silent = muted(person.room_muted_until) || (fact.in_thread && muted(person.thread_muted_until));
    if out || silent || person.read >= fact.seq {
        return None;
    }
    let kind = kind(fact, person)?;
    Some(Notice { kind, quiet: person.quiet.is_some_and(|hours| hours.hold(local_minute(now, person.time_zone))) })
}

fn kind(fact: &Fact, person: &Person) -> Option<NotificationKind> {
    let wanted = match (person.in_room, person.in_general) {
        (Notify::Default, general) => general,
        (in_room, _) => in_room,
    };
    if wanted == Notify::Nothing {
        return None;
    }
    let direct = match fact.room {
        RoomKind::Direct => true,
        // A group may be as busy as any room: there `mentions` means what it says.
        RoomKind::Group => person.in_room != Notify::Mentions,
        RoomKind::Public | RoomKind::Private => false,
    };
    let follows = match person.following {
        Following::Yes => true,
        Following::No => false,
        Following::Default => person.takes_part,
    };
    let fits = [
        (direct, NotificationKind::Direct),
        (person.mentioned, NotificationKind::Mention),
        (fact.mentions_room, NotificationKind::RoomMention),
        (fact.mentions_online && person.online, NotificationKind::OnlineMention),
        (person.keyword, NotificationKind::Keyword),
        (fact.in_thread && follows, NotificationKind::Thread),
        (wanted == Notify::All, NotificationKind::All),
    ];
    fits.into_iter().find_map(|(fits, kind)| fits.then_some(kind))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::UserId;
    use crate::domain::order::Seq;
    use crate::domain::preference::QuietHours;
    use crate::domain::time_zone::TimeZone;
    use NotificationKind::{All, Direct, Keyword, Mention, OnlineMention, RoomMention, Thread};
    use chrono::{DateTime, TimeDelta};

    /// Noon.
    fn now() -> Timestamp {
        DateTime::from_timestamp(1_800_014_400, 0).unwrap()
    }

    type Change = fn(&mut Fact, &mut Person);

    fn decided(change: Change) -> Option<Notice> {
        let (author, user) = (UserId::generate(), UserId::generate());
        let room = RoomKind::Public;
        let mut fact = Fact { seq: Seq(5), author, room, in_thread: false, mentions_room: false, mentions_online: false };
        let mut person = Person::plain(user);
        change(&mut fact, &mut person);
        decide(&fact, &person, now())
    }

    fn hours(from: i64, until: i64) -> Option<QuietHours> {
        QuietHours::parse(from, until).ok()
    }

    #[test]
    fn who_is_notified_of_what_stands_in_the_table() {
        let table: &[(&str, Change, Option<NotificationKind>)] = &[
            ("an ordinary message", |_, _| {}, None),
            ("a direct message", |f, _| f.room = RoomKind::Direct, Some(Direct)),
            ("a message in a group", |f, _| f.room = RoomKind::Group, Some(Direct)),
            ("a mention", |_, p| p.mentioned = true, Some(Mention)),
            ("@room", |f, _| f.mentions_room = true, Some(RoomMention)),
            ("@online to who is", |f, p| (f.mentions_online, p.online) = (true, true), Some(OnlineMention)),
            ("@online to who is not", |f, _| f.mentions_online = true, None),
            ("a keyword", |_, p| p.keyword = true, Some(Keyword)),
            ("everything", |_, p| p.in_room = Notify::All, Some(All)),
            ("everything in general", |_, p| p.in_general = Notify::All, Some(All)),
            // Threads.
            ("a thread one takes part in", |f, p| (f.in_thread, p.takes_part) = (true, true), Some(Thread)),
            ("a thread one follows", |f, p| (f.in_thread, p.following) = (true, Following::Yes), Some(Thread)),
            ("another thread", |f, _| f.in_thread = true, None),
            ("a thread one has left", |f, p| (f.in_thread, p.takes_part, p.following) = (true, true, Following::No), None),
            (
                "a mention in a thread one has left",
                |f, p| (f.in_thread, p.mentioned, p.following) = (true, true, Following::No),
                Some(Mention),
            ),
            // The first that fits.
            ("direct and mentioned", |f, p| (f.room, p.mentioned) = (RoomKind::Direct, true), Some(Direct)),
            ("by name and @room", |f, p| (f.mentions_room, p.mentioned) = (true, true), Some(Mention)),
            ("@room and @online", |f, p| (f.mentions_room, f.mentions_online, p.online) = (true, true, true), Some(RoomMention)),
            ("@online and keyword", |f, p| (f.mentions_online, p.online, p.keyword) = (true, true, true), Some(OnlineMention)),
            ("keyword and thread", |f, p| (f.in_thread, p.takes_part, p.keyword) = (true, true, true), Some(Keyword)),
            ("thread and everything", |f, p| (f.in_thread, p.takes_part, p.in_room) = (true, true, Notify::All), Some(Thread)),
            // What people prefer.
            ("mentions: a mention", |_, p| (p.in_room, p.mentioned) = (Notify::Mentions, true), Some(Mention)),
            ("mentions: no mention", |_, p| p.in_room = Notify::Mentions, None),
            ("mentions: a direct message", |f, p| (f.room, p.in_room) = (RoomKind::Direct, Notify::Mentions), Some(Direct)),
            ("mentions: a group", |f, p| (f.room, p.in_room) = (RoomKind::Group, Notify::Mentions), None),
            ("mentions in general: a group", |f, p| (f.room, p.in_general) = (RoomKind::Group, Notify::Mentions), Some(Direct)),
            ("nothing: a mention", |_, p| (p.in_room, p.mentioned) = (Notify::Nothing, true), None),
            ("nothing: a direct message", |f, p| (f.room, p.in_room) = (RoomKind::Direct, Notify::Nothing), None),
            ("nothing in general", |_, p| (p.in_general, p.mentioned) = (Notify::Nothing, true), None),
            (
                "nothing in general, mentions here",
                |_, p| (p.in_general, p.in_room, p.mentioned) = (Notify::Nothing, Notify::Mentions, true),
                Some(Mention),
            ),
            ("everything in general, mentions here", |_, p| (p.in_general, p.in_room) = (Notify::All, Notify::Mentions), None),
            // Never.
            ("one's own message", |f, p| (p.user, p.mentioned) = (f.author, true), None),
            ("what one may not see", |_, p| (p.sees, p.mentioned) = (false, true), None),
            ("whom one blocks", |_, p| (p.blocks, p.mentioned) = (true, true), None),
            ("whom one mutes", |f, p| (p.mutes, f.room) = (true, RoomKind::Direct), None),
            ("a muted room", |_, p| (p.room_muted_until, p.mentioned) = (Some(now() + TimeDelta::seconds(1)), true), None),
            ("a mute that ended", |_, p| (p.room_muted_until, p.mentioned) = (Some(now()), true), Some(Mention)),
            (
                "a muted thread",
                |f, p| (f.in_thread, p.thread_muted_until, p.mentioned) = (true, Some(now() + TimeDelta::seconds(1)), true),
                None,
            ),
            ("what is read", |_, p| (p.read, p.mentioned) = (Seq(5), true), None),
            ("what is not read yet", |_, p| (p.read, p.mentioned) = (Seq(4), true), Some(Mention)),
        ];
        for (what, change, expected) in table {
            assert_eq!(decided(*change).map(|notice| notice.kind), *expected, "{what}");
        }
    }

    fn kathmandu() -> Option<TimeZone> {
        TimeZone::parse("Asia/Kathmandu").ok()
    }

    #[test]
    fn quiet_hours_make_it_quiet_and_nothing_else() {
        let table: &[(Change, bool)] = &[
            (|_, p| (p.mentioned, p.quiet) = (true, None), false),
            (|_, p| (p.mentioned, p.quiet) = (true, hours(720, 721)), true),
            (|_, p| (p.mentioned, p.quiet) = (true, hours(721, 800)), false),
            (|_, p| (p.mentioned, p.quiet) = (true, hours(721, 720)), false),
            (|_, p| (p.mentioned, p.quiet) = (true, hours(1320, 800)), true),
            // Noon is a quarter to six in the evening of Kathmandu.
            (|_, p| (p.mentioned, p.quiet, p.time_zone) = (true, hours(1065, 1066), kathmandu()), true),
            (|_, p| (p.mentioned, p.quiet, p.time_zone) = (true, hours(720, 721), kathmandu()), false),
        ];
        for (number, (change, quiet)) in table.iter().enumerate() {
            assert_eq!(decided(*change), Some(Notice { kind: Mention, quiet: *quiet }), "{number}");
        }
        assert_eq!(decided(|_, p| p.quiet = hours(720, 721)), None);
    }
}
