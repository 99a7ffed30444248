//! [`Windows`], stretches of time that entries fall into.

use crate::{Error, ErrorKind, Result};

/// The most windows that one moment may be in.
const MOST: i64 = 10_000;

/// Stretches of time of one length, as part of the key of a group. Time is whatever the entries say, in any unit; late
/// entries are no matter, because each window is a group of its own and none is ever closed.
///
/// ```
/// use flumedb::views::{Groups, Windows, aggregate::Count};
/// struct Visit { page: String, at: i64 }
///
/// let hours = Windows::tumbling(3_600)?;
/// let by_hour = Groups::new(1, move |visit: &Visit| hours.of(visit.at), Count);
/// let by_page = Groups::new(
///     1,
///     move |visit: &Visit| hours.of(visit.at).map(|hour| (visit.page.clone(), hour)).collect::<Vec<_>>(),
///     Count,
/// );
/// # let _ = (by_hour, by_page);
///
/// // An hour long, one beginning every quarter of an hour.
/// let sliding = Windows::hopping(3_600, 900)?;
/// assert_eq!(sliding.of(7_300).collect::<Vec<_>>(), [4_500, 5_400, 6_300, 7_200]);
/// # Ok::<(), flumedb::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    size: i64,
    step: i64,
}

impl Windows {
    /// Windows that follow one another, each `size` long; one begins at 0.
    ///
    /// # Errors
    /// `Invalid` if `size` is not positive.
    pub fn tumbling(size: i64) -> Result<Self> {
        Self::hopping(size, size)
    }

    /// Windows that are `size` long, of which one begins every `step`, so that they overlap, or have gaps between them;
    /// one begins at 0.
    ///
    /// # Errors
    /// `Invalid` if one of them is not positive, or a moment would be in more than 10,000 windows.
    pub fn hopping(size: i64, step: i64) -> Result<Self> {
        if size <= 0 || step <= 0 || (size - 1) / step >= MOST {
            let message = format!(
                "windows of {size} every {step}: both must be positive, and a moment in at most {MOST} of them; use a \
                 greater step"
            );
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        Ok(Self { size, step })
    }

    /// Where the windows begin that `time` is in, in order. What is nearer than a window to the ends of all time is in
    /// none.
    pub fn of(self, time: i64) -> impl DoubleEndedIterator<Item = i64> {
        let last = time.div_euclid(self.step).checked_mul(self.step);
        let most = (self.size - 1) / self.step + 1;
        let starts = (0..most).rev().filter_map(move |back| last?.checked_sub(back.checked_mul(self.step)?));
        starts.filter(move |start| start.checked_add(self.size).is_some_and(|end| time < end))
    }

    /// Where a window ends that begins at `start`: the first moment that is not in it.
    pub fn end(self, start: i64) -> i64 {
        start.saturating_add(self.size)
    }
}
