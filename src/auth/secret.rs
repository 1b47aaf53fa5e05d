//! Secrets that are handed out once and kept only as hashes: refresh tokens, invitations, links.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use std::fmt;
use subtle::ConstantTimeEq;

const BYTES: usize = 32;

/// SHA-256 of a secret: what is stored. A slow hash would add nothing to 256 random bits.
pub type SecretHash = [u8; 32];

/// 256 random bits.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret([u8; BYTES]);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl Secret {
    /// A new one.
    #[must_use]
    pub fn generate() -> Self {
        Self(rand::random())
    }

    /// Reads what [`Secret::expose`] wrote.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
        bytes.try_into().ok().map(Self)
    }

    /// The secret with these bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; BYTES]) -> Self {
        Self(bytes)
    }

    /// The text to hand out.
    #[must_use]
    pub fn expose(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(self.0)
    }

    /// Its bytes, for those who build other secrets around it.
    #[must_use]
    pub fn expose_bytes(&self) -> &[u8; BYTES] {
        &self.0
    }

    /// What is stored of it.
    #[must_use]
    pub fn hash(&self) -> SecretHash {
        Sha256::digest(self.0).into()
    }

    /// Whether `hash` was made of it, in the same time wherever they differ.
    #[must_use]
    pub fn matches(&self, hash: &SecretHash) -> bool {
        self.hash().ct_eq(hash).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_known_again_by_its_hash_only() {
        let secret = Secret::generate();
        let again = Secret::parse(&secret.expose()).unwrap();
        assert!(again.matches(&secret.hash()) && !Secret::generate().matches(&secret.hash()));
        assert_eq!(format!("{secret:?}"), "Secret");
    }

    #[test]
    fn other_texts_are_no_secrets() {
        let text = Secret::generate().expose();
        for wrong in ["", "abc", &text[1..], &format!("{text}A"), &format!(" {text}"), &"é".repeat(21)] {
            assert_eq!(Secret::parse(wrong), None, "{wrong}");
        }
    }
}
