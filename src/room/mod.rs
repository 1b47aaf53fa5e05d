//! A room: posting rules, order, which relays care.
