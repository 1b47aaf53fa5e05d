//! Whom a person blocks and mutes.

use super::handle::Accounts;
use crate::domain::fault::Refusal;
use crate::domain::ids::UserId;
use crate::domain::relation::{Relation, RelationChange};
use crate::store::relations::{RelationChanged, SetRelation};
use crate::store::{Page, relations};

impl Accounts {
    /// Changes how a person stands to another one. Their sessions hear of it; the caller tells the room and the presence tracker.
    ///
    /// # Errors
    /// [`BadRequest`](crate::domain::fault::Fault::BadRequest) about oneself, [`NotFound`](crate::domain::fault::Fault::NotFound) for an account
    /// that does not exist or is deleted, [`LimitReached`](crate::domain::fault::Fault::LimitReached), those of persistence.
    pub async fn set_relation(&self, user: UserId, other: UserId, change: RelationChange) -> Result<RelationChanged, Refusal> {
        let (limits, missed_max) = ((&self.0.parts.limits).into(), self.0.parts.missed_max);
        let changed = self.write(user, SetRelation { user, other, change, now: self.now(), limits, missed_max }).await?;
        self.announce_heads(&changed.user_heads);
        Ok(changed)
    }

    /// Those a person blocks or mutes, by id.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn relations(&self, user: UserId, after: Option<UserId>, limit: usize) -> Result<Page<Relation>, Refusal> {
        self.read(move |db| Box::pin(async move { relations::page(db, user, after, limit).await })).await
    }
}
