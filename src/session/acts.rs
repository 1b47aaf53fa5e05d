//! What a person does over a socket, save posting: from an act to the part that does it, and from its answer to the reply.
//!
//! REST asks the same parts in the same words; the rules are theirs. Must not know: sessions, frames.

use super::node::{Node, settled};
use crate::domain::fault::{Fault, Refusal};
use crate::domain::user::Actor;
use crate::protocol::v1::act::Act;
use crate::protocol::v1::reply::Done;

/// Does it and says what came of it.
pub(super) async fn carry_out(node: Node, actor: Actor, act: Act) -> Result<Done, Refusal> {
    match act {
        Act::Edit(_) | Act::Delete(_) | Act::React(_) | Act::Unreact(_) | Act::Pin(_) | Act::Unpin(_) => {
            let _ = (&node, actor, settled::<()>);
            Err(Fault::UnknownCommand.into())
        }
    }
}
