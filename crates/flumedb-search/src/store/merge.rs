//! Which segments become one. Segments lie in the order of their age; only neighbours are merged, the newest, so that the
//! entries in a segment stay in order.

use std::ops::Range;

/// So many segments of a size become one of the next.
const FAN: u32 = 8;
/// A segment of more bytes is left as it is, so that no merge takes long or needs much memory.
pub(super) const SETTLED: u64 = 8 << 20;
/// What one segment may have of the smallest size.
const LEAST_BYTES: u64 = 32 << 10;

/// What decides about a segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    pub(super) docs: u32,
    pub(super) bytes: u64,
}

impl Size {
    /// Each level is [`FAN`] times the one below.
    fn level(self) -> u32 {
        let by_docs = self.docs.max(1).ilog(FAN);
        let by_bytes = (self.bytes / LEAST_BYTES).max(1).ilog(u64::from(FAN));
        by_docs.max(by_bytes)
    }
}

/// The newest segments that are to be merged, if there are enough of one level. `sizes` begins with the oldest.
pub(super) fn due(sizes: &[Size]) -> Option<Range<usize>> {
    let small = sizes.iter().rev().take_while(|size| size.bytes < SETTLED).count();
    let newest = sizes.len() - small..sizes.len();
    let levels: Vec<u32> = sizes.get(newest)?.iter().map(|size| size.level()).collect();
    (0..=levels.iter().copied().max()?).find_map(|level| {
        let newest = levels.iter().rev().take_while(|of| **of <= level);
        // Those that are smaller are taken along, but do not count: what comes out is of the next level.
        let enough = newest.clone().filter(|of| **of == level).count() >= FAN as usize;
        enough.then(|| sizes.len() - newest.count()..sizes.len())
    })
}

#[cfg(test)]
mod tests {
    use super::{Size, due};

    /// Guards against segments that pile up, and against entries that are merged again and again.
    #[test]
    fn a_hundred_thousand_single_entries_lie_in_few_segments_and_are_merged_few_times() {
        let (mut sizes, mut merged) = (Vec::<Size>::new(), 0);
        let mut most = 0;
        for _ in 0..100_000 {
            sizes.push(Size { docs: 1, bytes: 300 });
            while let Some(range) = due(&sizes) {
                let parts = sizes.split_off(range.start);
                let docs = parts.iter().map(|size| size.docs).sum();
                merged += docs;
                sizes.push(Size { docs, bytes: parts.iter().map(|size| size.bytes).sum() });
            }
            most = most.max(sizes.len());
        }
        assert!(most <= 42, "{most} segments");
        assert!(merged / 100_000 <= 6, "each entry was merged {} times", merged / 100_000);
    }

    /// Guards against a merge that takes long.
    #[test]
    fn what_is_large_is_left_alone() {
        let large = Size { docs: 100_000, bytes: 9 << 20 };
        assert_eq!(due(&[large; 20]), None);
        let mut sizes = vec![large; 20];
        sizes.extend([Size { docs: 1, bytes: 1 }; 8]);
        assert_eq!(due(&sizes), Some(20..28));
    }
}
