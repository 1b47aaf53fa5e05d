//! The OpenAPI 3.1 document, from the handlers.

use std::sync::OnceLock;

use actix_web::HttpResponse;
use actix_web::http::header::ContentType;
use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{ComponentsBuilder, OpenApi as Document, Ref, RefOr, ResponseBuilder};
use utoipa::{Modify, OpenApi};

use super::error::{PROBLEM_JSON, ProblemDocument};
use super::{
    accounts, admin, administration, audit, changing, drafts, filters, following, health, invitations, logins, members, messages,
    notifications, preferences, presence, reading, receipts, relations, reports, rooms, silences, typing, users,
};
use crate::domain::fault::Fault;
use crate::domain::ids::{ClientId, FilterId, LinkId, ReportId, RoomId, UserId};
use crate::domain::order::{Revision, Seq};

const BEARER: &str = "bearer";
/// Routes that ask for no token.
const OPEN: &[&str] = &["/health/live", "/health/ready", "/metrics", "/api/v1/openapi.json"];

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Hubbub",
        description = "The REST API of a Hubbub server. What is live comes over the WebSocket at /api/v1/ws; see the protocol's documentation.",
    ),
    paths(
        accounts::register, accounts::me, accounts::change_me, accounts::delete_me, accounts::change_password,
        logins::log_in, logins::refresh, logins::list, logins::end_all, logins::end_current, logins::end_one,
        users::find, users::one,
        preferences::mine, preferences::change_mine, preferences::of_room, preferences::set_of_room,
        preferences::of_thread, preferences::set_of_thread, notifications::list, drafts::list, drafts::keep, drafts::throw_away,
        following::list, reading::read, reading::read_all, receipts::list,
        relations::list, relations::block, relations::unblock, relations::mute, relations::unmute,
        administration::users, administration::user, administration::change_user, administration::clear_profile,
        administration::invite, administration::invitations, administration::revoke,
        rooms::create, rooms::find, rooms::get, rooms::update, rooms::delete, rooms::create_group, rooms::mine,
        members::join, members::leave, members::list, members::set_role, members::kick, members::bans, members::ban,
        members::unban, members::transfer,
        silences::list, silences::silence, silences::unsilence, typing::typing,
        invitations::invite, invitations::uninvite, invitations::decline, invitations::create_link, invitations::list_links,
        invitations::revoke_link, invitations::redeem,
        messages::post, messages::history, messages::get, messages::notices, messages::changes, messages::post_direct,
        changing::edit, changing::delete, changing::edits, changing::thread, changing::react, changing::unreact, changing::pin,
        changing::unpin, changing::pins,
        reports::report, reports::list, reports::get, reports::handle,
        filters::of_room, filters::add, filters::remove, filters::everywhere, filters::add_everywhere, filters::remove_everywhere,
        audit::page, audit::of_room, audit::export,
        presence::get,
        admin::actors,
        health::live, health::ready, health::metrics,
        document,
    ),
    components(schemas(ProblemDocument, ClientId, FilterId, LinkId, ReportId, RoomId, UserId, Seq, Revision)),
    modifiers(&Common),
)]
struct Api;

/// What all operations have in common: the token, and how they fail.
struct Common;

impl Modify for Common {
    fn modify(&self, document: &mut Document) {
        let scheme = SecurityScheme::Http(Http::builder().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build());
        let components = document.components.get_or_insert_with(|| ComponentsBuilder::new().build());
        components.add_security_scheme(BEARER, scheme);
        for (path, item) in &mut document.paths.paths {
            let operations = [&mut item.get, &mut item.put, &mut item.post, &mut item.delete, &mut item.patch];
            for operation in operations.into_iter().flatten() {
                describe(operation, !OPEN.contains(&path.as_str()));
            }
        }
    }
}

fn describe(operation: &mut Operation, asks_for_token: bool) {
    if asks_for_token && operation.security.is_none() {
        operation.security = Some(vec![SecurityRequirement::new::<_, _, String>(BEARER, [])]);
    }
    let problem = Ref::from_schema_name("ProblemDocument");
    let content = ContentBuilder::new().schema(Some(RefOr::<utoipa::openapi::Schema>::Ref(problem))).build();
    let response = ResponseBuilder::new().description(faults()).content(PROBLEM_JSON, content).build();
    operation.responses.responses.entry("default".to_owned()).or_insert(RefOr::T(response));
}

/// The codes a problem may have, from the fault table.
fn faults() -> String {
    let codes = Fault::ALL.iter().map(|fault| {
        let row = fault.row();
        format!("- `{}` ({}): {}", row.code, row.status, row.advice)
    });
    format!("A problem document (RFC 9457). Its `code` is one of:\n{}", codes.collect::<Vec<_>>().join("\n"))
}

/// The document.
#[must_use]
pub fn specification() -> Document {
    #[cfg(feature = "faults")]
    return with_faults();
    #[cfg(not(feature = "faults"))]
    Api::openapi()
}

/// What only builds for tests have is in their document, too.
#[cfg(feature = "faults")]
fn with_faults() -> Document {
    #[derive(OpenApi)]
    #[openapi(paths(admin::arm_faults), modifiers(&Common))]
    struct Faults;
    Api::openapi().merge_from(Faults::openapi())
}

/// This document
#[utoipa::path(get, path = "/api/v1/openapi.json", tag = "documentation", responses((status = 200, description = "OpenAPI 3.1")))]
pub async fn document() -> HttpResponse {
    /// It never changes while the process lives: written once.
    static WRITTEN: OnceLock<String> = OnceLock::new();
    let text = WRITTEN.get_or_init(|| specification().to_json().unwrap_or_default());
    HttpResponse::Ok().content_type(ContentType::json()).body(text.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn operations(document: &Value) -> impl Iterator<Item = (&String, &Value)> {
        let paths = document["paths"].as_object().unwrap().iter();
        paths.flat_map(|(path, methods)| methods.as_object().unwrap().values().map(move |operation| (path, operation)))
    }

    #[test]
    fn it_is_openapi_3_1() {
        let document = serde_json::to_value(specification()).unwrap();
        assert_eq!(document["openapi"], "3.1.0");
    }

    #[test]
    fn every_operation_says_what_it_does_and_how_it_fails() {
        let document = serde_json::to_value(specification()).unwrap();
        for (path, operation) in operations(&document) {
            assert!(operation["summary"].is_string(), "{path}");
            assert!(operation["responses"]["default"]["content"][PROBLEM_JSON].is_object(), "{path}");
        }
    }

    #[test]
    fn only_these_operations_ask_for_no_token() {
        let document = serde_json::to_value(specification()).unwrap();
        let open = |operation: &Value| operation["security"].is_null() || operation["security"] == serde_json::json!([{}]);
        let mut without: Vec<_> = operations(&document).filter(|(_, operation)| open(operation)).map(|(path, _)| path).collect();
        without.sort();
        let allowed = [
            "/api/v1/accounts",
            "/api/v1/logins",
            "/api/v1/logins/refresh",
            "/api/v1/openapi.json",
            "/health/live",
            "/health/ready",
            "/metrics",
        ];
        assert_eq!(without, allowed);
    }

    #[test]
    fn every_reference_leads_somewhere() {
        fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
            match value {
                Value::Object(object) => {
                    found.extend(object.get("$ref").and_then(Value::as_str));
                    object.values().for_each(|value| references(value, found));
                }
                Value::Array(array) => array.iter().for_each(|value| references(value, found)),
                _ => {}
            }
        }
        let document = serde_json::to_value(specification()).unwrap();
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(!found.is_empty());
        for reference in found {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
    }
}
