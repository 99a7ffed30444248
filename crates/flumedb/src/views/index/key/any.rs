//! [`AnyKey`], a key of any type: what stands in a JSON document, in the order of charwise.

use std::cmp::Ordering;

use bytes::Bytes;

use super::{AsKey, Key, Prefix, encode_escaped};

/// A key whose type is known only when it is there: any JSON value but an object.
///
/// They are ordered as charwise, the encoding of the JavaScript original, means to order them: null, false, true, numbers, texts,
/// bytes, arrays, undefined. Numbers are compared by value, whole ones exactly; `-0` is `0`, and not-a-number stands between the
/// negative numbers and zero. Texts are compared by code points; arrays item by item, and one that begins another comes first.
/// Arrays nested deeper than 128 levels count as undefined there.
///
/// What stands for one in a question: an `AnyKey`, a text, a number, a truth value, `()` for null, a tuple or vector of such for
/// an array. A [`Prefix`] is a text, for all texts that begin so, or a tuple or vector, for all arrays that begin so.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use flumedb::{Flume, codec::{Document, JsonDoc, JsonDocs}, views::{AnyKey, Index}};
/// let db = Flume::memory(JsonDocs)?;
/// let by_channel = Index::new(1, |doc: &JsonDoc| {
///     let channel = AnyKey::try_from(doc.field(&["channel"])?).ok()?;
///     Some(AnyKey::Array(vec![channel, doc.integer(&["time"])?.into()]))
/// });
/// let by_channel = db.view("by-channel", by_channel).await?;
/// db.append_all([r#"{"channel":"tea","time":7}"#, r#"{"channel":null,"time":9}"#, r#"{"channel":"tea","time":3}"#]).await?;
///
/// let reader = by_channel.read().await?;
/// let times: Vec<AnyKey> = reader.prefix(&("tea",)).keys().collect::<Result<_, _>>()?;
/// assert_eq!(times, [("tea", 3), ("tea", 7)].map(AnyKey::from));
/// # Ok::<(), flumedb::Error>(()) }).unwrap();
/// ```
#[derive(Clone, Debug, Default)]
pub enum AnyKey {
    /// Nothing, said so.
    #[default]
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number; equal to the same number as a float.
    Integer(i64),
    /// Any other number.
    Float(f64),
    /// Text.
    Text(String),
    /// Bytes (JSON has none).
    Bytes(Bytes),
    /// Some of them.
    Array(Vec<AnyKey>),
    /// Nothing, not even said so: after everything else. Documents do not have it; it serves as an upper bound.
    Undefined,
}

const END: u8 = 0;
const NULL: u8 = 1;
const FALSE: u8 = 2;
const TRUE: u8 = 3;
const NUMBER: u8 = 4;
const TEXT: u8 = 5;
const BYTES: u8 = 6;
const ARRAY: u8 = 7;
const UNDEFINED: u8 = 8;

/// From here on not every whole number is a float: what the float lacks follows.
const INEXACT: f64 = 9_007_199_254_740_992.0;
/// The place of `-0` in the total order, which is free.
const NAN: u64 = 0x7fff_ffff_ffff_ffff;

/// How deep arrays may be in one another.
pub(super) const DEPTH: usize = 128;

impl AnyKey {
    fn encode_at(&self, depth: usize, out: &mut Vec<u8>) {
        match self {
            Self::Null => out.push(NULL),
            Self::Bool(truth) => encode_bool(*truth, out),
            Self::Integer(number) => encode_integer(i128::from(*number), out),
            Self::Float(number) => encode_float(*number, out),
            Self::Text(text) => encode_text(TEXT, text.as_bytes(), out),
            Self::Bytes(bytes) => encode_text(BYTES, bytes, out),
            Self::Array(_) if depth == DEPTH => out.push(UNDEFINED),
            Self::Array(items) => {
                out.push(ARRAY);
                items.iter().for_each(|item| item.encode_at(depth + 1, out));
                out.push(END);
            }
            Self::Undefined => out.push(UNDEFINED),
        }
    }

    fn decode_at(depth: usize, bytes: &mut &[u8]) -> Option<Self> {
        let (tag, rest) = bytes.split_first()?;
        *bytes = rest;
        Some(match *tag {
            NULL => Self::Null,
            FALSE => Self::Bool(false),
            TRUE => Self::Bool(true),
            NUMBER => decode_number(bytes)?,
            TEXT => Self::Text(String::decode(bytes)?),
            BYTES => Self::Bytes(Bytes::decode(bytes)?),
            ARRAY if depth < DEPTH => {
                let mut items = Vec::new();
                while bytes.first()? != &END {
                    items.push(Self::decode_at(depth + 1, bytes)?);
                }
                *bytes = bytes.get(1..)?;
                Self::Array(items)
            }
            UNDEFINED => Self::Undefined,
            _ => return None,
        })
    }
}

fn encode_bool(truth: bool, out: &mut Vec<u8>) {
    out.push(if truth { TRUE } else { FALSE });
}

fn encode_float(number: f64, out: &mut Vec<u8>) {
    out.push(NUMBER);
    if number.is_nan() {
        return out.extend_from_slice(&NAN.to_be_bytes());
    }
    // Adding zero makes zero of its negative.
    AsKey::<f64>::encode(&(number + 0.0), out);
    if number.abs() >= INEXACT {
        out.extend_from_slice(&MIDDLE.to_be_bytes());
    }
}

/// What says that a whole number is the float before it.
const MIDDLE: u16 = 1 << 15;

/// The nearest float, and where floats lie apart, how far it is away.
fn encode_integer(number: i128, out: &mut Vec<u8>) {
    let nearest = number as f64;
    encode_float(nearest, out);
    if nearest.abs() >= INEXACT {
        // In 64 bits no float is farther than 1024 from the next.
        let away = (number - nearest as i128 + i128::from(MIDDLE)) as u16;
        out.truncate(out.len() - 2);
        out.extend_from_slice(&away.to_be_bytes());
    }
}

fn decode_number(bytes: &mut &[u8]) -> Option<AnyKey> {
    let ordered = u64::decode(bytes)?;
    if ordered == NAN {
        return Some(AnyKey::Float(f64::NAN));
    }
    let float = f64::decode(&mut ordered.to_be_bytes().as_slice())?;
    let away = if float.abs() >= INEXACT { i128::from(u16::decode(bytes)?) - i128::from(MIDDLE) } else { 0 };
    let whole = float.trunc() == float && float.abs() < 1e20;
    let integer = i64::try_from(float as i128 + away).ok().filter(|_| whole);
    Some(integer.map_or(AnyKey::Float(float), AnyKey::Integer))
}

fn encode_text(tag: u8, text: &[u8], out: &mut Vec<u8>) {
    out.push(tag);
    encode_escaped(text, out);
    out.extend_from_slice(&[0, 0]);
}

impl AsKey<Self> for AnyKey {
    fn encode(&self, out: &mut Vec<u8>) {
        self.encode_at(0, out);
    }
}

impl Key for AnyKey {
    fn form() -> String {
        "any".to_owned()
    }

    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        Self::decode_at(0, bytes)
    }
}

impl Ord for AnyKey {
    fn cmp(&self, other: &Self) -> Ordering {
        let bytes = |key: &Self| {
            let mut bytes = Vec::new();
            key.encode(&mut bytes);
            bytes
        };
        match (self, other) {
            (Self::Text(one), Self::Text(two)) => one.cmp(two),
            (Self::Integer(one), Self::Integer(two)) => one.cmp(two),
            // One order, not two that might differ.
            _ => bytes(self).cmp(&bytes(other)),
        }
    }
}

impl PartialOrd for AnyKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for AnyKey {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for AnyKey {}

impl AsKey<AnyKey> for () {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(NULL);
    }
}

impl AsKey<AnyKey> for bool {
    fn encode(&self, out: &mut Vec<u8>) {
        encode_bool(*self, out);
    }
}

impl AsKey<AnyKey> for f64 {
    fn encode(&self, out: &mut Vec<u8>) {
        encode_float(*self, out);
    }
}

macro_rules! integers {
    ($($type:ty),*) => {$(
        impl AsKey<AnyKey> for $type {
            fn encode(&self, out: &mut Vec<u8>) {
                encode_integer(i128::from(*self), out);
            }
        }
    )*};
}

integers!(i32, u32, i64, u64);

impl AsKey<AnyKey> for str {
    fn encode(&self, out: &mut Vec<u8>) {
        encode_text(TEXT, self.as_bytes(), out);
    }
}

impl AsKey<AnyKey> for String {
    fn encode(&self, out: &mut Vec<u8>) {
        encode_text(TEXT, self.as_bytes(), out);
    }
}

impl Prefix<AnyKey> for str {
    fn encode_prefix(&self, out: &mut Vec<u8>) {
        out.push(TEXT);
        encode_escaped(self.as_bytes(), out);
    }
}

impl<Q: AsKey<AnyKey>> Prefix<AnyKey> for [Q] {
    fn encode_prefix(&self, out: &mut Vec<u8>) {
        out.push(ARRAY);
        self.iter().for_each(|item| item.encode(out));
    }
}

impl<Q: AsKey<AnyKey>> Prefix<AnyKey> for Vec<Q> {
    fn encode_prefix(&self, out: &mut Vec<u8>) {
        self.as_slice().encode_prefix(out);
    }
}

impl<Q: AsKey<AnyKey>> AsKey<AnyKey> for Vec<Q> {
    fn encode(&self, out: &mut Vec<u8>) {
        self.as_slice().encode_prefix(out);
        out.push(END);
    }
}

macro_rules! tuples {
    ($($name:ident $place:tt),*) => {
        impl<$($name: AsKey<AnyKey>),*> Prefix<AnyKey> for ($($name,)*) {
            fn encode_prefix(&self, out: &mut Vec<u8>) {
                out.push(ARRAY);
                $(self.$place.encode(out);)*
            }
        }

        impl<$($name: AsKey<AnyKey>),*> AsKey<AnyKey> for ($($name,)*) {
            fn encode(&self, out: &mut Vec<u8>) {
                Prefix::<AnyKey>::encode_prefix(self, out);
                out.push(END);
            }
        }
    };
}

tuples!(A 0);
tuples!(A 0, B 1);
tuples!(A 0, B 1, C 2);
tuples!(A 0, B 1, C 2, D 3);
tuples!(A 0, B 1, C 2, D 3, E 4);
tuples!(A 0, B 1, C 2, D 3, E 4, F 5);
