//! From the sources to a checked [`Config`].

use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
};

use super::{
    Config, checks,
    layers::Layers,
    problem::{Origin, Refused},
    reference,
};

/// Name of the settings file in the data folder.
const FILE_NAME: &str = "hubbub.toml";

/// Where settings are looked for besides the defaults.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The settings file that was asked for. None: `hubbub.toml` in the data folder, if there is one.
    pub file: Option<PathBuf>,
    /// Environment variables; those that do not begin with `HUBBUB_` are not looked at.
    pub environment: Vec<(String, String)>,
    /// `--set section.key=value`, in the order given.
    pub set: Vec<String>,
    /// `--listen`
    pub listen: Option<String>,
    /// `--data`
    pub data: Option<PathBuf>,
}

/// Settings and where each of them was set.
#[derive(Debug)]
pub struct Loaded {
    /// The settings.
    pub config: Config,
    /// Their written form, for printing.
    pub(super) table: toml::Table,
    /// Origin of each setting that is not at its default, by path.
    pub(super) origins: BTreeMap<String, Origin>,
}

impl Sources {
    /// Takes the `HUBBUB_` variables out of `variables`; those that are not UTF-8 are read with replacement characters and so
    /// refused later where they matter.
    #[must_use]
    pub fn with_environment(mut self, variables: impl Iterator<Item = (OsString, OsString)>) -> Self {
        let text = |value: OsString| value.to_string_lossy().into_owned();
        self.environment =
            variables.map(|(name, value)| (text(name), text(value))).filter(|(name, _)| name.starts_with("HUBBUB_")).collect();
        self.environment.sort();
        self
    }

    /// Puts all layers over each other and checks the result.
    ///
    /// # Errors
    /// Every unknown key, impossible value and broken relation that was found.
    pub fn load(&self) -> Result<Loaded, Refused> {
        let mut layers = Layers::defaults();
        match &self.file {
            Some(path) => read_file(&mut layers, path, true),
            None => read_file(&mut layers, &self.folder_before_the_file().join(FILE_NAME), false),
        }
        let moved_by_file = self.file.is_none().then(|| layers.origins.get("data.folder").cloned()).flatten();
        if let Some(origin) = moved_by_file {
            layers.problem(
                "data.folder",
                origin,
                "cannot stand in the file of the data folder itself: use --data, HUBBUB_DATA__FOLDER or --config",
            );
        }
        self.put_environment_and_flags(&mut layers);
        finish(layers)
    }

    fn put_environment_and_flags(&self, layers: &mut Layers) {
        layers.environment(&self.environment);
        for pair in &self.set {
            match pair.split_once('=') {
                Some((path, value)) => layers.flag(path.trim(), value, &format!("--set {}", path.trim())),
                None => layers.problem(pair, Origin::Flag("--set".to_owned()), "expected section.key=value"),
            }
        }
        if let Some(listen) = &self.listen {
            layers.flag("server.listen", listen, "--listen");
        }
        if let Some(folder) = &self.data {
            layers.flag("data.folder", &folder.to_string_lossy(), "--data");
        }
    }

    /// The data folder as far as it is known before a settings file is read.
    fn folder_before_the_file(&self) -> PathBuf {
        let mut layers = Layers::defaults();
        self.put_environment_and_flags(&mut layers);
        let folder = layers.table.get("data").and_then(|section| section.get("folder")).and_then(toml::Value::as_str);
        PathBuf::from(folder.unwrap_or_default())
    }
}

fn read_file(layers: &mut Layers, path: &Path, required: bool) {
    match std::fs::read_to_string(path) {
        Ok(text) => layers.file(path, &text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !required => {}
        Err(error) => layers.problem("", Origin::File(path.to_owned()), format!("cannot be read: {error}")),
    }
}

fn finish(mut layers: Layers) -> Result<Loaded, Refused> {
    refuse_values(&mut layers);
    if layers.problems.is_empty() {
        match layers.table.clone().try_into::<Config>() {
            Ok(config) => {
                checks::check(&config, &mut layers);
                if layers.problems.is_empty() {
                    return Ok(Loaded { config, table: layers.table, origins: layers.origins });
                }
            }
            // Each value fits alone, so all of them do; said plainly all the same should that ever be wrong.
            Err(error) => layers.problem("", Origin::Default, error.message().to_owned()),
        }
    }
    Err(Refused { problems: layers.problems })
}

/// Tries each value that was set alone in the defaults, so that a refusal names its key and origin, and none hides another.
fn refuse_values(layers: &mut Layers) {
    let set: Vec<(String, Origin)> = layers.origins.iter().map(|(path, origin)| (path.clone(), origin.clone())).collect();
    for (path, origin) in set {
        let Some((section, key)) = path.split_once('.') else { continue };
        let value = layers.table.get(section).and_then(|section| section.get(key)).cloned();
        let mut alone = reference::default_table();
        if let (Some(toml::Value::Table(section)), Some(value)) = (alone.get_mut(section), value) {
            section.insert(key.to_owned(), value);
        }
        if let Err(error) = alone.try_into::<Config>() {
            let meaning = reference::settings().into_iter().find(|setting| setting.path() == path).map(|setting| setting.meaning);
            let reason = format!("{}. What it is: {}", error.message(), meaning.unwrap_or_default());
            layers.problem(path, origin, reason);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Loads with `file` as hubbub.toml of an otherwise empty data folder.
    fn load(file: &str, environment: &[(&str, &str)], set: &[&str]) -> Result<Loaded, Refused> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(FILE_NAME), file).unwrap();
        let variables = environment.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
        let sources = Sources {
            data: Some(folder.path().to_owned()),
            set: set.iter().map(|pair| (*pair).to_owned()).collect(),
            ..Sources::default()
        };
        sources.with_environment(variables).load()
    }

    fn refusal(file: &str, environment: &[(&str, &str)], set: &[&str]) -> String {
        load(file, environment, set).unwrap_err().to_string()
    }

    #[test]
    fn the_later_layer_wins() {
        let file = "[room]\nmailbox = 1\n[limits]\npage_max = 60\npage_default = 5\n";
        let environment = [("HUBBUB_ROOM__MAILBOX", "2"), ("HUBBUB_LIMITS__PAGE_MAX", "70"), ("HOME", "/")];
        let loaded = load(file, &environment, &["room.mailbox=3"]).unwrap();
        assert_eq!(loaded.config.room.mailbox, 3);
        assert_eq!(loaded.config.limits.page_max, 70);
        assert_eq!(loaded.config.limits.page_default, 5);
        assert_eq!(loaded.config.room.idle_after, Config::default().room.idle_after);
        assert_eq!(loaded.origins.get("limits.page_max"), Some(&Origin::Environment("HUBBUB_LIMITS__PAGE_MAX".into())));
    }

    #[test]
    fn listen_and_data_flags_win_over_set() {
        let folder = tempfile::tempdir().unwrap();
        let sources = Sources {
            listen: Some("[::1]:0".into()),
            data: Some(folder.path().to_owned()),
            set: vec!["server.listen=127.0.0.1:1".into(), "data.folder=/nowhere".into()],
            ..Sources::default()
        };
        let config = sources.load().unwrap().config;
        assert_eq!(config.server.listen.to_string(), "[::1]:0");
        assert_eq!(config.data.folder, folder.path());
    }

    #[test]
    fn unknown_keys_are_refused_wherever_they_stand_with_the_nearest_known_name() {
        let shown = refusal("[server]\nlisten_on = \"x\"\n", &[], &[]);
        assert!(shown.contains("server.listen_on (") && shown.contains("hubbub.toml)"), "{shown}");
        assert!(shown.contains("did you mean server.listen?"), "{shown}");
        let shown = refusal("[sever]\nlisten = \"x\"\n", &[], &[]);
        assert!(shown.contains("[sever]") && shown.contains("did you mean server?"), "{shown}");
        let shown = refusal("listen = \"x\"\n", &[], &[]);
        assert!(shown.contains("did you mean server.listen?"), "{shown}");
        let shown = refusal("", &[("HUBBUB_ROOM__MAILBOXES", "3")], &[]);
        assert!(shown.contains("environment HUBBUB_ROOM__MAILBOXES") && shown.contains("did you mean room.mailbox?"), "{shown}");
        let shown = refusal("", &[("HUBBUB_ROOM_MAILBOX", "3")], &[]);
        assert!(shown.contains("did you mean HUBBUB_ROOM__MAILBOX?"), "{shown}");
        let shown = refusal("", &[], &["server.text_max=1KiB"]);
        assert!(shown.contains("flag --set server.text_max") && shown.contains("did you mean limits.text_max?"), "{shown}");
    }

    #[test]
    fn variables_that_an_orchestrator_sets_are_no_settings() {
        load("", &[("HUBBUB_PORT", "tcp://10.0.0.1:80"), ("HUBBUB_SERVICE_HOST", "10.0.0.1")], &[]).unwrap();
    }

    #[test]
    fn wrong_types_and_values_say_what_is_expected_all_at_once() {
        let file = "[room]\nmailbox = \"many\"\nidle_after = \"soon\"\n[log]\nformat = \"xml\"\n";
        let shown = refusal(file, &[("HUBBUB_SERVER__LISTEN", "nine")], &["limits.page_max=-1", "rates.login_per_address=5"]);
        for part in [
            "room.mailbox (",
            "expected a whole number, found string",
            "room.idle_after (",
            "expected a duration such as",
            "log.format (",
            "`text` or `json`",
            "server.listen (environment HUBBUB_SERVER__LISTEN): invalid socket address",
            "limits.page_max (flag --set limits.page_max)",
            "expected a rate such as",
        ] {
            assert!(shown.contains(part), "{part:?} is missing in {shown}");
        }
    }

    #[test]
    fn text_from_the_environment_takes_the_type_of_the_setting() {
        let environment = [
            ("HUBBUB_DATA__FOLDER", "8080"),
            ("HUBBUB_DATABASE__ALLOW_WEAK_DURABILITY", "true"),
            ("HUBBUB_SERVER__TRUSTED_PROXIES", "10.0.0.0/8, ::1/128"),
            ("HUBBUB_SERVER__ALLOWED_ORIGINS", "[\"https://a.example\"]"),
            ("HUBBUB_SESSION__PING_INTERVAL", "3s"),
        ];
        let variables = environment.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
        let config = Sources::default().with_environment(variables).load().unwrap().config;
        assert_eq!(config.data.folder, Path::new("8080"));
        assert!(config.database.allow_weak_durability);
        assert_eq!(config.server.trusted_proxies.len(), 2);
        assert_eq!(config.server.allowed_origins, ["https://a.example"]);
        assert_eq!(config.session.ping_interval, Duration::from_secs(3));
    }

    #[test]
    fn zero_is_refused_where_it_would_stop_everything() {
        let shown = refusal("", &[], &["room.mailbox=0", "room.idle_after=0s", "limits.text_max=0B", "server.workers=0"]);
        for path in ["room.mailbox", "room.idle_after", "limits.text_max"] {
            assert!(shown.contains(&format!("{path} (flag --set {path}): expected more than zero")), "{shown}");
        }
        assert!(!shown.contains("server.workers"), "{shown}");
    }

    #[test]
    fn relations_between_settings_are_checked() {
        for (set, expected) in [
            ("accounts.access_token_ttl=16m", "at most 900s"),
            ("session.dead_after=61s", "at most 60s"),
            ("accounts.bcrypt_cost=3", "4 to 31"),
            ("accounts.user_name_min=1", "at least 2"),
            ("accounts.user_name_max=33", "at most 32"),
            ("accounts.display_name_max=65", "at most 64"),
            ("limits.page_default=500", "limits.page_max, which is 200"),
            ("limits.text_max=32KiB", "6 times limits.text_max"),
            ("server.drain_delay=30s", "server.drain_deadline"),
            ("database.session_timeout=1500ms", "whole seconds"),
            ("server.public_url=chat.example.org", "https://chat.example.org"),
            ("database.url=postgres://u:hunter2@h/d", "mysql://"),
        ] {
            let shown = refusal("", &[], &[set]);
            assert!(shown.contains(expected) && !shown.contains("hunter2"), "{set}: {shown}");
        }
    }

    #[test]
    fn a_settings_file_that_was_asked_for_must_be_there_and_no_error_quotes_it() {
        let sources = Sources { file: Some("/nonexistent/hubbub.toml".into()), ..Sources::default() };
        assert!(sources.load().unwrap_err().to_string().contains("(/nonexistent/hubbub.toml): cannot be read"));
        let shown = refusal("[server]\n[database]\nurl = \"mysql://u:hunter2@h/d\" x\n", &[], &[]);
        assert!(shown.contains("is not TOML: line 3") && !shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn the_file_of_a_data_folder_cannot_name_another_one() {
        assert!(refusal("[data]\nfolder = \"/elsewhere\"\n", &[], &[]).contains("cannot stand in the file"));
    }

    #[test]
    fn printed_settings_are_the_effective_ones_without_passwords_and_can_be_loaded_again() {
        let loaded = load("", &[("HUBBUB_DATABASE__URL", "mysql://u:hunter2@h/d")], &["room.mailbox=7"]).unwrap();
        let printed = loaded.print();
        assert!(!printed.contains("hunter2") && printed.contains("mysql://u:***@h/d"), "{printed}");
        assert!(printed.contains("mailbox = 7  # flag --set room.mailbox"), "{printed}");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("again.toml");
        std::fs::write(&path, &printed).unwrap();
        let again = Sources { file: Some(path), ..Sources::default() }.load().unwrap();
        assert_eq!(again.config.room.mailbox, 7);
    }

    /// With `deny_unknown_fields` this makes the keys of default.toml and the fields of the structs the same set.
    #[test]
    fn every_documented_key_is_a_field_and_every_field_a_documented_key() {
        Config::default();
        for setting in reference::settings() {
            let mut table = reference::default_table();
            let section = table.get_mut(&setting.section).and_then(toml::Value::as_table_mut).unwrap();
            let value = section.remove(&setting.key).unwrap();
            assert!(table.clone().try_into::<Config>().is_err(), "{} is optional in its struct", setting.path());
            let section = table.get_mut(&setting.section).and_then(toml::Value::as_table_mut).unwrap();
            section.insert(setting.key.clone(), value.clone());
            section.insert("no_such_key".into(), value);
            assert!(table.try_into::<Config>().is_err(), "[{}] takes unknown keys", setting.section);
        }
    }
}
