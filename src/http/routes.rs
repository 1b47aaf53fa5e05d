//! Every route on one page.
//!
//! A row is method, path, handler. The order counts where two patterns fit one path: the first row wins. Tests walk [`TABLE`]: each route is
//! in the OpenAPI document, and each route of a room has its row in the table of who may what.

use std::collections::BTreeSet;
use std::future::ready;
use std::rc::Rc;
use std::sync::Arc;

use actix_web::dev::ResourceDef;
use actix_web::{HttpRequest, HttpResponse, middleware, web};

use super::error::Problem;
use super::guard::guard;
use super::parts::Parts;
use super::{
    accounts, admin, administration, audit, changing, docs, drafts, filters, following, health, input, invitations, logins,
    members, messages, notifications, openapi, preferences, presence, reading, receipts, relations, reports, rooms, silences,
    typing, users,
};
use crate::domain::fault::Fault;
use crate::session::handshake;

macro_rules! routes {
    ($($(#[$only:meta])* $method:ident $path:literal => $handler:path;)*) => {
        /// Method and path of every route.
        pub const TABLE: &[(&str, &str)] = &[$($(#[$only])* (stringify!($method), $path)),*];

        fn add(config: &mut web::ServiceConfig) {
            $($(#[$only])* config.route($path, web::$method().to($handler));)*
        }
    };
}

routes! {
    // People.
    post   "/api/v1/accounts"                          => accounts::register;
    post   "/api/v1/logins"                            => logins::log_in;
    get    "/api/v1/logins"                            => logins::list;
    delete "/api/v1/logins"                            => logins::end_all;
    post   "/api/v1/logins/refresh"                    => logins::refresh;
    delete "/api/v1/logins/current"                    => logins::end_current;
    delete "/api/v1/logins/{login}"                    => logins::end_one;
    get    "/api/v1/me"                                => accounts::me;
    patch  "/api/v1/me"                                => accounts::change_me;
    delete "/api/v1/me"                                => accounts::delete_me;
    put    "/api/v1/me/password"                       => accounts::change_password;
    get    "/api/v1/users"                             => users::find;
    get    "/api/v1/users/{user}"                      => users::one;

    // How I stand to others.
    get    "/api/v1/me/relations"                      => relations::list;
    put    "/api/v1/me/blocks/{user}"                  => relations::block;
    delete "/api/v1/me/blocks/{user}"                  => relations::unblock;
    put    "/api/v1/me/mutes/{user}"                   => relations::mute;
    delete "/api/v1/me/mutes/{user}"                   => relations::unmute;

    // What I prefer, and have begun to write.
    get    "/api/v1/me/preferences"                    => preferences::mine;
    patch  "/api/v1/me/preferences"                    => preferences::change_mine;
    get    "/api/v1/rooms/{room}/preferences"          => preferences::of_room;
    put    "/api/v1/rooms/{room}/preferences"          => preferences::set_of_room;
    get    "/api/v1/rooms/{room}/threads/{seq}/preferences" => preferences::of_thread;
    put    "/api/v1/rooms/{room}/threads/{seq}/preferences" => preferences::set_of_thread;
    get    "/api/v1/me/notifications"                  => notifications::list;
    get    "/api/v1/me/drafts"                         => drafts::list;
    put    "/api/v1/me/drafts/{room}"                  => drafts::keep;
    delete "/api/v1/me/drafts/{room}"                  => drafts::throw_away;

    // Rooms.
    post   "/api/v1/rooms"                             => rooms::create;
    get    "/api/v1/rooms"                             => rooms::find;
    get    "/api/v1/rooms/{room}"                      => rooms::get;
    patch  "/api/v1/rooms/{room}"                      => rooms::update;
    delete "/api/v1/rooms/{room}"                      => rooms::delete;
    post   "/api/v1/groups"                            => rooms::create_group;
    get    "/api/v1/me/rooms"                          => rooms::mine;
    get    "/api/v1/me/threads"                        => following::list;
    put    "/api/v1/me/read"                           => reading::read_all;
    get    "/api/v1/rooms/{room}/receipts"             => receipts::list;
    put    "/api/v1/rooms/{room}/read"                 => reading::read;

    // Their people.
    put    "/api/v1/rooms/{room}/members/me"           => members::join;
    delete "/api/v1/rooms/{room}/members/me"           => members::leave;
    get    "/api/v1/rooms/{room}/members"              => members::list;
    patch  "/api/v1/rooms/{room}/members/{user}"       => members::set_role;
    delete "/api/v1/rooms/{room}/members/{user}"       => members::kick;
    get    "/api/v1/rooms/{room}/bans"                 => members::bans;
    put    "/api/v1/rooms/{room}/bans/{user}"          => members::ban;
    delete "/api/v1/rooms/{room}/bans/{user}"          => members::unban;
    get    "/api/v1/rooms/{room}/silences"             => silences::list;
    put    "/api/v1/rooms/{room}/silences/{user}"      => silences::silence;
    delete "/api/v1/rooms/{room}/silences/{user}"      => silences::unsilence;
    put    "/api/v1/rooms/{room}/owner"                => members::transfer;

    // Ways in.
    put    "/api/v1/rooms/{room}/invitations/{user}"   => invitations::invite;
    delete "/api/v1/rooms/{room}/invitations/{user}"   => invitations::uninvite;
    delete "/api/v1/me/invitations/{room}"             => invitations::decline;
    post   "/api/v1/rooms/{room}/links"                => invitations::create_link;
    get    "/api/v1/rooms/{room}/links"                => invitations::list_links;
    delete "/api/v1/rooms/{room}/links/{link}"         => invitations::revoke_link;
    post   "/api/v1/links/redeem"                      => invitations::redeem;

    // What is said.
    post   "/api/v1/rooms/{room}/messages"             => messages::post;
    get    "/api/v1/rooms/{room}/messages"             => messages::history;
    get    "/api/v1/rooms/{room}/messages/{seq}"       => messages::get;
    patch  "/api/v1/rooms/{room}/messages/{seq}"       => changing::edit;
    delete "/api/v1/rooms/{room}/messages/{seq}"       => changing::delete;
    get    "/api/v1/rooms/{room}/messages/{seq}/edits" => changing::edits;
    get    "/api/v1/rooms/{room}/messages/{seq}/thread" => changing::thread;
    put    "/api/v1/rooms/{room}/messages/{seq}/reactions/{emoji}" => changing::react;
    delete "/api/v1/rooms/{room}/messages/{seq}/reactions/{emoji}" => changing::unreact;
    put    "/api/v1/rooms/{room}/messages/{seq}/pin"   => changing::pin;
    delete "/api/v1/rooms/{room}/messages/{seq}/pin"   => changing::unpin;
    get    "/api/v1/rooms/{room}/pins"                 => changing::pins;
    get    "/api/v1/rooms/{room}/notices"              => messages::notices;
    get    "/api/v1/rooms/{room}/changes"              => messages::changes;
    post   "/api/v1/rooms/{room}/typing"               => typing::typing;
    post   "/api/v1/direct/{user}/messages"            => messages::post_direct;

    // What should not be said.
    post   "/api/v1/reports"                           => reports::report;
    get    "/api/v1/reports"                           => reports::list;
    get    "/api/v1/reports/{report}"                  => reports::get;
    patch  "/api/v1/reports/{report}"                  => reports::handle;
    get    "/api/v1/rooms/{room}/filters"              => filters::of_room;
    post   "/api/v1/rooms/{room}/filters"              => filters::add;
    delete "/api/v1/rooms/{room}/filters/{filter}"     => filters::remove;
    get    "/api/v1/rooms/{room}/audit"                => audit::of_room;

    // Who is online.
    get    "/api/v1/presence"                          => presence::get;

    // For operators.
    get    "/api/v1/admin/users"                       => administration::users;
    get    "/api/v1/admin/users/{user}"                => administration::user;
    patch  "/api/v1/admin/users/{user}"                => administration::change_user;
    delete "/api/v1/admin/users/{user}/profile"        => administration::clear_profile;
    post   "/api/v1/admin/registrations"               => administration::invite;
    get    "/api/v1/admin/registrations"               => administration::invitations;
    delete "/api/v1/admin/registrations/{registration}" => administration::revoke;
    get    "/api/v1/admin/audit"                       => audit::page;
    get    "/api/v1/admin/audit/export"                => audit::export;
    get    "/api/v1/admin/filters"                     => filters::everywhere;
    post   "/api/v1/admin/filters"                     => filters::add_everywhere;
    delete "/api/v1/admin/filters/{filter}"            => filters::remove_everywhere;
    get    "/api/v1/admin/actors"                      => admin::actors;
    #[cfg(feature = "faults")]
    post   "/api/v1/admin/faults"                      => admin::arm_faults;
    get    "/health/live"                              => health::live;
    get    "/health/ready"                             => health::ready;
    get    "/metrics"                                  => health::metrics;

    // For developers, and for a browser at the bare address.
    get    "/"                                         => docs::front;
    head   "/"                                         => docs::front;
    get    "/api/v1/openapi.json"                      => openapi::document;
    get    "/docs"                                     => docs::redirect;
    head   "/docs"                                     => docs::redirect;
    get    "/docs/{file:.*}"                           => docs::file;
    head   "/docs/{file:.*}"                           => docs::file;
}

/// Is it a page for people, which the OpenAPI document says nothing of?
#[must_use]
pub fn is_for_browsers(path: &str) -> bool {
    path == "/" || path.starts_with("/docs")
}

/// Puts every route into an application.
pub fn configure(parts: &Arc<Parts>) -> impl FnOnce(&mut web::ServiceConfig) + use<> {
    let parts = web::Data::from(Arc::clone(parts));
    move |config| {
        let body_max = parts.settings.server.request_body_max.as_usize();
        let all = web::scope("")
            .wrap(middleware::from_fn(guard))
            .app_data(parts)
            .configure(|config| input::configure(config, body_max))
            .configure(add);
        let known: Rc<[_]> = TABLE.iter().map(|(method, path)| (*method, ResourceDef::new(*path))).collect();
        config.service(all.default_service(web::to(move |request: HttpRequest| ready(no_route(&known, request.path())))));
    }
}

/// A request that no route takes: for the path there are other methods (RFC 9110 §15.5.6), or there is no such path.
fn no_route(known: &[(&'static str, ResourceDef)], path: &str) -> Result<HttpResponse, Problem> {
    // Requests that do ask for the upgrade never come to the router.
    if path == handshake::PATH {
        return Err(Problem::because(
            Fault::BadRequest,
            "A WebSocket opens here: ask with Connection: Upgrade and Upgrade: websocket.",
        ));
    }
    let others = known.iter().filter(|(_, pattern)| pattern.is_match(path));
    let others: BTreeSet<_> = others.map(|(method, _)| method.to_uppercase()).collect();
    if others.is_empty() {
        return Err(Problem::because(Fault::NotFound, "There is no such path."));
    }
    Err(Problem::method_not_allowed(others.into_iter().collect::<Vec<_>>().join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::openapi::specification;

    #[test]
    fn every_route_is_in_the_document_and_the_other_way_round() {
        let served = TABLE.iter().filter(|(_, path)| !is_for_browsers(path));
        let served: BTreeSet<_> = served.map(|(method, path)| ((*method).to_owned(), (*path).to_owned())).collect();
        let document = serde_json::to_value(specification()).unwrap();
        let mut described = BTreeSet::new();
        for (path, methods) in document["paths"].as_object().unwrap() {
            for method in methods.as_object().unwrap().keys() {
                described.insert((method.clone(), path.clone()));
            }
        }
        assert_eq!(served, described);
    }

    #[test]
    fn no_route_is_listed_twice() {
        assert_eq!(TABLE.iter().collect::<BTreeSet<_>>().len(), TABLE.len());
    }
}
