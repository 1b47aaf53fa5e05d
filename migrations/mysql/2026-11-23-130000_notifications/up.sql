-- Who is notified of what, and the messages of which nobody has been notified yet. The same tables as in ../../sqlite: one schema.rs serves
-- both.

CREATE TABLE notifications (
    user BINARY(16) NOT NULL,
    room BINARY(16) NOT NULL,
    seq BIGINT NOT NULL,
    kind SMALLINT NOT NULL,
    -- Who wrote the message.
    author BINARY(16) NOT NULL,
    -- It came in the person's quiet hours.
    quiet BOOLEAN NOT NULL,
    -- The message was deleted; the row stays, because somebody may have to be told (I7).
    gone BOOLEAN NOT NULL,
    created_at DATETIME(6) NOT NULL,
    -- An item of the person's stream, as in `relations`.
    stream_revision BIGINT NOT NULL,
    PRIMARY KEY (user, room, seq),
    KEY notifications_by_stream (user, stream_revision),
    -- Who was notified of a message.
    KEY notifications_by_message (room, seq, user)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Messages of which people are still to be notified, written with the message itself; also deleted ones, whose notifications are to be
-- taken back. Mostly empty.
CREATE TABLE notify_queue (
    room BINARY(16) NOT NULL,
    seq BIGINT NOT NULL,
    -- Everybody up to this id has been looked at.
    after_user BINARY(16),
    -- Its place: the oldest is worked on next, and goes to the end while more is to be done.
    queued_at DATETIME(6) NOT NULL,
    PRIMARY KEY (room, seq),
    KEY notify_queue_by_age (queued_at, room, seq)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Who wants to be told of everything: in a room, and in general. One look finds the rooms, another the people of one.
CREATE INDEX room_preferences_by_notify ON room_preferences (notify, room, user);
CREATE INDEX preferences_by_notify ON preferences (notify, user);
