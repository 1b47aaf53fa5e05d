//! The list of known settings, read from `default.toml`: key, default and meaning, in the order of the file.
//!
//! It is what unknown keys are compared with, what `config print` follows and what `docs/OPERATIONS.md` is made from.

use toml::{Table, Value};

/// The compiled-in defaults with their comments.
pub const DEFAULTS: &str = include_str!("default.toml");

/// One known setting.
#[derive(Clone, Debug)]
pub struct Setting {
    /// Section, as in `[section]`.
    pub section: String,
    /// Key in its section.
    pub key: String,
    /// The default, whose type is the type of every value of this setting.
    pub default: Value,
    /// The comment above it: meaning and unit.
    pub meaning: String,
}

impl Setting {
    /// `section.key`
    #[must_use]
    pub fn path(&self) -> String {
        format!("{}.{}", self.section, self.key)
    }

    /// `HUBBUB_SECTION__KEY`
    #[must_use]
    pub fn variable(&self) -> String {
        format!("HUBBUB_{}__{}", self.section.to_uppercase(), self.key.to_uppercase())
    }
}

/// The defaults as a table.
///
/// # Panics
/// If `default.toml` does not parse: it is compiled in, and a test reads it.
#[must_use]
pub(super) fn default_table() -> Table {
    DEFAULTS.parse().expect("default.toml is compiled in and tested")
}

/// Every known setting in the order of `default.toml`.
#[must_use]
pub fn settings() -> Vec<Setting> {
    let table = default_table();
    let mut found = Vec::new();
    let (mut section, mut meaning) = (String::new(), String::new());
    for line in DEFAULTS.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            name.clone_into(&mut section);
            meaning.clear();
        } else if let Some(comment) = line.strip_prefix('#') {
            if !meaning.is_empty() {
                meaning.push(' ');
            }
            meaning.push_str(comment.trim());
        } else if let Some((key, _)) = line.split_once(" = ") {
            let default = table.get(&section).and_then(|section| section.get(key));
            if let Some(default) = default {
                found.push(Setting {
                    section: section.clone(),
                    key: key.to_owned(),
                    default: default.clone(),
                    meaning: std::mem::take(&mut meaning),
                });
            }
        } else {
            meaning.clear();
        }
    }
    found
}

/// The settings reference as Markdown, for `docs/OPERATIONS.md`.
#[must_use]
pub fn markdown() -> String {
    let mut out = String::new();
    let mut section = String::new();
    for setting in settings() {
        if setting.section != section {
            section.clone_from(&setting.section);
            out.push_str(&format!("\n#### `[{section}]`\n\n| Key | Default | Meaning |\n|---|---|---|\n"));
        }
        let meaning = setting.meaning.replace('|', "\\|");
        out.push_str(&format!("| `{}` | `{}` | {meaning} |\n", setting.key, setting.default));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_of_the_defaults_is_listed_with_its_meaning() {
        let listed = settings();
        let in_table: usize = default_table().values().map(|section| section.as_table().unwrap().len()).sum();
        assert_eq!(listed.len(), in_table, "a key is written in a form that the reference does not read");
        for setting in listed {
            assert!(setting.meaning.len() > 10 && setting.meaning.ends_with('.'), "{} lacks a comment", setting.path());
        }
    }

    /// `HUBBUB_TEST_BLESS=1` writes the section anew.
    #[test]
    fn the_operations_manual_holds_the_settings_reference() {
        const BEGIN: &str = "<!-- settings: made from src/config/default.toml -->\n";
        const END: &str = "\n<!-- end of settings -->";
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/OPERATIONS.md");
        let manual = std::fs::read_to_string(path).unwrap();
        let (before, rest) = manual.split_once(BEGIN).unwrap();
        let (committed, after) = rest.split_once(END).unwrap();
        if std::env::var_os("HUBBUB_TEST_BLESS").is_some() {
            std::fs::write(path, [before, BEGIN, &markdown(), END, after].concat()).unwrap();
        } else {
            assert!(committed == markdown(), "docs/OPERATIONS.md is behind: HUBBUB_TEST_BLESS=1 cargo test settings_reference");
        }
    }
}
