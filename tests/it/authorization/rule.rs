//! What the table says of a row: what each kind of person is answered, in each kind of room.

pub const OK: &str = "ok";
pub const NOT_FOUND: &str = "not_found";
pub const NOT_MEMBER: &str = "not_member";
pub const NOT_ALLOWED: &str = "not_allowed";
pub const BANNED: &str = "banned";
pub const LAST_OWNER: &str = "last_owner";
pub const SILENCED: &str = "silenced";
pub const INVITATION_INVALID: &str = "invitation_invalid";
pub const HELLO_TWICE: &str = "hello_twice";

/// Who asks. Each has one of these relations to the room, and no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    Stranger,
    Member,
    /// A member who may not speak for a while.
    Silenced,
    /// A member whom everybody they are asked about blocks, and the owner too.
    Blocked,
    Banned,
    Moderator,
    Owner,
    /// Administers the server; to the room a stranger.
    Admin,
}

impl Who {
    pub const ALL: [Self; 8] =
        [Self::Stranger, Self::Member, Self::Silenced, Self::Blocked, Self::Banned, Self::Moderator, Self::Owner, Self::Admin];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Stranger => "stranger",
            Self::Member => "member",
            Self::Silenced => "silenced",
            Self::Blocked => "blocked",
            Self::Banned => "banned",
            Self::Moderator => "moderator",
            Self::Owner => "owner",
            Self::Admin => "admin",
        }
    }
}

/// Where they ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Public,
    Private,
    /// In the room of the asking person and another; only a member and a blocked person have one.
    Direct,
}

/// What a stranger, a member, a banned person, a moderator, the owner and an administrator are answered.
type Six = [&'static str; 6];

/// What everybody is answered.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    public: Six,
    private: Six,
    /// A member and a blocked one, in a direct room.
    direct: [&'static str; 2],
    /// Where it differs from a member's answer.
    silenced: Option<&'static str>,
    blocked: Option<&'static str>,
    /// Also somebody who is not signed in may ask.
    pub open: bool,
}

/// In a direct room, unless the row says otherwise, as a member of a private one; somebody silenced or blocked as a member.
pub const fn rule(public: Six, private: Six) -> Rule {
    Rule { public, private, direct: [private[1], private[1]], silenced: None, blocked: None, open: false }
}

impl Rule {
    pub const fn silenced(self, answer: &'static str) -> Self {
        Self { silenced: Some(answer), ..self }
    }

    pub const fn blocked(self, answer: &'static str) -> Self {
        Self { blocked: Some(answer), ..self }
    }

    pub const fn direct(self, member: &'static str, blocked: &'static str) -> Self {
        Self { direct: [member, blocked], ..self }
    }

    pub const fn open(self) -> Self {
        Self { open: true, ..self }
    }

    /// What they are answered there; `None`: they cannot be there.
    pub fn answer(&self, place: Place, who: Who) -> Option<&'static str> {
        let six = match place {
            Place::Public => self.public,
            Place::Private => self.private,
            Place::Direct => {
                return match who {
                    Who::Member => Some(self.direct[0]),
                    Who::Blocked => Some(self.direct[1]),
                    _ => None,
                };
            }
        };
        Some(match who {
            Who::Stranger => six[0],
            Who::Member => six[1],
            Who::Silenced => self.silenced.unwrap_or(six[1]),
            Who::Blocked => self.blocked.unwrap_or(six[1]),
            Who::Banned => six[2],
            Who::Moderator => six[3],
            Who::Owner => six[4],
            Who::Admin => six[5],
        })
    }
}

//                                            stranger     member       banned     moderator    owner       administrator
pub const EVERYBODY: Rule = rule([OK; 6], [OK; 6]);
pub const ANYBODY: Rule = EVERYBODY.open();
const ONLY_ADMINS: Six = [NOT_ALLOWED, NOT_ALLOWED, NOT_ALLOWED, NOT_ALLOWED, NOT_ALLOWED, OK];
pub const ADMINS: Rule = rule(ONLY_ADMINS, ONLY_ADMINS);
pub const WHO_MAY_FIND: Rule = rule([OK; 6], [NOT_FOUND, OK, NOT_FOUND, OK, OK, NOT_FOUND]);
pub const WHO_MAY_JOIN: Rule = rule([OK, OK, BANNED, OK, OK, OK], [NOT_FOUND, OK, BANNED, OK, OK, NOT_FOUND]);
/// There are none into a direct room.
pub const WITH_A_LINK: Rule =
    rule([OK, OK, BANNED, OK, OK, OK], [OK, OK, BANNED, OK, OK, OK]).direct(INVITATION_INVALID, INVITATION_INVALID);
pub const BUT_THE_LAST_OWNER: Rule =
    rule([OK, OK, OK, OK, LAST_OWNER, OK], [NOT_FOUND, OK, OK, OK, LAST_OWNER, NOT_FOUND]).direct(NOT_ALLOWED, NOT_ALLOWED);
pub const WHO_MAY_KNOW: Rule = rule([OK; 6], [NOT_FOUND, OK, OK, OK, OK, NOT_FOUND]);
pub const MEMBERS: Rule = rule([NOT_MEMBER, OK, BANNED, OK, OK, NOT_MEMBER], [NOT_FOUND, OK, BANNED, OK, OK, NOT_FOUND]);
/// A way of speaking: not for who is silenced, nor in the direct room of two of whom one blocks the other.
pub const SPEAKERS: Rule = MEMBERS.silenced(SILENCED).direct(OK, NOT_ALLOWED);
/// Nobody invites to a direct room.
pub const INVITERS: Rule = MEMBERS.blocked(NOT_ALLOWED).direct(NOT_ALLOWED, NOT_ALLOWED);
pub const MODERATORS: Rule =
    rule([NOT_MEMBER, NOT_ALLOWED, BANNED, OK, OK, OK], [NOT_FOUND, NOT_ALLOWED, BANNED, OK, OK, NOT_FOUND]);
/// Who administers the server must have joined to act on what was said.
pub const MODERATORS_INSIDE: Rule =
    rule([NOT_MEMBER, NOT_ALLOWED, BANNED, OK, OK, NOT_MEMBER], [NOT_FOUND, NOT_ALLOWED, BANNED, OK, OK, NOT_FOUND]);
/// In a direct room the asking person is the author.
pub const MODERATORS_AND_THE_AUTHOR: Rule = MODERATORS_INSIDE.direct(OK, OK);
/// A way of speaking, for moderators; in direct rooms for both.
pub const PINNERS: Rule = MODERATORS_INSIDE.silenced(SILENCED).direct(OK, NOT_ALLOWED);
/// The owner has said it; in a direct room the asking person.
pub const THE_AUTHOR: Rule = rule(
    [NOT_MEMBER, NOT_ALLOWED, BANNED, NOT_ALLOWED, OK, NOT_MEMBER],
    [NOT_FOUND, NOT_ALLOWED, BANNED, NOT_ALLOWED, OK, NOT_FOUND],
)
.silenced(SILENCED)
.direct(OK, NOT_ALLOWED);
pub const BUT_THE_AUTHOR: Rule =
    rule([NOT_MEMBER, OK, BANNED, OK, NOT_ALLOWED, NOT_MEMBER], [NOT_FOUND, OK, BANNED, OK, NOT_ALLOWED, NOT_FOUND])
        .direct(NOT_ALLOWED, NOT_ALLOWED);
pub const OWNERS: Rule =
    rule([NOT_MEMBER, NOT_ALLOWED, BANNED, NOT_ALLOWED, OK, OK], [NOT_FOUND, NOT_ALLOWED, BANNED, NOT_ALLOWED, OK, NOT_FOUND]);
/// Administrators judge every report, moderators those of their room, nobody one about themselves: what is reported is the owner's.
const OF_THE_ROOM: Six = [NOT_FOUND, NOT_FOUND, NOT_FOUND, OK, NOT_FOUND, OK];
pub const JUDGES: Rule = rule(OF_THE_ROOM, OF_THE_ROOM);
/// The connection has said it already.
pub const TWICE: Rule = rule([HELLO_TWICE; 6], [HELLO_TWICE; 6]);
/// Administrators may read all of the audit log.
pub const MODERATORS_AND_ADMINS: Rule =
    rule([NOT_MEMBER, NOT_ALLOWED, BANNED, OK, OK, OK], [NOT_FOUND, NOT_ALLOWED, BANNED, OK, OK, OK]);
/// Nobody writes to, or makes a group with, somebody who blocks them.
pub const WHO_IS_NOT_BLOCKED: Rule = EVERYBODY.blocked(NOT_ALLOWED);
