//! Passwords: which are good enough, and how one is hashed.
//!
//! bcrypt reads at most 72 bytes. So what is hashed is the SHA-256 of the password, as text: long ones are neither cut nor refused.
//! Slow functions here block for a tenth of a second: call them through [`super::hashing`] only.

use crate::config;
use crate::domain::fault::Fault;
use crate::domain::text;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest, Sha256};
use std::fmt;
use unicode_normalization::UnicodeNormalization;

/// Told apart from bare SHA-256 sums of passwords, such as other sites lose: those cannot be tried against ours.
const DOMAIN: &[u8] = b"hubbub password 1\0";

/// Passwords everybody tries first, lower case. Not long, for the length rule keeps most such lists out: these have eight characters or more.
const COMMON: &[&str] = &include!("common_passwords.in");

/// A password as typed, prepared so that the same keys on another keyboard give the same bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password")
    }
}

impl Password {
    /// A password somebody logs in with: whatever it is, it will be right or wrong.
    #[must_use]
    pub fn typed(text: &str) -> Self {
        // The OpaqueString profile of RFC 8265 §4.2.2: every space is one kind of space, then NFC.
        Self(text.chars().map(|c| if c.is_whitespace() { ' ' } else { c }).nfc().collect())
    }

    /// The bytes bcrypt hashes: 44 of them, none a NUL.
    fn digest(&self) -> String {
        let sum = Sha256::new().chain_update(DOMAIN).chain_update(self.0.as_bytes()).finalize();
        BASE64_STANDARD.encode(sum)
    }

    /// Its bcrypt hash with a new salt. Slow.
    ///
    /// # Errors
    /// [`Fault::Internal`] for a cost that bcrypt does not have; settings refuse those.
    pub fn hash(&self, cost: u32) -> Result<PasswordHash, Fault> {
        bcrypt::non_truncating_hash(self.digest(), cost).map(PasswordHash).map_err(|_| Fault::Internal)
    }

    /// Whether `hash` was made of it. Slow; the comparison takes the same time wherever the hashes differ.
    #[must_use]
    pub fn matches(&self, hash: &PasswordHash) -> bool {
        bcrypt::non_truncating_verify(self.digest(), &hash.0).unwrap_or(false)
    }
}

/// A stored password hash, in bcrypt's own notation.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash")
    }
}

impl PasswordHash {
    /// A hash the store kept.
    #[must_use]
    pub fn stored(text: String) -> Self {
        Self(text)
    }

    /// The text to store.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Its work factor, if it is a hash at all.
    #[must_use]
    pub fn cost(&self) -> Option<u32> {
        self.0.parse::<bcrypt::HashParts>().ok().map(|parts| parts.get_cost())
    }
}

/// What a new password must be like.
#[derive(Clone, Copy, Debug)]
pub struct PasswordRules {
    min_chars: usize,
    max_bytes: usize,
}

impl From<&config::Accounts> for PasswordRules {
    fn from(settings: &config::Accounts) -> Self {
        Self { min_chars: settings.password_min, max_bytes: settings.password_max.as_usize() }
    }
}

impl PasswordRules {
    /// Checks a password that somebody wants to have; `name` is their log-in name.
    ///
    /// # Errors
    /// [`Fault::PasswordWeak`]: too short, too long, among the commonest, hardly more than one character, or the name itself.
    pub fn check(self, text: &str, name: &str) -> Result<Password, Fault> {
        let password = Password::typed(text);
        let lower = password.0.to_lowercase();
        let weak = text.len() > self.max_bytes
            || password.0.chars().count() < self.min_chars
            || COMMON.contains(&lower.as_str())
            || distinct_chars(&lower) < 3
            || text::fold(&lower) == text::fold(name);
        if weak { Err(Fault::PasswordWeak) } else { Ok(password) }
    }

    /// Whether `text` may be a password at all: a longer one is wrong without looking.
    #[must_use]
    pub fn could_be(self, text: &str) -> bool {
        text.len() <= self.max_bytes
    }
}

fn distinct_chars(text: &str) -> usize {
    let mut chars: Vec<char> = text.chars().collect();
    chars.sort_unstable();
    chars.dedup();
    chars.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    const COST: u32 = 4;
    const RULES: PasswordRules = PasswordRules { min_chars: 8, max_bytes: 1024 };

    #[test]
    fn long_passwords_are_neither_cut_nor_refused() {
        let (one, other) = (format!("{}abc", "x".repeat(200)), format!("{}abd", "x".repeat(200)));
        let hash = RULES.check(&one, "ann").unwrap().hash(COST).unwrap();
        assert!(Password::typed(&one).matches(&hash));
        assert!(!Password::typed(&other).matches(&hash), "they differ after byte 72");
    }

    #[test]
    fn the_same_characters_written_differently_are_one_password() {
        let hash = Password::typed("na\u{ef}ve caf\u{e9}").hash(COST).unwrap();
        assert!(Password::typed("nai\u{308}ve\u{a0}cafe\u{301}").matches(&hash));
    }

    #[test]
    fn a_nul_does_not_end_a_password() {
        let hash = Password::typed("before\0after").hash(COST).unwrap();
        assert!(!Password::typed("before\0other").matches(&hash));
    }

    #[test]
    fn weak_passwords_are_refused() {
        for weak in ["short", "Password123", "aaaaaaaaaaaa", "abababababab", "ann.smith", "Ann.Smith", &"xyz".repeat(400)] {
            assert_eq!(RULES.check(weak, "ann.smith"), Err(Fault::PasswordWeak), "{weak}");
        }
        assert!(RULES.check("horse battery", "ann.smith").is_ok());
    }

    #[test]
    fn the_list_of_common_passwords_is_as_the_check_needs_it() {
        assert!(COMMON.iter().all(|word| word.chars().count() >= RULES.min_chars && *word == word.to_lowercase()));
        assert!(COMMON.is_sorted() && COMMON.windows(2).all(|pair| pair[0] != pair[1]));
    }

    #[test]
    fn neither_password_nor_hash_is_shown() {
        let password = Password::typed("horse battery");
        let hash = password.hash(COST).unwrap();
        assert_eq!(format!("{password:?} {hash:?}"), "Password PasswordHash");
        assert_eq!(hash.cost(), Some(COST));
    }
}
