//! Finds the news of people's streams that nobody told of.
//!
//! Whoever commits a change of a stream tells the relays, once. A panic between the two, a lost answer to a COMMIT (the repeat finds
//! nothing new to tell), another process such as the command line: then nobody does. So the streams of those who are here are compared
//! with the store, and whoever was sent less is told (I7, I8, I9). Costs one question per so many people and round, whatever happens.

use std::collections::HashMap;

use crate::delivery::handle::Relays;
use crate::domain::ids::UserId;
use crate::domain::order::Revision;
use crate::store::{Store, StoreError, people};

/// People whose heads are asked for in one statement.
const HEADS_PER_READ: usize = 500;

/// One round: everybody who is here, part by part.
pub(super) async fn compare(store: &Store, relays: &Relays) -> Result<(), StoreError> {
    let mut sent: HashMap<UserId, Revision> = HashMap::new();
    for relay in relays.all() {
        // One that cannot say is asked the next time.
        for (user, to) in relay.streams_sent().await.unwrap_or_default() {
            sent.entry(user).and_modify(|known| *known = to.min(*known)).or_insert(to);
        }
    }
    let users: Vec<UserId> = sent.keys().copied().collect();
    for part in users.chunks(HEADS_PER_READ) {
        let ids = part.to_vec();
        let mut ahead = store.read(move |db| Box::pin(async move { people::stream_heads(db, &ids).await })).await?;
        ahead.retain(|(user, head)| sent.get(user).is_some_and(|sent| sent < head));
        if !ahead.is_empty() {
            relays.all().iter().for_each(|relay| relay.streams_are(ahead.clone()));
        }
    }
    Ok(())
}
