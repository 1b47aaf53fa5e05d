//! The ways in which the loopback server misbehaves on demand.

/// A broken promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Breach {
    /// One member is told of a revision without the message in it.
    Lose,
    /// The message of one member is never sent, and no later one tells of it before the next reaches it.
    Skip,
    /// A post is stored and delivered under two numbers.
    Duplicate,
    /// Two posts of one sender are stored in the other order.
    Reorder,
    /// A message is shown that is not stored.
    Ghost,
    /// A post is acknowledged and forgotten.
    AckBeforeStore,
    /// A number is given to nothing.
    Gap,
    /// The acknowledgement names another number.
    WrongAck,
    /// An edit is acknowledged and told, and not stored.
    ForgetEdit,
    /// A deletion leaves the text where it was.
    KeepText,
    /// One member is told of a revision without the reaction in it.
    LoseReaction,
    /// A thread counts a reply too many.
    Miscount,
    /// What was read is acknowledged and forgotten.
    ForgetRead,
    /// Who blocks somebody is sent their words.
    ShowBlocked,
    /// Who blocks somebody reads their words in the history.
    ReadBlocked,
    /// Who blocks somebody is told of their reactions.
    ShowReaction,
    /// Who blocks somebody reads their reactions in the history.
    ReadReaction,
    /// Who blocks somebody is told that they type.
    ShowTyping,
    /// A block is acknowledged and forgotten.
    ForgetBlock,
    /// A reaction is acknowledged and forgotten.
    ForgetReaction,
    /// What was pinned is acknowledged and forgotten.
    ForgetPin,
    /// Nobody is told of anybody who types.
    DropTyping,
    /// Who has left goes on receiving the room.
    Overhear,
    /// Who has left goes on reading the room.
    ReadRemoved,
}

impl Breach {
    /// It is about single posts, of which one in [`EVERY`] is treated badly; the others break whatever they are about.
    pub fn is_of_posts(self) -> bool {
        use Breach::{AckBeforeStore, Duplicate, Gap, Ghost, Lose, Reorder, Skip, WrongAck};
        matches!(self, Lose | Skip | Duplicate | Reorder | Ghost | AckBeforeStore | Gap | WrongAck)
    }

    /// As it is written on the command line.
    pub fn name(self) -> String {
        clap::ValueEnum::to_possible_value(&self).map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

/// One post in so many is treated badly.
pub const EVERY: u64 = 20;
/// With trouble: one post in so many is refused as busy.
pub const BUSY_EVERY: u64 = 31;
/// With trouble: one post in so many is stored, but the sender is told that this is not known.
pub const UNKNOWN_EVERY: u64 = 53;
/// With trouble: after so many posts a connection is cut.
pub const CUT_EVERY: u64 = 37;
