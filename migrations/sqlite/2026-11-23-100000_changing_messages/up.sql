-- Messages that change, and what belongs to them. The same tables as in ../../mysql: one schema.rs serves both.
--
-- What belongs to a message is kept beside it, so that a message without any of it is stored as cheaply as before, and changes under
-- the revision of the message's own row: resuming finds it there (I7).

-- The first message of the thread it is in.
ALTER TABLE messages ADD COLUMN thread BIGINT;
-- The message of this room it quotes.
ALTER TABLE messages ADD COLUMN quote BIGINT;
-- Where a forwarded text comes from.
ALTER TABLE messages ADD COLUMN origin_room BLOB;
ALTER TABLE messages ADD COLUMN origin_seq BIGINT;
ALTER TABLE messages ADD COLUMN origin_author BLOB;
-- Whom it mentions: bits for everybody (1) and who is online (2), then the ids of people.
ALTER TABLE messages ADD COLUMN mentions BLOB;
ALTER TABLE messages ADD COLUMN edited_at TIMESTAMP;
-- Set once it is deleted: its text is gone, its number stays (I1).
ALTER TABLE messages ADD COLUMN deleted_at TIMESTAMP;
ALTER TABLE messages ADD COLUMN deleted_by BLOB;
ALTER TABLE messages ADD COLUMN pinned_at TIMESTAMP;
ALTER TABLE messages ADD COLUMN pinned_by BLOB;
-- How many messages of its thread there are that are not deleted, and the newest one.
ALTER TABLE messages ADD COLUMN reply_count BIGINT NOT NULL DEFAULT 0;
ALTER TABLE messages ADD COLUMN last_reply BIGINT;
-- How many rows of `reactions` it has.
ALTER TABLE messages ADD COLUMN reaction_count BIGINT NOT NULL DEFAULT 0;

-- Texts that were replaced by an edit, for moderators. Deleting the message deletes them.
CREATE TABLE edits (
    room BLOB NOT NULL,
    seq BIGINT NOT NULL,
    -- The message's revision while this was its text.
    revision BIGINT NOT NULL,
    body TEXT NOT NULL,
    -- When it was written, and when it was replaced.
    written_at TIMESTAMP NOT NULL,
    replaced_at TIMESTAMP NOT NULL,
    PRIMARY KEY (room, seq, revision)
) WITHOUT ROWID;

CREATE TABLE reactions (
    room BLOB NOT NULL,
    seq BIGINT NOT NULL,
    emoji TEXT NOT NULL,
    user BLOB NOT NULL,
    -- When it came: the order in which reactions are shown.
    revision BIGINT NOT NULL,
    PRIMARY KEY (room, seq, emoji, user)
) WITHOUT ROWID;

-- The messages of a thread, without its first.
CREATE TABLE replies (
    room BLOB NOT NULL,
    thread BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    author BLOB NOT NULL,
    PRIMARY KEY (room, thread, seq)
) WITHOUT ROWID;

-- The threads somebody takes part in.
CREATE INDEX replies_by_author ON replies (author, room, thread);

-- Who is mentioned where; the nil id stands for everybody in the room.
CREATE TABLE mentions (
    room BLOB NOT NULL,
    user BLOB NOT NULL,
    seq BIGINT NOT NULL,
    author BLOB NOT NULL,
    PRIMARY KEY (room, user, seq)
) WITHOUT ROWID;

-- What a message mentioned, when its text changes.
CREATE INDEX mentions_by_message ON mentions (room, seq);

-- The pinned messages of a room: an index on `messages` would be paid for by every post.
CREATE TABLE pins (
    room BLOB NOT NULL,
    seq BIGINT NOT NULL,
    PRIMARY KEY (room, seq)
) WITHOUT ROWID;
