//! Who may do and see what: one decision per question, used on every path (I10).
//!
//! Level 1: plain functions over domain values. The store asks with rows it has locked, a room asks with its memory under
//! `policy_revision`, reads ask with the row they have just read; the answer is the same. Must not know where a question comes from.

mod change;
mod contact;
mod hidden;
mod judge;
mod message;
mod post;
mod profile;
mod read;

pub use change::{Standing, decide_change};
pub use contact::{Contact, may_group, may_invite, may_write_first};
pub use hidden::{Hidden, View, seen_item, seen_message};
pub use judge::may_judge;
pub use message::{ChangeWindows, MessageStanding, decide_message, may_mention_all};
pub use post::{may_post, may_react};
pub use profile::{Acquaintance, may_see_profile};
pub use read::{Sight, may_find, may_moderate, may_read, shows_receipts};
