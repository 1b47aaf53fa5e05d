-- Logins, invitations to register, operation ids. The same tables as in ../../mysql: one schema.rs serves both.

CREATE TABLE logins (
    id BLOB NOT NULL PRIMARY KEY,
    user BLOB NOT NULL,
    device TEXT NOT NULL,
    address TEXT NOT NULL,
    created_at TIMESTAMP NOT NULL,
    used_at TIMESTAMP NOT NULL,
    -- End of the refresh token, and so of a login nobody uses.
    expires_at TIMESTAMP NOT NULL,
    -- SHA-256 of the part that all refresh tokens of this login share, of the newest token's own part, and of the one's before it.
    family_hash BLOB NOT NULL,
    refresh_hash BLOB NOT NULL,
    previous_hash BLOB,
    -- The newest token's own part, readable only with the one before it: a repeated refresh gets the same answer.
    sealed BLOB,
    rotated_at TIMESTAMP NOT NULL,
    -- Kept until the last access token has expired, so that every node hears of it.
    ended_at TIMESTAMP
) WITHOUT ROWID;

CREATE INDEX logins_by_user ON logins (user, ended_at, used_at);
-- What ended lately, and what can be thrown away.
CREATE INDEX logins_by_end ON logins (ended_at);
CREATE INDEX logins_by_expiry ON logins (expires_at);

-- The few administrators, read often.
CREATE INDEX users_by_admin ON users (admin);

CREATE TABLE registrations (
    id BLOB NOT NULL PRIMARY KEY,
    -- SHA-256 of the code; the code itself is not kept (I12).
    secret_hash BLOB NOT NULL UNIQUE,
    created_by BLOB NOT NULL,
    created_at TIMESTAMP NOT NULL,
    expires_at TIMESTAMP NOT NULL,
    max_uses BIGINT NOT NULL,
    uses BIGINT NOT NULL,
    -- Whoever registers with it becomes an administrator.
    admin BOOLEAN NOT NULL
) WITHOUT ROWID;

CREATE INDEX registrations_by_expiry ON registrations (expires_at);

-- Answers of commands that carried an operation id (I3).
CREATE TABLE operations (
    user BLOB NOT NULL,
    -- SHA-256 of the Idempotency-Key, and of the request it came with.
    key_hash BLOB NOT NULL,
    request_hash BLOB NOT NULL,
    answer TEXT NOT NULL,
    created_at TIMESTAMP NOT NULL,
    PRIMARY KEY (user, key_hash)
) WITHOUT ROWID;

CREATE INDEX operations_by_age ON operations (created_at);
