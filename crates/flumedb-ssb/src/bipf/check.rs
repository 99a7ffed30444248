//! Whether bytes are BIPF: everything that the format says of a value, looked at once.

use flumedb::{Error, ErrorKind, Result};

use super::{
    tag::{self, Fault, Kind, MAX_DEPTH},
    value::Value,
};

/// Checks that `bytes` are exactly one whole value: tags in their shortest form, lengths that fit their kinds, values inside
/// of what they stand in, text in UTF-8, names that are text or atoms and have values, no more than [`MAX_DEPTH`] arrays and
/// objects inside one another, nothing behind the value.
///
/// ```
/// use flumedb_ssb::bipf;
/// assert!(bipf::check(b"\x10hi").is_ok());
/// let error = bipf::check(b"\x14\x10hi").unwrap_err();
/// assert_eq!(error.to_string(), "not BIPF: a value ends behind what it stands in (byte 1)");
/// ```
///
/// # Errors
/// `Invalid` with what is wrong and where.
pub fn check(bytes: &[u8]) -> Result<()> {
    check_inside(bytes, 0)
}

/// The same for a value that is to stand inside of so many arrays and objects.
pub(super) fn check_inside(bytes: &[u8], depth: usize) -> Result<()> {
    let fault = match value(bytes, 0, bytes.len(), depth) {
        Ok(end) if end == bytes.len() => return Ok(()),
        Ok(end) => (end, Fault::Rest),
        Err(fault) => fault,
    };
    Err(Error::new(ErrorKind::Invalid, format!("not BIPF: {} (byte {})", fault.1, fault.0)))
}

/// Checks the value that starts at `at` and must end by `end`. Gives its end.
fn value(bytes: &[u8], at: usize, end: usize, depth: usize) -> Result<usize, (usize, Fault)> {
    let (found, after) = split(bytes, at, end)?;
    let mut next = after - found.body().len();
    if depth + levels(found) > MAX_DEPTH {
        return Err((at, Fault::TooDeep));
    }
    match found.kind() {
        Kind::String => utf8(found, at)?,
        Kind::Extended => drop(tag::varint(found.body()).map_err(|fault| (next, fault))?),
        Kind::Array => {
            while next < after {
                next = value(bytes, next, after, depth + 1)?;
            }
        }
        Kind::Object => {
            while next < after {
                let start = next;
                let (name, name_end) = split(bytes, start, after)?;
                match name.kind() {
                    Kind::String => utf8(name, start)?,
                    Kind::Atom => {}
                    _ => return Err((start, Fault::Name)),
                }
                if name_end == after {
                    return Err((start, Fault::NoValue));
                }
                next = value(bytes, name_end, after, depth + 1)?;
            }
        }
        _ => {}
    }
    Ok(after)
}

fn split(bytes: &[u8], at: usize, end: usize) -> Result<(Value<'_>, usize), (usize, Fault)> {
    let (found, _) = Value::split(bytes.get(at..end).unwrap_or_default()).map_err(|fault| (at, fault))?;
    Ok((found, at + found.bytes().len()))
}

fn utf8(text: Value<'_>, at: usize) -> Result<(), (usize, Fault)> {
    str::from_utf8(text.body()).map(drop).map_err(|_| (at, Fault::NotUtf8))
}

/// How many arrays and objects it is inside one another, not counting what stands in it: as JSON, bytes are an array in an
/// object, so that whatever is taken can be printed and read again.
fn levels(value: Value<'_>) -> usize {
    match value.kind() {
        Kind::Array | Kind::Object => 1,
        Kind::Buffer | Kind::Extended => 2,
        Kind::Atom => usize::from(value.atom() > Some(2)),
        _ => 0,
    }
}
