//! What must be known of texts before they are decided: whom they mention, what they forward.
//!
//! Purpose: ask the store outside the room's lock and outside the room's work; only the group in question waits. Neighbours: the actor
//! decides what of it counts, by its members. Most posts name nobody, and nothing is asked for them.
//! Must not know: who is in the room.

use std::collections::HashMap;

use crate::domain::fault::Fault;
use crate::domain::ids::{RoomId, UserId};
use crate::domain::markup;
use crate::domain::message::{Details, Forward, Mentions, Message, Origin, Post, Shown};
use crate::domain::order::Seq;
use crate::domain::text::{MessageText, UserName, fold};
use crate::domain::time::Timestamp;
use crate::policy::{self, Hidden, View};
use crate::store::backend::Db;
use crate::store::{Store, StoreError, history, relations, rooms, users};

/// Asks for what a room must know of texts.
#[derive(Clone)]
pub(super) struct Preparing {
    pub(super) store: Store,
    /// People that one message mentions.
    pub(super) mentions_max: usize,
}

/// Whether anything must be asked about these posts.
pub(super) fn is_needed(posts: &[Post]) -> bool {
    posts.iter().any(|post| post.forward.is_some() || may_mention(post.text.as_str()))
}

/// Whether anything must be asked about this text.
pub(super) fn may_mention(text: &str) -> bool {
    text.contains('@')
}

impl Preparing {
    /// Fills in what posts mention and forward.
    ///
    /// # Errors
    /// Those of the database.
    pub(super) async fn posts(&self, posts: Vec<Post>) -> Result<Vec<Post>, StoreError> {
        let mut posts = self.forwards(posts).await?;
        // A forwarded text mentions nobody a second time.
        let forwarded = |post: &Post| post.details.as_ref().is_some_and(|details| details.origin.is_some());
        for post in posts.iter_mut().filter(|post| !forwarded(post)) {
            let mentions = self.mentions(post.text.as_str()).await?;
            if !mentions.is_empty() {
                post.details.get_or_insert_default().mentions = mentions;
            }
        }
        Ok(posts)
    }

    /// Has the posts of a person to a room refused if they may not post there: nobody is asked about them. Whether one is a repeat is known under
    /// the lock alone (I3), so they go on; what the room itself knows by then comes first.
    ///
    /// # Errors
    /// Those of the database.
    pub(super) async fn refuse(&self, room: RoomId, now: Timestamp, mut posts: Vec<Post>) -> Result<Vec<Post>, StoreError> {
        let Some(author) = posts.first().map(|post| post.author) else { return Ok(posts) };
        let found = self.store.read(move |db| Box::pin(async move { rooms::with_member(db, room, author).await })).await?;
        let may = found.map_or(Err(Fault::NotFound), |(room, member)| policy::may_post(&room, member.as_ref(), now));
        for post in &mut posts {
            post.verdict = post.verdict.and(may);
        }
        Ok(posts)
    }

    /// Whether this person wrote a message, and so may have it say something else.
    ///
    /// # Errors
    /// Those of the database.
    pub(super) async fn is_by(&self, room: RoomId, seq: Seq, user: UserId) -> Result<bool, StoreError> {
        let author = self.store.read(move |db| Box::pin(async move { history::author(db, room, seq).await })).await?;
        Ok(author == Some(user))
    }

    /// Fills in what posts forward, where that was not done before.
    ///
    /// # Errors
    /// Those of the database.
    pub(super) async fn forwards(&self, mut posts: Vec<Post>) -> Result<Vec<Post>, StoreError> {
        for post in &mut posts {
            if let Some(forward) = post.forward.take() {
                self.forward(post, forward).await?;
            }
        }
        Ok(posts)
    }

    /// Whom a text mentions, members or not.
    ///
    /// # Errors
    /// Those of the database.
    pub(super) async fn mentions(&self, text: &str) -> Result<Mentions, StoreError> {
        // Two more, as these two words are nobody's names.
        let names = markup::names(text, self.mentions_max + 2);
        if names.is_empty() {
            return Ok(Mentions::default());
        }
        let keys: Vec<String> = names.iter().map(UserName::key).collect();
        let (room, online) = (keys.contains(&fold(markup::ROOM)), keys.contains(&fold(markup::ONLINE)));
        let asked = keys.clone();
        let known = self.store.read(move |db| Box::pin(async move { users::by_keys(db, &asked).await })).await?;
        let known: HashMap<String, UserId> = known.into_iter().collect();
        // In the order in which they are named.
        let mut users: Vec<UserId> = keys.iter().filter_map(|key| known.get(key).copied()).collect();
        users.truncate(self.mentions_max);
        Ok(Mentions { users, room, online })
    }

    /// Copies the text that is forwarded, if the one who forwards may read it. What cannot be read is
    /// refused by the store, unless this is a repeat (I3).
    async fn forward(&self, post: &mut Post, forward: Forward) -> Result<(), StoreError> {
        let reader = post.author;
        let source = self.store.read(move |db| Box::pin(async move { source(db, reader, forward).await })).await?;
        // Of a text forwarded twice, whoever said it first.
        let author = source.as_ref().and_then(|source| source.voices().last()).unwrap_or(reader);
        let details: &mut Details = post.details.get_or_insert_default();
        details.origin = Some(Origin { room: forward.room, seq: forward.seq, author });
        match source {
            Some(source) => post.text = MessageText::stored(source.text),
            None => post.verdict = Err(Fault::NotFound),
        }
        Ok(())
    }
}

/// The message that is to be forwarded, if this person may read it.
async fn source(db: &mut Db, reader: UserId, Forward { room, seq }: Forward) -> Result<Option<Message>, StoreError> {
    let Some((found, member)) = rooms::with_member(db, room, reader).await? else { return Ok(None) };
    let Ok(sight) = policy::may_read(&found, member.as_ref()) else { return Ok(None) };
    let view = View { sight, hidden: Hidden::of(relations::hidden_from(db, reader).await?) };
    let source = history::get(db, room, &view, seq).await?.and_then(Shown::message);
    Ok(source.filter(|source| !source.is_deleted()))
}
