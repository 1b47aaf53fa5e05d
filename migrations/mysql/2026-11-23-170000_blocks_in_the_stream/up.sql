-- A block keeps its own place in the stream when something else is decided about the same person later. As in ../../sqlite.
CREATE INDEX relations_by_block ON relations (user, blocked_revision);
