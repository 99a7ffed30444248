//! Whether bytes are JSON: a scanner that builds nothing, and looks at eight bytes of text at a time.

/// So many containers are in one another at most, here; deeper text is for the slow way.
const DEPTH: u32 = 64;

/// Whether `text` is one well-formed JSON value in UTF-8, with nothing but space around it. `false` does not say that it is
/// not: what is nested deeper than 64 is not looked at either.
pub(super) fn is_json(text: &[u8]) -> bool {
    let mut scanner = Scanner { text, ascii: true };
    scanner.whole().is_some() && (scanner.ascii || str::from_utf8(text).is_ok())
}

struct Scanner<'a> {
    text: &'a [u8],
    /// Nothing else was met so far.
    ascii: bool,
}

impl Scanner<'_> {
    fn whole(&mut self) -> Option<()> {
        // One bit for each container that is open: whether it is an object.
        let (mut objects, mut depth) = (0_u64, 0_u32);
        let mut at = self.space(0);
        loop {
            // A value.
            match self.text.get(at)? {
                b'"' => at = self.string(at + 1)?,
                open @ (b'{' | b'[') => {
                    let is_object = *open == b'{';
                    at = self.space(at + 1);
                    if self.text.get(at) == Some(if is_object { &b'}' } else { &b']' }) {
                        at += 1;
                    } else {
                        depth += 1;
                        if depth > DEPTH {
                            return None;
                        }
                        objects = objects << 1 | u64::from(is_object);
                        if is_object {
                            at = self.name(at)?;
                        }
                        continue;
                    }
                }
                b't' => at = self.word(at, b"true")?,
                b'f' => at = self.word(at, b"false")?,
                b'n' => at = self.word(at, b"null")?,
                _ => at = self.number(at)?,
            }
            // What may follow it.
            loop {
                at = self.space(at);
                if depth == 0 {
                    return (at == self.text.len()).then_some(());
                }
                let in_object = objects & 1 == 1;
                match self.text.get(at)? {
                    b',' => {
                        at = self.space(at + 1);
                        if in_object {
                            at = self.name(at)?;
                        }
                        break;
                    }
                    b'}' if in_object => {}
                    b']' if !in_object => {}
                    _ => return None,
                }
                at += 1;
                depth -= 1;
                objects >>= 1;
            }
        }
    }

    /// The place after space.
    fn space(&self, mut at: usize) -> usize {
        while let Some(b' ' | b'\n' | b'\t' | b'\r') = self.text.get(at) {
            at += 1;
        }
        at
    }

    /// The place of a member's value.
    fn name(&mut self, at: usize) -> Option<usize> {
        if self.text.get(at) != Some(&b'"') {
            return None;
        }
        let at = self.string(at + 1)?;
        let at = self.space(at);
        (self.text.get(at) == Some(&b':')).then(|| self.space(at + 1))
    }

    fn word(&self, at: usize, word: &[u8]) -> Option<usize> {
        self.text.get(at..)?.starts_with(word).then_some(at + word.len())
    }

    fn number(&self, mut at: usize) -> Option<usize> {
        if self.text.get(at) == Some(&b'-') {
            at += 1;
        }
        at = match self.text.get(at)? {
            b'0' => at + 1,
            _ => self.digits(at)?,
        };
        if self.text.get(at) == Some(&b'.') {
            at = self.digits(at + 1)?;
        }
        if let Some(b'e' | b'E') = self.text.get(at) {
            at += 1;
            if let Some(b'+' | b'-') = self.text.get(at) {
                at += 1;
            }
            at = self.digits(at)?;
        }
        Some(at)
    }

    fn digits(&self, at: usize) -> Option<usize> {
        let rest = self.text.get(at..)?;
        let len = rest.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len());
        (len > 0).then_some(at + len)
    }

    /// The place after a string whose first byte behind the quote is at `at`.
    fn string(&mut self, mut at: usize) -> Option<usize> {
        loop {
            while let Some(word) = self.text.get(at..).and_then(<[u8]>::first_chunk) {
                let word = u64::from_le_bytes(*word);
                let special = special(word);
                if special == 0 {
                    self.ascii &= word & HIGH == 0;
                    at += 8;
                    continue;
                }
                let plain = special.trailing_zeros() / 8;
                // Only what stands before it is text of this string.
                self.ascii &= word & HIGH & ((1 << (plain * 8)) - 1) == 0;
                at += plain as usize;
                break;
            }
            match self.text.get(at)? {
                b'"' => return Some(at + 1),
                b'\\' => {
                    at = match self.text.get(at + 1)? {
                        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => at + 2,
                        b'u' => {
                            let digits = self.text.get(at + 2..at + 6)?;
                            if !digits.iter().all(u8::is_ascii_hexdigit) {
                                return None;
                            }
                            at + 6
                        }
                        _ => return None,
                    };
                }
                0..0x20 => return None,
                byte => {
                    self.ascii &= byte.is_ascii();
                    at += 1;
                }
            }
        }
    }
}

const LOW: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = LOW << 7;

/// The high bit of each byte that is a quote, a backslash or below 0x20. Right up to the first such byte; behind it there may be
/// more.
fn special(word: u64) -> u64 {
    let zero = |word: u64| word.wrapping_sub(LOW) & !word;
    let quote = zero(word ^ (LOW * 0x22));
    let backslash = zero(word ^ (LOW * 0x5c));
    let control = word.wrapping_sub(LOW * 0x20) & !word;
    (quote | backslash | control) & HIGH
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::{Deserialize, de::IgnoredAny};

    use super::*;

    fn serde(text: &[u8]) -> bool {
        let Ok(text) = str::from_utf8(text) else { return false };
        let mut reader = serde_json::Deserializer::from_str(text);
        IgnoredAny::deserialize(&mut reader).and_then(|IgnoredAny| reader.end()).is_ok()
    }

    /// Pieces of JSON, so that most of what they make is nearly JSON.
    fn pieces() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            8 => prop::sample::select(vec![
                "{", "}", "[", "]", ",", ":", "\"", " ", "\n", "\r", "\t", "\\", "\\u12aF", "\\n", "\\/", "-", "0", "1", "9",
                ".", "e", "E", "+", "true", "false", "null", "\"a\"", "\"a\":", "\"\\\"\"", "\"longer than eight\"", "{}",
                "[]", "1.5e-3", "\u{1f}", " ", "\u{7f}", "é", "🦀", "\u{2028}", "\"é\"", "tru", "0.", "01",
            ]).prop_map(|text| text.as_bytes().to_vec()),
            1 => any::<u8>().prop_map(|byte| vec![byte]),
            1 => (0..12_usize).prop_map(|len| vec![b'x'; len]),
        ];
        proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60_000))]

        /// Guards against text that this takes and `serde_json` does not, or the other way round.
        #[test]
        fn takes_what_serde_json_takes(text in pieces()) {
            prop_assert_eq!(is_json(&text), serde(&text), "{}", String::from_utf8_lossy(&text));
        }

        /// The same for text that is JSON but for one byte.
        #[test]
        fn notices_each_byte(inner in "[a-z\\\\\"{}:,0-9é\u{1}-]{0,20}", at in 0..200_usize, byte: u8) {
            let value = serde_json::json!({"key": inner, "list": [1, -2.5e7, true, null, {"x": [inner, {}]}], "é": "\u{1}\u{2028}"});
            let mut text = serde_json::to_vec_pretty(&value).unwrap_or_default();
            prop_assert!(is_json(&text));
            if let Some(place) = text.get_mut(at) {
                *place = byte;
            }
            prop_assert_eq!(is_json(&text), serde(&text), "{}", String::from_utf8_lossy(&text));
        }
    }

    #[test]
    fn depth_is_left_to_others() {
        let nested = |depth: usize| ["[".repeat(depth), "]".repeat(depth)].concat();
        assert!(is_json(nested(64).as_bytes()) && !is_json(nested(66).as_bytes()) && serde(nested(500).as_bytes()));
    }
}
