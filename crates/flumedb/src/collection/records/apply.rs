//! What an entry does: whether its conditions hold, and then its changes.

use std::{
    collections::{HashMap, HashSet},
    ops::ControlFlow,
};

use super::{
    Open, damaged,
    row::{self, At, Current, Refusal, State, Version},
};
use crate::{
    Bytes, Result, Seq,
    collection::{
        after,
        envelope::{ChangeKind, KeyEnd, KeyRange, RecordChange, Write},
        record::{Declaration, History, IndexRow},
    },
};

impl Open {
    /// Makes the changes of an entry, or notes why not.
    pub(super) fn apply(&mut self, seq: Seq, write: &Write) -> Result<()> {
        let seq = seq.get();
        if let Some(refusal) = self.refusal(write)? {
            let seen = if write.unchanged.is_empty() { seq } else { after(write.since) };
            self.rows.put(row::entry(row::REFUSED, seq), refusal.encode(seen));
            return Ok(());
        }
        match write.changes.len() {
            0 => self.rows.put(row::entry(row::GARBAGE, seq), seq.to_be_bytes().to_vec()),
            1 => {}
            many => self.rows.put(row::entry(row::ALIVE, seq), (many as u64).to_be_bytes().to_vec()),
        }
        // First of all: a row of one record may become one of another.
        for change in &write.changes {
            if let Some(before) = self.current(&change.collection, &change.key)? {
                self.remove_rows(&change.collection, &change.key, &before.rows);
            }
        }
        for (number, change) in (0..).zip(&write.changes) {
            self.change((seq, number), change, write.time_ms)?;
        }
        Ok(())
    }

    /// Why the changes of `write` must not be made, if so.
    ///
    /// A condition that held when the entry came must hold as well when the log is read anew without entries that nobody
    /// needs any more. So all of them are about something being there, and never about a version that is superseded.
    fn refusal(&self, write: &Write) -> Result<Option<Refusal>> {
        for range in &write.unchanged {
            if self.is_changed(range, write.since)? {
                return Ok(Some(Refusal::Changed { collection: range.collection.clone() }));
            }
        }
        for (collection, key) in &write.absent {
            if self.current(collection, key)?.is_some_and(|current| current.is_there()) {
                return Ok(Some(Refusal::Present { collection: collection.clone(), key: key.clone() }));
            }
        }
        self.taken(&write.changes)
    }

    fn is_changed(&self, range: &KeyRange, since: Option<Seq>) -> Result<bool> {
        let newer = |origin: u64| since.is_none_or(|since| origin > since.get());
        if range.to == KeyEnd::Same {
            return Ok(self.current(&range.collection, &range.from)?.is_some_and(|current| newer(current.origin)));
        }
        let from = row::entry(row::VERSION, after(since));
        let mut changed = false;
        self.rows.visit(&from, &[row::VERSION + 1], |_, version| {
            let version = Version::decode(version).ok_or_else(damaged)?;
            changed = version.kind != ChangeKind::Rewrite
                && version.collection == range.collection
                && range.contains(&version.key);
            Ok(if changed { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        Ok(changed)
    }

    /// Whether a row of a unique index belongs to another record.
    fn taken(&self, changes: &[RecordChange]) -> Result<Option<Refusal>> {
        let unique = |change: &RecordChange| change.rows.iter().any(|row| row.unique);
        if !changes.iter().any(unique) {
            return Ok(None);
        }
        // What these records had is free, in whichever order they are changed.
        let written: HashSet<(&str, &[u8])> =
            changes.iter().map(|change| (&*change.collection, &*change.key)).collect();
        let mut claimed: HashMap<Vec<u8>, &Bytes> = HashMap::new();
        for change in changes {
            for unique in change.rows.iter().filter(|row| row.unique) {
                let place = index_row(&change.collection, unique, &change.key);
                let holder = match claimed.get(&place) {
                    Some(holder) => Some((*holder).clone()),
                    None => {
                        let holder = self.rows.get(&place)?.map(Bytes::from);
                        holder.filter(|holder| !written.contains(&(&*change.collection, &**holder)))
                    }
                };
                if let Some(by) = holder.filter(|holder| *holder != change.key) {
                    let (collection, index) = (change.collection.clone(), unique.index.clone());
                    return Ok(Some(Refusal::Taken { collection, index, by }));
                }
                claimed.insert(place, &change.key);
            }
        }
        Ok(None)
    }

    fn current(&self, collection: &str, key: &[u8]) -> Result<Option<Current>> {
        let current = self.rows.get(&row::record(collection, key))?;
        current.map(|bytes| Current::decode(&bytes).ok_or_else(damaged)).transpose()
    }

    pub(super) fn version(&self, at: At) -> Result<Option<Version>> {
        let version = self.rows.get(&row::version(at))?;
        version.map(|bytes| Version::decode(&bytes).ok_or_else(damaged)).transpose()
    }

    fn change(&mut self, at: At, change: &RecordChange, time_ms: u64) -> Result<()> {
        let (collection, key, kind) = (&*change.collection, &change.key, change.kind);
        let before = self.current(collection, key)?;
        if let Some(before) = before.as_ref().filter(|before| before.at.0 == at.0) {
            self.remove_rows(collection, key, &before.rows);
        }
        let rows = if kind == ChangeKind::Delete { Vec::new() } else { change.rows.clone() };
        for index in &rows {
            let place = index_row(collection, index, key);
            let value = if index.unique { key.to_vec() } else { row::len_before(&place, key) };
            self.rows.put(place, value);
        }
        let origin = change.origin.filter(|_| kind == ChangeKind::Rewrite).map_or(at.0, Seq::get);
        let current = Current { at, kind, origin, generation: change.generation, rows };
        self.rows.put(row::record(collection, key), current.encode());
        let before = before.map(|before| before.at);
        self.put_version(
            at,
            &Version {
                collection: collection.to_owned(),
                key: key.clone(),
                kind,
                state: State::Alive,
                before,
                superseded: None,
            },
        );
        if collection == Declaration::COLLECTION
            && let Some(name) = name_of(key)
        {
            self.rows.put(row::declaration(&name), change.value.to_vec());
            self.histories.clear();
        }
        if let Some(before) = before.filter(|_| kind == ChangeKind::Rewrite) {
            self.end(before, State::Rewritten, at.0)?;
        }
        match self.history(collection)? {
            History::All => Ok(()),
            History::Last(_) if kind == ChangeKind::Delete => self.keep_newest(at, 0),
            History::Last(count) => self.keep_newest(at, count.max(1)),
            History::Age(_) => {
                if let Some(before) = before.filter(|_| kind != ChangeKind::Rewrite) {
                    self.age(before, at.0, time_ms)?;
                }
                if kind == ChangeKind::Delete { self.age(at, at.0, time_ms) } else { Ok(()) }
            }
        }
    }

    /// Ends all versions of a record but the newest ones, of which `at` is the first.
    fn keep_newest(&mut self, at: At, mut count: u32) -> Result<()> {
        let (mut next, now) = (Some(at), at.0);
        while let Some(at) = next {
            let Some(version) = self.version(at)? else { break };
            match version.state {
                State::Alive if count > 0 => count -= 1,
                State::Alive => self.end(at, State::Dead, now)?,
                State::Rewritten => {}
                State::Dead => break,
            }
            next = version.before;
        }
        Ok(())
    }

    /// Nobody needs the version at `at` any more, since the entry `now`; nor its entry, if it was the last one there.
    fn end(&mut self, at: At, state: State, now: u64) -> Result<()> {
        let Some(version) = self.version(at)?.filter(|version| version.state == State::Alive) else { return Ok(()) };
        self.put_version(at, &Version { state, ..version });
        let alive = row::entry(row::ALIVE, at.0);
        let left = match self.rows.get(&alive)? {
            Some(left) => row::number(&left).ok_or_else(damaged)?.saturating_sub(1),
            None => 0,
        };
        if left > 0 {
            self.rows.put(alive, left.to_be_bytes().to_vec());
        } else {
            self.rows.put(row::entry(row::GARBAGE, at.0), now.to_be_bytes().to_vec());
        }
        Ok(())
    }

    /// The version at `at` was superseded; how long it is kept is a matter of time.
    fn age(&mut self, at: At, superseded: u64, time_ms: u64) -> Result<()> {
        if let Some(version) = self.version(at)?.filter(|version| version.state == State::Alive) {
            self.rows.put(row::aging(&version.collection, superseded, at), time_ms.to_be_bytes().to_vec());
            self.put_version(at, &Version { superseded: Some(superseded), ..version });
        }
        Ok(())
    }

    fn put_version(&mut self, at: At, version: &Version) {
        self.rows.put(row::version(at), version.encode());
    }

    pub(super) fn remove_rows(&mut self, collection: &str, key: &Bytes, rows: &[IndexRow]) {
        for index in rows {
            self.rows.remove(index_row(collection, index, key));
        }
    }
}

/// The row that says that a record is found under a key of an index.
fn index_row(collection: &str, index: &IndexRow, key: &Bytes) -> Vec<u8> {
    let mut place = row::index(index.unique, collection, &index.index, &index.key);
    if !index.unique {
        place.extend_from_slice(key);
    }
    place
}

/// The collection that a declaration with this key is about.
fn name_of(key: &Bytes) -> Option<String> {
    <String as crate::views::Key>::decode(&mut &**key)
}
