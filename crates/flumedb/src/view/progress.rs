//! [`Progress`], how far a view has got, and the meter behind its rate.

use std::time::Duration;

use crate::{Error, Seq};

/// How far a view has got. Cheap to ask for.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Progress {
    /// What the view is doing.
    pub phase: Phase,
    /// The newest entry that the view has taken in.
    pub since: Option<Seq>,
    /// How many entries it passed over because they do not decode.
    pub skipped: u64,
}

/// What a view is doing.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Phase {
    /// Opening its store.
    Opening,
    /// Catching up with the log.
    Building {
        /// How far it is, in the log's numbers: entries in our own log, bytes in one whose numbers are positions.
        done: u64,
        /// How far the log goes.
        total: u64,
        /// Numbers per second, as of late.
        rate: f64,
        /// How long it will take at that rate; `None` while there is no rate yet.
        eta: Option<Duration>,
    },
    /// It has caught up and follows the log.
    Live,
    /// The system refused something (a full disk, an I/O error); it is tried again. Nothing is lost.
    Retrying {
        /// What was refused.
        error: Error,
    },
    /// Stopped until it is rebuilt. Reads fail with this error; the other views and the log go on.
    Faulted {
        /// The entry it stopped at, if it is about one.
        at: Option<Seq>,
        /// What is wrong and what to do.
        reason: Error,
    },
    /// The database was closed.
    Closed,
}

impl Progress {
    /// Whether the view has caught up and follows the log.
    pub fn is_live(&self) -> bool {
        matches!(self.phase, Phase::Live)
    }
}

/// Measures how fast a position moves, forgetting what is long ago.
#[derive(Default)]
pub(super) struct Meter {
    last: Option<(Duration, u64)>,
    rate: f64,
}

impl Meter {
    /// Measured in spans of at least this length; a new one counts for a third.
    const SPAN: Duration = Duration::from_millis(100);

    pub(super) fn at(&mut self, now: Duration, position: u64) {
        let Some((then, before)) = self.last.filter(|&(_, before)| before <= position) else {
            *self = Self { last: Some((now, position)), rate: 0.0 };
            return;
        };
        let span = now.saturating_sub(then);
        if span >= Self::SPAN {
            let measured = (position - before) as f64 / span.as_secs_f64();
            self.rate = if self.rate == 0.0 { measured } else { self.rate + (measured - self.rate) / 3.0 };
            self.last = Some((now, position));
        }
    }

    pub(super) fn building(&self, done: u64, total: u64) -> Phase {
        let seconds = total.saturating_sub(done) as f64 / self.rate;
        Phase::Building { done, total, rate: self.rate, eta: Duration::try_from_secs_f64(seconds).ok() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_how_long_it_will_take() {
        let mut meter = Meter::default();
        for second in 0..10 {
            meter.at(Duration::from_secs(second), second * 100);
        }
        let Phase::Building { done, total, rate, eta } = meter.building(900, 1_900) else { panic!("not building") };
        assert_eq!((done, total, rate), (900, 1_900, 100.0));
        assert_eq!(eta, Some(Duration::from_secs(10)));
        // A view that starts again has no rate yet, and no time can be said.
        meter.at(Duration::from_secs(11), 0);
        assert!(matches!(meter.building(0, 1_900), Phase::Building { eta: None, .. }));
    }
}
