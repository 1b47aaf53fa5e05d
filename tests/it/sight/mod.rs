//! Who sees what once somebody blocks, mutes, silences, kicks or bans somebody: the table of docs/BLOCKING.md, cell by cell. The document says
//! what is expected; each cell is played on people and rooms of its own, and looked at three times: by who stayed connected, by who was away and
//! resumes, and over REST.

mod attempt;
mod cell;
mod deeds;
mod paths;
mod table;
mod unseen;

use deeds::Deed;
use paths::Path;
use table::{table, wrong};

/// One test per row.
macro_rules! rows {
    ($($name:ident: $path:ident, $text:literal;)*) => {
        $(#[tokio::test]
        async fn $name() {
            let wrong = wrong(Path::$path, $text, Deed::ALL).await;
            assert!(wrong.is_empty(), "{}:\n{}", $text, wrong.join("\n"));
        })*

        const ROWS: &[&str] = &[$($text),*];
    };
}

rows! {
    a_message: Says, "Bob writes in the room";
    a_message_of_before: HasSaid, "what Bob wrote there before";
    a_reply_of_before: HasReplied, "what Bob wrote in Ann's thread before";
    a_direct_message_of_before: HasWhispered, "what Bob wrote in their direct room before";
    a_notification_of_before: HasNotified, "that Ann was notified of what Bob wrote before";
    a_forwarded_text_of_before: HasBeenForwarded, "what Cid forwarded before of what Bob wrote";
    an_edit: Edits, "Bob edits what he wrote before";
    a_deletion: Deletes, "Bob deletes what he wrote before";
    a_reaction: Reacts, "Bob reacts to a message of Ann's";
    a_reply: Replies, "Bob replies in Ann's thread";
    the_newest_of_a_thread: Grows, "that Ann's thread has grown by it";
    a_mention: Mentions, "Bob mentions Ann, and it counts";
    a_notification: Notifies, "Ann is notified of a mention in her thread";
    a_direct_notification: NotifiesDirect, "Ann is notified of a direct message";
    an_unread_message: Counts, "Bob's message counts as unread";
    a_pin: IsPinned, "Ann pins what Bob wrote before";
    a_forwarded_text: IsForwarded, "Cid forwards what Bob wrote before";
    a_direct_message: Whispers, "Bob writes in their direct room";
    a_first_direct_message: FirstDirect, "Bob writes to Ann for the first time";
    a_direct_answer: Answers, "Ann writes in their direct room";
    a_group: Groups, "Bob puts Ann into a group";
    an_invitation: Invites, "Bob invites Ann into a room of his";
    an_invitation_back: Invited, "Ann invites Bob into a room of hers";
    typing: Types, "Bob is typing in the room";
    a_receipt: Reads, "Bob has read the room";
    presence: Comes, "Bob comes online";
    presence_of_oneself: IsSeen, "Ann comes online, as Bob sees it";
    a_profile: TellsOfHimself, "what Bob says of himself in his profile";
    a_profile_of_oneself: IsLookedAt, "what Ann says of herself, as Bob sees it";
    what_the_other_sees: Receives, "Ann writes in the room, as Bob sees it";
}

#[test]
fn every_cell_of_the_table_is_played() {
    let table = table();
    let rows: std::collections::BTreeSet<_> = table.keys().copied().collect();
    assert_eq!(rows, ROWS.iter().copied().collect());
    let columns: std::collections::BTreeSet<_> = Deed::ALL.iter().map(|deed| deed.text()).collect();
    for (row, cells) in table {
        assert_eq!(cells.keys().copied().collect::<std::collections::BTreeSet<_>>(), columns, "{row}");
    }
}
