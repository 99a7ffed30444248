//! How jitdb turns a query into a file name: [`escape`]. Different queries can have one name, and then share one file.

/// A file name is no longer than this, so that a longer escape is nobody's.
const LIMIT: usize = 255;

/// The text that stands for a value in the name of an index file: characters outside of ASCII and control characters as in
/// a JavaScript string but without the backslashes, some others as `xHH`; quotes, backslashes and spaces at the end are
/// gone. `None` if it is too long for a file name.
///
/// ```
/// use flumedb_ssb::indexes::escape;
/// assert_eq!(escape("@abc/d+e=.ed25519").as_deref(), Some("@abcx2Fd+e=x2Eed25519"));
/// assert_eq!(escape("日本"), escape("u65E5u672C"), "two values, one file");
/// ```
pub fn escape(value: &str) -> Option<String> {
    let mut name = String::new();
    let mut rest = value.chars().peekable();
    while let Some(char) = rest.next() {
        match char {
            '"' | '\\' => {}
            '\n' => name.push('n'),
            '\t' => name.push('t'),
            '\r' => name.push('r'),
            '\u{8}' => name.push('b'),
            '\u{c}' => name.push('f'),
            '\0' if !rest.peek().is_some_and(char::is_ascii_digit) => name.push('0'),
            '.' | '/' | '?' | '<' | '>' | ':' | '*' | '|' | '\0'..='\x1f' | '\x7f'..='\u{ff}' => {
                name.push_str(&format!("x{:02X}", u32::from(char)));
            }
            ' '..='~' => name.push(char),
            _ => name.extend(char.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("u{unit:04X}"))),
        }
        if name.trim_end_matches(' ').len() > LIMIT {
            return None;
        }
    }
    name.truncate(name.trim_end_matches(' ').len());
    Some(name)
}
