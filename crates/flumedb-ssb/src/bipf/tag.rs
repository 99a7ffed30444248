//! The tag in front of every value, a varint of its kind and the length of its body; and what can be wrong with one.

use std::fmt;

/// The most arrays and objects inside one another that are taken or written: hostile bytes must not end the program by
/// filling the stack.
pub const MAX_DEPTH: usize = 128;

/// The longest body that is written. The JavaScript library computes lengths in 32 bits, three of which are the kind.
pub const MAX_BODY: usize = (1 << 28) - 1;

/// The most bytes of a tag.
const MAX_TAG: usize = 5;

/// What a value is, by the names of the specification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Text in UTF-8.
    String,
    /// Bytes.
    Buffer,
    /// A whole number of 32 bits with a sign.
    Int,
    /// A number of 64 bits as IEEE 754 has it.
    Double,
    /// Values.
    Array,
    /// Names and values in turn.
    Object,
    /// Null, false, true, undefined, or a number that means something to the application.
    Atom,
    /// Bytes whose first varint says what they are.
    Extended,
}

impl Kind {
    fn of(tag: u64) -> Self {
        match tag & 7 {
            0 => Self::String,
            1 => Self::Buffer,
            2 => Self::Int,
            3 => Self::Double,
            4 => Self::Array,
            5 => Self::Object,
            6 => Self::Atom,
            _ => Self::Extended,
        }
    }

    fn code(self) -> u64 {
        match self {
            Self::String => 0,
            Self::Buffer => 1,
            Self::Int => 2,
            Self::Double => 3,
            Self::Array => 4,
            Self::Object => 5,
            Self::Atom => 6,
            Self::Extended => 7,
        }
    }
}

/// What is wrong with bytes that are no BIPF.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    CutOff,
    LongTag,
    Length(Kind),
    PaddedAtom,
    NotUtf8,
    Name,
    NoValue,
    TooDeep,
    Rest,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CutOff => f.write_str("a value ends behind what it stands in"),
            Self::LongTag => f.write_str("a tag is longer than it has to be"),
            Self::Length(kind) => write!(f, "a value of kind {kind:?} has a length that the kind cannot have"),
            Self::PaddedAtom => f.write_str("an atom has zeros that mean nothing"),
            Self::NotUtf8 => f.write_str("text is not UTF-8"),
            Self::Name => f.write_str("a name in an object is neither text nor an atom"),
            Self::NoValue => f.write_str("a name in an object has no value"),
            Self::TooDeep => write!(f, "more than {MAX_DEPTH} arrays and objects stand inside one another"),
            Self::Rest => f.write_str("bytes follow the value"),
        }
    }
}

/// The kind of the value that starts `bytes`, the length of its tag, and the length of its body.
#[inline]
pub(super) fn read(bytes: &[u8]) -> Result<(Kind, usize, usize), Fault> {
    // Most tags have one byte.
    if let Some(&tag @ ..0x80) = bytes.first() {
        return Ok((Kind::of(tag.into()), 1, usize::from(tag >> 3)));
    }
    let (tag, len) = varint(bytes)?;
    let body = usize::try_from(tag >> 3).map_err(|_| Fault::CutOff)?;
    Ok((Kind::of(tag), len, body))
}

/// A number in its shortest form at the start of `bytes`, and its length.
pub(super) fn varint(bytes: &[u8]) -> Result<(u64, usize), Fault> {
    let mut number = 0;
    for (at, &byte) in bytes.iter().take(MAX_TAG).enumerate() {
        number |= u64::from(byte & 0x7f) << (7 * at);
        if byte < 0x80 {
            return if byte == 0 && at > 0 { Err(Fault::LongTag) } else { Ok((number, at + 1)) };
        }
    }
    Err(if bytes.len() < MAX_TAG { Fault::CutOff } else { Fault::LongTag })
}

/// A tag as its bytes.
pub(super) struct Tag {
    bytes: [u8; 10],
    len: usize,
}

impl Tag {
    pub(super) fn new(kind: Kind, body: usize) -> Self {
        let mut rest = (body as u64) << 3 | kind.code();
        let mut tag = Self { bytes: [0; 10], len: 0 };
        for byte in &mut tag.bytes {
            tag.len += 1;
            *byte = (rest & 0x7f) as u8;
            rest >>= 7;
            if rest == 0 {
                break;
            }
            *byte |= 0x80;
        }
        tag
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}
