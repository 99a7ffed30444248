//! The pages beside the segments: how far the log goes, and where it begins.

use super::{Fault, LogId, VERSION, field, seal, u32_at, u64_at, unseal};

pub(crate) const HEAD_MAGIC: [u8; 8] = *b"FLUMEHED";
pub(crate) const FIRST_MAGIC: [u8; 8] = *b"FLUMEFST";

/// Length of the head page.
pub(crate) const HEAD_LEN: usize = 96;
/// Length of the page that says where the log begins.
pub(crate) const FIRST_LEN: usize = 80;

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
