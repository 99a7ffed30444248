//! [`Words`] and [`Doubles`], one number a record. The body is written with slack behind the elements that count.

use bytes::Bytes;

/// An array of `u32`, one a record.
#[derive(Clone, Debug)]
pub struct Words(Bytes);

/// An array of `f64`, one a record.
#[derive(Clone, Debug)]
pub struct Doubles(Bytes);

impl Words {
    pub(in crate::indexes) fn new(body: &Bytes, count: u32) -> Result<Self, String> {
        elements(body, count, 4).map(Self)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len() / 4
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The number of the record `record`.
    pub fn get(&self, record: u32) -> Option<u32> {
        self.0.as_chunks().0.get(usize::try_from(record).ok()?).copied().map(u32::from_le_bytes)
    }

    /// All of them, from record 0 on.
    pub fn iter(&self) -> impl Iterator<Item = u32> {
        self.0.as_chunks().0.iter().copied().map(u32::from_le_bytes)
    }
}

impl Doubles {
    pub(in crate::indexes) fn new(body: &Bytes, count: u32) -> Result<Self, String> {
        elements(body, count, 8).map(Self)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len() / 8
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The number of the record `record`.
    pub fn get(&self, record: u32) -> Option<f64> {
        self.0.as_chunks().0.get(usize::try_from(record).ok()?).copied().map(f64::from_le_bytes)
    }

    /// All of them, from record 0 on.
    pub fn iter(&self) -> impl Iterator<Item = f64> {
        self.0.as_chunks().0.iter().copied().map(f64::from_le_bytes)
    }
}

/// The bytes of the first `count` elements.
pub(super) fn elements(body: &Bytes, count: u32, size: usize) -> Result<Bytes, String> {
    let wanted = usize::try_from(count).ok().and_then(|count| count.checked_mul(size));
    match wanted.filter(|&wanted| wanted <= body.len()) {
        Some(wanted) => Ok(body.slice(..wanted)),
        None => Err(format!("it should hold {count} numbers and has room for {}", body.len() / size)),
    }
}
