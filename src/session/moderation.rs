//! The commands of moderation: from an act to the part that does it, and from its answer to the reply.

use super::node::{Node, settled};
use super::ports::Counted;
use crate::domain::fault::{Fault, Refusal};
use crate::domain::ids::{FilterId, RoomId};
use crate::domain::room::RoomChange;
use crate::domain::user::Actor;
use crate::moderation::handle::{Moderation, NewFilter, target};
use crate::protocol::v1::moderation::{self, Part, Reported};
use crate::protocol::v1::moderation_acts::{AddFilter, Audit, HandleReport, RemoveFilter, Report, Reports};
use crate::protocol::v1::reply::Done;
use crate::store::audit::{self, Order};
use crate::store::reports;
use serde::Serialize;

pub(super) async fn report(node: &Node, actor: Actor, ask: Report) -> Result<Done, Refusal> {
    let target = target(ask.room, ask.seq, ask.user)?;
    (node.count)(actor.user, Counted::Report)?;
    let report = node.moderation.report(actor, target, ask.reason, ask.text.as_deref()).await?;
    Ok(Done::Reported(Reported { report }))
}

pub(super) async fn reports(node: &Node, actor: Actor, ask: Reports) -> Result<Done, Refusal> {
    let wanted = reports::Wanted { state: ask.state, room: ask.room };
    let page = node.moderation.reports(actor, wanted, ask.after, node.page_rows.of(ask.limit)?).await?;
    let mut items: Vec<moderation::Report> = page.items.iter().map(Into::into).collect();
    let more = cut(&mut items, node.part_bytes) || page.more;
    let next = items.last().map(|report| report.id).filter(|_| more);
    Ok(Done::Reports(Part { items, next }))
}

/// Leaves as many items as fit into so many bytes, and at least one: a report quotes a dozen messages, and a reply has to find room beside what
/// waits to be sent. Says whether some were left out.
fn cut<T: Serialize>(items: &mut Vec<T>, most: usize) -> bool {
    let mut bytes = 0;
    let fits = items.iter().take_while(|item| {
        bytes += serde_json::to_vec(item).map_or(0, |json| json.len());
        bytes <= most
    });
    let fitting = fits.count().max(1);
    let is_cut = items.len() > fitting;
    items.truncate(fitting);
    is_cut
}

pub(super) async fn handle(node: &Node, actor: Actor, ask: HandleReport) -> Result<Done, Refusal> {
    let report = node.moderation.handle_report(actor, ask.report, ask.state, ask.note.as_deref()).await?;
    Ok(Done::Report(Box::new((&report).into())))
}

pub(super) async fn audit(node: &Node, actor: Actor, ask: Audit) -> Result<Done, Refusal> {
    let Audit { room, actor: by, subject, action, since, until, before, limit } = ask;
    let wanted = audit::Wanted { actor: by, subject, room, action, since, until };
    let (order, rows) = (Order::Newest(before), node.page_rows.of(limit)?);
    let page = match room {
        Some(room) if !actor.admin => node.moderation.audit_of_room(actor, room, wanted, order, rows).await?,
        _ => node.moderation.audit(actor, wanted, order, rows).await?,
    };
    let next = Moderation::next_entry(&page);
    Ok(Done::Audit(Part { items: page.items.iter().map(Into::into).collect(), next }))
}

pub(super) async fn filters(node: &Node, actor: Actor, room: Option<RoomId>) -> Result<Done, Refusal> {
    let found = match room {
        Some(room) => node.moderation.filters_of(actor, room).await?,
        None => node.moderation.filters_everywhere(actor).await?,
    };
    Ok(Done::Filters(Part { items: found.iter().map(Into::into).collect(), next: None::<FilterId> }))
}

pub(super) async fn add_filter(node: &Node, actor: Actor, ask: AddFilter) -> Result<Done, Refusal> {
    let AddFilter { room, filter, kind, pattern, action } = ask;
    let new = NewFilter { filter, kind, pattern, action };
    let made = match room {
        Some(room) => {
            settled(node.rooms.change(room, actor, new.for_room()?), Fault::OutcomeUnknown).await?;
            node.moderation.one_filter(filter).await?
        }
        None => node.moderation.add_everywhere(actor, new).await?,
    };
    Ok(Done::Filter(Box::new((&made).into())))
}

pub(super) async fn remove_filter(node: &Node, actor: Actor, ask: RemoveFilter) -> Result<Done, Refusal> {
    let filter = ask.filter;
    match ask.room {
        Some(room) => {
            let change = RoomChange::RemoveFilter { filter };
            settled(node.rooms.change(room, actor, change), Fault::OutcomeUnknown).await?;
        }
        None => node.moderation.remove_everywhere(actor, filter).await?,
    }
    Ok(Done::Nothing {})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_cut_where_it_is_full_and_never_to_nothing() {
        let parts = |most: usize| {
            let mut items = vec!["four"; 3];
            (cut(&mut items, most), items.len())
        };
        // With its quotes each takes six bytes.
        assert_eq!([parts(1), parts(12), parts(17), parts(18)], [(true, 1), (true, 2), (true, 2), (false, 3)]);
    }
}
