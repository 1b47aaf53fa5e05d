//! Which database the tests run on. Whoever makes a database for a test asks here: the tests of the store, of the server and of the swarm.
//!
//! `HUBBUB_TEST_DATABASE` is unset or `sqlite`, or names a MySQL or MariaDB server: `mysql://user:password@host:port`. Anything else fails
//! the tests. Taken for SQLite, a value that is empty or mistyped would let a run that is meant for a server pass without one.
//!
//! A few tests are about one of the two alone. A test can only pass or fail, so on the other one they pass and show nothing; the functions
//! below say so, and are the only way in which a test may end early. `scripts/test` runs all tests on both, so each of these once in earnest.

use std::io::Write;

const NAME: &str = "HUBBUB_TEST_DATABASE";

/// What the tests run on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TestDatabase {
    /// A file of each test's own.
    Sqlite,
    /// A database of each test's own on the server of this URL, which has no slash at its end.
    Mysql(String),
}

impl TestDatabase {
    /// The one that the environment names.
    ///
    /// # Panics
    /// If it names none.
    #[must_use]
    pub fn named() -> Self {
        let value = std::env::var_os(NAME).map(|value| value.to_string_lossy().into_owned());
        Self::by(value.as_deref()).unwrap_or_else(|wrong| panic!("{wrong}"))
    }

    fn by(value: Option<&str>) -> Result<Self, String> {
        match value {
            None | Some("sqlite") => Ok(Self::Sqlite),
            Some(url) if url.starts_with("mysql://") => Ok(Self::Mysql(url.trim_end_matches('/').to_owned())),
            Some(other) => {
                Err(format!("{NAME} is {other:?}; it is to be unset, `sqlite`, or a server: `mysql://user:password@host:port`"))
            }
        }
    }
}

/// Whether a test about SQLite alone is to end here, as the tests run on a server. Then `why` it has nothing to show there is said.
#[must_use]
pub fn left_out_on_mysql(why: &str) -> bool {
    TestDatabase::named() != TestDatabase::Sqlite && left_out("MySQL", why)
}

/// Whether a test about MySQL alone is to end here, as the tests run on SQLite. Then `why` it has nothing to show there is said.
#[must_use]
pub fn left_out_on_sqlite(why: &str) -> bool {
    TestDatabase::named() == TestDatabase::Sqlite && left_out("SQLite", why)
}

fn left_out(on: &str, why: &str) -> bool {
    let thread = std::thread::current();
    // Not `eprintln!`: what a passing test prints with it nobody sees. (Under nextest: with `--success-output immediate`.)
    drop(writeln!(std::io::stderr(), "not shown on {on}: {}: {why}", thread.name().unwrap_or("a test")));
    true
}

#[cfg(test)]
mod tests {
    use super::TestDatabase;

    #[test]
    fn only_what_names_a_database_is_taken_for_one() {
        assert_eq!(TestDatabase::by(None), Ok(TestDatabase::Sqlite));
        assert_eq!(TestDatabase::by(Some("sqlite")), Ok(TestDatabase::Sqlite));
        let server = Ok(TestDatabase::Mysql("mysql://root@127.0.0.1:3306".to_owned()));
        assert_eq!(TestDatabase::by(Some("mysql://root@127.0.0.1:3306/")), server);
        for wrong in ["", " ", "SQLite", "mysql", "mariadb", "mariadb://root@127.0.0.1:3306", "root@127.0.0.1:3306"] {
            let refused = TestDatabase::by(Some(wrong)).expect_err(wrong);
            assert!(refused.contains("HUBBUB_TEST_DATABASE"), "{refused}");
        }
    }
}
