//! Register, log in, logins, profile: what a person owns.
