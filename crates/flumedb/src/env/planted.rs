//! Bugs that are put in on purpose, to see that a test finds each of them: a test that would not fail is no test.
//!
//! Nothing of this is in a build without the feature `__planted`, which only the simulator switches on: there
//! [`planted`] is `false`, and the compiler leaves out what depends on it. With the feature, `FLUME_PLANTED` names the
//! bug that a process has. `cargo xtask planted` runs, for each, the test that has to find it.

macro_rules! bugs {
    ($($(#[doc = $what:literal])+ $bug:ident = $name:literal,)+) => {
        /// A bug to choose.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Bug {
            $($(#[doc = $what])+ $bug,)+
        }

        impl Bug {
            /// Each with the name by which it is chosen.
            pub const ALL: &[(Self, &str)] = &[$((Self::$bug, $name),)+];
        }
    };
}

bugs! {
    /// An append is answered once it is written, and the disk has it later.
    AcknowledgeBeforeSync = "acknowledge-before-sync",
    /// What was written counts as synced without a sync.
    SkipSync = "skip-sync",
    /// A new segment's name is not brought to the disk.
    SkipDirSync = "skip-dir-sync",
    /// The end of a sealed segment is not synced before the next one is begun.
    SealWithoutSync = "seal-without-sync",
    /// Readers see an entry before it is as durable as was promised.
    VisibleBeforeDurable = "visible-before-durable",
    /// Of several that wait for a commit that fails, the last is not told.
    LostWaiter = "lost-waiter",
    /// A sync that failed is tried again, and its second answer believed.
    RetrySync = "retry-sync",
    /// What a write did not take is not written.
    ShortWrite = "short-write",
    /// A full disk is told by the text of the error.
    FullByText = "full-by-text",
    /// After an unclean stop the numbers go on from what the head page knows.
    SeqTwice = "seq-twice",
    /// A commit vouches for what is written but not synced.
    WatermarkEarly = "watermark-early",
    /// The head page vouches for what is written but not synced.
    HeadEarly = "head-early",
    /// The checksum of a record does not cover how long its payload is.
    ChecksumWithoutLength = "checksum-without-length",
    /// The checksum of a record does not cover which log and which entry it is of.
    ChecksumWithoutPlace = "checksum-without-place",
    /// Whatever follows the last whole commit is taken for a torn tail, also where somebody vouches for it.
    TailRuleInTheMiddle = "tail-rule-in-the-middle",
    /// Of a commit that is not whole, the entries that are count.
    HalfBatch = "half-batch",
    /// A segment does not carry the notes of the ones before.
    NotesNotCarried = "notes-not-carried",
    /// A segment does not carry the deletions of the ones before.
    DeletionsNotCarried = "deletions-not-carried",
    /// A torn tail is told, but stays where it is.
    TailNotCut = "tail-not-cut",
    /// After an unclean stop, what can be read is believed to be on the disk.
    NotWrittenAgain = "not-written-again",
    /// A segment is not held against the one before it.
    LinkNotChecked = "link-not-checked",
    /// The lock outlives who held it.
    LockNotReleased = "lock-not-released",
    /// A failed sync of what nobody waits for is not heeded.
    FlusherFailure = "flusher-failure",
    /// An append does not look whether its condition holds.
    ConditionNotTested = "condition-not-tested",
    /// A subscription that waits for more does not see what came between its last read and its wait.
    LostWakeUp = "lost-wake-up",
    /// A compaction takes the entry before a deleted one with it.
    CompactionDropsLive = "compaction-drops-live",
    /// A segment is replaced by one whose bytes are not on the disk.
    CompactionNotSynced = "compaction-not-synced",
    /// A segment is removed before the name of the one in its place is on the disk.
    CompactionSkipDirSync = "compaction-skip-dir-sync",
    /// A compaction erases what a deletion names that is not on the disk yet.
    ErasedTooEarly = "erased-too-early",
    /// What a compaction has replaced stays on the disk.
    ErasedStays = "erased-stays",
    /// Retention takes a segment too many.
    RetentionTooMuch = "retention-too-much",
    /// The manifest of a hash index is there before the names of the files that it counts on.
    HashIndexSkipDirSync = "hash-index-skip-dir-sync",
    /// A backup lacks the last segment.
    BackupWithoutLast = "backup-without-last",
    /// A backup names files whose bytes are not on the disk.
    BackupNotSynced = "backup-not-synced",
    /// Entries of one commit are encrypted with one nonce.
    NonceTwice = "nonce-twice",
    /// A view is stored before the log it rests on is on the disk.
    CheckpointBeforeData = "checkpoint-before-data",
    /// The checkpoint of a view is not held against the log.
    CheckpointNotCompared = "checkpoint-not-compared",
    /// The state of a view is brought to the disk by itself, its position later.
    StateWithoutPosition = "state-without-position",
    /// A view keeps what was deleted.
    RetractForgotten = "retract-forgotten",
    /// A fresh read gives what is there.
    FreshReadNotFresh = "fresh-read-not-fresh",
    /// A hash index takes an entry with the fingerprint for the entry.
    FingerprintBelieved = "fingerprint-believed",
    /// The commit of a full-text index names files whose names are not on the disk.
    SearchSkipDirSync = "search-skip-dir-sync",
    /// A log in a file of another format answers an append before it is on the disk.
    FileSkipSync = "file-skip-sync",
}

/// Whether this process has `bug`.
#[cfg(not(feature = "__planted"))]
#[inline(always)]
pub const fn planted(bug: Bug) -> bool {
    let _ = bug;
    false
}

/// Whether this process has `bug`.
///
/// # Panics
/// If `FLUME_PLANTED` names none.
#[cfg(feature = "__planted")]
#[allow(clippy::panic, reason = "whoever misspells a bug would see every test pass")]
pub fn planted(bug: Bug) -> bool {
    static CHOSEN: std::sync::OnceLock<Option<Bug>> = std::sync::OnceLock::new();
    let chosen = CHOSEN.get_or_init(|| {
        let name = std::env::var("FLUME_PLANTED").ok().filter(|name| !name.is_empty())?;
        let known = Bug::ALL.iter().find(|(_, known)| *known == name);
        Some(known.unwrap_or_else(|| panic!("there is no bug {name}")).0)
    });
    *chosen == Some(bug)
}
