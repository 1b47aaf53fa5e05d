-- People, rooms, memberships, messages. The same tables as in ../../mysql: one schema.rs serves both.
--
-- No foreign keys between these tables: nothing in them is ever deleted (people and rooms stay as tombstones), and a check of
-- one would lock rows of `users` in the middle of an append, against the lock order rooms, then users.

CREATE TABLE meta (
    one INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    -- Which history this is (I7): a restored backup begins another one.
    epoch BLOB NOT NULL
);

CREATE TABLE users (
    id BLOB NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    -- Case folded and without confusables; two people never share one. NULL once the account is deleted.
    name_key TEXT UNIQUE,
    display_name TEXT NOT NULL,
    -- Comparison form of the display name, for finding people.
    display_key TEXT NOT NULL,
    -- NULL: nobody can log in with a password.
    password_hash TEXT,
    admin BOOLEAN NOT NULL,
    disabled BOOLEAN NOT NULL,
    deleted BOOLEAN NOT NULL,
    invisible BOOLEAN NOT NULL,
    created_at TIMESTAMP NOT NULL,
    -- Head of the user stream (I7); the row's lock numbers it.
    stream_revision BIGINT NOT NULL,
    -- The stream revision at which name, display name or preferences last changed.
    profile_revision BIGINT NOT NULL,
    last_active_at TIMESTAMP
) WITHOUT ROWID;

-- Finding people by how they are shown.
CREATE INDEX users_by_display ON users (display_key, id);

CREATE TABLE rooms (
    id BLOB NOT NULL PRIMARY KEY,
    kind SMALLINT NOT NULL,
    name TEXT NOT NULL,
    -- The folded name, cut to what an index holds: for lists and finding, not for identity.
    name_key TEXT NOT NULL,
    topic TEXT NOT NULL,
    history SMALLINT NOT NULL,
    archived BOOLEAN NOT NULL,
    deleted BOOLEAN NOT NULL,
    -- The two people of a direct room, smaller id first: one room per pair.
    pair_key BLOB UNIQUE,
    created_by BLOB NOT NULL,
    created_at TIMESTAMP NOT NULL,
    -- From here on the counters: read under the row's lock by every change (I1).
    last_seq BIGINT NOT NULL,
    head BIGINT NOT NULL,
    policy_revision BIGINT NOT NULL,
    settings_revision BIGINT NOT NULL,
    last_created_at TIMESTAMP NOT NULL,
    member_count BIGINT NOT NULL
) WITHOUT ROWID;

-- The list of public rooms, in its order.
CREATE INDEX rooms_listed ON rooms (kind, deleted, archived, name_key, id);

CREATE TABLE members (
    room BLOB NOT NULL,
    user BLOB NOT NULL,
    state SMALLINT NOT NULL,
    role SMALLINT NOT NULL,
    visible_from_seq BIGINT NOT NULL,
    joined_revision BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    stream_revision BIGINT NOT NULL,
    by_user BLOB,
    reason TEXT,
    changed_at TIMESTAMP NOT NULL,
    PRIMARY KEY (room, user)
) WITHOUT ROWID;

-- Pages of members, invitations and bans, highest role first.
CREATE INDEX members_listed ON members (room, state, role, user);
-- Resume of a room (I7).
CREATE INDEX members_by_revision ON members (room, revision);
-- The rooms of a person.
CREATE INDEX members_by_user ON members (user, state, room);
-- Resume of a user stream (I7).
CREATE INDEX members_by_stream ON members (user, stream_revision);

CREATE TABLE messages (
    room BLOB NOT NULL,
    seq BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    author BLOB NOT NULL,
    client_id BLOB NOT NULL,
    -- Of the text as first posted: tells a repeat from another message under the same client_id, whatever became of the text.
    body_hash BLOB NOT NULL,
    body TEXT NOT NULL,
    created_at TIMESTAMP NOT NULL,
    -- A message's name for ever (I1); also the order of history pages.
    PRIMARY KEY (room, seq)
) WITHOUT ROWID;

-- One operation, one effect (I3). Led by the room, so that only holders of the room's lock touch the same place.
CREATE UNIQUE INDEX messages_by_client_id ON messages (room, author, client_id);
-- Resume of a room (I7).
CREATE INDEX messages_by_revision ON messages (room, revision);

CREATE TABLE notices (
    room BLOB NOT NULL,
    revision BIGINT NOT NULL,
    after_seq BIGINT NOT NULL,
    kind SMALLINT NOT NULL,
    actor BLOB NOT NULL,
    subject BLOB,
    text TEXT,
    created_at TIMESTAMP NOT NULL,
    PRIMARY KEY (room, revision)
) WITHOUT ROWID;

-- The timeline lines between two messages of a history page.
CREATE INDEX notices_by_place ON notices (room, after_seq, revision);

CREATE TABLE room_links (
    id BLOB NOT NULL PRIMARY KEY,
    room BLOB NOT NULL,
    -- SHA-256 of the secret; the secret itself is not kept (I12).
    secret_hash BLOB NOT NULL UNIQUE,
    created_by BLOB NOT NULL,
    created_at TIMESTAMP NOT NULL,
    expires_at TIMESTAMP,
    max_uses BIGINT,
    uses BIGINT NOT NULL
) WITHOUT ROWID;

CREATE INDEX room_links_by_room ON room_links (room, id);

-- Deleted rooms with people left whose streams do not say so yet: where to go on, whatever happens in between.
CREATE TABLE room_endings (
    room BLOB NOT NULL PRIMARY KEY
) WITHOUT ROWID;

-- The running servers, each with its last sign of life. One node only, until there is a bus.
CREATE TABLE nodes (
    id BLOB NOT NULL PRIMARY KEY,
    started_at TIMESTAMP NOT NULL,
    seen_at TIMESTAMP NOT NULL
) WITHOUT ROWID;

-- What is written only to see whether anything can be: a row for each persistence actor.
CREATE TABLE probes (
    lane INTEGER NOT NULL PRIMARY KEY,
    filler BLOB NOT NULL
);
