DROP INDEX preferences_by_notify ON preferences;
DROP INDEX room_preferences_by_notify ON room_preferences;
DROP TABLE notify_queue;
DROP TABLE notifications;
