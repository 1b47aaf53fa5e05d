//! Hashing, token signing and expiry: pure.
