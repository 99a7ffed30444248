//! Finding values in JSON text that is known to be well formed, without parsing what is passed over. On any other bytes
//! the answers mean nothing, but nothing here panics or fails to end.

use std::{borrow::Cow, ops::Range};

/// Where the value at `path` stands, in text whose value starts at or after byte 0.
pub(super) fn find(text: &[u8], path: &[&str]) -> Option<Range<usize>> {
    find_from(text, after_space(text, 0), path)
}

fn find_from(text: &[u8], mut at: usize, path: &[&str]) -> Option<Range<usize>> {
    for name in path {
        at = match text.get(at)? {
            b'{' => member(text, at, name)?,
            b'[' => items(text, at).nth(position(name)?)?.start,
            _ => return None,
        };
    }
    Some(at..after_value(text, at))
}

/// So many paths are followed at a time.
pub(super) const AT_ONCE: usize = 8;
/// So deep they are followed together: each level takes stack.
const DEEP: usize = 16;

/// Where the values at the first [`AT_ONCE`] of some paths stand, found together: what two of them lie in is entered once.
pub(super) fn find_all(text: &[u8], paths: &[&[&str]]) -> [Option<Range<usize>>; AT_ONCE] {
    let mut search = Search { text, paths, found: Default::default() };
    search.at(after_space(text, 0), 0, paths.iter().take(AT_ONCE).fold(0, |all, _| all << 1 | 1));
    search.found
}

struct Search<'a> {
    text: &'a [u8],
    paths: &'a [&'a [&'a str]],
    found: [Option<Range<usize>>; AT_ONCE],
}

impl Search<'_> {
    /// Follows paths, a bit for each, whose first `depth` names lead to the value at `at`. Gives back where that ends, if it met
    /// the end.
    fn at(&mut self, at: usize, depth: usize, mut wanted: u32) -> Option<usize> {
        let mut end = None;
        for (place, path) in self.paths.iter().enumerate().take(AT_ONCE) {
            if wanted & 1 << place != 0 && path.len() == depth {
                let end = *end.get_or_insert_with(|| after_value(self.text, at));
                if let Some(found) = self.found.get_mut(place) {
                    *found = Some(at..end);
                }
                wanted &= !(1 << place);
            }
        }
        match self.text.get(at) {
            Some(b'{') if wanted != 0 && depth < DEEP => self.members(at, depth, wanted),
            _ => self.others(at, depth, wanted),
        }
        end
    }

    fn members(&mut self, open: usize, depth: usize, mut wanted: u32) {
        let mut at = after_space(self.text, open + 1);
        while wanted != 0 && self.text.get(at) == Some(&b'"') {
            let end = after_string(self.text, at);
            let name = self.text.get(at..end).unwrap_or_default();
            let value = after_separator(self.text, end, b':');
            let hits = self.called(name, depth, wanted);
            // Of members with one name the first counts.
            wanted &= !hits;
            let end = if hits == 0 { None } else { self.at(value, depth + 1, hits) };
            if wanted != 0 {
                at = after_separator(self.text, end.unwrap_or_else(|| after_value(self.text, value)), b',');
            }
        }
    }

    /// Which of the paths go on with the name that a string says; `quoted` is with its quotes.
    fn called(&self, quoted: &[u8], depth: usize, wanted: u32) -> u32 {
        let plain = quoted.get(1..quoted.len().saturating_sub(1)).filter(|plain| !plain.contains(&b'\\'));
        let (mut hits, mut rest) = (0, wanted);
        while rest != 0 {
            let place = rest.trailing_zeros();
            rest &= rest - 1;
            let name = self.paths.get(place as usize).and_then(|path| path.get(depth));
            let hit = name.is_some_and(|name| plain.map_or_else(|| is_name(quoted, name), |it| it == name.as_bytes()));
            hits |= u32::from(hit) << place;
        }
        hits
    }

    /// Follows each of the paths by itself, from a value that is no object.
    fn others(&mut self, at: usize, depth: usize, wanted: u32) {
        for (place, path) in self.paths.iter().enumerate().take(AT_ONCE) {
            if wanted & 1 << place != 0
                && let Some(found) = self.found.get_mut(place)
            {
                *found = find_from(self.text, at, path.get(depth..).unwrap_or_default());
            }
        }
    }
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
        let value = after_separator(text, end, b':');
        if is_name(text.get(at..end)?, name) {
            return Some(value);
        }
        at = after_separator(text, after_value(text, value), b',');
    }
    None
}

/// Whether a string, with its quotes, says `name`. One with escapes is longer than what it says.
fn is_name(quoted: &[u8], name: &str) -> bool {
    match quoted.len().checked_sub(name.len() + 2) {
        Some(0) => quoted.get(1..=name.len()) == Some(name.as_bytes()) && !name.contains('\\'),
        Some(_) => quoted.contains(&b'\\') && unquote(quoted).is_some_and(|text| text == name),
        None => false,
    }
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
