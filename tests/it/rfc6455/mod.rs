//! RFC 6455 over a real TCP connection, byte by byte: each test is named after its section. The codec alone is tested where it is
//! (`src/session/decode_tests.rs`); here the whole server answers, and `support::wire` holds every frame it sends to the same rules.

mod s04_handshake;
mod s05_control;
mod s05_frames;
mod s07_closing;
mod s08_text;
mod s10_security;
