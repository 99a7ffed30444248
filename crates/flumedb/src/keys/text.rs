//! Keys as text.

use std::fmt::Write;

use zeroize::Zeroizing;

use super::Keys;
use crate::{Error, ErrorKind, Result};

/// A text of keys has at most so many bytes.
pub(super) const LONGEST: usize = 1 << 16;

pub(super) fn parse(text: &str) -> Result<Keys> {
    let mut keys = Vec::new();
    for (index, line) in text.split(['\n', ',']).map(str::trim).enumerate() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (number, digits) = line.split_once([' ', '\t', ':', '=']).unwrap_or(("1", line));
        let number = number.parse::<u16>().ok().filter(|&number| number > 0);
        let (Some(number), Some(key)) = (number, decode(digits.trim_start())) else {
            let message = format!("line {} is no key: a number from 1 on and 64 hexadecimal digits", index + 1);
            return Err(Error::new(ErrorKind::Invalid, message));
        };
        keys.push((number, key));
    }
    let current = keys.iter().max_by_key(|(number, _)| *number);
    let Some((number, key)) = current else {
        return Err(Error::new(ErrorKind::Invalid, "there is no key; `flume keygen` makes one"));
    };
    let first = Keys::new(*number, **key)?;
    keys.iter().try_fold(first, |all, (number, key)| all.with(*number, **key))
}

fn decode(digits: &str) -> Option<Zeroizing<[u8; 32]>> {
    let mut key = Zeroizing::new([0; 32]);
    let pairs = digits.as_bytes().as_chunks::<2>();
    if pairs.0.len() != key.len() || !pairs.1.is_empty() {
        return None;
    }
    for (byte, [high, low]) in key.iter_mut().zip(pairs.0) {
        let digit = |digit: u8| char::from(digit).to_digit(16);
        *byte = (digit(*high)? << 4 | digit(*low)?) as u8;
    }
    Some(key)
}

pub(super) fn line(number: u16, key: &[u8; 32]) -> String {
    key.iter().fold(format!("{number} "), |mut line, byte| {
        // Writing to a string cannot fail.
        let _ = write!(line, "{byte:02x}");
        line
    })
}
