//! Entries as JSON text: told from other bytes, written for BIPF and the messages of go-ssb, and brought on one line without touching a value.

use std::borrow::Cow;

use flumedb_ssb::{Payloads, bipf, message::multi::Multi};
use serde_json::value::RawValue;

/// The JSON text that an entry is, or that its BIPF, or what go-ssb keeps, stands for. What the other entries are settles the few cases that
/// are both.
pub(crate) fn value(payload: &[u8], payloads: Payloads) -> Option<Cow<'_, str>> {
    let json = || text(payload).map(Cow::Borrowed);
    match payloads {
        Payloads::Bipf => from_bipf(payload).map(Cow::Owned).or_else(json),
        Payloads::Multi => from_multi(payload).map(Cow::Owned).or_else(json),
        Payloads::Raw => json(),
        _ => json().or_else(|| from_bipf(payload).filter(|text| text.starts_with(['{', '['])).map(Cow::Owned)),
    }
}

fn from_bipf(payload: &[u8]) -> Option<String> {
    let mut text = Vec::new();
    bipf::to_json(payload, &mut text).ok()?;
    String::from_utf8(text).ok()
}

fn from_multi(payload: &[u8]) -> Option<String> {
    Some(Multi::decode(payload).ok()?.to_document().ok()?.to_string())
}

/// The JSON text that these bytes are, if they are, without what surrounds it.
pub(crate) fn text(bytes: &[u8]) -> Option<&str> {
    serde_json::from_slice::<&RawValue>(bytes).ok().map(RawValue::get)
}

/// Adds JSON text to a line: as it is, or without its white space where that has line breaks in it. Numbers and strings
/// keep their spelling.
pub(crate) fn push_line(text: &str, line: &mut String) {
    if !text.contains(['\n', '\r']) {
        line.push_str(text);
        return;
    }
    let (mut quoted, mut escaped) = (false, false);
    for c in text.chars() {
        if quoted {
            quoted = escaped || c != '"';
            escaped = !escaped && c == '\\';
        } else if c.is_ascii_whitespace() {
            continue;
        } else {
            quoted = c == '"';
        }
        line.push(c);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_keep_their_spelling() {
        let pretty =
            "{\n  \"a b\": [1.0e2,\r\n 100000000000000000000001, \"x \\\" \\\\\", \"\\u00e9 \"],\n\t\"n\": -0\n}";
        let mut line = String::new();
        push_line(text(pretty.as_bytes()).unwrap(), &mut line);
        assert_eq!(line, r#"{"a b":[1.0e2,100000000000000000000001,"x \" \\","\u00e9 "],"n":-0}"#);
        let mut line = String::new();
        push_line("{ \"as\":  \"it is\" }", &mut line);
        assert_eq!(line, "{ \"as\":  \"it is\" }");
    }

    #[test]
    fn only_json_is_json() {
        assert_eq!(text(b" \"x\" "), Some("\"x\""));
        for no in [&b""[..], b" ", b"{", b"{} {}", b"\"\xff\"", b"\"\n\"", b"01", b"NaN", b"\xef\xbb\xbf{}"] {
            assert_eq!(text(no), None, "{no:?}");
        }
        let deep = "[".repeat(100_000) + &"]".repeat(100_000);
        assert_eq!(text(deep.as_bytes()), Some(&*deep));
    }
}
