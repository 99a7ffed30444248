//! [`Registers`] of a HyperLogLog: how rare the rarest hash was in each of many classes.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

use super::raw::Raw;

/// Classes of hashes: 2 to this power. The error is 1.04 / sqrt(classes).
pub(super) const PRECISION: u32 = 12;
const CLASSES: usize = 1 << PRECISION;
/// Bits of a hash that do not say its class.
const REST: u32 = 64 - PRECISION;

/// A byte a class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Registers(Vec<u8>);

impl Registers {
    pub(super) fn new() -> Self {
        Self(vec![0; CLASSES])
    }

    pub(super) fn add(&mut self, hash: u64) {
        let class = (hash >> REST) as usize;
        // Zeros in front of the rest, and one; a bit behind the rest ends them.
        let rarity = ((hash << PRECISION) | 1 << (PRECISION - 1)).leading_zeros() as u8 + 1;
        if let Some(register) = self.0.get_mut(class) {
            *register = rarity.max(*register);
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(one, other)| *one = (*one).max(*other));
    }

    /// How many distinct hashes there were, about. The estimator of Otmar Ertl ("New cardinality estimation algorithms for
    /// HyperLogLog sketches", 2017, algorithm 6), which needs no tables of corrections.
    pub(super) fn estimate(&self) -> u64 {
        const LIMIT: f64 = 0.721_347_520_444_481_7; // 1 / (2 ln 2)
        let mut counts = [0_u32; REST as usize + 2];
        for rarity in &self.0 {
            if let Some(count) = counts.get_mut(usize::from(*rarity)) {
                *count += 1;
            }
        }
        let classes = CLASSES as f64;
        let share = |count: Option<&u32>| f64::from(count.copied().unwrap_or_default()) / classes;
        let mut z = classes * tau(1.0 - share(counts.last()));
        for count in counts.iter().skip(1).take(REST as usize).rev() {
            z = 0.5 * (z + f64::from(*count));
        }
        z += classes * sigma(share(counts.first()));
        (LIMIT * classes * classes / z).round() as u64
    }
}

fn sigma(mut x: f64) -> f64 {
    if x >= 1.0 {
        return f64::INFINITY;
    }
    let (mut y, mut z) = (1.0, x);
    loop {
        let before = z;
        x *= x;
        z += x * y;
        y += y;
        if z <= before {
            return z;
        }
    }
}

fn tau(mut x: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return 0.0;
    }
    let (mut y, mut z) = (1.0, 1.0 - x);
    loop {
        let before = z;
        x = x.sqrt();
        y *= 0.5;
        z -= (1.0 - x) * (1.0 - x) * y;
        if z >= before {
            return z / 3.0;
        }
    }
}

impl Serialize for Registers {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Registers {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let Raw(registers) = Raw::deserialize(from)?;
        if registers.len() == CLASSES && registers.iter().all(|rarity| u32::from(*rarity) <= REST + 1) {
            Ok(Self(registers))
        } else {
            Err(D::Error::custom("these are no registers of a HyperLogLog of this size"))
        }
    }
}
