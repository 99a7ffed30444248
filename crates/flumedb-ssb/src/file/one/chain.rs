//! [`Chain`], the records that a walk from the first byte of a file proves, and a sparse index of where they start. Never
//! trusts a payload: a record starts where the one before it ends, or at the start of a block, and nowhere else.

use bytes::Bytes;
use flumedb::{Damage, Error, Result, Seq};

use super::layout::{Layout, Verdict};
use crate::file::source::{Source, Window};

/// The start of a record is remembered when it is so many bytes behind the one remembered last.
const STRIDE: u64 = 4 << 10;

/// So many damaged places are stepped over; what lies behind them is not read.
pub(super) const MOST_GAPS: usize = 1024;

/// So many bad blocks are, with no record between them: a file may be a hole of any size.
const MOST_STEPS: usize = 4096;

/// Why what lies behind the last record is not known.
pub(super) const TOO_MUCH: &str = "there is more damage than can be stepped over";

/// Runs of whole records.
#[derive(Clone, Default)]
pub struct Chain {
    /// Where the last record ends.
    end: u64,
    /// Where the last record starts.
    last: Option<u64>,
    /// How many records there are, deleted ones among them.
    count: u64,
    /// How many of them were deleted when they were walked over.
    erased: u64,
    /// The bytes of those.
    erased_bytes: u64,
    /// Which ones: a bit for each record.
    erased_bits: Vec<u64>,
    marks: Vec<Mark>,
    /// Damaged places with records behind them.
    gaps: Vec<Gap>,
    /// Why there is no record behind the last one, where something is.
    stop: Option<&'static str>,
    /// How long the file was at the last walk.
    walked: u64,
    /// What looks like the last record, but may be half of it.
    doubted: Option<Doubted>,
}

/// A record with nothing behind it that proves it: where it starts, its length, and a checksum over it.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Doubted(u64, u32, u64);

/// Where a record starts.
#[derive(Clone, Copy)]
struct Mark {
    start: u64,
    /// Records before it.
    count: u64,
    /// Deleted ones among those.
    erased: u64,
}

/// Bytes between records that are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Gap {
    pub(super) from: u64,
    pub(super) to: u64,
    pub(super) reason: &'static str,
}

impl Gap {
    pub(super) fn damage(&self, source: &Source) -> Damage {
        Damage::new(&source.path, self.from, self.to - self.from, self.reason)
    }
}

/// Where a record lies, and whether it is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) start: u64,
    /// Length of its payload.
    pub(super) size: u32,
    /// Where it ends.
    pub(super) end: u64,
    pub(super) erased: bool,
}

impl Record {
    /// Where its payload starts.
    pub(super) fn payload<L: Layout>(&self) -> u64 {
        self.start + u64::from(L::HEAD)
    }
}

/// A place in a walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Item {
    Record(Record),
    Gap(Gap),
}

impl Chain {
    /// Where the last record ends.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// Where the last record starts.
    pub fn last(&self) -> Option<u64> {
        self.last
    }

    /// Where the first record starts.
    pub fn first(&self) -> Option<u64> {
        self.marks.first().map(|mark| mark.start)
    }

    /// How many records there are, deleted ones among them.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// How many records were deleted when they were walked over.
    pub fn erased(&self) -> u64 {
        self.erased
    }

    /// The bytes of records that were deleted when they were walked over.
    pub(super) fn erased_bytes(&self) -> u64 {
        self.erased_bytes
    }

    /// Whether another walk through a file of `len` bytes would give up where the last one did.
    pub(super) fn gave_up_at(&self, len: u64) -> bool {
        self.stop == Some(TOO_MUCH) && self.walked == len
    }

    /// Whether there is one more record that counts if the next look sees the same.
    pub(crate) fn doubts(&self) -> bool {
        self.doubted.is_some()
    }

    /// Why there is no record behind the last one, where something is.
    pub fn stop(&self) -> Option<&'static str> {
        self.stop
    }

    /// How many bytes lie in damaged places with records behind them.
    pub fn gap_bytes(&self) -> u64 {
        self.gaps.iter().map(|gap| gap.to - gap.from).sum()
    }

    pub(super) fn gaps(&self) -> &[Gap] {
        &self.gaps
    }

    /// The records of a file of `len` bytes, as `layout` has them.
    ///
    /// # Errors
    /// `Io`.
    pub fn walk<L: Layout>(layout: &L, source: &Source, len: u64) -> Result<Self> {
        let mut chain = Self::default();
        chain.extend(layout, source, len)?;
        Ok(chain)
    }

    /// Whether a record starts at the first byte of a file of `len` bytes.
    pub(super) fn starts<L: Layout>(layout: &L, source: &Source, len: u64) -> Result<bool> {
        Ok(len > 0 && matches!(Window::new(source, len).judge(layout, 0)?, Verdict::Record(_)))
    }

    /// Walks on through what a file of `len` bytes has behind the last record.
    ///
    /// Another process may be writing the last record just now, from its first byte on. Where its framing does not prove
    /// that its end has arrived, and the end is a zero, as everything behind the records is, it counts when a
    /// [second look](Self::look_again) sees the same.
    pub(super) fn extend<L: Layout>(&mut self, layout: &L, source: &Source, len: u64) -> Result<()> {
        self.doubted = None;
        self.look_again(layout, source, len)
    }

    /// The same, and what was doubted counts if it is as it was.
    pub(super) fn look_again<L: Layout>(&mut self, layout: &L, source: &Source, len: u64) -> Result<()> {
        self.walked = len;
        let mut window = Window::new(source, len);
        let (mut at, mut broken, mut steps) = (self.end, None, 0);
        let mut doubted: Option<(Doubted, bool)> = None;
        self.stop = None;
        // With nothing but a doubted record behind it, a damaged place is found again.
        self.gaps.retain(|gap| gap.from < self.end);
        while at < len {
            match window.judge(layout, at)? {
                Verdict::Record(size) => {
                    if let Some((Doubted(start, size, _), erased)) = doubted.take() {
                        self.push(layout, start, size, erased);
                    }
                    steps = 0;
                    if let Some((from, reason)) = broken.take() {
                        if self.gaps.len() == MOST_GAPS {
                            self.stop = Some(TOO_MUCH);
                            return Ok(());
                        }
                        self.gaps.push(Gap { from, to: at, reason });
                    }
                    let payload = window.payload::<L>(at, size);
                    let erased = is_erased(payload);
                    if !L::PROVEN && payload.last() == Some(&0) {
                        doubted = Some((Doubted(at, size, checksum(payload)), erased));
                    } else {
                        self.push(layout, at, size, erased);
                    }
                    at = end(layout, at, size);
                }
                Verdict::Skip(to) if to > at => at = to,
                Verdict::Broken(reason, Some(to)) if to > at && to < len => {
                    let bad = *broken.get_or_insert((at, reason));
                    steps += 1;
                    if steps == MOST_STEPS {
                        broken = Some((bad.0, TOO_MUCH));
                        break;
                    }
                    at = to;
                }
                Verdict::Broken(reason, _) => {
                    broken.get_or_insert((at, reason));
                    break;
                }
                Verdict::End | Verdict::Skip(_) | Verdict::More(_) => break,
            }
        }
        self.stop = broken.map(|(_, reason)| reason);
        let before = std::mem::replace(&mut self.doubted, doubted.map(|(record, _)| record));
        if let Some((record @ Doubted(start, size, _), erased)) = doubted
            && before == Some(record)
        {
            self.push(layout, start, size, erased);
        }
        Ok(())
    }

    /// Adds the record at `start`, which is behind the last one.
    pub(super) fn push<L: Layout>(&mut self, layout: &L, start: u64, size: u32, erased: bool) {
        if self.marks.last().is_none_or(|mark| start - mark.start >= STRIDE) {
            self.marks.push(Mark { start, count: self.count, erased: self.erased });
        }
        self.last = Some(start);
        let bit = self.count % u64::from(u64::BITS);
        if bit == 0 {
            self.erased_bits.push(0);
        }
        if let Some(word) = self.erased_bits.last_mut() {
            *word |= u64::from(erased) << bit;
        }
        self.count += 1;
        self.erased += u64::from(erased);
        self.end = end(layout, start, size);
        self.erased_bytes += if erased { self.end - start } else { 0 };
        self.doubted = None;
    }

    /// A walk through what is proved, that begins with the record that holds byte `position` or one before it.
    pub(super) fn walk_from<'a, L: Layout>(&self, layout: &'a L, source: &'a Source, position: u64) -> Walk<'a, L> {
        let mark = self.mark_before(position);
        let start = mark.map_or(self.end, |mark| mark.start);
        Walk { layout, window: Window::new(source, layout.reach(self.end)), at: start, end: self.end }
    }

    fn mark_before(&self, position: u64) -> Option<&Mark> {
        let after = self.marks.partition_point(|mark| mark.start <= position);
        // What comes before the first record begins with it.
        self.marks.get(after.saturating_sub(1))
    }

    /// The record that starts at `start`, if one does.
    pub(super) fn find<L: Layout>(&self, layout: &L, source: &Source, start: u64) -> Result<Option<Record>> {
        let mut walk = self.walk_from(layout, source, start);
        while let Some(item) = walk.next()? {
            match item {
                Item::Record(record) if record.start < start => {}
                Item::Record(record) => return Ok((record.start == start).then_some(record)),
                Item::Gap(gap) if gap.to > start => return Ok(None),
                Item::Gap(_) => {}
            }
        }
        Ok(None)
    }

    /// How many records up to the one at `start` were deleted when they were walked over. What was deleted since does not
    /// count, so that a view that took an entry in before is noticed at its next opening.
    pub(super) fn erased_up_to<L: Layout>(&self, layout: &L, source: &Source, start: u64) -> Result<u64> {
        let Some(mark) = self.mark_before(start) else { return Ok(0) };
        let (mut erased, mut number) = (mark.erased, mark.count);
        let mut walk = self.walk_from(layout, source, start);
        while let Some(item) = walk.next()? {
            let Item::Record(record) = item else { continue };
            if record.start > start {
                break;
            }
            erased += u64::from(self.was_erased(number));
            number += 1;
        }
        Ok(erased)
    }

    fn was_erased(&self, number: u64) -> bool {
        let bits = u64::from(u64::BITS);
        let word = usize::try_from(number / bits).ok().and_then(|at| self.erased_bits.get(at));
        word.is_some_and(|word| word >> (number % bits) & 1 == 1)
    }
}

/// A walk through records that are proved.
pub(super) struct Walk<'a, L> {
    layout: &'a L,
    window: Window<'a>,
    at: u64,
    end: u64,
}

impl<L: Layout> Walk<'_, L> {
    /// Walks through copies of the bytes.
    pub(super) fn copying(mut self) -> Self {
        self.window = self.window.copying();
        self
    }

    /// A copy of the bytes from `from` to `to`, if the walk has made one.
    pub(super) fn copied(&self, from: u64, to: u64) -> Option<Bytes> {
        self.window.held(from, to)
    }

    /// The next record or damaged place.
    pub(super) fn next(&mut self) -> Result<Option<Item>> {
        let mut broken: Option<(u64, &'static str)> = None;
        while self.at < self.end {
            let found = self.window.judge(self.layout, self.at)?;
            if let (Verdict::Record(_), Some((from, reason))) = (found, broken) {
                return Ok(Some(Item::Gap(Gap { from, to: self.at, reason })));
            }
            match found {
                Verdict::Record(size) => {
                    let start = self.at;
                    self.at = end(self.layout, start, size);
                    let erased = is_erased(self.window.payload::<L>(start, size));
                    return Ok(Some(Item::Record(Record { start, size, end: self.at, erased })));
                }
                Verdict::Skip(to) if to > self.at => self.at = to,
                Verdict::Broken(reason, Some(to)) if to > self.at => {
                    broken.get_or_insert((self.at, reason));
                    self.at = to;
                }
                Verdict::Broken(reason, _) => return Err(self.window.changed(self.at, reason)),
                _ => return Err(self.window.changed(self.at, "another program changed the file while it was open")),
            }
        }
        match broken {
            Some((from, reason)) => Err(self.window.changed(from, reason)),
            None => Ok(None),
        }
    }
}

/// Where the record at `start` ends.
#[inline]
pub(super) fn end<L: Layout>(layout: &L, start: u64, size: u32) -> u64 {
    start.saturating_add(u64::from(L::HEAD) + u64::from(size) + u64::from(layout.trailer()))
}

impl Window<'_> {
    /// What `layout` says of the place `at`.
    #[inline]
    fn judge<L: Layout>(&mut self, layout: &L, at: u64) -> Result<Verdict> {
        let mut need = L::HEAD as usize;
        loop {
            let len = self.len;
            let bytes = self.from(at, need)?;
            match layout.judge(at, bytes, len) {
                Verdict::More(more) if more > need && more <= bytes.len().max(self.left(at)) => need = more,
                verdict => return Ok(verdict),
            }
        }
    }

    /// The payload of the record that was judged last.
    #[inline]
    fn payload<L: Layout>(&mut self, start: u64, size: u32) -> &[u8] {
        let head = L::HEAD as usize;
        let bytes = self.from(start, head + size as usize).unwrap_or_default();
        bytes.get(head..head + size as usize).unwrap_or_default()
    }

    fn changed(&self, at: u64, reason: &str) -> Error {
        Error::corrupt(Damage::new(&self.source.path, at, self.len.saturating_sub(at), reason)).at(Seq::new(at))
    }
}

/// What a proof keeps of a payload.
pub(super) fn checksum(payload: &[u8]) -> u64 {
    crc_fast::checksum(crc_fast::CrcAlgorithm::Crc64Nvme, payload)
}

/// Whether a payload is one that was deleted: some bytes, all zero. A payload of no bytes is an entry of no bytes.
#[inline]
pub(crate) fn is_erased(payload: &[u8]) -> bool {
    // The common payload does not begin with a zero, so that one byte decides.
    payload.first() == Some(&0) && payload.iter().all(|&byte| byte == 0)
}
