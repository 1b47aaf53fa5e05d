-- What people say of themselves. The same tables as in ../../mysql: one schema.rs serves both.
--
-- Only people who say something have rows. Written under the lock of the person's row in `users`, whose `profile_revision` tells of it.

CREATE TABLE profiles (
    user BLOB NOT NULL PRIMARY KEY,
    -- Empty: nothing.
    about TEXT NOT NULL,
    -- Empty without an emoji: no status.
    status_text TEXT NOT NULL,
    status_emoji TEXT,
    -- From then on there is no status, though the row says so still.
    status_until TIMESTAMP,
    -- A name of IANA.
    time_zone TEXT
) WITHOUT ROWID;
