-- People, rooms, memberships, messages. The same tables as in ../../sqlite: one schema.rs serves both.
--
-- No foreign keys between these tables: nothing in them is ever deleted (people and rooms stay as tombstones), and a check of
-- one would lock rows of `users` in the middle of an append, against the lock order rooms, then users.

CREATE TABLE meta (
    one SMALLINT NOT NULL PRIMARY KEY CHECK (one = 1),
    -- Which history this is (I7): a restored backup begins another one.
    epoch BINARY(16) NOT NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE users (
    id BINARY(16) NOT NULL PRIMARY KEY,
    name VARCHAR(255) NOT NULL,
    -- Case folded and without confusables; two people never share one. NULL once the account is deleted.
    name_key VARCHAR(700) UNIQUE,
    display_name VARCHAR(255) NOT NULL,
    -- Comparison form of the display name, for finding people.
    display_key VARCHAR(255) NOT NULL,
    -- NULL: nobody can log in with a password.
    password_hash VARCHAR(255),
    admin BOOLEAN NOT NULL,
    disabled BOOLEAN NOT NULL,
    deleted BOOLEAN NOT NULL,
    invisible BOOLEAN NOT NULL,
    created_at DATETIME(6) NOT NULL,
    -- Head of the user stream (I7); the row's lock numbers it.
    stream_revision BIGINT NOT NULL,
    -- The stream revision at which name, display name or preferences last changed.
    profile_revision BIGINT NOT NULL,
    last_active_at DATETIME(6),
    -- Finding people by how they are shown.
    KEY users_by_display (display_key, id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE rooms (
    id BINARY(16) NOT NULL PRIMARY KEY,
    kind SMALLINT NOT NULL,
    name VARCHAR(255) NOT NULL,
    -- The folded name, cut to what an index holds: for lists and finding, not for identity.
    name_key VARCHAR(255) NOT NULL,
    topic TEXT NOT NULL,
    history SMALLINT NOT NULL,
    archived BOOLEAN NOT NULL,
    deleted BOOLEAN NOT NULL,
    -- The two people of a direct room, smaller id first: one room per pair.
    pair_key BINARY(32) UNIQUE,
    created_by BINARY(16) NOT NULL,
    created_at DATETIME(6) NOT NULL,
    -- From here on the counters: read under the row's lock by every change (I1).
    last_seq BIGINT NOT NULL,
    head BIGINT NOT NULL,
    policy_revision BIGINT NOT NULL,
    settings_revision BIGINT NOT NULL,
    last_created_at DATETIME(6) NOT NULL,
    member_count BIGINT NOT NULL,
    -- The list of public rooms, in its order.
    KEY rooms_listed (kind, deleted, archived, name_key, id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE members (
    room BINARY(16) NOT NULL,
    user BINARY(16) NOT NULL,
    state SMALLINT NOT NULL,
    role SMALLINT NOT NULL,
    visible_from_seq BIGINT NOT NULL,
    joined_revision BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    stream_revision BIGINT NOT NULL,
    by_user BINARY(16),
    reason TEXT,
    changed_at DATETIME(6) NOT NULL,
    PRIMARY KEY (room, user),
    -- Pages of members, invitations and bans, highest role first.
    KEY members_listed (room, state, role, user),
    -- Resume of a room (I7).
    KEY members_by_revision (room, revision),
    -- The rooms of a person.
    KEY members_by_user (user, state, room),
    -- Resume of a user stream (I7).
    KEY members_by_stream (user, stream_revision)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE messages (
    room BINARY(16) NOT NULL,
    seq BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    author BINARY(16) NOT NULL,
    client_id BINARY(16) NOT NULL,
    -- Of the text as first posted: tells a repeat from another message under the same client_id, whatever became of the text.
    body_hash BINARY(16) NOT NULL,
    body MEDIUMTEXT NOT NULL,
    created_at DATETIME(6) NOT NULL,
    -- A message's name for ever (I1); also the order of history pages.
    PRIMARY KEY (room, seq),
    -- One operation, one effect (I3). Led by the room, so that only holders of the room's lock touch the same place.
    UNIQUE KEY messages_by_client_id (room, author, client_id),
    -- Resume of a room (I7).
    KEY messages_by_revision (room, revision)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE notices (
    room BINARY(16) NOT NULL,
    revision BIGINT NOT NULL,
    after_seq BIGINT NOT NULL,
    kind SMALLINT NOT NULL,
    actor BINARY(16) NOT NULL,
    subject BINARY(16),
    text TEXT,
    created_at DATETIME(6) NOT NULL,
    PRIMARY KEY (room, revision),
    -- The timeline lines between two messages of a history page.
    KEY notices_by_place (room, after_seq, revision)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE room_links (
    id BINARY(16) NOT NULL PRIMARY KEY,
    room BINARY(16) NOT NULL,
    -- SHA-256 of the secret; the secret itself is not kept (I12).
    secret_hash BINARY(32) NOT NULL UNIQUE,
    created_by BINARY(16) NOT NULL,
    created_at DATETIME(6) NOT NULL,
    expires_at DATETIME(6),
    max_uses BIGINT,
    uses BIGINT NOT NULL,
    KEY room_links_by_room (room, id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Deleted rooms with people left whose streams do not say so yet: where to go on, whatever happens in between.
CREATE TABLE room_endings (
    room BINARY(16) NOT NULL PRIMARY KEY
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- The running servers, each with its last sign of life. One node only, until there is a bus.
CREATE TABLE nodes (
    id BINARY(16) NOT NULL PRIMARY KEY,
    started_at DATETIME(6) NOT NULL,
    seen_at DATETIME(6) NOT NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- What is written only to see whether anything can be: a row for each persistence actor.
CREATE TABLE probes (
    lane SMALLINT NOT NULL PRIMARY KEY,
    filler BLOB NOT NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
