//! Who is online, for those who have no socket.

use actix_web::{HttpResponse, web};
use serde::Deserialize;
use utoipa::IntoParams;

use super::auth::Caller;
use super::error::Problem;
use super::input::listed;
use super::parts::Parts;
use crate::protocol::v1::push;

/// Of whom.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct Of {
    /// Ids, separated by commas. Those you share no room with are left out.
    users: String,
}

/// Look who is online
#[utoipa::path(get, path = "/api/v1/presence", tag = "presence", params(Of), responses((status = 200, body = push::Presence)))]
pub async fn get(parts: web::Data<Parts>, caller: Caller, query: web::Query<Of>) -> Result<HttpResponse, Problem> {
    let users = listed(&query.users, parts.settings.limits.watches_per_session)?;
    let users = parts.presence.snapshot(caller.0.user, users).await?;
    Ok(HttpResponse::Ok().json(push::Presence { users }))
}
