//! May somebody reach another person who has not asked for it: by a first direct message, a group, an invitation?

use crate::domain::fault::Fault;
use crate::domain::preference::DirectRule;

/// What counts between two people, from rows read under the locks of both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contact {
    /// Who asks blocks the other.
    pub blocks: bool,
    /// The other blocks who asks.
    pub blocked: bool,
    /// Of whom the other takes direct messages.
    pub rule: DirectRule,
    /// The two share a room that both have joined.
    pub sharing: bool,
}

/// May who asks write the first message between the two? A block in either direction and a closed door are answered alike: nobody learns
/// which it was.
///
/// # Errors
/// [`Fault::NotAllowed`].
pub fn may_write_first(between: &Contact) -> Result<(), Fault> {
    if between.blocks || between.blocked || !is_open(between) { Err(Fault::NotAllowed) } else { Ok(()) }
}

/// May who asks put the other into a new group? Nobody is asked before, so it takes what a first message takes, save that one may bring
/// somebody one does not want to see.
///
/// # Errors
/// [`Fault::NotAllowed`].
pub fn may_group(between: &Contact) -> Result<(), Fault> {
    if between.blocked || !is_open(between) { Err(Fault::NotAllowed) } else { Ok(()) }
}

/// May who asks invite the other to a room?
///
/// # Errors
/// [`Fault::NotAllowed`].
pub const fn may_invite(between: &Contact) -> Result<(), Fault> {
    if between.blocked { Err(Fault::NotAllowed) } else { Ok(()) }
}

const fn is_open(between: &Contact) -> bool {
    match between.rule {
        DirectRule::Everyone => true,
        DirectRule::SharedRooms => between.sharing,
        DirectRule::Nobody => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_combination_of_blocks_and_doors_is_decided_as_said() {
        for (blocks, blocked, sharing) in
            [false, true].into_iter().flat_map(|a| [false, true].into_iter().flat_map(move |b| [false, true].map(|c| (a, b, c))))
        {
            for rule in [DirectRule::Everyone, DirectRule::SharedRooms, DirectRule::Nobody] {
                let between = Contact { blocks, blocked, rule, sharing };
                let open = rule == DirectRule::Everyone || (rule == DirectRule::SharedRooms && sharing);
                let allowed = |is| if is { Ok(()) } else { Err(Fault::NotAllowed) };
                assert_eq!(may_write_first(&between), allowed(!blocks && !blocked && open), "{between:?}");
                assert_eq!(may_group(&between), allowed(!blocked && open), "{between:?}");
                assert_eq!(may_invite(&between), allowed(!blocked), "{between:?}");
            }
        }
    }
}
