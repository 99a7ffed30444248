//! BIPF as JSON text, without a tree between them.

use std::io::Write;

use flumedb::Result;

use super::{
    check::check,
    key::name_text,
    value::{Content, Value},
};

/// Appends the JSON text of a value to `out`: what `JSON.stringify` makes of what the JavaScript library decodes, with the
/// members in the order in which they are kept.
///
/// So numbers are spelled as JavaScript spells them; a member that is undefined is left out, and undefined in an array, or
/// alone, is `null`, as are numbers that are not finite; bytes are `{"type":"Buffer","data":[1,2]}`. What JavaScript cannot
/// decode follows that example: an atom is `{"type":"Atom","data":3}`, an extended value
/// `{"type":"Extended","data":[…]}` with its bytes from the varint on.
///
/// ```
/// use flumedb_ssb::bipf;
/// let mut text = Vec::new();
/// bipf::to_json(b"\x5d\x08a\x43\0\0\0\0\0\0\xe0\x41", &mut text)?;
/// assert_eq!(text, br#"{"a":2147483648}"#);
/// # Ok::<(), flumedb::Error>(())
/// ```
///
/// # Errors
/// `Invalid` if `bytes` are not exactly one whole value; nothing is appended then.
pub fn to_json(bytes: &[u8], out: &mut Vec<u8>) -> Result<()> {
    check(bytes)?;
    write_json(Value::new(bytes)?, out);
    Ok(())
}

/// Appends the JSON text of a value that has been checked: so it has an end, and is not too deep.
pub(super) fn write_json(value: Value<'_>, out: &mut Vec<u8>) {
    match value.content() {
        None | Some(Content::Null | Content::Undefined) => out.extend_from_slice(b"null"),
        Some(Content::Bool(truth)) => put(out, truth),
        Some(Content::Int(number)) => put(out, number),
        Some(Content::Double(number)) if !number.is_finite() => out.extend_from_slice(b"null"),
        Some(Content::Double(number)) => out.extend_from_slice(ryu_js::Buffer::new().format_finite(number).as_bytes()),
        Some(Content::Text(text)) => quote(text, out),
        Some(Content::Bytes(bytes)) => {
            out.extend_from_slice(br#"{"type":"Buffer","data":"#);
            list(bytes, b"[]", out, |byte, out| put(out, byte));
            out.push(b'}');
        }
        Some(Content::Extended(bytes)) => {
            out.extend_from_slice(br#"{"type":"Extended","data":"#);
            list(bytes, b"[]", out, |byte, out| put(out, byte));
            out.push(b'}');
        }
        Some(Content::Atom(number)) => put(out, format_args!(r#"{{"type":"Atom","data":{number}}}"#)),
        Some(Content::Array(items)) => list(items, b"[]", out, write_json),
        Some(Content::Object(members)) => {
            let defined = members.filter(|(_, value)| !value.is_undefined());
            list(defined, b"{}", out, |(name, value), out| {
                quote(&name_text(name), out);
                out.push(b':');
                write_json(value, out);
            });
        }
    }
}

fn list<T>(
    parts: impl IntoIterator<Item = T>,
    [open, close]: &[u8; 2],
    out: &mut Vec<u8>,
    mut write: impl FnMut(T, &mut Vec<u8>),
) {
    out.push(*open);
    for (index, part) in parts.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write(part, out);
    }
    out.push(*close);
}

// Writing to a vector does not fail.

fn put(out: &mut Vec<u8>, what: impl std::fmt::Display) {
    let _ = write!(out, "{what}");
}

fn quote(text: &str, out: &mut Vec<u8>) {
    let _ = serde_json::to_writer(out, text);
}
