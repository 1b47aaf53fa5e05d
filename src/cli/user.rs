//! `hubbub user`: accounts, from the machine's own side. Works beside a running server, which hears of it within a second.
//!
//! Passwords are typed or come on standard input; on the command line every user of the machine could read them.

use std::io::{self, BufRead, IsTerminal, Write};

use super::Failure;
use super::stored::{failed, open, take_folder};
use crate::accounts::handle::{Accounts, Parts};
use crate::auth::hashing::Hashing;
use crate::auth::token::TokenKeys;
use crate::config::{Config, Secrets};
use crate::delivery::handle::Relays;
use crate::domain::fault::Refusal;
use crate::domain::time::Clock;
use crate::persistence::handle::Persistence;
use crate::store::Store;
use crate::supervision::policy::{RestartClass, RestartPolicy};
use crate::supervision::tree::Supervisor;

/// Make and change accounts.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Make an account. The password is asked for, or read from standard input.
    Add {
        /// Log-in name.
        name: String,
        /// How to be shown. Default: as the log-in name.
        #[arg(long, value_name = "TEXT")]
        display_name: Option<String>,
        /// Make it an administrator.
        #[arg(long)]
        admin: bool,
    },
    /// Make somebody an administrator, or with --undo not any more.
    Promote {
        /// Log-in name.
        name: String,
        /// Take it back.
        #[arg(long)]
        undo: bool,
    },
    /// Keep somebody out and end their logins, or with --undo let them in again.
    Disable {
        /// Log-in name.
        name: String,
        /// Take it back.
        #[arg(long)]
        undo: bool,
    },
    /// Give somebody a new password and end their logins. It is asked for, or read from standard input.
    ResetPassword {
        /// Log-in name.
        name: String,
    },
}

pub(super) fn run(args: &Args, config: &Config, out: &mut dyn Write) -> Result<(), Failure> {
    run_with(args, config, out, read_password)
}

fn run_with(
    args: &Args,
    config: &Config,
    out: &mut dyn Write,
    password: impl FnOnce() -> Result<String, Failure>,
) -> Result<(), Failure> {
    actix::System::new().block_on(async {
        match &args.command {
            Command::Add { name, display_name, admin } => {
                let password = password()?;
                let accounts = accounts(config, store_or_new(config).await?).await?;
                let user = accounts.add(name, display_name.as_deref(), &password, *admin).await.map_err(refused)?;
                writeln!(out, "Made the account {}{}.", user.name, if user.admin { ", an administrator" } else { "" })?;
            }
            Command::Promote { name, undo } => {
                let accounts = accounts(config, open(config).await?).await?;
                let user = accounts.named(name).await.map_err(refused)?;
                let user = accounts.set(user.id, None, Some(!undo)).await.map_err(refused)?;
                writeln!(out, "{} is {} administrator.", user.name, if user.admin { "an" } else { "not an" })?;
            }
            Command::Disable { name, undo } => {
                let accounts = accounts(config, open(config).await?).await?;
                let user = accounts.named(name).await.map_err(refused)?;
                let user = accounts.set(user.id, Some(!undo), None).await.map_err(refused)?;
                writeln!(out, "{} can {} log in.", user.name, if user.disabled { "no longer" } else { "again" })?;
            }
            Command::ResetPassword { name } => {
                let accounts = accounts(config, open(config).await?).await?;
                let user = accounts.named(name).await.map_err(refused)?;
                accounts.reset_password(&user, &password()?).await.map_err(refused)?;
                writeln!(out, "{} has the new password; all their logins have ended.", user.name)?;
            }
        }
        Ok(())
    })
}

/// The store; where there is none yet, a new one, so that the first account can be made before the first start.
async fn store_or_new(config: &Config) -> Result<Store, Failure> {
    if Store::exists(&config.database, &config.data.folder) {
        return open(config).await;
    }
    let folder = take_folder(config)?;
    let store = Store::open(&config.database, folder.path()).await.map_err(failed)?;
    store.migrate().await.map_err(failed)?;
    Ok(store)
}

/// Accounts without a server around them: nobody is connected here, and no token is signed.
async fn accounts(config: &Config, store: Store) -> Result<Accounts, Failure> {
    if !store.pending().await.map_err(failed)?.is_empty() {
        return Err(failed("the database has an older schema: run hubbub migrate, or start the server"));
    }
    let policy = RestartPolicy::new(RestartClass::Permanent, config.supervision.max_restarts, config.supervision.within);
    let (root, _failure) = Supervisor::root("command", policy);
    let clock = Clock::system();
    let parts = Parts {
        persistence: Persistence::start(&root, policy, &store, &clock, &config.database),
        store,
        relays: Relays::default(),
        keys: TokenKeys::new(&Secrets::generate(), config.accounts.access_token_ttl),
        hashing: Hashing::new(&config.accounts),
        clock,
        settings: config.accounts.clone(),
        limits: config.limits.clone(),
        wishes_changed: std::sync::Arc::new(|| Box::pin(std::future::ready(()))),
        missed_max: config.resume.max_changes,
        operation_life: config.database.operation_ttl,
    };
    Accounts::open(parts).await.map_err(failed)
}

fn refused(refusal: Refusal) -> Failure {
    let row = refusal.fault.row();
    failed(format_args!("{}: {}", row.code, row.advice))
}

/// Asks twice at a terminal; else takes the first line of standard input.
fn read_password() -> Result<String, Failure> {
    let unreadable = |error: io::Error| failed(format_args!("cannot read the password: {error}"));
    if !io::stdin().is_terminal() {
        return first_line(&mut io::stdin().lock()).map_err(unreadable);
    }
    let first = rpassword::prompt_password("Password: ").map_err(unreadable)?;
    let again = rpassword::prompt_password("Once more: ").map_err(unreadable)?;
    if first == again { Ok(first) } else { Err(failed("the two passwords differ")) }
}

fn first_line(input: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    input.read_line(&mut line)?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Sources;
    use crate::store::users::{self, Credentials};
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    struct Machine {
        folder: tempfile::TempDir,
    }

    impl Machine {
        fn config(&self) -> Config {
            let data = self.folder.path().to_path_buf();
            let set = vec!["accounts.bcrypt_cost=4".to_owned()];
            Sources { data: Some(data), set, ..Sources::default() }.load().unwrap().config
        }

        fn run(&self, line: &[&str], password: &str) -> Result<String, String> {
            let args = Line::try_parse_from(std::iter::once(&"user").chain(line)).unwrap().args;
            let mut out = Vec::new();
            let done = run_with(&args, &self.config(), &mut out, || Ok(password.to_owned()));
            done.map(|()| String::from_utf8(out).unwrap()).map_err(|failure| failure.to_string())
        }

        fn stored(&self, key: &'static str) -> Credentials {
            let config = self.config();
            let found = crate::cli::stored::block_on(async {
                let store = open(&config).await?;
                store.read(move |db| Box::pin(users::by_name(db, key))).await.map_err(failed)
            });
            found.unwrap().unwrap()
        }
    }

    #[test]
    fn the_first_account_is_made_before_the_first_start_and_changed_later() {
        let machine = Machine { folder: tempfile::tempdir().unwrap() };
        let told = machine.run(&["add", "Ann", "--admin"], "correct horse battery").unwrap();
        assert_eq!(told, "Made the account Ann, an administrator.\n");
        assert!(machine.stored("ann").user.admin);
        let before = machine.stored("ann").password_hash;
        machine.run(&["promote", "ann", "--undo"], "").unwrap();
        machine.run(&["disable", "ANN"], "").unwrap();
        machine.run(&["reset-password", "ann"], "another fine phrase").unwrap();
        let after = machine.stored("ann");
        assert!(!after.user.admin && after.user.disabled);
        assert_ne!(after.password_hash, before);
        machine.run(&["disable", "ann", "--undo"], "").unwrap();
        assert!(!machine.stored("ann").user.disabled);
    }

    #[test]
    fn what_is_refused_says_why() {
        let machine = Machine { folder: tempfile::tempdir().unwrap() };
        assert!(machine.run(&["promote", "ann"], "").unwrap_err().contains("there is no database"));
        assert!(machine.run(&["add", "ann"], "short").unwrap_err().starts_with("password_weak"));
        machine.run(&["add", "ann"], "correct horse battery").unwrap();
        assert!(machine.run(&["add", "ANN"], "correct horse battery").unwrap_err().starts_with("name_taken"));
        assert!(machine.run(&["disable", "bob"], "").unwrap_err().starts_with("not_found"));
    }

    #[test]
    fn a_password_is_the_first_line_without_its_end() {
        assert_eq!(first_line(&mut "two words \r\nmore".as_bytes()).unwrap(), "two words ");
        assert_eq!(first_line(&mut "".as_bytes()).unwrap(), "");
    }

    #[test]
    fn no_argument_takes_a_password() {
        use clap::CommandFactory;
        let commands = Line::command();
        let mut arguments = commands.get_subcommands().flat_map(clap::Command::get_arguments);
        assert!(!arguments.any(|argument| argument.get_id().as_str().contains("password")));
    }
}
