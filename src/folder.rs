//! The data folder: made private, held by one process at a time, with this node's name in it.
//!
//! Level 1. `serve` and every command that must not run beside it hold a [`DataFolder`] for their whole life. Commands that only read
//! (`backup`, `verify`) go without: the database itself gives them a consistent view.
//!
//! *Invariants.* The lock belongs to the open file, so it goes with the process however it ends; the file `lock` itself stays and
//! means nothing. The node's name stays the same over restarts: a node that crashed takes its own registration over at once.
//!
//! *Must not know*: what lies in the folder (`config::secrets`, `store`).

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::domain::ids::NodeId;

const LOCK_FILE: &str = "lock";
const NODE_FILE: &str = "node-id";

/// Why the data folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// Another process has it.
    #[error("the data folder {0} is in use by another Hubbub process: stop that one first, or name another folder with --data")]
    InUse(PathBuf),
    /// The file system refuses.
    #[error("the data folder {0} cannot be used: {1}")]
    Io(PathBuf, #[source] io::Error),
    /// The file with the node's name holds something else.
    #[error("{0} is not as Hubbub writes it: delete it, and this node gets a new name")]
    NodeId(PathBuf),
}

/// The data folder, held until dropped.
#[derive(Debug)]
pub struct DataFolder {
    path: PathBuf,
    /// Its lock ends when the file closes.
    _lock: File,
}

impl DataFolder {
    /// Makes the folder if there is none, readable by its owner only, and takes it.
    ///
    /// # Errors
    /// [`FolderError::InUse`], [`FolderError::Io`].
    pub fn open(path: &Path) -> Result<Self, FolderError> {
        let failed = |error| FolderError::Io(path.to_owned(), error);
        make_private(path).map_err(failed)?;
        let lock = private(File::options().write(true).create(true)).open(path.join(LOCK_FILE)).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(FolderError::InUse(path.to_owned())),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The name of the node that lives here; a new one on first start.
    ///
    /// # Errors
    /// [`FolderError::NodeId`], [`FolderError::Io`].
    pub fn node_id(&self) -> Result<NodeId, FolderError> {
        let path = self.path.join(NODE_FILE);
        let failed = |error| FolderError::Io(self.path.clone(), error);
        match fs::read_to_string(&path) {
            Ok(text) => text.trim().parse().map_err(|_| FolderError::NodeId(path)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let node = NodeId::generate();
                replace(&path, format!("{node}\n").as_bytes()).map_err(failed)?;
                Ok(node)
            }
            Err(error) => Err(failed(error)),
        }
    }
}

/// Makes a folder that only its owner may enter. One that exists keeps its mode: its owner chose it.
///
/// # Errors
/// Those of the file system.
pub fn make_private(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Writes a file that only its owner may read, all of it or nothing: a crash leaves the old one, or none.
///
/// # Errors
/// Those of the file system.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let fresh = path.with_added_extension("new");
    let mut file = private(File::options().write(true).create(true).truncate(true)).open(&fresh)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&fresh, path)?;
    sync(path.parent().unwrap_or(Path::new(".")))
}

/// Files opened so are made with mode 0600.
pub fn private(options: &mut fs::OpenOptions) -> &mut fs::OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

/// Puts the names in a folder on disk.
///
/// # Errors
/// Those of the file system.
pub fn sync(folder: &Path) -> io::Result<()> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn folder_is_made_for_its_owner_only() {
        use std::os::unix::fs::PermissionsExt;
        let around = tempfile::tempdir().unwrap();
        let path = around.path().join("deep/er");
        let folder = DataFolder::open(&path).unwrap();
        folder.node_id().unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o700);
        for file in fs::read_dir(&path).unwrap() {
            assert_eq!(mode(&file.unwrap().path()), 0o600);
        }
    }

    #[test]
    fn second_holder_is_refused_by_the_folders_name_until_the_first_lets_go() {
        let around = tempfile::tempdir().unwrap();
        let first = DataFolder::open(around.path()).unwrap();
        let refused = DataFolder::open(around.path()).unwrap_err();
        assert!(matches!(refused, FolderError::InUse(_)));
        assert!(refused.to_string().contains(around.path().to_str().unwrap()), "{refused}");
        drop(first);
        DataFolder::open(around.path()).unwrap();
    }

    #[test]
    fn node_keeps_its_name_over_restarts() {
        let around = tempfile::tempdir().unwrap();
        let name = DataFolder::open(around.path()).unwrap().node_id().unwrap();
        assert_eq!(DataFolder::open(around.path()).unwrap().node_id().unwrap(), name);
        fs::write(around.path().join(NODE_FILE), "nonsense").unwrap();
        assert!(matches!(DataFolder::open(around.path()).unwrap().node_id(), Err(FolderError::NodeId(_))));
    }
}
