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
            let value = redacted(&setting.path(), value.unwrap_or(&setting.default));
            out.push_str(&format!("{} = {value}", setting.key));
            if let Some(origin) = self.origins.get(&setting.path()) {
                out.push_str(&format!("  # {origin}"));
            }
            out.push('\n');
        }
        out
    }
}

/// Settings that are secrets as a whole.
const SECRETS: &[&str] = &["filter_hook.secret"];

fn redacted(path: &str, value: &toml::Value) -> toml::Value {
    match value {
        toml::Value::String(text) if SECRETS.contains(&path) && !text.is_empty() => toml::Value::String("***".to_owned()),
        toml::Value::String(text) => toml::Value::String(redact_url(text)),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Sources;

    #[test]
    fn a_secret_is_not_printed() {
        let set = vec!["filter_hook.secret=abracadabra".to_owned()];
        let loaded = Sources { set, ..Sources::default() }.load().unwrap();
        let shown = format!("{} {:?}", loaded.print(), loaded.config);
        assert!(!shown.contains("abracadabra") && shown.contains("secret = \"***\""), "{shown}");
    }
}
