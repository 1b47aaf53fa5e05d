//! One person's connection.
