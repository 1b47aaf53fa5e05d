//! People: accounts and their logins.

use super::ids::{LoginId, UserId};
use super::time::Timestamp;
use serde::{Deserialize, Serialize};

/// A person as others see them. After the account is deleted the row stays, anonymised, as the author of what they wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Who.
    pub id: UserId,
    /// The log-in name as typed; empty once deleted.
    pub name: String,
    /// How the person is shown; empty once deleted.
    pub display_name: String,
    /// May administer the server.
    pub admin: bool,
    /// Cannot log in; set by an admin.
    pub disabled: bool,
    /// The account was deleted by its owner.
    pub deleted: bool,
    /// Shown as offline to everybody, on request.
    pub invisible: bool,
    /// When the account was made.
    pub created_at: Timestamp,
}

/// How far a search for people has come: log-in names first, then how people are shown. Keys are of the form by which names are compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FoundUpTo {
    /// The last one was found by this log-in name.
    Name(String),
    /// The last one was found by how they are shown.
    Display(String, UserId),
}

/// Who is asking: what an access token proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Actor {
    /// The account.
    pub user: UserId,
    /// The login the token belongs to.
    pub login: LoginId,
    /// May administer the server.
    pub admin: bool,
}
