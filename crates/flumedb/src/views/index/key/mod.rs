//! [`Key`], types that can be keys of an index: their order is kept by the bytes that stand for them.
//!
//! The bytes of a key say where they end, and no key's bytes begin another's; so keys stand one after another in a tuple,
//! and with the entry's `Seq` behind them in a row, without anything between.

mod any;
mod from;
mod tuple;

use bytes::Bytes;

pub use any::AnyKey;

/// A type whose values can be keys: the integers, `f64` (in total order), `bool`, `String`, [`Bytes`], arrays of bytes,
/// `Option` (`None` first), `Vec` and tuples of up to eight; and [`AnyKey`], which can be any of them.
///
/// The type belongs to the definition of an index: one over another type is another index, which is built from the log in a
/// place of its own, and the old one stays until `prune_views`.
///
/// ```
/// use flumedb::views::{AsKey, Key};
/// let mut bytes = Vec::new();
/// let key = ("alice".to_owned(), -1_i64);
/// AsKey::<(String, i64)>::encode(&key, &mut bytes);
/// assert_eq!(<(String, i64)>::decode(&mut bytes.as_slice()), Some(key));
/// ```
pub trait Key: AsKey<Self> + Send + Sync + Sized + 'static {
    /// Names the type and how it is encoded: part of the identity of a stored index.
    fn form() -> String;

    /// Takes a key from the front of `bytes`; `None` if none is there.
    fn decode(bytes: &mut &[u8]) -> Option<Self>;
}

/// What can stand for a key of type `K` when an index is asked: `K` itself, a reference to it, `&str` for a `String`,
/// `&[u8]` for [`Bytes`], and tuples, options and vectors of such.
pub trait AsKey<K> {
    /// Appends the bytes of the key. Of two keys the lesser has the lesser bytes.
    fn encode(&self, out: &mut Vec<u8>);
}

/// What can stand for the beginning of a key of type `K`: a text for a `String`, some first parts for a tuple.
///
/// The first part of a pair is given as it is, of longer tuples as a tuple of one, two or three parts.
pub trait Prefix<K> {
    /// Appends the bytes that all such keys begin with.
    fn encode_prefix(&self, out: &mut Vec<u8>);
}

impl<K, Q: AsKey<K> + ?Sized> AsKey<K> for &Q {
    fn encode(&self, out: &mut Vec<u8>) {
        (**self).encode(out);
    }
}

macro_rules! integer_key {
    ($($type:ty, $unsigned:ty, $flip:expr;)*) => {$(
        impl AsKey<$type> for $type {
            fn encode(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&((*self as $unsigned) ^ $flip).to_be_bytes());
            }
        }

        impl Key for $type {
            fn form() -> String {
                stringify!($type).to_owned()
            }

            fn decode(bytes: &mut &[u8]) -> Option<Self> {
                let (number, rest) = bytes.split_first_chunk()?;
                *bytes = rest;
                Some((<$unsigned>::from_be_bytes(*number) ^ $flip) as $type)
            }
        }
    )*};
}

integer_key! {
    u8, u8, 0;
    u16, u16, 0;
    u32, u32, 0;
    u64, u64, 0;
    u128, u128, 0;
    i8, u8, 1 << 7;
    i16, u16, 1 << 15;
    i32, u32, 1 << 31;
    i64, u64, 1 << 63;
    i128, u128, 1 << 127;
}

impl AsKey<Self> for f64 {
    fn encode(&self, out: &mut Vec<u8>) {
        let bits = self.to_bits();
        let ordered = if bits >> 63 == 1 { !bits } else { bits | 1 << 63 };
        AsKey::<u64>::encode(&ordered, out);
    }
}

impl Key for f64 {
    fn form() -> String {
        "f64".to_owned()
    }

    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        let ordered = u64::decode(bytes)?;
        Some(Self::from_bits(if ordered >> 63 == 1 { ordered & !(1 << 63) } else { !ordered }))
    }
}

impl AsKey<Self> for bool {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }
}

impl Key for bool {
    fn form() -> String {
        "bool".to_owned()
    }

    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        u8::decode(bytes).map(|byte| byte == 1)
    }
}

impl<const N: usize> AsKey<Self> for [u8; N] {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }
}

impl<const N: usize> Key for [u8; N] {
    fn form() -> String {
        format!("bytes{N}")
    }

    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        let (array, rest) = bytes.split_first_chunk()?;
        *bytes = rest;
        Some(*array)
    }
}

/// Zero is followed by 0xff where it is part of the text, and by another zero at its end.
fn encode_escaped(text: &[u8], out: &mut Vec<u8>) {
    if !text.contains(&0) {
        return out.extend_from_slice(text);
    }
    for (index, part) in text.split(|byte| *byte == 0).enumerate() {
        if index > 0 {
            out.extend_from_slice(&[0, 0xff]);
        }
        out.extend_from_slice(part);
    }
}

fn decode_escaped(bytes: &mut &[u8]) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    loop {
        let zero = bytes.iter().position(|byte| *byte == 0)?;
        let (part, rest) = bytes.split_at_checked(zero)?;
        text.extend_from_slice(part);
        let (mark, rest) = rest.split_at_checked(2)?;
        *bytes = rest;
        match mark {
            [0, 0xff] => text.push(0),
            [0, 0] => return Some(text),
            _ => return None,
        }
    }
}

macro_rules! text_key {
    ($owned:ty, $borrowed:ty, $form:literal, |$self:ident| $bytes:expr, |$decoded:ident| $from:expr) => {
        impl AsKey<$owned> for $borrowed {
            fn encode(&$self, out: &mut Vec<u8>) {
                encode_escaped($bytes, out);
                out.extend_from_slice(&[0, 0]);
            }
        }

        impl AsKey<Self> for $owned {
            fn encode(&self, out: &mut Vec<u8>) {
                let borrowed: &$borrowed = self;
                AsKey::<$owned>::encode(borrowed, out);
            }
        }

        impl Key for $owned {
            fn form() -> String {
                $form.to_owned()
            }

            fn decode(bytes: &mut &[u8]) -> Option<Self> {
                let $decoded = decode_escaped(bytes)?;
                $from
            }
        }

        impl Prefix<$owned> for $borrowed {
            fn encode_prefix(&$self, out: &mut Vec<u8>) {
                encode_escaped($bytes, out);
            }
        }
    };
}

text_key!(String, str, "text", |self| self.as_bytes(), |text| String::from_utf8(text).ok());
text_key!(Bytes, [u8], "bytes", |self| self, |bytes| Some(bytes.into()));

impl<K, Q: AsKey<K>> AsKey<Option<K>> for Option<Q> {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(u8::from(self.is_some()));
        if let Some(key) = self {
            key.encode(out);
        }
    }
}

impl<K: Key> Key for Option<K> {
    fn form() -> String {
        format!("option {}", K::form())
    }

    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        Some(if bool::decode(bytes)? { Some(K::decode(bytes)?) } else { None })
    }
}

impl<K, Q: AsKey<K>> AsKey<Vec<K>> for Vec<Q> {
    fn encode(&self, out: &mut Vec<u8>) {
        for item in self {
            out.push(1);
            item.encode(out);
        }
        out.push(0);
    }
}

impl<K: Key> Key for Vec<K> {
    fn form() -> String {
        format!("[{}]", K::form())
    }

    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        let mut items = Self::new();
        while bool::decode(bytes)? {
            items.push(K::decode(bytes)?);
        }
        Some(items)
    }
}
