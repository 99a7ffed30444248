//! How [`Lines`] are read: from the nearest line that is remembered on.

use std::ops::Range;

use bytes::Bytes;
use flumedb::{
    Damage, Error, Result, Seq, Span,
    log::{Chunk, ReadRequest, Slot, SlotKind},
};

use super::{
    Lines, Shape,
    index::{Line, STRIDE},
};
use crate::file::not_found;

/// A slot says where in a chunk its payload is with 32 bits.
const LONGEST: usize = u32::MAX as usize;

/// What a line costs beside its bytes, so that a chunk of short lines is no larger than another.
const LINE: usize = 64;

impl Lines {
    pub(super) fn name(&self) -> &'static str {
        self.shape.unwrap_or(Shape::Bare).format()
    }

    pub(super) fn payload(&self, seq: Seq) -> Result<Bytes> {
        let line = self.line(seq.get())?.ok_or_else(|| not_found(seq))?;
        let range = self.value(&line)?;
        Ok(line.text.slice(range))
    }

    /// A sum of the lines up to this one, if it is there: any of them may be changed with an editor.
    pub(super) fn digest(&self, seq: Seq) -> Result<Option<[u8; 8]>> {
        Ok(self.index().sum_to(&self.source, seq.get())?.map(u64::to_be_bytes))
    }

    fn line(&self, number: u64) -> Result<Option<Line>> {
        let index = self.index();
        if number >= index.count {
            return Ok(None);
        }
        let mut walk = index.walk_to(&self.source, number);
        while let Some(line) = walk.next()? {
            if line.number == number {
                return Ok(Some(line));
            }
        }
        Ok(None)
    }

    pub(super) fn chunk(&self, request: ReadRequest) -> Result<Chunk> {
        let index = self.index();
        let count = index.count;
        let Span { from, to } = request.span;
        let upper = to.min(count);
        if from >= upper {
            let covered = if request.reverse { request.span } else { Span { from, to: upper.max(from) } };
            return Ok(Chunk::nothing(covered, count));
        }
        // Lines are walked over forwards only: backwards, those since the last one that is remembered.
        let low = if request.reverse { from.max((upper - 1) / STRIDE * STRIDE) } else { from };
        let mut lines = Vec::new();
        let (mut walk, mut bytes) = (index.walk_to(&self.source, low), 0_usize);
        while let Some(line) = walk.next()? {
            if line.number < low {
                continue;
            }
            bytes = bytes.saturating_add(line.text.len()).saturating_add(LINE);
            let full = !request.reverse && !lines.is_empty() && bytes > request.max_bytes.min(LONGEST);
            if line.number >= upper || full {
                break;
            }
            // The chunk ends at a line that is damaged, so nothing behind it is looked at.
            let last = !request.reverse && self.value(&line).is_err();
            lines.push(line);
            if last {
                break;
            }
        }
        if request.reverse {
            lines.reverse();
            let mut bytes = 0_usize;
            let fits = lines.iter().take_while(|line| {
                bytes = bytes.saturating_add(line.text.len()).saturating_add(LINE);
                line.number + 1 == upper || bytes <= request.max_bytes.min(LONGEST)
            });
            lines.truncate(fits.count());
        }
        self.gather(&lines, request, count)
    }

    fn gather(&self, lines: &[Line], request: ReadRequest, count: u64) -> Result<Chunk> {
        let (mut bytes, mut slots) = (Vec::new(), Vec::with_capacity(lines.len()));
        let mut covered = request.span;
        for line in lines {
            let range = match self.value(line) {
                Ok(range) => range,
                // What is before it is given first.
                Err(_) if !slots.is_empty() => break,
                Err(error) => return Err(error),
            };
            let payload = line.text.get(range).unwrap_or_default();
            let (Ok(start), Ok(len)) = (u32::try_from(bytes.len()), u32::try_from(payload.len())) else { break };
            slots.push(Slot { seq: Seq::new(line.number), kind: SlotKind::Entry, start, len });
            bytes.extend_from_slice(payload);
            if request.reverse {
                covered.from = if line.number == 0 { request.span.from } else { line.number };
            } else {
                covered.to = line.number + 1;
            }
        }
        if slots.is_empty() {
            let line = lines.first().map_or(0, |line| line.start);
            return Err(Error::corrupt(Damage::new(&self.source.path, line, 0, "a line too long to be read")));
        }
        Ok(Chunk { bytes: bytes.into(), slots, covered, horizon: count, forgotten: Vec::new() })
    }

    /// Where in a line its entry is. A line that is no JSON is an entry as it is.
    fn value(&self, line: &Line) -> Result<Range<usize>> {
        let text = line.text.as_ref();
        let inside = |part: &[u8]| {
            let start = part.as_ptr() as usize - text.as_ptr() as usize;
            start..start + part.len()
        };
        if self.shape != Some(Shape::Numbered) {
            return Ok(inside(text.trim_ascii()));
        }
        match Shape::Numbered.value(text) {
            Some(value) => Ok(inside(value.as_bytes())),
            None => {
                let reason = format!("entry {} is no {}", line.number, Shape::Numbered.article());
                let damage = Damage::new(&self.source.path, line.start, text.len() as u64, reason);
                Err(Error::corrupt(damage).at(Seq::new(line.number)))
            }
        }
    }
}
