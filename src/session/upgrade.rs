//! From an upgrade request to a session: the actix-http service that takes the socket over.
//!
//! Purpose: a session owns its `TcpStream` and costs two KiB instead of the thirteen of an HTTP dispatcher with its buffers. Neighbours:
//! `app` puts this into the listener's `HttpService`; `handshake.rs` decides; `actor.rs` takes over.
//! Invariant: every upgrade request of the listener ends here, so nothing of the router's middleware applies: what is needed is done here.

use super::actor::Session;
use super::handshake::{self, Refused};
use super::thread::{SessionThread, Shared};
use crate::domain::fault::{Fault, Refusal};
use crate::telemetry::metrics as names;
use crate::telemetry::request::NO_ROUTE;
use actix_codec::Framed;
use actix_http::{HttpMessage, Request, h1};
use actix_rt::net::TcpStream;
use bytes::Bytes;
use std::io;
use std::rc::Rc;
use tokio::io::AsyncWriteExt;
use uuid::Uuid;

/// Answers an upgrade request, and runs a session if all is well. Returns at once: the session lives on by itself.
///
/// # Errors
/// None: of a connection that breaks there is nobody to tell. The type is the one an upgrade service must have.
pub async fn upgrade(
    thread: Rc<SessionThread>,
    request: Request,
    framed: Framed<TcpStream, h1::Codec>,
) -> Result<(), actix_http::Error> {
    if let Err(error) = answer(thread, &request, framed).await {
        tracing::debug!(%error, "a connection broke in its handshake");
    }
    Ok(())
}

async fn answer(thread: Rc<SessionThread>, request: &Request, framed: Framed<TcpStream, h1::Codec>) -> io::Result<()> {
    let parts = framed.into_parts();
    let mut stream = parts.io;
    let shared = &thread.shared;
    let accepted = handshake::answer(request.head(), &shared.config.server)
        .map_err(|refused| ("handshake", refused))
        .and_then(|answer| {
            let admitted = (shared.admit)(request.peer_addr(), request.headers());
            admitted.map(|()| answer).map_err(|refusal| ("rate", refused(shared, refusal)))
        })
        .and_then(|answer| match shared.gate.enter() {
            Ok(place) => Ok((answer, place)),
            Err(refusal) if refusal.fault == Fault::Draining => Err(("draining", refused(shared, refusal))),
            Err(refusal) => Err(("limit", refused(shared, refusal))),
        });
    // Answers to requests before this one on the same connection come first.
    let mut head = parts.write_buf;
    match accepted {
        Err((reason, refused)) => {
            metrics::counter!(names::CONNECTIONS_REFUSED, "reason" => reason).increment(1);
            head.extend_from_slice(told(request, refused).as_bytes());
            stream.write_all(&head).await?;
            stream.shutdown().await
        }
        Ok((answer, place)) => {
            head.extend_from_slice(answer.as_bytes());
            // Without it small rooms stall 40 ms at a time.
            stream.set_nodelay(true)?;
            Session::start(thread, stream, Bytes::from(head), parts.read_buf.to_vec(), place);
            Ok(())
        }
    }
}

fn refused(shared: &Shared, refusal: Refusal) -> Refused {
    refusal.or_after(|fault| shared.config.database.come_back_after(fault)).into()
}

/// The bytes of a refusal, which has its line in the log as the answers of REST have (I12: without query and headers).
fn told(request: &Request, refused: Refused) -> String {
    let (request_id, status, method) = (Uuid::now_v7().to_string(), refused.status, request.method().as_str());
    let route = if request.path() == handshake::PATH { handshake::PATH } else { NO_ROUTE };
    if status >= 500 {
        tracing::warn!(target: "hubbub::access", request_id, method, route, status, "answered");
    } else {
        tracing::info!(target: "hubbub::access", request_id, method, route, status, "answered");
    }
    refused.bytes(&request_id)
}
