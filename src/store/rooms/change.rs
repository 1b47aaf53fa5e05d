//! A change of a room or its membership: decided and carried out under the room's lock (I10).

use super::deed;
use super::ending;
use super::plan::Plan;
use super::write::{count, lock_room, members_of, owners_of, rooms_of, within, write};
use super::{Changed, RoomLimits};
use crate::domain::fault::Fault;
use crate::domain::filter::Filter;
use crate::domain::ids::{RoomId, UserId};
use crate::domain::member::MemberState;
use crate::domain::report::Judged;
use crate::domain::room::{Room, RoomChange, RoomKind};
use crate::domain::time::Timestamp;
use crate::domain::user::Actor;
use crate::policy::{self, Standing};
use crate::store::audit;
use crate::store::backend::Db;
use crate::store::error::StoreError;
use crate::store::filters;
use crate::store::links;
use crate::store::operation::{Operation, Reply};
use crate::store::people::Locked;
use crate::store::relations;
use crate::store::users::changes::report;

/// Asks a change of a room.
#[derive(Clone, Debug)]
pub struct ChangeRoom {
    /// Who asks.
    pub actor: Actor,
    /// Of which room.
    pub room: RoomId,
    /// What.
    pub change: RoomChange,
    /// What filters say of a new name or topic; it counts where the change is allowed and changes something.
    pub judged: Judged,
    /// The present time.
    pub now: Timestamp,
    /// How much there may be.
    pub limits: RoomLimits,
}

/// What a change does to the room's filters.
enum Filtering {
    /// It is not about them.
    OtherChange,
    /// Nothing: it was done before.
    AsBefore,
    /// This one was added or removed.
    Changed(Filter),
}

impl Operation for ChangeRoom {
    type Output = Changed;
    const NAME: &'static str = "change_room";

    fn run<'a>(&'a self, db: &'a mut Db) -> Reply<'a, Changed> {
        Box::pin(self.change(db))
    }
}

impl ChangeRoom {
    async fn change(&self, db: &mut Db) -> Result<Changed, StoreError> {
        let room = lock_room(db, self.room).await?.ok_or(Fault::NotFound)?;
        let subject = self.change.subject();
        let people: Vec<UserId> = subject.into_iter().chain([self.actor.user]).collect();
        let rows = members_of(db, self.room, &people).await?;
        let row = |user: UserId| rows.iter().find(|row| row.user == user);
        let (actor, subject) = (row(self.actor.user), subject.and_then(row));
        let owners = owners_of(db, self.room).await?;
        let (admin, now) = (self.actor.admin, self.now);
        let standing = Standing { room: &room, actor, admin, subject, owners: owners.len() as u64, now };
        let decided = policy::decide_change(&standing, &self.change);
        if decided != Ok(false) {
            self.require_link(db).await?;
        }
        if !decided? {
            return Ok(Changed { room, changes: None, user_heads: Vec::new() });
        }
        let (verdict, suspicion) = &self.judged;
        (*verdict)?;
        let entry = deed::entry(&room, self.actor.user, (&self.change, subject), self.now);
        if let Some(made) = self.change_link(db, &room).await? {
            if let Some(entry) = entry.filter(|_| made) {
                audit::write(db, &entry).await?;
            }
            return Ok(Changed { room, changes: None, user_heads: Vec::new() });
        }
        let filter = match self.change_filter(db).await? {
            Filtering::AsBefore => return Ok(Changed { room, changes: None, user_heads: Vec::new() }),
            Filtering::Changed(filter) => Some(filter),
            Filtering::OtherChange => None,
        };
        let mut plan = Plan::new(room, self.actor.user, self.now);
        plan.carry_out(&self.change, actor, subject, &owners);
        let suspect = suspicion.as_ref().map(|_| self.actor.user);
        let people = Locked::take(db, plan.members.iter().map(|member| member.user).chain(suspect)).await?;
        report(db, self.actor.user, suspicion.as_ref(), self.now).await?;
        self.check_limits(db, &plan, &people).await?;
        if matches!(self.change, RoomChange::Delete { .. }) {
            ending::begin(db, self.room).await?;
        }
        if let Some(entry) = entry {
            let entry = filter.iter().fold(entry, |entry, filter| entry.namely(filters::detail(filter)));
            audit::write(db, &entry).await?;
        }
        write(db, plan, people).await
    }

    /// Filters are rows of their own, and the room's revision tells of them.
    async fn change_filter(&self, db: &mut Db) -> Result<Filtering, StoreError> {
        let changed = match &self.change {
            RoomChange::AddFilter { filter, rule } => {
                let (created_by, created_at) = (self.actor.user, self.now);
                let new = Filter { id: *filter, room: Some(self.room), rule: rule.clone(), created_by, created_at };
                filters::add(db, &new, self.limits.filters_per_room).await?.then_some(new)
            }
            RoomChange::RemoveFilter { filter } => filters::remove(db, Some(self.room), *filter).await?,
            _ => return Ok(Filtering::OtherChange),
        };
        Ok(changed.map_or(Filtering::AsBefore, Filtering::Changed))
    }

    /// A link that does not work says so before anything else is said of the room it led into: nobody learns from it whether the room is
    /// archived, deleted or full. Who is in already has passed.
    async fn require_link(&self, db: &mut Db) -> Result<(), StoreError> {
        let RoomChange::JoinByLink { secret_hash } = &self.change else { return Ok(()) };
        let works = links::works(db, self.room, secret_hash, self.now).await?;
        if works { Ok(()) } else { Err(Fault::InvitationInvalid.into()) }
    }

    /// Links are rows of their own. If that was all there was to do: whether anything changed.
    async fn change_link(&self, db: &mut Db, room: &Room) -> Result<Option<bool>, StoreError> {
        match &self.change {
            RoomChange::CreateLink { link, secret_hash, expires_at, max_uses } => {
                let new = links::NewLink {
                    id: *link,
                    room: room.id,
                    secret_hash,
                    created_by: self.actor.user,
                    created_at: self.now,
                    expires_at: *expires_at,
                    max_uses: *max_uses,
                };
                links::create(db, &new, self.limits.invite_links_per_room).await.map(Some)
            }
            RoomChange::RevokeLink { link } => links::revoke(db, room.id, *link).await.map(Some),
            RoomChange::JoinByLink { secret_hash } => links::spend(db, room.id, secret_hash, self.now).await.map(|()| None),
            _ => Ok(None),
        }
    }

    /// Counts under the locks of the room and of the people.
    async fn check_limits(&self, db: &mut Db, plan: &Plan, people: &Locked) -> Result<(), StoreError> {
        let limits = &self.limits;
        match &self.change {
            RoomChange::Join | RoomChange::JoinByLink { .. } => {
                people.require(self.actor.user)?;
                let most = match plan.room.kind {
                    RoomKind::Group => limits.group_members_max,
                    _ => limits.members_per_room,
                };
                // The plan counts the one who joins already.
                within(plan.room.member_count.saturating_sub(1), most)?;
                within(rooms_of(db, self.actor.user, false).await?, limits.rooms_per_user)
            }
            RoomChange::Invite { user } => {
                people.require(*user)?;
                policy::may_invite(&relations::contact(db, self.actor.user, *user).await?)?;
                let invited = count(db, self.room, MemberState::Invited).await?;
                if plan.room.kind == RoomKind::Group {
                    within(plan.room.member_count + invited, limits.group_members_max)?;
                }
                within(invited, limits.invites_per_room)
            }
            RoomChange::Ban { .. } => within(count(db, self.room, MemberState::Banned).await?, limits.bans_per_room),
            RoomChange::Transfer { user, .. } => within(rooms_of(db, *user, true).await?, limits.rooms_owned_per_user),
            _ => Ok(()),
        }
    }
}
