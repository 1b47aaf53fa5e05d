//! Whom does somebody show more of themselves than their name?

/// What counts between who asks and the person they look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acquaintance {
    /// They are the same person.
    pub oneself: bool,
    /// Both have joined one room or conversation.
    pub sharing: bool,
    /// The person blocks who asks. That who asks blocks the person hides nothing here: they look on purpose.
    pub blocked: bool,
    /// The person's account is disabled or deleted.
    pub shut_out: bool,
}

/// May who asks see what the person says of themselves? To all others it looks as if they said nothing: nobody learns why.
#[must_use]
pub const fn may_see_profile(with: &Acquaintance) -> bool {
    with.oneself || (with.sharing && !with.blocked && !with.shut_out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_is_for_who_shares_a_room_and_is_not_blocked() {
        let table = [
            // oneself, sharing, blocked, shut out
            ([true, false, false, false], true),
            ([true, false, false, true], true),
            ([false, false, false, false], false),
            ([false, true, false, false], true),
            ([false, true, true, false], false),
            ([false, true, false, true], false),
            ([false, true, true, true], false),
            ([false, false, true, false], false),
            ([false, false, false, true], false),
            ([false, false, true, true], false),
        ];
        for ([oneself, sharing, blocked, shut_out], seen) in table {
            let with = Acquaintance { oneself, sharing, blocked, shut_out };
            assert_eq!(may_see_profile(&with), seen, "{with:?}");
        }
    }
}
