//! [`Mutator`], which makes new inputs of old ones. What it makes follows from a number, so that a failure can be had
//! again. It knows no format: a number in the bytes that could be a length or a position is taken for one.

use fastrand::Rng;

/// Changes inputs of a corpus.
pub struct Mutator<'a> {
    corpus: &'a [Vec<u8>],
}

/// Where a number stands in an input, how wide it is, and which way round.
#[derive(Clone, Copy)]
struct Number {
    at: usize,
    width: usize,
    big_endian: bool,
}

impl<'a> Mutator<'a> {
    /// No input gets longer than this, but for those that [`Mutator::mutate`] makes long on purpose.
    pub const LONG: usize = 1 << 15;

    /// One in so many inputs is made as long as this: what grows with the number of records shows only there.
    const HUGE: (u32, usize) = (2_000, 1 << 20);

    /// Changes these.
    pub fn new(corpus: &'a [Vec<u8>]) -> Self {
        Self { corpus }
    }

    /// The input that follows from `seed`.
    pub fn mutate(&self, seed: u64) -> Vec<u8> {
        let mut rng = Rng::with_seed(seed);
        let mut bytes = match rng.u32(..16) {
            0 => (0..rng.usize(..256)).map(|_| rng.u8(..)).collect(),
            _ => self.pick(&mut rng).to_vec(),
        };
        for _ in 0..1 << rng.u32(..4) {
            self.change(&mut bytes, &mut rng);
        }
        bytes.truncate(Self::LONG);
        if rng.u32(..Self::HUGE.0) == 0 && !bytes.is_empty() {
            let piece = part(&bytes, &mut rng);
            while bytes.len() < Self::HUGE.1 {
                bytes.extend_from_within(piece.clone());
            }
        }
        bytes
    }

    fn pick(&self, rng: &mut Rng) -> &[u8] {
        if self.corpus.is_empty() { &[] } else { &self.corpus[rng.usize(..self.corpus.len())] }
    }

    fn change(&self, bytes: &mut Vec<u8>, rng: &mut Rng) {
        if bytes.is_empty() {
            bytes.extend_from_slice(self.pick(rng));
            return;
        }
        let at = rng.usize(..bytes.len());
        match rng.u32(..16) {
            0 | 1 => bytes[at] ^= 1 << rng.u32(..8),
            2 => bytes[at] = rng.u8(..),
            3..=7 => change_number(bytes, rng),
            8 => bytes.truncate(at),
            9 => drop(bytes.drain(part(bytes, rng))),
            10 => {
                let part = part(bytes, rng);
                bytes[part].fill([0, 0xff, b' '][rng.usize(..3)]);
            }
            11 => {
                let copy = bytes[part(bytes, rng)].to_vec();
                bytes.splice(at..at, copy);
            }
            12 => {
                let copy = bytes[part(bytes, rng)].to_vec();
                let end = (at + copy.len()).min(bytes.len());
                bytes.splice(at..end, copy);
            }
            13 => {
                // The head of one and the tail of another.
                let other = self.pick(rng);
                let from = if other.is_empty() { 0 } else { rng.usize(..other.len()) };
                bytes.splice(at.., other[from..].iter().copied());
            }
            14 => {
                // Nests whatever nests.
                let times = 1 << rng.u32(..14);
                let byte = *[b'[', b'{', b'"', b'\\', 0, 0xff, bytes[at]].get(rng.usize(..7)).unwrap_or(&0);
                bytes.splice(at..at, std::iter::repeat_n(byte, times));
            }
            _ => {
                const TOKENS: [&[u8]; 12] = [
                    b"null",
                    b"{\"",
                    b"\":",
                    b"[]",
                    b",",
                    b"\\u0000",
                    b"\\ud800",
                    b"1e999",
                    b"-0",
                    b"\xc3\x28",
                    b"\xed\xa0\x80",
                    b"\n",
                ];
                bytes.splice(at..at, TOKENS[rng.usize(..TOKENS.len())].iter().copied());
            }
        }
    }
}

/// A stretch of the bytes, most often a short one.
fn part(bytes: &[u8], rng: &mut Rng) -> std::ops::Range<usize> {
    let (from, most) = (rng.usize(..bytes.len()), 1 << rng.u32(..16));
    from..(from + 1 + rng.usize(..most)).min(bytes.len())
}

/// Puts another number where there is one that could be a length or a position.
fn change_number(bytes: &mut [u8], rng: &mut Rng) {
    // A few looks, and then any place will do.
    let mut number = Number::any(bytes.len(), rng);
    for _ in 0..32 {
        let value = number.read(bytes);
        if value > 0 && value <= bytes.len() as u64 {
            break;
        }
        number = Number::any(bytes.len(), rng);
    }
    let (old, len, at) = (number.read(bytes), bytes.len() as u64, number.at as u64);
    let bits = rng.u32(..64);
    let values = [
        0,
        1,
        old.wrapping_add(1),
        old.wrapping_sub(1),
        old.wrapping_add(u64::from(rng.u8(..))),
        old.wrapping_sub(u64::from(rng.u8(..))),
        len,
        len + 1,
        len - at,
        (len - at).wrapping_sub(number.width as u64),
        at,
        1 << bits,
        (1_u64 << bits).wrapping_sub(1),
        u64::MAX,
        u64::MAX >> 1,
        u64::from(rng.u16(..)),
    ];
    number.write(bytes, values[rng.usize(..values.len())]);
}

impl Number {
    fn any(len: usize, rng: &mut Rng) -> Self {
        let width = [1, 2, 4, 4, 8][rng.usize(..5)].min(len);
        Self { at: rng.usize(..=len - width), width, big_endian: rng.bool() }
    }

    fn read(self, bytes: &[u8]) -> u64 {
        let push = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
        let bytes = &bytes[self.at..self.at + self.width];
        if self.big_endian { bytes.iter().fold(0, push) } else { bytes.iter().rev().fold(0, push) }
    }

    fn write(self, bytes: &mut [u8], value: u64) {
        let target = &mut bytes[self.at..self.at + self.width];
        target.copy_from_slice(&value.to_le_bytes()[..self.width]);
        if self.big_endian {
            target.reverse();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The failure: an input that is printed as a number and cannot be had again.
    #[test]
    fn an_input_follows_from_its_seed() {
        let corpus = [b"some".to_vec(), Vec::new(), vec![7; 100]];
        for seed in 0..10_000 {
            assert!(Mutator::new(&corpus).mutate(seed) == Mutator::new(&corpus).mutate(seed));
        }
        assert!(Mutator::new(&[]).mutate(3).len() <= Mutator::LONG);
    }
}
