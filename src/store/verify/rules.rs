//! The rules, each as the query that finds its breaches.
//!
//! A query yields `room_id`, `user_id` and `number`, runs on both databases, and finds its rows by index: it compares neighbours with
//! `NOT EXISTS` instead of sorting. `r` is the room; `{changed}` stands once where rooms are chosen. Codes of `state` and `kind` stand
//! in `store::columns`: 0 is invited, 1 is joined, 2 is a direct room; 19 is the line that says what was pinned. Revisions are dense (I1), but
//! one whose row has changed again since is not to be seen here.

/// Of what a rule speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Of rooms, one by one: holds `{changed}`.
    Rooms,
    /// Of everything at once.
    Everything,
}

/// A rule.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// One word, for scripts and tests.
    pub name: &'static str,
    /// What a breach means.
    pub breach: &'static str,
    pub scope: Scope,
    pub query: &'static str,
}

/// Rooms with a message or a line since an instant.
pub const CHANGED: &str = "AND (r.last_created_at >= ? OR EXISTS \
     (SELECT 1 FROM notices since WHERE since.room = r.id AND since.created_at >= ?))";

const fn rooms(name: &'static str, breach: &'static str, query: &'static str) -> Rule {
    Rule { name, breach, scope: Scope::Rooms, query }
}

const fn everything(name: &'static str, breach: &'static str, query: &'static str) -> Rule {
    Rule { name, breach, scope: Scope::Everything, query }
}

pub const RULES: &[Rule] = &[
    // Numbers of messages (I1).
    rooms(
        "seq_missing",
        "no message has this number",
        "SELECT r.id AS room_id, NULL AS user_id, m.seq + 1 AS number FROM rooms r JOIN messages m ON m.room = r.id \
         WHERE m.seq < r.last_seq AND NOT EXISTS (SELECT 1 FROM messages n WHERE n.room = m.room AND n.seq = m.seq + 1) {changed}",
    ),
    rooms(
        "first_seq_missing",
        "the room has messages but not the first",
        "SELECT r.id AS room_id, NULL AS user_id, 1 AS number FROM rooms r \
         WHERE r.last_seq > 0 AND NOT EXISTS (SELECT 1 FROM messages n WHERE n.room = r.id AND n.seq = 1) {changed}",
    ),
    rooms(
        "seq_beyond",
        "the message's number lies outside what the room has counted",
        "SELECT r.id AS room_id, NULL AS user_id, m.seq AS number FROM rooms r JOIN messages m ON m.room = r.id \
         WHERE (m.seq > r.last_seq OR m.seq < 1) {changed}",
    ),
    // Revisions (I1).
    rooms(
        "head_missing",
        "the newest revision is nobody's",
        "SELECT r.id AS room_id, NULL AS user_id, r.head AS number FROM rooms r WHERE NOT (r.deleted AND r.settings_revision = r.head) \
         AND NOT (r.kind = 2 AND r.policy_revision = r.head) AND r.filters_revision <> r.head \
         AND NOT EXISTS (SELECT 1 FROM messages m WHERE m.room = r.id AND m.revision = r.head) \
         AND NOT EXISTS (SELECT 1 FROM members x WHERE x.room = r.id AND x.revision = r.head) \
         AND NOT EXISTS (SELECT 1 FROM notices n WHERE n.room = r.id AND n.revision = r.head) {changed}",
    ),
    rooms(
        "first_revision_missing",
        "the room does not begin with its creation",
        "SELECT r.id AS room_id, NULL AS user_id, 1 AS number FROM rooms r \
         WHERE NOT EXISTS (SELECT 1 FROM notices n WHERE n.room = r.id AND n.revision = 1) {changed}",
    ),
    rooms(
        "revision_beyond",
        "the message's revision lies outside what the room has counted",
        "SELECT r.id AS room_id, NULL AS user_id, m.revision AS number FROM rooms r JOIN messages m ON m.room = r.id \
         WHERE (m.revision > r.head OR m.revision < 1) {changed}",
    ),
    rooms(
        "line_beyond",
        "the line's revision lies outside what the room has counted",
        "SELECT r.id AS room_id, NULL AS user_id, n.revision AS number FROM rooms r JOIN notices n ON n.room = r.id \
         WHERE (n.revision > r.head OR n.revision < 1) {changed}",
    ),
    rooms(
        "revision_twice",
        "two messages have this revision, and they are not a reply and the thread it has raised",
        "SELECT r.id AS room_id, NULL AS user_id, m.revision AS number FROM rooms r JOIN messages m ON m.room = r.id \
         WHERE EXISTS (SELECT 1 FROM messages n WHERE n.room = m.room AND n.revision = m.revision AND n.seq > m.seq \
         AND (n.thread IS NULL OR n.thread <> m.seq)) {changed}",
    ),
    rooms(
        "revision_shared",
        "a message and a line of the timeline, other than that it was pinned, both have this revision",
        "SELECT r.id AS room_id, NULL AS user_id, n.revision AS number FROM rooms r JOIN notices n ON n.room = r.id \
         WHERE n.kind <> 19 AND EXISTS (SELECT 1 FROM messages m WHERE m.room = n.room AND m.revision = n.revision) {changed}",
    ),
    // Time and timeline (I1).
    rooms(
        "time_backwards",
        "the message is older than the one before it",
        "SELECT r.id AS room_id, NULL AS user_id, m.seq AS number FROM rooms r JOIN messages m ON m.room = r.id \
         JOIN messages p ON p.room = m.room AND p.seq = m.seq - 1 WHERE m.created_at < p.created_at {changed}",
    ),
    rooms(
        "clock_behind",
        "the message is newer than the room's clock",
        "SELECT r.id AS room_id, NULL AS user_id, m.seq AS number FROM rooms r JOIN messages m ON m.room = r.id \
         AND m.seq = r.last_seq WHERE m.created_at > r.last_created_at {changed}",
    ),
    rooms(
        "line_misplaced",
        "the line of this revision stands before a message that is older",
        "SELECT r.id AS room_id, NULL AS user_id, n.revision AS number FROM rooms r JOIN notices n ON n.room = r.id \
         LEFT JOIN messages a ON a.room = n.room AND a.seq = n.after_seq + 1 \
         WHERE (a.revision < n.revision OR n.after_seq > r.last_seq) {changed}",
    ),
    // What belongs to messages.
    rooms(
        "deleted_text",
        "the message was deleted, but something of what it said is still there",
        "SELECT r.id AS room_id, m.author AS user_id, m.seq AS number FROM rooms r JOIN messages m ON m.room = r.id \
         WHERE m.deleted_at IS NOT NULL AND (m.body <> '' OR m.mentions IS NOT NULL \
         OR EXISTS (SELECT 1 FROM edits e WHERE e.room = m.room AND e.seq = m.seq) \
         OR EXISTS (SELECT 1 FROM reactions x WHERE x.room = m.room AND x.seq = m.seq)) {changed}",
    ),
    rooms(
        "reaction_count",
        "the message counts another number of reactions than there are",
        "SELECT r.id AS room_id, NULL AS user_id, m.seq AS number FROM rooms r JOIN messages m ON m.room = r.id \
         WHERE m.reaction_count <> (SELECT COUNT(*) FROM reactions x WHERE x.room = m.room AND x.seq = m.seq) {changed}",
    ),
    rooms(
        "reply_count",
        "the message counts another number of replies than there are",
        "SELECT r.id AS room_id, NULL AS user_id, m.seq AS number FROM rooms r JOIN messages m ON m.room = r.id \
         WHERE m.reply_count <> (SELECT COUNT(*) FROM replies x JOIN messages n ON n.room = x.room AND n.seq = x.seq \
         WHERE x.room = m.room AND x.thread = m.seq AND n.deleted_at IS NULL) {changed}",
    ),
    rooms(
        "origin_unknown",
        "the message was forwarded, but its room is not among those with words of who said it first",
        "SELECT r.id AS room_id, m.origin_author AS user_id, m.seq AS number FROM rooms r JOIN messages m ON m.room = r.id \
         WHERE m.origin_author IS NOT NULL \
         AND NOT EXISTS (SELECT 1 FROM origins o WHERE o.author = m.origin_author AND o.room = m.room) {changed}",
    ),
    // Keys and counters (I3).
    rooms(
        "client_id_twice",
        "the author has posted under one client_id twice; this is the later message",
        "SELECT m.room AS room_id, m.author AS user_id, MAX(m.seq) AS number FROM rooms r JOIN messages m ON m.room = r.id \
         WHERE 1 = 1 {changed} GROUP BY m.room, m.author, m.client_id HAVING COUNT(*) > 1",
    ),
    rooms(
        "member_count",
        "the room counts so many members, which is not how many there are",
        "SELECT r.id AS room_id, NULL AS user_id, r.member_count AS number FROM rooms r \
         WHERE r.member_count <> (SELECT COUNT(*) FROM members x WHERE x.room = r.id AND x.state = 1) {changed}",
    ),
    rooms(
        "member_without_line",
        "the membership's revision has no line in the timeline",
        "SELECT r.id AS room_id, x.user AS user_id, x.revision AS number FROM rooms r JOIN members x ON x.room = r.id \
         WHERE NOT EXISTS (SELECT 1 FROM notices n WHERE n.room = x.room AND n.revision = x.revision) {changed}",
    ),
    rooms(
        "joined_without_line",
        "the member is in the room without having come in at this revision",
        "SELECT r.id AS room_id, x.user AS user_id, x.joined_revision AS number FROM rooms r JOIN members x ON x.room = r.id \
         WHERE x.state = 1 AND NOT EXISTS (SELECT 1 FROM notices n WHERE n.room = x.room AND n.revision = x.joined_revision) \
         {changed}",
    ),
    rooms(
        "settings_without_line",
        "the revision of the room's settings has no line in the timeline",
        "SELECT r.id AS room_id, NULL AS user_id, r.settings_revision AS number FROM rooms r WHERE NOT r.deleted \
         AND r.filters_revision <> r.settings_revision \
         AND NOT EXISTS (SELECT 1 FROM notices n WHERE n.room = r.id AND n.revision = r.settings_revision) {changed}",
    ),
    rooms(
        "policy_beyond",
        "the room's policy or settings revision lies beyond its head",
        "SELECT r.id AS room_id, NULL AS user_id, r.head AS number FROM rooms r \
         WHERE (r.policy_revision > r.head OR r.settings_revision > r.head) {changed}",
    ),
    rooms(
        "direct_people",
        "the direct room has this many people, or others than its pair",
        "SELECT r.id AS room_id, NULL AS user_id, (SELECT COUNT(*) FROM members x WHERE x.room = r.id) AS number FROM rooms r \
         WHERE r.kind = 2 AND (r.pair_key IS NULL OR 2 <> (SELECT COUNT(*) FROM members x WHERE x.room = r.id) \
         OR NOT EXISTS (SELECT 1 FROM members x WHERE x.room = r.id AND x.user = SUBSTR(r.pair_key, 1, 16)) \
         OR NOT EXISTS (SELECT 1 FROM members x WHERE x.room = r.id AND x.user = SUBSTR(r.pair_key, 17, 16))) {changed}",
    ),
    rooms(
        "block_differs",
        "the direct room is closed without a block between its people, or open in spite of one",
        "SELECT r.id AS room_id, NULL AS user_id, r.head AS number FROM rooms r WHERE r.kind = 2 \
         AND NOT EXISTS (SELECT 1 FROM members z WHERE z.room = r.id AND z.state <> 1) \
         AND r.blocked <> EXISTS (SELECT 1 FROM members x JOIN relations b ON b.user = x.user JOIN members y ON y.user = b.other \
         WHERE x.room = r.id AND y.room = r.id AND b.blocked) {changed}",
    ),
    // User streams (I7).
    rooms(
        "stream_behind",
        "the membership lies at a revision that its user's stream has not reached",
        "SELECT r.id AS room_id, x.user AS user_id, x.stream_revision AS number FROM rooms r JOIN members x ON x.room = r.id \
         JOIN users u ON u.id = x.user WHERE (x.stream_revision > u.stream_revision OR x.stream_revision < 1) {changed}",
    ),
    rooms(
        "stream_twice",
        "two memberships of a person lie at the same revision of their stream",
        "SELECT r.id AS room_id, x.user AS user_id, x.stream_revision AS number FROM rooms r JOIN members x ON x.room = r.id \
         WHERE EXISTS (SELECT 1 FROM members y WHERE y.user = x.user AND y.stream_revision = x.stream_revision \
         AND y.room > x.room) {changed}",
    ),
    rooms(
        "ending_forgotten",
        "the person is in the room or invited still, which was deleted, and nobody will tell them",
        "SELECT r.id AS room_id, x.user AS user_id, x.stream_revision AS number FROM rooms r JOIN members x ON x.room = r.id \
         WHERE r.deleted AND x.state IN (0, 1) AND NOT EXISTS (SELECT 1 FROM room_endings e WHERE e.room = r.id) {changed}",
    ),
    rooms(
        "member_unknown",
        "the member has no account",
        "SELECT r.id AS room_id, x.user AS user_id, x.revision AS number FROM rooms r JOIN members x ON x.room = r.id \
         WHERE NOT EXISTS (SELECT 1 FROM users u WHERE u.id = x.user) {changed}",
    ),
    rooms(
        "author_unknown",
        "the message's author has no account",
        "SELECT r.id AS room_id, m.author AS user_id, m.seq AS number FROM rooms r JOIN messages m ON m.room = r.id \
         WHERE NOT EXISTS (SELECT 1 FROM users u WHERE u.id = m.author) {changed}",
    ),
    everything(
        "profile_beyond",
        "the profile lies at a revision that its user's stream has not reached",
        "SELECT NULL AS room_id, u.id AS user_id, u.profile_revision AS number FROM users u \
         WHERE u.profile_revision > u.stream_revision",
    ),
    everything(
        "own_beyond",
        "something of a person lies at a revision that their stream has not reached",
        "SELECT NULL AS room_id, o.user AS user_id, o.stream_revision AS number FROM ( \
         SELECT user, stream_revision FROM relations UNION ALL SELECT user, stream_revision FROM read_marks \
         UNION ALL SELECT user, stream_revision FROM room_preferences UNION ALL SELECT user, stream_revision FROM thread_preferences \
         UNION ALL SELECT user, stream_revision FROM drafts UNION ALL SELECT user, stream_revision FROM preferences \
         UNION ALL SELECT user, stream_revision FROM notifications) o \
         JOIN users u ON u.id = o.user WHERE o.stream_revision > u.stream_revision",
    ),
    everything(
        "message_without_room",
        "the message's room does not exist",
        "SELECT m.room AS room_id, m.author AS user_id, m.seq AS number FROM messages m \
         WHERE NOT EXISTS (SELECT 1 FROM rooms r WHERE r.id = m.room)",
    ),
    everything(
        "line_without_room",
        "the line's room does not exist",
        "SELECT n.room AS room_id, n.actor AS user_id, n.revision AS number FROM notices n \
         WHERE NOT EXISTS (SELECT 1 FROM rooms r WHERE r.id = n.room)",
    ),
    everything(
        "member_without_room",
        "the member's room does not exist",
        "SELECT x.room AS room_id, x.user AS user_id, x.revision AS number FROM members x \
         WHERE NOT EXISTS (SELECT 1 FROM rooms r WHERE r.id = x.room)",
    ),
];
