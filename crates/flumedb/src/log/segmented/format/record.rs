//! Records: their headers, kinds, flags and checksums.

use super::{Fault, crc32c, gap::Gap, put, u16_at, u32_at};
use crate::env::planted::{Bug, planted};

/// Length of a record's header; the payload follows, padded with zeros to a multiple of [`ALIGN`].
pub(crate) const RECORD_LEN: usize = 16;
/// Where in a record's header its kind is.
pub(crate) const KIND_AT: usize = 12;
/// Records start at multiples of this.
pub(crate) const ALIGN: usize = 8;

/// A payload may have this many bytes, so that lengths and offsets fit their fields with room to spare.
pub(crate) const MAX_PAYLOAD: usize = crate::log::MAX_ENTRY;
/// As it is stored it may have some more: what encryption adds, and the checksum of a record that was written anew.
pub(crate) const MAX_STORED: usize = MAX_PAYLOAD + 64;

/// What a record is.
pub(crate) mod kind {
    /// Opens a commit; says what belongs to it.
    pub(crate) const COMMIT: u8 = 1;
    /// A user's entry.
    pub(crate) const ENTRY: u8 = 2;
    /// The record of a deletion; takes a seq as an entry does.
    pub(crate) const TOMBSTONE: u8 = 3;
    /// A named position.
    pub(crate) const NOTE: u8 = 4;
    /// The offsets of the entries of a sealed segment.
    pub(crate) const INDEX: u8 = 5;
    /// What earlier segments said that still counts: deletions. At the start of a segment.
    pub(crate) const CARRY: u8 = 6;
    /// Stands for records that were taken out.
    pub(crate) const GAP: u8 = 7;
    /// What compressed payloads of the segment refer to. The first record of its first commit.
    pub(crate) const DICTIONARY: u8 = 8;
}

/// The record was written anew, but keeps the checksum that it had, since the next record repeats it. Its payload ends
/// with a checksum over the record as it is now.
pub(crate) const FLAG_KEEPS: u8 = 1;
/// The payload is gone.
pub(crate) const FLAG_ERASED: u8 = 2;
/// The payload is compressed.
pub(crate) const FLAG_COMPRESSED: u8 = 4;
/// The payload, compressed or not, is encrypted with the key whose number the record has.
pub(crate) const FLAG_ENCRYPTED: u8 = 8;
/// Bits of a record's flags that this version understands.
const KNOWN_FLAGS: u8 = FLAG_KEEPS | FLAG_ERASED | FLAG_COMPRESSED | FLAG_ENCRYPTED;

/// How a payload is stored: which of the flags above, and with which key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Form {
    pub(crate) flags: u8,
    /// The number of the key; 0: it is not encrypted.
    pub(crate) key: u16,
}

impl Form {
    /// What a record's header says.
    pub(crate) fn of(header: &[u8]) -> Self {
        Self { flags: header.get(13).copied().unwrap_or_default(), key: u16_at(header, 14) }
    }

    pub(crate) fn is_compressed(self) -> bool {
        self.flags & FLAG_COMPRESSED != 0
    }

    pub(crate) fn is_encrypted(self) -> bool {
        self.flags & FLAG_ENCRYPTED != 0
    }

    /// Whether the payload is stored as it is.
    pub(crate) fn is_plain(self) -> bool {
        self.flags & (FLAG_COMPRESSED | FLAG_ENCRYPTED) == 0
    }
}

/// A record, whole and in its place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record<'a> {
    /// Its checksum, which the next record repeats.
    pub(crate) crc: u32,
    /// The checksum of the record before.
    pub(crate) prev: u32,
    pub(crate) kind: u8,
    pub(crate) form: Form,
    /// As it is stored.
    pub(crate) payload: &'a [u8],
    /// Bytes that it takes, padding included.
    pub(crate) size: usize,
}

impl<'a> Record<'a> {
    /// Reads the record at the start of `bytes`, checking everything that it can vouch for itself.
    #[inline]
    pub(crate) fn parse(bytes: &'a [u8], place: u32) -> Result<Self, Fault> {
        let header = bytes.first_chunk::<RECORD_LEN>().ok_or(Fault::Bad("the file ends in a record's header"))?;
        let len = u32_at(header, 8) as usize;
        let (kind, flags) = (header[12], header[13]);
        let covered = bytes
            .get(4..RECORD_LEN.saturating_add(len))
            .filter(|_| len <= MAX_STORED)
            .ok_or(Fault::Bad("a length past the end"))?;
        let mut payload = covered.get(RECORD_LEN - 4..).unwrap_or_default();
        let crc = u32_at(header, 0);
        if flags & FLAG_KEEPS != 0 {
            let (kept, check) = payload.split_at_checked(len.wrapping_sub(4)).unwrap_or((payload, &[]));
            let checked = bytes.get(..RECORD_LEN + kept.len()).unwrap_or_default();
            if check.len() != 4 || crc32c(checked) ^ place != u32_at(check, 0) {
                return Err(Fault::Bad("the checksum of a rewritten record does not agree"));
            }
            payload = kept;
        } else if record_crc(bytes, len) ^ place != crc {
            return Err(Fault::Bad("the checksum does not agree"));
        }
        let form = Form::of(header);
        if flags & !KNOWN_FLAGS != 0 || (form.key != 0) != form.is_encrypted() {
            return Err(Fault::Newer("record flags", flags.into()));
        }
        Ok(Self { crc, prev: u32_at(header, 4), kind, form, payload, size: record_size(len) })
    }

    /// Whether it takes a seq.
    pub(crate) fn takes_seq(&self) -> bool {
        matches!(self.kind, kind::ENTRY | kind::TOMBSTONE)
    }

    /// How many seqs it stands for.
    #[inline]
    pub(crate) fn seqs(&self) -> u64 {
        if self.kind == kind::GAP { Gap::decode(self.payload).count.into() } else { self.takes_seq().into() }
    }

    /// Whether its payload is gone.
    pub(crate) fn is_erased(&self) -> bool {
        self.form.flags & FLAG_ERASED != 0
    }
}

/// Bytes that a record with a payload of `len` bytes takes.
pub(crate) const fn record_size(len: usize) -> usize {
    (RECORD_LEN + len).next_multiple_of(ALIGN)
}

/// The checksum of the record at the start of `bytes`, over all of it but the checksum itself, before it is mixed with its
/// place.
#[inline]
fn record_crc(bytes: &[u8], len: usize) -> u32 {
    if planted(Bug::ChecksumWithoutLength) {
        let padded = bytes.get(12..record_size(len).min(bytes.len()));
        return crc32c(&[bytes.get(4..8).unwrap_or_default(), padded.unwrap_or_default()].concat());
    }
    crc32c(bytes.get(4..RECORD_LEN + len).unwrap_or_default())
}

/// Writes the header of a record whose payload of `len` bytes lies behind it in `bytes`; returns its checksum, the new
/// value of the chain.
pub(crate) fn frame(bytes: &mut [u8], kind: u8, form: Form, len: usize, chain: u32, place: u32) -> u32 {
    let mut header = [0; RECORD_LEN];
    put(&mut header, 4, &chain.to_le_bytes());
    put(&mut header, 8, &(len as u32).to_le_bytes());
    (header[12], header[13]) = (kind, form.flags);
    put(&mut header, 14, &form.key.to_le_bytes());
    put(bytes, 0, &header);
    let crc = record_crc(bytes, len) ^ place;
    put(bytes, 0, &crc.to_le_bytes());
    crc
}

/// Appends a whole record to `out`; returns its checksum.
pub(crate) fn push_record(out: &mut Vec<u8>, kind: u8, payload: &[u8], chain: u32, place: u32) -> u32 {
    push_formed(out, kind, (Form::default(), payload), chain, place)
}

/// The same for a payload as it is stored.
pub(crate) fn push_formed(out: &mut Vec<u8>, kind: u8, (form, payload): (Form, &[u8]), chain: u32, place: u32) -> u32 {
    let start = out.len();
    out.resize(start + RECORD_LEN, 0);
    out.extend_from_slice(payload);
    out.resize(start + record_size(payload.len()), 0);
    frame(out.get_mut(start..).unwrap_or_default(), kind, form, payload.len(), chain, place)
}

/// Appends a record that keeps the checksum `crc`, whatever its payload is now.
pub(crate) fn push_kept(out: &mut Vec<u8>, kind: u8, flags: u8, payload: &[u8], (crc, prev): (u32, u32), place: u32) {
    let start = out.len();
    out.extend_from_slice(&crc.to_le_bytes());
    out.extend_from_slice(&prev.to_le_bytes());
    out.extend_from_slice(&(payload.len() as u32 + 4).to_le_bytes());
    out.extend_from_slice(&[kind, flags | FLAG_KEEPS, 0, 0]);
    out.extend_from_slice(payload);
    let check = crc32c(out.get(start..).unwrap_or_default()) ^ place;
    out.extend_from_slice(&check.to_le_bytes());
    out.resize(start + record_size(payload.len() + 4), 0);
}
