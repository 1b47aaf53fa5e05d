//! The command line: arguments, settings, one file per subcommand, exit codes.
//!
//! Each subcommand is a file with `Args` (its flags) and `run`, which gets the loaded settings and writes what was asked for to
//! standard output. Everything said about the run itself goes to standard error.
//!
//! *Neighbours*: `config` loads the settings, `telemetry` starts the log, `app` does the work of the commands that need the store.
//! It is the top of the house: nothing knows it but `main.rs`.

mod backup;
mod config;
mod exit;
mod files;
mod healthcheck;
mod migrate;
mod restore;
mod serve;
mod stored;
mod user;
mod verify;

use std::{
    borrow::Cow,
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Parser, Subcommand};

pub use self::exit::{Exit, Failure};
use crate::config::{Loaded, Sources};

/// A self-hosted chat server: accounts, rooms and direct messages over WebSocket and REST.
#[derive(Debug, Parser)]
#[command(name = "hubbub", version, after_help = exit::HELP, propagate_version = true)]
struct Cli {
    #[command(flatten)]
    settings: SettingsArgs,
    #[command(subcommand)]
    command: Command,
}

/// Where settings come from. Later ones win: defaults, settings file, environment (HUBBUB_SECTION__KEY), these flags.
#[derive(Clone, Debug, clap::Args)]
struct SettingsArgs {
    /// Settings file (TOML) instead of hubbub.toml in the data folder.
    #[arg(long, global = true, env = "HUBBUB_CONFIG", value_name = "FILE", help_heading = "Settings")]
    config: Option<PathBuf>,
    /// Data folder: database, secrets, settings file. The same as --set data.folder=DIR.
    #[arg(long, global = true, value_name = "DIR", help_heading = "Settings")]
    data: Option<PathBuf>,
    /// Address and port to listen on. The same as --set server.listen=ADDRESS.
    #[arg(long, global = true, value_name = "ADDRESS", help_heading = "Settings")]
    listen: Option<String>,
    /// Any setting, such as --set limits.text_max=16KiB. May be repeated. `hubbub config print` lists them all.
    #[arg(long, global = true, value_name = "SECTION.KEY=VALUE", help_heading = "Settings")]
    set: Vec<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server until SIGTERM or SIGINT.
    Serve(serve::Args),
    /// Bring the database schema up to date. `serve` does it too.
    Migrate(migrate::Args),
    /// Copy everything the server stores into a folder, while it runs.
    Backup(backup::Args),
    /// Put a backup in place of what is stored. The server must not run.
    Restore(restore::Args),
    /// Check that what is stored keeps its promises. Exit code 5 if it does not.
    Verify(verify::Args),
    /// Make and change accounts.
    User(user::Args),
    /// Ask the running server whether it is ready.
    Healthcheck(healthcheck::Args),
    /// Check or print the settings, replace the keys that sign tokens.
    Config(config::Args),
}

impl SettingsArgs {
    /// The flags with which another command, called from another folder, finds the same data.
    fn again(&self, folder: &Path) -> String {
        let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let path = |path: &Path| quoted(absolute(path).to_string_lossy());
        let mut flags = vec![format!("--data {}", path(folder))];
        flags.extend(self.config.as_deref().map(|file| format!("--config {}", path(file))));
        for set in &self.set {
            // The URL of a database holds a password, and this goes to a terminal (I12).
            let secret = set.trim_start().starts_with("database.url");
            flags.push(format!("--set {}", if secret { "database.url=…".into() } else { quoted(set.into()) }));
        }
        flags.join(" ")
    }

    fn load(self) -> Result<Loaded, Failure> {
        let sources = Sources { file: self.config, data: self.data, listen: self.listen, set: self.set, ..Sources::default() };
        let loaded = sources.with_environment(std::env::vars_os()).load();
        loaded.map_err(|refused| Failure::new(Exit::Settings, refused))
    }
}

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = Cli::parse();
    match run(arguments, &mut std::io::stdout().lock()) {
        Ok(()) => Exit::Done.into(),
        Err(failure) => {
            eprintln!("hubbub: {failure}");
            failure.exit.into()
        }
    }
}

/// As a shell takes it for one word.
fn quoted(text: Cow<'_, str>) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-=+:,@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) { text.into_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

fn run(arguments: Cli, out: &mut dyn Write) -> Result<(), Failure> {
    let settings = arguments.settings.clone();
    let loaded = arguments.settings.load()?;
    match arguments.command {
        Command::Serve(args) => {
            let again = settings.again(&loaded.config.data.folder);
            serve::run(&args, loaded.config, &again, out)
        }
        Command::Migrate(args) => migrate::run(&args, &loaded.config, out),
        Command::Backup(args) => backup::run(&args, &loaded.config, out),
        Command::Restore(args) => restore::run(&args, &loaded.config, out),
        Command::Verify(args) => verify::run(&args, &loaded.config, out),
        Command::User(args) => user::run(&args, &loaded.config, out),
        Command::Healthcheck(args) => healthcheck::run(&args, &loaded.config, out),
        Command::Config(args) => config::run(&args, &loaded, out),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn run_line(line: &[&str]) -> Result<String, Failure> {
        let arguments = Cli::try_parse_from(std::iter::once(&"hubbub").chain(line)).unwrap();
        let mut out = Vec::new();
        run(arguments, &mut out).map(|()| String::from_utf8(out).unwrap())
    }

    #[test]
    fn every_command_and_argument_is_documented() {
        fn check(command: &clap::Command, path: &str) {
            assert!(command.get_about().is_some(), "{path} has no help");
            for argument in command.get_arguments() {
                assert!(argument.get_help().is_some(), "{path} {} has no help", argument.get_id());
            }
            for inner in command.get_subcommands() {
                check(inner, &format!("{path} {}", inner.get_name()));
            }
        }
        Cli::command().debug_assert();
        check(&Cli::command(), "hubbub");
    }

    #[test]
    fn flags_reach_the_settings_wherever_they_stand() {
        let printed = run_line(&["config", "print", "--listen", "127.0.0.1:9", "--set", "room.mailbox=7"]).unwrap();
        assert!(printed.contains("listen = \"127.0.0.1:9\"  # flag --listen"), "{printed}");
        let printed = run_line(&["--data", "/nonexistent", "config", "print"]).unwrap();
        assert!(printed.contains("folder = \"/nonexistent\"  # flag --data"), "{printed}");
    }

    #[test]
    fn what_finds_the_same_data_again_is_one_line_for_a_shell_without_secrets() {
        let line = ["hubbub", "serve", "--set", "database.url=mysql://u:secret@h/db", "--set", "log.filter=a b's"];
        let settings = Cli::try_parse_from(line).unwrap().settings;
        let again = settings.again(Path::new("/srv/my data"));
        assert_eq!(again, r"--data '/srv/my data' --set database.url=… --set 'log.filter=a b'\''s'");
        assert!(settings.again(Path::new("data")).starts_with("--data /"), "not of this folder only");
    }

    #[test]
    fn refused_settings_end_with_their_own_exit_code() {
        let failure = run_line(&["config", "check", "--set", "room.mailbox=0"]).unwrap_err();
        assert_eq!(failure.exit, Exit::Settings);
        assert!(failure.to_string().contains("room.mailbox (flag --set room.mailbox)"), "{failure}");
        let failure = run_line(&["config", "check", "--set", "log.filter=a=b=c"]).unwrap_err();
        assert_eq!(failure.exit, Exit::Settings);
    }

    #[test]
    fn rotating_keys_tells_the_new_one_and_never_its_secret() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().to_str().unwrap();
        let told = run_line(&["config", "rotate-keys", "--data", data]).unwrap();
        let secrets = crate::config::Secrets::open(folder.path()).unwrap();
        assert!(told.contains(&secrets.signing_key().kid), "{told}");
        let stored = std::fs::read_to_string(folder.path().join("secrets.toml")).unwrap();
        let written: Vec<&str> = stored.lines().filter_map(|line| line.strip_prefix("secret = ")).collect();
        assert_eq!(written.len(), 2);
        assert!(written.iter().all(|secret| !told.contains(secret.trim_matches('"'))));
    }
}
