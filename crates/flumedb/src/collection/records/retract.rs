//! What a deletion in the log does: the state is afterwards as if the entry had never been.
//!
//! That is easy for entries that nobody needs any more, as long as they go in the right order: refused ones before what
//! refused them, and older versions of a record before the newer ones (`prune.rs` sees to that). It is easy as well for
//! the only version of a record. Everything else is left to a rebuild.

use std::ops::ControlFlow;

use super::{
    Open, damaged,
    row::{self, At, Current, Refusal, Version},
};
use crate::{Result, collection::record::Declaration, view::Retraction};

/// What came of it.
pub(super) struct Retracted {
    pub(super) retraction: Retraction,
    /// Whether a record has gone.
    pub(super) was_current: bool,
}

impl Open {
    pub(super) fn retract(&mut self, seq: u64) -> Result<Retracted> {
        let done = |was_current| Ok(Retracted { retraction: Retraction::Done, was_current });
        let refused = row::entry(row::REFUSED, seq);
        if self.rows.get(&refused)?.is_some() {
            self.rows.remove(refused);
            return done(false);
        }
        let versions = self.versions(seq)?;
        if !versions.is_empty() && (self.may_refuse(seq, &versions)? || self.is_needed(seq, &versions)?) {
            return Ok(Retracted { retraction: Retraction::Rebuild, was_current: false });
        }
        let mut was_current = false;
        for (at, version) in versions {
            let place = row::record(&version.collection, &version.key);
            let current =
                self.rows.get(&place)?.map(|bytes| Current::decode(&bytes).ok_or_else(damaged)).transpose()?;
            if let Some(current) = current.filter(|current| current.at == at) {
                self.remove_rows(&version.collection, &version.key, &current.rows);
                self.rows.remove(place);
                was_current |= current.is_there();
            }
            if let Some(superseded) = version.superseded {
                self.rows.remove(row::aging(&version.collection, superseded, at));
            }
            self.rows.remove(row::version(at));
        }
        self.rows.remove(row::entry(row::ALIVE, seq));
        self.rows.remove(row::entry(row::GARBAGE, seq));
        done(was_current)
    }

    /// Whether anything was made of the entry.
    pub(super) fn knows(&self, seq: u64) -> Result<bool> {
        let known = [row::REFUSED, row::GARBAGE].map(|tag| self.rows.get(&row::entry(tag, seq)));
        let [refused, garbage] = known;
        Ok(refused?.is_some() || garbage?.is_some() || !self.versions(seq)?.is_empty())
    }

    /// Whether an entry was refused that might not be if these versions had never been. It might not if it came before
    /// they were superseded, or was refused for what happened before that.
    fn may_refuse(&self, seq: u64, versions: &[(At, Version)]) -> Result<bool> {
        let garbage = self.rows.get(&row::entry(row::GARBAGE, seq))?;
        let superseded = match garbage {
            Some(garbage) => row::number(&garbage),
            None if versions.iter().all(|(_, version)| version.superseded.is_some()) => {
                versions.iter().filter_map(|(_, version)| version.superseded).max()
            }
            None => None,
        };
        let (from, mut refuses) = (row::entry(row::REFUSED, seq.saturating_add(1)), false);
        self.rows.visit(&from, &[row::REFUSED + 1], |_, refusal| {
            let (seen, _) = Refusal::decode(refusal).ok_or_else(damaged)?;
            refuses = superseded.is_none_or(|superseded| superseded >= seen);
            Ok(if refuses { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        Ok(refuses)
    }

    /// Whether something would come back if these versions went: an older one, or what a declaration said.
    fn is_needed(&self, seq: u64, versions: &[(At, Version)]) -> Result<bool> {
        for (_, version) in versions {
            if version.collection == Declaration::COLLECTION {
                return Ok(true);
            }
            if let Some(before) = version.before.filter(|before| before.0 != seq)
                && self.version(before)?.is_some()
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The versions that an entry made.
    fn versions(&self, seq: u64) -> Result<Vec<(At, Version)>> {
        let mut versions = Vec::new();
        let (from, to) = (row::entry(row::VERSION, seq), row::behind(row::entry(row::VERSION, seq)));
        self.rows.visit(&from, &to, |key, version| {
            let at = row::parse_version(key).ok_or_else(damaged)?;
            versions.push((at, Version::decode(version).ok_or_else(damaged)?));
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(versions)
    }
}
