//! Accounts: registering, and what a person does with their own.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Json};
use actix_web::{HttpResponse, Responder};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::address::ClientAddress;
use super::auth::Caller;
use super::error::{Problem, ProblemDocument};
use super::logins::{NewTokens, device};
use super::parts::Parts;
use crate::accounts::admission::NewAccount;
use crate::domain::fault::Refusal;
use crate::domain::ids::UserId;
use crate::domain::member::MemberState;
use crate::moderation::handle::announce;
use crate::persistence::handle::Key;
use crate::protocol::v1::item::User;
use crate::protocol::v1::profile::{ChangeProfile, Profile};
use crate::store::members;
use crate::store::rooms::Depart;

/// An account somebody wants.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Registration {
    /// The name to log in with: letters of any script, digits, `.`, `-`, `_`. Names that look alike count as one.
    name: String,
    /// At least 8 characters by default, and not a common one.
    #[schema(format = Password)]
    password: String,
    /// How to be shown; the log-in name when absent.
    display_name: Option<String>,
    /// The code of an invitation to register, where one is needed.
    invitation: Option<String>,
    /// What to call this login in the list of logins.
    device: Option<String>,
}

/// An account and the tokens of its new login.
#[derive(Serialize, ToSchema)]
pub struct LoggedIn {
    /// Who.
    pub user: User,
    /// May administer the server.
    pub admin: bool,
    /// The tokens of its new login.
    #[serde(flatten)]
    pub tokens: NewTokens,
}

/// Registers an account and logs in.
#[utoipa::path(post, path = "/api/v1/accounts", tag = "accounts", security(()), request_body = Registration, responses(
    (status = 201, body = LoggedIn),
    (status = 403, body = ProblemDocument, description = "registration_closed"),
    (status = 409, body = ProblemDocument, description = "name_taken"),
    (status = 410, body = ProblemDocument, description = "invitation_invalid"),
    (status = 422, body = ProblemDocument, description = "name_invalid, password_weak, filtered"),
))]
pub async fn register(parts: Data<Parts>, from: ClientAddress, body: Json<Registration>) -> Result<impl Responder, Problem> {
    parts.rates.register(from.0)?;
    let Registration { name, password, display_name, invitation, device: called } = body.into_inner();
    let device = device(called, from)?;
    let (verdict, suspicion) = parts.moderation.judge_names(display_name.iter().chain([&name]).map(String::as_str));
    let reason = suspicion.as_ref().map(|suspicion| suspicion.reason);
    let new = NewAccount { name, display_name, password, invitation, device, verdict, suspicion };
    let (user, tokens) = parts.accounts.register(new).await?;
    if let Some(reason) = reason {
        announce(reason);
    }
    let body = LoggedIn { user: (&user).into(), admin: user.admin, tokens: tokens.into() };
    Ok((Json(body), StatusCode::CREATED))
}

/// My account.
#[utoipa::path(get, path = "/api/v1/me", tag = "accounts", responses((status = 200, body = Profile)))]
pub async fn me(parts: Data<Parts>, Caller(actor): Caller) -> Result<impl Responder, Problem> {
    let own = parts.accounts.profile(actor.user).await?;
    Ok(Json(Profile::from(&own)))
}

/// Changes how I am shown, and what I say of myself.
#[utoipa::path(patch, path = "/api/v1/me", tag = "accounts", request_body = ChangeProfile, responses(
    (status = 200, body = Profile), (status = 400, body = ProblemDocument, description = "bad_request"),
    (status = 422, body = ProblemDocument, description = "name_invalid, text_empty, text_too_long, filtered"),
))]
pub async fn change_me(parts: Data<Parts>, Caller(actor): Caller, body: Json<ChangeProfile>) -> Result<impl Responder, Problem> {
    let own = parts.hearing().change_profile(actor.user, body.into_inner()).await?;
    Ok(Json(Profile::from(&own)))
}

/// A new password, and the old one to prove who asks.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordChange {
    /// The password as it is.
    #[schema(format = Password)]
    old: String,
    /// As it shall be.
    #[schema(format = Password)]
    new: String,
}

/// Changes my password. All my other logins end.
#[utoipa::path(put, path = "/api/v1/me/password", tag = "accounts", request_body = PasswordChange, responses(
    (status = 204), (status = 401, body = ProblemDocument, description = "credentials_wrong"),
    (status = 422, body = ProblemDocument, description = "password_weak"),
))]
pub async fn change_password(
    parts: Data<Parts>,
    from: ClientAddress,
    Caller(actor): Caller,
    body: Json<PasswordChange>,
) -> Result<impl Responder, Problem> {
    let guess = parts.rates.password(from.0, actor.user)?;
    parts.rates.judged(&guess, parts.accounts.change_password(actor, &body.old, &body.new).await)?;
    Ok(HttpResponse::NoContent())
}

/// The password, to prove who asks.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Deletion {
    /// My password.
    #[schema(format = Password)]
    password: String,
}

/// Deletes my account for good. What I wrote stays, without my name; I leave every room, and a room of mine goes to who has been there
/// longest.
#[utoipa::path(delete, path = "/api/v1/me", tag = "accounts", request_body = Deletion, responses(
    (status = 204), (status = 401, body = ProblemDocument, description = "credentials_wrong"),
))]
pub async fn delete_me(
    parts: Data<Parts>,
    from: ClientAddress,
    Caller(actor): Caller,
    body: Json<Deletion>,
) -> Result<impl Responder, Problem> {
    let guess = parts.rates.password(from.0, actor.user)?;
    parts.rates.judged(&guess, parts.accounts.delete(actor, &body.password, async |user| depart(&parts, user).await).await)?;
    parts.presence.membership_ended(actor.user);
    Ok(HttpResponse::NoContent())
}

/// Takes somebody out of every room and every invitation; those who see the rooms are told.
async fn depart(parts: &Parts, user: UserId) -> Result<(), Refusal> {
    let rows = parts.settings.limits.page_max;
    for state in [MemberState::Joined, MemberState::Invited] {
        let mut after = None;
        loop {
            let read = parts.store.read(move |db| Box::pin(members::rooms_of(db, user, state, after, rows))).await;
            let page = read.map_err(|error| crate::accounts::handle::refusal(&error))?;
            for membership in &page.items {
                let room = membership.room.id;
                after = Some(room);
                let depart = Depart { user, room, now: parts.clock.now() };
                let answer = parts.persistence.run(Key::Room(room), depart).await;
                let changed = answer.unwrap_or_else(|_dropped| Err(crate::domain::fault::Fault::Unavailable.into()))?;
                parts.accounts.announce_heads(&changed.user_heads);
                parts.rooms.committed(changed);
            }
            if !page.more {
                break;
            }
        }
    }
    Ok(())
}
