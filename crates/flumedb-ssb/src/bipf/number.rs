//! Which numbers are written as what, and read as what.

/// Up to here every whole number is a double of its own.
const SAFE: f64 = 9_007_199_254_740_992.0;
/// From here on JavaScript spells numbers with an exponent.
const SPELLED: f64 = 1e21;

/// The whole number of 32 bits that a number is written as: JavaScript's `1.0` is `1`, and its `-0` is `0`. The smallest
/// `i32` is written as a double.
pub(super) fn int(number: f64) -> Option<i32> {
    let whole = number as i32;
    (f64::from(whole) == number && whole != i32::MIN).then_some(whole)
}

/// A double as the whole number that JavaScript spells it as, so that it reads as its JSON text does. Only a float keeps the
/// sign of `-0`.
pub(super) fn whole(number: f64) -> Option<i128> {
    if number.trunc() != number || number.abs() >= SPELLED || (number == 0.0 && number.is_sign_negative()) {
        None
    } else if number.abs() <= SAFE {
        Some(number as i128)
    } else {
        ryu_js::Buffer::new().format_finite(number).parse().ok()
    }
}

/// The double that reads as this whole number again.
pub(super) fn double(number: i128) -> Option<f64> {
    let nearest = number as f64;
    (whole(nearest) == Some(number)).then_some(nearest)
}
