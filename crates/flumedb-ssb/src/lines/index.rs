//! [`Index`], where the lines of a file start, and [`Walk`], going through them. A line ends at a line feed, or at the end of
//! the file; lines of white space are none.

use bytes::Bytes;
use flumedb::{Damage, Error, Result};

use super::Shape;
use crate::file::Source;

/// The start of every so many lines is remembered.
pub(super) const STRIDE: u64 = 64;

/// Lines that have been seen.
#[derive(Default)]
pub(super) struct Index {
    /// Where every [`STRIDE`]th line starts, and the sum of those before it.
    marks: Vec<(u64, u64)>,
    /// The sum of all lines.
    sum: u64,
    pub(super) count: u64,
    /// Where the last line ends, its line feed included.
    pub(super) end: u64,
    /// The last line has no line feed yet.
    open: bool,
}

impl Index {
    /// Takes in what the file has behind the last line, but not the beginning of a line of that shape.
    ///
    /// # Errors
    /// `Corrupt` if the last line has changed since it was taken in; `Io`.
    pub(super) fn extend(&mut self, source: &Source, shape: Shape) -> Result<()> {
        if std::mem::take(&mut self.open)
            && let Some(next) = source.up_to(self.end, 1)?.first()
            && !b"\r\n".contains(next)
        {
            self.open = true;
            return Err(Error::corrupt(Damage::new(
                &source.path,
                self.end,
                0,
                "the last line has changed; open it again",
            )));
        }
        let mut walk = Walk::new(source, self.end, self.count);
        while let Some(line) = walk.next()? {
            if walk.open && shape.value(&line.text).is_none() {
                self.end = line.start;
                return Ok(());
            }
            if line.number.is_multiple_of(STRIDE) {
                self.marks.push((line.start, self.sum));
            }
            self.sum = add(self.sum, &line.text);
            self.count = line.number + 1;
        }
        (self.end, self.open) = (walk.at, walk.open);
        Ok(())
    }

    /// The sum of the lines up to `number`: those before it in the stretch as they are now, and all before that as they
    /// were when they were taken in.
    pub(super) fn sum_to(&self, source: &Source, number: u64) -> Result<Option<u64>> {
        let mark = usize::try_from(number / STRIDE).ok().and_then(|mark| self.marks.get(mark));
        let Some(&(start, mut sum)) = mark.filter(|_| number < self.count) else { return Ok(None) };
        let mut walk = Walk::new(source, start, number / STRIDE * STRIDE);
        while let Some(line) = walk.next()? {
            sum = add(sum, &line.text);
            if line.number == number {
                return Ok(Some(sum));
            }
        }
        Ok(None)
    }

    /// A walk that begins at the line `number`, or at most [`STRIDE`] lines before it; where there is none, at the end.
    pub(super) fn walk_to<'a>(&self, source: &'a Source, number: u64) -> Walk<'a> {
        let mark = number.min(self.count) / STRIDE;
        match usize::try_from(mark).ok().and_then(|mark| self.marks.get(mark)) {
            Some(&(start, _)) => Walk::new(source, start, mark * STRIDE),
            None => Walk::new(source, self.end, self.count),
        }
    }
}

/// The sum of some lines and one more: another one whenever one of them is another.
fn add(sum: u64, line: &[u8]) -> u64 {
    let line = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc64Nvme, line);
    crc_fast::checksum(crc_fast::CrcAlgorithm::Crc64Nvme, [sum.to_be_bytes(), line.to_be_bytes()].as_flattened())
}

/// A line with something in it.
pub(super) struct Line {
    pub(super) number: u64,
    pub(super) start: u64,
    /// Without its line feed.
    pub(super) text: Bytes,
}

/// Goes through the lines of a file.
pub(super) struct Walk<'a> {
    source: &'a Source,
    at: u64,
    number: u64,
    /// Lines that do not end before this byte are not given.
    limit: u64,
    /// What was passed last has no line feed.
    pub(super) open: bool,
    piece: Bytes,
    /// Where the piece starts.
    piece_at: u64,
}

impl<'a> Walk<'a> {
    /// The first piece is small, as a walk is often for a few lines only; each is twice as long as the one before.
    const PIECES: (usize, usize) = (1 << 12, 1 << 18);

    /// From the byte `at`, where the line `number` starts.
    pub(super) fn new(source: &'a Source, at: u64, number: u64) -> Self {
        Self { source, at, number, limit: u64::MAX, open: false, piece: Bytes::new(), piece_at: at }
    }

    /// Through the lines of the first `limit` bytes.
    pub(super) fn within(source: &'a Source, limit: u64) -> Self {
        Self { limit, ..Self::new(source, 0, 0) }
    }

    pub(super) fn next(&mut self) -> Result<Option<Line>> {
        loop {
            let Some((text, start)) = self.next_text()? else { return Ok(None) };
            if !text.trim_ascii().is_empty() {
                let number = self.number;
                self.number += 1;
                return Ok(Some(Line { number, start, text }));
            }
        }
    }

    /// What lies before the next line feed, be it empty.
    fn next_text(&mut self) -> Result<Option<(Bytes, u64)>> {
        let start = self.at;
        let mut len = 0;
        loop {
            let rest = self.rest(start + len)?;
            if rest.is_empty() {
                break;
            }
            if start + len > self.limit {
                return Ok(None);
            }
            match rest.iter().position(|&byte| byte == b'\n') {
                Some(found) => {
                    len += found as u64;
                    self.at = start + len + 1;
                    return Ok(Some((self.text(start, len)?, start)));
                }
                None => len += rest.len() as u64,
            }
        }
        if len == 0 {
            return Ok(None);
        }
        (self.at, self.open) = (start + len, true);
        Ok(Some((self.text(start, len)?, start)))
    }

    /// Some of what follows the byte `at`, nothing at the end of the file.
    fn rest(&mut self, at: u64) -> Result<Bytes> {
        let end = self.piece_at + self.piece.len() as u64;
        if at < self.piece_at || at >= end {
            let (first, longest) = Self::PIECES;
            let len = self.piece.len().saturating_mul(2).clamp(first, longest);
            (self.piece, self.piece_at) = (self.source.up_to(at, len)?, at);
        }
        Ok(self.piece.slice((at - self.piece_at) as usize..))
    }

    fn text(&self, start: u64, len: u64) -> Result<Bytes> {
        self.source.exact(start, usize::try_from(len).unwrap_or(usize::MAX))
    }
}
