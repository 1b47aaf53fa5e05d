-- What is a person's own: how they stand to others, what they have read, what they prefer, what they have not sent yet. The same tables as
-- in ../../mysql: one schema.rs serves both.
--
-- A row is an item of its person's stream and lies at a revision of it, which is no other row's. Only those who changed something have rows;
-- what is taken back stays as a row that says so, because somebody may have to be told (I7). Written under the lock of the person's row.

-- One of two people blocks the other: nobody posts. Only direct rooms; follows `relations`, under the locks of room and people.
ALTER TABLE rooms ADD COLUMN blocked BOOLEAN NOT NULL DEFAULT FALSE;

CREATE TABLE relations (
    user BLOB NOT NULL,
    other BLOB NOT NULL,
    blocked BOOLEAN NOT NULL,
    muted BOOLEAN NOT NULL,
    changed_at TIMESTAMP NOT NULL,
    stream_revision BIGINT NOT NULL,
    -- The stream revision at which `blocked` last changed: only then rooms are fetched again.
    blocked_revision BIGINT NOT NULL,
    PRIMARY KEY (user, other)
) WITHOUT ROWID;

CREATE INDEX relations_by_stream ON relations (user, stream_revision);

-- Who blocks somebody.
CREATE INDEX relations_by_other ON relations (other, blocked, user);

CREATE TABLE read_marks (
    user BLOB NOT NULL,
    room BLOB NOT NULL,
    -- Read up to here, and received up to there; neither ever falls, and nothing is read that was not received.
    seq BIGINT NOT NULL,
    delivered BIGINT NOT NULL,
    -- At which `seq` last rose; what is received is no part of the stream.
    stream_revision BIGINT NOT NULL,
    PRIMARY KEY (user, room)
) WITHOUT ROWID;

CREATE INDEX read_marks_by_stream ON read_marks (user, stream_revision);

-- The receipts of a room.
CREATE INDEX read_marks_by_room ON read_marks (room, user);

CREATE TABLE room_preferences (
    user BLOB NOT NULL,
    room BLOB NOT NULL,
    -- A far end stands for good.
    muted_until TIMESTAMP,
    notify SMALLINT NOT NULL,
    stream_revision BIGINT NOT NULL,
    PRIMARY KEY (user, room)
) WITHOUT ROWID;

CREATE INDEX room_preferences_by_stream ON room_preferences (user, stream_revision);

CREATE TABLE thread_preferences (
    user BLOB NOT NULL,
    room BLOB NOT NULL,
    -- The first message of the thread.
    thread BIGINT NOT NULL,
    following SMALLINT NOT NULL,
    muted_until TIMESTAMP,
    stream_revision BIGINT NOT NULL,
    PRIMARY KEY (user, room, thread)
) WITHOUT ROWID;

CREATE INDEX thread_preferences_by_stream ON thread_preferences (user, stream_revision);

-- Who follows a thread.
CREATE INDEX thread_preferences_by_thread ON thread_preferences (room, thread, user);

CREATE TABLE drafts (
    user BLOB NOT NULL,
    room BLOB NOT NULL,
    -- The first message of the thread; zero: in the room.
    thread BIGINT NOT NULL,
    -- Nothing: there is none any more.
    text TEXT NOT NULL,
    changed_at TIMESTAMP NOT NULL,
    stream_revision BIGINT NOT NULL,
    PRIMARY KEY (user, room, thread)
) WITHOUT ROWID;

CREATE INDEX drafts_by_stream ON drafts (user, stream_revision);

CREATE TABLE preferences (
    user BLOB NOT NULL PRIMARY KEY,
    receipts BOOLEAN NOT NULL,
    direct SMALLINT NOT NULL,
    -- Minutes of the person's day; both or neither.
    quiet_from SMALLINT,
    quiet_until SMALLINT,
    notify SMALLINT NOT NULL,
    stream_revision BIGINT NOT NULL
) WITHOUT ROWID;

-- Words a person wants to be told of; they change with the row in `preferences`.
CREATE TABLE keywords (
    user BLOB NOT NULL,
    -- The folded word, by which texts are compared.
    word_key TEXT NOT NULL,
    word TEXT NOT NULL,
    PRIMARY KEY (user, word_key)
) WITHOUT ROWID;

-- Who is to be told of a word.
CREATE INDEX keywords_by_word ON keywords (word_key, user);
