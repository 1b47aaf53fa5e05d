//! The body of a request as it arrives: it has its time, so that nobody holds a connection and memory by sending it byte by byte (I4).

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::web::Bytes;
use futures_util::Stream;
use tokio::time::{Sleep, sleep};

/// The same body, which fails as [`is_late`] when it has not ended after `time`.
pub fn within(time: Duration, body: Payload) -> Payload {
    match body {
        // Most requests have none.
        Payload::None => Payload::None,
        body => Payload::Stream { payload: Box::pin(Timed { body, deadline: Box::pin(sleep(time)) }) },
    }
}

/// Whether reading a body failed because its time was over.
pub fn is_late(error: &PayloadError) -> bool {
    matches!(error, PayloadError::Io(error) if error.kind() == io::ErrorKind::TimedOut)
}

struct Timed {
    body: Payload,
    deadline: Pin<Box<Sleep>>,
}

impl Stream for Timed {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        // What has arrived counts, even if it is looked at late.
        if let Poll::Ready(next) = Pin::new(&mut self.body).poll_next(cx) {
            return Poll::Ready(next);
        }
        self.deadline.as_mut().poll(cx).map(|()| Some(Err(PayloadError::Io(io::ErrorKind::TimedOut.into()))))
    }
}
