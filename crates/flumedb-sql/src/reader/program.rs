//! How long the values of a query may be, so that one pass through its program is short and takes little memory.
//!
//! SQLite looks at the clock between the steps of its program where it jumps back, not within a step. A step makes at most
//! one value; so what all steps of the program make together, and the time that they take, is bounded by their number
//! times the length of a value. The longer a step works on a value of some length, the more it counts.

use rusqlite::{Connection, limits::Limit};

use crate::{guard::SQL_BYTES, store::LONGEST};

const EXPLAIN: &str = "EXPLAIN ";

/// A value may take no more than this part of what a query may have.
const PARTS: usize = 32;
/// What a value may always have.
const SHORTEST: usize = 1 << 10;

/// What is known of a program before it runs.
#[derive(Clone, Copy)]
pub(super) struct Program {
    /// The longest text, blob or row.
    pub(super) longest: i32,
    /// There are steps that take more than a moment with such a value.
    pub(super) slow: bool,
}

impl Program {
    /// Before the statement is known.
    pub(super) const ANY: Self = Self { longest: LONGEST, slow: true };

    /// Looks at the program for `sql`, a single statement that is no `EXPLAIN`; all values together may take `bytes`.
    pub(super) fn of(db: &Connection, sql: &str, bytes: usize) -> rusqlite::Result<Self> {
        let (mut weight, mut slow) = (0, false);
        let text = format!("{EXPLAIN}{sql}");
        // The longest statement is longer by a word here.
        db.set_limit(Limit::SQLITE_LIMIT_SQL_LENGTH, SQL_BYTES + EXPLAIN.len() as i32)?;
        let explain = db.prepare(&text);
        db.set_limit(Limit::SQLITE_LIMIT_SQL_LENGTH, SQL_BYTES)?;
        let mut explain = explain?;
        let mut steps = explain.raw_query();
        while let Some(step) = steps.next()? {
            // What is shown may be cut within a letter, or be no text.
            let shown =
                |column| step.get_ref(column).map(|shown| shown.as_bytes_or_null().ok().flatten().unwrap_or_default());
            let made = made(shown(1)?, shown(5)?);
            weight += made;
            slow |= made > 1;
        }
        Ok(Self { longest: longest(bytes, weight.max(PARTS)), slow })
    }
}

fn longest(bytes: usize, parts: usize) -> i32 {
    i32::try_from((bytes / parts).max(SHORTEST)).map_or(LONGEST, |longest| longest.min(LONGEST))
}

/// How much a step counts: by what it does, and what it does it with.
fn made(step: &[u8], with: &[u8]) -> usize {
    let [step, with] = [step, with].map(|shown| std::str::from_utf8(shown).unwrap_or_default());
    match step {
        "Function" | "PureFunc" => function(with),
        "AggFinal" | "AggInverse" | "AggStep" | "AggStep1" | "AggValue" | "Cast" | "Column" | "Concat" | "Copy"
        | "MakeRecord" | "RowData" | "SorterData" | "VColumn" | "Variable" => 1,
        _ => 0,
    }
}

/// How much a function counts, `name(arguments)`: 1 if it takes one value, once from its beginning to its end, and makes
/// another.
fn function(name: &str) -> usize {
    match name {
        // As long as the text times the pattern, which is short.
        "like(2)" | "like(3)" | "glob(2)" => 64,
        // As long as the one times the other; bytes are compared quickly,
        "instr(2)" | "replace(3)" => 256,
        // members of objects less so, and a text is copied for each word that is marked in it;
        "json_patch(2)" | "jsonb_patch(2)" | "highlight(-1)" => 512,
        // letters, and places of words, are compared slowly.
        "trim(2)" | "ltrim(2)" | "rtrim(2)" => 1024,
        "snippet(-1)" | "unhex(2)" => 2048,
        // Once for each argument.
        name if name.starts_with("json") && name.ends_with("(-1)") => 4,
        _ => 1,
    }
}
