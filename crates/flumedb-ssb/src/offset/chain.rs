//! [`Chain`], the records that a walk from the first byte of the file proves, and a sparse index of where they start.
//! Never trusts a payload: a record starts where the one before it ends, and nowhere else.

use flumedb::Result;

use super::{
    framing::{CUT_OFF, Framing, Verdict},
    source::{Source, Window},
};

/// Every so many records the start of one is remembered.
const STRIDE: u64 = 16;

/// A run of whole records from position 0.
#[derive(Clone)]
pub(super) struct Chain {
    pub(super) framing: Framing,
    /// Where the next record will start.
    pub(super) end: u64,
    /// Where the last record starts.
    pub(super) last: Option<u64>,
    /// How many records there are, deleted ones among them.
    pub(super) count: u64,
    /// Starts of those that were deleted when they were walked over.
    erased: Vec<u64>,
    /// The start of every [`STRIDE`]th record.
    marks: Vec<u64>,
}

impl Chain {
    /// No record yet.
    pub(super) fn new(framing: Framing) -> Self {
        Self { framing, end: 0, last: None, count: 0, erased: Vec::new(), marks: Vec::new() }
    }

    /// Walks on through what the file of `len` bytes has beyond the chain. Answers why it stopped before the end.
    pub(super) fn extend(&mut self, source: &Source, len: u64) -> Result<Option<&'static str>> {
        let mut window = Window::new(source);
        while self.end < len {
            let Some(head) = window.at(self.end, 4)?.first_chunk() else { return Ok(Some(CUT_OFF)) };
            let size = u32::from_be_bytes(*head);
            let after = self.end + 4 + u64::from(size);
            if after > len {
                return Ok(Some(CUT_OFF));
            }
            // The common payload does not begin with a zero, so that one byte decides.
            let suspect = size > 0 && window.at(self.end + 4, 1)? == [0];
            let trailer = window.at(after, self.framing.trailer())?;
            if trailer.len() < self.framing.trailer() {
                return Ok(Some(CUT_OFF));
            }
            if let Verdict::Broken(reason) = self.framing.judge(self.end, size, trailer) {
                return Ok(Some(reason));
            }
            let erased = suspect && source.is_erased(self.end + 4, size)?;
            self.push(size, erased);
        }
        Ok(None)
    }

    /// Adds the record that starts at the end.
    pub(super) fn push(&mut self, size: u32, erased: bool) {
        if self.count.is_multiple_of(STRIDE) {
            self.marks.push(self.end);
        }
        self.last = Some(self.end);
        self.count += 1;
        if erased {
            self.erased.push(self.end);
        }
        self.end = self.after(self.end, size);
    }

    /// Where the record after the one at `start` starts.
    pub(super) fn after(&self, start: u64, size: u32) -> u64 {
        start + u64::from(size) + self.framing.overhead()
    }

    /// Start and size of the record that holds byte `position`, or of the last record before it.
    pub(super) fn at_or_before(&self, source: &Source, position: u64) -> Result<Option<(u64, u32)>> {
        let after = self.marks.partition_point(|&mark| mark <= position);
        let Some(&mark) = after.checked_sub(1).and_then(|at| self.marks.get(at)) else { return Ok(None) };
        let mut start = mark;
        loop {
            let size = source.number(start)?;
            let next = self.after(start, size);
            if next > position || next >= self.end {
                return Ok(Some((start, size)));
            }
            start = next;
        }
    }

    /// Start of the first record at `position` or after it.
    pub(super) fn at_or_after(&self, source: &Source, position: u64) -> Result<Option<u64>> {
        let start = match self.at_or_before(source, position)? {
            Some((start, size)) if start < position => self.after(start, size),
            Some((start, _)) => start,
            None => return Ok(None),
        };
        Ok((start < self.end).then_some(start))
    }

    /// Size of the record that starts at `start`, if one does.
    pub(super) fn size(&self, source: &Source, start: u64) -> Result<Option<u32>> {
        let found = self.at_or_before(source, start)?;
        Ok(found.filter(|&(found, _)| found == start).map(|(_, size)| size))
    }

    /// Start of the record before the one at `start`, by the length that stands in front of it.
    pub(super) fn before(&self, source: &Source, start: u64) -> Result<Option<u64>> {
        let Some(length_at) = start.checked_sub(self.framing.trailer() as u64) else { return Ok(None) };
        let size = u64::from(source.number(length_at)?);
        Ok(start.checked_sub(size + self.framing.overhead()))
    }

    /// How many records up to the one at `start` were deleted when they were walked over.
    pub(super) fn erased_up_to(&self, start: u64) -> u64 {
        self.erased.partition_point(|&erased| erased <= start) as u64
    }

    /// How many records were deleted when they were walked over.
    pub(super) fn erased(&self) -> u64 {
        self.erased.len() as u64
    }
}
