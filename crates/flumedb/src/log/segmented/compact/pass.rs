//! [`Pass`], one way through all segments, from the first to the last: which are written anew, and what of them goes.

use std::collections::{HashMap, VecDeque};

use super::{
    super::{
        directory,
        format::{FirstPage, HEADER_LEN, SegmentName, kind},
        segment::Segment,
        shared::Shared,
    },
    Compacted,
    rewrite::{Erase, Rewrite},
};
use crate::{
    Error, ErrorKind, Result,
    env::{OpenMode, Storage},
};

/// A segment that begins with so many bytes of what earlier ones said is worth writing anew for that alone.
const LARGE_PREAMBLE: u64 = 64 << 10;

/// How far deletions are carried out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Entries go whose tombstone is below this.
    pub(super) erase: u64,
    /// Tombstones go that are below this, once nothing is left of what they deleted.
    pub(super) forget: u64,
    /// A segment is written anew if so many percent of its bytes go; 0: if anything goes.
    pub(super) percent: u64,
}

pub(super) struct Pass {
    bounds: Bounds,
    counted: bool,
    /// Of every segment so far nothing is left.
    leading: bool,
    segments: VecDeque<(SegmentName, u64)>,
    /// How many entries each tombstone has deleted that are still there.
    left: HashMap<u64, u64>,
    pub(super) done: Compacted,
    /// Why a segment was left as it is.
    pub(super) failed: Option<Error>,
}

impl Pass {
    /// `counted`: somebody wants to know how many bytes there were.
    pub(super) fn new(shared: &Shared, bounds: Bounds, counted: bool) -> Result<Self> {
        let mut left = HashMap::new();
        for (_, tombstone) in shared.deletions().pairs(0, u64::MAX) {
            *left.entry(tombstone).or_insert(0) += 1;
        }
        let bytes_before = if counted { bytes(shared)? } else { 0 };
        let done = Compacted { bytes_before, ..Compacted::default() };
        Ok(Self { bounds, counted, leading: true, segments: shared.table.settled().into(), left, done, failed: None })
    }

    /// Begins with the next segment of which something goes; `None` if there is none any more.
    pub(super) fn next(&mut self, shared: &Shared, storage: &dyn Storage) -> Option<Rewrite> {
        while let Some((name, count)) = self.segments.pop_front() {
            let begun = self
                .erase(shared, name, count)
                .and_then(|erase| erase.map(|erase| Rewrite::begin(shared, storage, name, erase)).transpose());
            match begun {
                Ok(Some(rewrite)) => return Some(rewrite),
                Ok(None) => {}
                Err(error) => self.fail(error),
            }
        }
        None
    }

    /// A segment is left as it is; the others are not.
    pub(super) fn fail(&mut self, error: Error) {
        self.failed.get_or_insert(error);
    }

    /// What of a segment goes, if it is worth it.
    fn erase(&mut self, shared: &Shared, name: SegmentName, count: u64) -> Result<Option<Erase>> {
        // The page tells of the segment behind it: readers elsewhere look no further than that.
        if count == 0 || name.ordinal >= shared.told() {
            return Ok(None);
        }
        let leading = std::mem::take(&mut self.leading);
        let pairs: Vec<(u64, u64)> = shared.deletions().pairs(name.first, name.first + count).collect();
        if pairs.is_empty() && self.bounds.percent > 0 && !leading {
            return Ok(None);
        }
        let Some(segment) = shared.table.find(name.first)?.filter(|segment| segment.name == name) else {
            return Ok(None);
        };
        let targets: Vec<u64> = pairs
            .iter()
            .filter(|&&(target, tombstone)| tombstone < self.bounds.erase && !segment.is_gone(target))
            .map(|&(target, _)| target)
            .collect();
        // At the beginning of the log a segment goes as a whole once no entry is left, however little of it that is by now.
        self.leading = leading && !segment.holds_entries_but(&targets)?;
        // What it begins with counts too: the segments behind say again what of that still counts.
        let preamble = segment.begins_at().saturating_sub(HEADER_LEN as u64);
        let going: u64 = preamble + targets.iter().map(|&target| segment.bytes_of(target)).sum::<u64>();
        let size = segment.file.len().map_err(|error| Error::io("read", &segment.path, error))?;
        if !self.leading && going.saturating_mul(100) < size.saturating_mul(self.bounds.percent) {
            return Ok(None);
        }
        let mut going = HashMap::new();
        for (_, tombstone) in pairs.iter().filter(|(target, _)| targets.binary_search(target).is_ok()) {
            *going.entry(*tombstone).or_insert(0) += 1;
        }
        let tombstones = self.tombstones(&segment, &going)?;
        let any = !targets.is_empty() || !tombstones.is_empty() || (name.generation == 0 && preamble > LARGE_PREAMBLE);
        Ok(any.then_some(Erase { targets, tombstones, going }))
    }

    /// The tombstones of a segment that nobody needs any more. What goes with them counts: it comes before them.
    fn tombstones(&self, segment: &Segment, going: &HashMap<u64, u64>) -> Result<Vec<u64>> {
        let found = segment.numbers_of(kind::TOMBSTONE)?;
        let spent = |number: &u64| *number < self.bounds.forget && self.left.get(number) == going.get(number);
        Ok(found.into_iter().filter(spent).collect())
    }

    /// A segment has been written anew and is in its place.
    pub(super) fn installed(&mut self, rewrite: &Rewrite) {
        for (tombstone, going) in &rewrite.erase.going {
            if let Some(left) = self.left.get_mut(tombstone) {
                *left -= going;
                if *left == 0 {
                    self.left.remove(tombstone);
                }
            }
        }
        self.done.segments += 1;
        self.done.erased += rewrite.erase.targets.len() as u64;
    }

    /// All segments have been looked at: drops those at the beginning in which nothing is left.
    pub(super) fn finish(&mut self, shared: &Shared) -> Result<Compacted> {
        let dropped = drop_leading(shared)?;
        self.done.dropped = dropped;
        if self.done.segments > 0 || dropped > 0 {
            // What was removed is gone for good.
            let storage = &*shared.env.storage;
            storage.sync_dir(&shared.dir).map_err(|error| Error::io("sync", &shared.dir, error))?;
        }
        if self.counted {
            self.done.bytes_after = bytes(shared)?;
            let (torn, damaged) = directory::kept(&*shared.env.storage, &shared.dir)?;
            self.done.bytes_aside = torn.bytes + damaged.bytes;
        }
        Ok(self.done)
    }
}

/// Bytes of all segments.
fn bytes(shared: &Shared) -> Result<u64> {
    let mut bytes = 0;
    for name in shared.table.names() {
        let path = shared.dir.join(name.file_name());
        match shared.env.storage.open(&path, OpenMode::Read).and_then(|file| file.len()) {
            Ok(len) => bytes += len,
            Err(error) => return Err(Error::io("read", &path, error)),
        }
    }
    Ok(bytes)
}

/// Drops the segments at the beginning in which nothing is left; how many they were.
fn drop_leading(shared: &Shared) -> Result<u64> {
    let storage = &*shared.env.storage;
    let mut gone = shared.table.gone();
    let mut empty = Vec::new();
    let mut first = None;
    for (name, count) in shared.table.settled() {
        first = Some((name.ordinal, name.first));
        if name.ordinal >= shared.told() {
            break;
        }
        if count > 0 {
            let segment = shared.table.find(name.first)?.filter(|segment| segment.name == name);
            let Some(segment) = segment.filter(|segment| segment.gone() == count) else { break };
            let least = segment.least_forgotten()?;
            gone.tombstones += segment.tombstones_gone;
            gone.least = gone.least.min(least);
        }
        empty.push(name);
        first = Some((name.ordinal + 1, name.first + count));
    }
    let (Some((ordinal, first)), false) = (first, empty.is_empty()) else { return Ok(0) };
    let page = FirstPage { id: shared.id, ordinal, first, gone };
    directory::write_first(storage, &shared.dir, &page)?;
    shared.table.begin_at(&page);
    for name in &empty {
        let path = shared.dir.join(name.file_name());
        match storage.remove(&path).map_err(|error| Error::io("remove", &path, error)) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(empty.len() as u64)
}
