//! [`Shape`], what a line of a file of JSON lines is, told from the lines themselves. Reads a bounded piece of the file.

use flumedb::Result;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::index::Walk;
use crate::file::Source;

/// What the lines of a file are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shape {
    /// Any JSON: the line is the entry.
    Bare,
    /// `{"seq":…,"value":…}`, as flumelog-memory writes it: the value is the entry.
    Numbered,
}

/// Exactly what flumelog-memory writes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Numbered<'a> {
    seq: u64,
    #[serde(borrow)]
    value: &'a RawValue,
}

impl Shape {
    /// The name of the format.
    pub(super) fn format(self) -> &'static str {
        match self {
            Self::Bare => "jsonl",
            Self::Numbered => "memory",
        }
    }

    pub(super) fn article(self) -> &'static str {
        match self {
            Self::Bare => "JSON",
            Self::Numbered => "line of {\"seq\":…,\"value\":…}",
        }
    }

    /// The JSON text that a line has for an entry.
    pub(super) fn value(self, line: &[u8]) -> Option<&str> {
        match self {
            Self::Bare => serde_json::from_slice::<&RawValue>(line).ok().map(RawValue::get),
            Self::Numbered => numbered(line).map(|line| line.value.get()),
        }
    }
}

fn numbered(line: &[u8]) -> Option<Numbered<'_>> {
    serde_json::from_slice(line).ok()
}

/// What the first lines say.
pub(crate) struct Told {
    /// Nothing if they are no JSON.
    pub(crate) shape: Option<Shape>,
    /// How many were looked at.
    pub(crate) lines: u64,
    /// How many bytes they are.
    pub(crate) bytes: u64,
    pub(crate) evidence: String,
}

/// So many lines are looked at, and so many bytes.
const LINES: u64 = 1000;
const BYTES: u64 = 1 << 20;

/// Whether it may be the beginning of a line, behind which zeros may stand that a power cut leaves.
fn is_text(line: &[u8]) -> bool {
    let end = line.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    line.iter().take(end).all(|&byte| byte >= b' ' || b"\t\r".contains(&byte))
}

/// Tells what the lines of a file are. A last line that is torn tells nothing. Lines count from 0 where they are numbered: others with these two names in them
/// are what they are.
pub(crate) fn tell(source: &Source) -> Result<Told> {
    let mut walk = Walk::within(source, BYTES);
    let (mut lines, mut bytes, mut all_numbered) = (0, 0, true);
    while lines < LINES
        && let Some(line) = walk.next()?
    {
        if Shape::Bare.value(&line.text).is_none() {
            if walk.open && lines > 0 && is_text(&line.text) {
                break;
            }
            let evidence = format!("jsonl: line {} is no JSON", lines + 1);
            return Ok(Told { shape: None, lines, bytes: 0, evidence });
        }
        all_numbered &= numbered(&line.text).is_some_and(|numbered| numbered.seq == lines);
        lines += 1;
        bytes = line.start + line.text.len() as u64;
    }
    let (shape, evidence) = match (lines, all_numbered) {
        (0, _) => (None, "jsonl: there is no line of JSON".to_owned()),
        (_, true) => {
            (Some(Shape::Numbered), format!("memory: the first {lines} lines are a seq, from 0 on, and a value"))
        }
        (_, false) => (Some(Shape::Bare), format!("jsonl: the first {lines} lines are JSON")),
    };
    Ok(Told { shape, lines, bytes, evidence })
}
