//! `[data]`: see `default.toml` for units and defaults.

use std::path::PathBuf;

use serde::Deserialize;

/// Where this node keeps its files.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Data {
    /// Folder of the SQLite database, the secrets and hubbub.toml. Made on first start; only one process uses it
    /// at a time.
    pub folder: PathBuf,
}
