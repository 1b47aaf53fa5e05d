-- What moderators and administrators do, what people report, what may not be said. The same tables as in ../../mysql: one schema.rs serves
-- both.

-- One row for each deed, written with it and never changed. The id begins with the time, so its order is that of the deeds.
CREATE TABLE audit (
    id BLOB NOT NULL PRIMARY KEY,
    at TIMESTAMP NOT NULL,
    -- NULL: the operator on the command line.
    actor BLOB,
    action SMALLINT NOT NULL,
    room BLOB,
    subject BLOB,
    seq BIGINT,
    reason TEXT,
    detail TEXT
) WITHOUT ROWID;

CREATE INDEX audit_by_room ON audit (room, id);
CREATE INDEX audit_by_actor ON audit (actor, id);
CREATE INDEX audit_by_subject ON audit (subject, id);

CREATE TABLE reports (
    id BLOB NOT NULL PRIMARY KEY,
    state SMALLINT NOT NULL,
    -- NULL: the server itself, by a filter or the filter hook.
    reporter BLOB,
    -- Both NULL where a person is reported and no message.
    room BLOB,
    seq BIGINT,
    -- Who is reported.
    subject BLOB NOT NULL,
    reason SMALLINT NOT NULL,
    text TEXT,
    -- The message and those around it as the reporter saw them, as JSON: what becomes of them later does not change it.
    context TEXT NOT NULL,
    created_at TIMESTAMP NOT NULL,
    handled_at TIMESTAMP,
    handled_by BLOB,
    note TEXT,
    -- Reporter and target while it is open: one open report of each by each. NULL once it is handled.
    open_key BLOB UNIQUE
) WITHOUT ROWID;

-- The queue, and that of a room.
CREATE INDEX reports_by_state ON reports (state, id);
CREATE INDEX reports_by_room ON reports (room, state, id);
-- What is old enough to be thrown away.
CREATE INDEX reports_by_end ON reports (handled_at);

CREATE TABLE filters (
    id BLOB NOT NULL PRIMARY KEY,
    -- NULL: it holds in every room.
    room BLOB,
    kind SMALLINT NOT NULL,
    pattern TEXT NOT NULL,
    action SMALLINT NOT NULL,
    created_by BLOB NOT NULL,
    created_at TIMESTAMP NOT NULL
) WITHOUT ROWID;

CREATE INDEX filters_by_room ON filters (room, id);

-- Counts the changes of the filters that hold everywhere; its lock is theirs. The row comes with the first change: a restore fills empty tables.
CREATE TABLE filter_set (
    one SMALLINT NOT NULL PRIMARY KEY CHECK (one = 1),
    revision BIGINT NOT NULL
);

-- The revision at which the room's filters last changed.
ALTER TABLE rooms ADD COLUMN filters_revision BIGINT NOT NULL DEFAULT 0;
