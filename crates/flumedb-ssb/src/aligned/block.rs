//! [`Aligned`], a size of blocks and what follows from it: what a block holds and how it ends. Reads no file.

use flumedb::{Error, ErrorKind, Result};

use crate::file::is_erased;

/// How the records of a flumelog-aligned-offset file lie: `length, payload, length`, the lengths as u16, in blocks of one
/// size that no record crosses. All of it is little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Aligned {
    size: u32,
}

/// Bytes around a payload.
pub(super) const OVERHEAD: u32 = 4;

/// Bytes at the end of a block that records leave free: the mark of its end and the place of that mark.
const CAP: u32 = 6;

impl Aligned {
    /// The smallest block: it holds a record of one byte.
    pub const LEAST: u32 = OVERHEAD + CAP + 1;

    /// The largest: lengths have 16 bits.
    pub const MOST: u32 = 1 << 16;

    /// What the original takes if it is told nothing.
    pub const DEFAULT: u32 = Self::MOST;

    /// Blocks of `size` bytes.
    ///
    /// ```
    /// use flumedb_ssb::Aligned;
    /// assert_eq!(Aligned::new(1024)?.block_size(), 1024);
    /// assert!(Aligned::new(10).is_err());
    /// # Ok::<(), flumedb::Error>(())
    /// ```
    ///
    /// # Errors
    /// `Invalid` if no file has such blocks.
    pub fn new(size: u32) -> Result<Self> {
        if (Self::LEAST..=Self::MOST).contains(&size) {
            return Ok(Self { size });
        }
        let message = format!(
            "blocks of {size} bytes; flumelog-aligned-offset has blocks of {} to {} bytes",
            Self::LEAST,
            Self::MOST
        );
        Err(Error::new(ErrorKind::Invalid, message))
    }

    /// Bytes of a block.
    pub fn block_size(&self) -> u32 {
        self.size
    }

    /// The mark of a block's end: a length that no record has.
    pub(super) fn mark(self) -> u32 {
        self.size - 1
    }

    /// Where records in a block end at the latest.
    pub(super) fn room(self) -> u32 {
        self.size - CAP
    }

    /// The largest payload.
    pub(super) fn largest(self) -> u32 {
        self.size - CAP - OVERHEAD
    }

    /// Where in its block the byte `at` of a file is, and where the block ends in the file.
    pub(super) fn place(self, at: u64) -> (u32, u64) {
        let inside = at % u64::from(self.size);
        // Smaller than the size of a block.
        (inside as u32, at.saturating_add(u64::from(self.size) - inside))
    }

    /// What ends a block whose records end at byte `place` of it: the mark, zeros, and `place` as u32 in its last bytes,
    /// which overwrites the mark where there is no room for both.
    pub(super) fn cap(self, place: u32) -> Vec<u8> {
        let mut cap = (self.mark() as u16).to_le_bytes().to_vec();
        cap.resize((self.size - place) as usize, 0);
        for (byte, value) in cap.iter_mut().rev().zip(place.to_be_bytes()) {
            *byte = value;
        }
        cap
    }

    /// Whether `bytes`, which end a block from its byte `place` on, hold no record: a cap, or zeros in its place. A
    /// deletion by the original leaves such zeros in a block that is not full yet. A block of nothing but zeros is none
    /// that was ever written.
    pub(super) fn is_padding(self, place: u32, bytes: &[u8]) -> bool {
        let cap = self.cap(place);
        let fits =
            cap.len() == bytes.len() && bytes.iter().zip(&cap).all(|(byte, capped)| *byte == 0 || byte == capped);
        fits && (place > 0 || bytes.iter().any(|&byte| byte != 0))
    }

    /// What stands behind the payload of `len` bytes of a record that begins its block and is too large for it. The
    /// original writes up to four bytes too many, and the end of the block over the record's last bytes.
    pub(super) fn overlaid(self, len: u32) -> Vec<u8> {
        let mut end = (len as u16).to_le_bytes().to_vec();
        end.extend((self.mark() as u16).to_le_bytes());
        end.resize((self.size - len - 2) as usize, 0);
        for (byte, value) in end.iter_mut().rev().zip((len + OVERHEAD).to_be_bytes()) {
            *byte = value;
        }
        end
    }

    /// Where records begin whose lengths lead back from byte `end` of `bytes`, which is the end of a record. At least at
    /// byte 1.
    pub(super) fn back_from(self, end: usize, bytes: &[u8]) -> usize {
        let mut start = end;
        loop {
            let before = || {
                let len = u16_at(bytes, start.checked_sub(2)?)?;
                let before = start.checked_sub(usize::from(len) + OVERHEAD as usize)?;
                (len > 0 && before > 0 && u16_at(bytes, before)? == len).then_some(before)
            };
            match before() {
                Some(before) => start = before,
                None => return start,
            }
        }
    }

    /// The place that the end of a whole block points to, if the block from there on is as it should be. `bytes` are those
    /// of the block from `place` on.
    pub(super) fn capped(self, place: u32, bytes: &[u8]) -> Option<u32> {
        let pointer = bytes.last_chunk::<4>().map(|pointer| u32::from_le_bytes(*pointer))?;
        let cap = bytes.get(pointer.checked_sub(place)? as usize..)?;
        (pointer > place && pointer <= self.room() && cap == self.cap(pointer)).then_some(pointer)
    }

    /// Appends the record of `payload` to `out`, which will stand at `base` of the file, in the next block if this one is
    /// full. Answers where the record starts.
    ///
    /// # Errors
    /// `Invalid` if no block holds it, or it would read back as something else.
    pub(super) fn frame_at(self, base: u64, payload: &[u8], out: &mut Vec<u8>) -> Result<u64> {
        let fits = u32::try_from(payload.len()).ok().filter(|&len| len <= self.largest());
        let Some(len) = fits else {
            let message = format!(
                "an entry of {} bytes; a block of {} bytes holds entries up to {}",
                payload.len(),
                self.size,
                self.largest()
            );
            return Err(Error::new(ErrorKind::Invalid, message));
        };
        if len == 0 {
            let message = "an entry of no bytes cannot be told from zeros in a flumelog-aligned-offset file; append \
                           something else";
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        if is_erased(payload) {
            let message = "a payload of zeros means `deleted` in a flumelog-aligned-offset file; append something else";
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        let (place, _) = self.place(base.saturating_add(out.len() as u64));
        if place + len + OVERHEAD > self.room() {
            out.extend(self.cap(place));
        }
        let start = base.saturating_add(out.len() as u64);
        write_record(payload, out);
        Ok(start)
    }

    /// What fills `bytes` bytes from `start` of the file on with deleted records and ends of blocks. `None` where no
    /// record is of that size.
    pub(super) fn fill(self, start: u64, bytes: u64) -> Option<Vec<u8>> {
        let (mut out, end) = (Vec::new(), start.checked_add(bytes)?);
        loop {
            let at = start + out.len() as u64;
            if at >= end {
                return Some(out);
            }
            let (place, block_end) = self.place(at);
            let stop = if end < block_end {
                u32::try_from(end - at).ok().map(|size| place + size)?
            } else if place == 0 {
                self.room()
            } else {
                place
            };
            if stop > place {
                let len = (stop - place).checked_sub(OVERHEAD).filter(|&len| len > 0 && stop <= self.room())?;
                write_record(&vec![0; len as usize], &mut out);
            }
            if end >= block_end {
                out.extend(self.cap(stop));
            }
        }
    }
}

/// Of a payload whose length fits.
fn write_record(payload: &[u8], out: &mut Vec<u8>) {
    let len = (payload.len() as u16).to_le_bytes();
    out.extend_from_slice(&len);
    out.extend_from_slice(payload);
    out.extend_from_slice(&len);
}

/// The number at byte `at` of `bytes`.
pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|bytes| u16::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes of docs/format-aligned.md, as the JavaScript library writes them.
    #[test]
    fn records_are_laid_out_as_documented() {
        let (aligned, mut out) = (Aligned::new(32).unwrap(), Vec::new());
        for (payload, start) in [(&b"hi"[..], 0), (b"flume", 6), (b"0123456789", 32), (b"z", 46)] {
            assert_eq!(aligned.frame_at(0, payload, &mut out).unwrap(), start);
        }
        let text: String = out.iter().map(|byte| format!("{byte:02x}")).collect();
        let documented = "02006869020005 00666c756d650500 1f000000000000000000000000 0f000000 \
                          0a00303132333435363738390a00 01007a0100";
        assert_eq!(text, documented.replace(' ', ""));
    }

    #[test]
    fn the_smallest_block_holds_one_byte_and_the_largest_all_lengths() {
        for (size, largest) in [(Aligned::LEAST, 1), (Aligned::MOST, 65526)] {
            let aligned = Aligned::new(size).unwrap();
            let mut out = Vec::new();
            for block in 0..3 {
                let payload = vec![7; largest];
                assert_eq!(aligned.frame_at(0, &payload, &mut out).unwrap(), block * u64::from(size));
            }
            let before = out.clone();
            let error = aligned.frame_at(0, &vec![7; largest + 1], &mut out).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid);
            assert_eq!(out, before);
        }
        assert!(Aligned::new(Aligned::MOST + 1).is_err());
    }

    #[test]
    fn what_would_read_back_as_something_else_is_refused() {
        let aligned = Aligned::new(64).unwrap();
        for payload in [&b""[..], b"\0", b"\0\0\0"] {
            assert_eq!(aligned.frame_at(0, payload, &mut Vec::new()).unwrap_err().kind(), ErrorKind::Invalid);
        }
    }

    #[test]
    fn a_stretch_of_any_size_is_filled_with_what_reads_as_nothing() {
        let aligned = Aligned::new(32).unwrap();
        // A gap ends at a record, or with the block.
        for (start, bytes) in [(0, 5), (0, 32), (0, 64), (7, 25), (26, 6), (7, 5), (7, 57), (7, 89), (40, 11), (40, 24)]
        {
            let filled = aligned.fill(start, bytes).unwrap();
            assert_eq!(filled.len() as u64, bytes, "{start} {bytes}");
        }
        for (start, bytes) in [(0, 4), (7, 3), (0, 28), (7, 27)] {
            assert_eq!(aligned.fill(start, bytes), None, "{start} {bytes}");
        }
    }
}
