//! The span around each REST request, for `TracingLogger<RequestSpan>`.
//!
//! It names method, route pattern, status and request id. It does not name the path, the query or any header: paths hold invite
//! codes, queries hold what people search for (I12). Routes are patterns, so their number is bounded.

use actix_web::{
    Error, HttpMessage,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
};
use tracing::{Span, field::Empty};
use tracing_actix_web::{RequestId, RootSpanBuilder};

/// What a request that no route takes is counted and logged as.
pub const NO_ROUTE: &str = "none";

/// The pattern of a request's route, found once and kept in the request's extensions for whoever counts it.
#[derive(Clone, Debug)]
pub struct Route(pub Option<String>);

/// Builds the span and logs one line per answered request, as `hubbub::access`.
#[derive(Debug)]
pub struct RequestSpan;

impl RootSpanBuilder for RequestSpan {
    fn on_request_start(request: &ServiceRequest) -> Span {
        let id = request.extensions().get::<RequestId>().map(ToString::to_string);
        let route = request.match_pattern();
        request.extensions_mut().insert(Route(route.clone()));
        tracing::info_span!(
            target: "hubbub::request",
            "request",
            request_id = id.as_deref(),
            method = %request.method(),
            route = route.as_deref().unwrap_or(NO_ROUTE),
            status = Empty,
        )
    }

    fn on_request_end<B: MessageBody>(span: Span, outcome: &Result<ServiceResponse<B>, Error>) {
        let status = match outcome {
            Ok(response) => response.status(),
            Err(error) => error.as_response_error().status_code(),
        };
        span.record("status", status.as_u16());
        if status.is_server_error() {
            tracing::warn!(target: "hubbub::access", parent: &span, "answered");
        } else {
            tracing::info!(target: "hubbub::access", parent: &span, "answered");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Arc, Mutex},
    };

    use actix_web::{App, HttpResponse, test, web};
    use tracing_actix_web::TracingLogger;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[actix_web::test]
    async fn a_request_is_logged_with_its_id_and_route_and_without_path_query_or_headers() {
        let lines = Lines::default();
        let writer = lines.clone();
        let builder = tracing_subscriber::fmt().json().with_max_level(tracing::Level::TRACE);
        let _guard = tracing::subscriber::set_default(builder.with_writer(move || writer.clone()).finish());
        let app = App::new()
            .wrap(TracingLogger::<RequestSpan>::new())
            .route("/invites/{code}", web::get().to(HttpResponse::Ok))
            .route("/broken", web::get().to(HttpResponse::InternalServerError));
        let app = test::init_service(app).await;
        let request = test::TestRequest::get().uri("/invites/hunter2?q=hunter3").insert_header(("authorization", "hunter4"));
        assert!(test::call_service(&app, request.to_request()).await.status().is_success());
        test::call_service(&app, test::TestRequest::get().uri("/broken").to_request()).await;
        let logged = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let access: Vec<&str> = logged.lines().filter(|line| line.contains("hubbub::access")).collect();
        assert_eq!(access.len(), 2, "{logged}");
        assert!(
            access[0].contains("/invites/{code}") && access[0].contains("request_id") && access[0].contains("200"),
            "{logged}"
        );
        assert!(access[1].contains("WARN") && access[1].contains("500"), "{logged}");
        assert!(!access.concat().contains("hunter"), "{logged}");
    }
}
