DROP TABLE operations;
DROP TABLE registrations;
DROP INDEX users_by_admin;
DROP TABLE logins;
