//! Erasing what was deleted: segments are written anew without it, and dropped where nothing is left.
//!
//! Names, links and checksums stay, so nothing else in the log changes; readers keep the files that they began with.

mod compactor;
mod pass;
mod rewrite;

pub(crate) use compactor::Compactions;

/// What a compaction did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Compacted {
    /// Deleted entries whose bytes were taken out.
    pub erased: u64,
    /// Segments that were written anew.
    pub segments: u64,
    /// Segments in which nothing was left, at the beginning of the log, that were dropped.
    pub dropped: u64,
    /// Bytes of the log before.
    pub bytes_before: u64,
    /// And after.
    pub bytes_after: u64,
    /// Bytes of cut tails and of damaged segments that are kept in `torn` and `damaged`: they may hold what was erased, until
    /// somebody removes them.
    pub bytes_aside: u64,
}

impl Compacted {
    /// Both, one after the other.
    pub(crate) fn and(self, then: Self) -> Self {
        Self {
            erased: self.erased + then.erased,
            segments: self.segments + then.segments,
            dropped: self.dropped + then.dropped,
            bytes_before: self.bytes_before,
            ..then
        }
    }
}
