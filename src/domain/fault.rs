//! The one table of what can go wrong and what the other side should make of it: code, retry?, stored?, HTTP status. Below it the one
//! table of why a socket is closed; which fault closes one, and how, is decided in `session` and listed in docs/PROTOCOL.md §8.
//!
//! `protocol` turns a fault into an error reply, `http` into a problem document (RFC 9457); both read this table and have none of their own.
//! Modules below the edge raise faults where they understand the cause; nothing about our insides travels in one.

use std::time::Duration;

use super::ids::IncidentId;

/// Whether the thing asked for may have been stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// Certainly not.
    No,
    /// Not known; repeating with the same `client_id` or idempotency key tells (I3).
    Unknown,
}

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The stable word clients act on.
    pub code: &'static str,
    /// May the same thing succeed later, unchanged?
    pub retry: bool,
    /// May it have been stored?
    pub stored: Stored,
    /// HTTP status.
    pub status: u16,
    /// A sentence for the developer at the other end: what to do.
    pub advice: &'static str,
}

macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident => $code:literal, $retry:literal, $stored:ident, $status:literal, $advice:literal;)*) => {
        /// What went wrong, as far as the asking side may know.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Fault {
            $($(#[$doc])* $name,)*
        }

        impl Fault {
            /// Every fault, in the order of the table.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// This fault's row.
            #[must_use]
            pub const fn row(self) -> Row {
                match self {
                    $(Self::$name => Row { code: $code, retry: $retry, stored: Stored::$stored, status: $status, advice: $advice },)*
                }
            }
        }
    };
}

faults! {
    /// Not what the protocol or the API describes.
    BadRequest => "bad_request", false, No, 400, "The request is malformed: check field names and types against the documentation.";
    /// A command this version does not have.
    UnknownCommand => "unknown_command", false, No, 400, "No such command in this protocol version.";
    /// A command before `hello`.
    HelloFirst => "hello_first", false, No, 400, "Send hello before any other command.";
    /// `hello` a second time.
    HelloTwice => "hello_twice", false, No, 400, "This connection has said hello already.";
    /// Larger than the limit named in the settings.
    TooLarge => "too_large", false, No, 413, "Send less at once.";
    /// A body that did not arrive in time.
    TooSlow => "too_slow", true, No, 408, "Send the whole request without a pause.";
    /// A text over the limit.
    TextTooLong => "text_too_long", false, No, 422, "Shorten the text.";
    /// A text of nothing or only white space.
    TextEmpty => "text_empty", false, No, 422, "Send a text that has something to read.";
    /// A name with forbidden characters or of a wrong length.
    NameInvalid => "name_invalid", false, No, 422, "Choose a name with allowed characters and of allowed length.";
    /// The name, or one that looks like it, is in use.
    NameTaken => "name_taken", false, No, 409, "Choose another name.";
    /// A password that is too short, too long or known to be common.
    PasswordWeak => "password_weak", false, No, 422, "Choose a longer, less common password.";
    /// No token, or not a valid one.
    Unauthenticated => "unauthenticated", false, No, 401, "Log in, or refresh the access token.";
    /// The access token's time is over.
    TokenExpired => "token_expired", false, No, 401, "Refresh the access token and try again.";
    /// Unknown user or wrong password; never says which.
    CredentialsWrong => "credentials_wrong", false, No, 401, "Check name and password.";
    /// The account was disabled by an administrator.
    AccountDisabled => "account_disabled", false, No, 403, "Ask an administrator.";
    /// Registration is closed, or needs an invitation.
    RegistrationClosed => "registration_closed", false, No, 403, "Ask an administrator for an account or an invitation.";
    /// An invitation or link that does not exist, has expired, or is used up.
    InvitationInvalid => "invitation_invalid", false, No, 410, "Ask for a new invitation.";
    /// The policy says no.
    NotAllowed => "not_allowed", false, No, 403, "You may not do this here.";
    /// The time in which it could be done is over.
    TooLate => "too_late", false, No, 403, "The time for this is over.";
    /// Not a member of the room.
    NotMember => "not_member", false, No, 403, "Join the room first.";
    /// Kept out of the room.
    Banned => "banned", false, No, 403, "You are banned from this room.";
    /// A filter, or the filter hook, refuses the text; it does not say what in it.
    Filtered => "filtered", false, No, 422, "The text has something in it that is not allowed here.";
    /// The room is archived.
    RoomArchived => "room_archived", false, No, 409, "The room is archived; ask its owner to open it.";
    /// A moderator has silenced the author.
    Silenced => "silenced", false, No, 403, "You may not post here for a while.";
    /// The author's last post in a room in slow mode is too fresh.
    SlowMode => "slow_mode", true, No, 429, "The room is in slow mode: wait retry_after_ms, then send it again.";
    /// The only owner cannot leave others behind without one.
    LastOwner => "last_owner", false, No, 409, "Make somebody else the owner first, or delete the room.";
    /// Does not exist, or the asking person may not know that it does.
    NotFound => "not_found", false, No, 404, "There is no such thing, or you may not see it.";
    /// The path is there, but not with this method.
    MethodNotAllowed => "method_not_allowed", false, No, 405, "Use one of the methods named in Allow.";
    /// The same `client_id` with another body.
    ClientIdReused => "client_id_reused", false, No, 409, "Use a new client_id for a new message.";
    /// The same idempotency key with another request.
    KeyReused => "key_reused", false, No, 409, "Use a new Idempotency-Key for a new request.";
    /// A named limit is reached: rooms per user, members per room, links per room, …
    LimitReached => "limit_reached", false, No, 409, "A limit is reached; remove something first.";
    /// The post before this one, named in `after`, was refused.
    PreviousRefused => "previous_refused", true, No, 409, "Send the refused post again first, then this one.";
    /// Too much at once; the reply says when to come back.
    Busy => "busy", true, No, 429, "Wait retry_after_ms, then try again.";
    /// A part that is needed is away.
    Unavailable => "unavailable", true, No, 503, "Nothing was stored. Wait retry_after_ms, then try again.";
    /// The answer of the database was lost.
    OutcomeUnknown => "outcome_unknown", true, Unknown, 503, "It may have been stored: try again with the same client_id or key.";
    /// The server stops; another, or the same one restarted, will answer.
    Draining => "draining", true, No, 503, "Reconnect.";
    /// A fault of ours; logged once with an id.
    Internal => "internal", true, Unknown, 500, "A fault of the server. Try again with the same client_id or key; tell the operator the request id.";
}

/// A fault and, where it is known, when to come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What.
    pub fault: Fault,
    /// Not before this has passed.
    pub retry_after: Option<Duration>,
    /// By what the log names its cause, if that was logged.
    pub incident: Option<IncidentId>,
    /// What to do, where there is more to say than the fault's own advice.
    pub advice: Option<&'static str>,
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self { fault, retry_after: None, incident: None, advice: None }
    }
}

impl Refusal {
    /// Overload, with the time to wait.
    #[must_use]
    pub fn busy(retry_after: Duration) -> Self {
        Self { retry_after: Some(retry_after), ..Fault::Busy.into() }
    }

    /// A post in slow mode that comes too early, with the time to wait.
    #[must_use]
    pub fn slow_mode(rest: Duration) -> Self {
        Self { retry_after: Some(rest), ..Fault::SlowMode.into() }
    }

    /// A fault whose cause was logged under this id.
    #[must_use]
    pub fn logged(fault: Fault, incident: Option<IncidentId>) -> Self {
        Self { incident, ..fault.into() }
    }

    /// A fault with advice of its own, such as which field is wrong and what is expected there.
    #[must_use]
    pub fn advising(fault: Fault, advice: &'static str) -> Self {
        Self { advice: Some(advice), ..fault.into() }
    }

    /// With a time to wait where trying again may help and none is known: else everybody who was refused would try again at once, and
    /// keep down what is trying to get up. `wait` knows the time for each fault. `previous_refused` needs none: it goes by the post before
    /// it.
    #[must_use]
    pub fn or_after(self, wait: impl FnOnce(Fault) -> Duration) -> Self {
        if self.fault.row().retry && self.fault != Fault::PreviousRefused && self.retry_after.is_none() {
            return Self { retry_after: Some(wait(self.fault)), ..self };
        }
        self
    }
}

/// What a client should do after its socket was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ComeBack {
    /// At once, with its cursors.
    Now,
    /// After a random part of a minute, with its cursors.
    Later,
    /// After getting a new access token.
    WithToken,
    /// Not by itself: a person or a developer must do something.
    Never,
}

macro_rules! closes {
    ($($(#[$doc:meta])* $name:ident => $code:literal, $reason:literal, $back:ident;)*) => {
        /// Why the server closes a socket.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Close {
            $($(#[$doc])* $name,)*
        }

        impl Close {
            /// Every reason, in the order of the table.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Code (RFC 6455 §7.4), reason and what the client should do.
            #[must_use]
            pub const fn row(self) -> (u16, &'static str, ComeBack) {
                match self {
                    $(Self::$name => ($code, $reason, ComeBack::$back),)*
                }
            }
        }
    };
}

closes! {
    /// The other side closed.
    Normal => 1000, "normal", Never;
    /// The server stops (I11).
    Draining => 1001, "draining", Later;
    /// Bytes that are no WebSocket.
    Protocol => 1002, "protocol", Never;
    /// A binary frame; the protocol is text.
    NotText => 1003, "not_text", Never;
    /// A text frame that is not UTF-8.
    NotUtf8 => 1007, "not_utf8", Never;
    /// A frame over the limit.
    TooLarge => 1009, "too_large", Never;
    /// The session failed; resume.
    Internal => 1011, "internal", Now;
    /// The client reads too slowly (I4); resume.
    SlowConsumer => 4000, "slow_consumer", Now;
    /// Nothing was heard for too long.
    Dead => 4001, "dead", Now;
    /// The part that feeds this socket restarted; resume.
    Restarted => 4002, "restarted", Now;
    /// Too many frames refused for their rate.
    TooFast => 4003, "too_fast", Later;
    /// The person has too many connections.
    TooMany => 4004, "too_many", Later;
    /// The access token's time is over.
    TokenExpired => 4100, "token_expired", WithToken;
    /// The first frame was not a valid `hello`.
    Unauthenticated => 4101, "unauthenticated", WithToken;
    /// No `hello` in time.
    HelloTimeout => 4102, "hello_timeout", WithToken;
    /// This login was ended: logged out, password changed, account deleted or disabled.
    LoggedOut => 4200, "logged_out", Never;
    /// Frames that are no commands, again and again.
    BadCommands => 4201, "bad_commands", Never;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn codes_are_unique_words() {
        let codes: HashSet<_> = Fault::ALL.iter().map(|fault| fault.row().code).collect();
        assert_eq!(codes.len(), Fault::ALL.len());
        assert!(codes.iter().all(|code| code.chars().all(|c| c.is_ascii_lowercase() || c == '_')));
        let closes: HashSet<_> = Close::ALL.iter().map(|close| close.row().0).collect();
        assert_eq!(closes.len(), Close::ALL.len());
    }

    #[test]
    fn whatever_may_succeed_later_says_when_to_come_back() {
        let (known, other) = (Duration::from_secs(1), Duration::from_secs(2));
        for fault in Fault::ALL {
            let told = Refusal::from(*fault).or_after(|_| known).retry_after;
            assert_eq!(told.is_some(), fault.row().retry && *fault != Fault::PreviousRefused, "{fault:?}");
        }
        assert_eq!(Refusal::busy(known).or_after(|_| other).retry_after, Some(known));
    }

    #[test]
    fn an_unknown_outcome_may_be_retried() {
        for fault in Fault::ALL {
            let row = fault.row();
            assert!(row.stored == Stored::No || row.retry, "{}", row.code);
            assert!((400..600).contains(&row.status), "{}", row.code);
        }
    }

    #[test]
    fn the_range_of_a_close_code_tells_whether_to_come_back() {
        for close in Close::ALL {
            let (code, reason, back) = close.row();
            let fits = match code {
                4000..=4099 => matches!(back, ComeBack::Now | ComeBack::Later),
                4100..=4199 => back == ComeBack::WithToken,
                4200..=4299 => back == ComeBack::Never,
                _ => (1000..=1011).contains(&code),
            };
            assert!(fits && reason.len() <= 123, "{code} {reason}");
        }
    }
}
