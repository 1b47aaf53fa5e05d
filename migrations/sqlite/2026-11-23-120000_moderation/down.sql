ALTER TABLE rooms DROP COLUMN filters_revision;
DROP TABLE filter_set;
DROP TABLE filters;
DROP TABLE reports;
DROP TABLE audit;
