//! What REST and sockets hold of moderation. Who may do what is decided here, once for both.

use std::sync::Arc;

use super::everywhere::Everywhere;
use super::filters;
use crate::domain::audit::AuditEntry;
use crate::domain::fault::{Fault, Refusal};
use crate::domain::filter::{Filter, FilterAction, FilterKind, FilterRule};
use crate::domain::ids::{AuditId, FilterId, IncidentId, ReportId, RoomId, UserId};
use crate::domain::order::Seq;
use crate::domain::report::{Judged, Report, ReportReason, ReportState, ReportTarget, ReportText};
use crate::domain::room::{Room, RoomChange};
use crate::domain::time::Clock;
use crate::domain::user::Actor;
use crate::persistence::handle::{Key, Persistence};
use crate::policy;
use crate::store::audit::{self, Order};
use crate::store::filters::{ChangeGlobalFilters, GlobalChange};
use crate::store::reports::{self, HandleReport, MakeReport};
use crate::store::{Db, Operation, Page, Reply, Store, StoreError, filters as stored, rooms};
use crate::telemetry::metrics as names;

/// What it is built from.
pub struct Parts {
    /// For questions.
    pub store: Store,
    /// For writes.
    pub persistence: Persistence,
    /// The time.
    pub clock: Clock,
    /// The filters that hold in every room.
    pub everywhere: Everywhere,
    /// How many of those there may be.
    pub filters_everywhere: usize,
}

/// Moderation. Clones share everything.
#[derive(Clone)]
pub struct Moderation(Arc<Parts>);

/// A filter as somebody asks for it.
#[derive(Clone, Debug)]
pub struct NewFilter {
    /// Its name in lists; asked for again under the same name, it is made once (I3).
    pub filter: FilterId,
    /// Word or link.
    pub kind: FilterKind,
    /// What is looked for.
    pub pattern: String,
    /// What follows.
    pub action: FilterAction,
}

impl NewFilter {
    /// The rule, if its pattern can match.
    ///
    /// # Errors
    /// Those of [`filters::rule`].
    pub fn rule(&self) -> Result<FilterRule, Fault> {
        filters::rule(self.kind, &self.pattern, self.action)
    }

    /// The same as a change of a room.
    ///
    /// # Errors
    /// Those of [`filters::rule`].
    pub fn for_room(&self) -> Result<RoomChange, Fault> {
        Ok(RoomChange::AddFilter { filter: self.filter, rule: self.rule()? })
    }
}

impl Moderation {
    /// Reads the filters that hold everywhere: without them nobody may post.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn open(parts: Parts) -> Result<Self, StoreError> {
        parts.everywhere.refresh(&parts.store).await?;
        Ok(Self(Arc::new(parts)))
    }

    /// Reports a message or a person to moderators. What is reported already, and open, is as asked.
    ///
    /// # Errors
    /// [`Fault::BadRequest`] for a reason that only the server gives, [`Fault::TextTooLong`]; [`Fault::NotFound`] and those of reading for what
    /// the person may not see, [`Fault::NotAllowed`] for what is their own; those of persistence.
    pub async fn report(
        &self,
        actor: Actor,
        target: ReportTarget,
        reason: ReportReason,
        text: Option<&str>,
    ) -> Result<ReportId, Refusal> {
        if !reason.is_for_people() {
            return Err(Fault::BadRequest.into());
        }
        let text = text.map(ReportText::parse).transpose()?;
        let text = text.and_then(|text| text.said().map(str::to_owned));
        let reporter = Some(actor.user);
        let report = MakeReport { id: ReportId::generate(), reporter, target, reason, text, now: self.0.clock.now() };
        let reported = self.write(Key::User(actor.user), report).await?;
        if reported.is_new {
            announce(reason);
        }
        Ok(reported.report)
    }

    /// The reports that somebody may judge, oldest first, and whether there are more.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn reports(
        &self,
        actor: Actor,
        wanted: reports::Wanted,
        after: Option<ReportId>,
        limit: usize,
    ) -> Result<Page<Report>, Refusal> {
        self.read(move |db| Box::pin(reports::page(db, actor, wanted, after, limit))).await
    }

    /// One report.
    ///
    /// # Errors
    /// [`Fault::NotFound`] for who may not judge it; those of the database.
    pub async fn one_report(&self, actor: Actor, report: ReportId) -> Result<Report, Refusal> {
        self.read(move |db| Box::pin(reports::for_judge(db, report, actor))).await
    }

    /// Says what became of a report.
    ///
    /// # Errors
    /// [`Fault::NotFound`] for who may not judge it, [`Fault::BadRequest`] for a state that is none, [`Fault::TextTooLong`]; those of persistence.
    pub async fn handle_report(
        &self,
        actor: Actor,
        report: ReportId,
        state: ReportState,
        note: Option<&str>,
    ) -> Result<Report, Refusal> {
        let note = note.map(ReportText::parse).transpose()?.and_then(|note| note.said().map(str::to_owned));
        let handle = HandleReport { report, actor, state, note, now: self.0.clock.now() };
        self.write(Key::User(actor.user), handle).await
    }

    /// A page of the audit log, for administrators.
    ///
    /// # Errors
    /// [`Fault::NotAllowed`]; those of the database.
    pub async fn audit(
        &self,
        actor: Actor,
        wanted: audit::Wanted,
        order: Order,
        limit: usize,
    ) -> Result<Page<AuditEntry>, Refusal> {
        actor.admin.then_some(()).ok_or(Fault::NotAllowed)?;
        self.read(move |db| Box::pin(audit::page(db, wanted, order, limit))).await
    }

    /// A page of what was done in a room, for its moderators.
    ///
    /// # Errors
    /// Those of moderating a room; those of the database.
    pub async fn audit_of_room(
        &self,
        actor: Actor,
        room: RoomId,
        wanted: audit::Wanted,
        order: Order,
        limit: usize,
    ) -> Result<Page<AuditEntry>, Refusal> {
        self.moderated(actor, room).await?;
        let wanted = audit::Wanted { room: Some(room), ..wanted };
        self.read(move |db| Box::pin(audit::page(db, wanted, order, limit))).await
    }

    /// Where the next page of the audit log begins.
    #[must_use]
    pub fn next_entry(page: &Page<AuditEntry>) -> Option<AuditId> {
        page.items.last().map(|entry| entry.id).filter(|_| page.more)
    }

    /// The filters of a room, for its moderators.
    ///
    /// # Errors
    /// Those of moderating a room; those of the database.
    pub async fn filters_of(&self, actor: Actor, room: RoomId) -> Result<Vec<Filter>, Refusal> {
        self.moderated(actor, room).await?;
        self.read(move |db| Box::pin(stored::of_room(db, room))).await
    }

    /// What the filters that hold everywhere say of texts by which somebody wants to be known, or have a room be known.
    pub fn judge_names<'a>(&self, texts: impl IntoIterator<Item = &'a str>) -> Judged {
        self.0.everywhere.filters().judge_names(texts)
    }

    /// The filters that hold everywhere, for administrators.
    ///
    /// # Errors
    /// [`Fault::NotAllowed`]; those of the database.
    pub async fn filters_everywhere(&self, actor: Actor) -> Result<Vec<Filter>, Refusal> {
        actor.admin.then_some(()).ok_or(Fault::NotAllowed)?;
        Ok(self.read(|db| Box::pin(stored::global(db))).await?.1)
    }

    /// Makes a filter that holds everywhere from the next post on.
    ///
    /// # Errors
    /// [`Fault::NotAllowed`], those of [`filters::rule`], [`Fault::LimitReached`], [`Fault::KeyReused`]; those of persistence.
    pub async fn add_everywhere(&self, actor: Actor, new: NewFilter) -> Result<Filter, Refusal> {
        actor.admin.then_some(()).ok_or(Fault::NotAllowed)?;
        let (rule, filter) = (new.rule()?, new.filter);
        self.change_everywhere(actor, GlobalChange::Add { filter, rule }).await?;
        self.one_filter(filter).await
    }

    /// Removes a filter that holds everywhere; one that is gone is as asked.
    ///
    /// # Errors
    /// [`Fault::NotAllowed`]; those of persistence.
    pub async fn remove_everywhere(&self, actor: Actor, filter: FilterId) -> Result<(), Refusal> {
        actor.admin.then_some(()).ok_or(Fault::NotAllowed)?;
        self.change_everywhere(actor, GlobalChange::Remove { filter }).await
    }

    /// A filter that was made a moment ago.
    ///
    /// # Errors
    /// [`Fault::NotFound`] if it is gone; those of the database.
    pub async fn one_filter(&self, filter: FilterId) -> Result<Filter, Refusal> {
        let found = self.read(move |db| Box::pin(stored::get(db, filter))).await?;
        found.ok_or_else(|| Fault::NotFound.into())
    }

    async fn change_everywhere(&self, actor: Actor, change: GlobalChange) -> Result<(), Refusal> {
        let parts = &self.0;
        let change =
            ChangeGlobalFilters { actor: actor.user, change, now: parts.clock.now(), filters_max: parts.filters_everywhere };
        self.write(Key::User(actor.user), change).await?;
        if let Err(error) = self.0.everywhere.refresh(&self.0.store).await {
            // It is stored; the keeper reads it as soon as the database answers.
            tracing::warn!(%error, "cannot read the filters that hold everywhere");
        }
        Ok(())
    }

    /// The room, for somebody who may moderate it.
    async fn moderated(&self, actor: Actor, room: RoomId) -> Result<Room, Refusal> {
        let found = self.read(move |db| Box::pin(rooms::with_member(db, room, actor.user))).await?;
        let (room, member) = found.ok_or(Fault::NotFound)?;
        policy::may_moderate(&room, member.as_ref(), actor.admin)?;
        Ok(room)
    }

    async fn read<T, F>(&self, ask: F) -> Result<T, Refusal>
    where
        T: Send + 'static,
        F: for<'a> FnOnce(&'a mut Db) -> Reply<'a, T> + Clone + Send + 'static,
    {
        self.0.store.read(ask).await.map_err(|error| {
            let fault = error.fault();
            let incident = (fault == Fault::Internal).then(IncidentId::generate);
            if let Some(incident) = incident {
                tracing::error!(%incident, %error, "a read of moderation failed");
            }
            Refusal::logged(fault, incident)
        })
    }

    async fn write<O: Operation>(&self, key: Key, operation: O) -> Result<O::Output, Refusal> {
        let answer = self.0.persistence.run(key, operation).await;
        answer.unwrap_or_else(|_dropped| Err(Fault::OutcomeUnknown.into()))
    }
}

/// A new report: people's, or the server's own, which is stored with its message.
pub fn announce(reason: ReportReason) {
    metrics::counter!(names::REPORTS, "reason" => word(reason)).increment(1);
}

const fn word(reason: ReportReason) -> &'static str {
    match reason {
        ReportReason::Spam => "spam",
        ReportReason::Abuse => "abuse",
        ReportReason::Illegal => "illegal",
        ReportReason::Other => "other",
        ReportReason::Filter => "filter",
        ReportReason::Hook => "hook",
    }
}

/// Who or what a report is about, as somebody asks: a message by room and number, or a person.
///
/// # Errors
/// [`Fault::BadRequest`] for neither or both.
pub fn target(room: Option<RoomId>, seq: Option<Seq>, user: Option<UserId>) -> Result<ReportTarget, Fault> {
    match (room, seq, user) {
        (Some(room), Some(seq), None) => Ok(ReportTarget::Message { room, seq }),
        (None, None, Some(user)) => Ok(ReportTarget::Person(user)),
        _ => Err(Fault::BadRequest),
    }
}
