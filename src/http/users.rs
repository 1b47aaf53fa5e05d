//! Finding people, and what everybody may see of them.

use actix_web::Responder;
use actix_web::web::{Data, Json, Path, Query};
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

use super::auth::Caller;
use super::error::{Problem, ProblemDocument};
use super::input::{listed, page_rows};
use super::page::{PageOf, place};
use super::parts::Parts;
use crate::domain::fault::Fault;
use crate::domain::ids::UserId;
use crate::protocol::v1::item::User;
use crate::store::users::search::FoundUpTo;

const LIST: &str = "users";
/// No name is longer, so a longer beginning finds nobody.
const PREFIX_MAX_CHARS: usize = 64;

/// Whom to find: `prefix` or `ids`, one of them.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Find {
    /// The beginning of a log-in name or display name; capitals do not matter, and look-alikes are found, too. A page may be short, or
    /// empty, although there is a `next`.
    prefix: Option<String>,
    /// Ids of people, separated by commas.
    ids: Option<String>,
    /// `next` of the page before.
    page: Option<String>,
    /// How many at most.
    limit: Option<usize>,
}

/// A place in the list of people found.
#[derive(Serialize, Deserialize)]
enum Place {
    Name(String),
    Display(String, UserId),
}

/// Finds people by the beginning of a name, or by ids. Whoever deleted their account is found by id only, without a name.
#[utoipa::path(get, path = "/api/v1/users", tag = "users", params(Find), responses(
    (status = 200, body = PageOf<User>), (status = 400, body = ProblemDocument, description = "bad_request"),
))]
pub async fn find(parts: Data<Parts>, Caller(actor): Caller, asked: Query<Find>) -> Result<impl Responder, Problem> {
    let Find { prefix, ids, page, limit } = asked.into_inner();
    match (prefix, ids) {
        (Some(prefix), None) => {
            let (prefix, rows) = (prefix.trim().to_owned(), page_rows(&parts, limit)?);
            if prefix.is_empty() || prefix.chars().count() > PREFIX_MAX_CHARS {
                let message = format!("prefix has from 1 to {PREFIX_MAX_CHARS} characters.");
                return Err(Problem::because(Fault::BadRequest, message));
            }
            parts.rates.people_search(actor.user)?;
            let after = place::<Place>(LIST, page.as_deref())?.map(|place| match place {
                Place::Name(key) => FoundUpTo::Name(key),
                Place::Display(key, user) => FoundUpTo::Display(key, user),
            });
            let (users, next) = parts.accounts.find_people(prefix, after, rows).await?;
            let next = next.map(|place| match place {
                FoundUpTo::Name(key) => Place::Name(key),
                FoundUpTo::Display(key, user) => Place::Display(key, user),
            });
            Ok(Json(PageOf::new(users.iter().map(User::from).collect(), LIST, next)))
        }
        (None, Some(ids)) if page.is_none() && limit.is_none() => {
            let ids = listed(&ids, parts.settings.limits.page_max)?;
            let users = parts.accounts.people(ids).await?;
            Ok(Json(PageOf::new(users.iter().map(User::from).collect(), LIST, None::<()>)))
        }
        _ => Err(Problem::because(Fault::BadRequest, "Send prefix (with page and limit), or ids alone.")),
    }
}

/// One person.
#[utoipa::path(get, path = "/api/v1/users/{user}", tag = "users", params(("user" = UserId, Path)), responses(
    (status = 200, body = User), (status = 404, body = ProblemDocument, description = "not_found"),
))]
pub async fn one(parts: Data<Parts>, _caller: Caller, user: Path<UserId>) -> Result<impl Responder, Problem> {
    let user = parts.accounts.person(user.into_inner()).await?;
    Ok(Json(User::from(&user)))
}
