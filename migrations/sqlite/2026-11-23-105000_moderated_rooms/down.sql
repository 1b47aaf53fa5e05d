ALTER TABLE rooms DROP COLUMN posting;
ALTER TABLE rooms DROP COLUMN slow_mode;
DROP INDEX members_silenced;
ALTER TABLE members DROP COLUMN last_post_at;
ALTER TABLE members DROP COLUMN silenced_until;
