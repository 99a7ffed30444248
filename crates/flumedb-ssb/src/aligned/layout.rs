//! How flumelog-aligned-offset files lie: the [`Layout`] of [`Aligned`].

use flumedb::{Error, ErrorKind, Result};

use super::{
    Aligned,
    block::{OVERHEAD, u16_at},
    detect,
};
use crate::file::{Chain, Detected, Layout, Source, Staged, Verdict};

const PADDING: &str = "the file ends inside what ends a block";
const ZEROS: &str = "zeros where a record should start";
const CROSSES: &str = "the record does not fit its block";
const LENGTHS: &str = "the lengths before and after the payload differ";
const MARK: &str = "the block does not end as its mark says";

impl Layout for Aligned {
    type Options = Option<u32>;

    const HEAD: u32 = 2;

    fn name(&self) -> &'static str {
        "aligned"
    }

    fn trailer(&self) -> u32 {
        2
    }

    fn detect(source: &Source, len: u64, named: &Option<u32>) -> Result<Detected<Self>> {
        detect::detect(source, len, *named)
    }

    #[inline]
    fn judge(&self, at: u64, bytes: &[u8], len: u64) -> Verdict {
        let Some(size) = u16_at(bytes, 0) else { return Verdict::more(at, 2, len) };
        let ((place, block_end), size) = (self.place(at), u32::from(size));
        // No more than there is of a block.
        let rest = (block_end - at) as usize;
        let complete = block_end <= len;
        let reason = if size == self.mark() || size == 0 || place > self.room() {
            match bytes.get(..rest) {
                _ if !complete => return Verdict::Broken(if size == 0 { ZEROS } else { PADDING }, None),
                None => return Verdict::More(rest),
                Some(bytes) if self.is_padding(place, bytes) => return Verdict::Skip(block_end),
                Some(_) if size == 0 => ZEROS,
                Some(_) => MARK,
            }
        } else {
            let end = place + size + OVERHEAD;
            let overlaid = place == 0 && size > self.largest() && size <= self.room();
            if end <= self.room() || overlaid {
                let Some(trailer) = u16_at(bytes, size as usize + 2) else {
                    return Verdict::more(at, u64::from(size + OVERHEAD), len);
                };
                if u32::from(trailer) == size {
                    return Verdict::Record(size);
                }
                if overlaid && complete {
                    let Some(end) = bytes.get(size as usize + 2..rest) else { return Verdict::More(rest) };
                    if end == self.overlaid(size) {
                        return Verdict::Record(size);
                    }
                }
                LENGTHS
            } else {
                CROSSES
            }
        };
        if !complete {
            return Verdict::Broken(reason, None);
        }
        let Some(bytes) = bytes.get(..rest) else { return Verdict::More(rest) };
        // What a whole block ends with says where its last record ends, and each length says where its record starts.
        let resumed = self.capped(place, bytes).map(|end| self.back_from((end - place) as usize, bytes));
        Verdict::Broken(reason, Some(resumed.map_or(block_end, |start| at + start as u64)))
    }

    fn is_closed(&self, end: u64, source: &Source, len: u64) -> Result<bool> {
        let (place, block_end) = self.place(end);
        if end == len || place == 0 || len != block_end {
            return Ok(end == len);
        }
        Ok(self.is_padding(place, &source.exact(end, (block_end - end) as usize)?))
    }

    fn closed_len(&self, end: u64) -> u64 {
        let (place, block_end) = self.place(end);
        // The end of the block overlays the record.
        if place > self.room() { block_end } else { end }
    }

    fn reach(&self, end: u64) -> u64 {
        let (place, block_end) = self.place(end);
        if place == 0 { end } else { block_end }
    }

    fn resumes(&self, from: u64, source: &Source, len: u64) -> Result<Option<u64>> {
        let (place, _) = self.place(len);
        let base = from.max(len - u64::from(place));
        let bytes = source.exact(base, (len - base) as usize)?;
        let start = self.back_from(bytes.len(), &bytes);
        Ok((place <= self.room() && start < bytes.len()).then(|| base + start as u64))
    }

    fn tidy(&self, chain: &Chain, source: &Source) -> Result<()> {
        let size = u64::from(self.block_size());
        let mut changed = false;
        for block in 0..chain.end() / size {
            changed |= self.cap_block(block * size, source)?;
        }
        if changed { source.sync() } else { Ok(()) }
    }

    fn frame(&self, base: u64, payload: &[u8], staged: &mut Staged) -> Result<u64> {
        self.frame_at(base, payload, &mut staged.bytes)
    }

    fn filler(&self, start: u64, bytes: u64) -> Result<Vec<u8>> {
        self.fill(start, bytes).ok_or_else(|| {
            let message =
                "the damage is of a size that no deleted entry can fill; export what is readable with `flume cat`";
            Error::new(ErrorKind::Unsupported, message)
        })
    }
}

impl Aligned {
    /// Ends the block at `start`, which others follow, where the original left zeros because of a deletion: without it, its
    /// readers do not get past them. Says whether there was anything to do.
    fn cap_block(self, start: u64, source: &Source) -> Result<bool> {
        let size = self.block_size();
        if source.exact(start + u64::from(size) - 4, 4)?[..] != [0; 4] {
            return Ok(false);
        }
        let block = source.exact(start, size as usize)?;
        let (mut place, len) = (0, start + u64::from(size));
        while let Some(bytes) = block.get(place as usize..)
            && let Verdict::Record(payload) = self.judge(start + u64::from(place), bytes, len)
        {
            place += payload + OVERHEAD;
        }
        if place == 0 || place > self.room() {
            return Ok(false);
        }
        let failed = |error| Error::io("write", &source.path, error);
        source.file.write_all(start + u64::from(place), &self.cap(place)).map_err(failed)?;
        Ok(true)
    }
}
