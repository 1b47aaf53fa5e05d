//! What administrators do with accounts, and invitations to register.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Json, Path, Query};
use actix_web::{HttpRequest, HttpResponse, Responder};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::auth::Admin;
use super::error::{Problem, ProblemDocument};
use super::idempotency;
use super::input::{Maybe, page_rows};
use super::members::Why;
use super::page::{PageOf, place};
use super::parts::Parts;
use crate::accounts::administer::Wanted;
use crate::domain::fault::Fault;
use crate::domain::ids::{RegistrationId, UserId};
use crate::domain::text::Reason;
use crate::domain::user;
use crate::protocol::v1::item::User;
use crate::store::registrations;

const USERS: &str = "admin/users";
const REGISTRATIONS: &str = "admin/registrations";

/// Part of a list.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Part {
    /// `next` of the page before.
    page: Option<String>,
    /// How many at most.
    limit: Option<usize>,
}

/// An account as administrators see it.
#[derive(Serialize, ToSchema)]
pub struct Account {
    #[serde(flatten)]
    user: User,
    /// May administer the server.
    admin: bool,
    /// Cannot log in.
    disabled: bool,
    /// When it was made, UTC.
    created_at: DateTime<Utc>,
}

impl From<&user::User> for Account {
    fn from(user: &user::User) -> Self {
        Self { user: user.into(), admin: user.admin, disabled: user.disabled, created_at: user.created_at }
    }
}

/// All accounts, in the order they were made.
#[utoipa::path(get, path = "/api/v1/admin/users", tag = "admin", params(Part), responses((status = 200, body = PageOf<Account>)))]
pub async fn users(parts: Data<Parts>, Admin(actor): Admin, part: Query<Part>) -> Result<impl Responder, Problem> {
    let (after, rows) = (place(USERS, part.page.as_deref())?, page_rows(&parts, part.limit)?);
    let (users, next) = parts.accounts.all_users(actor, after, rows).await?;
    Ok(Json(PageOf::new(users.iter().map(Account::from).collect(), USERS, next)))
}

/// One account.
#[utoipa::path(get, path = "/api/v1/admin/users/{user}", tag = "admin", params(("user" = UserId, Path)), responses(
    (status = 200, body = Account), (status = 404, body = ProblemDocument, description = "not_found"),
))]
pub async fn user(parts: Data<Parts>, Admin(actor): Admin, user: Path<UserId>) -> Result<impl Responder, Problem> {
    let user = parts.accounts.account(actor, user.into_inner()).await?;
    Ok(Json(Account::from(&user)))
}

/// New values; what is absent stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AccountChange {
    /// Keep the person out: all their logins end.
    disabled: Option<bool>,
    /// Make them an administrator, or not any more.
    admin: Option<bool>,
    /// Why, for the audit log: at most 250 characters on one line.
    reason: Option<String>,
}

/// Changes an account; not one's own.
#[utoipa::path(patch, path = "/api/v1/admin/users/{user}", tag = "admin", params(("user" = UserId, Path)),
    request_body = AccountChange, responses(
    (status = 200, body = Account), (status = 403, body = ProblemDocument, description = "not_allowed"),
))]
pub async fn change_user(
    parts: Data<Parts>,
    Admin(actor): Admin,
    user: Path<UserId>,
    body: Json<AccountChange>,
) -> Result<impl Responder, Problem> {
    let AccountChange { disabled, admin, reason } = body.into_inner();
    let reason = reason.as_deref().map(Reason::parse).transpose()?;
    let user = parts.accounts.administer(actor, user.into_inner(), (disabled, admin), reason).await?;
    Ok(Json(Account::from(&user)))
}

/// Takes away what somebody says of themselves: about, and status. Their names and time zone stay.
#[utoipa::path(delete, path = "/api/v1/admin/users/{user}/profile", tag = "admin", params(("user" = UserId, Path)),
    request_body = Option<Why>, responses(
    (status = 204), (status = 404, body = ProblemDocument, description = "not_found"),
))]
pub async fn clear_profile(
    parts: Data<Parts>,
    Admin(actor): Admin,
    user: Path<UserId>,
    Maybe(why): Maybe<Why>,
) -> Result<impl Responder, Problem> {
    parts.accounts.clear_profile(actor, user.into_inner(), why.reason()?).await?;
    Ok(HttpResponse::NoContent())
}

/// An invitation to register.
#[derive(Serialize, ToSchema)]
pub struct Invitation {
    /// Which.
    id: RegistrationId,
    /// Who made it.
    created_by: UserId,
    /// When, UTC.
    created_at: DateTime<Utc>,
    /// When it stops working, UTC.
    expires_at: DateTime<Utc>,
    /// How many accounts it is for.
    max_uses: u64,
    /// How many were made with it.
    uses: u64,
    /// Whoever registers with it becomes an administrator.
    admin: bool,
}

impl From<&registrations::Registration> for Invitation {
    fn from(of: &registrations::Registration) -> Self {
        Self {
            id: of.id,
            created_by: of.created_by,
            created_at: of.created_at,
            expires_at: of.expires_at,
            max_uses: of.max_uses,
            uses: of.uses,
            admin: of.admin,
        }
    }
}

/// An invitation and its code, which is told only now.
#[derive(Serialize, ToSchema)]
pub struct NewInvitation {
    #[serde(flatten)]
    invitation: Invitation,
    /// Goes into `invitation` when registering.
    code: String,
}

/// What invitation.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InvitationRequest {
    /// For how many accounts.
    #[serde(default = "once")]
    max_uses: u32,
    /// Whoever registers with it becomes an administrator.
    #[serde(default)]
    admin: bool,
}

const fn once() -> u32 {
    1
}

/// Makes an invitation to register.
#[utoipa::path(post, path = "/api/v1/admin/registrations", tag = "admin", request_body = InvitationRequest,
    params(("Idempotency-Key" = Option<String>, Header, description = "Repeated with the same key, the same invitation is answered.")),
    responses(
    (status = 201, body = NewInvitation),
    (status = 404, body = ProblemDocument, description = "not_found: a repeat, and the invitation was taken back"),
))]
pub async fn invite(
    parts: Data<Parts>,
    Admin(actor): Admin,
    request: HttpRequest,
    body: Json<InvitationRequest>,
) -> Result<impl Responder, Problem> {
    if body.max_uses == 0 {
        return Err(Problem::because(Fault::BadRequest, "max_uses is at least 1."));
    }
    let key = idempotency::key_of(&request, actor.user, &body)?;
    let wanted = Wanted { max_uses: body.max_uses, admin: body.admin };
    let made = parts.accounts.invite_to_register(actor, key, wanted, |id| parts.link_secrets.code_of(id)).await?;
    let code = parts.link_secrets.code_of(made.id).expose();
    Ok((Json(NewInvitation { invitation: (&made).into(), code }), StatusCode::CREATED))
}

/// The invitations to register, without their codes.
#[utoipa::path(get, path = "/api/v1/admin/registrations", tag = "admin", params(Part), responses(
    (status = 200, body = PageOf<Invitation>),
))]
pub async fn invitations(parts: Data<Parts>, Admin(actor): Admin, part: Query<Part>) -> Result<impl Responder, Problem> {
    let (after, rows) = (place(REGISTRATIONS, part.page.as_deref())?, page_rows(&parts, part.limit)?);
    let (found, more) = parts.accounts.registrations(actor, after, rows).await?;
    let next = found.last().map(|last| last.id).filter(|_| more);
    Ok(Json(PageOf::new(found.iter().map(Invitation::from).collect(), REGISTRATIONS, next)))
}

/// Takes an invitation back.
#[utoipa::path(delete, path = "/api/v1/admin/registrations/{registration}", tag = "admin",
    params(("registration" = RegistrationId, Path)), responses((status = 204)))]
pub async fn revoke(
    parts: Data<Parts>,
    Admin(actor): Admin,
    registration: Path<RegistrationId>,
) -> Result<impl Responder, Problem> {
    parts.accounts.revoke_registration(actor, registration.into_inner()).await?;
    Ok(HttpResponse::NoContent())
}
