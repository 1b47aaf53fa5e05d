DROP TABLE keywords;
DROP TABLE preferences;
DROP TABLE drafts;
DROP TABLE thread_preferences;
DROP TABLE room_preferences;
DROP TABLE read_marks;
DROP TABLE relations;
ALTER TABLE rooms DROP COLUMN blocked;
