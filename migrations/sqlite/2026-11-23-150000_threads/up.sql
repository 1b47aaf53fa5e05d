-- The threads there are, by who began them: an index on `messages` would be paid for by every post. The same table as in ../../mysql: one
-- schema.rs serves both.

CREATE TABLE threads (
    room BLOB NOT NULL,
    -- The first message, and who said it.
    seq BIGINT NOT NULL,
    author BLOB NOT NULL,
    PRIMARY KEY (room, seq)
) WITHOUT ROWID;

CREATE INDEX threads_by_author ON threads (author, room, seq);

INSERT INTO threads (room, seq, author) SELECT room, seq, author FROM messages WHERE last_reply IS NOT NULL;
