//! [`LogSettings`]: what can be chosen about a log, limits among it.

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

/// What can be chosen about a log. None of it changes the format: any log can be opened with any settings, save that one
/// which is encrypted wants its keys. What is past a limit fails with
/// [`LimitExceeded`](crate::ErrorKind::LimitExceeded), and changes nothing.
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
    /// An entry has at most so many bytes; never more than 1 GiB.
    pub entry_bytes: usize,
    /// Entries that are appended together have at most so many bytes, with [`Batch::ROOM`](super::Batch::ROOM) and padding for each; never more
    /// than 2 GiB.
    pub batch_bytes: usize,
    /// So many entries may be appended together, or deleted.
    pub batch_entries: usize,
    /// Appends and deletions wait once this many bytes wait to be written.
    pub pending_bytes: usize,
    /// So many appends and deletions may wait at the same time, in the caller's memory or in the queue; one more fails.
    pub pending_requests: usize,
    /// So many entries may be deleted without their bytes being gone: each segment begins with all of them, 16 bytes each, and
    /// they are kept in memory. Never more than 33,554,432.
    pub deletions: u64,
    /// Notes of so many names are kept: each segment begins with all of them. A name has at most 1 KiB, a proof 64 KiB.
    pub notes: usize,
    /// Cut tails are kept up to this many bytes each; of larger ones, the beginning.
    pub torn_bytes: u64,
    /// So many cut tails are kept, the newest.
    pub torn_files: usize,
    /// And for so long, as they may hold what was deleted since. Looked at when a log is opened or closed and at the end of
    /// each segment.
    pub torn_age: Duration,
    /// Whether new entries are compressed.
    pub compression: Compression,
    /// With these keys new entries and notes are encrypted, and those that are can be read.
    pub keys: Option<Keys>,
    /// When what was deleted leaves the disk.
    pub compaction: Compaction,
    /// How much of the log is kept. As a default, all of it.
    pub retention: Retention,
}

/// When what was deleted leaves the disk. Until then it cannot be read any more, but its bytes are still in a file.
///
/// ```
/// use flumedb::log::{Compaction, LogSettings};
/// let mut settings = LogSettings::default();
/// settings.compaction = Compaction { automatic: false, ..settings.compaction };
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Compaction {
    /// It is done in the background while the log is open for writing. Without that it is done when asked for
    /// ([`Flume::compact`](crate::Flume::compact)).
    pub automatic: bool,
    /// In the background a segment is written anew once so many percent of its bytes are deleted; when asked for, once
    /// anything is.
    pub least_percent: u8,
    /// In the background so many bytes a second are written at most.
    pub bytes_per_second: u64,
    /// In the background nothing is done before a log has been open for so long: views that are about to be added are to
    /// meet the deletions that they have not met yet while there is something to take back.
    pub delay: Duration,
    /// So long it waits, when asked for, for views that have not come past a deletion; in the background 60 times as long.
    /// Past that a view that needs what was deleted in order to take it back is built anew.
    pub patience: Duration,
}

/// How much of a log is kept: what is past any of these is dropped from its beginning, in whole segments
/// ([`segment_bytes`](LogSettings::segment_bytes) is the grain), while the log is open for writing. It is deleted like
/// anything else, so that views take it back, and then [erased](Compaction).
///
/// It is looked at when the log is opened and when a segment ends. The segment that is appended to is kept, however old its
/// entries are; with an `age` it ends once it is a quarter as old, so that what is appended is gone after one and a quarter of
/// that, if appends go on. Deletions take numbers, so the log grows by one now and then although nobody appends. A segment that
/// is damaged stays, and what is behind it, until it has been [repaired](super::SegmentedLog::repair). Where compaction is not
/// [automatic](Compaction::automatic), nothing leaves the disk before it is asked for, and once half of
/// [`deletions`](LogSettings::deletions), or 2,097,152 entries, are waiting for it, nothing more is dropped.
///
/// ```
/// use std::time::Duration;
/// use flumedb::log::{LogSettings, Retention};
/// let mut settings = LogSettings::default();
/// settings.retention = Retention { age: Some(Duration::from_hours(24 * 90)), ..Retention::default() };
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// What is older goes, by the clock of the machine when it was appended.
    pub age: Option<Duration>,
    /// So many of the newest numbers are kept, what was deleted and the deletions among them.
    pub entries: Option<u64>,
    /// So many of the newest bytes are kept: the log takes so much, a segment more, and what has not been erased yet.
    pub bytes: Option<u64>,
}

impl Retention {
    /// How long a segment is appended to.
    pub(crate) fn period(&self) -> Option<Duration> {
        self.age.map(|age| (age / 4).max(Duration::from_secs(1)))
    }
}

impl Default for Compaction {
    fn default() -> Self {
        Self {
            automatic: true,
            least_percent: 50,
            bytes_per_second: 64 << 20,
            delay: Duration::from_secs(10),
            patience: Duration::from_secs(60),
        }
    }
}

impl Default for LogSettings {
    fn default() -> Self {
        Self {
            durability: Durability::default(),
            segment_bytes: 64 << 20,
            entry_bytes: 64 << 20,
            batch_bytes: 256 << 20,
            batch_entries: 4 << 20,
            pending_bytes: 16 << 20,
            pending_requests: 1 << 20,
            deletions: 1 << 25,
            notes: 4096,
            torn_bytes: 16 << 20,
            torn_files: 8,
            torn_age: Duration::from_hours(30 * 24),
            compression: Compression::None,
            keys: None,
            compaction: Compaction::default(),
            retention: Retention::default(),
        }
    }
}

impl LogSettings {
    /// A segment is never smaller than this, whatever is asked for.
    pub(crate) const MIN_SEGMENT: u64 = 4096;

    /// And never larger: offsets are kept in 32 bits, in units of 8 bytes.
    pub(crate) const MAX_SEGMENT: u64 = 8 << 30;
}
