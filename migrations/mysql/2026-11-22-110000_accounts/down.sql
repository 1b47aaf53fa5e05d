DROP TABLE operations;
DROP TABLE registrations;
DROP INDEX users_by_admin ON users;
DROP TABLE logins;
