//! Plain values and the rules they carry by themselves. Level 0: everything knows the domain, the domain knows nothing.
//!
//! A value that exists is valid: names, texts and titles are checked in their constructors, so nothing above checks twice.
//! Must not know: actors, tables, JSON shapes (only the ids and small words derive serde), clocks (`now` is a parameter).

pub mod audit;
pub mod draft;
pub mod emoji;
pub mod fault;
pub mod filter;
pub mod ids;
pub mod markup;
pub mod member;
pub mod message;
pub mod notification;
pub mod order;
pub mod preference;
pub mod profile;
pub mod reading;
pub mod relation;
pub mod report;
pub mod room;
pub mod stream;
pub mod text;
pub mod time;
pub mod time_zone;
pub mod user;
