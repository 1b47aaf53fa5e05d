//! Around every request: the rate of its address, headers that every answer has, and what becomes of a panic.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::time::Instant;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderMap, HeaderName, HeaderValue, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpResponse, ResponseError, web};
use futures_util::FutureExt;
use tracing_actix_web::RequestId;

use super::address::client;
use super::body;
use super::error::Problem;
use super::parts::Parts;
use crate::domain::fault::Fault;
use crate::telemetry::metrics as names;
use crate::telemetry::request::{NO_ROUTE, Route};

/// The header by which a request is found in the log.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The methods there are.
const METHODS: [&str; 7] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];

/// Everything the API answers is data: nothing in it may run, be framed or be guessed to be something else.
const HEADERS: [(HeaderName, &str); 5] = [
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
    (REFERRER_POLICY, "no-referrer"),
    (CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    (CACHE_CONTROL, "no-store"),
];

/// The middleware, for `actix_web::middleware::from_fn`.
///
/// # Errors
/// A panic below, as an error that answers *internal*.
pub async fn guard(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let counted = Counted::begin(&request);
    let answered = answer(request, next).await;
    counted.end(match &answered {
        Ok(response) => response.status(),
        Err(error) => error.as_response_error().status_code(),
    });
    answered
}

/// A request that is being answered, for the metrics.
struct Counted {
    method: &'static str,
    route: String,
    begun: Instant,
}

impl Counted {
    fn begin(request: &ServiceRequest) -> Self {
        // Whoever asks may invent methods; labels come from closed lists.
        let method = METHODS.iter().find(|method| **method == request.method().as_str()).copied().unwrap_or("other");
        let route = request.extensions().get::<Route>().and_then(|route| route.0.clone());
        Self { method, route: route.unwrap_or_else(|| NO_ROUTE.to_owned()), begun: Instant::now() }
    }

    fn end(self, status: StatusCode) {
        let Self { method, route, begun } = self;
        metrics::histogram!(names::HTTP_SECONDS, "method" => method, "route" => route.clone()).record(begun.elapsed());
        metrics::counter!(names::HTTP_REQUESTS, "method" => method, "route" => route, "status" => status.as_u16().to_string())
            .increment(1);
    }
}

async fn answer(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let id = request.extensions().get::<RequestId>().copied();
    if let Some(refusal) = over_rate(&request) {
        let mut response = request.into_response(completed(refusal.into(), id, None).error_response()).map_into_right_body();
        dress(response.headers_mut(), id);
        return Ok(response);
    }
    let parts = request.app_data::<web::Data<Parts>>().cloned();
    if let Some(parts) = &parts {
        let body = request.take_payload();
        request.set_payload(body::within(parts.settings.server.body_timeout, body));
    }
    // The request itself cannot be kept to answer with: routing needs it alone. So a panic answers as an error.
    let Ok(answered) = AssertUnwindSafe(next.call(request)).catch_unwind().await else {
        return Err(Crash(id, completed(Fault::Internal.into(), id, parts.as_ref())).into());
    };
    let answered = answered?;
    let problem = answered.response().error().and_then(|error| error.as_error::<Problem>()).cloned();
    let mut response = match problem {
        Some(problem) => answered.into_response(completed(problem, id, parts.as_ref()).error_response()).map_into_right_body(),
        None => answered.map_into_left_body(),
    };
    dress(response.headers_mut(), id);
    Ok(response)
}

/// A problem that a handler, an extractor or this middleware has raised, with what those do not know: its request and the settings.
fn completed(problem: Problem, id: Option<RequestId>, parts: Option<&web::Data<Parts>>) -> Problem {
    problem.completed(id.map(|id| id.to_string()), parts.map(|parts| &parts.settings.database))
}

fn over_rate(request: &ServiceRequest) -> Option<crate::domain::fault::Refusal> {
    let parts = request.app_data::<web::Data<Parts>>()?;
    let address = client(request.peer_addr(), request.headers(), &parts.settings.server.trusted_proxies);
    parts.rates.request_from(address).err()
}

/// Headers that a handler has set itself stay: the page of the documentation may run its own script.
fn dress(headers: &mut HeaderMap, id: Option<RequestId>) {
    for (name, value) in HEADERS {
        if !headers.contains_key(&name) {
            headers.insert(name, HeaderValue::from_static(value));
        }
    }
    if let Some(id) = id.and_then(|id| HeaderValue::from_str(&id.to_string()).ok()) {
        headers.insert(REQUEST_ID, id);
    }
}

/// A handler panicked. The panic hook has logged it inside the request's span; the other side learns the id only.
#[derive(Debug)]
struct Crash(Option<RequestId>, Problem);

impl fmt::Display for Crash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Fault::Internal.row().code)
    }
}

impl ResponseError for Crash {
    fn status_code(&self) -> StatusCode {
        StatusCode::INTERNAL_SERVER_ERROR
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = self.1.error_response();
        dress(response.headers_mut(), self.0);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::request::RequestSpan;
    use actix_web::test::{TestRequest, call_service, init_service, read_body_json, try_call_service};
    use actix_web::{App, middleware};
    use serde_json::Value;
    use tracing_actix_web::TracingLogger;

    #[actix_web::test]
    async fn every_answer_has_the_headers_and_a_handlers_own_stay() {
        let own = || async { HttpResponse::Ok().insert_header((CACHE_CONTROL, "max-age=60")).finish() };
        let scope = web::scope("").wrap(middleware::from_fn(guard)).route("/own", web::get().to(own));
        let app = init_service(App::new().wrap(TracingLogger::<RequestSpan>::new()).service(scope)).await;
        let response = call_service(&app, TestRequest::get().uri("/own").to_request()).await;
        assert_eq!(response.headers().get(CACHE_CONTROL).unwrap(), "max-age=60");
        assert_eq!(response.headers().get(X_CONTENT_TYPE_OPTIONS).unwrap(), "nosniff");
        assert!(response.headers().contains_key(REQUEST_ID));
        let missing = call_service(&app, TestRequest::get().uri("/none").to_request()).await;
        assert!(missing.headers().contains_key(CONTENT_SECURITY_POLICY));
    }

    #[actix_web::test]
    async fn a_panic_in_a_handler_answers_internal_with_the_request_id() {
        async fn broken() -> HttpResponse {
            panic!("a broken invariant")
        }
        let scope = web::scope("").wrap(middleware::from_fn(guard)).route("/broken", web::get().to(broken));
        let app = init_service(App::new().wrap(TracingLogger::<RequestSpan>::new()).service(scope)).await;
        let error = try_call_service(&app, TestRequest::get().uri("/broken").to_request()).await.unwrap_err();
        let response = error.error_response();
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let id = response.headers().get(REQUEST_ID).unwrap().to_str().unwrap().to_owned();
        let request = TestRequest::get().to_http_request();
        let body: Value = read_body_json(ServiceResponse::new(request, response)).await;
        assert_eq!((body["code"].as_str(), body["request_id"].as_str()), (Some("internal"), Some(id.as_str())));
        assert!(!body.to_string().contains("broken"));
    }
}
