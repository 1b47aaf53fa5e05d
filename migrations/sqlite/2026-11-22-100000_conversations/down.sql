DROP TABLE nodes;
DROP TABLE room_links;
DROP TABLE notices;
DROP TABLE messages;
DROP TABLE members;
DROP TABLE rooms;
DROP TABLE users;
DROP TABLE meta;
