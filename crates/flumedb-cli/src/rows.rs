//! [`Rows`], the answer to a query in SQL: a table for people, JSON or CSV for machines.

use std::io::{Write, stdout};

use base64::{Engine, engine::general_purpose::STANDARD};
use flumedb_sql::{Row, Value};
use serde_json::{Value as Json, json};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::exit::Failure;

/// How rows are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// An object a row.
    Json,
    /// As spreadsheets read it.
    Csv,
    /// Columns under each other.
    Table,
}

/// So many bytes of output wait until the end, so that whatever was needed to work them out is free by then.
const WAITING: usize = 8 << 20;
/// The widths of columns are those of so many rows.
const LOOKED_AT: usize = 1000;
/// A cell is cut to this width; JSON and CSV have all of it.
const WIDEST: usize = 72;

/// A cell of a table, and whether it stands on the right.
type Cell = (String, bool);

/// Prints rows.
pub(crate) struct Rows {
    form: Form,
    columns: Vec<String>,
    out: Vec<u8>,
    /// Rows whose widths are looked at; `None` when the widths are settled.
    first: Option<Vec<Vec<Cell>>>,
    widths: Vec<usize>,
}

impl Rows {
    pub(crate) fn new(form: Form) -> Self {
        Self { form, columns: Vec::new(), out: Vec::new(), first: Some(Vec::new()), widths: Vec::new() }
    }

    /// The names of the columns, which come before all rows.
    pub(crate) fn begin(&mut self, columns: &[String]) {
        // An object has each name once.
        for column in columns {
            let mut name = column.clone();
            let mut more = 2;
            while self.form == Form::Json && self.columns.contains(&name) {
                name = format!("{column}_{more}");
                more += 1;
            }
            self.columns.push(name);
        }
        if self.form == Form::Csv {
            let names: Vec<String> = self.columns.iter().map(|name| csv(name)).collect();
            self.out.extend_from_slice(format!("{}\n", names.join(",")).as_bytes());
        }
    }

    pub(crate) fn row(&mut self, row: &Row<'_>) -> Result<(), Failure> {
        let values = (0..self.columns.len()).map(|at| row.value(at).unwrap_or(Value::Null));
        match self.form {
            Form::Json => {
                // In the order that was asked for.
                let members =
                    self.columns.iter().zip(values).map(|(name, value)| format!("{}:{}", json!(name), in_json(value)));
                let members: Vec<String> = members.collect();
                self.out.extend_from_slice(format!("{{{}}}\n", members.join(",")).as_bytes());
            }
            Form::Csv => {
                let values: Vec<String> = values.map(|value| csv(&plain(value, ""))).collect();
                self.out.extend_from_slice(format!("{}\n", values.join(",")).as_bytes());
            }
            Form::Table => {
                let cells = values.map(|value| {
                    let right = matches!(value, Value::Integer(_) | Value::Real(_));
                    (cut(&plain(value, "null")), right)
                });
                let cells: Vec<Cell> = cells.collect();
                match &mut self.first {
                    Some(first) if first.len() < LOOKED_AT => first.push(cells),
                    _ => {
                        self.settle();
                        self.line(&cells);
                    }
                }
            }
        }
        if self.out.len() > WAITING { self.flush() } else { Ok(()) }
    }

    /// Prints what is left.
    pub(crate) fn finish(mut self) -> Result<(), Failure> {
        if self.form == Form::Table && !self.columns.is_empty() {
            self.settle();
        }
        self.flush()
    }

    /// Settles how wide the columns are, and prints what was waiting for that.
    fn settle(&mut self) {
        let Some(first) = self.first.take() else { return };
        let names: Vec<Cell> = self.columns.iter().map(|name| (cut(name), false)).collect();
        self.widths = names.iter().map(|(name, _)| name.width()).collect();
        for row in &first {
            for ((cell, _), width) in row.iter().zip(&mut self.widths) {
                *width = (*width).max(cell.width());
            }
        }
        self.line(&names);
        let rules: Vec<Cell> = self.widths.iter().map(|width| ("─".repeat(*width), false)).collect();
        self.line(&rules);
        first.iter().for_each(|row| self.line(row));
    }

    fn line(&mut self, cells: &[Cell]) {
        let mut line = String::new();
        for ((cell, right), width) in cells.iter().zip(&self.widths) {
            let space = " ".repeat(width.saturating_sub(cell.width()));
            let (before, after) = if *right { (&*space, "") } else { ("", &*space) };
            line.extend([before, cell, after, "  "]);
        }
        self.out.extend_from_slice(line.trim_end().as_bytes());
        self.out.push(b'\n');
    }

    fn flush(&mut self) -> Result<(), Failure> {
        let mut stdout = stdout().lock();
        let written = stdout.write_all(&self.out).and_then(|()| stdout.flush());
        self.out.clear();
        written.map_err(|error| Failure::output(&error))
    }
}

/// A value as text; bytes as base64.
fn plain(value: Value<'_>, null: &str) -> String {
    match value {
        Value::Null => null.to_owned(),
        Value::Integer(number) => number.to_string(),
        Value::Real(number) => number.to_string(),
        Value::Text(text) => text.to_owned(),
        Value::Blob(bytes) => STANDARD.encode(bytes),
    }
}

fn in_json(value: Value<'_>) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Integer(number) => number.into(),
        // JSON has no word for what is beyond all numbers.
        Value::Real(number) if number.is_infinite() => number.to_string().into(),
        Value::Real(number) => number.into(),
        Value::Text(text) => text.into(),
        Value::Blob(bytes) => json!({"base64": STANDARD.encode(bytes)}),
    }
}

fn csv(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

/// A cell on one line, no wider than it may be, and without what would move the cursor.
fn cut(text: &str) -> String {
    let (mut cell, mut width) = (String::new(), 0);
    for c in text.chars() {
        let c = if c == '\n' {
            '⏎'
        } else if c.is_control() {
            '·'
        } else {
            c
        };
        width += c.width().unwrap_or(0);
        if width > WIDEST {
            cell.push('…');
            break;
        }
        cell.push(c);
    }
    cell
}
