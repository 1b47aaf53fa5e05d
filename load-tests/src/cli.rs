//! The command line.

use crate::action::mix::Mix;
use crate::loopback::breach::Breach;
use crate::swarm::cast::Shape;
use crate::swarm::engine::Manners;
use crate::swarm::records::Release;
use crate::swarm::run::{Load, Plan};
use crate::swarm::sessions::Hold;
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;
use std::time::Duration;

/// Lets scripted people talk through a Hubbub server, measures it, and judges whether its promises held.
///
/// Exit code: 0 the promises held and something was said; 1 a promise was broken; 2 it could not run.
#[derive(Debug, Parser)]
#[command(name = "hubbub-swarm", version)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Post at a rate or as fast as it goes; measure; read the history back and judge.
    Run(Run),
    /// Open idle sessions and hold them: memory per session.
    Idle(Sessions),
    /// Connect everybody again and again: connections per second.
    Connect(Sessions),
    /// Judge the ledger of an earlier run by what is stored now.
    Verify(Verify),
    /// Make accounts and rooms once, for many runs.
    Setup(Setup),
    /// Run against a small server inside this tool: shows the tool's own limit, and that each breach is found.
    SelfTest(SelfTest),
    /// Only the small server of `self-test`; prints its address. For pinning it to a core of its own.
    Loopback(Misbehave),
}

/// Which server, and with whom.
#[derive(Clone, Debug, Args)]
pub struct Company {
    /// Address of the server.
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    pub url: String,
    /// People and rooms made by `setup`. Made by this run, and kept here, if the file does not exist; its size then wins over the options below.
    #[arg(long)]
    pub cast: Option<PathBuf>,
    /// Process of the server, to tell what it uses.
    #[arg(long)]
    pub server_pid: Option<u32>,
    /// Handshakes under way at the same time.
    #[arg(long, default_value_t = 64)]
    pub connect_at_once: usize,
    /// Span over which bots come back that were told to come back later (the protocol's minute).
    #[arg(long, default_value = "60s", value_parser = duration)]
    pub later: Duration,
    /// Write the report as JSON to this file.
    #[arg(long)]
    pub json: Option<PathBuf>,
}

/// How many people and rooms.
#[derive(Clone, Copy, Debug, Args)]
pub struct Size {
    /// People, each with one connection.
    #[arg(long, default_value_t = 100)]
    pub bots: usize,
    /// People in each room.
    #[arg(long, default_value_t = 4)]
    pub room_size: usize,
    /// Rooms; as many as give everybody one if absent.
    #[arg(long)]
    pub rooms: Option<usize>,
}

impl Size {
    pub fn shape(self) -> Shape {
        let room_size = self.room_size.clamp(1, self.bots.max(1));
        Shape { people: self.bots, rooms: self.rooms.unwrap_or(self.bots.div_ceil(room_size)), room_size }
    }
}

/// `setup`.
#[derive(Debug, Args)]
pub struct Setup {
    /// Address of the server; best started with a low bcrypt cost, open registration and rates off.
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    pub url: String,
    #[command(flatten)]
    pub size: Size,
    /// Where to keep them.
    #[arg(long, default_value = "cast.json")]
    pub cast: PathBuf,
}

/// What is posted, and how it is looked at.
#[derive(Clone, Debug, Args)]
pub struct Talk {
    /// Posts per second in all rooms together, whatever the server does (open loop).
    #[arg(long, default_value_t = 100.0, conflicts_with = "closed_loop")]
    pub rate: f64,
    /// Post as fast as the server answers, instead of at a rate.
    #[arg(long)]
    pub closed_loop: bool,
    /// Unfinished posts per room in a closed loop.
    #[arg(long, default_value_t = 1, requires = "closed_loop")]
    pub outstanding: usize,
    /// When a post of a closed loop is finished.
    #[arg(long, value_enum, default_value_t = Release::Delivered, requires = "closed_loop")]
    pub release: Release,
    /// Members of each room who post.
    #[arg(long, default_value_t = usize::MAX, hide_default_value = true)]
    pub senders: usize,
    /// What people do: only post, or all that belongs to a conversation.
    #[arg(long, value_enum, default_value_t = Mix::Posts)]
    pub mix: Mix,
    /// Every so many posts of each sender mention the whole room; 0: none. Only moderators may, so with --senders 1.
    #[arg(long, default_value_t = 0)]
    pub mention_every: u32,
    /// Who blocks somebody must see nothing of theirs so long after the answer, even if nothing told of the block (the protocol's second, and slack).
    #[arg(long, default_value = "3s", value_parser = duration)]
    pub felt_within: Duration,
    /// Bytes of each text (at least what its stamp takes, about 45).
    #[arg(long, default_value_t = 64)]
    pub text_bytes: usize,
    /// Length of the measured window.
    #[arg(long, default_value = "30s", value_parser = duration)]
    pub duration: Duration,
    /// Posts before the measured window.
    #[arg(long, default_value = "3s", value_parser = duration)]
    pub warm_up: Duration,
    /// Longest wait for the last answers and deliveries.
    #[arg(long, default_value = "30s", value_parser = duration)]
    pub settle: Duration,
    /// Read every frame in full and compare what it says with the store, not only its place and stamp.
    /// Absent: in full up to 50,000 expected deliveries per second of an open loop, else by place and stamp.
    #[arg(long)]
    pub verify: Option<bool>,
    /// Do not read the history back: no verdict.
    #[arg(long)]
    pub no_judge: bool,
    /// Tell in the JSON each delivery, refusal and lost socket, too, of each kind at most so many.
    #[arg(long, default_value_t = 0)]
    pub journal: usize,
    /// Keep the ledger here, for `verify`.
    #[arg(long)]
    pub ledger: Option<PathBuf>,
}

/// `run`.
#[derive(Debug, Args)]
pub struct Run {
    #[command(flatten)]
    pub company: Company,
    #[command(flatten)]
    pub size: Size,
    #[command(flatten)]
    pub talk: Talk,
}

/// `idle` and `connect`.
#[derive(Debug, Args)]
pub struct Sessions {
    #[command(flatten)]
    pub company: Company,
    /// Sessions to open.
    #[arg(long, default_value_t = 5000)]
    pub sessions: usize,
    /// Accounts they belong to; as many as sessions if absent.
    #[arg(long)]
    pub accounts: Option<usize>,
    /// Put the people into rooms of this size; they then subscribe, and resume in later rounds.
    #[arg(long)]
    pub room_size: Option<usize>,
    /// How long sessions are held. Default: 30s for `idle`, 0s for `connect`.
    #[arg(long, value_parser = duration)]
    pub hold: Option<Duration>,
    /// How often everybody connects. Default: 1 for `idle`, 5 for `connect`.
    #[arg(long)]
    pub rounds: Option<usize>,
}

/// `verify`.
#[derive(Debug, Args)]
pub struct Verify {
    /// Address of the server.
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    pub url: String,
    /// The people and rooms of that run.
    #[arg(long)]
    pub cast: PathBuf,
    /// What that run kept.
    #[arg(long)]
    pub ledger: PathBuf,
}

/// `self-test`.
#[derive(Debug, Args)]
pub struct SelfTest {
    #[command(flatten)]
    pub size: Size,
    #[command(flatten)]
    pub talk: Talk,
    #[command(flatten)]
    pub misbehave: Misbehave,
    /// Write the report as JSON to this file.
    #[arg(long)]
    pub json: Option<PathBuf>,
}

/// How the loopback server behaves.
#[derive(Clone, Copy, Debug, Args)]
pub struct Misbehave {
    /// Break this promise now and then; the exit code of a run must then be 1.
    #[arg(long, value_enum)]
    pub breach: Option<Breach>,
    /// Cut connections and refuse posts now and then; the exit code of a run must still be 0.
    #[arg(long)]
    pub trouble: bool,
}

/// Above so many expected deliveries a second, frames are not read in full unless asked.
const IN_FULL_UP_TO: f64 = 50_000.0;

impl Talk {
    /// The plan for a server at `url`.
    pub fn plan(&self, url: &str, size: Size, connect_at_once: usize, later: Duration, server_pid: Option<u32>) -> Plan {
        let moderate = !self.closed_loop && self.rate * size.shape().room_size as f64 <= IN_FULL_UP_TO;
        Plan {
            url: url.to_owned(),
            load: if self.closed_loop { Load::Outstanding(self.outstanding.max(1)) } else { Load::Rate(self.rate) },
            senders: self.senders,
            // Who converses comes and goes: "everybody has it" has no fixed meaning.
            release: if self.mix.converses() { Release::Acknowledged } else { self.release },
            warm_up: self.warm_up,
            duration: self.duration,
            settle: self.settle,
            manners: Manners {
                at_once: connect_at_once.max(1),
                later,
                in_full: self.verify.unwrap_or(moderate),
                text_bytes: self.text_bytes,
                mix: self.mix,
                felt_within: self.felt_within,
            },
            mention_every: self.mention_every,
            server_pid,
            judge: !self.no_judge,
            journal: self.journal,
            command: std::env::args().collect::<Vec<_>>().join(" "),
        }
    }
}

impl Sessions {
    /// The plan; `idle` says which of the two commands asks.
    pub fn plan(&self, idle: bool) -> Hold {
        let Company { url, server_pid, connect_at_once, later, .. } = &self.company;
        let (hold, rounds) = if idle { (Duration::from_secs(30), 1) } else { (Duration::ZERO, 5) };
        Hold {
            url: url.clone(),
            manners: Manners {
                at_once: (*connect_at_once).max(1),
                later: *later,
                in_full: false,
                text_bytes: 0,
                mix: Mix::Posts,
                felt_within: Duration::ZERO,
            },
            rounds: self.rounds.unwrap_or(rounds),
            hold: self.hold.unwrap_or(hold),
            server_pid: *server_pid,
        }
    }

    /// Who is needed.
    pub fn shape(&self) -> Shape {
        let people = self.accounts.unwrap_or(self.sessions).max(1);
        match self.room_size {
            Some(size) => Shape { people, rooms: people.div_ceil(size.max(1)), room_size: size.clamp(1, people) },
            None => Shape { people, rooms: 0, room_size: 0 },
        }
    }
}

/// Reads `30s`, `250ms`, `2m` or `1h`.
fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: f64 = number.parse().map_err(|_| "a number and a unit, such as 30s, 250ms or 2m".to_owned())?;
    let unit = match unit {
        "ms" => 0.001,
        "s" | "" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err("the unit is ms, s, m or h".to_owned()),
    };
    Duration::try_from_secs_f64(number * unit).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn durations_have_units() {
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("1.5m"), Ok(Duration::from_secs(90)));
        assert!(duration("3x").is_err() && duration("s").is_err() && duration("").is_err());
    }

    #[test]
    fn rooms_are_as_many_as_give_everybody_a_seat() {
        let size = Size { bots: 2000, room_size: 4, rooms: None };
        assert_eq!(size.shape(), Shape { people: 2000, rooms: 500, room_size: 4 });
        let size = Size { bots: 10, room_size: 1000, rooms: None };
        assert_eq!(size.shape(), Shape { people: 10, rooms: 1, room_size: 10 });
    }
}
