-- Whose words were forwarded into which room: who blocks somebody finds by it the rooms that show words of theirs, though they were never
-- there. An index on `messages` would be paid for by every post. The same table as in ../../sqlite: one schema.rs serves both.

CREATE TABLE origins (
    -- Whoever said it first.
    author BINARY(16) NOT NULL,
    room BINARY(16) NOT NULL,
    PRIMARY KEY (author, room)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

INSERT INTO origins (author, room) SELECT DISTINCT origin_author, room FROM messages WHERE origin_author IS NOT NULL;
