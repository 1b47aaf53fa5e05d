DROP INDEX preferences_by_notify;
DROP INDEX room_preferences_by_notify;
DROP TABLE notify_queue;
DROP TABLE notifications;
