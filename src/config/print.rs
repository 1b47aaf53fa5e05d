//! The effective settings as a TOML file that could be used again, secrets hidden.

use super::{Loaded, reference, units::redact_url};

impl Loaded {
    /// Every setting with its value, and its origin where that is not the default. Passwords are replaced (I12).
    #[must_use]
    pub fn print(&self) -> String {
        let mut out = String::new();
        let mut section = String::new();
        for setting in reference::settings() {
            if setting.section != section {
                section.clone_from(&setting.section);
                out.push_str(&format!("{}[{section}]\n", if out.is_empty() { "" } else { "\n" }));
            }
            let value = self.table.get(&setting.section).and_then(|section| section.get(&setting.key));
            let value = redacted(value.unwrap_or(&setting.default));
            out.push_str(&format!("{} = {value}", setting.key));
            if let Some(origin) = self.origins.get(&setting.path()) {
                out.push_str(&format!("  # {origin}"));
            }
            out.push('\n');
        }
        out
    }
}

fn redacted(value: &toml::Value) -> toml::Value {
    match value {
        toml::Value::String(text) => toml::Value::String(redact_url(text)),
        other => other.clone(),
    }
}
