//! The database under a drill: SQLite in the data folder, or one private MariaDB for all drills, each with a database of its own.

use crate::Failed;
use crate::maria::Maria;
use crate::proxy::Proxy;
use crate::server::Place;
use diesel::connection::SimpleConnection;
use diesel::{Connection, SqliteConnection};
use std::path::Path;

/// Which one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Sqlite,
    Maria,
}

impl Kind {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Maria => "MariaDB",
        }
    }

    pub const fn flag(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Maria => "mariadb",
        }
    }
}

/// A COMMIT in so many is lost when any is to be.
const LOSE_ONE_IN: u64 = 20;

/// See the module.
#[derive(Debug)]
pub enum Database {
    Sqlite,
    Maria { server: Maria, proxy: Option<Proxy>, name: String },
}

impl Database {
    pub fn open(kind: Kind, script: &Path, folder: &Path) -> Result<Self, Failed> {
        Ok(match kind {
            Kind::Sqlite => Self::Sqlite,
            Kind::Maria => {
                Self::Maria { server: Maria::start(script, &folder.join("mariadb"))?, proxy: None, name: String::new() }
            }
        })
    }

    pub const fn kind(&self) -> Kind {
        match self {
            Self::Sqlite => Kind::Sqlite,
            Self::Maria { .. } => Kind::Maria,
        }
    }

    /// An empty database for a drill; its URL for the server.
    pub fn prepare(&mut self, drill: &str, through_proxy: bool) -> Result<String, Failed> {
        let Self::Maria { server, proxy, name } = self else { return Ok(String::new()) };
        *name = format!("drill_{}", drill.replace('-', "_"));
        server.sql(&format!("DROP DATABASE IF EXISTS {name}; CREATE DATABASE {name} CHARACTER SET utf8mb4"))?;
        let to = format!("127.0.0.1:{}", server.port);
        *proxy = if through_proxy { Some(Proxy::start(to, LOSE_ONE_IN)?) } else { None };
        let port = proxy.as_ref().map_or(server.port, |proxy| proxy.port);
        Ok(format!("mysql://root@127.0.0.1:{port}/{name}"))
    }

    /// The MariaDB, for drills that only make sense there.
    pub fn maria(&mut self) -> Result<&mut Maria, Failed> {
        match self {
            Self::Maria { server, .. } => Ok(server),
            Self::Sqlite => Err("this drill is about MariaDB".into()),
        }
    }

    /// The proxy before it.
    pub fn proxy(&self) -> Result<&Proxy, Failed> {
        match self {
            Self::Maria { proxy: Some(proxy), .. } => Ok(proxy),
            _ => Err("this drill needs a proxy".into()),
        }
    }

    /// Ends all connections of the server under test.
    pub fn kill_connections(&self) -> Result<usize, Failed> {
        match self {
            Self::Maria { server, name, .. } => server.kill_connections(name),
            Self::Sqlite => Err("this drill is about MariaDB".into()),
        }
    }

    /// Makes an account an administrator.
    pub fn make_admin(&self, place: &Place, name: &str) -> Result<(), Failed> {
        match self {
            Self::Maria { server, name: database, .. } => {
                server.sql(&format!("UPDATE {database}.users SET admin = TRUE WHERE name = '{name}'")).map(|_| ())
            }
            Self::Sqlite => {
                let mut connection = sqlite(place)?;
                Ok(connection.batch_execute(&format!("UPDATE users SET admin = TRUE WHERE name = '{name}'"))?)
            }
        }
    }
}

/// Another process's connection to the server's file: this one.
pub fn sqlite(place: &Place) -> Result<SqliteConnection, Failed> {
    let file = place.data.join("hubbub.sqlite");
    let mut connection = SqliteConnection::establish(file.to_str().ok_or("the path is not UTF-8")?)?;
    connection.batch_execute("PRAGMA busy_timeout = 5000")?;
    Ok(connection)
}
