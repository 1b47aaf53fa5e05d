//! Faults as problem documents (RFC 9457), with the same fields as an error reply on the socket.

use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;
use utoipa::ToSchema;

use crate::config::Database;
use crate::domain::fault::{Fault, Refusal};
use crate::protocol::error::ErrorBody;
use crate::store::StoreError;
use crate::supervision::reply::Dropped;

/// Media type of a problem document.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// What went wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    refusal: Refusal,
    message: Option<String>,
    request_id: Option<String>,
    /// The methods there are, where it is about the method.
    allow: Option<Box<str>>,
}

/// How it is written.
#[derive(Serialize, ToSchema)]
pub struct ProblemDocument {
    /// Names the sort of problem: `urn:hubbub:fault:` and the code.
    #[serde(rename = "type")]
    kind: String,
    /// The HTTP status.
    status: u16,
    #[serde(flatten)]
    body: ErrorBody,
}

impl Problem {
    /// A fault with a sentence of its own, which may repeat what was sent but nothing else.
    #[must_use]
    pub fn because(fault: Fault, message: impl Into<String>) -> Self {
        Self { message: Some(message.into()), ..fault.into() }
    }

    /// A path that is there, asked with a method that is not; `allow` names those that are.
    #[must_use]
    pub fn method_not_allowed(allow: String) -> Self {
        Self { allow: Some(allow.into()), ..Fault::MethodNotAllowed.into() }
    }

    /// With what is known only where the answer leaves: which request it was, and when to come back after a fault that may pass.
    #[must_use]
    pub fn completed(self, request_id: Option<String>, waits: Option<&Database>) -> Self {
        if let Some(incident) = self.refusal.incident {
            // Inside the request's span, so that this line joins the two ids.
            tracing::error!(%incident, "a fault of the server was answered");
        }
        let refusal = waits.map_or(self.refusal, |waits| self.refusal.or_after(|fault| waits.come_back_after(fault)));
        Self { refusal, request_id, ..self }
    }

    /// The row of the table.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        self.refusal.fault
    }

    fn document(&self) -> ProblemDocument {
        let body = match &self.message {
            Some(message) => ErrorBody::because(self.refusal, message.clone()),
            None => self.refusal.into(),
        };
        let row = self.fault().row();
        let body = ErrorBody { request_id: self.request_id.clone(), ..body };
        ProblemDocument { kind: format!("urn:hubbub:fault:{}", row.code), status: row.status, body }
    }
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        Refusal::from(fault).into()
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, message: None, request_id: None, allow: None }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let fault = error.fault();
        if fault == Fault::Internal {
            // The request's span carries the id that the other side has, too.
            tracing::error!(%error, "a store read failed");
        }
        fault.into()
    }
}

/// Whoever was asked ended before it answered; whether it had begun is not known.
impl From<Dropped> for Problem {
    fn from(_: Dropped) -> Self {
        Fault::OutcomeUnknown.into()
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.fault().row().code)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.fault().row().status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        response.insert_header((CONTENT_TYPE, PROBLEM_JSON));
        if self.status_code() == StatusCode::UNAUTHORIZED {
            response.insert_header((WWW_AUTHENTICATE, "Bearer"));
        }
        if let Some(wait) = self.refusal.retry_after {
            // Whole seconds, upwards: the field knows no others (RFC 9110 §10.2.3).
            response.insert_header((RETRY_AFTER, wait.as_millis().div_ceil(1000).to_string()));
        }
        if self.fault() == Fault::TooSlow {
            // The rest of the body may come for ever: nothing is read after it (RFC 9110 §15.5.9).
            response.force_close();
        }
        if let Some(allow) = &self.allow {
            response.insert_header((ALLOW, &**allow));
        }
        response.json(self.document())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use actix_web::body::MessageBody;
    use std::time::Duration;

    fn json(problem: &Problem) -> serde_json::Value {
        let body = problem.error_response().into_body().try_into_bytes().unwrap();
        serde_json::from_slice(&body).unwrap()
    }

    #[test]
    fn every_fault_has_the_status_and_code_of_the_table() {
        for fault in Fault::ALL {
            let (problem, row) = (Problem::from(*fault), fault.row());
            let response = problem.error_response();
            assert_eq!(response.status().as_u16(), row.status);
            assert_eq!(response.headers().get(CONTENT_TYPE).unwrap(), PROBLEM_JSON);
            let json = json(&problem);
            assert_eq!(json["code"], row.code);
            assert_eq!(json["type"], format!("urn:hubbub:fault:{}", row.code));
            assert_eq!((json["status"].as_u64(), json["retry"].as_bool()), (Some(row.status.into()), Some(row.retry)));
        }
    }

    #[test]
    fn busy_says_when_to_come_back_in_both_ways() {
        let problem = Problem::from(Refusal::busy(Duration::from_millis(1_250)));
        assert_eq!(problem.error_response().headers().get(RETRY_AFTER).unwrap(), "2");
        assert_eq!(json(&problem)["retry_after_ms"], 1_250);
    }

    #[test]
    fn a_completed_problem_names_its_request_and_says_when_to_come_back() {
        let waits = Database { busy_retry_after: Duration::from_millis(700), ..Config::default().database };
        let problem = Problem::from(Fault::Busy).completed(Some("r1".into()), Some(&waits));
        assert_eq!(problem.error_response().headers().get(RETRY_AFTER).unwrap(), "1");
        assert_eq!((json(&problem)["request_id"].as_str(), &json(&problem)["retry_after_ms"]), (Some("r1"), &700.into()));
        assert!(json(&Problem::from(Fault::Unavailable).completed(None, Some(&waits)))["retry_after_ms"].is_number());
        let problem = Problem::from(Fault::NotFound).completed(None, Some(&waits));
        assert!(json(&problem).get("retry_after_ms").is_none() && json(&problem).get("request_id").is_none());
    }

    #[test]
    fn a_store_error_shows_nothing_of_itself() {
        let problem = Problem::from(StoreError::Internal("secret row".into()));
        assert!(!json(&problem).to_string().contains("secret"));
    }
}
