//! How a query is written.

use flumedb::{Error, ErrorKind, Result};

use super::{Clause, Query};
use crate::words::Words;

fn wrong(at: usize, what: &str) -> Error {
    Error::new(ErrorKind::Invalid, format!("query, byte {at}: {what}"))
}

/// Checks what no query may exceed.
pub(super) fn bounded(text: &str, clauses: Vec<Clause>) -> Result<Query> {
    if text.len() > Query::MAX_BYTES {
        return Err(wrong(Query::MAX_BYTES, "a query has no more than 4096 bytes; shorten it"));
    }
    let words: usize = clauses.iter().map(|clause| clause.words.len()).sum();
    if words > Query::MAX_WORDS {
        return Err(wrong(text.len(), "a query has no more than 64 words; leave some out"));
    }
    if !clauses.is_empty() && clauses.iter().all(|clause| clause.excluded) {
        return Err(wrong(0, "it only says what is not wanted; add a word that is"));
    }
    Ok(Query { clauses })
}

pub(super) fn parse(text: &str, words: Words, fields: &[String], typing: bool) -> Result<Query> {
    if text.len() > Query::MAX_BYTES {
        return bounded(text, Vec::new());
    }
    let mut parser = Parser { text, at: 0, words, fields, typing };
    let mut clauses = Vec::new();
    while parser.skip_space() {
        clauses.extend(parser.clause()?);
    }
    bounded(text, clauses)
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    words: Words,
    fields: &'a [String],
    typing: bool,
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// Says whether there is more.
    fn skip_space(&mut self) -> bool {
        self.at = self.text.len() - self.rest().trim_start().len();
        !self.rest().is_empty()
    }

    /// Reads `what` if it stands here.
    fn take(&mut self, what: &str) -> bool {
        let here = self.rest().starts_with(what);
        self.at += if here { what.len() } else { 0 };
        here
    }

    fn clause(&mut self) -> Result<Option<Clause>> {
        let excluded = self.take("-");
        let field = self.field();
        let (words, prefix) = if self.take("\"") { self.phrase()? } else { self.word()? };
        Ok((!words.is_empty()).then_some(Clause { excluded, field, words, prefix }))
    }

    /// The name of a field with a colon, if something follows.
    fn field(&mut self) -> Option<usize> {
        let rest = self.rest();
        let (name, after) = rest.split_once(':')?;
        let field = self.fields.iter().position(|field| field == name)?;
        if after.is_empty() || after.starts_with(char::is_whitespace) {
            return None;
        }
        self.at += name.len() + 1;
        Some(field)
    }

    /// Up to the closing quote.
    fn phrase(&mut self) -> Result<(Vec<String>, bool)> {
        let rest = self.rest();
        let (inside, closed) = match rest.split_once('"') {
            Some((inside, _)) => (inside, true),
            None if self.typing => (rest, false),
            None => {
                return Err(wrong(self.at - 1, "the quote that opens here is not closed; close it or leave it out"));
            }
        };
        self.at += inside.len() + usize::from(closed);
        let prefix = inside.ends_with('*') || (closed && self.take("*")) || (!closed && ends_in_word(inside));
        let words: Vec<String> = self.words.of(inside).collect();
        Ok((words, prefix))
    }

    /// Up to the next space.
    fn word(&mut self) -> Result<(Vec<String>, bool)> {
        let (start, rest) = (self.at, self.rest());
        let word = rest.split(char::is_whitespace).next().unwrap_or_default();
        self.at += word.len();
        let plain = word.trim_end_matches('*');
        if let Some(at) = plain.find('*') {
            return Err(wrong(start + at, "a `*` may stand at the end of a word only; leave it out"));
        }
        let words: Vec<String> = self.words.of(plain).collect();
        let starred = plain.len() < word.len();
        if starred && words.is_empty() {
            return Err(wrong(start + plain.len(), "a `*` needs the beginning of a word before it"));
        }
        let typed = self.typing && self.rest().is_empty() && ends_in_word(plain);
        Ok((words, starred || typed))
    }
}

/// Whether what is typed next may belong to the last word.
fn ends_in_word(text: &str) -> bool {
    text.ends_with(|last: char| !last.is_whitespace() && !last.is_ascii_punctuation())
}
