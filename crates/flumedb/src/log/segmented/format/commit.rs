//! [`Commit`], what opens the records that belong together.

use super::{LogId, RECORD_LEN, Record, kind, put, u32_at, u64_at};

/// Length of the payload of a commit record.
pub(crate) const COMMIT_LEN: usize = 48;

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
