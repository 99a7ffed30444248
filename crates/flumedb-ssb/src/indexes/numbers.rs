//! [`Numbers`], a list of positions as ssb-db2's private index keeps it.

use bytes::Bytes;

/// The positions of encrypted, or of decrypted, messages.
#[derive(Clone, Debug)]
pub struct Numbers {
    /// The position of the newest entry that it covers; below zero: of none.
    pub since: i32,
    /// How many positions there are.
    pub count: u64,
    body: Bytes,
}

impl Numbers {
    pub(super) fn parse(file: &Bytes) -> Result<Self, String> {
        let Some(since) = file.first_chunk().map(|bytes| i32::from_le_bytes(*bytes)) else {
            return Err("it is too short for a header".to_owned());
        };
        let mut numbers = Self { since, count: 0, body: file.slice(4..) };
        let (mut rest, mut before) = (&*numbers.body, None);
        while !rest.is_empty() {
            let (number, behind) = varint(rest).ok_or("it ends, or goes wrong, within a number")?;
            if before >= Some(number) {
                return Err("its positions do not ascend".to_owned());
            }
            (before, rest) = (Some(number), behind);
            numbers.count += 1;
        }
        Ok(numbers)
    }

    /// The positions, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u64> {
        let mut rest = &*self.body;
        std::iter::from_fn(move || {
            let (number, behind) = varint(rest)?;
            rest = behind;
            Some(number)
        })
    }
}

/// A little-endian base-128 number and what follows it. The originals hold no more than 53 bits.
fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut number = 0;
    for (at, &byte) in bytes.iter().enumerate().take(8) {
        number |= u64::from(byte & 0x7f) << (7 * at);
        if byte < 0x80 {
            return Some((number, bytes.get(at + 1..)?));
        }
    }
    None
}
