//! [`Query`], what is looked for.

mod matching;
mod parse;

use flumedb::Result;

pub(crate) use matching::matched;

use crate::words::Words;

/// What is looked for: all of some words, prefixes and phrases, and none of others.
///
/// | written | finds |
/// | --- | --- |
/// | `high tide` | entries with both words, wherever they stand |
/// | `tid*` | words that begin so |
/// | `"high tide"` | the words side by side; `"high tid*"` ends with a prefix |
/// | `-moon`, `-"full moon"` | not with these |
/// | `title:tide`, `title:"high tide"` | in the field of this name only, if there is one |
///
/// Words are found as in a text (see [`Words`]): case and punctuation do not count, and what is written as one but is
/// several words (`example.com`, `東京`) is looked for side by side.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    pub(crate) clauses: Vec<Clause>,
}

/// One condition: words that stand side by side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Clause {
    /// It must not hold.
    pub(crate) excluded: bool,
    /// The number of the only field that counts.
    pub(crate) field: Option<usize>,
    /// At least one.
    pub(crate) words: Vec<String>,
    /// The last word is the beginning of one.
    pub(crate) prefix: bool,
}

impl Query {
    /// A longer query is refused.
    pub const MAX_BYTES: usize = 4096;
    /// A query of more words is refused.
    pub const MAX_WORDS: usize = 64;

    /// Reads a query. One without a word finds nothing.
    ///
    /// ```
    /// use flumedb_search::{Query, Words};
    /// let fields = ["title".to_owned()];
    /// assert!(Query::parse(r#"title:tide "full moon" -sun*"#, Words::new(), &fields).is_ok());
    /// let error = Query::parse("full \"moon", Words::new(), &fields).unwrap_err();
    /// assert!(error.to_string().starts_with("query, byte 5: the quote that opens here is not closed"));
    /// ```
    ///
    /// # Errors
    /// `Invalid`, naming the place: a quote that is not closed, a `*` that does not end a word, nothing but exclusions, or
    /// too much of it.
    pub fn parse(text: &str, words: Words, fields: &[String]) -> Result<Self> {
        parse::parse(text, words, fields, false)
    }

    /// Reads a query that somebody is typing: the last word may go on, and an open quote is no mistake.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub fn parse_typing(text: &str, words: Words, fields: &[String]) -> Result<Self> {
        parse::parse(text, words, fields, true)
    }

    /// All words of a text, where no character has a meaning.
    ///
    /// # Errors
    /// `Invalid` for more words than a query may have.
    pub fn all_of(text: &str, words: Words) -> Result<Self> {
        let clause = |word| Clause { excluded: false, field: None, words: vec![word], prefix: false };
        let clauses: Vec<Clause> = words.of(text).take(Self::MAX_WORDS + 1).map(clause).collect();
        parse::bounded(text, clauses)
    }

    /// Whether it has no word, and finds nothing.
    pub fn is_empty(&self) -> bool {
        self.clauses.is_empty()
    }
}
