//! Access tokens (JWT, signed by the server for itself) and refresh tokens (opaque).
//!
//! An access token says who and until when, and is believed without asking the database: so it lives for minutes. The newest key
//! signs, all keys verify. Algorithm and type are pinned: what a token says of them is only compared.

use super::secret::{Secret, SecretHash};
use crate::config::Secrets;
use crate::domain::ids::{LoginId, UserId};
use crate::domain::time::Timestamp;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use chrono::DateTime;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;
use std::time::Duration;
use subtle::ConstantTimeEq;

const ALGORITHM: Algorithm = Algorithm::HS256;
/// The registered type of access tokens (RFC 9068 §2.1): a JWT signed with these keys for another purpose is none.
const TYPE: &str = "at+jwt";
/// Ours have about 300 bytes; a longer text is not looked at.
const MAX_BYTES: usize = 1024;

/// What an access token proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claims {
    /// The account.
    pub user: UserId,
    /// The login it belongs to.
    pub login: LoginId,
    /// From then on it proves nothing.
    pub expires_at: Timestamp,
}

/// Why an access token is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Ours, but its time is over.
    #[error("the token has expired")]
    Expired,
    /// Not ours, or not an access token.
    #[error("not a valid access token")]
    Invalid,
}

#[derive(Serialize, Deserialize)]
struct Wire {
    sub: UserId,
    login: LoginId,
    iat: i64,
    exp: i64,
}

/// Signs and verifies access tokens.
#[derive(Clone)]
pub struct TokenKeys {
    newest: String,
    signing: EncodingKey,
    verifying: Vec<(String, DecodingKey)>,
    life: Duration,
    validation: Validation,
}

impl fmt::Debug for TokenKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenKeys").field("newest", &self.newest).finish_non_exhaustive()
    }
}

impl TokenKeys {
    /// With the server's secrets; tokens live for `life`.
    #[must_use]
    pub fn new(secrets: &Secrets, life: Duration) -> Self {
        let mut validation = Validation::new(ALGORITHM);
        // Time is checked here, by the clock that is handed in.
        validation.validate_exp = false;
        validation.leeway = 0;
        validation.required_spec_claims = ["exp", "sub"].map(str::to_owned).into();
        let key = secrets.signing_key();
        Self {
            newest: key.kid.clone(),
            signing: EncodingKey::from_secret(key.expose()),
            verifying: secrets.token_keys().iter().map(|key| (key.kid.clone(), DecodingKey::from_secret(key.expose()))).collect(),
            life,
            validation,
        }
    }

    /// How long a token lives.
    #[must_use]
    pub fn life(&self) -> Duration {
        self.life
    }

    /// A new token and when it ends.
    ///
    /// # Errors
    /// [`TokenError::Invalid`] if it cannot be signed, which would be a fault of ours.
    pub fn issue(&self, user: UserId, login: LoginId, now: Timestamp) -> Result<(String, Timestamp), TokenError> {
        let issued_at = now.timestamp();
        let exp = issued_at.saturating_add(i64::try_from(self.life.as_secs()).unwrap_or(i64::MAX));
        let header = Header { typ: Some(TYPE.to_owned()), kid: Some(self.newest.clone()), ..Header::new(ALGORITHM) };
        let token = jsonwebtoken::encode(&header, &Wire { sub: user, login, iat: issued_at, exp }, &self.signing);
        let expires_at = DateTime::from_timestamp(exp, 0).ok_or(TokenError::Invalid)?;
        Ok((token.map_err(|_| TokenError::Invalid)?, expires_at))
    }

    /// What `token` proves at the time `now`.
    ///
    /// # Errors
    /// [`TokenError`].
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Claims, TokenError> {
        if token.len() > MAX_BYTES {
            return Err(TokenError::Invalid);
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| TokenError::Invalid)?;
        if header.typ.as_deref() != Some(TYPE) {
            return Err(TokenError::Invalid);
        }
        let kid = header.kid.ok_or(TokenError::Invalid)?;
        let (_, key) = self.verifying.iter().find(|(known, _)| *known == kid).ok_or(TokenError::Invalid)?;
        let wire = jsonwebtoken::decode::<Wire>(token, key, &self.validation).map_err(|_| TokenError::Invalid)?.claims;
        let expires_at = DateTime::from_timestamp(wire.exp, 0).ok_or(TokenError::Invalid)?;
        if expires_at <= now {
            return Err(TokenError::Expired);
        }
        Ok(Claims { user: wire.sub, login: wire.login, expires_at })
    }
}

const LOGIN_BYTES: usize = 16;
const FAMILY_BYTES: usize = 16;
const SECRET_BYTES: usize = 32;
const REFRESH_BYTES: usize = LOGIN_BYTES + FAMILY_BYTES + SECRET_BYTES;

/// A refresh token: the login it belongs to, a secret that all tokens of the login share, and one of its own.
///
/// The shared part tells an old token of this login, whose use ends the login, from a guess of somebody who merely knows the login's id.
#[derive(Clone, PartialEq, Eq)]
pub struct RefreshToken {
    /// Which login.
    pub login: LoginId,
    family: [u8; FAMILY_BYTES],
    /// Its own part.
    pub secret: Secret,
}

impl fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RefreshToken").field("login", &self.login).finish_non_exhaustive()
    }
}

impl RefreshToken {
    /// The first token of a login.
    #[must_use]
    pub fn first(login: LoginId) -> Self {
        Self { login, family: rand::random(), secret: Secret::generate() }
    }

    /// A token of the same login with another secret of its own.
    #[must_use]
    pub fn with_secret(&self, secret: Secret) -> Self {
        Self { secret, ..self.clone() }
    }

    /// Reads what [`RefreshToken::expose`] wrote.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > 2 * REFRESH_BYTES {
            return None;
        }
        let bytes: [u8; REFRESH_BYTES] = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
        let (login, rest) = bytes.split_at_checked(LOGIN_BYTES)?;
        let (family, secret) = rest.split_at_checked(FAMILY_BYTES)?;
        Some(Self {
            login: LoginId::from_slice(login)?,
            family: family.try_into().ok()?,
            secret: Secret::from_bytes(secret.try_into().ok()?),
        })
    }

    /// The text to hand out.
    #[must_use]
    pub fn expose(&self) -> String {
        let bytes = [self.login.as_bytes().as_slice(), &self.family, self.secret.expose_bytes()].concat();
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    }

    /// What is stored of the shared part.
    #[must_use]
    pub fn family_hash(&self) -> SecretHash {
        Sha256::digest(self.family).into()
    }

    /// Whether it is, or once was, a token of the login whose shared part has this hash.
    #[must_use]
    pub fn is_of_family(&self, hash: &SecretHash) -> bool {
        self.family_hash().ct_eq(hash).into()
    }

    /// Hides the secret that follows this token's in 32 bytes that only a holder of this token can read. They are stored, so that a
    /// repeated refresh gives the same answer although only hashes of secrets are kept. One token has one successor: the pad is used once.
    #[must_use]
    pub fn seal(&self, successor: &Secret) -> [u8; SECRET_BYTES] {
        self.mask(*successor.expose_bytes())
    }

    /// The secret that [`RefreshToken::seal`] hid.
    #[must_use]
    pub fn unseal(&self, sealed: [u8; SECRET_BYTES]) -> Secret {
        Secret::from_bytes(self.mask(sealed))
    }

    fn mask(&self, mut bytes: [u8; SECRET_BYTES]) -> [u8; SECRET_BYTES] {
        let pad = Sha256::new()
            .chain_update(b"hubbub refresh successor\0")
            .chain_update(self.secret.expose_bytes())
            .chain_update(self.family)
            .finalize();
        bytes.iter_mut().zip(pad).for_each(|(byte, pad)| *byte ^= pad);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jsonwebtoken::{decode_header, encode};

    const LIFE: Duration = Duration::from_secs(600);

    fn now() -> Timestamp {
        DateTime::from_timestamp(1_800_000_000, 0).unwrap()
    }

    fn ids() -> (UserId, LoginId) {
        (UserId::generate(), LoginId::generate())
    }

    #[test]
    fn a_token_proves_who_until_it_ends() {
        let keys = TokenKeys::new(&Secrets::generate(), LIFE);
        let (user, login) = ids();
        let (token, expires_at) = keys.issue(user, login, now()).unwrap();
        assert_eq!(expires_at, now() + LIFE);
        let just_before = expires_at - Duration::from_micros(1);
        assert_eq!(keys.verify(&token, just_before), Ok(Claims { user, login, expires_at }));
        assert_eq!(keys.verify(&token, expires_at), Err(TokenError::Expired));
    }

    #[test]
    fn after_rotation_the_new_key_signs_and_the_old_one_still_verifies() {
        let folder = tempfile::tempdir().unwrap();
        let before = TokenKeys::new(&Secrets::open(folder.path()).unwrap(), LIFE);
        let after = TokenKeys::new(&Secrets::rotate(folder.path()).unwrap(), LIFE);
        let (user, login) = ids();
        let (old, _) = before.issue(user, login, now()).unwrap();
        let (new, _) = after.issue(user, login, now()).unwrap();
        assert!(after.verify(&old, now()).is_ok() && after.verify(&new, now()).is_ok());
        assert_eq!(before.verify(&new, now()), Err(TokenError::Invalid));
        assert_ne!(decode_header(&old).unwrap().kid, decode_header(&new).unwrap().kid);
    }

    #[test]
    fn algorithm_type_key_and_signature_are_pinned() {
        let secrets = Secrets::generate();
        let keys = TokenKeys::new(&secrets, LIFE);
        let (user, login) = ids();
        let exp = now().timestamp() + 60;
        let key = secrets.signing_key();
        let signed = |algorithm, typ: Option<&str>, kid: Option<&str>, secret: &[u8]| {
            let header = Header { typ: typ.map(str::to_owned), kid: kid.map(str::to_owned), ..Header::new(algorithm) };
            let wire = Wire { sub: user, login, iat: now().timestamp(), exp };
            keys.verify(&encode(&header, &wire, &EncodingKey::from_secret(secret)).unwrap(), now())
        };
        let kid = Some(key.kid.as_str());
        assert!(signed(ALGORITHM, Some(TYPE), kid, key.expose()).is_ok());
        for refused in [
            signed(Algorithm::HS384, Some(TYPE), kid, key.expose()),
            signed(ALGORITHM, Some("JWT"), kid, key.expose()),
            signed(ALGORITHM, None, kid, key.expose()),
            signed(ALGORITHM, Some(TYPE), None, key.expose()),
            signed(ALGORITHM, Some(TYPE), Some("other"), key.expose()),
            signed(ALGORITHM, Some(TYPE), kid, &[7; 32]),
        ] {
            assert_eq!(refused, Err(TokenError::Invalid));
        }
    }

    #[test]
    fn an_unsigned_or_altered_token_is_invalid() {
        let keys = TokenKeys::new(&Secrets::generate(), LIFE);
        let (user, login) = ids();
        let (token, _) = keys.issue(user, login, now()).unwrap();
        let parts: Vec<&str> = token.split('.').collect();
        let none = BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"at+jwt"}"#);
        let other = BASE64_URL_SAFE_NO_PAD
            .encode(format!(r#"{{"sub":"{}","login":"{login}","iat":0,"exp":9999999999}}"#, UserId::generate()));
        for wrong in [
            String::new(),
            "a.b.c".to_owned(),
            format!("{none}.{}.", parts[1]),
            format!("{}.{other}.{}", parts[0], parts[2]),
            format!("{token}{}", "A".repeat(MAX_BYTES)),
        ] {
            assert_eq!(keys.verify(&wrong, now()), Err(TokenError::Invalid), "{wrong}");
        }
    }

    #[test]
    fn a_refresh_token_is_read_back_and_knows_its_family() {
        let first = RefreshToken::first(LoginId::generate());
        let second = first.with_secret(Secret::generate());
        let read = RefreshToken::parse(&second.expose()).unwrap();
        assert_eq!(read, second);
        assert!(read.is_of_family(&first.family_hash()) && !read.secret.matches(&first.secret.hash()));
        let guess = RefreshToken::first(first.login);
        assert!(!guess.is_of_family(&first.family_hash()));
        assert_eq!(RefreshToken::parse("abc"), None);
        assert_eq!(RefreshToken::parse(&"A".repeat(500)), None);
        assert!(!format!("{second:?}").contains(&second.secret.expose()));
    }

    #[test]
    fn only_the_token_before_can_read_its_successor() {
        let first = RefreshToken::first(LoginId::generate());
        let successor = Secret::generate();
        let sealed = first.seal(&successor);
        assert_eq!(first.unseal(sealed), successor);
        assert_ne!(first.with_secret(Secret::generate()).unseal(sealed), successor);
        assert_ne!(&sealed, successor.expose_bytes());
    }
}
