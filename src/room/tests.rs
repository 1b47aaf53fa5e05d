//! Rooms with the store, persistence and relays they have in production.
