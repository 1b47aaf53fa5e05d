//! The secrets of this server: the keys that sign access tokens, and the one that room links are made with.
//!
//! They live in `secrets.toml` in the data folder, are made on first start with mode 0600, and are never printed (I12).
//! There may be several keys: the last one in the file is the newest and signs, all of them verify. So a key can be
//! replaced without ending anybody's session: add one, wait until the tokens of the old one have expired, remove it. The key of links
//! stays when those are replaced: a repeated request for a link must answer the secret that works (I3).

use std::{
    fmt, fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::Deserialize;

/// The name of the file in the data folder.
pub const FILE_NAME: &str = "secrets.toml";
const KEY_BYTES: usize = 32;
const HEAD: &str = "\
# The secrets of this Hubbub server. Keep this file private (mode 0600) and in your backups.
# Keys that sign access tokens: the last one signs, all of them verify.
# `hubbub config rotate-keys` adds a new one and drops all but the newest two.
# link_key makes the secrets of room links; it stays. A link's secret is stored only as a hash.
";

/// Why there are no secrets.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    /// The file cannot be read or written.
    #[error("{0}: {1}")]
    Io(PathBuf, #[source] io::Error),
    /// Other users of this machine can read the file.
    #[error("{0} can be read by other users of this machine (mode {1:o}): run chmod 600 on it")]
    Exposed(PathBuf, u32),
    /// The file is not as Hubbub writes it.
    #[error("{0}: {1}")]
    Malformed(PathBuf, &'static str),
}

/// A key that signs tokens.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenKey {
    /// Names the key in a token's head; not secret.
    pub kid: String,
    secret: Vec<u8>,
}

impl TokenKey {
    fn generate() -> Self {
        let kid: [u8; 6] = rand::random();
        let secret: [u8; KEY_BYTES] = rand::random();
        Self { kid: BASE64_URL_SAFE_NO_PAD.encode(kid), secret: secret.to_vec() }
    }

    /// The key itself, for signing and verifying only.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.secret
    }
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenKey").field("kid", &self.kid).finish_non_exhaustive()
    }
}

/// The secrets of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secrets {
    /// At least one; the last is the newest.
    token_keys: Vec<TokenKey>,
    link_key: LinkKey,
}

/// What the secrets of room links are made from.
#[derive(Clone, PartialEq, Eq)]
struct LinkKey(Vec<u8>);

impl fmt::Debug for LinkKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LinkKey")
    }
}

impl Secrets {
    /// New secrets that are written nowhere, for tests and tools.
    #[must_use]
    pub fn generate() -> Self {
        let link_key: [u8; KEY_BYTES] = rand::random();
        Self { token_keys: vec![TokenKey::generate()], link_key: LinkKey(link_key.to_vec()) }
    }

    /// The secrets in `folder`, made and written if there are none. Two processes that start at once get the same.
    ///
    /// # Errors
    /// See [`SecretsError`].
    pub fn open(folder: &Path) -> Result<Self, SecretsError> {
        let path = folder.join(FILE_NAME);
        if !path.exists() {
            Self::generate().write(&path, |fresh, path| {
                // A link, unlike a rename, does not replace the file of somebody who was faster.
                match fs::hard_link(fresh, path) {
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => fs::remove_file(fresh),
                    Err(error) => Err(error),
                    Ok(()) => fs::remove_file(fresh),
                }
            })?;
        }
        Self::read(&path)
    }

    /// Adds a new key to the secrets in `folder` and keeps the newest before it, whose tokens may still be in use. Takes
    /// effect when the server starts again.
    ///
    /// # Errors
    /// See [`SecretsError`].
    pub fn rotate(folder: &Path) -> Result<Self, SecretsError> {
        let mut secrets = Self::open(folder)?;
        secrets.token_keys.drain(..secrets.token_keys.len().saturating_sub(1));
        secrets.token_keys.push(TokenKey::generate());
        secrets.write(&folder.join(FILE_NAME), |fresh, path| fs::rename(fresh, path))?;
        Ok(secrets)
    }

    /// The key that signs.
    ///
    /// # Panics
    /// Never: a value of this type holds at least one key.
    #[must_use]
    pub fn signing_key(&self) -> &TokenKey {
        self.token_keys.last().expect("secrets hold at least one key")
    }

    /// The keys that verify.
    #[must_use]
    pub fn token_keys(&self) -> &[TokenKey] {
        &self.token_keys
    }

    /// The key that the secrets of room links are made with.
    #[must_use]
    pub fn link_key(&self) -> &[u8] {
        &self.link_key.0
    }

    fn read(path: &Path) -> Result<Self, SecretsError> {
        let io = |error| SecretsError::Io(path.to_owned(), error);
        // The reason of a parse error quotes the line, which is the secret: only a fixed text is told.
        let malformed = |reason| SecretsError::Malformed(path.to_owned(), reason);
        refuse_exposed(path)?;
        let text = fs::read_to_string(path).map_err(io)?;
        let stored: Stored = toml::from_str(&text).map_err(|_| malformed("is not as Hubbub writes it"))?;
        let mut token_keys = Vec::with_capacity(stored.token_keys.len());
        let decode = |text: &str| match BASE64_URL_SAFE_NO_PAD.decode(text) {
            Err(_) => Err(malformed("holds a key that is not base64url")),
            Ok(key) if key.len() < KEY_BYTES => Err(malformed("holds a key that is too short to be safe")),
            Ok(key) => Ok(key),
        };
        for key in stored.token_keys {
            token_keys.push(TokenKey { kid: key.kid, secret: decode(&key.secret)? });
        }
        let mut kids: Vec<&str> = token_keys.iter().map(|key| key.kid.as_str()).collect();
        kids.sort_unstable();
        kids.dedup();
        if kids.len() < token_keys.len() {
            return Err(malformed("holds two keys of the same kid"));
        }
        let newest = token_keys.last().ok_or_else(|| malformed("holds no key"))?;
        // Files of before had no key for links: those were made with the newest of the others.
        let link_key = stored.link_key.map_or_else(|| Ok(newest.secret.clone()), |key| decode(&key))?;
        Ok(Self { token_keys, link_key: LinkKey(link_key) })
    }

    /// Writes a private file beside `path`, on disk before `place` puts it there.
    fn write(&self, path: &Path, place: impl FnOnce(&Path, &Path) -> io::Result<()>) -> Result<(), SecretsError> {
        let io = |error| SecretsError::Io(path.to_owned(), error);
        let suffix = TokenKey::generate().kid;
        let fresh = path.with_extension(format!("toml.{suffix}"));
        let mut text = format!("{HEAD}\nlink_key = \"{}\"\n", BASE64_URL_SAFE_NO_PAD.encode(&self.link_key.0));
        for key in &self.token_keys {
            let secret = BASE64_URL_SAFE_NO_PAD.encode(&key.secret);
            text.push_str(&format!("\n[[token_keys]]\nkid = \"{}\"\nsecret = \"{secret}\"\n", key.kid));
        }
        let mut file = private_file(&fresh).map_err(io)?;
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(io)?;
        place(&fresh, path).map_err(io)?;
        let folder = path.parent().unwrap_or(Path::new("."));
        fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(io)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    #[serde(default)]
    link_key: Option<String>,
    token_keys: Vec<StoredKey>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredKey {
    kid: String,
    secret: String,
}

fn private_file(path: &Path) -> io::Result<fs::File> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn refuse_exposed(path: &Path) -> Result<(), SecretsError> {
    #[cfg(unix)]
    {
        let status = fs::metadata(path).map_err(|error| SecretsError::Io(path.to_owned(), error))?;
        let mode = std::os::unix::fs::PermissionsExt::mode(&status.permissions()) & 0o777;
        if mode & 0o077 != 0 {
            return Err(SecretsError::Exposed(path.to_owned(), mode));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_start_writes_private_secrets_that_later_starts_read() {
        let folder = tempfile::tempdir().unwrap();
        let made = Secrets::open(folder.path()).unwrap();
        assert_eq!(Secrets::open(folder.path()).unwrap(), made);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing but the file stays");
        assert!(refuse_exposed(&folder.path().join(FILE_NAME)).is_ok());
    }

    #[test]
    fn of_processes_that_start_at_once_all_get_the_same_secrets() {
        let folder = tempfile::tempdir().unwrap();
        let opened: Vec<Secrets> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| Secrets::open(folder.path()).unwrap())).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(opened.windows(2).all(|pair| pair[0] == pair[1]));
    }

    #[test]
    fn rotation_signs_with_a_new_key_and_still_verifies_with_the_one_before() {
        let folder = tempfile::tempdir().unwrap();
        let first = Secrets::open(folder.path()).unwrap();
        let second = Secrets::rotate(folder.path()).unwrap();
        assert_eq!(second.token_keys()[0], *first.signing_key());
        assert_ne!(second.signing_key(), first.signing_key());
        let third = Secrets::rotate(folder.path()).unwrap();
        assert_eq!(third.token_keys().len(), 2);
        assert_eq!(third.token_keys()[0], *second.signing_key());
        assert_eq!(Secrets::open(folder.path()).unwrap(), third);
        assert_eq!(third.link_key(), first.link_key(), "links are asked for again after a rotation");
    }

    #[test]
    fn a_file_without_a_key_for_links_keeps_the_one_it_used() {
        let folder = tempfile::tempdir().unwrap();
        Secrets::open(folder.path()).unwrap();
        let path = folder.path().join(FILE_NAME);
        let text = fs::read_to_string(&path).unwrap();
        let without: String = text.lines().filter(|line| !line.starts_with("link_key")).map(|line| format!("{line}\n")).collect();
        fs::write(&path, without).unwrap();
        let before = Secrets::open(folder.path()).unwrap();
        assert_eq!(before.link_key(), before.signing_key().expose());
        assert_eq!(Secrets::rotate(folder.path()).unwrap().link_key(), before.link_key());
    }

    #[cfg(unix)]
    #[test]
    fn secrets_that_others_can_read_are_refused() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        Secrets::open(folder.path()).unwrap();
        fs::set_permissions(folder.path().join(FILE_NAME), fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(Secrets::open(folder.path()), Err(SecretsError::Exposed(_, 0o640))));
    }

    #[test]
    fn neither_debug_nor_errors_show_a_key() {
        let folder = tempfile::tempdir().unwrap();
        let secrets = Secrets::open(folder.path()).unwrap();
        let shown = BASE64_URL_SAFE_NO_PAD.encode(secrets.signing_key().expose());
        assert!(!format!("{secrets:?}").contains(&shown));
        let path = folder.path().join(FILE_NAME);
        let broken = fs::read_to_string(&path).unwrap().replace("secret = ", "sekret = ");
        fs::write(&path, broken).unwrap();
        assert!(!format!("{:?}", Secrets::open(folder.path()).unwrap_err()).contains(&shown));
    }
}
