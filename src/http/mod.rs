//! Routes, extractors, status codes.
