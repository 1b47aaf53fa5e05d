//! What happens in a history, made up at random: who does what in which room, and when somebody is away.

use proptest::prelude::*;

/// People by number.
pub const ANN: usize = 0;
/// The one whose clients are watched.
pub const SUE: usize = 1;
pub const CID: usize = 2;
pub const PEOPLE: usize = 4;
pub const ROOMS: usize = 2;
/// What happens to a message happens to one of the first so many, so that it meets.
pub const MESSAGES: u64 = 6;
/// Who said the first messages of each room, before the history begins; the first of all before Sue was in it.
pub const FIRST: [usize; 4] = [ANN, SUE, SUE, ANN];

/// A history: things people do, and the visits of a client that comes and goes meanwhile.
#[derive(Clone, Debug)]
pub struct Plan {
    pub acts: Vec<Act>,
    /// So many of them at once.
    pub at_once: usize,
    pub visits: Vec<Visit>,
    /// When the server is killed, if it can be.
    pub kills: Vec<Kill>,
}

/// The server is killed so long after this many acts, in the middle of the next ones, and started again.
#[derive(Clone, Debug)]
pub struct Kill {
    pub acts: usize,
    pub after_ms: u64,
}

/// Somebody does something in a room. Whether they may is no matter: a refusal is an answer, too.
#[derive(Clone, Debug)]
pub struct Act {
    pub who: usize,
    pub room: usize,
    pub what: What,
}

#[derive(Clone, Debug)]
pub enum What {
    /// So many messages.
    Post(usize),
    /// A message that mentions this one.
    Mention(usize),
    Join,
    Leave,
    Decline,
    Invite(usize),
    Uninvite(usize),
    Kick(usize),
    Ban(usize),
    Unban(usize),
    /// Becomes a moderator, or a member again.
    Role(usize, bool),
    Transfer(usize),
    Rename(u8),
    Topic(u8),
    Archive(bool),
    /// Later members may read all, or what is posted since they joined.
    History(bool),
    Public(bool),
    Delete,
    /// In the thread of this message, if it is one.
    Reply(u64),
    /// Another text for one's own message of this number, and so on: what happens to messages names one that may not be there.
    Edit(u64),
    Unsay(u64),
    React(u64, bool),
    Unreact(u64, bool),
    Pin(u64),
    Unpin(u64),
    Forward(u64),
    Block(usize),
    Unblock(usize),
    Mute(usize),
    Unmute(usize),
    Read(u64),
    /// Something, or nothing any more.
    Draft(u8, bool),
    /// What one wants to be notified of there: nothing for a while, or everything, or what is usual.
    RoomPreferences(u8),
    /// Whether one follows the thread of this message, or mutes it.
    ThreadPreferences(u64, u8),
    /// What one wants altogether.
    Preferences(u8),
}

/// One kind of deed after the other, as [`What::kind`] calls them.
macro_rules! kinds {
    ($($name:ident $(($($of:tt),+))? => $word:literal;)*) => {
        impl What {
            /// Every kind of deed.
            pub const KINDS: &[&str] = &[$($word),*];

            pub fn kind(&self) -> &'static str {
                match self {
                    $(Self::$name $(($($of),+))? => $word,)*
                }
            }
        }
    };
}

kinds! {
    Post(_) => "post";
    Mention(_) => "mention";
    Join => "join";
    Leave => "leave";
    Decline => "decline";
    Invite(_) => "invite";
    Uninvite(_) => "uninvite";
    Kick(_) => "kick";
    Ban(_) => "ban";
    Unban(_) => "unban";
    Role(_, _) => "role";
    Transfer(_) => "transfer";
    Rename(_) => "rename";
    Topic(_) => "topic";
    Archive(_) => "archive";
    History(_) => "history";
    Public(_) => "public";
    Delete => "delete the room";
    Reply(_) => "reply";
    Edit(_) => "edit";
    Unsay(_) => "delete";
    React(_, _) => "react";
    Unreact(_, _) => "unreact";
    Pin(_) => "pin";
    Unpin(_) => "unpin";
    Forward(_) => "forward";
    Block(_) => "block";
    Unblock(_) => "unblock";
    Mute(_) => "mute";
    Unmute(_) => "unmute";
    Read(_) => "read";
    Draft(_, _) => "draft";
    RoomPreferences(_) => "room preferences";
    ThreadPreferences(_, _) => "thread preferences";
    Preferences(_) => "preferences";
}

/// The client comes after `away` more acts, takes in at most so many frames, and goes after `stay` more acts at the latest.
#[derive(Clone, Debug)]
pub struct Visit {
    pub away: usize,
    pub stay: usize,
    pub frames: usize,
    /// Without closing its socket.
    pub abrupt: bool,
}

/// Histories of up to so many acts and kills.
pub fn plans(acts: usize, kills: usize) -> impl Strategy<Value = Plan> {
    let kill = (0..acts, 0_u64..20).prop_map(|(acts, after_ms)| Kill { acts, after_ms });
    let times = (prop::collection::vec(visit(), 1..6), prop::collection::vec(kill, kills.min(1)..=kills));
    (prop::collection::vec(act(), 4..acts), 1_usize..5, times).prop_map(|(acts, at_once, (visits, kills))| Plan {
        acts,
        at_once,
        visits,
        kills,
    })
}

fn visit() -> impl Strategy<Value = Visit> {
    (0_usize..6, 0_usize..5, 0_usize..9, any::<bool>()).prop_map(|(away, stay, frames, abrupt)| Visit {
        away,
        stay,
        frames,
        abrupt,
    })
}

fn anybody() -> impl Strategy<Value = usize> {
    0..PEOPLE
}

/// Mostly somebody who is in the rooms from the beginning.
fn member() -> impl Strategy<Value = usize> {
    prop_oneof![3 => Just(ANN), 4 => Just(SUE), 2 => Just(CID), 1 => anybody()]
}

/// Mostly the one who is watched.
fn whom() -> impl Strategy<Value = usize> {
    prop_oneof![3 => Just(SUE), 1 => anybody()]
}

/// Mostly the one who may.
fn owner() -> impl Strategy<Value = usize> {
    prop_oneof![5 => Just(ANN), 1 => anybody()]
}

fn act() -> impl Strategy<Value = Act> {
    let act = |(who, what)| move |room| Act { who, room, what: Clone::clone(&what) };
    let said = prop_oneof![
        10 => (member(), (1_usize..6).prop_map(What::Post)),
        4 => (member(), whom().prop_map(What::Mention)),
        4 => (whom(), Just(What::Join)),
        2 => (whom(), Just(What::Leave)),
        2 => (anybody(), Just(What::Decline)),
    ];
    let seq = || 1..=MESSAGES;
    // Mostly something of one's own.
    let said_by = || {
        let own = (0..FIRST.len()).prop_map(|place| (FIRST[place], place as u64 + 1));
        prop_oneof![2 => own, 1 => (member(), seq())]
    };
    let changed = prop_oneof![
        4 => said_by().prop_map(|(who, seq)| (who, What::Edit(seq))),
        3 => said_by().prop_map(|(who, seq)| (who, What::Unsay(seq))),
        3 => (member(), seq().prop_map(What::Reply)),
        5 => (member(), (seq(), any::<bool>()).prop_map(|(seq, other)| What::React(seq, other))),
        3 => (member(), (seq(), any::<bool>()).prop_map(|(seq, other)| What::Unreact(seq, other))),
        3 => (member(), seq().prop_map(What::Forward)),
    ];
    let pinned = prop_oneof![3 => seq().prop_map(What::Pin), 2 => seq().prop_map(What::Unpin)];
    // What is her own.
    let own = prop_oneof![
        3 => anybody().prop_map(What::Block),
        3 => anybody().prop_map(What::Unblock),
        2 => anybody().prop_map(What::Mute),
        2 => anybody().prop_map(What::Unmute),
        3 => seq().prop_map(What::Read),
        3 => (any::<u8>(), any::<bool>()).prop_map(|(text, any)| What::Draft(text, any)),
        2 => (0_u8..3).prop_map(What::RoomPreferences),
        2 => (seq(), 0_u8..4).prop_map(|(seq, wanted)| What::ThreadPreferences(seq, wanted)),
        2 => (0_u8..4).prop_map(What::Preferences),
    ];
    let membership = prop_oneof![
        3 => whom().prop_map(What::Invite),
        2 => anybody().prop_map(What::Uninvite),
        2 => whom().prop_map(What::Kick),
        1 => whom().prop_map(What::Ban),
        2 => whom().prop_map(What::Unban),
        2 => (whom(), any::<bool>()).prop_map(|(whom, up)| What::Role(whom, up)),
        2 => anybody().prop_map(What::Transfer),
    ];
    let settings = prop_oneof![
        3 => any::<u8>().prop_map(What::Rename),
        3 => any::<u8>().prop_map(What::Topic),
        2 => prop_oneof![1 => Just(true), 2 => Just(false)].prop_map(What::Archive),
        2 => any::<bool>().prop_map(What::History),
        2 => any::<bool>().prop_map(What::Public),
    ];
    let done = prop_oneof![
        34 => said,
        30 => changed,
        7 => (owner(), pinned),
        22 => (Just(SUE), own),
        20 => (owner(), membership),
        10 => (owner(), settings),
        1 => (owner(), Just(What::Delete)),
    ];
    (done, 0..ROOMS).prop_map(move |(done, room)| act(done)(room))
}
