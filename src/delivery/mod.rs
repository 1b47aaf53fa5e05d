//! Fan-out: from one envelope to every outbox of this thread.
