//! Logins: one for each device, browser or bot. Logging in, renewing, ending.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Json, Path, Query};
use actix_web::{HttpResponse, Responder};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::accounts::LoggedIn;
use super::address::ClientAddress;
use super::auth::Caller;
use super::error::{Problem, ProblemDocument};
use super::page::PageOf;
use super::parts::Parts;
use crate::accounts::admission::{Device, Tokens};
use crate::domain::ids::LoginId;
use crate::domain::text::{DeviceName, UserName};
use crate::telemetry::metrics as names;

/// The tokens of a login.
#[derive(Serialize, ToSchema)]
pub struct NewTokens {
    /// Which login.
    login: LoginId,
    /// Send it as `Authorization: Bearer`, and in `hello` on a socket.
    access_token: String,
    /// The access token's end, UTC.
    access_expires_at: DateTime<Utc>,
    /// Gets the next tokens, once.
    refresh_token: String,
    /// The login's end if it is not used, UTC.
    refresh_expires_at: DateTime<Utc>,
}

impl From<Tokens> for NewTokens {
    fn from(tokens: Tokens) -> Self {
        Self {
            login: tokens.login,
            access_token: tokens.access,
            access_expires_at: tokens.access_expires_at,
            refresh_token: tokens.refresh,
            refresh_expires_at: tokens.refresh_expires_at,
        }
    }
}

/// Where a login comes from.
///
/// # Errors
/// A name for the device that cannot be one.
pub fn device(called: Option<String>, from: ClientAddress) -> Result<Device, Problem> {
    let name = DeviceName::parse(called.as_deref().unwrap_or_default())?;
    Ok(Device { name, address: from.0.to_string() })
}

/// Name and password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Credentials {
    /// Log-in name.
    name: String,
    /// Password.
    #[schema(format = Password)]
    password: String,
    /// What to call this login in the list of logins.
    device: Option<String>,
}

/// Logs in. An unknown name and a wrong password answer the same after the same time.
#[utoipa::path(post, path = "/api/v1/logins", tag = "logins", security(()), request_body = Credentials, responses(
    (status = 201, body = LoggedIn),
    (status = 401, body = ProblemDocument, description = "credentials_wrong"),
    (status = 403, body = ProblemDocument, description = "account_disabled"),
    (status = 429, body = ProblemDocument, description = "busy"),
))]
pub async fn log_in(parts: Data<Parts>, from: ClientAddress, body: Json<Credentials>) -> Result<impl Responder, Problem> {
    let Credentials { name, password, device: called } = body.into_inner();
    let key = UserName::parse(&name).map(|name| name.key()).unwrap_or_default();
    let device = device(called, from)?;
    let outcome = match parts.rates.log_in(from.0, &key) {
        Ok(guess) => parts.rates.judged(&guess, parts.accounts.log_in(&name, &password, &device).await),
        Err(refusal) => Err(refusal),
    };
    let outcome_code = outcome.as_ref().map_or_else(|refusal| refusal.fault.row().code, |_| "ok");
    metrics::counter!(names::LOGINS, "outcome" => outcome_code).increment(1);
    let (user, tokens) = outcome?;
    let body = LoggedIn { user: (&user).into(), admin: user.admin, tokens: tokens.into() };
    Ok((Json(body), StatusCode::CREATED))
}

/// A refresh token.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Refresh {
    /// The newest one. The one before it gives the same answer again for a while; an older one ends the login.
    refresh_token: String,
}

/// Exchanges a refresh token for new tokens.
#[utoipa::path(post, path = "/api/v1/logins/refresh", tag = "logins", security(()), request_body = Refresh, responses(
    (status = 200, body = NewTokens), (status = 401, body = ProblemDocument, description = "unauthenticated"),
))]
pub async fn refresh(parts: Data<Parts>, from: ClientAddress, body: Json<Refresh>) -> Result<impl Responder, Problem> {
    // Only who holds a token of the login counts against its account: the login's id alone is no secret.
    parts.rates.refresh(parts.accounts.holder(&body.refresh_token).await?)?;
    let tokens = parts.accounts.refresh(&body.refresh_token, from.0.to_string()).await?;
    Ok(Json(NewTokens::from(tokens)))
}

/// One of my logins.
#[derive(Serialize, ToSchema)]
pub struct Login {
    /// Which.
    id: LoginId,
    /// What I call it.
    device: String,
    /// Where it was used last.
    address: String,
    /// When it began, UTC.
    created_at: DateTime<Utc>,
    /// When its tokens were last refreshed, UTC.
    used_at: DateTime<Utc>,
    /// When it ends if it is not used, UTC.
    expires_at: DateTime<Utc>,
    /// It is the one this request came with.
    current: bool,
}

/// My logins, the one used last first. They fit one page: an account has a limited number.
#[utoipa::path(get, path = "/api/v1/logins", tag = "logins", responses((status = 200, body = PageOf<Login>)))]
pub async fn list(parts: Data<Parts>, Caller(actor): Caller) -> Result<impl Responder, Problem> {
    let logins = parts.accounts.logins(actor.user).await?.into_iter().map(|login| Login {
        current: login.id == actor.login,
        id: login.id,
        device: login.device,
        address: login.address,
        created_at: login.created_at,
        used_at: login.used_at,
        expires_at: login.expires_at,
    });
    Ok(Json(PageOf::new(logins.collect::<Vec<_>>(), "logins", None::<()>)))
}

/// Which of my logins.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct EndWhich {
    /// Keep the one this request came with.
    #[serde(default)]
    others: bool,
}

/// Logs me out everywhere, or everywhere else.
#[utoipa::path(delete, path = "/api/v1/logins", tag = "logins", params(EndWhich), responses((status = 204)))]
pub async fn end_all(parts: Data<Parts>, Caller(actor): Caller, which: Query<EndWhich>) -> Result<impl Responder, Problem> {
    let keep = which.others.then_some(actor.login);
    parts.accounts.end_logins(actor.user, keep).await?;
    Ok(HttpResponse::NoContent())
}

/// Logs me out here.
#[utoipa::path(delete, path = "/api/v1/logins/current", tag = "logins", responses((status = 204)))]
pub async fn end_current(parts: Data<Parts>, Caller(actor): Caller) -> Result<impl Responder, Problem> {
    parts.accounts.end_login(actor.user, actor.login).await?;
    Ok(HttpResponse::NoContent())
}

/// Ends one of my logins.
#[utoipa::path(delete, path = "/api/v1/logins/{login}", tag = "logins", params(("login" = LoginId, Path)), responses((status = 204)))]
pub async fn end_one(parts: Data<Parts>, Caller(actor): Caller, login: Path<LoginId>) -> Result<impl Responder, Problem> {
    parts.accounts.end_login(actor.user, login.into_inner()).await?;
    Ok(HttpResponse::NoContent())
}
