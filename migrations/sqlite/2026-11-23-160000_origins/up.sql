-- Whose words were forwarded into which room: who blocks somebody finds by it the rooms that show words of theirs, though they were never
-- there. An index on `messages` would be paid for by every post. The same table as in ../../mysql: one schema.rs serves both.

CREATE TABLE origins (
    -- Whoever said it first.
    author BLOB NOT NULL,
    room BLOB NOT NULL,
    PRIMARY KEY (author, room)
) WITHOUT ROWID;

INSERT INTO origins (author, room) SELECT DISTINCT origin_author, room FROM messages WHERE origin_author IS NOT NULL;
