//! Settings: what can be set, its unit and default, and how the layers are put over each other.
//!
//! `default.toml` is compiled in and is the only place where what can be set is a number (docs/ARCHITECTURE.md says what cannot be);
//! the structs here mirror it, one file per section. A setting is looked up in the defaults, then the settings file, then the
//! environment, then the flags.
//!
//! *Invariants.* A [`Config`] in hand satisfies every check. Unknown keys and impossible values are refused with their
//! origin, all at once. No password or key is printed (I12).
//!
//! *Must not know*: the parts it configures. They receive their section, or values from it, from `app`.
//!
//! To add a setting: a commented line in `default.toml`, the field of the same name in the section's struct, and a
//! relation in `checks.rs` if some values make no sense.

mod accounts;
mod checks;
mod conversation;
mod data;
mod database;
mod filter_hook;
mod layers;
mod limits;
mod load;
mod log;
mod moderation;
mod notify;
mod presence;
mod print;
mod problem;
mod rates;
mod reference;
mod resume;
mod room;
pub mod secrets;
mod server;
mod session;
mod supervision;
mod units;

use serde::Deserialize;

pub use self::{
    accounts::{Accounts, Registration},
    conversation::Conversation,
    data::Data,
    database::Database,
    filter_hook::{FailRule, FilterHook, HookSecret},
    limits::Limits,
    load::{Loaded, Sources},
    log::{Format, Log},
    moderation::Moderation,
    notify::Notify,
    presence::Presence,
    problem::{Origin, Problem, Refused},
    rates::Rates,
    reference::{DEFAULTS, Setting, markdown, settings},
    resume::Resume,
    room::Room,
    secrets::Secrets,
    server::Server,
    session::Session,
    supervision::Supervision,
    units::{ByteSize, DatabaseUrl, Rate, parse_duration, redact_url},
};

/// All settings, checked. Made by [`Sources::load`]; [`Config::default`] is `default.toml` alone.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The listening side.
    pub server: Server,
    /// Where files are kept.
    pub data: Data,
    /// The store.
    pub database: Database,
    /// Registration, passwords, tokens.
    pub accounts: Accounts,
    /// How much of everything there may be.
    pub limits: Limits,
    /// How often things may be done.
    pub rates: Rates,
    /// Live connections.
    pub session: Session,
    /// Catch-up.
    pub resume: Resume,
    /// Who is online.
    pub presence: Presence,
    /// Room actors.
    pub room: Room,
    /// Messages that change, and what belongs to them.
    pub conversation: Conversation,
    /// The audit log, reports, filters.
    pub moderation: Moderation,
    /// Notifications.
    pub notify: Notify,
    /// A program that judges posts.
    pub filter_hook: FilterHook,
    /// Restarts.
    pub supervision: Supervision,
    /// The log.
    pub log: Log,
}

impl Default for Config {
    /// The compiled-in defaults, which tests change field by field.
    ///
    /// # Panics
    /// If `default.toml` does not fit the structs: it is compiled in, and a test reads it.
    fn default() -> Self {
        reference::default_table().try_into().expect("default.toml is compiled in and tested")
    }
}
