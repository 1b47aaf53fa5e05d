//! A disk that can be full: a small tmpfs for the data folder, and a file that takes what is left of it. Needs root.

use crate::Failed;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Enough for a drill's messages, little enough to fill in a moment.
const SIZE: &str = "size=64m";

/// See the module. Dropped, it is unmounted.
#[derive(Debug)]
pub struct Small(PathBuf);

impl Small {
    pub fn mount(folder: &Path) -> Result<Self, Failed> {
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", SIZE, "hubbub-drill"]).arg(folder);
        if command.stdin(Stdio::null()).status()?.success() {
            Ok(Self(folder.to_owned()))
        } else {
            Err("the small disk cannot be mounted: this drill needs root".into())
        }
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        // What still uses it keeps it until it ends; then it is gone.
        drop(Command::new("umount").arg("--lazy").arg(&self.0).stdin(Stdio::null()).status());
    }
}

/// Takes all that is left of the disk under `folder`; called again, what has become free since.
pub fn fill(folder: &Path) -> Result<(), Failed> {
    let mut ballast = OpenOptions::new().create(true).append(true).open(folder.join("ballast"))?;
    let mut block = vec![0_u8; 1024 * 1024];
    while !block.is_empty() {
        // Smaller and smaller, to the last byte.
        if ballast.write_all(&block).is_err() {
            block.truncate(block.len() / 2);
        }
    }
    Ok(())
}

/// Gives it back.
pub fn free(folder: &Path) -> Result<(), Failed> {
    Ok(fs::remove_file(folder.join("ballast"))?)
}
