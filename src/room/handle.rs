//! What everybody else holds of rooms.
//!
//! Purpose: typed methods that never wait, each with an answer to come; a room that sleeps is woken by asking it something.
//! Must not know: whether a room is awake.

use std::fmt;
use std::sync::Arc;

use actix::Handler;
use actix::dev::SendError;
use futures_util::future::BoxFuture;
use tokio::time::timeout_at;

use super::actor::{RoomActor, Surroundings};
use super::directory::Directory;
use super::map::{Map, refuse_unsent};
use super::messages::{
    Attach, Attached, Change, CommittedElsewhere, Create, Creation, Detach, DirectPosted, MarkRaised, PostDirect, PostGroup,
    Refusable, SendAgain, Types, Wake, What,
};
use super::preparing::Preparing;
use super::state::order::Committed;
use super::state::posting::{Answers, all_refused};
use super::turns::Turns;
use crate::config::Config;
use crate::delivery::feeds::Feeds;
use crate::delivery::handle::{RelayHandle, Relays};
use crate::domain::fault::{Fault, Refusal};
use crate::domain::ids::{RoomId, UserId};
use crate::domain::message::{Findings, MessageChange, Post};
use crate::domain::order::{Revision, Seq};
use crate::domain::reading::ReadMark;
use crate::domain::room::RoomChange;
use crate::domain::time::Clock;
use crate::domain::user::Actor;
use crate::moderation::everywhere::Everywhere;
use crate::moderation::filters::Judgement;
use crate::moderation::hook::Hook;
use crate::notify::handle::Notify;
use crate::persistence::handle::Persistence;
use crate::persistence::owed::Owed;
use crate::store::Store;
use crate::store::messages::change::MessageLimits;
use crate::store::rooms::{Changed, CreateGroup, CreateRoom, RoomLimits};
use crate::store::streams::PageMax;
use crate::supervision::mailbox::{Mailbox, Queued};
use crate::supervision::policy::RestartPolicy;
use crate::supervision::reply::{Answer, Dropped, reply};
use crate::supervision::supervisor::ChildSpec;
use crate::supervision::tree::Supervisor;

/// An answer of a room; a group of posts is answered post by post inside.
pub type Answered<T> = Answer<Result<T, Refusal>>;

/// An answer that may have to wait for the filter hook before the room is asked. Not awaited, it may never ask.
pub type Judged<T> = BoxFuture<'static, Result<Result<T, Refusal>, Dropped>>;

/// All rooms of the node. Clones share them; may be used from any thread.
#[derive(Clone)]
pub struct Rooms {
    directory: Mailbox<Directory>,
    pub(super) map: Map,
    persistence: Persistence,
    hook: Option<Hook>,
    preparing: Preparing,
    edits: Turns,
    clock: Clock,
    busy: Refusal,
}

/// What rooms are started with.
pub struct Start<'a> {
    /// Under whom they run: transient, restarted after a panic only.
    pub supervisor: &'a Supervisor,
    /// How the directory is restarted: permanent.
    pub directory_policy: RestartPolicy,
    /// How a room is restarted: transient.
    pub room_policy: RestartPolicy,
    /// For reading.
    pub store: Store,
    /// For writing.
    pub persistence: Persistence,
    /// Whom to deliver to.
    pub relays: Relays,
    /// The time.
    pub clock: Clock,
    /// The filters that hold in every room.
    pub everywhere: Everywhere,
    /// Who is told that somebody may have to be notified.
    pub notify: Notify,
    /// The program that is asked about posts.
    pub hook: Option<Hook>,
    /// Sections `room`, `limits`, `database`, `resume`, `session`.
    pub settings: &'a Config,
}

impl Rooms {
    /// Starts the directory on the current thread's arbiter, which will run all rooms.
    #[must_use]
    pub fn start(start: Start<'_>) -> Self {
        let settings = start.settings;
        let preparing = Preparing { store: start.store.clone(), mentions_max: settings.conversation.mentions_per_message };
        let with = Arc::new(Surroundings {
            store: start.store.clone(),
            persistence: start.persistence.clone(),
            relays: start.relays,
            clock: start.clock.clone(),
            everywhere: start.everywhere,
            notify: start.notify,
            settings: settings.room.clone(),
            room_limits: RoomLimits::from(&settings.limits),
            message_limits: MessageLimits::from(&settings.conversation),
            mention_all_role: settings.conversation.mention_all_role,
            preparing: preparing.clone(),
            rooms_awake_max: settings.limits.rooms_awake,
            page_max: PageMax { rows: settings.resume.page_rows, bytes: settings.session.share() },
            piece_bytes: settings.session.share(),
            busy_retry_after: settings.database.busy_retry_after,
            commit_deadline: settings.database.commit_deadline,
            retry_after: settings.database.retry_max,
        });
        let map = Map::new();
        let directory = Directory {
            supervisor: start.supervisor.clone(),
            room_policy: start.room_policy,
            with,
            map: map.clone(),
            comparing: false,
            ending: false,
        };
        // As many may knock as may be awake: after a restart of the node everybody comes at once.
        let mailbox_capacity = u32::try_from(settings.limits.rooms_awake).unwrap_or(u32::MAX);
        let spec = ChildSpec { kind: "directory", name: "directory".into(), policy: start.directory_policy, mailbox_capacity };
        let directory = start.supervisor.spawn(spec, |_| directory);
        let busy = Refusal::busy(settings.database.busy_retry_after);
        Self {
            directory,
            map,
            persistence: start.persistence,
            hook: start.hook,
            preparing,
            edits: Turns::default(),
            clock: start.clock,
            busy,
        }
    }

    /// Posts of one session to a room, in order; answered one by one inside. The hook is asked outside the room, so nobody else waits for it; the
    /// time for the answer begins when it has answered.
    pub fn post(&self, room: RoomId, posts: Vec<Post>) -> Judged<Answers> {
        let Some(hook) = self.hook.clone() else { return Box::pin(self.post_judged(room, posts, Vec::new())) };
        let rooms = self.clone();
        Box::pin(async move {
            let count = posts.len();
            let posts = match rooms.copied(Some(room), posts).await {
                Ok(posts) => posts,
                Err(refusal) => return Ok(Ok(all_refused(refusal, count))),
            };
            let judged = hook.judge_posts(Some(room), None, &posts).await;
            rooms.post_judged(room, posts, judged).await
        })
    }

    /// What is forwarded is copied before the hook is asked, which judges what will be stored, and is not asked about what strangers to a room
    /// say to it.
    async fn copied(&self, room: Option<RoomId>, posts: Vec<Post>) -> Result<Vec<Post>, Refusal> {
        let copied = async {
            let posts = match room {
                Some(room) => self.preparing.refuse(room, self.clock.now(), posts).await?,
                None => posts,
            };
            self.preparing.forwards(posts).await
        };
        let copied = timeout_at(self.persistence.deadline(), copied).await;
        copied.map_err(|_late| Fault::Unavailable)?.map_err(|error| error.fault().into())
    }

    fn post_judged(&self, room: RoomId, posts: Vec<Post>, judged: Vec<Judgement>) -> Answered<Answers> {
        let deadline = self.persistence.deadline();
        self.ask(room, |owed| PostGroup { posts, judged, deadline, stale: 0, owed })
    }

    /// Changes a room or somebody's membership.
    pub fn change(&self, room: RoomId, actor: Actor, change: RoomChange) -> Answered<Changed> {
        self.ask(room, |owed| Change { actor, what: What::Room(change), owed })
    }

    /// Changes a message. About a new text the hook is asked, as about a post; new texts of one message come one after the other.
    pub fn change_message(&self, room: RoomId, actor: Actor, seq: Seq, change: MessageChange) -> Judged<Changed> {
        let ask = move |rooms: &Self, change| rooms.ask(room, |owed| Change { actor, what: What::Message(seq, change), owed });
        let MessageChange::Edit { text, mentions, mut findings } = change else { return Box::pin(ask(self, change)) };
        let rooms = self.clone();
        Box::pin(async move {
            let _turn = rooms.edits.take((room, seq, actor.user)).await;
            if let Some(hook) = &rooms.hook {
                match rooms.preparing.is_by(room, seq, actor.user).await {
                    Ok(true) => {
                        let (verdict, suspicion) = hook.judge_edit(room, actor.user, seq, text.as_str()).await.split();
                        findings = Findings { verdict, suspicion, ..findings };
                    }
                    // It will be refused.
                    Ok(false) => {}
                    Err(error) => return Ok(Err(error.fault().into())),
                }
            }
            ask(&rooms, MessageChange::Edit { text, mentions, findings }).await
        })
    }

    /// Has a room delivered to a relay on which somebody wants it. To be asked after the relay knows of the subscription, and before
    /// what was missed is read (I6). `attachment` is the number the relay gave.
    pub fn attach(
        &self,
        room: RoomId,
        user: UserId,
        cursor: Option<Revision>,
        relay: RelayHandle,
        attachment: u64,
    ) -> Answered<Attached> {
        self.ask(room, |owed| Attach { user, cursor, relay, attachment, owed })
    }

    /// Tells those who look at the room that somebody types, in a thread if that is some. Done at once, or dropped when it comes too often.
    pub fn typing(&self, room: RoomId, user: UserId, thread: Option<Seq>) -> Answered<()> {
        self.ask(room, |owed| Types { user, thread, owed })
    }

    /// Somebody's mark rose and that was committed: those who look at a small room are told. May be lost.
    pub fn mark_raised(&self, user: UserId, mark: ReadMark) {
        self.tell(mark.room, MarkRaised { user, mark });
    }

    /// Nobody on the relay wants the room any more. May be lost.
    pub fn detach(&self, room: RoomId, relay: &RelayHandle, attachment: u64) {
        self.tell(room, Detach { relay: relay.clone(), attachment });
    }

    /// Makes a room. `room.room` is its new id.
    pub fn create(&self, room: CreateRoom) -> Answered<Changed> {
        self.ask_directory(|owed| Create { what: Creation::Room(room), owed }, |create, refusal| create.owed.settle(Err(refusal)))
    }

    /// Makes a group.
    pub fn create_group(&self, group: CreateGroup) -> Answered<Changed> {
        self.ask_directory(
            |owed| Create { what: Creation::Group(group), owed },
            |create, refusal| create.owed.settle(Err(refusal)),
        )
    }

    /// Posts to a person; the room of the two is made with their first message.
    pub fn post_direct(&self, other: UserId, post: Post) -> Judged<DirectPosted> {
        let Some(hook) = self.hook.clone() else { return Box::pin(self.post_direct_judged(other, post, Vec::new())) };
        let rooms = self.clone();
        Box::pin(async move {
            let posts = match rooms.copied(None, vec![post]).await {
                Ok(posts) => posts,
                Err(refusal) => return Ok(Err(refusal)),
            };
            let judged = hook.judge_posts(None, Some(other), &posts).await;
            let Some(post) = posts.into_iter().next() else { return Ok(Err(Fault::Internal.into())) };
            rooms.post_direct_judged(other, post, judged).await
        })
    }

    fn post_direct_judged(&self, other: UserId, post: Post, judged: Vec<Judgement>) -> Answered<DirectPosted> {
        let deadline = self.persistence.deadline();
        let direct = |owed| PostDirect { other, post, judged, deadline, owed };
        self.ask_directory(direct, |direct, refusal| direct.owed.settle(Err(refusal)))
    }

    /// A room was changed by others than the room, such as the deletion of an account: those who see it are told now.
    pub fn committed(&self, changed: Changed) {
        if let Some(changes) = changed.changes {
            self.tell(changed.room.id, CommittedElsewhere(Committed { changes, room: Some(changed.room) }));
        }
    }

    /// How many rooms are awake.
    #[must_use]
    pub fn awake(&self) -> usize {
        self.map.len()
    }

    /// Asks a room, which is woken if it sleeps.
    fn ask<T, M: Refusable>(&self, room: RoomId, question: impl FnOnce(Owed<T>) -> M) -> Answered<T>
    where
        RoomActor: Handler<Queued<M>>,
    {
        let (reply_to, answer) = reply();
        match self.map.try_send(room, question(Owed::new(reply_to))) {
            Ok(()) => {}
            // It sleeps, or fell asleep this moment: the directory knows.
            Err(SendError::Closed(message)) => self.wake(room, message),
            Err(full) => refuse_unsent(full, self.busy),
        }
        answer
    }

    fn wake<M: Refusable>(&self, room: RoomId, message: M)
    where
        RoomActor: Handler<Queued<M>>,
    {
        match self.directory.try_send(Wake { room, message }) {
            Ok(()) => {}
            Err(SendError::Full(Wake { message, .. })) => message.refuse(self.busy),
            Err(SendError::Closed(Wake { message, .. })) => message.refuse(Fault::Unavailable.into()),
        }
    }

    /// Tells a room that is awake; to one that sleeps it is no news. Whether it was taken.
    fn tell<M>(&self, room: RoomId, message: M) -> bool
    where
        M: actix::Message<Result = ()> + Send + 'static,
        RoomActor: Handler<Queued<M>>,
    {
        self.map.try_send(room, message).is_ok()
    }

    fn ask_directory<T, M>(&self, question: impl FnOnce(Owed<T>) -> M, refuse: impl FnOnce(M, Refusal)) -> Answered<T>
    where
        M: actix::Message<Result = ()> + Send + 'static,
        Directory: Handler<Queued<M>>,
    {
        let (reply_to, answer) = reply();
        match self.directory.try_send(question(Owed::new(reply_to))) {
            Ok(()) => {}
            Err(SendError::Full(message)) => refuse(message, self.busy),
            Err(SendError::Closed(message)) => refuse(message, Fault::Unavailable.into()),
        }
        answer
    }
}

impl Feeds for Rooms {
    fn refill(&self, relay: &RelayHandle, room: RoomId, after: Revision) -> bool {
        self.tell(room, SendAgain { relay: relay.clone(), after })
    }

    fn unwanted(&self, relay: &RelayHandle, room: RoomId, attachment: u64) {
        self.detach(room, relay, attachment);
    }
}

impl fmt::Debug for Rooms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rooms({} awake)", self.map.len())
    }
}
