//! [`ExactSum`], a sum of floats in which nothing is rounded. So it does not depend on the order, and what was added can be
//! taken away again.

use serde::{Deserialize, Serialize};

/// Bits of a float's fraction.
const FRACTION: u32 = 52;
const DIGIT: u32 = 32;

/// A sum of `f64`, exact: an integer number of the least positive one, in digits of 32 bits of which only those that are not
/// zero are kept. Three or four for numbers of like size, at most 68.
///
/// Each integer has one such form, because digits lie within -2^31 .. 2^31: equal sums are equal states.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExactSum {
    /// Places and digits, from the least place on.
    digits: Vec<(u8, i32)>,
    /// How many of each were added that are no numbers to add.
    odd: Option<Odd>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Odd {
    nan: i64,
    infinite: i64,
    minus_infinite: i64,
}

impl ExactSum {
    /// Adds a number. NaN and the infinities are counted beside the sum, so that they can be taken away, too.
    pub fn add(&mut self, value: f64) {
        if !value.is_finite() {
            let odd = Odd {
                nan: i64::from(value.is_nan()),
                infinite: i64::from(value == f64::INFINITY),
                minus_infinite: i64::from(value == f64::NEG_INFINITY),
            };
            return self.add_odd(&odd, 1);
        }
        let bits = value.to_bits();
        let (exponent, fraction) = ((bits >> FRACTION) & 0x7ff, bits & ((1 << FRACTION) - 1));
        // How far left of the least one the fraction begins.
        let (mantissa, shift) =
            if exponent == 0 { (fraction, 0) } else { (fraction | 1 << FRACTION, (exponent - 1) as u32) };
        let mut rest = u128::from(mantissa) << (shift % DIGIT);
        let mut place = (shift / DIGIT) as u8;
        while rest != 0 {
            let part = (rest & u128::from(u32::MAX)) as i64;
            self.add_at(place, if value < 0.0 { -part } else { part });
            rest >>= DIGIT;
            place += 1;
        }
    }

    /// Adds another sum, or takes it away.
    pub fn combine(&mut self, part: &Self, add: bool) {
        let sign = if add { 1 } else { -1 };
        for (place, digit) in &part.digits {
            self.add_at(*place, i64::from(*digit) * sign);
        }
        if let Some(odd) = &part.odd {
            self.add_odd(odd, sign);
        }
    }

    fn add_odd(&mut self, part: &Odd, sign: i64) {
        let odd = self.odd.get_or_insert_default();
        odd.nan += part.nan * sign;
        odd.infinite += part.infinite * sign;
        odd.minus_infinite += part.minus_infinite * sign;
        if *odd == Odd::default() {
            self.odd = None;
        }
    }

    /// Adds to the digit at `place`, and what is too much for it to the next ones.
    fn add_at(&mut self, mut place: u8, mut what: i64) {
        while what != 0 {
            let found = self.digits.binary_search_by_key(&place, |digit| digit.0);
            let digit = found.ok().and_then(|at| self.digits.get(at)).map_or(0, |digit| i64::from(digit.1));
            let total = digit + what;
            let kept = total as i32;
            what = (total - i64::from(kept)) >> DIGIT;
            match found {
                Ok(at) if kept == 0 => drop(self.digits.remove(at)),
                Ok(at) => self.digits.iter_mut().skip(at).take(1).for_each(|digit| digit.1 = kept),
                Err(_) if kept == 0 => {}
                Err(at) => self.digits.insert(at, (place, kept)),
            }
            place = place.saturating_add(1);
        }
    }

    /// The `f64` nearest to the sum, of two as near the even one; infinite if it is too large for one.
    pub fn value(&self) -> f64 {
        if let Some(odd) = &self.odd {
            return match (odd.nan > 0, odd.infinite > 0, odd.minus_infinite > 0) {
                (false, true, false) => f64::INFINITY,
                (false, false, true) => f64::NEG_INFINITY,
                _ => f64::NAN,
            };
        }
        let Some((last, highest)) = self.digits.last() else { return 0.0 };
        let sign = i64::from(highest.signum());
        // The same without signs: digits from 0 to 2^32, one more of them than before.
        let (mut plain, mut carry) = (Vec::with_capacity(usize::from(*last) + 2), 0);
        let mut digits = self.digits.iter().peekable();
        for place in 0..=*last {
            let digit = digits.next_if(|digit| digit.0 == place).map_or(0, |digit| i64::from(digit.1));
            let total = digit * sign + carry;
            plain.push(total as u32);
            carry = total >> DIGIT;
        }
        let size = round(&plain);
        if sign < 0 { -size } else { size }
    }
}

/// The float nearest to the integer number of least ones that these digits make.
fn round(digits: &[u32]) -> f64 {
    let bit = |at: u32| digits.get((at / DIGIT) as usize).is_some_and(|digit| digit >> (at % DIGIT) & 1 == 1);
    let Some(top) = (0..digits.len() as u32 * DIGIT).rev().find(|at| bit(*at)) else { return 0.0 };
    let bits = |from: u32| (from..=top).rev().fold(0, |bits, at| bits << 1 | u64::from(bit(at)));
    if top <= FRACTION {
        // Exact, and the bits of floats are in the order of the floats: the n-th least one has the bits n.
        return f64::from_bits(bits(0));
    }
    let dropped = top - FRACTION;
    let mantissa = bits(dropped);
    let half = bit(dropped - 1);
    let more = (0..dropped - 1).any(bit);
    let up = half && (more || mantissa & 1 == 1);
    // The leading one of the mantissa adds one to the exponent, and a carry out of rounding does the same.
    let exponent = u64::from(dropped);
    if exponent > 0x7ff - 2 {
        return f64::INFINITY;
    }
    f64::from_bits((exponent << FRACTION) + mantissa + u64::from(up))
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn sum(values: &[f64]) -> ExactSum {
        let mut sum = ExactSum::default();
        values.iter().for_each(|value| sum.add(*value));
        sum
    }

    #[test]
    fn rounds_as_one_addition_does() {
        // What a single addition of two floats gives is the exact sum, rounded: the processor is the judge.
        for (a, b) in [
            (0.1, 0.2),
            (1e16, 1.0),
            (1e16, 3.0),
            (-1e16, 1.0),
            (f64::MAX, f64::MAX),
            (f64::MIN_POSITIVE, -f64::from_bits(1)),
            (f64::from_bits(1), f64::from_bits(1)),
            (1.0, -1.0),
            (4_503_599_627_370_496.0, 0.5),
            (f64::INFINITY, 1.0),
        ] {
            assert_eq!(sum(&[a, b]).value().to_bits(), (a + b).to_bits(), "{a} + {b}");
        }
        assert_eq!(sum(&[1e300, 1.0, -1e300]).value(), 1.0, "what floats lose on the way");
        assert!(sum(&[f64::INFINITY, f64::NEG_INFINITY]).value().is_nan());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        /// Guards against a sum that depends on the order, or on what was in it once.
        #[test]
        fn any_two_floats_and_any_order(a: f64, b: f64, more in vec(any::<f64>(), 0..8)) {
            prop_assert_eq!(sum(&[a, b]).value(), a + b);
            let mut forth = sum(&more);
            forth.combine(&sum(&[b, a]), true);
            let back: Vec<f64> = [a, b].into_iter().chain(more.iter().rev().copied()).collect();
            prop_assert_eq!(&forth, &sum(&back));
            forth.combine(&sum(&more), false);
            prop_assert_eq!(&forth, &sum(&[a, b]));
            forth.combine(&sum(&[b]), false);
            forth.combine(&sum(&[a]), false);
            prop_assert_eq!(forth, ExactSum::default());
        }
    }
}
