-- Messages that change, and what belongs to them. The same tables as in ../../sqlite: one schema.rs serves both.
--
-- What belongs to a message is kept beside it, so that a message without any of it is stored as cheaply as before, and changes under
-- the revision of the message's own row: resuming finds it there (I7).

ALTER TABLE messages
    -- The first message of the thread it is in.
    ADD COLUMN thread BIGINT,
    -- The message of this room it quotes.
    ADD COLUMN quote BIGINT,
    -- Where a forwarded text comes from.
    ADD COLUMN origin_room BINARY(16),
    ADD COLUMN origin_seq BIGINT,
    ADD COLUMN origin_author BINARY(16),
    -- Whom it mentions: bits for everybody (1) and who is online (2), then the ids of people.
    ADD COLUMN mentions VARBINARY(2000),
    ADD COLUMN edited_at DATETIME(6),
    -- Set once it is deleted: its text is gone, its number stays (I1).
    ADD COLUMN deleted_at DATETIME(6),
    ADD COLUMN deleted_by BINARY(16),
    ADD COLUMN pinned_at DATETIME(6),
    ADD COLUMN pinned_by BINARY(16),
    -- How many messages of its thread there are that are not deleted, and the newest one.
    ADD COLUMN reply_count BIGINT NOT NULL DEFAULT 0,
    ADD COLUMN last_reply BIGINT,
    -- How many rows of `reactions` it has.
    ADD COLUMN reaction_count BIGINT NOT NULL DEFAULT 0;

-- Texts that were replaced by an edit, for moderators. Deleting the message deletes them.
CREATE TABLE edits (
    room BINARY(16) NOT NULL,
    seq BIGINT NOT NULL,
    -- The message's revision while this was its text.
    revision BIGINT NOT NULL,
    body MEDIUMTEXT NOT NULL,
    -- When it was written, and when it was replaced.
    written_at DATETIME(6) NOT NULL,
    replaced_at DATETIME(6) NOT NULL,
    PRIMARY KEY (room, seq, revision)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE reactions (
    room BINARY(16) NOT NULL,
    seq BIGINT NOT NULL,
    emoji VARCHAR(64) NOT NULL,
    user BINARY(16) NOT NULL,
    -- When it came: the order in which reactions are shown.
    revision BIGINT NOT NULL,
    PRIMARY KEY (room, seq, emoji, user)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- The messages of a thread, without its first.
CREATE TABLE replies (
    room BINARY(16) NOT NULL,
    thread BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    author BINARY(16) NOT NULL,
    PRIMARY KEY (room, thread, seq),
    -- The threads somebody takes part in.
    KEY replies_by_author (author, room, thread)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Who is mentioned where; the nil id stands for everybody in the room.
CREATE TABLE mentions (
    room BINARY(16) NOT NULL,
    user BINARY(16) NOT NULL,
    seq BIGINT NOT NULL,
    author BINARY(16) NOT NULL,
    PRIMARY KEY (room, user, seq),
    -- What a message mentioned, when its text changes.
    KEY mentions_by_message (room, seq)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- The pinned messages of a room: an index on `messages` would be paid for by every post.
CREATE TABLE pins (
    room BINARY(16) NOT NULL,
    seq BIGINT NOT NULL,
    PRIMARY KEY (room, seq)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
