-- The threads there are, by who began them: an index on `messages` would be paid for by every post. The same table as in ../../sqlite: one
-- schema.rs serves both.

CREATE TABLE threads (
    room BINARY(16) NOT NULL,
    -- The first message, and who said it.
    seq BIGINT NOT NULL,
    author BINARY(16) NOT NULL,
    PRIMARY KEY (room, seq),
    KEY threads_by_author (author, room, seq)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

INSERT INTO threads (room, seq, author) SELECT room, seq, author FROM messages WHERE last_reply IS NOT NULL;
