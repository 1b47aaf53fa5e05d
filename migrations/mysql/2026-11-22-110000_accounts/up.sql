-- Logins, invitations to register, operation ids. The same tables as in ../../sqlite: one schema.rs serves both.

CREATE TABLE logins (
    id BINARY(16) NOT NULL PRIMARY KEY,
    user BINARY(16) NOT NULL,
    device VARCHAR(255) NOT NULL,
    address VARCHAR(64) NOT NULL,
    created_at DATETIME(6) NOT NULL,
    used_at DATETIME(6) NOT NULL,
    -- End of the refresh token, and so of a login nobody uses.
    expires_at DATETIME(6) NOT NULL,
    -- SHA-256 of the part that all refresh tokens of this login share, of the newest token's own part, and of the one's before it.
    family_hash BINARY(32) NOT NULL,
    refresh_hash BINARY(32) NOT NULL,
    previous_hash BINARY(32),
    -- The newest token's own part, readable only with the one before it: a repeated refresh gets the same answer.
    sealed BINARY(32),
    rotated_at DATETIME(6) NOT NULL,
    -- Kept until the last access token has expired, so that every node hears of it.
    ended_at DATETIME(6),
    KEY logins_by_user (user, ended_at, used_at),
    -- What ended lately, and what can be thrown away.
    KEY logins_by_end (ended_at),
    KEY logins_by_expiry (expires_at)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- The few administrators, read often.
CREATE INDEX users_by_admin ON users (admin);

CREATE TABLE registrations (
    id BINARY(16) NOT NULL PRIMARY KEY,
    -- SHA-256 of the code; the code itself is not kept (I12).
    secret_hash BINARY(32) NOT NULL UNIQUE,
    created_by BINARY(16) NOT NULL,
    created_at DATETIME(6) NOT NULL,
    expires_at DATETIME(6) NOT NULL,
    max_uses BIGINT NOT NULL,
    uses BIGINT NOT NULL,
    -- Whoever registers with it becomes an administrator.
    admin BOOLEAN NOT NULL,
    KEY registrations_by_expiry (expires_at)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Answers of commands that carried an operation id (I3).
CREATE TABLE operations (
    user BINARY(16) NOT NULL,
    -- SHA-256 of the Idempotency-Key, and of the request it came with.
    key_hash BINARY(32) NOT NULL,
    request_hash BINARY(32) NOT NULL,
    answer MEDIUMTEXT NOT NULL,
    created_at DATETIME(6) NOT NULL,
    PRIMARY KEY (user, key_hash),
    KEY operations_by_age (created_at)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
