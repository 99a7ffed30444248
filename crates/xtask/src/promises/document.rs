//! The promises as the document lists them, and the tables that it keeps.

use std::{collections::BTreeMap, fmt};

use crate::binaries::TestFile;

pub(crate) const PAGE: &str = "docs/durability.md";

/// What stands around the tables.
const FIGURES: (&str, &str) =
    ("<!-- figures: written by `cargo xtask promises --write` -->\n", "<!-- end of the figures -->");
const PLANTED: (&str, &str) =
    ("<!-- bugs: written by `cargo xtask promises --write` -->\n", "<!-- end of the bugs -->");

/// A promise: an item of the list, numbered, that begins with its title in bold.
pub(crate) struct Promise {
    pub(crate) title: String,
    /// The tests that would fail if it were broken.
    pub(crate) files: Vec<TestFile>,
}

/// The promises of the document, checked: each names tests, and they are there.
pub(crate) fn promises(text: &str) -> Result<Vec<Promise>, String> {
    let mut found: Vec<Promise> = Vec::new();
    let section = text.split("\n## ").find(|section| section.starts_with("The promises\n")).unwrap_or_default();
    let section = section.split_once(FIGURES.0).map_or(section, |(list, _)| list);
    for item in section.lines().fold(Vec::new(), join) {
        let number = item.split_once(". **").map(|(number, _)| number).unwrap_or_default();
        let Some((_, rest)) = item.split_once(". **").filter(|_| number.parse::<u32>().is_ok()) else { continue };
        let title = rest.split_once("**").map_or(rest, |(title, _)| title).trim_end_matches('.');
        let files = item.split('`').skip(1).step_by(2).filter_map(test_file).collect();
        let promise = Promise { title: format!("{number}. {title}"), files };
        promise.check()?;
        found.push(promise);
    }
    if found.is_empty() { Err(format!("{PAGE} lists no promises")) } else { Ok(found) }
}

/// A line that begins with a number begins an item, and one that is indented goes on with it.
fn join(mut items: Vec<String>, line: &str) -> Vec<String> {
    match items.last_mut() {
        Some(last) if line.starts_with("   ") => {
            last.push(' ');
            last.push_str(line.trim());
        }
        _ => items.push(line.to_owned()),
    }
    items
}

/// The file of a test that stands in code style: a name is in the tests of `flumedb`, a path where it says.
fn test_file(code: &str) -> Option<TestFile> {
    let is_test = code.ends_with(".rs") && (!code.contains('/') || code.contains("/tests/"));
    is_test.then(|| if code.contains('/') { code.to_owned() } else { format!("crates/flumedb/tests/{code}") })
}

/// What the tests of a file have done.
#[derive(Clone)]
pub(crate) struct Figure {
    pub(crate) tests: u64,
    /// As they have told.
    pub(crate) cases: u64,
    pub(crate) seconds: f64,
    pub(crate) commit: String,
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.cases > 0 {
            write!(f, "{} cases", thousands(self.cases))?;
        } else {
            write!(f, "{} test{}", self.tests, if self.tests == 1 { "" } else { "s" })?;
        }
        write!(f, ", {:.1} s, {}", self.seconds, self.commit)
    }
}

fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// The tables of the document.
pub(crate) struct Rows {
    /// By promise and file, the quick run and the long one.
    cells: BTreeMap<(String, TestFile), [String; 2]>,
    /// What was said of the bugs that were put in.
    pub(crate) planted: String,
}

impl Rows {
    /// The tables as they stand.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let mut cells = BTreeMap::new();
        for line in between(text, FIGURES)?.lines() {
            let columns: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
            if let [promise, file, quick, long] = columns[..]
                && let Some(file) = test_file(file.trim_matches('`'))
            {
                cells.insert((promise.to_owned(), file), [quick.to_owned(), long.to_owned()]);
            }
        }
        Ok(Self { cells, planted: between(text, PLANTED)?.to_owned() })
    }

    /// Takes in what was measured of a promise's tests.
    pub(crate) fn put(&mut self, promise: &Promise, figures: &BTreeMap<TestFile, Figure>, long: bool) {
        for file in &promise.files {
            let cells = self.cells.entry((promise.title.clone(), file.clone())).or_default();
            let [quick, long_form] = cells;
            let cell = if long { long_form } else { quick };
            *cell = figures.get(file).map_or_else(|| "failed".to_owned(), Figure::to_string);
        }
    }

    /// Drops what the document does not promise any more.
    pub(crate) fn keep(&mut self, promises: &[Promise]) {
        let named = |title: &str, file: &str| {
            promises.iter().any(|promise| promise.title == title && promise.files.iter().any(|known| known == file))
        };
        self.cells.retain(|(title, file), _| named(title, file));
    }

    /// In the order of the promises.
    pub(crate) fn table(&self, promises: &[Promise]) -> String {
        let mut table = "| promise | test | quick run | long run |\n|---|---|---|---|\n".to_owned();
        for promise in promises {
            for file in &promise.files {
                let cells = self.cells.get(&(promise.title.clone(), file.clone()));
                let [quick, long] = cells.cloned().unwrap_or_default();
                let name = file.strip_prefix("crates/flumedb/tests/").unwrap_or(file);
                table += &format!("| {} | `{name}` | {quick} | {long} |\n", promise.title);
            }
        }
        table
    }

    /// The document with the tables as they are now.
    pub(crate) fn write(&self, text: &str, promises: &[Promise]) -> Result<String, String> {
        put(&put(text, FIGURES, &self.table(promises))?, PLANTED, &self.planted)
    }
}

/// Puts something else between two marks.
fn put(text: &str, marks: (&str, &str), new: &str) -> Result<String, String> {
    let inside = between(text, marks)?;
    let (before, rest) = text.split_once(marks.0).unwrap_or_default();
    let after = rest.get(inside.len()..).unwrap_or_default();
    Ok([before, marks.0, new, after].concat())
}

/// What stands between two marks.
fn between<'a>(text: &'a str, marks: (&str, &str)) -> Result<&'a str, String> {
    let (_, rest) = text.split_once(marks.0).ok_or_else(|| format!("{PAGE} lacks the line {}", marks.0.trim()))?;
    let (inside, _) = rest.split_once(marks.1).ok_or_else(|| format!("{PAGE} lacks the line {}", marks.1))?;
    Ok(inside)
}
