//! [`LogSettings`]: what can be chosen about a log on disk.

use std::time::Duration;

use crate::Keys;

/// When an append is acknowledged, and what a power cut may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Durability {
    /// Once it is on the disk. Appends that wait at the same time share one sync. A power cut takes nothing that was
    /// acknowledged.
    #[default]
    EveryCommit,
    /// Once the system has it; the disk is synced this long after the first unsynced commit, or after this many bytes,
    /// however busy the log is. A power cut may take what came after the last sync; the death of the process nothing.
    Interval {
        /// The longest time between a commit and its sync.
        period: Duration,
        /// The most bytes between two syncs.
        bytes: u64,
    },
    /// Once the system has it; it reaches the disk when the system thinks fit, at the end of each segment, and at
    /// `sync` and `close`.
    System,
}

/// Whether new entries are made shorter on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Compression {
    /// They are kept as they are, and reading them copies nothing.
    #[default]
    None,
    /// Each by itself with LZ4, together with what many entries of the segment before had in common: a read is still one
    /// access. Those that do not get shorter are kept as they are.
    Lz4,
}

/// What can be chosen about a log on disk. None of it changes the format: any log can be opened with any settings, save
/// that one which is encrypted wants its keys.
///
/// ```
/// use flumedb::log::{Durability, LogSettings};
/// let settings = LogSettings { durability: Durability::System, ..LogSettings::default() };
/// assert_eq!(settings.segment_bytes, 64 << 20);
/// ```
#[derive(Clone, Debug)]
pub struct LogSettings {
    /// When an append is acknowledged.
    pub durability: Durability,
    /// A new segment is begun once this many bytes are in one. Opening reads the last segment, so this bounds the time
    /// that takes. At least 4 KiB, at most 8 GiB.
    pub segment_bytes: u64,
    /// Appends wait once this many bytes wait to be written.
    pub pending_bytes: usize,
    /// Cut tails are kept up to this many bytes each; of larger ones, the beginning.
    pub torn_bytes: u64,
    /// So many cut tails are kept, the newest.
    pub torn_files: usize,
    /// Whether new entries are compressed.
    pub compression: Compression,
    /// With these keys new entries and notes are encrypted, and those that are can be read.
    pub keys: Option<Keys>,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self {
            durability: Durability::default(),
            segment_bytes: 64 << 20,
            pending_bytes: 16 << 20,
            torn_bytes: 16 << 20,
            torn_files: 8,
            compression: Compression::None,
            keys: None,
        }
    }
}

impl LogSettings {
    /// A segment is never smaller than this, whatever is asked for.
    pub(crate) const MIN_SEGMENT: u64 = 4096;

    /// And never larger: offsets are kept in 32 bits, in units of 8 bytes.
    pub(crate) const MAX_SEGMENT: u64 = 8 << 30;
}
