//! People: accounts and their logins.

use super::ids::{LoginId, UserId};
use super::time::Timestamp;

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
