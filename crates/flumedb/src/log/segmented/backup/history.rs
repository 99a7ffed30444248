//! [`End`], what a backup ends with, and whether a log has that in it. The evidence is the checksum of the newest entry, and that
//! may have been erased from the log since; but not what came right before and behind it.

use std::path::Path;

use super::{manifest::Manifest, moment::Moment};
use crate::{
    Result, Seq,
    env::{OpenMode, Storage},
    log::segmented::{
        format::{LogId, SegmentHeader, kind},
        segment::{check_header, fault_error, read_exactly},
        walk::{Item, Next, Position, Stop, next_commit},
    },
};

/// How a backup and a log belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kin {
    /// The log has all that is in the backup, or had it.
    Same,
    /// This entry is another.
    Other(Seq),
    /// Nothing is left that could tell.
    Unknown,
}

/// What a backup ends with.
pub(super) struct End {
    id: LogId,
    ordinal: u64,
    /// Entries below this are in it.
    next: u64,
    /// The chain behind the newest of them: that of the entry, and of what follows and takes no seq.
    chains: Vec<u32>,
    /// Which openings of the log have written when it ended there. What one of them has written behind the end follows it: an opening
    /// is one writer, and whoever goes on with a copy of the log draws another number.
    epochs: Vec<u64>,
    /// The entries of the last segment, ascending, and their checksums.
    entries: Vec<(u64, u32)>,
}

impl End {
    /// That of the backup in `dir`.
    pub(super) fn of(storage: &dyn Storage, dir: &Path, manifest: &Manifest) -> Result<Self> {
        let (id, next) = (manifest.id, manifest.next);
        let mut end = Self { id, ordinal: 0, next, chains: Vec::new(), epochs: Vec::new(), entries: Vec::new() };
        let Some(last) = manifest.files.last() else { return Ok(end) };
        end.ordinal = last.name.ordinal;
        let path = dir.join(last.name.file_name());
        let file = storage.open(&path, OpenMode::Read).map_err(|error| crate::Error::io("open", &path, error))?;
        let at = Position::start(&check_header(&*file, &path, last.name, Some(id))?);
        let bytes = read_exactly(&*file, &path, 0, usize::try_from(manifest.end).unwrap_or(usize::MAX))?;
        let mut newest = None;
        walk(&bytes, &path, id, at, |step| {
            step.chains(next, |chain| end.chains.push(chain));
            let entries = step.items.iter().filter(|item| is_entry(item));
            end.entries.extend(entries.map(|item| (item.number, item.record.crc)));
            if let Some((first, epoch)) = step.opening {
                newest = Some(epoch);
                end.epochs.extend(Some(epoch).filter(|_| first >= next));
            }
            None::<()>
        })?;
        end.epochs.extend(newest);
        Ok(end)
    }

    /// Looks for it in the log in `dir`.
    ///
    /// # Errors
    /// `NotFound` if a file was replaced since `moment`, `Corrupt`, `Io`.
    pub(super) fn compare(&self, storage: &dyn Storage, dir: &Path, moment: &Moment) -> Result<Kin> {
        for name in moment.names().filter(|name| name.ordinal >= self.ordinal) {
            let path = dir.join(name.file_name());
            let (header, bytes);
            if name == moment.last.name {
                let end = usize::try_from(moment.last.end).unwrap_or(usize::MAX);
                bytes = moment.last.bytes.slice(..end.min(moment.last.bytes.len()));
                header = SegmentHeader::decode(&bytes).map_err(|fault| fault_error(&path, 0, fault))?;
            } else {
                let open = |error| crate::Error::io("open", &path, error);
                let file = storage.open(&path, OpenMode::Read).map_err(open)?;
                header = check_header(&*file, &path, name, Some(self.id))?;
                let len = file.len().map_err(open)?;
                bytes = read_exactly(&*file, &path, 0, usize::try_from(len).unwrap_or(usize::MAX))?;
            }
            if let Some(kin) = walk(&bytes, &path, self.id, Position::start(&header), |step| self.judge(step))? {
                return Ok(kin);
            }
        }
        Ok(Kin::Unknown)
    }

    fn judge(&self, step: &Step<'_>) -> Option<Kin> {
        let other = step.items.iter().filter(|item| is_entry(item)).find(|item| {
            let known = self.entries.binary_search_by_key(&item.number, |entry| entry.0);
            known.ok().and_then(|at| self.entries.get(at)).is_some_and(|entry| entry.1 != item.record.crc)
        });
        if let Some(item) = other {
            return Some(Kin::Other(Seq::new(item.number)));
        }
        let mut is_there = false;
        step.chains(self.next, |chain| is_there |= self.chains.contains(&chain));
        match step.opening {
            _ if is_there => Some(Kin::Same),
            Some((first, epoch)) if first >= self.next => {
                Some(if self.epochs.contains(&epoch) { Kin::Same } else { Kin::Unknown })
            }
            _ => None,
        }
    }
}

/// Whether it has the checksum of an entry. What a repair has put in the place of a damaged one need not.
fn is_entry(item: &Item<'_>) -> bool {
    matches!(item.record.kind, kind::ENTRY | kind::TOMBSTONE) && !item.record.is_erased()
}

/// A commit, or a gap in the place of some.
struct Step<'a> {
    before: Position,
    after: Position,
    /// The first seq and the epoch of a commit.
    opening: Option<(u64, u64)>,
    items: &'a [Item<'a>],
}

impl Step<'_> {
    /// Tells all that the chain was where `next` is the seq that comes then.
    fn chains(&self, next: u64, mut tell: impl FnMut(u32)) {
        let within = self.items.iter().flat_map(|item| {
            let record = &item.record;
            [(item.number, record.prev), (item.number.saturating_add(record.seqs()), record.crc)]
        });
        let ends = [self.before, self.after].map(|at| (at.next, at.chain));
        ends.into_iter().chain(within).filter(|at| at.0 == next).for_each(|at| tell(at.1));
    }
}

/// Walks the commits of a segment until `visit` has an answer.
fn walk<T>(
    bytes: &[u8],
    path: &Path,
    id: LogId,
    mut before: Position,
    mut visit: impl FnMut(&Step<'_>) -> Option<T>,
) -> Result<Option<T>> {
    let mut items = Vec::new();
    loop {
        match next_commit(bytes, id, before, &mut items) {
            Ok(Next::Commit(commit, after)) => {
                let is_gap = items.first().is_some_and(|item| item.offset == before.offset);
                let opening = (!is_gap).then_some((commit.first, commit.epoch));
                if let Some(answer) = visit(&Step { before, after, opening, items: &items }) {
                    return Ok(Some(answer));
                }
                before = after;
            }
            Ok(Next::Stop(Stop::Bad { offset, fault })) | Err((offset, fault)) => {
                return Err(fault_error(path, offset, fault));
            }
            Ok(Next::Stop(_)) => return Ok(None),
        }
    }
}
