//! Who is online where, until when.
