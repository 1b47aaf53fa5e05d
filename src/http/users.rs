//! Finding people, and what who asks may see of them.

use actix_web::Responder;
use actix_web::web::{Data, Json, Path, Query};
use serde::Deserialize;
use utoipa::IntoParams;

use super::auth::Caller;
use super::error::{Problem, ProblemDocument};
use super::input::{listed, page_rows};
use super::page::{PageOf, place};
use super::parts::Parts;
use crate::domain::fault::Fault;
use crate::domain::ids::UserId;
use crate::domain::text::NamePrefix;
use crate::domain::user::FoundUpTo;
use crate::protocol::v1::profile::Person;

const LIST: &str = "users";

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

/// Finds people by the beginning of a name, or by ids. Whoever deleted their account is found by id only, without a name.
#[utoipa::path(get, path = "/api/v1/users", tag = "users", params(Find), responses(
    (status = 200, body = PageOf<Person>), (status = 400, body = ProblemDocument, description = "bad_request"),
))]
pub async fn find(parts: Data<Parts>, Caller(actor): Caller, asked: Query<Find>) -> Result<impl Responder, Problem> {
    let Find { prefix, ids, page, limit } = asked.into_inner();
    match (prefix, ids) {
        (Some(prefix), None) => {
            let rows = page_rows(&parts, limit)?;
            let prefix = NamePrefix::parse(&prefix).map_err(|fault| {
                Problem::because(fault, format!("prefix has from 1 to {} characters, all on one line.", NamePrefix::MAX_CHARS))
            })?;
            parts.rates.people_search(actor.user)?;
            let after = place::<FoundUpTo>(LIST, page.as_deref())?;
            let (people, next) = parts.accounts.find_people(actor.user, prefix, after, rows).await?;
            Ok(Json(PageOf::new(people.iter().map(Person::from).collect(), LIST, next)))
        }
        (None, Some(ids)) if page.is_none() && limit.is_none() => {
            let ids = listed(&ids, parts.settings.limits.page_max)?;
            let people = parts.accounts.people(actor.user, ids).await?;
            Ok(Json(PageOf::new(people.iter().map(Person::from).collect(), LIST, None::<()>)))
        }
        _ => Err(Problem::because(Fault::BadRequest, "Send prefix (with page and limit), or ids alone.")),
    }
}

/// One person. What they say of themselves is for those who share a room or conversation with them and whom they do not block.
#[utoipa::path(get, path = "/api/v1/users/{user}", tag = "users", params(("user" = UserId, Path)), responses(
    (status = 200, body = Person), (status = 404, body = ProblemDocument, description = "not_found"),
))]
pub async fn one(parts: Data<Parts>, Caller(actor): Caller, user: Path<UserId>) -> Result<impl Responder, Problem> {
    let person = parts.accounts.person(actor.user, user.into_inner()).await?;
    Ok(Json(Person::from(&person)))
}
