-- What is a person's own: how they stand to others, what they have read, what they prefer, what they have not sent yet. The same tables as
-- in ../../sqlite: one schema.rs serves both.
--
-- A row is an item of its person's stream and lies at a revision of it, which is no other row's. Only those who changed something have rows;
-- what is taken back stays as a row that says so, because somebody may have to be told (I7). Written under the lock of the person's row.

-- One of two people blocks the other: nobody posts. Only direct rooms; follows `relations`, under the locks of room and people.
ALTER TABLE rooms ADD COLUMN blocked BOOLEAN NOT NULL DEFAULT FALSE;

CREATE TABLE relations (
    user BINARY(16) NOT NULL,
    other BINARY(16) NOT NULL,
    blocked BOOLEAN NOT NULL,
    muted BOOLEAN NOT NULL,
    changed_at DATETIME(6) NOT NULL,
    stream_revision BIGINT NOT NULL,
    -- The stream revision at which `blocked` last changed: only then rooms are fetched again.
    blocked_revision BIGINT NOT NULL,
    PRIMARY KEY (user, other),
    KEY relations_by_stream (user, stream_revision),
    -- Who blocks somebody.
    KEY relations_by_other (other, blocked, user)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE read_marks (
    user BINARY(16) NOT NULL,
    room BINARY(16) NOT NULL,
    -- Read up to here, and received up to there; neither ever falls, and nothing is read that was not received.
    seq BIGINT NOT NULL,
    delivered BIGINT NOT NULL,
    -- At which `seq` last rose; what is received is no part of the stream.
    stream_revision BIGINT NOT NULL,
    PRIMARY KEY (user, room),
    KEY read_marks_by_stream (user, stream_revision),
    -- The receipts of a room.
    KEY read_marks_by_room (room, user)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE room_preferences (
    user BINARY(16) NOT NULL,
    room BINARY(16) NOT NULL,
    -- A far end stands for good.
    muted_until DATETIME(6),
    notify SMALLINT NOT NULL,
    stream_revision BIGINT NOT NULL,
    PRIMARY KEY (user, room),
    KEY room_preferences_by_stream (user, stream_revision)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE thread_preferences (
    user BINARY(16) NOT NULL,
    room BINARY(16) NOT NULL,
    -- The first message of the thread.
    thread BIGINT NOT NULL,
    following SMALLINT NOT NULL,
    muted_until DATETIME(6),
    stream_revision BIGINT NOT NULL,
    PRIMARY KEY (user, room, thread),
    KEY thread_preferences_by_stream (user, stream_revision),
    -- Who follows a thread.
    KEY thread_preferences_by_thread (room, thread, user)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE drafts (
    user BINARY(16) NOT NULL,
    room BINARY(16) NOT NULL,
    -- The first message of the thread; zero: in the room.
    thread BIGINT NOT NULL,
    -- Nothing: there is none any more.
    text MEDIUMTEXT NOT NULL,
    changed_at DATETIME(6) NOT NULL,
    stream_revision BIGINT NOT NULL,
    PRIMARY KEY (user, room, thread),
    KEY drafts_by_stream (user, stream_revision)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE preferences (
    user BINARY(16) NOT NULL PRIMARY KEY,
    receipts BOOLEAN NOT NULL,
    direct SMALLINT NOT NULL,
    -- Minutes of the person's day; both or neither.
    quiet_from SMALLINT,
    quiet_until SMALLINT,
    notify SMALLINT NOT NULL,
    stream_revision BIGINT NOT NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Words a person wants to be told of; they change with the row in `preferences`.
CREATE TABLE keywords (
    user BINARY(16) NOT NULL,
    -- The folded word, by which texts are compared.
    word_key VARCHAR(255) NOT NULL,
    word VARCHAR(255) NOT NULL,
    PRIMARY KEY (user, word_key),
    -- Who is to be told of a word.
    KEY keywords_by_word (word_key, user)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
