-- What moderators and administrators do, what people report, what may not be said. The same tables as in ../../sqlite: one schema.rs serves
-- both.

-- One row for each deed, written with it and never changed. The id begins with the time, so its order is that of the deeds.
CREATE TABLE audit (
    id BINARY(16) NOT NULL PRIMARY KEY,
    at DATETIME(6) NOT NULL,
    -- NULL: the operator on the command line.
    actor BINARY(16),
    action SMALLINT NOT NULL,
    room BINARY(16),
    subject BINARY(16),
    seq BIGINT,
    reason TEXT,
    detail TEXT,
    KEY audit_by_room (room, id),
    KEY audit_by_actor (actor, id),
    KEY audit_by_subject (subject, id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE reports (
    id BINARY(16) NOT NULL PRIMARY KEY,
    state SMALLINT NOT NULL,
    -- NULL: the server itself, by a filter or the filter hook.
    reporter BINARY(16),
    -- Both NULL where a person is reported and no message.
    room BINARY(16),
    seq BIGINT,
    -- Who is reported.
    subject BINARY(16) NOT NULL,
    reason SMALLINT NOT NULL,
    text TEXT,
    -- The message and those around it as the reporter saw them, as JSON: what becomes of them later does not change it.
    context MEDIUMTEXT NOT NULL,
    created_at DATETIME(6) NOT NULL,
    handled_at DATETIME(6),
    handled_by BINARY(16),
    note TEXT,
    -- Reporter and target while it is open: one open report of each by each. NULL once it is handled.
    open_key VARBINARY(48) UNIQUE,
    -- The queue, and that of a room.
    KEY reports_by_state (state, id),
    KEY reports_by_room (room, state, id),
    -- What is old enough to be thrown away.
    KEY reports_by_end (handled_at)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE filters (
    id BINARY(16) NOT NULL PRIMARY KEY,
    -- NULL: it holds in every room.
    room BINARY(16),
    kind SMALLINT NOT NULL,
    pattern TEXT NOT NULL,
    action SMALLINT NOT NULL,
    created_by BINARY(16) NOT NULL,
    created_at DATETIME(6) NOT NULL,
    KEY filters_by_room (room, id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Counts the changes of the filters that hold everywhere; its lock is theirs. The row comes with the first change: a restore fills empty tables.
CREATE TABLE filter_set (
    one SMALLINT NOT NULL PRIMARY KEY CHECK (one = 1),
    revision BIGINT NOT NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- The revision at which the room's filters last changed.
ALTER TABLE rooms ADD COLUMN filters_revision BIGINT NOT NULL DEFAULT 0;
