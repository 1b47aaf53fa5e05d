//! The tables as diesel sees them; both `migrations/` folders make them so.

diesel::table! {
    meta (one) {
        one -> SmallInt,
        epoch -> Binary,
    }
}

diesel::table! {
    users (id) {
        id -> Binary,
        name -> Text,
        name_key -> Nullable<Text>,
        display_name -> Text,
        display_key -> Text,
        password_hash -> Nullable<Text>,
        admin -> Bool,
        disabled -> Bool,
        deleted -> Bool,
        invisible -> Bool,
        created_at -> Timestamp,
        stream_revision -> BigInt,
        profile_revision -> BigInt,
        last_active_at -> Nullable<Timestamp>,
    }
}

diesel::table! {
    rooms (id) {
        id -> Binary,
        kind -> SmallInt,
        name -> Text,
        name_key -> Text,
        topic -> Text,
        history -> SmallInt,
        archived -> Bool,
        deleted -> Bool,
        pair_key -> Nullable<Binary>,
        created_by -> Binary,
        created_at -> Timestamp,
        last_seq -> BigInt,
        head -> BigInt,
        policy_revision -> BigInt,
        settings_revision -> BigInt,
        last_created_at -> Timestamp,
        member_count -> BigInt,
        slow_mode -> BigInt,
        posting -> SmallInt,
        blocked -> Bool,
        filters_revision -> BigInt,
    }
}

diesel::table! {
    members (room, user) {
        room -> Binary,
        user -> Binary,
        state -> SmallInt,
        role -> SmallInt,
        visible_from_seq -> BigInt,
        joined_revision -> BigInt,
        revision -> BigInt,
        stream_revision -> BigInt,
        by_user -> Nullable<Binary>,
        reason -> Nullable<Text>,
        changed_at -> Timestamp,
        silenced_until -> Nullable<Timestamp>,
        last_post_at -> Nullable<Timestamp>,
    }
}

diesel::table! {
    messages (room, seq) {
        room -> Binary,
        seq -> BigInt,
        revision -> BigInt,
        author -> Binary,
        client_id -> Binary,
        body_hash -> Binary,
        body -> Text,
        created_at -> Timestamp,
        thread -> Nullable<BigInt>,
        quote -> Nullable<BigInt>,
        origin_room -> Nullable<Binary>,
        origin_seq -> Nullable<BigInt>,
        origin_author -> Nullable<Binary>,
        mentions -> Nullable<Binary>,
        edited_at -> Nullable<Timestamp>,
        deleted_at -> Nullable<Timestamp>,
        deleted_by -> Nullable<Binary>,
        pinned_at -> Nullable<Timestamp>,
        pinned_by -> Nullable<Binary>,
        reply_count -> BigInt,
        last_reply -> Nullable<BigInt>,
        reaction_count -> BigInt,
    }
}

diesel::table! {
    edits (room, seq, revision) {
        room -> Binary,
        seq -> BigInt,
        revision -> BigInt,
        body -> Text,
        written_at -> Timestamp,
        replaced_at -> Timestamp,
    }
}

diesel::table! {
    reactions (room, seq, emoji, user) {
        room -> Binary,
        seq -> BigInt,
        emoji -> Text,
        user -> Binary,
        revision -> BigInt,
    }
}

diesel::table! {
    replies (room, thread, seq) {
        room -> Binary,
        thread -> BigInt,
        seq -> BigInt,
        author -> Binary,
    }
}

diesel::table! {
    threads (room, seq) {
        room -> Binary,
        seq -> BigInt,
        author -> Binary,
    }
}

diesel::table! {
    origins (author, room) {
        author -> Binary,
        room -> Binary,
    }
}

diesel::table! {
    mentions (room, user, seq) {
        room -> Binary,
        user -> Binary,
        seq -> BigInt,
        author -> Binary,
    }
}

diesel::table! {
    pins (room, seq) {
        room -> Binary,
        seq -> BigInt,
    }
}

diesel::table! {
    notices (room, revision) {
        room -> Binary,
        revision -> BigInt,
        after_seq -> BigInt,
        kind -> SmallInt,
        actor -> Binary,
        subject -> Nullable<Binary>,
        text -> Nullable<Text>,
        created_at -> Timestamp,
    }
}

diesel::table! {
    room_links (id) {
        id -> Binary,
        room -> Binary,
        secret_hash -> Binary,
        created_by -> Binary,
        created_at -> Timestamp,
        expires_at -> Nullable<Timestamp>,
        max_uses -> Nullable<BigInt>,
        uses -> BigInt,
    }
}

diesel::table! {
    room_endings (room) {
        room -> Binary,
    }
}

diesel::table! {
    nodes (id) {
        id -> Binary,
        started_at -> Timestamp,
        seen_at -> Timestamp,
    }
}

diesel::table! {
    probes (lane) {
        lane -> SmallInt,
        filler -> Binary,
    }
}

diesel::table! {
    logins (id) {
        id -> Binary,
        user -> Binary,
        device -> Text,
        address -> Text,
        created_at -> Timestamp,
        used_at -> Timestamp,
        expires_at -> Timestamp,
        family_hash -> Binary,
        refresh_hash -> Binary,
        previous_hash -> Nullable<Binary>,
        sealed -> Nullable<Binary>,
        rotated_at -> Timestamp,
        ended_at -> Nullable<Timestamp>,
    }
}

diesel::table! {
    registrations (id) {
        id -> Binary,
        secret_hash -> Binary,
        created_by -> Binary,
        created_at -> Timestamp,
        expires_at -> Timestamp,
        max_uses -> BigInt,
        uses -> BigInt,
        admin -> Bool,
    }
}

diesel::table! {
    operations (user, key_hash) {
        user -> Binary,
        key_hash -> Binary,
        request_hash -> Binary,
        answer -> Text,
        created_at -> Timestamp,
    }
}

diesel::table! {
    relations (user, other) {
        user -> Binary,
        other -> Binary,
        blocked -> Bool,
        muted -> Bool,
        changed_at -> Timestamp,
        stream_revision -> BigInt,
        blocked_revision -> BigInt,
    }
}

diesel::table! {
    read_marks (user, room) {
        user -> Binary,
        room -> Binary,
        seq -> BigInt,
        delivered -> BigInt,
        stream_revision -> BigInt,
    }
}

diesel::table! {
    room_preferences (user, room) {
        user -> Binary,
        room -> Binary,
        muted_until -> Nullable<Timestamp>,
        notify -> SmallInt,
        stream_revision -> BigInt,
    }
}

diesel::table! {
    thread_preferences (user, room, thread) {
        user -> Binary,
        room -> Binary,
        thread -> BigInt,
        following -> SmallInt,
        muted_until -> Nullable<Timestamp>,
        stream_revision -> BigInt,
    }
}

diesel::table! {
    drafts (user, room, thread) {
        user -> Binary,
        room -> Binary,
        thread -> BigInt,
        text -> Text,
        changed_at -> Timestamp,
        stream_revision -> BigInt,
    }
}

diesel::table! {
    preferences (user) {
        user -> Binary,
        receipts -> Bool,
        direct -> SmallInt,
        quiet_from -> Nullable<SmallInt>,
        quiet_until -> Nullable<SmallInt>,
        notify -> SmallInt,
        stream_revision -> BigInt,
    }
}

diesel::table! {
    profiles (user) {
        user -> Binary,
        about -> Text,
        status_text -> Text,
        status_emoji -> Nullable<Text>,
        status_until -> Nullable<Timestamp>,
        time_zone -> Nullable<Text>,
    }
}

diesel::table! {
    keywords (user, word_key) {
        user -> Binary,
        word_key -> Text,
        word -> Text,
    }
}

diesel::table! {
    audit (id) {
        id -> Binary,
        at -> Timestamp,
        actor -> Nullable<Binary>,
        action -> SmallInt,
        room -> Nullable<Binary>,
        subject -> Nullable<Binary>,
        seq -> Nullable<BigInt>,
        reason -> Nullable<Text>,
        detail -> Nullable<Text>,
    }
}

diesel::table! {
    reports (id) {
        id -> Binary,
        state -> SmallInt,
        reporter -> Nullable<Binary>,
        room -> Nullable<Binary>,
        seq -> Nullable<BigInt>,
        subject -> Binary,
        reason -> SmallInt,
        text -> Nullable<Text>,
        context -> Text,
        created_at -> Timestamp,
        handled_at -> Nullable<Timestamp>,
        handled_by -> Nullable<Binary>,
        note -> Nullable<Text>,
        open_key -> Nullable<Binary>,
    }
}

diesel::table! {
    filters (id) {
        id -> Binary,
        room -> Nullable<Binary>,
        kind -> SmallInt,
        pattern -> Text,
        action -> SmallInt,
        created_by -> Binary,
        created_at -> Timestamp,
    }
}

diesel::table! {
    filter_set (one) {
        one -> SmallInt,
        revision -> BigInt,
    }
}

diesel::table! {
    notifications (user, room, seq) {
        user -> Binary,
        room -> Binary,
        seq -> BigInt,
        kind -> SmallInt,
        author -> Binary,
        quiet -> Bool,
        gone -> Bool,
        created_at -> Timestamp,
        stream_revision -> BigInt,
    }
}

diesel::table! {
    notify_queue (room, seq) {
        room -> Binary,
        seq -> BigInt,
        after_user -> Nullable<Binary>,
        queued_at -> Timestamp,
    }
}

diesel::allow_tables_to_appear_in_same_query!(
    users,
    rooms,
    members,
    messages,
    notices,
    origins,
    profiles,
    room_links,
    relations,
    read_marks,
    replies,
    mentions,
    pins,
    reports,
    preferences,
    keywords,
    notifications,
    drafts,
    room_preferences,
    thread_preferences
);
