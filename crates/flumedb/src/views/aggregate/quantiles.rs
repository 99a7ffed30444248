//! [`Quantiles`], how numbers are distributed: counts of them in bins that are a little wider the larger the numbers are.
//!
//! The bin of a number is the front of its bits, so no arithmetic is involved that might differ between machines; and as
//! bins only count, numbers can be taken away again. Digests that keep centroids (t-digest) can do neither.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Aggregate, Values, values};
use crate::Seq;

/// Bits of the fraction that tell bins apart: 64 bins from each power of two to the next.
const BITS: u32 = 6;
const DROPPED: u32 = 52 - BITS;
/// Numbers nearer to zero than 2 to the minus this count as zero.
const LEAST_POWER: u64 = 30;
/// Numbers farther from zero than 2 to the power of this count as that.
const GREATEST_POWER: u64 = 63;
/// The exponent of 1 in a float's bits.
const BIAS: u64 = 1023;
const FIRST: u64 = (BIAS - LEAST_POWER) << BITS;
const LAST: u64 = ((BIAS + GREATEST_POWER) << BITS) - 1;

/// How numbers are distributed: any quantile within 1/128 (0.8 %) of a number that is there, for numbers from 1e-9 to 9e18
/// and their negatives; nearer to zero they count as zero, farther away as 9e18. NaN is passed over.
///
/// At most 11,905 bins, of which those are kept that have something in them: as a rule some hundred, of about 4 bytes.
pub struct Quantiles<T> {
    of: Values<T, f64>,
}

impl<T> Quantiles<T> {
    /// Of what `of` gives: an `Option`, an array, or anything else to iterate over.
    pub fn new<I: IntoIterator<Item = f64>>(of: impl Fn(&T) -> I + Send + Sync + 'static) -> Self {
        Self { of: values(of) }
    }
}

/// Numbers by bin: what [`Quantiles`] keeps and gives.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Distribution {
    bins: BTreeMap<i32, u64>,
}

impl Distribution {
    /// Takes in a number.
    pub fn add(&mut self, value: f64) {
        if !value.is_nan() {
            *self.bins.entry(bin(value)).or_default() += 1;
        }
    }

    /// How many numbers there are.
    pub fn count(&self) -> u64 {
        self.bins.values().sum()
    }

    /// The number below or at which this part of all numbers lies: 0.5 for the median, 0.99 … `None` if there are none, or
    /// if `part` is not within 0 to 1.
    pub fn quantile(&self, part: f64) -> Option<f64> {
        let count = self.count();
        if count == 0 || !(0.0..=1.0).contains(&part) {
            return None;
        }
        // The n-th of them, from 1 on.
        let nth = ((part * count as f64).ceil() as u64).clamp(1, count);
        let mut below = 0;
        let found = self.bins.iter().find(|(_, count)| {
            below += **count;
            below >= nth
        });
        found.map(|(bin, _)| middle(*bin))
    }

    /// How many numbers are at or below `value`, give or take those of its own bin.
    pub fn rank(&self, value: f64) -> u64 {
        self.bins.range(..=bin(value)).map(|(_, count)| count).sum()
    }
}

/// From the least numbers to the greatest; 0 is the one of zero.
fn bin(value: f64) -> i32 {
    let front = value.abs().to_bits() >> DROPPED;
    let bin = (front.min(LAST) + 1).saturating_sub(FIRST) as i32;
    if value < 0.0 { -bin } else { bin }
}

fn middle(bin: i32) -> f64 {
    if bin == 0 {
        return 0.0;
    }
    let edge = |front: u64| f64::from_bits(front << DROPPED);
    let front = (FIRST - 1).saturating_add(u64::from(bin.unsigned_abs()));
    let size = f64::midpoint(edge(front), edge(front + 1));
    if bin < 0 { -size } else { size }
}

impl<T: 'static> Aggregate<T> for Quantiles<T> {
    type State = Distribution;
    type Value = Distribution;

    fn form(&self) -> String {
        format!("quantiles {BITS} {LEAST_POWER} {GREATEST_POWER}")
    }

    fn add(&self, state: &mut Distribution, _: Seq, item: &T) {
        (self.of)(item, &mut |value| state.add(value));
    }

    fn merge(&self, state: &mut Distribution, part: &Distribution) {
        for (bin, count) in &part.bins {
            *state.bins.entry(*bin).or_default() += count;
        }
    }

    fn subtract(&self, state: &mut Distribution, part: &Distribution) -> bool {
        part.bins.iter().all(|(bin, count)| {
            let rest = state.bins.get(bin).and_then(|before| before.checked_sub(*count));
            match rest {
                None => return false,
                Some(0) => state.bins.remove(bin),
                Some(rest) => state.bins.insert(*bin, rest),
            };
            true
        })
    }

    fn value(&self, state: &Distribution) -> Distribution {
        state.clone()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Guards against an answer farther off than promised, at the edges of bins too.
        #[test]
        fn every_number_is_told_within_its_error(front in FIRST..=LAST, rest in 0u64..1 << DROPPED, edge in 0u8..3) {
            let rest = match edge { 0 => 0, 1 => (1 << DROPPED) - 1, _ => rest };
            let value = f64::from_bits(front << DROPPED | rest);
            for value in [value, -value] {
                let told = middle(bin(value));
                prop_assert!(((told - value) / value).abs() <= 1.0 / 128.0, "{value} is told as {told}");
            }
        }
    }

    #[test]
    fn the_bins_are_in_order_and_what_is_beyond_them_is_at_their_ends() {
        assert_eq!((bin(0.0), bin(-0.0), bin(1e-10), bin(-1e-10)), (0, 0, 0, 0));
        assert_eq!(bin(f64::INFINITY), bin(1e19));
        assert_eq!(bin(f64::NEG_INFINITY), -bin(1e19));
        assert!(bin(1.0) < bin(1.02) && bin(-1.0) > bin(-1.02));
        let bins = 2 * (LAST + 1 - FIRST) + 1;
        assert_eq!(bins, 11_905, "as is written above");
        let mut one = Distribution::default();
        one.add(f64::NAN);
        assert_eq!((one.count(), one.quantile(0.5)), (0, None));
        one.add(3.0);
        assert_eq!((one.quantile(f64::NAN), one.quantile(1.1), one.rank(2.0), one.rank(3.0)), (None, None, 0, 1));
    }
}
