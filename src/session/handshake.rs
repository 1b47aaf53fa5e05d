//! The opening handshake (RFC 6455 §4.2), as far as it needs no socket.
//!
//! Purpose: from a request's head to the bytes of the answer, 101 or a problem document (RFC 9457). Neighbours: `upgrade.rs` writes them.
//! Every upgrade request of the listener comes here, as actix-http hands them over before the router sees them.
//! Invariant: a page of another origin opens no socket with a person's rights (§10.2). Must not know: tokens, sockets.

use crate::config::Server;
use crate::domain::fault::{Fault, Refusal};
use crate::protocol::error::ErrorBody;
use crate::protocol::v1::SUBPROTOCOL;
use actix_http::header::{self, HeaderName};
use actix_http::ws::{HandshakeError, hash_key, verify_handshake};
use actix_http::{RequestHead, Version};
use serde::Serialize;

/// Where the socket is.
pub const PATH: &str = "/api/v1/ws";

/// A problem document.
#[derive(Serialize)]
struct Problem {
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'static str,
    status: u16,
    detail: String,
    #[serde(flatten)]
    error: ErrorBody,
}

/// A handshake that is not granted.
#[derive(Debug, PartialEq, Eq)]
pub struct Refused {
    /// The HTTP status.
    pub status: u16,
    error: Box<ErrorBody>,
    /// Fields of the head, each with its line end.
    more_fields: &'static str,
}

/// Checks a request. Answers with the bytes of a 101.
///
/// # Errors
/// It is none, or not a good one.
pub fn answer(head: &RequestHead, server: &Server) -> Result<String, Refused> {
    let refusal = |status, error, more_fields| Refused { status, error: Box::new(error), more_fields };
    let refuse = |status, reason: &str| Err(refusal(status, ErrorBody::because(Fault::BadRequest, reason), ""));
    if head.uri.path() != PATH {
        return Err(refusal(404, Refusal::from(Fault::NotFound).into(), ""));
    }
    if head.version < Version::HTTP_11 {
        return refuse(400, "A WebSocket opens with HTTP/1.1.");
    }
    match verify_handshake(head) {
        // It looks for the word anywhere in the field.
        Ok(()) if !words(head, &header::UPGRADE).any(|word| word.eq_ignore_ascii_case("websocket")) => {
            return refuse(400, "The WebSocket handshake is incomplete: the word in Upgrade is websocket.");
        }
        Ok(()) => {}
        Err(HandshakeError::GetMethodRequired) => {
            let error = ErrorBody::because(Fault::MethodNotAllowed, "A WebSocket opens with GET.");
            return Err(refusal(405, error, "Allow: GET\r\n"));
        }
        Err(HandshakeError::NoVersionHeader | HandshakeError::UnsupportedVersion) => {
            let error = ErrorBody::because(Fault::BadRequest, "Only version 13 of the WebSocket protocol is spoken.");
            return Err(refusal(426, error, "Sec-WebSocket-Version: 13\r\n"));
        }
        Err(error) => return refuse(400, &format!("The WebSocket handshake is incomplete: {error}.")),
    }
    // §11.3.1: once. With two, whoever stands in between may have looked at the other one.
    let mut keys = head.headers().get_all(header::SEC_WEBSOCKET_KEY);
    let (Some(key), None) = (keys.next().filter(|key| is_nonce(key.as_bytes())), keys.next()) else {
        return refuse(400, "Sec-WebSocket-Key is not 16 bytes in base64, once.");
    };
    if !words(head, &header::SEC_WEBSOCKET_PROTOCOL).any(|word| word == SUBPROTOCOL) {
        return refuse(400, &format!("Offer the subprotocol {SUBPROTOCOL} in Sec-WebSocket-Protocol."));
    }
    if !origin_is_allowed(head, server) {
        let error = ErrorBody::because(Fault::NotAllowed, "Pages of this origin may not connect: see server.allowed_origins.");
        return Err(refusal(403, error, ""));
    }
    let accept = hash_key(key.as_bytes());
    let accept = std::str::from_utf8(&accept).unwrap_or_default();
    Ok(format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: {SUBPROTOCOL}\r\n\r\n"
    ))
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self { status: refusal.fault.row().status, error: Box::new(refusal.into()), more_fields: "" }
    }
}

impl Refused {
    /// The answer. `request_id` names the request in the log, too.
    #[must_use]
    pub fn bytes(self, request_id: &str) -> String {
        let Self { status, error, more_fields } = self;
        let title =
            actix_http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("Refused");
        let retry = error.retry_after_ms.map(|wait| format!("Retry-After: {}\r\n", wait.div_ceil(1000))).unwrap_or_default();
        let error = ErrorBody { request_id: Some(request_id.to_owned()), ..*error };
        let problem = Problem { kind: "about:blank", title, status, detail: error.message.clone(), error };
        // Strings and numbers are JSON.
        let body = serde_json::to_string(&problem).unwrap_or_default();
        let length = body.len();
        format!(
            "HTTP/1.1 {status} {title}\r\nContent-Type: application/problem+json\r\nContent-Length: {length}\r\n\
             {more_fields}{retry}x-request-id: {request_id}\r\nConnection: close\r\n\r\n{body}"
        )
    }
}

/// §4.1: a nonce of sixteen bytes, in base64.
fn is_nonce(key: &[u8]) -> bool {
    use base64::Engine;
    base64::prelude::BASE64_STANDARD.decode(key).is_ok_and(|nonce| nonce.len() == 16)
}

/// The comma-separated words of a header that may come several times.
fn words<'a>(head: &'a RequestHead, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let values = head.headers().get_all(name).filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
}

/// Programs send no origin; pages do, and only those of this server or of a listed origin may connect.
fn origin_is_allowed(head: &RequestHead, server: &Server) -> bool {
    let Some(origin) = head.headers().get(header::ORIGIN) else {
        return true;
    };
    let Ok(origin) = origin.to_str() else {
        return false;
    };
    let host = head.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let own = origin.split_once("://").is_some_and(|(scheme, rest)| {
        matches!(scheme, "http" | "https") && host.is_some_and(|host| rest.eq_ignore_ascii_case(host))
    });
    let listed = server.allowed_origins.iter().map(String::as_str).chain([server.public_url.as_str()]);
    own || listed.map(|allowed| allowed.trim_end_matches('/')).any(|allowed| allowed.eq_ignore_ascii_case(origin))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use actix_http::Method;

    const ORIGIN: &str = "origin";

    fn check(change: impl FnOnce(&mut RequestHead)) -> Result<String, String> {
        let mut head = RequestHead::default();
        head.uri = PATH.parse().unwrap();
        head.set_connection_type(actix_http::ConnectionType::Upgrade);
        for (name, value) in [
            ("host", "chat.example.org"),
            ("connection", "upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("sec-websocket-protocol", "other, hubbub.v1"),
        ] {
            set(&mut head, name, value);
        }
        change(&mut head);
        let mut server = Config::default().server;
        server.allowed_origins = vec!["https://app.example.org".into()];
        server.public_url = "https://public.example.org/".into();
        answer(&head, &server).map_err(|refused| refused.bytes("r1"))
    }

    fn set(head: &mut RequestHead, name: &'static str, value: &str) {
        head.headers_mut().insert(HeaderName::from_static(name), value.parse().unwrap());
    }

    #[test]
    fn section_1_3_the_key_is_answered_as_in_the_example() {
        let answer = check(|_| ()).unwrap();
        assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
        assert!(answer.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), "{answer}");
        assert!(answer.contains("Sec-WebSocket-Protocol: hubbub.v1\r\n") && answer.ends_with("\r\n\r\n"), "{answer}");
    }

    #[test]
    fn section_4_2_what_is_missing_or_wrong_is_refused_with_its_status() {
        type Change = fn(&mut RequestHead);
        let cases: [(u16, Change); 7] = [
            (404, |head| head.uri = "/elsewhere".parse().unwrap()),
            (405, |head| head.method = Method::POST),
            (400, |head| set(head, "upgrade", "h2c")),
            (426, |head| set(head, "sec-websocket-version", "8")),
            (400, |head| set(head, "sec-websocket-key", "short")),
            (400, |head| set(head, "sec-websocket-protocol", "hubbub.v9")),
            (403, |head| set(head, ORIGIN, "https://evil.example.org")),
        ];
        for (status, change) in cases {
            let answer = check(change).unwrap_err();
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{status}: {answer}");
            let (_, body) = answer.split_once("\r\n\r\n").unwrap();
            let problem: serde_json::Value = serde_json::from_str(body).unwrap();
            assert_eq!(problem["status"], status);
            assert!(answer.contains("\r\nx-request-id: r1\r\n") && problem["request_id"] == "r1", "{answer}");
            assert!(problem["code"].is_string());
        }
    }

    #[test]
    fn section_10_2_pages_of_this_server_and_of_listed_origins_may_connect() {
        for origin in
            ["https://chat.example.org", "http://chat.example.org", "https://APP.example.org", "https://public.example.org"]
        {
            assert!(check(|head| set(head, ORIGIN, origin)).is_ok(), "{origin}");
        }
        for origin in
            ["null", "https://chat.example.org.evil.org", "https://evil.org/chat.example.org", "file://chat.example.org"]
        {
            assert!(check(|head| set(head, ORIGIN, origin)).is_err(), "{origin}");
        }
    }
}
