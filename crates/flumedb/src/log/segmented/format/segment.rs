//! What a segment begins and ends with, and the name of its file.

use super::{Fault, LogId, VERSION, field, put, seal, u16_at, u32_at, u64_at, unseal};
use crate::keys::{Keys, missing, wrong};

pub(crate) const SEGMENT_MAGIC: [u8; 8] = *b"FLUMESEG";
pub(crate) const TRAILER_MAGIC: [u8; 8] = *b"FLUMEEND";

/// Length of a segment's header; the first record follows.
pub(crate) const HEADER_LEN: usize = 128;
/// Length of the trailer that ends a sealed segment.
pub(crate) const TRAILER_LEN: usize = 48;

/// The segment was compacted: it has gaps, its index is by runs, and what it said that still counts is said by the
/// segments behind it only, so that it is never the last.
pub(crate) const FEATURE_COMPACTED: u64 = 1;

/// Records of the segment may be compressed.
pub(crate) const FEATURE_COMPRESSED: u64 = 1 << 8;
/// Records of the segment may be encrypted.
pub(crate) const FEATURE_ENCRYPTED: u64 = 1 << 9;
/// Bits of a segment's features that this version understands.
const KNOWN_FEATURES: u64 = FEATURE_COMPACTED | FEATURE_COMPRESSED | FEATURE_ENCRYPTED;

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
