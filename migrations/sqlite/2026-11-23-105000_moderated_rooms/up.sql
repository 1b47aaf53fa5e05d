-- Who may post, when and how often. The same columns as in ../../mysql: one schema.rs serves both.

-- Until when a moderator has silenced them. It outlasts leaving and coming back.
ALTER TABLE members ADD COLUMN silenced_until TIMESTAMP;
-- Their newest post while the room was in slow mode; nobody else pays for it.
ALTER TABLE members ADD COLUMN last_post_at TIMESTAMP;
-- Who is silenced in a room, in the order in which it ends.
CREATE INDEX members_silenced ON members (room, silenced_until, user);

-- Seconds between two posts of one member; 0: none. Among the counters, as an append reads it with them.
ALTER TABLE rooms ADD COLUMN slow_mode BIGINT NOT NULL DEFAULT 0;
-- The least role that may post: members, by default.
ALTER TABLE rooms ADD COLUMN posting SMALLINT NOT NULL DEFAULT 2;
