//! Reports to moderators: made with what the reporter saw, found by who may judge them, handled.
//!
//! *Invariants.* One open report of each target by each reporter, by a unique key. The quoted messages are a copy: what becomes of the messages
//! does not change it. Nobody finds a report about themselves (see [`crate::policy::may_judge`]).

use chrono::{DateTime, NaiveDateTime, Utc};
use diesel::mysql::Mysql;
use diesel::prelude::*;
use diesel::sqlite::Sqlite;
use diesel_async::RunQueryDsl;
use serde::{Deserialize, Serialize};

use super::audit;
use super::backend::Db;
use super::columns::{Code, Id, at, int, seq};
use super::error::StoreError;
use super::history::{self, Place};
use super::members;
use super::operation::{Operation, Reply};
use super::page::Page;
use super::people::Locked;
use super::rooms::{lock_room, members_of, with_member};
use super::schema::{members as member_rows, reports};
use crate::domain::audit::{AuditAction, AuditEntry};
use crate::domain::fault::Fault;
use crate::domain::ids::{ReportId, RoomId, UserId};
use crate::domain::member::{MemberState, Role};
use crate::domain::message::Shown;
use crate::domain::order::{Revision, Seq};
use crate::domain::report::{Quoted, Report, ReportReason, ReportState, ReportTarget, Suspicion};
use crate::domain::time::Timestamp;
use crate::domain::user::Actor;
use crate::policy::{self, Sight, View};

/// Messages quoted before the reported one, and after it.
const AROUND: u64 = 5;

/// What the server sees when it reports by itself.
const EVERYTHING: Sight = Sight { from_seq: Seq::ZERO, joined_revision: Revision::ZERO };

/// A row of `reports`.
#[derive(Clone, Debug, Queryable, Insertable)]
#[diesel(table_name = reports, treat_none_as_default_value = false)]
struct Row {
    id: Id,
    state: i16,
    reporter: Option<Id>,
    room: Option<Id>,
    seq: Option<i64>,
    subject: Id,
    reason: i16,
    text: Option<String>,
    context: String,
    created_at: NaiveDateTime,
    handled_at: Option<NaiveDateTime>,
    handled_by: Option<Id>,
    note: Option<String>,
    open_key: Option<Vec<u8>>,
}

/// A quoted message as it is kept.
#[derive(Serialize, Deserialize)]
struct Line {
    seq: u64,
    author: UserId,
    text: String,
    at: DateTime<Utc>,
}

impl TryFrom<Row> for Report {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let corrupt = |_| StoreError::Corrupt("the context of a report is not as it was written".to_owned());
        let lines: Vec<Line> = serde_json::from_str(&row.context).map_err(corrupt)?;
        let quoted = lines.into_iter().map(|line| Quoted {
            seq: Seq(line.seq),
            author: line.author,
            text: line.text,
            created_at: line.at,
        });
        let subject = row.subject.into();
        let target = match (row.room, row.seq) {
            (Some(room), Some(number)) => ReportTarget::Message { room: room.into(), seq: seq(number)? },
            _ => ReportTarget::Person(subject),
        };
        Ok(Self {
            id: row.id.into(),
            state: Code::from_code(row.state)?,
            reporter: row.reporter.map(Into::into),
            target,
            subject,
            reason: Code::from_code(row.reason)?,
            text: row.text,
            context: quoted.collect(),
            created_at: row.created_at.and_utc(),
            handled_at: row.handled_at.map(|at| at.and_utc()),
            handled_by: row.handled_by.map(Into::into),
            note: row.note,
        })
    }
}

/// Reports a message or a person; a message by whoever may read it, a person by whoever shares a room with them.
#[derive(Clone, Debug)]
pub struct MakeReport {
    /// Its name, if it is a new one.
    pub id: ReportId,
    /// Who; `None`: the server itself.
    pub reporter: Option<UserId>,
    /// What.
    pub target: ReportTarget,
    /// Why.
    pub reason: ReportReason,
    /// In their words.
    pub text: Option<String>,
    /// The present time.
    pub now: Timestamp,
}

/// Bytes of what the server adds to a report of its own, one time after the other.
const TEXT_BYTES_MAX: usize = 32_768;

/// What reporting came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reported {
    /// The report that is open now.
    pub report: ReportId,
    /// It was made now. `false`: there was one, and nothing has changed.
    pub is_new: bool,
}

impl Operation for MakeReport {
    type Output = Reported;
    const NAME: &'static str = "make_report";

    fn run<'a>(&'a self, db: &'a mut Db) -> Reply<'a, Reported> {
        Box::pin(async move {
            let (subject, context) = match self.target {
                ReportTarget::Message { room, seq } => self.message(db, room, seq).await?,
                ReportTarget::Person(user) => (self.person(db, user).await?, Vec::new()),
            };
            // Under the lock of the room, or of the people.
            let key = open_key(self.reporter, self.target);
            let query = reports::table.filter(reports::open_key.eq(&key)).select((reports::id, reports::text, reports::context));
            let open: Option<(Id, Option<String>, String)> = each!(db, |c| query.first(c).await.optional())?;
            if let Some((report, known, quoted)) = open {
                if let Some(text) = self.and_more(known.as_deref(), &quoted, &context) {
                    each!(db, |c| diesel::update(reports::table.find(report)).set(reports::text.eq(text)).execute(c).await)?;
                }
                return Ok(Reported { report: report.into(), is_new: false });
            }
            self.insert(db, subject, &context, key).await?;
            Ok(Reported { report: self.id, is_new: true })
        })
    }
}

impl MakeReport {
    /// What an open report of the server says from now on, if it does not say or quote it yet: it is suspect anew, and what it was reported for may be
    /// changed or deleted before anybody looks. Only so much: who is reported again and again is looked at for the beginning.
    fn and_more(&self, known: Option<&str>, quoted: &str, context: &[Line]) -> Option<String> {
        let said = match (self.reporter, self.target) {
            (Some(_), _) => return None,
            (None, ReportTarget::Message { seq, .. }) => &context.iter().find(|line| line.seq == seq.0)?.text,
            (None, ReportTarget::Person(_)) => self.text.as_ref()?,
        };
        let lines: Vec<Line> = serde_json::from_str(quoted).unwrap_or_default();
        let is_known = known.is_some_and(|known| known.contains(said)) || lines.iter().any(|line| line.text == *said);
        let text = [known.unwrap_or_default(), said.as_str()].join("\n");
        (!is_known && text.len() <= TEXT_BYTES_MAX).then_some(text)
    }

    /// The message's author, and what stands around it.
    async fn message(&self, db: &mut Db, room: RoomId, seq: Seq) -> Result<(UserId, Vec<Line>), StoreError> {
        let found = lock_room(db, room).await?.ok_or(Fault::NotFound)?;
        let sight = match self.reporter {
            Some(reporter) => policy::may_read(&found, members_of(db, room, &[reporter]).await?.as_slice().first())?,
            None => EVERYTHING,
        };
        let limit = usize::try_from(2 * AROUND + 1).unwrap_or(usize::MAX);
        // Who judges sees what the reporter would rather not see.
        let page = history::page(db, room, &View::of_everybody(sight), Place::Around(seq), limit).await?;
        let messages: Vec<_> = page.messages.into_iter().filter_map(Shown::message).collect();
        let near = |message: &&crate::domain::message::Message| message.seq.0.abs_diff(seq.0) <= AROUND;
        let author = messages.iter().find(|message| message.seq == seq).map(|message| message.author);
        let author = author.ok_or(Fault::NotFound)?;
        if Some(author) == self.reporter {
            return Err(Fault::NotAllowed.into());
        }
        let line = |message: &crate::domain::message::Message| Line {
            seq: message.seq.0,
            author: message.author,
            text: message.text.clone(),
            at: message.created_at,
        };
        Ok((author, messages.iter().filter(near).map(line).collect()))
    }

    async fn person(&self, db: &mut Db, user: UserId) -> Result<UserId, StoreError> {
        // The server reports with what they wrote of themselves, whose transaction has the lock.
        let Some(reporter) = self.reporter else { return Ok(user) };
        if reporter == user {
            return Err(Fault::NotAllowed.into());
        }
        Locked::take(db, [reporter, user]).await?;
        match members::sharing(db, reporter, &[user]).await?.is_empty() {
            true => Err(Fault::NotFound.into()),
            false => Ok(user),
        }
    }

    async fn insert(&self, db: &mut Db, subject: UserId, context: &[Line], key: Vec<u8>) -> Result<(), StoreError> {
        let (room, seq) = match self.target {
            ReportTarget::Message { room, seq } => (Some(room.into()), Some(int(seq.0))),
            ReportTarget::Person(_) => (None, None),
        };
        let context = serde_json::to_string(context).map_err(|error| StoreError::Internal(error.to_string()))?;
        let row = Row {
            id: self.id.into(),
            state: ReportState::Open.code(),
            reporter: self.reporter.map(Id::from),
            room,
            seq,
            subject: subject.into(),
            reason: self.reason.code(),
            text: self.text.clone(),
            context,
            created_at: at(self.now),
            handled_at: None,
            handled_by: None,
            note: None,
            open_key: Some(key),
        };
        each!(db, |c| diesel::insert_into(reports::table).values(row).execute(c).await)?;
        Ok(())
    }
}

/// The server reports a message or a person by itself, in the transaction that stores what is suspect: none is lost, however that ends.
/// Whether it is a new one.
///
/// # Errors
/// Those of the database.
pub(super) async fn by_server(
    db: &mut Db,
    target: ReportTarget,
    suspicion: &Suspicion,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let (reason, text) = (suspicion.reason, suspicion.text.clone());
    let report = MakeReport { id: ReportId::generate(), reporter: None, target, reason, text, now };
    Ok(report.run(db).await?.is_new)
}

/// Reporter and target. The nil id, which is nobody's, stands for the server.
fn open_key(reporter: Option<UserId>, target: ReportTarget) -> Vec<u8> {
    let by = reporter.map_or([0; 16], |reporter| *reporter.as_bytes());
    match target {
        ReportTarget::Message { room, seq } => [by.as_slice(), room.as_bytes(), &seq.0.to_be_bytes()].concat(),
        ReportTarget::Person(user) => [by.as_slice(), user.as_bytes()].concat(),
    }
}

/// Says what became of a report.
#[derive(Clone, Debug)]
pub struct HandleReport {
    /// Which.
    pub report: ReportId,
    /// Who says so.
    pub actor: Actor,
    /// Resolved or dismissed.
    pub state: ReportState,
    /// What they note.
    pub note: Option<String>,
    /// The present time.
    pub now: Timestamp,
}

impl Operation for HandleReport {
    type Output = Report;
    const NAME: &'static str = "handle_report";

    fn run<'a>(&'a self, db: &'a mut Db) -> Reply<'a, Report> {
        Box::pin(async move {
            if self.state == ReportState::Open {
                return Err(Fault::BadRequest.into());
            }
            // The room first: reports never change rooms.
            let room = get(db, self.report).await?.ok_or(Fault::NotFound)?.room();
            let member = match room {
                Some(room) => {
                    let found = lock_room(db, room).await?;
                    let member = members_of(db, room, &[self.actor.user]).await?.pop();
                    found.map(|found| (found, member))
                }
                None => None,
            };
            let report = lock(db, self.report).await?.ok_or(Fault::NotFound)?;
            policy::may_judge(member.as_ref().map(|(room, member)| (room, member.as_ref())), report.subject, &self.actor)?;
            if (report.state, &report.note) == (self.state, &self.note) {
                return Ok(report);
            }
            let handled = (
                (reports::state.eq(self.state.code()), reports::note.eq(self.note.clone())),
                (reports::handled_at.eq(Some(at(self.now))), reports::handled_by.eq(Some(Id::from(self.actor.user)))),
                reports::open_key.eq(None::<Vec<u8>>),
            );
            let row = reports::table.find(Id::from(self.report));
            each!(db, |c| diesel::update(row).set(handled).execute(c).await)?;
            audit::write(db, &self.entry(&report)).await?;
            let handled_by = Some(self.actor.user);
            Ok(Report { state: self.state, note: self.note.clone(), handled_at: Some(self.now), handled_by, ..report })
        })
    }
}

impl HandleReport {
    fn entry(&self, report: &Report) -> AuditEntry {
        let word = match self.state {
            ReportState::Resolved => "resolved",
            ReportState::Dismissed => "dismissed",
            ReportState::Open => "open",
        };
        let entry = AuditEntry::new(self.now, Some(self.actor.user), AuditAction::ReportHandled);
        let entry = entry.to(report.subject).because(self.note.as_deref()).namely(format!("{word} {}", report.id));
        match report.target {
            ReportTarget::Message { room, seq } => entry.in_room(room).message(seq),
            ReportTarget::Person(_) => entry,
        }
    }
}

/// One report.
///
/// # Errors
/// Those of the database.
pub async fn get(db: &mut Db, report: ReportId) -> Result<Option<Report>, StoreError> {
    let query = reports::table.find(Id::from(report));
    let row: Option<Row> = each!(db, |c| query.first(c).await.optional())?;
    row.map(Report::try_from).transpose()
}

async fn lock(db: &mut Db, report: ReportId) -> Result<Option<Report>, StoreError> {
    let query = reports::table.find(Id::from(report));
    let row: Option<Row> = match db {
        Db::Sqlite(c) => query.first(c).await.optional()?,
        Db::Mysql(c) => query.for_update().first(c).await.optional()?,
    };
    row.map(Report::try_from).transpose()
}

/// One report, for somebody who may judge it.
///
/// # Errors
/// [`Fault::NotFound`] for all others; those of the database.
pub async fn for_judge(db: &mut Db, report: ReportId, actor: Actor) -> Result<Report, StoreError> {
    let report = get(db, report).await?.ok_or(Fault::NotFound)?;
    let at = match report.room() {
        Some(room) => with_member(db, room, actor.user).await?,
        None => None,
    };
    policy::may_judge(at.as_ref().map(|(room, member)| (room, member.as_ref())), report.subject, &actor)?;
    Ok(report)
}

/// Which reports; what is absent does not matter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// In this state.
    pub state: Option<ReportState>,
    /// Of this room.
    pub room: Option<RoomId>,
}

/// The conditions, on a query of either database.
macro_rules! wanted {
    ($backend:ty, $wanted:expr, $actor:expr, $after:expr) => {{
        // Nobody finds a report about themselves.
        let mut query = reports::table.filter(reports::subject.ne(Id::from($actor.user))).into_boxed::<$backend>();
        if let Some(state) = $wanted.state {
            query = query.filter(reports::state.eq(state.code()));
        }
        if let Some(room) = $wanted.room {
            query = query.filter(reports::room.eq(Id::from(room)));
        }
        if !$actor.admin {
            let moderated = member_rows::table
                .filter(member_rows::user.eq(Id::from($actor.user)))
                .filter(member_rows::state.eq(MemberState::Joined.code()))
                // The highest role has the lowest code; only named rooms have roles.
                .filter(member_rows::role.le(Role::Moderator.code()))
                .select(member_rows::room.nullable());
            query = query.filter(reports::room.eq_any(moderated));
        }
        if let Some(after) = $after {
            query = query.filter(reports::id.gt(Id::from(after)));
        }
        query.order(reports::id)
    }};
}

/// The reports that somebody may judge, oldest first: an administrator all of them, others those of the rooms they moderate.
///
/// # Errors
/// Those of the database.
pub async fn page(
    db: &mut Db,
    actor: Actor,
    wanted: Wanted,
    after: Option<ReportId>,
    limit: usize,
) -> Result<Page<Report>, StoreError> {
    let most = Page::<Report>::one_more(limit);
    let rows: Vec<Row> = match db {
        Db::Sqlite(c) => wanted!(Sqlite, wanted, actor, after).limit(most).load(c).await?,
        Db::Mysql(c) => wanted!(Mysql, wanted, actor, after).limit(most).load(c).await?,
    };
    Page::cut(rows.into_iter().map(Report::try_from), limit)
}

/// Throws away reports handled before an instant, at most so many; how many there were.
#[derive(Clone, Copy, Debug)]
pub struct ForgetReports {
    /// From when on they stay.
    pub before: Timestamp,
    /// Rows at most, so that the transaction stays short.
    pub rows_max: usize,
}

impl Operation for ForgetReports {
    type Output = usize;
    const NAME: &'static str = "forget_reports";

    fn run<'a>(&'a self, db: &'a mut Db) -> Reply<'a, usize> {
        Box::pin(async move {
            let limit = i64::try_from(self.rows_max).unwrap_or(i64::MAX);
            let old = reports::handled_at.lt(Some(at(self.before)));
            let query = reports::table.select(reports::id).filter(old).order(reports::handled_at).limit(limit);
            let ids: Vec<Id> = each!(db, |c| query.load(c).await)?;
            let query = diesel::delete(reports::table.filter(reports::id.eq_any(&ids)));
            Ok(each!(db, |c| query.execute(c).await)?)
        })
    }
}

#[cfg(test)]
mod tests;
