//! How rooms come to be: named ones, groups, and the one room of a pair, made with its first message.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use super::plan::Plan;
use super::write::{insert_room, lock_room, rooms_of, unfounded, within, write};
use super::{Changed, RoomLimits};
use crate::domain::fault::Fault;
use crate::domain::ids::{RoomId, UserId};
use crate::domain::member::Role;
use crate::domain::message::{Item, Message, Post};
use crate::domain::report::Judged;
use crate::domain::room::{HistoryRule, RoomKind};
use crate::domain::text::{RoomName, Topic};
use crate::domain::time::Timestamp;
use crate::policy;
use crate::store::backend::Db;
use crate::store::columns::Id;
use crate::store::error::StoreError;
use crate::store::messages::{Append, AppendOutcome, PostOutcome, append};
use crate::store::operation::{Operation, Reply};
use crate::store::people::Locked;
use crate::store::relations;
use crate::store::schema::rooms;
use crate::store::users::changes::report;

/// Makes a public or private room with its owner in it.
#[derive(Clone, Debug)]
pub struct CreateRoom {
    /// Who makes it and owns it.
    pub creator: UserId,
    /// Its new id: run again with the same, it is made once (I3).
    pub room: RoomId,
    /// Public or private.
    pub kind: RoomKind,
    /// Its name.
    pub name: RoomName,
    /// Its topic line.
    pub topic: Topic,
    /// What later members may read of the past.
    pub history: HistoryRule,
    /// What filters say of name and topic; it does not count if the room is made already.
    pub judged: Judged,
    /// The present time.
    pub now: Timestamp,
    /// How much there may be.
    pub limits: RoomLimits,
}

impl Operation for CreateRoom {
    type Output = Changed;
    const NAME: &'static str = "create_room";

    fn run<'a>(&'a self, db: &'a mut Db) -> Reply<'a, Changed> {
        Box::pin(async move {
            if !matches!(self.kind, RoomKind::Public | RoomKind::Private) {
                return Err(Fault::BadRequest.into());
            }
            if let Some(changed) = made_before(db, self.room, self.creator).await? {
                return Ok(changed);
            }
            let (verdict, suspicion) = &self.judged;
            (*verdict)?;
            let mut room = unfounded(self.room, self.kind, self.creator, self.now);
            self.name.as_str().clone_into(&mut room.name);
            self.topic.as_str().clone_into(&mut room.topic);
            room.history = self.history;
            let mut plan = Plan::new(room, self.creator, self.now);
            plan.found(&[(self.creator, Role::Owner)]);
            insert_room(db, &plan.room, None).await?;
            let people = Locked::take(db, [self.creator]).await?;
            people.require(self.creator)?;
            within(rooms_of(db, self.creator, true).await?, self.limits.rooms_owned_per_user)?;
            within(rooms_of(db, self.creator, false).await?, self.limits.rooms_per_user)?;
            report(db, self.creator, suspicion.as_ref(), self.now).await?;
            write(db, plan, people).await
        })
    }
}

/// Makes a group of a few people, all of them in it. Each creation is a new group, whoever is in it.
#[derive(Clone, Debug)]
pub struct CreateGroup {
    /// Who makes it.
    pub creator: UserId,
    /// Its new id: run again with the same, it is made once (I3).
    pub room: RoomId,
    /// The others.
    pub people: Vec<UserId>,
    /// The present time.
    pub now: Timestamp,
    /// How much there may be.
    pub limits: RoomLimits,
}

impl Operation for CreateGroup {
    type Output = Changed;
    const NAME: &'static str = "create_group";

    fn run<'a>(&'a self, db: &'a mut Db) -> Reply<'a, Changed> {
        Box::pin(async move {
            if let Some(changed) = made_before(db, self.room, self.creator).await? {
                return Ok(changed);
            }
            let mut all = vec![self.creator];
            for person in &self.people {
                if !all.contains(person) {
                    all.push(*person);
                }
            }
            if all.len() < 2 {
                return Err(Fault::BadRequest.into());
            }
            within(all.len() as u64 - 1, self.limits.group_members_max)?;
            let room = unfounded(self.room, RoomKind::Group, self.creator, self.now);
            let mut plan = Plan::new(room, self.creator, self.now);
            plan.found(&all.iter().map(|user| (*user, Role::Member)).collect::<Vec<_>>());
            insert_room(db, &plan.room, None).await?;
            let people = Locked::take(db, all.iter().copied()).await?;
            for user in &all {
                people.require(*user)?;
                if *user != self.creator {
                    policy::may_group(&relations::contact(db, self.creator, *user).await?)?;
                }
                within(rooms_of(db, *user, false).await?, self.limits.rooms_per_user)?;
            }
            write(db, plan, people).await
        })
    }
}

/// Makes the room of two people with its first message, in one transaction.
#[derive(Clone, Debug)]
pub struct FirstDirect {
    /// The other one; the post's author is the first.
    pub other: UserId,
    /// The new room's id, if it must be made.
    pub room: RoomId,
    /// The message.
    pub post: Post,
    /// What filters say of it; it does not count if the two have a room.
    pub verdict: Result<(), Fault>,
    /// The present time.
    pub now: Timestamp,
    /// How much there may be.
    pub limits: RoomLimits,
}

/// What became of a [`FirstDirect`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FirstDirectOutcome {
    /// The room is made; `changed.changes` ends with the message.
    Made {
        /// The room, what happened in it, whose streams it touched.
        changed: Box<Changed>,
        /// The message.
        message: Message,
    },
    /// The two have a room; nothing was stored. Post there, with the same `client_id`: a repeat is found (I3).
    Exists(RoomId),
}

impl Operation for FirstDirect {
    type Output = FirstDirectOutcome;
    const NAME: &'static str = "first_direct";

    fn run<'a>(&'a self, db: &'a mut Db) -> Reply<'a, FirstDirectOutcome> {
        Box::pin(self.make(db))
    }
}

impl FirstDirect {
    async fn make(&self, db: &mut Db) -> Result<FirstDirectOutcome, StoreError> {
        let author = self.post.author;
        if author == self.other {
            return Err(Fault::BadRequest.into());
        }
        if let Some(room) = direct_room(db, author, self.other).await? {
            return Ok(FirstDirectOutcome::Exists(room));
        }
        self.verdict?;
        let room = unfounded(self.room, RoomKind::Direct, author, self.now);
        let mut plan = Plan::new(room, author, self.now);
        plan.found(&[(author, Role::Member), (self.other, Role::Member)]);
        insert_room(db, &plan.room, Some(pair_key(author, self.other))).await?;
        let people = Locked::take(db, [author, self.other]).await?;
        people.require(author)?;
        people.require(self.other)?;
        policy::may_write_first(&relations::contact(db, author, self.other).await?)?;
        // The other one is not counted: refusing would tell a stranger in how many rooms they are, and whoever is in too many could not be
        // written to. Each account adds at most one room to somebody in this way, and their next join or message counts it.
        within(rooms_of(db, author, false).await?, self.limits.rooms_per_user)?;
        let mut changed = write(db, plan, people).await?;
        let posts = vec![(self.post.clone(), Ok(()))];
        let first = Append { room: self.room, policy_revision: changed.room.policy_revision, posts };
        let message = match append(db, self.now, std::slice::from_ref(&first)).await?.pop() {
            Some(AppendOutcome::Done { mut posts, .. }) => match posts.pop() {
                Some(PostOutcome::Stored(message)) => message,
                _ => return Err(StoreError::Internal("the first message of a new room was not stored".to_owned())),
            },
            _ => return Err(StoreError::Internal("a new room refused its first message".to_owned())),
        };
        (changed.room.head, changed.room.last_seq) = (message.revision, message.seq);
        changed.room.last_created_at = message.created_at;
        if let Some(changes) = &mut changed.changes {
            changes.to = message.revision;
            changes.items.push(Item::Message(message.clone()));
        }
        Ok(FirstDirectOutcome::Made { changed: Box::new(changed), message })
    }
}

/// The room of two people, if they have one.
///
/// # Errors
/// Those of the database.
pub async fn direct_room(db: &mut Db, one: UserId, other: UserId) -> Result<Option<RoomId>, StoreError> {
    let query = rooms::table.filter(rooms::pair_key.eq(pair_key(one, other))).select(rooms::id);
    let room: Option<Id> = each!(db, |c| query.first(c).await.optional())?;
    Ok(room.map(Into::into))
}

/// The two ids, the smaller one first.
fn pair_key(one: UserId, other: UserId) -> Vec<u8> {
    let (first, second) = if one <= other { (one, other) } else { (other, one) };
    [first.as_bytes().as_slice(), second.as_bytes().as_slice()].concat()
}

/// The room, if an earlier run of the same operation has made it: then everything is as asked.
async fn made_before(db: &mut Db, room: RoomId, creator: UserId) -> Result<Option<Changed>, StoreError> {
    match lock_room(db, room).await? {
        Some(room) if room.created_by == creator => Ok(Some(Changed { room, changes: None, user_heads: Vec::new() })),
        Some(_) => Err(StoreError::Internal("the new room's id is in use".to_owned())),
        None => Ok(None),
    }
}
