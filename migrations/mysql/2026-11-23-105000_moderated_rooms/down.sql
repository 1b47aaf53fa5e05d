ALTER TABLE rooms DROP COLUMN posting, DROP COLUMN slow_mode;
ALTER TABLE members DROP KEY members_silenced, DROP COLUMN last_post_at, DROP COLUMN silenced_until;
