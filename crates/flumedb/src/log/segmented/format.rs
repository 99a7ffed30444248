//! The bytes on the disk: segment headers, records, trailers and the head page. `docs/format.md` describes each byte.
//!
//! Only shapes and checksums live here; nothing here reads or writes a file. All numbers are little-endian.

use crate::{
    Seq,
    env::planted::{Bug, planted},
    keys::{Keys, missing, wrong},
};

/// The version this code writes, and the newest that it reads.
pub(crate) const VERSION: u32 = 1;

pub(crate) const SEGMENT_MAGIC: [u8; 8] = *b"FLUMESEG";
pub(crate) const TRAILER_MAGIC: [u8; 8] = *b"FLUMEEND";
pub(crate) const HEAD_MAGIC: [u8; 8] = *b"FLUMEHED";
pub(crate) const FIRST_MAGIC: [u8; 8] = *b"FLUMEFST";

/// Length of a segment's header; the first record follows.
pub(crate) const HEADER_LEN: usize = 128;
/// Length of a record's header; the payload follows, padded with zeros to a multiple of [`ALIGN`].
pub(crate) const RECORD_LEN: usize = 16;
/// Where in a record's header its kind is.
pub(crate) const KIND_AT: usize = 12;
/// Length of the payload of a commit record.
pub(crate) const COMMIT_LEN: usize = 48;
/// Length of the trailer that ends a sealed segment.
pub(crate) const TRAILER_LEN: usize = 48;
/// Length of the head page.
pub(crate) const HEAD_LEN: usize = 96;
/// Length of the page that says where the log begins.
pub(crate) const FIRST_LEN: usize = 80;
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

/// The segment was compacted: it has gaps, its index is by runs, and what it said that still counts is said by the
/// segments behind it only, so that it is never the last.
pub(crate) const FEATURE_COMPACTED: u64 = 1;

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

/// Records of the segment may be compressed.
pub(crate) const FEATURE_COMPRESSED: u64 = 1 << 8;
/// Records of the segment may be encrypted.
pub(crate) const FEATURE_ENCRYPTED: u64 = 1 << 9;
/// Bits of a segment's features that this version understands.
const KNOWN_FEATURES: u64 = FEATURE_COMPACTED | FEATURE_COMPRESSED | FEATURE_ENCRYPTED;

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

/// The first bytes of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) id: LogId,
    /// Position among the segments: 0, 1, 2 …
    pub(crate) ordinal: u64,
    /// The seq of its first entry.
    pub(crate) first: u64,
    /// How often it has been rewritten.
    pub(crate) generation: u32,
    /// Checksum of the last record in the commits of the segment before, which the first record here repeats; 0 in the
    /// first.
    pub(crate) chain: u32,
    /// When it was made, in microseconds since 1970.
    pub(crate) created_us: i64,
    /// Random, for `key_check`.
    pub(crate) salt: [u8; 16],
    /// What must be understood to read it.
    pub(crate) features: u64,
    /// The number of the key that its records are encrypted with; 0: none.
    pub(crate) key: u16,
    /// What tells that key from another.
    pub(crate) key_check: [u8; 16],
}

impl SegmentHeader {
    pub(crate) fn is_compacted(&self) -> bool {
        self.features & FEATURE_COMPACTED != 0
    }

    pub(crate) fn encode(&self) -> [u8; HEADER_LEN] {
        let mut out = Vec::with_capacity(HEADER_LEN);
        out.extend_from_slice(&SEGMENT_MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&(HEADER_LEN as u32).to_le_bytes());
        out.extend_from_slice(&self.id.0);
        out.extend_from_slice(&self.ordinal.to_le_bytes());
        out.extend_from_slice(&self.first.to_le_bytes());
        out.extend_from_slice(&self.generation.to_le_bytes());
        out.extend_from_slice(&self.chain.to_le_bytes());
        out.extend_from_slice(&self.created_us.to_le_bytes());
        out.extend_from_slice(&self.salt);
        out.extend_from_slice(&[0; 8]);
        out.extend_from_slice(&self.features.to_le_bytes());
        out.extend_from_slice(&self.key.to_le_bytes());
        out.extend_from_slice(&[0; 2]);
        out.extend_from_slice(&self.key_check);
        seal(out)
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Fault> {
        let bytes = unseal::<HEADER_LEN>(bytes, &SEGMENT_MAGIC, "not a segment's header")?;
        let features = u64_at(bytes, 88);
        if u32_at(bytes, 12) != HEADER_LEN as u32 || u64_at(bytes, 80) != 0 || features & !KNOWN_FEATURES != 0 {
            return Err(Fault::Newer("segment features", u64_at(bytes, 88)));
        }
        Ok(Self {
            id: LogId(field(bytes, 16).unwrap_or_default()),
            ordinal: u64_at(bytes, 32),
            first: u64_at(bytes, 40),
            generation: u32_at(bytes, 48),
            chain: u32_at(bytes, 52),
            created_us: u64_at(bytes, 56) as i64,
            salt: field(bytes, 64).unwrap_or_default(),
            features,
            key: u16_at(bytes, 96),
            key_check: field(bytes, 100).unwrap_or_default(),
        })
    }
}

impl SegmentHeader {
    /// Whether the key that its records are encrypted with is among `keys`.
    pub(crate) fn check_key(&self, keys: Option<&Keys>) -> crate::Result<()> {
        if self.key == 0 {
            return Ok(());
        }
        let cipher = keys.ok_or_else(|| missing(self.key))?.cipher(self.key)?;
        if cipher.check(&self.salt, &self.id.0) == self.key_check { Ok(()) } else { Err(wrong(self.key)) }
    }
}

/// The header of the next generation of a segment, compacted: all that `header` says besides is kept as it is.
pub(crate) fn compacted_header(header: &[u8; HEADER_LEN], generation: u32) -> [u8; HEADER_LEN] {
    let mut out = header.to_vec();
    put(&mut out, 48, &generation.to_le_bytes());
    put(&mut out, 88, &(u64_at(header, 88) | FEATURE_COMPACTED).to_le_bytes());
    out.truncate(HEADER_LEN - 4);
    seal(out)
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

/// What a gap record stands for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Gap {
    /// How many entries and tombstones.
    pub(crate) count: u32,
    /// So many of them were tombstones.
    pub(crate) tombstones: u32,
    /// The lowest seq that one of those deleted.
    pub(crate) least: u64,
}

impl Gap {
    /// The payload: one with tombstones says more.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = self.count.to_le_bytes().to_vec();
        if self.tombstones > 0 {
            out.extend_from_slice(&self.tombstones.to_le_bytes());
            out.extend_from_slice(&self.least.to_le_bytes());
        }
        out
    }

    pub(crate) fn decode(payload: &[u8]) -> Self {
        Self { count: u32_at(payload, 0), tombstones: u32_at(payload, 4), least: u64_at(payload, 8) }
    }

    /// Both in one.
    pub(crate) fn join(&mut self, other: &Self) {
        self.least = match (self.tombstones, other.tombstones) {
            (_, 0) => self.least,
            (0, _) => other.least,
            _ => self.least.min(other.least),
        };
        self.count += other.count;
        self.tombstones += other.tombstones;
    }
}

pub(crate) fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    if let Some(target) = bytes.get_mut(at..at + value.len()) {
        target.copy_from_slice(value);
    }
}

/// What a commit record says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Commit {
    /// The seq of its first entry (or of the next entry, if it has none).
    pub(crate) first: u64,
    /// How many entries and tombstones it has.
    pub(crate) count: u32,
    /// Bytes of the records that belong to it.
    pub(crate) body: u32,
    /// Entries below this seq were on the disk when it was written.
    pub(crate) watermark: u64,
    /// Bytes of this segment below this offset were on the disk when it was written.
    pub(crate) synced: u64,
    /// When, in microseconds since 1970.
    pub(crate) time_us: i64,
    /// Which opening of the log wrote it: random.
    pub(crate) epoch: u64,
}

impl Commit {
    pub(crate) fn encode(&self) -> [u8; COMMIT_LEN] {
        let mut out = [0; COMMIT_LEN];
        put(&mut out, 0, &self.first.to_le_bytes());
        put(&mut out, 8, &self.count.to_le_bytes());
        put(&mut out, 12, &self.body.to_le_bytes());
        put(&mut out, 16, &self.watermark.to_le_bytes());
        put(&mut out, 24, &self.synced.to_le_bytes());
        put(&mut out, 32, &self.time_us.to_le_bytes());
        put(&mut out, 40, &self.epoch.to_le_bytes());
        out
    }

    pub(crate) fn decode(payload: &[u8]) -> Option<Self> {
        let bytes: &[u8; COMMIT_LEN] = payload.try_into().ok()?;
        Some(Self {
            first: u64_at(bytes, 0),
            count: u32_at(bytes, 8),
            body: u32_at(bytes, 12),
            watermark: u64_at(bytes, 16),
            synced: u64_at(bytes, 24),
            time_us: u64_at(bytes, 32) as i64,
            epoch: u64_at(bytes, 40),
        })
    }

    /// The commit at the start of `bytes`, if one that belongs to this log is there, and its chain link. Used to look
    /// for commits behind damage, where no chain leads; its checksum is mixed with the first seq that it names itself.
    pub(crate) fn sniff(bytes: &[u8], id: LogId) -> Option<(Self, u32)> {
        let len = u32_at(bytes, 8) as usize;
        if !(len == COMMIT_LEN || len == COMMIT_LEN + 4) || bytes.get(12).copied()? != kind::COMMIT {
            return None;
        }
        let record = Record::parse(bytes, id.place(u64_at(bytes, RECORD_LEN))).ok()?;
        Some((Self::decode(record.payload)?, record.prev))
    }
}

/// The end of a sealed segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Trailer {
    /// The seq of the segment's first entry.
    pub(crate) first: u64,
    /// How many seqs it holds.
    pub(crate) count: u64,
    /// Where its index record begins, and its commits end.
    pub(crate) index_offset: u64,
    /// Checksum of the last record in its commits: what the next segment's header repeats.
    pub(crate) chain: u32,
    /// So many of its seqs were tombstones and are gone.
    pub(crate) tombstones: u64,
}

impl Trailer {
    pub(crate) fn encode(&self) -> [u8; TRAILER_LEN] {
        let mut out = Vec::with_capacity(TRAILER_LEN);
        out.extend_from_slice(&TRAILER_MAGIC);
        out.extend_from_slice(&self.first.to_le_bytes());
        out.extend_from_slice(&self.count.to_le_bytes());
        out.extend_from_slice(&self.index_offset.to_le_bytes());
        out.extend_from_slice(&self.chain.to_le_bytes());
        out.extend_from_slice(&self.tombstones.to_le_bytes());
        seal(out)
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Fault> {
        let bytes = unseal::<TRAILER_LEN>(bytes, &TRAILER_MAGIC, "not the end of a sealed segment")?;
        Ok(Self {
            first: u64_at(bytes, 8),
            count: u64_at(bytes, 16),
            index_offset: u64_at(bytes, 24),
            chain: u32_at(bytes, 32),
            tombstones: u64_at(bytes, 36),
        })
    }
}

/// What the `first` file says: where the log begins, if that is not its first segment any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FirstPage {
    pub(crate) id: LogId,
    /// The first segment.
    pub(crate) ordinal: u64,
    /// Its first seq.
    pub(crate) first: u64,
    /// What the segments before it held: a gap like any other.
    pub(crate) gone: Gone,
}

/// The tombstones in segments that are gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gone {
    /// How many there were.
    pub(crate) tombstones: u64,
    /// The lowest seq that one of them deleted; [`u64::MAX`] if there were none.
    pub(crate) least: u64,
}

impl Default for Gone {
    fn default() -> Self {
        Self { tombstones: 0, least: u64::MAX }
    }
}

impl FirstPage {
    pub(crate) fn encode(&self) -> [u8; FIRST_LEN] {
        let mut out = Vec::with_capacity(FIRST_LEN);
        out.extend_from_slice(&FIRST_MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&self.id.0);
        out.extend_from_slice(&self.ordinal.to_le_bytes());
        out.extend_from_slice(&self.first.to_le_bytes());
        out.extend_from_slice(&self.gone.tombstones.to_le_bytes());
        out.extend_from_slice(&self.gone.least.to_le_bytes());
        seal(out)
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Fault> {
        let bytes = unseal::<FIRST_LEN>(bytes, &FIRST_MAGIC, "not the page that says where the log begins")?;
        Ok(Self {
            id: LogId(field(bytes, 16).unwrap_or_default()),
            ordinal: u64_at(bytes, 32),
            first: u64_at(bytes, 40),
            gone: Gone { tombstones: u64_at(bytes, 48), least: u64_at(bytes, 56) },
        })
    }
}

/// What the `head` file says: how far the log goes, for readers in other processes and as a witness at the next open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HeadPage {
    pub(crate) id: LogId,
    /// Which opening of the log wrote it.
    pub(crate) epoch: u64,
    /// Readers may see entries below this seq.
    pub(crate) visible: u64,
    /// Entries below this seq are on the disk.
    pub(crate) watermark: u64,
    /// The segment that is appended to.
    pub(crate) ordinal: u64,
    /// Its bytes below this offset are on the disk.
    pub(crate) synced: u64,
    /// Where its last commit ends. Readers look no further: behind it the writer may be at work, or cut.
    pub(crate) end: u64,
    /// The log was closed: nothing comes after `synced`.
    pub(crate) clean: bool,
}

impl HeadPage {
    pub(crate) fn encode(&self) -> [u8; HEAD_LEN] {
        let mut out = Vec::with_capacity(HEAD_LEN);
        out.extend_from_slice(&HEAD_MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&u32::from(self.clean).to_le_bytes());
        out.extend_from_slice(&self.id.0);
        out.extend_from_slice(&self.epoch.to_le_bytes());
        out.extend_from_slice(&self.visible.to_le_bytes());
        out.extend_from_slice(&self.watermark.to_le_bytes());
        out.extend_from_slice(&self.ordinal.to_le_bytes());
        out.extend_from_slice(&self.synced.to_le_bytes());
        out.extend_from_slice(&self.end.to_le_bytes());
        seal(out)
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Fault> {
        let bytes = unseal::<HEAD_LEN>(bytes, &HEAD_MAGIC, "not a head page")?;
        Ok(Self {
            id: LogId(field(bytes, 16).unwrap_or_default()),
            epoch: u64_at(bytes, 32),
            visible: u64_at(bytes, 40),
            watermark: u64_at(bytes, 48),
            ordinal: u64_at(bytes, 56),
            synced: u64_at(bytes, 64),
            end: u64_at(bytes, 72),
            clean: u32_at(bytes, 12) & 1 != 0,
        })
    }
}

/// The name of a segment's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SegmentName {
    pub(crate) ordinal: u64,
    pub(crate) first: u64,
    pub(crate) generation: u32,
}

impl SegmentName {
    pub(crate) fn file_name(&self) -> String {
        format!("{:010}-{:020}-{:04}.seg", self.ordinal, self.first, self.generation)
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        let mut parts = name.strip_suffix(".seg")?.split('-');
        let mut number = || parts.next()?.parse::<u64>().ok();
        let parsed = Self { ordinal: number()?, first: number()?, generation: number()?.try_into().ok()? };
        // One spelling only: what does not read back the same is somebody else's file.
        (parsed.file_name() == name).then_some(parsed)
    }
}

/// The newest entry below `next`.
pub(crate) fn head_of(next: u64) -> Option<Seq> {
    next.checked_sub(1).map(Seq::new)
}
