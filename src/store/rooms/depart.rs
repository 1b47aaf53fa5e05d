//! What a deleted account leaves behind in a room: its membership ends, and a room that loses its last owner gets another.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use super::Changed;
use super::plan::Plan;
use super::write::{lock_room, members_of, owners_of, write};
use crate::domain::fault::Fault;
use crate::domain::ids::{RoomId, UserId};
use crate::domain::member::{Member, MemberState, Role};
use crate::domain::message::NoticeKind;
use crate::domain::time::Timestamp;
use crate::store::backend::Db;
use crate::store::columns::{Code, Id};
use crate::store::error::StoreError;
use crate::store::operation::{Operation, Reply};
use crate::store::people::Locked;
use crate::store::rows::MemberRow;
use crate::store::schema::{members, users};

/// Ends a person's membership or invitation, whatever the policy says of leaving: the account is being deleted. If they were the
/// last owner, the moderator who has been there longest becomes owner, else the member who has.
#[derive(Clone, Debug)]
pub struct Depart {
    /// Who goes.
    pub user: UserId,
    /// Where from.
    pub room: RoomId,
    /// The present time.
    pub now: Timestamp,
}

impl Operation for Depart {
    type Output = Changed;
    const NAME: &'static str = "depart";

    fn run<'a>(&'a self, db: &'a mut Db) -> Reply<'a, Changed> {
        Box::pin(self.depart(db))
    }
}

impl Depart {
    async fn depart(&self, db: &mut Db) -> Result<Changed, StoreError> {
        let room = lock_room(db, self.room).await?.ok_or(Fault::NotFound)?;
        let row = members_of(db, self.room, &[self.user]).await?.pop();
        let nothing = Changed { room: room.clone(), changes: None, user_heads: Vec::new() };
        let Some(row) = row else { return Ok(nothing) };
        let line = match row.state {
            MemberState::Joined => NoticeKind::Left,
            MemberState::Invited => NoticeKind::InvitationEnded,
            MemberState::Left | MemberState::Banned => return Ok(nothing),
        };
        let mut plan = Plan::new(room, self.user, self.now);
        let owned = row.is_joined() && row.role == Role::Owner;
        let last = owned && owners_of(db, self.room).await?.len() <= 1;
        if last && let Some(heir) = heir(db, self.room).await? {
            plan.transfer(heir.user, &[], Some(&heir));
        }
        plan.put(self.user, Some(&row), MemberState::Left, line, None);
        let people = Locked::take(db, plan.members.iter().map(|member| member.user)).await?;
        write(db, plan, people).await
    }
}

/// Codes of roles go from the highest down, so the first by role and time of joining is the one; of those whose account is disabled only if there
/// is nobody else.
async fn heir(db: &mut Db, room: RoomId) -> Result<Option<Member>, StoreError> {
    let query = members::table
        .inner_join(users::table.on(users::id.eq(members::user)))
        .filter(members::room.eq(Id::from(room)))
        .filter(members::state.eq(MemberState::Joined.code()))
        .filter(members::role.ne(Role::Owner.code()))
        .order((users::disabled, members::role, members::joined_revision, members::user))
        .select(members::all_columns);
    let row: Option<MemberRow> = each!(db, |c| query.first(c).await.optional())?;
    row.map(Member::try_from).transpose()
}
