//! From an upgrade request to a session: the actix-http service that takes the socket over.
//!
//! Purpose: a session owns its `TcpStream` and costs two KiB instead of the thirteen of an HTTP dispatcher with its buffers. Neighbours:
//! `app` puts this into the listener's `HttpService`; `handshake.rs` decides; `actor.rs` takes over.
//! Invariant: every upgrade request of the listener ends here, so nothing of the router's middleware applies: what is needed is done here.

use super::actor::Session;
use super::handshake;
use super::thread::SessionThread;
use crate::domain::fault::Refusal;
use actix_codec::Framed;
use actix_http::{HttpMessage, Request, h1};
use actix_rt::net::TcpStream;
use bytes::Bytes;
use std::io;
use std::rc::Rc;
use tokio::io::AsyncWriteExt;

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
    let refused = |refusal: Refusal| handshake::refused(refusal.or_after(|| shared.config.database.come_back_after()));
    let accepted = handshake::answer(request.head(), &shared.config.server)
        .and_then(|answer| (shared.admit)(request.peer_addr(), request.headers()).map(|()| answer).map_err(refused))
        .and_then(|answer| shared.gate.enter().map(|place| (answer, place)).map_err(refused));
    // Answers to requests before this one on the same connection come first.
    let mut head = parts.write_buf;
    match accepted {
        Err(refusal) => {
            head.extend_from_slice(refusal.as_bytes());
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
