-- Who may post, when and how often. The same columns as in ../../sqlite: one schema.rs serves both.

ALTER TABLE members
    -- Until when a moderator has silenced them. It outlasts leaving and coming back.
    ADD COLUMN silenced_until DATETIME(6),
    -- Their newest post while the room was in slow mode; nobody else pays for it.
    ADD COLUMN last_post_at DATETIME(6),
    -- Who is silenced in a room, in the order in which it ends.
    ADD KEY members_silenced (room, silenced_until, user);

ALTER TABLE rooms
    -- Seconds between two posts of one member; 0: none. Among the counters, as an append reads it with them.
    ADD COLUMN slow_mode BIGINT NOT NULL DEFAULT 0,
    -- The least role that may post: members, by default.
    ADD COLUMN posting SMALLINT NOT NULL DEFAULT 2;
