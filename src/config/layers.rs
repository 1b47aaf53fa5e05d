//! The layers of settings, put over each other: defaults, file, environment, flags.
//!
//! Works on untyped tables, so that every refusal can name the key and where it was set. The default of a key gives
//! the type of its values; that text from the environment is `5` or `"5"` follows from it and not from the text's look.

use std::{collections::BTreeMap, path::Path};

use toml::{Table, Value};

use super::{
    problem::{Origin, Problem},
    reference::{self, Setting},
};

/// Environment variables that begin like settings and are none.
const OTHER_VARIABLES: &[&str] = &["HUBBUB_CONFIG", "HUBBUB_FAULTS"];
const PREFIX: &str = "HUBBUB_";

/// The settings as they were found, and where.
#[derive(Debug)]
pub(super) struct Layers {
    known: Vec<Setting>,
    pub(super) table: Table,
    pub(super) origins: BTreeMap<String, Origin>,
    pub(super) problems: Vec<Problem>,
}

impl Layers {
    pub(super) fn defaults() -> Self {
        Self { known: reference::settings(), table: reference::default_table(), origins: BTreeMap::new(), problems: Vec::new() }
    }

    pub(super) fn known(&self) -> &[Setting] {
        &self.known
    }

    pub(super) fn origin(&self, path: &str) -> Origin {
        self.origins.get(path).cloned().unwrap_or(Origin::Default)
    }

    pub(super) fn problem(&mut self, key: impl Into<String>, origin: Origin, reason: impl Into<String>) {
        self.problems.push(Problem { key: key.into(), origin, reason: reason.into() });
    }

    /// Puts the settings file `text` over what is there.
    pub(super) fn file(&mut self, path: &Path, text: &str) {
        let origin = Origin::File(path.to_owned());
        let table: Table = match text.parse() {
            Ok(table) => table,
            Err(error) => return self.problem("", origin, format!("is not TOML: {}", without_excerpt(&error, text))),
        };
        for (section, value) in table {
            match value {
                Value::Table(keys) => {
                    if !self.known.iter().any(|known| known.section == section) {
                        let nearest = nearest(&section, self.known.iter().map(|known| known.section.clone()));
                        self.problem(format!("[{section}]"), origin.clone(), format!("no such section{nearest}"));
                        continue;
                    }
                    for (key, value) in keys {
                        self.set(&format!("{section}.{key}"), origin.clone(), |setting| of_type(&setting.default, value));
                    }
                }
                _ => self.set(&section, origin.clone(), |_| Err(String::new())),
            }
        }
    }

    /// Puts `HUBBUB_SECTION__KEY` variables over what is there.
    pub(super) fn environment(&mut self, variables: &[(String, String)]) {
        for (name, text) in variables {
            let Some(rest) = name.strip_prefix(PREFIX).filter(|_| !OTHER_VARIABLES.contains(&name.as_str())) else {
                continue;
            };
            let origin = Origin::Environment(name.clone());
            match rest.to_lowercase().split_once("__") {
                Some((section, key)) => {
                    self.set(&format!("{section}.{key}"), origin, |setting| from_text(&setting.default, text));
                }
                // Orchestrators set variables such as HUBBUB_PORT for a service named hubbub: only what is a setting but
                // for its underscores is a mistake.
                None => {
                    let squeezed = |name: &str| name.replace('_', "");
                    let meant = self.known.iter().map(Setting::variable).find(|known| squeezed(known) == squeezed(name));
                    if let Some(meant) = meant {
                        self.problem(name, origin, format!("no such setting; did you mean {meant}?"));
                    }
                }
            }
        }
    }

    /// Puts a flag `section.key=value` over what is there.
    pub(super) fn flag(&mut self, path: &str, text: &str, flag: &str) {
        self.set(path, Origin::Flag(flag.to_owned()), |setting| from_text(&setting.default, text));
    }

    fn set(&mut self, path: &str, origin: Origin, read: impl FnOnce(&Setting) -> Result<Value, String>) {
        let Some(setting) = self.known.iter().find(|known| known.path() == path) else {
            let reason = format!("no such setting{}", nearest_setting(path, &self.known));
            return self.problem(path, origin, reason);
        };
        match read(setting) {
            Ok(value) => {
                if let Some(Value::Table(section)) = self.table.get_mut(&setting.section) {
                    section.insert(setting.key.clone(), value);
                }
                self.origins.insert(path.to_owned(), origin);
            }
            Err(reason) => self.problem(path, origin, reason),
        }
    }
}

/// The message of a TOML error with its line, without the excerpt: the line may hold a password (I12).
fn without_excerpt(error: &toml::de::Error, text: &str) -> String {
    let before = error.span().and_then(|span| text.get(..span.start));
    let line = before.map_or(1, |before| before.matches('\n').count() + 1);
    format!("line {line}: {}", error.message())
}

fn expected(default: &Value) -> &'static str {
    match default {
        Value::String(_) => "a text in quotes",
        Value::Integer(_) => "a whole number",
        Value::Boolean(_) => "true or false",
        Value::Array(_) => "a list such as [\"a\", \"b\"]",
        Value::Float(_) => "a number",
        Value::Datetime(_) => "a date",
        Value::Table(_) => "a section",
    }
}

fn of_type(default: &Value, value: Value) -> Result<Value, String> {
    if value.same_type(default) { Ok(value) } else { Err(format!("expected {}, found {}", expected(default), value.type_str())) }
}

fn from_text(default: &Value, text: &str) -> Result<Value, String> {
    let value = match default {
        Value::String(_) => Some(Value::String(text.to_owned())),
        Value::Integer(_) => text.parse().ok().map(Value::Integer),
        Value::Boolean(_) => text.parse().ok().map(Value::Boolean),
        Value::Array(_) => list(text),
        _ => None,
    };
    value.ok_or_else(|| match default {
        Value::Array(_) => format!("expected a list such as a,b or [\"a\", \"b\"], found {text:?}"),
        _ => format!("expected {}, found {text:?}", expected(default)),
    })
}

/// `a,b` or a TOML list.
fn list(text: &str) -> Option<Value> {
    if text.starts_with('[') {
        let mut table: Table = format!("list = {text}").parse().ok()?;
        return table.remove("list").filter(Value::is_array);
    }
    let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
    Some(Value::Array(items.map(|item| Value::String(item.to_owned())).collect()))
}

fn nearest_setting(path: &str, known: &[Setting]) -> String {
    let key = path.rsplit('.').next().unwrap_or(path);
    // The right key in the wrong section is nearer than any misspelling.
    match known.iter().find(|setting| setting.key == key) {
        Some(setting) => format!("; did you mean {}?", setting.path()),
        None => nearest(path, known.iter().map(Setting::path)),
    }
}

fn nearest(name: &str, known: impl Iterator<Item = String>) -> String {
    let nearest = known.max_by(|a, b| strsim::jaro_winkler(name, a).total_cmp(&strsim::jaro_winkler(name, b)));
    nearest.map_or_else(String::new, |nearest| format!("; did you mean {nearest}?"))
}
