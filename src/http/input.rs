//! Strict input: unknown fields, wrong types, too much of anything are refused with a problem document.

use actix_web::dev::Payload;
use actix_web::error::{JsonPayloadError, PayloadError};
use actix_web::http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use actix_web::{FromRequest, HttpRequest, web};
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::body;
use super::error::Problem;
use super::parts::Parts;
use crate::domain::fault::Fault;

/// Makes the extractors of actix-web answer problem documents, and bounds bodies.
pub fn configure(config: &mut web::ServiceConfig, body_max: usize) {
    config
        .app_data(web::PayloadConfig::new(body_max))
        .app_data(web::JsonConfig::default().limit(body_max).error_handler(json))
        .app_data(web::QueryConfig::default().error_handler(|error, _| bad(error.to_string())))
        .app_data(web::PathConfig::default().error_handler(|error, _| bad(error.to_string())));
}

fn bad(message: String) -> actix_web::Error {
    Problem::because(Fault::BadRequest, message).into()
}

fn json(error: JsonPayloadError, _: &HttpRequest) -> actix_web::Error {
    match error {
        JsonPayloadError::OverflowKnownLength { .. }
        | JsonPayloadError::Overflow { .. }
        | JsonPayloadError::Payload(PayloadError::Overflow) => Problem::from(Fault::TooLarge).into(),
        JsonPayloadError::Payload(error) if body::is_late(&error) => Problem::from(Fault::TooSlow).into(),
        JsonPayloadError::ContentType => bad("Send the body as Content-Type: application/json.".to_owned()),
        other => bad(other.to_string()),
    }
}

/// A JSON body that may be left out; one that is there is as strictly read as any.
#[derive(Debug)]
pub struct Maybe<T>(pub T);

impl<T: DeserializeOwned + Default + 'static> FromRequest for Maybe<T> {
    type Error = actix_web::Error;
    type Future = LocalBoxFuture<'static, Result<Self, actix_web::Error>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        // A message has a body if one of the two announces it (RFC 9112 §6.3).
        let headers = request.headers();
        let none = !headers.contains_key(TRANSFER_ENCODING) && headers.get(CONTENT_LENGTH).is_none_or(|length| length == "0");
        if none {
            return std::future::ready(Ok(Self(T::default()))).boxed_local();
        }
        web::Json::from_request(request, payload).map(|body| body.map(|body: web::Json<T>| Self(body.into_inner()))).boxed_local()
    }
}

/// A query that has nothing in it: for requests whose query once had something that must not stand in an address (I12).
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// How many rows a page may have: what was asked for, or the default.
///
/// # Errors
/// None, or more than the limit.
pub fn page_rows(parts: &Parts, asked: Option<usize>) -> Result<usize, Problem> {
    let limits = &parts.settings.limits;
    let rows = asked.unwrap_or(limits.page_default);
    if (1..=limits.page_max).contains(&rows) {
        Ok(rows)
    } else {
        Err(Problem::because(Fault::BadRequest, format!("limit is from 1 to {}.", limits.page_max)))
    }
}

/// A list of values in one query parameter, separated by commas.
///
/// # Errors
/// A value that does not parse, or more than `at_most`.
pub fn listed<T: std::str::FromStr>(text: &str, at_most: usize) -> Result<Vec<T>, Problem> {
    let values = text.split(',').filter(|value| !value.is_empty()).take(at_most.saturating_add(1));
    let values: Result<Vec<T>, _> = values.map(str::parse).collect();
    match values {
        Ok(values) if values.len() <= at_most => Ok(values),
        Ok(_) => Err(Problem::because(Fault::BadRequest, format!("At most {at_most} values at once."))),
        Err(_) => Err(Problem::because(Fault::BadRequest, "A list of ids, separated by commas.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_bounded_and_strict() {
        assert_eq!(listed::<u8>("1,2,3", 3).unwrap(), [1, 2, 3]);
        assert!(listed::<u8>("", 3).unwrap().is_empty());
        for bad in ["1,2,3,4", "1,x", "1, 2"] {
            assert_eq!(listed::<u8>(bad, 3).unwrap_err().fault(), Fault::BadRequest, "{bad}");
        }
    }
}
