//! The two numbers of a room, and the one of a user stream.
//!
//! A [`Seq`] names a message for ever and is its place on screen. A [`Revision`] is the order of changes and the only delivery
//! order (I1). Mixing them up loses edits, hence two types.

use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! counter {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl $name {
            /// Before the first.
            pub const ZERO: Self = Self(0);

            /// The one that follows.
            #[must_use]
            pub const fn next(self) -> Self {
                Self(self.0 + 1)
            }

            /// The one before; the one before the first is [`Self::ZERO`].
            #[must_use]
            pub const fn previous(self) -> Self {
                self.back(1)
            }

            /// The one so many before; never below [`Self::ZERO`].
            #[must_use]
            pub const fn back(self, by: usize) -> Self {
                Self(self.0.saturating_sub(by as u64))
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
    };
}

counter!(
    /// A message's number in its room: 1, 2, 3, … without a gap. Below 2^53, so that JavaScript reads it exactly.
    Seq
);
counter!(
    /// The number of a committed change in a room or in a user stream: 1, 2, 3, … without a gap. Below 2^53.
    Revision
);
