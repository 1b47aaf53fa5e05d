//! What a persistence actor accepts.

use actix::Message;

use super::batch::Entry;
use super::work::Work;
use crate::supervision::reply::ReplyTo;

/// Store this. From a handle; answered through the work itself; never dropped in silence.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Write(pub(super) Entry<Work>);

/// Say when nothing waits and nothing is in flight. From `app` when it stops; answered at that moment.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Drain(pub(super) ReplyTo<()>);
