//! What does somebody see of those they block? One decision for whatever shows a room: live, missed, history, search (I10).

use std::sync::Arc;

use super::Sight;
use crate::domain::ids::UserId;
use crate::domain::message::{Item, Message, Shown, Stub};
use crate::faults;

/// The people somebody does not see. Most people see everybody, which costs nothing here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hidden(Option<Arc<[UserId]>>);

impl Hidden {
    /// These people.
    #[must_use]
    pub fn of(mut people: Vec<UserId>) -> Self {
        people.sort_unstable();
        Self((!people.is_empty()).then(|| people.into()))
    }

    /// Nobody is hidden.
    #[must_use]
    pub const fn is_nobody(&self) -> bool {
        self.0.is_none()
    }

    /// Is this person hidden?
    #[must_use]
    pub fn has(&self, user: UserId) -> bool {
        self.0.as_ref().is_some_and(|people| people.binary_search(&user).is_ok()) && !faults::hit("policy.show_hidden")
    }

    /// Those of `people` who are hidden, in their order.
    pub fn among<'a>(&'a self, people: &'a [UserId]) -> impl Iterator<Item = UserId> + 'a {
        people.iter().copied().filter(|user| self.has(*user))
    }
}

/// What a member sees of a room: from where on, and of whom not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// From where on.
    pub sight: Sight,
    /// Of whom nothing.
    pub hidden: Hidden,
}

impl View {
    /// What somebody sees who sees everybody.
    #[must_use]
    pub const fn of_everybody(sight: Sight) -> Self {
        Self { sight, hidden: Hidden(None) }
    }
}

/// A message as somebody sees it to whom these people are hidden: if it has their words nothing but its place, else without their reactions.
#[must_use]
pub fn seen_message(mut message: Message, hidden: &Hidden) -> Shown {
    if hidden.is_nobody() {
        return Shown::Message(message);
    }
    if message.voices().any(|voice| hidden.has(voice)) {
        return Shown::Stub(Stub { seq: message.seq, revision: message.revision });
    }
    if let Some(more) = message.more.as_mut() {
        more.reactions.retain(|reaction| !hidden.has(reaction.user));
    }
    Shown::Message(message)
}

/// A changed row as they see it; `None`: they see nothing of it, but that the revision has passed.
#[must_use]
pub fn seen_item(item: Item, hidden: &Hidden) -> Option<Item> {
    match item {
        Item::Message(message) => Some(match seen_message(message, hidden) {
            Shown::Message(message) => Item::Message(message),
            Shown::Stub(stub) => Item::Stub(stub),
        }),
        Item::Reaction(change) if hidden.has(change.reaction.user) => None,
        // What happens to the room is for everybody in it, whoever did it.
        other => Some(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::emoji::Emoji;
    use crate::domain::ids::{ClientId, RoomId};
    use crate::domain::message::{Details, More, Origin, Reaction, ReactionChange};
    use crate::domain::order::{Revision, Seq};
    use chrono::DateTime;

    fn said(author: UserId, more: Option<More>) -> Message {
        Message {
            room: RoomId::generate(),
            seq: Seq(3),
            revision: Revision(9),
            author,
            client_id: ClientId::generate(),
            text: "hello".into(),
            created_at: DateTime::UNIX_EPOCH,
            more: more.map(Box::new),
        }
    }

    fn reaction(user: UserId) -> Reaction {
        Reaction { emoji: Emoji::parse("👍").unwrap(), user }
    }

    #[test]
    fn of_the_words_of_a_hidden_person_only_the_place_is_seen_whoever_repeats_them() {
        let (ann, eve) = (UserId::generate(), UserId::generate());
        let hidden = Hidden::of(vec![eve]);
        let stub = Shown::Stub(Stub { seq: Seq(3), revision: Revision(9) });
        assert_eq!(seen_message(said(eve, None), &hidden), stub);
        let origin = Some(Origin { room: RoomId::generate(), seq: Seq(1), author: eve });
        let forwarded = More { details: Details { origin, ..Details::default() }, ..More::default() };
        assert_eq!(seen_message(said(ann, Some(forwarded)), &hidden), stub);
        let by_ann = said(ann, None);
        assert_eq!(seen_message(by_ann.clone(), &hidden), Shown::Message(by_ann));
    }

    #[test]
    fn reactions_of_a_hidden_person_are_not_seen_with_the_message_nor_alone() {
        let (ann, eve) = (UserId::generate(), UserId::generate());
        let hidden = Hidden::of(vec![eve]);
        let reactions = vec![reaction(eve), reaction(ann)];
        let Shown::Message(seen) = seen_message(said(ann, Some(More { reactions, ..More::default() })), &hidden) else {
            panic!("ann is seen")
        };
        assert_eq!(seen.more.unwrap().reactions, [reaction(ann)]);
        let came = |user| {
            let (seq, revision) = (Seq(3), Revision(10));
            Item::Reaction(ReactionChange { seq, revision, reaction: reaction(user), on: true })
        };
        assert_eq!(seen_item(came(eve), &hidden), None);
        assert_eq!(seen_item(came(ann), &hidden), Some(came(ann)));
        assert_eq!(seen_item(came(eve), &Hidden::default()), Some(came(eve)));
    }

    #[test]
    fn people_are_found_in_whatever_order_they_were_given() {
        let mut people: Vec<UserId> = (0..9).map(|_| UserId::generate()).collect();
        people.reverse();
        let hidden = Hidden::of(people[..5].to_vec());
        assert!(people[..5].iter().all(|user| hidden.has(*user)) && !people[5..].iter().any(|user| hidden.has(*user)));
        assert_eq!(hidden.among(&people).collect::<Vec<_>>(), people[..5]);
        assert!(Hidden::of(Vec::new()).is_nobody());
    }
}
