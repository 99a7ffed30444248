//! Prints JSON as JavaScript does. The text is read once, from its start to its end, and nothing recurses; a container is
//! put in order when it ends.

use std::{collections::BTreeMap, ops::Range};

use flumedb::{Error, ErrorKind, Result};

/// The longest text that is printed.
const MAX_TEXT: usize = 256 << 10;
/// The longest text that is read: escapes and white space are longer than what they print.
const MAX_INPUT: usize = 6 * MAX_TEXT;
/// Containers inside one another. A message of 8 KiB has no room for half as many.
const MAX_DEPTH: usize = 128;

const SIGNATURE: &str = "\"signature\"";

/// Refuses text that is longer than any message.
pub(super) fn check_len(json: &str) -> Result<()> {
    if json.len() > MAX_INPUT { Err(too_large()) } else { Ok(()) }
}

/// The text of well-formed JSON as JavaScript prints it, and which stretch of it goes when the member `signature` of the
/// outermost object does.
pub(super) fn print(json: &str) -> Result<(String, Range<usize>)> {
    check_len(json)?;
    let mut printer = Printer { json, at: 0, out: String::new(), open: Vec::new(), signature: 0..0 };
    while let Some(byte) = json.as_bytes().get(printer.at) {
        match byte {
            b'{' | b'[' => printer.open(*byte)?,
            b'}' | b']' => printer.close()?,
            b'"' => printer.string()?,
            // In well-formed text they say nothing that the values around them do not.
            b' ' | b'\t' | b'\n' | b'\r' | b',' | b':' => printer.at += 1,
            _ => printer.scalar()?,
        }
    }
    Ok((printer.out, printer.signature))
}

struct Printer<'a> {
    json: &'a str,
    at: usize,
    out: String,
    open: Vec<Container>,
    signature: Range<usize>,
}

/// A container that has not ended.
struct Container {
    /// Where what is in it begins.
    start: usize,
    /// Its members, if it is an object.
    members: Option<Vec<Member>>,
    /// What comes next is the value of the newest member.
    named: bool,
}

/// Where a member was printed.
#[derive(Clone)]
struct Member {
    name: Range<usize>,
    end: usize,
}

impl Printer<'_> {
    fn open(&mut self, bracket: u8) -> Result<()> {
        if self.open.len() == MAX_DEPTH {
            let message = format!("JSON with more than {MAX_DEPTH} levels is no message");
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        self.begin()?;
        self.at += 1;
        let object = bracket == b'{';
        self.push(if object { "{" } else { "[" })?;
        let members = object.then(Vec::new);
        self.open.push(Container { start: self.out.len(), members, named: false });
        Ok(())
    }

    fn close(&mut self) -> Result<()> {
        self.at += 1;
        let Some(Container { start, members, .. }) = self.open.pop() else { return Ok(()) };
        let object = members.is_some();
        if let Some(members) = members {
            let members = self.arrange(start, members);
            if self.open.is_empty() {
                self.signature = signature(&self.out, &members);
            }
        }
        if self.out.len() > start {
            self.line()?;
        }
        self.push(if object { "}" } else { "]" })?;
        self.end();
        Ok(())
    }

    /// What comes before a value: in an array the comma and the line, in an object they came before its name.
    fn begin(&mut self) -> Result<()> {
        match self.open.last() {
            Some(Container { start, named: false, .. }) => {
                let first = self.out.len() == *start;
                self.separate(first)
            }
            _ => Ok(()),
        }
    }

    /// Notes that a value has been printed.
    fn end(&mut self) {
        let end = self.out.len();
        if let Some(Container { members: Some(members), named, .. }) = self.open.last_mut() {
            *named = false;
            if let Some(member) = members.last_mut() {
                member.end = end;
            }
        }
    }

    fn scalar(&mut self) -> Result<()> {
        self.begin()?;
        let rest = self.json.get(self.at..).unwrap_or_default();
        let ends = |c: char| matches!(c, ',' | '}' | ']' | ' ' | '\t' | '\n' | '\r');
        let text = rest.find(ends).and_then(|end| rest.get(..end)).unwrap_or(rest);
        self.at += text.len().max(1);
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() => self.push(ryu_js::Buffer::new().format_finite(number))?,
            Ok(_) => self.push("null")?,
            Err(_) => self.push(text)?,
        }
        self.end();
        Ok(())
    }

    /// A string: a value, or the name of a member.
    fn string(&mut self) -> Result<()> {
        self.begin()?;
        let start = self.out.len();
        self.quoted()?;
        let name = start..self.out.len();
        match self.open.last_mut() {
            Some(Container { members: Some(members), named: named @ false, .. }) => {
                *named = true;
                members.push(Member { end: name.end, name });
                self.push(": ")
            }
            _ => {
                self.end();
                Ok(())
            }
        }
    }

    fn quoted(&mut self) -> Result<()> {
        self.at += 1;
        self.push("\"")?;
        loop {
            let rest = self.json.get(self.at..).unwrap_or_default();
            let end = rest.find(['"', '\\']).unwrap_or(rest.len());
            let (plain, special) = rest.split_at(end);
            self.push(plain)?;
            self.at += plain.len();
            if !special.starts_with('\\') {
                self.at += 1;
                return self.push("\"");
            }
            self.escape(special)?;
        }
    }

    /// What begins with a backslash.
    fn escape(&mut self, text: &str) -> Result<()> {
        let unit = |at: usize| {
            let hex = text.get(at..).filter(|rest| rest.starts_with("\\u")).and_then(|rest| rest.get(2..6));
            hex.and_then(|hex| u16::from_str_radix(hex, 16).ok())
        };
        let Some(first) = unit(0) else {
            // A backslash and the one character that it is about; a solidus needs none.
            let short = text.get(..2).unwrap_or(text);
            self.at += short.len().max(1);
            return self.push(if short == "\\/" { "/" } else { short });
        };
        self.at += 6;
        let units = [Some(first), unit(6).filter(|_| (0xd800..0xdc00).contains(&first))];
        match char::decode_utf16(units.into_iter().flatten()).next() {
            Some(Ok(character)) => {
                self.at += if character.len_utf16() == 2 { 6 } else { 0 };
                match character {
                    '"' => self.push("\\\""),
                    '\\' => self.push("\\\\"),
                    '\u{8}' => self.push("\\b"),
                    '\u{c}' => self.push("\\f"),
                    '\n' => self.push("\\n"),
                    '\r' => self.push("\\r"),
                    '\t' => self.push("\\t"),
                    '\0'..' ' => self.push(&format!("\\u{first:04x}")),
                    _ => self.push(character.encode_utf8(&mut [0; 4])),
                }
            }
            _ => self.push(&format!("\\u{first:04x}")),
        }
    }

    /// Puts the members of an object in JavaScript's order, if they are not.
    fn arrange(&mut self, start: usize, members: Vec<Member>) -> Vec<Member> {
        let text = |range: Range<usize>| self.out.get(range).unwrap_or_default();
        let mut newest: BTreeMap<&str, &Member> = BTreeMap::new();
        let mut order = Vec::with_capacity(members.len());
        for (at, member) in members.iter().enumerate() {
            let name = text(member.name.clone());
            if newest.insert(name, member).is_none() {
                order.push((array_index(name), at, name));
            }
        }
        let as_written = order.len() == members.len() && order.is_sorted();
        if as_written {
            return members;
        }
        order.sort_unstable();
        let (mut arranged, mut places) = (String::new(), Vec::with_capacity(order.len()));
        for member in order.iter().filter_map(|(_, _, name)| newest.get(name)) {
            if !arranged.is_empty() {
                arranged.push(',');
            }
            arranged.push_str(&self.indent(1));
            let name_at = start + arranged.len();
            arranged.push_str(text(member.name.start..member.end));
            places.push(Member { name: name_at..name_at + member.name.len(), end: start + arranged.len() });
        }
        self.out.truncate(start);
        self.out.push_str(&arranged);
        places
    }

    fn separate(&mut self, first: bool) -> Result<()> {
        if !first {
            self.push(",")?;
        }
        self.line()
    }

    fn line(&mut self) -> Result<()> {
        self.push(&self.indent(0))
    }

    /// A new line at the depth of what is open now, and `more` levels.
    fn indent(&self, more: usize) -> String {
        let mut line = "\n".to_owned();
        line.extend(std::iter::repeat_n("  ", self.open.len() + more));
        line
    }

    fn push(&mut self, text: &str) -> Result<()> {
        if self.out.len() + text.len() > MAX_TEXT {
            return Err(too_large());
        }
        self.out.push_str(text);
        Ok(())
    }
}

/// What goes with the signature: the separator in front of it, or the one behind if it is the first.
fn signature(out: &str, members: &[Member]) -> Range<usize> {
    let is_signature = |member: &Member| out.get(member.name.clone()) == Some(SIGNATURE);
    let Some(at) = members.iter().position(is_signature) else { return 0..0 };
    let end = members.get(at).map_or(0, |member| member.end);
    match (at.checked_sub(1).and_then(|before| members.get(before)), members.get(at + 1)) {
        (Some(before), _) => before.end..end,
        (None, Some(after)) => members.get(at).map_or(0, |member| member.name.start)..after.name.start,
        // An object without members has no lines in it either.
        (None, None) => 1..end + 1,
    }
}

/// Where JavaScript sorts a (quoted) name: the positions of an array first, ascending, all others after them.
fn array_index(name: &str) -> u32 {
    let digits = name.trim_matches('"');
    let index = digits.parse().ok().filter(|index: &u32| index.to_string() == digits);
    index.unwrap_or(u32::MAX)
}

fn too_large() -> Error {
    Error::new(ErrorKind::Invalid, format!("JSON of more than {MAX_TEXT} bytes is no message"))
}
