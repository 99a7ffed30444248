//! Writing values behind one another. What is refused is refused before the tag is written; the caller takes back the rest.

use flumedb::{Error, ErrorKind, Result};

use super::{
    number,
    tag::{Kind, MAX_BODY, MAX_DEPTH, Tag},
};

/// Writes a value with this body.
pub(super) fn put(out: &mut Vec<u8>, kind: Kind, body: &[u8]) -> Result<()> {
    within(body.len())?;
    out.extend_from_slice(Tag::new(kind, body.len()).bytes());
    out.extend_from_slice(body);
    Ok(())
}

/// Makes what has been written since `start` the body of a value.
pub(super) fn close(out: &mut Vec<u8>, start: usize, kind: Kind) -> Result<()> {
    let body = out.len().saturating_sub(start);
    within(body)?;
    let tag = Tag::new(kind, body);
    out.extend_from_slice(tag.bytes());
    if let Some(value) = out.get_mut(start..) {
        value.rotate_right(tag.bytes().len());
    }
    Ok(())
}

/// Writes a number as JavaScript would.
pub(super) fn put_number(out: &mut Vec<u8>, number: f64) -> Result<()> {
    match number::int(number) {
        Some(whole) => put(out, Kind::Int, &whole.to_le_bytes()),
        None if number.is_finite() => put(out, Kind::Double, &number.to_le_bytes()),
        None => Err(refusal("a number that is not finite")),
    }
}

/// Why something cannot be written.
pub(super) fn refusal(what: &str) -> Error {
    Error::new(ErrorKind::Invalid, format!("{what} cannot be written as BIPF"))
}

/// Refuses a container inside of `depth` others if nobody could read it.
pub(super) fn within_depth(depth: usize) -> Result<()> {
    if depth < MAX_DEPTH {
        return Ok(());
    }
    Err(refusal(&format!("more than {MAX_DEPTH} arrays and objects inside one another")))
}

fn within(body: usize) -> Result<()> {
    if body <= MAX_BODY { Ok(()) } else { Err(refusal(&format!("a value of {body} bytes"))) }
}
