//! Which requests go into a commit, and which are answered at once: conditions, limits, what there is to delete.

use std::{
    collections::BTreeSet,
    panic::{AssertUnwindSafe, catch_unwind},
};

use super::{
    super::{format::head_of, group::Group, queue::Request, settings::Durability},
    GROUP_BYTES, Writer,
};
use crate::{
    Error, ErrorKind, Result, Seq, Span,
    env::planted::{Bug, planted},
    log::{
        Batch, Condition, ReadRequest, SlotKind,
        memory::{check_head, conflicting, not_found, past_limit},
    },
    telemetry,
};

impl Writer {
    /// Takes a request into the group, or answers it, or gives it back: it must wait until the group is written.
    pub(super) fn admit(&mut self, request: Request, group: &mut Group) -> Option<Request> {
        let next = self.active.at.next + group.count();
        match request {
            Request::Append { mut batch, reply, permit } => {
                if let Some(Condition::NoneAfter { .. }) = &batch.condition
                    && group.count() > 0
                {
                    return Some(Request::Append { batch, reply, permit });
                }
                if !group.is_empty() && group.size() + batch.buffer_len() > GROUP_BYTES {
                    return Some(Request::Append { batch, reply, permit });
                }
                let holds = batch.condition.take().map_or(Ok(()), |condition| self.test(&condition, next));
                let holds = holds.and_then(|()| self.has_place_for(&batch, group));
                if let Err(error) = holds {
                    drop(reply.send(Err(error)));
                    return None;
                }
                group.durable |= self.settings.durability == Durability::EveryCommit && !batch.buffered;
                group.add_batch(next, batch);
                group.requests.push(Request::Append { batch: Batch::new(), reply, permit });
                None
            }
            Request::Delete { targets, reply, permit } => {
                if group.count() > 0 {
                    return Some(Request::Delete { targets, reply, permit });
                }
                // That nothing can be written comes before what there is to delete.
                let deletable = self.shared.failure().cloned().map_or_else(|| self.deletable(&targets), Err);
                match deletable {
                    Ok(targets) => {
                        group.durable |= self.settings.durability == Durability::EveryCommit;
                        group.add_deletions(&targets);
                        group.requests.push(Request::Delete { targets, reply, permit });
                    }
                    Err(error) => drop(reply.send(Err(error))),
                }
                None
            }
            Request::Sync { reply } => {
                group.durable = true;
                group.requests.push(Request::Sync { reply });
                None
            }
            alone @ (Request::Close { .. } | Request::Roll { .. }) if !group.is_empty() => Some(alone),
            Request::Roll { reply } => {
                drop(reply.send(self.roll_on_request()));
                None
            }
            Request::Close { reply } => {
                drop(reply.send(self.finish()));
                self.queue.close(Error::closed());
                None
            }
        }
    }

    /// Whether the note of a batch has a place: each segment begins with all of them.
    fn has_place_for(&self, batch: &Batch, group: &Group) -> Result<()> {
        let Some(note) = &batch.note else { return Ok(()) };
        let known = self.shared.notes();
        if known.contains_key(&note.name) {
            return Ok(());
        }
        let mut fresh: BTreeSet<&str> = group.note_names().filter(|name| !known.contains_key(*name)).collect();
        fresh.insert(&note.name);
        let checked = self.settings.check_notes(known.len() + fresh.len());
        checked.inspect_err(|error| telemetry::refused(&self.shared.label, error))
    }

    fn test(&self, condition: &Condition, next: u64) -> Result<()> {
        if planted(Bug::ConditionNotTested) {
            return Ok(());
        }
        let (after, matches, limit) = match condition {
            Condition::Head(expected) => return check_head(*expected, head_of(next)),
            Condition::NoneAfter { after, matches, limit } => (after, matches, *limit),
        };
        let mut from = after.map_or(0, |seq| seq.get().saturating_add(1));
        if next.saturating_sub(from) > limit {
            return Err(past_limit(limit));
        }
        while from < next {
            let chunk = self.shared.read(ReadRequest::forwards(Span { from, to: next }))?;
            for slot in chunk.slots.iter().filter(|slot| slot.kind == SlotKind::Entry) {
                let payload = chunk.payload_bytes(slot);
                // It is the caller's code, and must not end the writer that all others wait for.
                let tested = catch_unwind(AssertUnwindSafe(|| matches(&payload)));
                let tested = tested.unwrap_or_else(|_| Err(Error::new(ErrorKind::Invalid, "the condition panicked")));
                if tested.map_err(|error| error.at(slot.seq))? {
                    return Err(conflicting(slot.seq));
                }
            }
            from = chunk.covered.to.max(from + 1);
        }
        Ok(())
    }

    /// Those of the targets that are not deleted yet, ascending; an error if one is no entry.
    fn deletable(&self, targets: &[Seq]) -> Result<Vec<Seq>> {
        let mut wanted = targets.to_vec();
        wanted.sort_unstable();
        wanted.dedup();
        let mut left = Vec::with_capacity(wanted.len());
        for seq in wanted {
            match self.shared.check(seq) {
                Ok(()) => left.push(seq),
                Err(error) if error.kind() == ErrorKind::Deleted => {}
                // What is damaged may well be deleted.
                Err(error) if error.kind() == ErrorKind::Corrupt => left.push(seq),
                // The log begins behind it: it was deleted with all that was around it.
                Err(_) if seq.get() < self.shared.table.first() => {}
                Err(error) if error.kind() == ErrorKind::NotFound => return Err(not_found(seq)),
                Err(error) => return Err(error),
            }
        }
        let checked = self.settings.check_deletions(self.shared.deletions().len() + left.len() as u64);
        checked.inspect_err(|error| telemetry::refused(&self.shared.label, error))?;
        Ok(left)
    }
}
