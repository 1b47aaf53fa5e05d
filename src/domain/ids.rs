//! Identifiers. All are UUIDs made by the application, version 7 so that they sort by time and keep indexes in order
//! (RFC 9562 §5.7); a sequence number and a revision are not identifiers but places, see [`super::order`].

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use uuid::Uuid;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// A new identifier, ordered after those made earlier on this node.
            #[must_use]
            pub fn generate() -> Self {
                Self(Uuid::now_v7())
            }

            /// The sixteen bytes that are stored.
            #[must_use]
            pub fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }

            /// The identifier stored as `bytes`; `None` unless there are exactly sixteen.
            #[must_use]
            pub fn from_slice(bytes: &[u8]) -> Option<Self> {
                Uuid::from_slice(bytes).ok().map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    };
}

id!(
    /// A person's account.
    UserId
);
id!(
    /// A room: public, private, direct or group.
    RoomId
);
id!(
    /// One login of a person: a device, a browser, a bot. Its refresh tokens form one family.
    LoginId
);
id!(
    /// One live connection.
    SessionId
);
id!(
    /// A link that invites into a room, as named in lists; its secret is another value.
    LinkId
);
id!(
    /// An invitation to register, where registration is by invitation only.
    RegistrationId
);
id!(
    /// The name a sender gives a post before it has a number (I3). Unique per room and sender.
    ClientId
);
id!(
    /// Which history of the store this is; a restored backup begins a new one (I7).
    Epoch
);
id!(
    /// One fault of ours: in the log with its cause, and all the other side learns of it.
    IncidentId
);
id!(
    /// An entry of the audit log.
    AuditId
);
id!(
    /// What somebody reported to moderators.
    ReportId
);
id!(
    /// A filter of words or links.
    FilterId
);
id!(
    /// One running server process.
    NodeId
);
