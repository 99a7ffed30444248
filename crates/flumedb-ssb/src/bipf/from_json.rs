//! JSON text as BIPF, without a tree between them: the text is checked as a whole, then walked through once.

use flumedb::{Error, ErrorKind, Result};
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, Visitor},
};

use super::{
    members::{Member, arrange},
    tag::Kind,
    write::{close, put, put_number, within_depth},
};

/// Appends the BIPF of a JSON text to `out`, byte for byte what `bipf.allocAndEncode(JSON.parse(text))` gives.
///
/// So names that are array indices come first, ascending, then the others as they stand; of members with the same name the
/// last counts, at the place of the first; a number is the nearest double, and an INT if it is whole and fits; half a
/// surrogate pair is U+FFFD.
///
/// ```
/// use flumedb_ssb::bipf;
/// let mut bytes = Vec::new();
/// bipf::from_json(br#"{"b": 1.0, "1": null}"#, &mut bytes)?;
/// assert_eq!(bytes, b"\x55\x081\x06\x08b\x22\x01\0\0\0");
/// # Ok::<(), flumedb::Error>(())
/// ```
///
/// # Errors
/// `Invalid` if it is not one JSON value in UTF-8, or has no representation: numbers beyond a double's range, more than
/// [`MAX_DEPTH`](super::MAX_DEPTH) arrays and objects inside one another, a string of 256 MiB. Nothing is appended then.
pub fn from_json(text: &[u8], out: &mut Vec<u8>) -> Result<()> {
    let text = checked(text)?;
    let start = out.len();
    Walk { text, at: 0, out, open: Vec::new(), members: Vec::new() }.run().inspect_err(|_| out.truncate(start))
}

fn checked(text: &[u8]) -> Result<&str> {
    let text = str::from_utf8(text)
        .map_err(|error| Error::with_source(ErrorKind::Invalid, format!("not JSON: not UTF-8: {error}"), error))?;
    let mut reader = serde_json::Deserializer::from_str(text);
    IgnoredAny::deserialize(&mut reader).and_then(|IgnoredAny| reader.end()).map_err(not_json)?;
    Ok(text)
}

fn not_json(error: serde_json::Error) -> Error {
    Error::with_source(ErrorKind::Invalid, format!("not JSON: {error}"), error)
}

/// A walk through text that is known to be JSON.
struct Walk<'a> {
    text: &'a str,
    at: usize,
    out: &'a mut Vec<u8>,
    /// The containers that have begun.
    open: Vec<Open>,
    /// The members of the objects among them.
    members: Vec<Member>,
}

struct Open {
    kind: Kind,
    /// Where its body starts.
    start: usize,
    /// How many members were known before its own.
    members: usize,
}

impl<'a> Walk<'a> {
    fn run(mut self) -> Result<()> {
        while let Some(&byte) = self.text.as_bytes().get(self.at) {
            self.at += 1;
            match byte {
                b'[' => self.begin(Kind::Array)?,
                b'{' => self.begin(Kind::Object)?,
                b']' | b'}' => self.end()?,
                b'"' => self.string()?,
                b'n' => self.literal("ull", &[])?,
                b'f' => self.literal("alse", &[0])?,
                b't' => self.literal("rue", &[1])?,
                b'-' | b'0'..=b'9' => self.number()?,
                // Space, and what stands between values.
                _ => {}
            }
        }
        Ok(())
    }

    fn begin(&mut self, kind: Kind) -> Result<()> {
        within_depth(self.open.len())?;
        self.open.push(Open { kind, start: self.out.len(), members: self.members.len() });
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        let Some(Open { kind, start, members }) = self.open.pop() else { return Ok(()) };
        if kind == Kind::Object {
            arrange(self.out, start, self.members.get(members..).unwrap_or_default());
            self.members.truncate(members);
        }
        close(self.out, start, kind)
    }

    /// A string, behind its quote.
    fn string(&mut self) -> Result<()> {
        let start = self.out.len();
        let rest = self.rest();
        let len = string_len(rest);
        let inner = rest.get(..len).unwrap_or_default();
        if inner.contains('\\') {
            let quoted = self.text.get(self.at.saturating_sub(1)..self.at + len + 1).unwrap_or_default();
            unescape(quoted, self.out)?;
            close(self.out, start, Kind::String)?;
        } else {
            put(self.out, Kind::String, inner.as_bytes())?;
        }
        self.at += len + 1;
        if self.rest().trim_ascii_start().starts_with(':') {
            self.members.push(Member { name: start, value: self.out.len() });
        }
        Ok(())
    }

    fn literal(&mut self, rest: &str, body: &[u8]) -> Result<()> {
        self.at += rest.len();
        put(self.out, Kind::Atom, body)
    }

    fn number(&mut self) -> Result<()> {
        let start = self.at.saturating_sub(1);
        let digits = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-');
        self.at += self.rest().bytes().take_while(|&byte| digits(byte)).count();
        // What JSON allows as a number, Rust does.
        let number = self.text.get(start..self.at).unwrap_or_default().parse().unwrap_or(f64::NAN);
        put_number(self.out, number)
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }
}

/// The length of a string before its closing quote.
fn string_len(text: &str) -> usize {
    let mut at = 0;
    while let Some(near) = text.as_bytes().get(at..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
        at += near;
        if text.as_bytes().get(at) == Some(&b'"') {
            return at;
        }
        at += 2;
    }
    text.len()
}

/// Appends the text that a JSON string with escapes stands for.
fn unescape(quoted: &str, out: &mut Vec<u8>) -> Result<()> {
    struct Unescape<'a>(&'a mut Vec<u8>);

    impl Visitor<'_> for Unescape<'_> {
        type Value = ();

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a string")
        }

        /// Half a surrogate pair comes as the three bytes that UTF-8 would give it, were it allowed.
        fn visit_bytes<E>(self, bytes: &[u8]) -> Result<(), E> {
            let start = self.0.len();
            self.0.extend_from_slice(bytes);
            for half in surrogates(bytes) {
                if let Some(place) = self.0.get_mut(start + half..start + half + 3) {
                    place.copy_from_slice("\u{fffd}".as_bytes());
                }
            }
            Ok(())
        }
    }

    serde_json::Deserializer::from_str(quoted).deserialize_bytes(Unescape(out)).map_err(not_json)
}

fn surrogates(bytes: &[u8]) -> impl Iterator<Item = usize> + '_ {
    memchr::memchr_iter(0xed, bytes).filter(|at| bytes.get(at + 1).is_some_and(|&next| next >= 0xa0))
}
