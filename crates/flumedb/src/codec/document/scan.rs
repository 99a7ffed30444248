//! Finding values in JSON text that is known to be well formed, without parsing what is passed over. On any other bytes
//! the answers mean nothing, but nothing here panics or fails to end.

use std::{borrow::Cow, ops::Range};

/// Where the value at `path` stands, in text whose value starts at or after byte 0.
pub(super) fn find(text: &[u8], path: &[&str]) -> Option<Range<usize>> {
    let mut at = after_space(text, 0);
    for name in path {
        at = match text.get(at)? {
            b'{' => member(text, at, name)?,
            b'[' => items(text, at).nth(position(name)?)?.start,
            _ => return None,
        };
    }
    Some(at..after_value(text, at))
}

/// Where each item of the array at `open` stands.
pub(super) fn items(text: &[u8], open: usize) -> impl Iterator<Item = Range<usize>> + '_ {
    let mut at = after_space(text, open + 1);
    std::iter::from_fn(move || {
        let end = after_value(text, at);
        if end == at {
            return None;
        }
        let item = at..end;
        at = after_separator(text, end, b',');
        Some(item)
    })
}

/// Where each name, with its quotes, and each value of the object at `open` stand.
pub(super) fn members(text: &[u8], open: usize) -> impl Iterator<Item = (Range<usize>, Range<usize>)> + '_ {
    let mut at = after_space(text, open + 1);
    std::iter::from_fn(move || {
        if text.get(at) != Some(&b'"') {
            return None;
        }
        let name = at..after_string(text, at);
        let value = after_separator(text, name.end, b':');
        let value = value..after_value(text, value);
        at = after_separator(text, value.end, b',');
        Some((name, value))
    })
}

/// A name in a path as a position in an array.
pub(super) fn position(name: &str) -> Option<usize> {
    let canonical = name == "0" || name.starts_with(|first: char| first.is_ascii_digit() && first != '0');
    if canonical { name.parse().ok() } else { None }
}

/// The text that a string stands for; `quoted` is with its quotes.
pub(super) fn unquote(quoted: &[u8]) -> Option<Cow<'_, str>> {
    let inner = str::from_utf8(quoted.get(1..quoted.len().checked_sub(1)?)?).ok()?;
    Some(if inner.contains('\\') { unescape(inner).into() } else { inner.into() })
}

/// Where the value of the first member called `name` starts, in the object at `open`.
fn member(text: &[u8], open: usize, name: &str) -> Option<usize> {
    let mut at = after_space(text, open + 1);
    while text.get(at) == Some(&b'"') {
        let end = after_string(text, at);
        let quoted = text.get(at..end)?;
        let value = after_separator(text, end, b':');
        let hit = match quoted.get(1..quoted.len().checked_sub(1)?)? {
            plain if plain == name.as_bytes() => !plain.contains(&b'\\'),
            other => other.contains(&b'\\') && unquote(quoted)? == name,
        };
        if hit {
            return Some(value);
        }
        at = after_separator(text, after_value(text, value), b',');
    }
    None
}

fn after_space(text: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\n' | b'\t' | b'\r') = text.get(at) {
        at += 1;
    }
    at
}

fn after_separator(text: &[u8], at: usize, separator: u8) -> usize {
    let at = after_space(text, at);
    if text.get(at) == Some(&separator) { after_space(text, at + 1) } else { at }
}

/// The end of the string whose quote is at `at`.
fn after_string(text: &[u8], mut at: usize) -> usize {
    at += 1;
    loop {
        // Names and most values are short: a few words at a time, before the search is called that is best for long text.
        let mut near = None;
        for _ in 0..6 {
            let Some(word) = text.get(at..).and_then(<[u8]>::first_chunk) else { break };
            match quote_or_backslash(u64::from_le_bytes(*word)) {
                0 => at += 8,
                found => {
                    near = Some((found.trailing_zeros() / 8) as usize);
                    break;
                }
            }
        }
        let near = near.or_else(|| text.get(at..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)));
        match near {
            Some(near) if text.get(at + near) == Some(&b'"') => return at + near + 1,
            Some(near) => at += near + 2,
            None => return text.len(),
        }
    }
}

/// The high bit of each byte that is a quote or a backslash. Right up to the first such byte; behind it there may be more.
fn quote_or_backslash(word: u64) -> u64 {
    const LOW: u64 = 0x0101_0101_0101_0101;
    let zero = |word: u64| word.wrapping_sub(LOW) & !word;
    (zero(word ^ (LOW * 0x22)) | zero(word ^ (LOW * 0x5c))) & (LOW << 7)
}

/// The end of the value that starts at `at`; `at` itself where none does.
fn after_value(text: &[u8], mut at: usize) -> usize {
    let mut depth = 0_usize;
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => at = after_string(text, at),
            b'{' | b'[' => {
                depth += 1;
                at += 1;
                continue;
            }
            b'}' | b']' => {
                if depth == 0 {
                    return at;
                }
                depth -= 1;
                at += 1;
            }
            b',' | b':' | b' ' | b'\n' | b'\t' | b'\r' => {
                if depth == 0 {
                    return at;
                }
                at += 1;
                continue;
            }
            _ => {
                let ends = |byte: &u8| matches!(byte, b',' | b':' | b'}' | b']' | b' ' | b'\n' | b'\t' | b'\r' | b'"');
                let rest = text.get(at..).unwrap_or_default();
                at += rest.iter().position(ends).unwrap_or(rest.len());
            }
        }
        if depth == 0 {
            return at;
        }
    }
    at
}

/// Half of a surrogate pair that stands alone has no meaning in Unicode; it reads as U+FFFD.
fn unescape(inner: &str) -> String {
    let mut out = String::with_capacity(inner.len());
    let mut rest = inner;
    while let Some((plain, escape)) = rest.split_once('\\') {
        out.push_str(plain);
        let mut after = escape.chars();
        match after.next() {
            Some('u') => {
                let (character, len) = unicode(escape);
                out.push(character);
                rest = escape.get(len..).unwrap_or_default();
                continue;
            }
            Some('b') => out.push('\u{8}'),
            Some('f') => out.push('\u{c}'),
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('t') => out.push('\t'),
            Some(other) => out.push(other),
            None => {}
        }
        rest = after.as_str();
    }
    out.push_str(rest);
    out
}

/// The character of `uXXXX`, or of `uXXXX\uXXXX` where that is a pair, and the length of what was read.
fn unicode(escape: &str) -> (char, usize) {
    let unit = |at: usize| escape.get(at..at + 4).and_then(|hex| u16::from_str_radix(hex, 16).ok());
    let Some(first) = unit(1) else { return (char::REPLACEMENT_CHARACTER, 1) };
    if let Some(one) = char::from_u32(u32::from(first)) {
        return (one, 5);
    }
    if escape.get(5..7) == Some("\\u")
        && let Some(second) = unit(7)
        && let Some(Ok(pair)) = char::decode_utf16([first, second]).next()
    {
        return (pair, 11);
    }
    (char::REPLACEMENT_CHARACTER, 5)
}
