-- What people say of themselves. The same tables as in ../../sqlite: one schema.rs serves both.
--
-- Only people who say something have rows. Written under the lock of the person's row in `users`, whose `profile_revision` tells of it.

CREATE TABLE profiles (
    user BINARY(16) NOT NULL PRIMARY KEY,
    -- Empty: nothing.
    about TEXT NOT NULL,
    -- Empty without an emoji: no status.
    status_text VARCHAR(255) NOT NULL,
    status_emoji VARCHAR(64),
    -- From then on there is no status, though the row says so still.
    status_until DATETIME(6),
    -- A name of IANA.
    time_zone VARCHAR(64)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
