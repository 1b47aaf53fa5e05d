//! Protocol version 1, subprotocol `hubbub.v1`: JSON text frames.
//!
//! Every frame is one object. A command names itself and carries a `ref`: `{"ref":7,"post":{…}}`; it gets exactly one reply with that
//! `ref`: `{"ref":7,"ok":{…}}` or `{"ref":7,"error":{…}}`. Everything else the server sends is a push: `{"changes":{…}}`.

pub mod act;
pub mod command;
pub mod item;
pub mod moderation;
pub mod moderation_acts;
pub mod own;
pub mod own_act;
pub mod profile;
pub mod push;
pub mod reply;
pub mod room_act;

/// The WebSocket subprotocol (RFC 6455 §1.9) of this version.
pub const SUBPROTOCOL: &str = "hubbub.v1";
