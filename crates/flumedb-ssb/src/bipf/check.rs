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
    let outcome = value(bytes, 0, bytes.len(), 0)
        .and_then(|(_, end)| if end == bytes.len() { Ok(()) } else { Err((end, Fault::Rest)) });
    outcome.map_err(|(at, fault)| Error::new(ErrorKind::Invalid, format!("not BIPF: {fault} (byte {at})")))
}

/// Checks the value that starts at `at` and must end by `end`. Gives what it is and its end.
fn value(bytes: &[u8], at: usize, end: usize, depth: usize) -> Result<(Kind, usize), (usize, Fault)> {
    let (found, _) = Value::split(bytes.get(at..end).unwrap_or_default()).map_err(|fault| (at, fault))?;
    let after = at + found.bytes().len();
    let mut next = after - found.body().len();
    match found.kind() {
        Kind::String if str::from_utf8(found.body()).is_err() => return Err((at, Fault::NotUtf8)),
        Kind::Extended => drop(tag::varint(found.body()).map_err(|fault| (next, fault))?),
        Kind::Array | Kind::Object if depth == MAX_DEPTH => return Err((at, Fault::TooDeep)),
        Kind::Array => {
            while next < after {
                (_, next) = value(bytes, next, after, depth + 1)?;
            }
        }
        Kind::Object => {
            while next < after {
                let (name, name_end) = value(bytes, next, after, depth + 1)?;
                if !matches!(name, Kind::String | Kind::Atom) {
                    return Err((next, Fault::Name));
                }
                if name_end == after {
                    return Err((next, Fault::NoValue));
                }
                (_, next) = value(bytes, name_end, after, depth + 1)?;
            }
        }
        _ => {}
    }
    Ok((found.kind(), after))
}
