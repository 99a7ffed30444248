//! Blocks: runs of the numbers that have one term, each a row of the store, so that to add a number costs the last of
//! them and not all.

use std::io;

use roaring::RoaringBitmap;

use crate::views::store::varint;

/// A block takes numbers at its end until it has so many; beyond that only those of its last 65,536, which cost nothing more
/// once they are a bitmap. What is inserted before its end may make it twice as large.
const FULL: u64 = 4096;
/// So few are kept as gaps.
const FEW: u64 = 64;
const GAPS: u8 = 0;
const ROARING: u8 = 1;

/// Numbers whose upper halves are equal.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Block {
    pub(super) high: u32,
    pub(super) bits: RoaringBitmap,
}

pub(super) fn halves(number: u64) -> (u32, u32) {
    ((number >> 32) as u32, number as u32)
}

pub(super) fn whole(high: u32, low: u32) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

impl Block {
    pub(super) fn of(number: u64) -> Self {
        let (high, low) = halves(number);
        Self { high, bits: RoaringBitmap::from_iter([low]) }
    }

    pub(super) fn start(&self) -> Option<u64> {
        self.bits.min().map(|low| whole(self.high, low))
    }

    /// Whether `number`, which is behind all that is in it, belongs in it.
    pub(super) fn takes(&self, number: u64) -> bool {
        let (high, low) = halves(number);
        high == self.high && (self.bits.len() < FULL || self.bits.max().is_some_and(|last| last >> 16 == low >> 16))
    }

    /// Takes in numbers from the front of some that are in order (some perhaps twice in a row), of the same upper half, and not
    /// before what is in it; gives back the others.
    pub(super) fn append<'a>(&mut self, lows: &'a [u32]) -> &'a [u32] {
        let room = FULL.saturating_sub(self.bits.len()) as usize;
        let (taken, rest) = lows.split_at_checked(room).unwrap_or((lows, &[]));
        let mut former = self.bits.max();
        let last = taken.last().copied().or(former).map(|last| last >> 16);
        let more = rest.partition_point(|low| Some(low >> 16) == last);
        let (taken, rest) = lows.split_at_checked(taken.len() + more).unwrap_or((lows, &[]));
        // In order, so each goes to the end.
        let _ = self.bits.append(taken.iter().copied().filter(|low| former.replace(*low) != Some(*low)));
        rest
    }

    /// Whether `number`, which is not before what is in it, nor behind what comes after it, belongs in it.
    pub(super) fn has_place_for(&self, number: u64) -> bool {
        let (high, low) = halves(number);
        high == self.high && self.bits.max().is_some_and(|last| low <= last) || self.takes(number)
    }

    /// Itself, unless it has become too large: then the numbers of each 65,536 apart.
    pub(super) fn parts(self) -> Vec<Self> {
        let chunk = |low: Option<u32>| low.map(|low| low >> 16);
        if self.bits.len() <= 2 * FULL || chunk(self.bits.min()) == chunk(self.bits.max()) {
            return vec![self];
        }
        let mut parts: Vec<Self> = Vec::new();
        for low in &self.bits {
            match parts.last_mut().filter(|part| chunk(part.bits.max()) == Some(low >> 16)) {
                Some(part) => drop(part.bits.try_push(low)),
                None => parts.push(Self::of(whole(self.high, low))),
            }
        }
        parts
    }

    pub(super) fn insert(&mut self, number: u64) {
        self.bits.insert(halves(number).1);
    }

    pub(super) fn remove(&mut self, number: u64) -> bool {
        let (high, low) = halves(number);
        high == self.high && self.bits.remove(low)
    }

    /// Appends the bytes behind the block's start, which is its key.
    pub(super) fn encode(&mut self, out: &mut Vec<u8>) {
        let len = self.bits.len();
        if len <= 1 {
            return;
        }
        if len <= FEW {
            return write_gaps(self.bits.iter(), out);
        }
        self.bits.optimize();
        out.push(ROARING);
        // Writing to memory cannot fail.
        let _ = self.bits.serialize_into(out);
    }

    pub(super) fn decode(start: u64, bytes: &[u8]) -> io::Result<Self> {
        let (high, mut low) = halves(start);
        let broken = || io::Error::from(io::ErrorKind::InvalidData);
        let bits = match bytes.split_first() {
            None => RoaringBitmap::from_iter([low]),
            Some((&GAPS, mut rest)) => {
                let mut lows = vec![low];
                while !rest.is_empty() {
                    let gap = varint::read(&mut rest).and_then(|gap| u32::try_from(gap).ok());
                    low = gap.and_then(|gap| low.checked_add(gap)).ok_or_else(broken)?;
                    lows.push(low);
                }
                RoaringBitmap::from_sorted_iter(lows).map_err(|_| broken())?
            }
            Some((&ROARING, rest)) => RoaringBitmap::deserialize_from(rest)?,
            Some(_) => return Err(broken()),
        };
        Ok(Self { high, bits })
    }
}

/// Whether so many numbers of one upper half are a small block.
pub(super) fn are_few(lows: &[u32]) -> bool {
    lows.len() as u64 <= FEW
}

/// Appends the bytes of that block; the numbers are in order, some perhaps twice in a row.
pub(super) fn encode_few(lows: &[u32], out: &mut Vec<u8>) {
    if lows.first() != lows.last() {
        let mut former = None;
        write_gaps(lows.iter().copied().filter(|low| former.replace(*low) != Some(*low)), out);
    }
}

fn write_gaps(lows: impl Iterator<Item = u32>, out: &mut Vec<u8>) {
    out.push(GAPS);
    let mut former = None;
    for low in lows {
        if let Some(former) = former.replace(low) {
            varint::write(u64::from(low - former), out);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Guards against a block that reads otherwise than it was written.
        #[test]
        fn blocks_read_as_written(
            numbers in proptest::collection::btree_set(prop_oneof![0..200_000_u64, 5_000_000_000..5_000_200_000_u64], 1..300),
        ) {
            let high = numbers.first().map_or(0, |first| halves(*first).0);
            let bits = numbers.iter().map(|number| halves(*number)).filter(|it| it.0 == high).map(|it| it.1).collect();
            let mut block = Block { high, bits };
            let mut out = Vec::new();
            block.encode(&mut out);
            let read = Block::decode(block.start().unwrap_or(0), &out).ok();
            prop_assert_eq!(read.as_ref(), Some(&block));

            // Some of them twice in a row.
            let listed = block.bits.iter().flat_map(|low| vec![low; 1 + low as usize % 2]);
            let (listed, mut few) = (listed.collect::<Vec<_>>(), Vec::new());
            if are_few(&listed) {
                encode_few(&listed, &mut few);
                prop_assert_eq!(few, out);
            }
        }
    }
}
