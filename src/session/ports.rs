//! What a session needs of others, in words of its own: `app` joins it to rooms, presence, accounts and the store; tests record.

use crate::delivery::handle::RelayHandle;
use crate::domain::fault::Refusal;
use crate::domain::ids::{Epoch, RoomId, SessionId, UserId};
use crate::domain::message::Post;
use crate::domain::order::Revision;
use crate::domain::stream::UserChanges;
use crate::domain::time::Timestamp;
use crate::domain::user::Actor;
use crate::policy::{Hidden, Sight, View};
use crate::protocol::v1::act::Act;
use crate::protocol::v1::command::{DeviceState, RoomCursor};
use crate::protocol::v1::reply::{Done, Posted};
use crate::store::streams::{PageMax, Part};
use futures_util::future::LocalBoxFuture;

/// An answer to come. It comes within the deadline of whoever was asked; when they fail, as a refusal.
pub type Promise<T> = LocalBoxFuture<'static, Result<T, Refusal>>;

/// What an access token proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proof {
    /// Who.
    pub actor: Actor,
    /// Until when.
    pub expires_at: Timestamp,
}

/// A room's answer to somebody who wants to receive it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attached {
    /// Everything after this revision reaches the relay.
    pub head: Revision,
    /// The newest revision that is stored, as far as is known; not below `head`.
    pub newest: Revision,
    /// What may be shown.
    pub sight: Sight,
}

/// Part of a person's own stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserPage {
    /// What changed.
    pub changes: UserChanges,
    /// Whom the person does not see from now on, if that is among what changed.
    pub hidden: Option<Hidden>,
}

/// What is counted per person, over all their connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// A post.
    Post,
    /// Any other command.
    Command,
    /// A report to moderators, beside the command it came with.
    Report,
    /// A search for people, beside the command it came with.
    PeopleSearch,
}

/// Everybody a session asks. One value for each worker thread.
pub trait Neighbours {
    /// Who is the bearer of this token? Looks at revocations, too.
    fn authenticate(&self, token: String) -> Promise<Proof>;

    /// Which history of the store this is.
    fn epoch(&self) -> Epoch;

    /// How far the person's own stream has grown, and whom they do not see as of then.
    fn user_head(&self, user: UserId) -> Promise<(Revision, Hidden)>;

    /// What changed in the person's own stream after `from`; `to` is its head if that was all.
    fn user_changes(&self, user: UserId, from: Revision, max: PageMax) -> Promise<UserPage>;

    /// May this person receive the room, which they say to have seen up to a cursor, and from where on? Has the room feed the relay from its
    /// head on, under this number.
    fn attach(&self, asked: RoomCursor, user: UserId, relay: &RelayHandle, attachment: u64) -> Promise<Attached>;

    /// Nobody on the relay receives the room under this number or a lower one any more.
    fn detach(&self, room: RoomId, relay: &RelayHandle, attachment: u64);

    /// The rows of a room that changed since `from`, all up to `head` and messages also beyond, or the first of them, as they are seen by a
    /// person who has been let in with this sight and still is.
    fn room_changes(&self, room: RoomId, member: (UserId, View), from: Revision, head: Revision, max: PageMax) -> Promise<Part>;

    /// Posts one after the other, as one run: an answer to each. After a refusal that may be retried all later ones are refused (I1).
    fn post(&self, room: RoomId, actor: Actor, posts: Vec<Post>) -> Promise<Vec<Result<Posted, Refusal>>>;

    /// Posts to a person, in the room of the two, which is made if there is none.
    fn post_direct(&self, actor: Actor, user: UserId, post: Post) -> Promise<Posted>;

    /// Does what the person asks, which is one question with one answer.
    fn act(&self, actor: Actor, act: Act) -> Promise<Done>;

    /// A session is there, registered at its relay.
    fn connected(&self, session: SessionId, user: UserId, relay: &RelayHandle);

    /// What the device says of its person; `None`: it is in use.
    fn device(&self, session: SessionId, state: Option<DeviceState>);

    /// A session is gone.
    fn disconnected(&self, session: SessionId);

    /// Watch these people; how they look comes through the relay.
    fn watch(&self, session: SessionId, users: Vec<UserId>) -> Promise<()>;

    /// Watch them no more.
    fn unwatch(&self, session: SessionId, users: Vec<UserId>) -> Result<(), Refusal>;

    /// Counts something a person does.
    ///
    /// # Errors
    /// Busy, with the time after which it fits again.
    fn count(&self, user: UserId, what: Counted) -> Result<(), Refusal>;
}
