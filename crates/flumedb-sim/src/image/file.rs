//! [`FileState`], a file as it reads now, as it is on the disk, and what lies between the two.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::pages::Pages;
use crate::Choices;

/// What a disk writes whole or not at all.
pub const SECTOR: u64 = 512;

#[derive(Clone, Default)]
pub(crate) struct FileState {
    /// What reads return: the page cache.
    pub(super) now: Pages,
    /// What the last successful sync left.
    pub(super) disk: Pages,
    /// What happened since, in order.
    pending: Vec<Change>,
}

#[derive(Clone)]
enum Change {
    Write { offset: u64, bytes: Bytes },
    SetLen(u64),
}

impl FileState {
    /// A file whose bytes are on the disk.
    pub(super) fn settled(pages: Pages) -> Self {
        Self { disk: pages.clone(), now: pages, pending: Vec::new() }
    }

    pub(super) fn write(&mut self, offset: u64, bytes: &[u8]) {
        self.now.write(offset, bytes);
        self.pending.push(Change::Write { offset, bytes: Bytes::copy_from_slice(bytes) });
    }

    pub(super) fn set_len(&mut self, len: u64) {
        if len != self.now.len() {
            self.now.set_len(len);
            self.pending.push(Change::SetLen(len));
        }
    }

    pub(super) fn allocate(&mut self, len: u64) {
        let before = self.now.len();
        if len > before {
            self.set_len(len);
            self.now.claim(before, len);
        }
    }

    pub(super) fn sync(&mut self) {
        let pending = std::mem::take(&mut self.pending);
        for change in &pending {
            match change {
                Change::Write { offset, bytes } => self.disk.write(*offset, bytes),
                Change::SetLen(len) => self.disk.set_len(*len),
            }
        }
    }

    /// A sync that fails: some of what was pending reached the disk, the rest never will, and yet it still reads back.
    /// Only the length may still change.
    pub(super) fn fail_sync(&mut self, choices: &mut Choices) {
        self.disk = self.after_crash(choices);
        self.pending.clear();
        if self.disk.len() != self.now.len() {
            self.pending.push(Change::SetLen(self.now.len()));
        }
    }

    /// The file after a power cut.
    ///
    /// The system may have written any page at any time, so each sector is as it was after any one of the writes to it,
    /// or before all of them. Lengths change in order, up to any point.
    pub(super) fn after_crash(&self, choices: &mut Choices) -> Pages {
        let mut pages = self.disk.clone();
        if self.pending.is_empty() {
            return pages;
        }
        let lengths = self.lengths();
        let (happened, len) = lengths[choices.pick(lengths.len() as u64) as usize];
        let mut kept: BTreeMap<u64, u64> =
            self.versions(len).into_iter().map(|(sector, versions)| (sector, choices.pick(versions + 1))).collect();
        for (number, change) in self.pending.iter().enumerate() {
            match change {
                Change::Write { offset, bytes } => {
                    for (sector, at, part) in sectors(*offset, bytes) {
                        if let Some(left) = kept.get_mut(&sector).filter(|left| **left > 0) {
                            *left -= 1;
                            pages.write(at, part);
                        }
                    }
                }
                Change::SetLen(to) => {
                    if number < happened && *to < pages.len() {
                        pages.set_len(*to);
                    }
                }
            }
        }
        pages.set_len(len);
        pages
    }

    /// How many ways there are for [`FileState::after_crash`].
    pub(super) fn crash_ways(&self) -> f64 {
        if self.pending.is_empty() {
            return 1.0;
        }
        let ways = |len| self.versions(len).values().map(|versions| (versions + 1) as f64).product::<f64>();
        self.lengths().iter().map(|(_, len)| ways(*len)).sum()
    }

    /// The lengths that the file may have: how many of the pending changes happened, and the length then.
    fn lengths(&self) -> Vec<(usize, u64)> {
        let mut len = self.disk.len();
        let mut lengths = vec![(0, len)];
        for (number, change) in self.pending.iter().enumerate() {
            let after = match change {
                Change::Write { offset, bytes } => len.max(offset + bytes.len() as u64),
                Change::SetLen(len) => *len,
            };
            // A write that extends a file may have extended it half-way.
            let half = (len + after.saturating_sub(len) / 2).next_multiple_of(SECTOR);
            if matches!(change, Change::Write { .. }) && len < half && half < after {
                lengths.push((number, half));
            }
            if after != len || matches!(change, Change::SetLen(_)) {
                lengths.push((number + 1, after));
            }
            len = after;
        }
        lengths
    }

    /// How often each sector below `len` was written.
    fn versions(&self, len: u64) -> BTreeMap<u64, u64> {
        let mut versions = BTreeMap::new();
        for change in &self.pending {
            if let Change::Write { offset, bytes } = change {
                for (sector, ..) in sectors(*offset, bytes).filter(|(_, at, _)| *at < len) {
                    *versions.entry(sector).or_insert(0) += 1;
                }
            }
        }
        versions
    }
}

/// The parts of `bytes` by sector: its number, where the part starts in the file, and the part.
fn sectors(offset: u64, bytes: &[u8]) -> impl Iterator<Item = (u64, u64, &[u8])> {
    let mut at = offset;
    let mut rest = bytes;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let room = (SECTOR - at % SECTOR) as usize;
        let (now, later) = rest.split_at(room.min(rest.len()));
        let part = (at / SECTOR, at, now);
        at += now.len() as u64;
        rest = later;
        Some(part)
    })
}
