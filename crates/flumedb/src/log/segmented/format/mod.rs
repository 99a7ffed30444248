//! The bytes on the disk: segment headers, records, trailers and pages. `docs/format.md` describes each byte.
//!
//! Only shapes and checksums live here; nothing here reads or writes a file. All numbers are little-endian.

mod commit;
mod gap;
mod page;
mod record;
mod segment;

use self::segment::TRAILER_MAGIC;
pub(crate) use self::{
    commit::{COMMIT_LEN, Commit},
    gap::Gap,
    page::{FIRST_LEN, FirstPage, Gone, HEAD_LEN, HeadPage},
    record::{
        ALIGN, FLAG_COMPRESSED, FLAG_ENCRYPTED, FLAG_ERASED, Form, KIND_AT, MAX_PAYLOAD, RECORD_LEN, Record, frame,
        kind, push_formed, push_kept, push_record, record_size,
    },
    segment::{
        FEATURE_COMPACTED, FEATURE_COMPRESSED, FEATURE_ENCRYPTED, HEADER_LEN, SegmentHeader, SegmentName, TRAILER_LEN,
        Trailer, compacted_header,
    },
};
use crate::{
    Seq,
    env::planted::{Bug, planted},
};

/// The version this code writes, and the newest that it reads.
pub(crate) const VERSION: u32 = 1;

/// Which log: random, drawn when the log is created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LogId(pub(crate) [u8; 16]);

impl LogId {
    /// What a record's checksum is mixed with, so that a record that is whole but not in its place does not pass:
    /// depends on the log and on the seq. (The finalizer of SplitMix64, Steele et al. 2014, over both.)
    pub(crate) fn place(self, number: u64) -> u32 {
        if planted(Bug::ChecksumWithoutPlace) {
            return 0;
        }
        let key = u64_at(&self.0, 0) ^ u64_at(&self.0, 8).rotate_left(32);
        let mut z = key.wrapping_add(number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) as u32
    }
}

/// Why bytes are not what they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Not as it was written, and how that is known.
    Bad(&'static str),
    /// Written by something newer: what, and its number.
    Newer(&'static str, u64),
}

/// The newest entry below `next`.
pub(crate) fn head_of(next: u64) -> Option<Seq> {
    next.checked_sub(1).map(Seq::new)
}

/// CRC-32C (Castagnoli, as in iSCSI).
pub(crate) fn crc32c(bytes: &[u8]) -> u32 {
    crc_fast::crc32_iscsi(bytes)
}

pub(crate) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    field(bytes, at).map_or(0, u16::from_le_bytes)
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    field(bytes, at).map_or(0, u32::from_le_bytes)
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    field(bytes, at).map_or(0, u64::from_le_bytes)
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk::<N>().copied()
}

pub(crate) fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    if let Some(target) = bytes.get_mut(at..at + value.len()) {
        target.copy_from_slice(value);
    }
}

/// Pads with zeros and ends with a checksum over what is before.
fn seal<const N: usize>(mut out: Vec<u8>) -> [u8; N] {
    out.resize(N - 4, 0);
    let crc = crc32c(&out);
    out.extend_from_slice(&crc.to_le_bytes());
    out.try_into().unwrap_or([0; N])
}

/// The first `N` bytes, if they begin with `magic`, are of no newer version (where they name one) and end with the
/// checksum over the rest.
fn unseal<'a, const N: usize>(bytes: &'a [u8], magic: &[u8; 8], what: &'static str) -> Result<&'a [u8; N], Fault> {
    let bytes = bytes.first_chunk::<N>().filter(|bytes| bytes.starts_with(magic)).ok_or(Fault::Bad(what))?;
    let version = if *magic == TRAILER_MAGIC { VERSION } else { u32_at(bytes, 8) };
    if crc32c(bytes.get(..N - 4).unwrap_or_default()) != u32_at(bytes, N - 4) {
        return Err(Fault::Bad("the checksum does not agree"));
    }
    if version > VERSION {
        return Err(Fault::Newer("format version", version.into()));
    }
    Ok(bytes)
}
