//! May somebody see a report and say what becomes of it?

use super::read::may_moderate;
use crate::domain::fault::Fault;
use crate::domain::ids::UserId;
use crate::domain::member::Member;
use crate::domain::room::Room;
use crate::domain::user::Actor;

/// Decides on a report about `subject`: administrators judge all, moderators those of messages in their room, nobody what is about
/// themselves, so that a reporter is never shown to whom they reported. `room` is that of the message, with the asking person's row in it.
///
/// # Errors
/// [`Fault::NotFound`]: who may not judge a report does not learn that there is one.
pub fn may_judge(room: Option<(&Room, Option<&Member>)>, subject: UserId, actor: &Actor) -> Result<(), Fault> {
    let moderates = || room.is_some_and(|(room, member)| may_moderate(room, member, false).is_ok());
    if subject != actor.user && (actor.admin || moderates()) { Ok(()) } else { Err(Fault::NotFound) }
}
