//! The REST API: routes, what they take and answer, status codes.
//!
//! Level 7. [`routes`] has every route on one page; each entity has a file with its handlers, which are short: take strict input, ask a
//! handle or the store, answer in the shapes of `protocol`. Reads skip the actors: a store read, decided by `policy` with the rows just
//! read. Writes go the way they go from a socket. What goes wrong becomes a problem document in [`error`], from the one fault table.
//!
//! Must not know: SQL, actors (handles only), frames.

pub mod accounts;
pub mod address;
pub mod admin;
pub mod administration;
pub mod audit;
pub mod auth;
mod body;
pub mod changing;
mod docs;
pub mod drafts;
pub mod error;
pub mod filters;
pub mod following;
pub mod guard;
pub mod health;
pub mod idempotency;
pub mod input;
pub mod invitations;
pub mod logins;
pub mod members;
pub mod messages;
pub mod notifications;
pub mod openapi;
pub mod page;
pub mod parts;
pub mod preferences;
pub mod presence;
pub mod rates;
pub mod reading;
pub mod receipts;
pub mod relations;
pub mod reports;
pub mod rooms;
pub mod routes;
pub mod schema;
pub mod silences;
pub mod typing;
pub mod users;
