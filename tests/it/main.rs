//! Hubbub from outside: real sockets, real databases, one binary. One file per feature; `support` starts servers and plays people.
//!
//! Each test starts its own server on a free port with a database of its own. `HUBBUB_TEST_DATABASE` names the MySQL or MariaDB
//! server to use (`mysql://user:password@host:port`); without it the tests run on SQLite.

mod support;

mod promises;
mod talk;
