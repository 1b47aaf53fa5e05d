//! Hubbub: a self-hosted chat server whose promises are proven.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::let_underscore_must_use))]
