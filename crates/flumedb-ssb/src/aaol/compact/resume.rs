//! How a compaction goes on that was stopped, ours or the original's. Trusts a state file only as far as the log agrees
//! with it.

use flumedb::{Damage, Env, Error, ErrorKind, Result};

use super::{
    fill, lineage,
    state::{self, Beside, State},
    survivors::{Record, Survivors},
};
use crate::{
    aaol::{Aaol, layout::is_zero},
    file::{Finish, Source, is_erased},
};

/// Finishes what is there to finish. `skip_damage`: what cannot be finished is left as it lies, without the state.
///
/// # Errors
/// `Corrupt` if the state is not of this log, or going on from it would lose entries: nothing was changed then.
pub(in crate::aaol) fn finish(env: &Env, source: &Source, skip_damage: bool) -> Result<Finish> {
    let finished = match state::load(env, source) {
        Ok(Beside::Nothing) => return Ok(Finish::Nothing),
        Ok(Beside::Stub) => state::remove(env, source),
        Ok(Beside::State(state)) => go_on(env, source, state),
        Err(error) => Err(error),
    };
    match finished {
        Err(error) if error.kind() == ErrorKind::Corrupt && skip_damage => {
            state::set_aside(env, source).map(Finish::SetAside)
        }
        finished => finished.map(|()| Finish::Done),
    }
}

fn go_on(env: &Env, source: &Source, state: State) -> Result<()> {
    let len = source.len()?;
    if len == 0 {
        // There was no entry left, and nothing is left to do but this. What the state holds of a log whose bytes are gone is
        // kept.
        if !is_zero(&state.copy) {
            state::set_aside(env, source)?;
        }
        return fill::cut(env, source, 0);
    }
    let resume = Resume::of(source, state, len)?;
    if let Some(last) = resume.state.truncate {
        let end = (u64::from(last) + 1) * u64::from(resume.layout.block_size());
        return match resume.disagreement(source, end, resume.last_of(source, end, len)?)? {
            // The original has moved entries and left no mark of it.
            None => lineage::renew(env, source).and_then(|()| fill::cut(env, source, end)),
            Some(damage) => Err(Error::corrupt(damage)),
        };
    }
    let (at, survivors) = match resume.disagreement(source, resume.at(), resume.before(source)?.flatten())? {
        None => resume.survivors(source)?,
        Some(damage) => resume.step_back(source)?.ok_or_else(|| Error::corrupt(damage))?,
    };
    lineage::renew(env, source)?;
    fill::fill(env, source, resume.layout, u64::from(resume.state.start), at, survivors)
}

/// A state that can be one of this log.
struct Resume {
    layout: Aaol,
    state: State,
    len: u64,
}

impl Resume {
    fn of(source: &Source, state: State, len: u64) -> Result<Self> {
        let not = |why: &str| {
            let why = format!("the state of its compaction does not fit it: {why}");
            Err(Error::corrupt(Damage::new(&source.path, 0, len, why)))
        };
        let Ok(layout) = state.layout() else { return not("no block is of that size") };
        let size = u64::from(layout.block_size());
        if !len.is_multiple_of(size) {
            return not("its length is no multiple of the block size");
        }
        if let Some(last) = state.truncate {
            // Shorter is what the original leaves that was stopped between cutting and removing the state.
            let end = (u64::from(last) + 1) * size;
            let fits = end <= len && u64::from(state.start) <= end && u64::from(state.start).is_multiple_of(size);
            return if fits { Ok(Self { layout, state, len }) } else { not("it is shorter than what stays of it") };
        }
        let (start, unshifted) = (u64::from(state.start), u64::from(state.unshifted));
        let at = u64::from(state.block) * size;
        if !start.is_multiple_of(size) || start > at || at > layout.block_start(unshifted) || unshifted >= len {
            return not("its numbers contradict each other");
        }
        let resume = Self { layout, state, len };
        if resume.before(source)?.is_none() {
            return not("no record starts where it says");
        }
        Ok(resume)
    }

    fn at(&self) -> u64 {
        u64::from(self.state.block) * u64::from(self.layout.block_size())
    }

    /// The last record that is left before the first one that is not moved, if they are in one block. Nothing at all if
    /// no record starts where that one should.
    fn before(&self, source: &Source) -> Result<Option<Option<Record>>> {
        let unshifted = u64::from(self.state.unshifted);
        let start = self.layout.block_start(unshifted);
        let mut records = Survivors::new(self.layout, source, self.len, start, Some(self.state.copy.clone()))?;
        let mut before = None;
        while let Some(record) = records.peek()? {
            if record.start >= unshifted {
                return Ok((record.start == unshifted).then_some(before));
            }
            records.pass(&record);
            before = Some(record);
        }
        Ok(None)
    }

    /// The records of the blocks that are said to be done, up to `end`, must be those up to `last`: none of them deleted,
    /// and that one their last, where it is known.
    fn disagreement(&self, source: &Source, end: u64, last: Option<Record>) -> Result<Option<Damage>> {
        let mut records = Survivors::new(self.layout, source, end, u64::from(self.state.start), None)?;
        let mut done = None;
        let damage = |at: u64| {
            let from = self.layout.block_start(at);
            Ok(Some(Damage::new(&source.path, from, end - from, NOT_DONE)))
        };
        while let Some(record) = records.record()? {
            if is_erased(record.payload()) {
                return damage(record.start);
            }
            records.pass(&record);
            done = Some(record);
        }
        match (done, last) {
            (Some(done), Some(last)) if done.bytes != last.bytes => damage(done.start),
            (None, Some(_)) => damage(u64::from(self.state.start)),
            _ => Ok(None),
        }
    }

    /// The last record from `from` to `to`.
    fn last_of(&self, source: &Source, from: u64, to: u64) -> Result<Option<Record>> {
        let mut records = Survivors::new(self.layout, source, to, from, None)?;
        let mut last = None;
        while let Some(record) = records.peek()? {
            records.pass(&record);
            last = Some(record);
        }
        Ok(last)
    }

    /// The block to fill next, and with what.
    fn survivors<'a>(&self, source: &'a Source) -> Result<(u64, Survivors<'a>)> {
        let (unshifted, copy) = (u64::from(self.state.unshifted), self.state.copy.clone());
        Ok((self.at(), Survivors::new(self.layout, source, self.len, unshifted, Some(copy))?))
    }

    /// Where the state reached the disk before the block that it says is done, that block is as it was, so it can be
    /// filled once more. That this is so is certain if the records fill it up to the first one that is not moved.
    fn step_back<'a>(&self, source: &'a Source) -> Result<Option<(u64, Survivors<'a>)>> {
        let start = u64::from(self.state.start);
        let Some(block) = self.at().checked_sub(u64::from(self.layout.block_size())).filter(|&block| block >= start)
        else {
            return Ok(None);
        };
        // What the block before it ends with comes before the first record that this block is to get.
        let last = match block.checked_sub(u64::from(self.layout.block_size())).filter(|&before| before >= start) {
            Some(before) => self.last_of(source, before, block)?,
            None => None,
        };
        let mut candidates = Survivors::new(self.layout, source, self.len, block, None)?;
        let (mut before, mut found): (Option<Record>, _) = (None, None);
        while let Ok(Some(record)) = candidates.peek() {
            let follows = match (&before, &last) {
                (None, _) => true,
                (Some(before), Some(last)) => before.bytes == last.bytes,
                (Some(_), None) => false,
            };
            if record.start > u64::from(self.state.unshifted) {
                break;
            }
            let survivors = || Survivors::new(self.layout, source, self.len, record.start, None);
            let mut trial = survivors()?;
            let filled = follows && fill::take(self.layout, block, &mut trial).is_ok();
            if filled && trial.peek().ok().flatten().map(|next| next.start) == Some(u64::from(self.state.unshifted)) {
                if found.is_some() {
                    return Ok(None);
                }
                found = Some((block, survivors()?));
            }
            candidates.pass(&record);
            before = Some(record);
        }
        Ok(found)
    }
}

const NOT_DONE: &str = "its compaction was stopped, and the state of that says more than was done here, so that going on \
                        would lose entries; `flume repair --skip-damage` leaves the log as it lies, where entries may be \
                        missing or doubled";
