//! [`Framing`], the four layouts of a record in a flumelog-offset file. Owns every byte of framing, reads no file.

use std::fmt;

use flumedb::{Error, ErrorKind, Result};

use crate::file::is_erased;

/// How a record is laid out: `length, payload, length, position`, the lengths as u32 and all of it big-endian. The
/// position is where the record ends in the file; its width is what the framings differ in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Framing {
    /// Positions of 32 bits: files up to 4 GiB. What nearly every `log.offset` has.
    Bits32,
    /// Positions of 48 bits.
    Bits48,
    /// Positions of 53 bits, stored in 64.
    Bits53,
    /// The oldest layout, without the position.
    Basic,
}

/// What the bytes around a payload are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    /// The frame of a record.
    Whole,
    /// None, and why.
    Broken(&'static str),
}

const LENGTHS: &str = "the lengths before and after the payload differ";
const POSITION: &str = "the position after the record is not where it ends";
const EMPTY: &str = "a record of no bytes cannot be told from zeros in this framing";

impl Framing {
    /// All of them, in the order in which they are tried.
    pub const ALL: [Self; 4] = [Self::Bits32, Self::Bits48, Self::Bits53, Self::Basic];

    /// Its name: `offset32`, `offset48`, `offset53` or `offset-basic`.
    ///
    /// ```
    /// use flumedb_ssb::Framing;
    /// assert_eq!(Framing::from_name("offset48").map(Framing::name), Some("offset48"));
    /// ```
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bits32 => "offset32",
            Self::Bits48 => "offset48",
            Self::Bits53 => "offset53",
            Self::Basic => "offset-basic",
        }
    }

    /// The framing of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|framing| framing.name() == name)
    }

    /// Bytes of the position after each record.
    pub(super) const fn position_bytes(self) -> u32 {
        match self {
            Self::Basic => 0,
            Self::Bits32 => 4,
            Self::Bits48 => 6,
            Self::Bits53 => 8,
        }
    }

    /// Bytes of a record that are not payload.
    pub(super) const fn overhead(self) -> u64 {
        8 + self.position_bytes() as u64
    }

    /// The largest position at which a record may end.
    const fn limit(self) -> u64 {
        match self {
            Self::Bits32 => u32::MAX as u64,
            Self::Bits48 => (1 << 48) - 1,
            // What a JavaScript number holds; the basic layout stores no position, but its readers count in the same.
            Self::Bits53 | Self::Basic => (1 << 53) - 1,
        }
    }

    /// Judges a record at `start` whose leading length is `len`, given what lies behind its payload.
    #[inline]
    pub(super) fn judge_trailer(self, start: u64, len: u32, trailer: &[u8]) -> Judgement {
        let Some((again, position)) = trailer.split_at_checked(4) else { return Judgement::Broken(LENGTHS) };
        if be(again) != u64::from(len) {
            return Judgement::Broken(LENGTHS);
        }
        if self == Self::Basic {
            return if len == 0 { Judgement::Broken(EMPTY) } else { Judgement::Whole };
        }
        let end = self.end(start, len);
        if end <= self.limit() && be(position) == end { Judgement::Whole } else { Judgement::Broken(POSITION) }
    }

    /// Appends the record of `payload`, which will start at `start` of the file, to `out`. Answers where it ends. If it
    /// fails, `out` is as before.
    ///
    /// # Errors
    /// `Invalid` if the format cannot hold it: too long, past the last position, or something that reads back as
    /// another thing than it is.
    pub(super) fn frame_at(self, start: u64, payload: &[u8], out: &mut Vec<u8>) -> Result<u64> {
        let Ok(len) = u32::try_from(payload.len()) else {
            let message = format!("an entry of {} bytes; a flumelog-offset record holds 4294967295", payload.len());
            return Err(Error::new(ErrorKind::Invalid, message));
        };
        if is_erased(payload) {
            let message = "a payload of zeros means `deleted` in a flumelog-offset file; append something else";
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        if self == Self::Basic && len == 0 {
            let message = format!("an entry of no bytes cannot be told from zeros in {self}; append something else");
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        let end = self.end(start, len);
        if end > self.limit() {
            let message = format!(
                "the entry would end at byte {end}, and {self} holds positions up to {}; import the log to go on",
                self.limit()
            );
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        self.write(end, payload, out);
        Ok(end)
    }

    /// A deleted record whose payload had `len` bytes, to stand at `start`.
    pub(super) fn frame_erased(self, start: u64, len: u32) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(self.end(start, len), &vec![0; len as usize], &mut out);
        out
    }

    fn end(self, start: u64, len: u32) -> u64 {
        start.saturating_add(u64::from(len)).saturating_add(self.overhead())
    }

    fn write(self, end: u64, payload: &[u8], out: &mut Vec<u8>) {
        // The caller has seen that the length fits.
        let len = (payload.len() as u32).to_be_bytes();
        out.extend_from_slice(&len);
        out.extend_from_slice(payload);
        out.extend_from_slice(&len);
        let position = end.to_be_bytes();
        out.extend_from_slice(position.get(8 - self.position_bytes() as usize..).unwrap_or_default());
    }
}

impl fmt::Display for Framing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

fn be(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, &byte| number << 8 | u64::from(byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::{Layout, Verdict};

    /// The failure: a position that wraps around, so that the file can never be opened again.
    #[test]
    fn a_record_past_the_last_position_is_refused() {
        for framing in Framing::ALL {
            let mut out = Vec::new();
            let start = framing.limit() - framing.overhead() - 3;
            assert_eq!(framing.frame_at(start, b"end", &mut out).unwrap(), framing.limit(), "{framing}");
            assert_eq!(framing.judge(start, &out, start + out.len() as u64), Verdict::Record(3));
            let before = out.clone();
            for payload in [&b"past"[..], &[7; 100]] {
                let error = framing.frame_at(start, payload, &mut out).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Invalid);
                assert!(error.to_string().contains(framing.name()), "{error}");
            }
            assert!(framing.frame_at(u64::MAX, b"x", &mut out).is_err());
            assert_eq!(out, before);
        }
    }

    /// The bytes of docs/format-offset.md, as the JavaScript library writes them.
    #[test]
    fn records_are_laid_out_as_documented() {
        let cases = [
            (Framing::Bits32, "00000002686900000002 0000000e 00000005666c756d6500000005 0000001f"),
            (Framing::Bits48, "00000002686900000002 000000000010 00000005666c756d6500000005 000000000023"),
            (Framing::Bits53, "00000002686900000002 0000000000000012 00000005666c756d6500000005 0000000000000027"),
            (Framing::Basic, "0000000268690000000200000005666c756d6500000005"),
        ];
        for (framing, hex) in cases {
            let mut out = Vec::new();
            let second = framing.frame_at(0, b"hi", &mut out).unwrap();
            framing.frame_at(second, b"flume", &mut out).unwrap();
            let text: String = out.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(text, hex.replace(' ', ""), "{framing}");
        }
    }

    #[test]
    fn what_would_read_back_as_something_else_is_refused() {
        let mut out = Vec::new();
        assert!(Framing::Bits32.frame_at(0, &[0; 9], &mut out).is_err());
        assert!(Framing::Basic.frame_at(0, b"", &mut out).is_err());
        assert_eq!(Framing::Bits32.frame_at(0, b"", &mut out).unwrap(), 12);
        assert!(!is_erased(b"") && is_erased(b"\0") && !is_erased(b"\0\x01"));
    }
}
