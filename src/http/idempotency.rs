//! `Idempotency-Key`: a request that makes something is repeated without making it twice (I3).
//!
//! What is kept under a key is the id of what is to be made; making the same id again finds it made. So a repeat is right also when the
//! first request died half-way: between the keeping and the making, or between the making and the answer. Where one transaction can do
//! both, it keeps the id together with the making: then what was taken back meanwhile is not made again either.

use std::fmt;

use actix_web::HttpRequest;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::error::Problem;
use super::parts::Parts;
use crate::auth::secret::Secret;
use crate::config::Secrets;
use crate::domain::fault::Fault;
use crate::domain::ids::{LinkId, RegistrationId, UserId};
use crate::persistence::handle::Key;
use crate::store::operations::{Once, OperationKey, Outcome};
use crate::store::{Db, Operation, Reply};

const HEADER: &str = "Idempotency-Key";
/// A longer key is no UUID or the like.
const MAX_BYTES: usize = 255;

/// The id of what the request makes: a new one, or that of the first request under the same key.
///
/// # Errors
/// A key that is too long, or used for another request; those of writing.
pub async fn new_id(parts: &Parts, request: &HttpRequest, user: UserId, asked: &impl fmt::Debug) -> Result<Uuid, Problem> {
    let key = key_of(request, user, asked)?;
    if key.is_none() {
        return Ok(Uuid::now_v7());
    }
    let operation = Once { key, now: parts.clock.now(), operation: KeepId(Uuid::now_v7()), answer: Uuid::to_string };
    match parts.persistence.run(Key::User(user), operation).await?? {
        Outcome::Done(id) => Ok(id),
        Outcome::Repeat(id) => id.parse().map_err(|_| Fault::Internal.into()),
    }
}

/// The key of a request, if it has one.
///
/// # Errors
/// A key that is too long.
pub fn key_of(request: &HttpRequest, user: UserId, asked: &impl fmt::Debug) -> Result<Option<OperationKey>, Problem> {
    let Some(value) = request.headers().get(HEADER) else { return Ok(None) };
    if value.is_empty() || value.len() > MAX_BYTES {
        return Err(Problem::because(Fault::BadRequest, format!("{HEADER} has from 1 to {MAX_BYTES} characters.")));
    }
    let request_hash = Sha256::digest(format!("{} {} {asked:?}", request.method(), request.path())).into();
    Ok(Some(OperationKey { user, key_hash: Sha256::digest(value.as_bytes()).into(), request_hash }))
}

/// Keeps an id under the key it is wrapped in, and does nothing else.
#[derive(Clone)]
struct KeepId(Uuid);

impl Operation for KeepId {
    type Output = Uuid;
    const NAME: &'static str = "keep_id";

    fn run<'a>(&'a self, _: &'a mut Db) -> Reply<'a, Uuid> {
        Box::pin(async { Ok(self.0) })
    }
}

/// Makes the secret of a link from the link's id, and the code of an invitation to register from the invitation's, so that a repeated
/// request answers the same one although it is kept nowhere: also after the keys that sign tokens were replaced.
#[derive(Clone)]
pub struct LinkSecrets {
    links: [u8; 32],
    registrations: [u8; 32],
}

impl LinkSecrets {
    /// From the server's own secret.
    #[must_use]
    pub fn new(secrets: &Secrets) -> Self {
        let key = secrets.link_key();
        Self { links: keyed(key, b"secrets of room links"), registrations: keyed(key, b"codes of invitations to register") }
    }

    /// The secret of a link.
    #[must_use]
    pub fn of(&self, link: LinkId) -> Secret {
        Secret::from_bytes(keyed(&self.links, link.as_bytes()))
    }

    /// The code of an invitation to register.
    #[must_use]
    pub fn code_of(&self, registration: RegistrationId) -> Secret {
        Secret::from_bytes(keyed(&self.registrations, registration.as_bytes()))
    }
}

impl fmt::Debug for LinkSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LinkSecrets")
    }
}

/// Hashed twice with the key, as HMAC does: one hash alone could be extended (RFC 2104).
fn keyed(key: &[u8], text: &[u8]) -> [u8; 32] {
    let inner = Sha256::new().chain_update(b"inner").chain_update(key).chain_update(text).finalize();
    Sha256::new().chain_update(b"outer").chain_update(key).chain_update(inner).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_links_secret_is_its_own_and_this_servers() {
        let (ours, others) = (LinkSecrets::new(&Secrets::generate()), LinkSecrets::new(&Secrets::generate()));
        let (link, other) = (LinkId::generate(), LinkId::generate());
        assert_eq!(ours.of(link).expose(), ours.of(link).expose());
        assert_ne!(ours.of(link).expose(), ours.of(other).expose());
        assert_ne!(ours.of(link).expose(), others.of(link).expose());
        let registration = RegistrationId(link.0);
        assert_eq!(ours.code_of(registration).expose(), ours.code_of(registration).expose());
        assert_ne!(ours.code_of(registration).expose(), ours.of(link).expose(), "what opens a room does not open the server");
    }
}
