//! [`Form`], what the documents of an index have: the seq of their entry, and words in some fields.

use flumedb::{Error, ErrorKind, Result};
use tantivy::{
    TantivyDocument,
    schema::{FAST, Field, IndexRecordOption, NumericOptions, Schema, TextFieldIndexing, TextOptions},
    tokenizer::{TextAnalyzer, Token, TokenStream, Tokenizer, TokenizerManager},
};

use crate::words::{WordIter, Words};

/// Fields and how their words are found.
pub(crate) struct Form {
    pub(super) schema: Schema,
    pub(super) tokenizers: TokenizerManager,
    pub(crate) fields: Vec<Field>,
    pub(super) words: Words,
    seq: Field,
}

impl Form {
    /// What tantivy calls the field with the seq. No field of a caller has this name, as theirs are prefixed.
    pub(super) const SEQ: &'static str = "seq";
    const TOKENIZER: &'static str = "flume";

    /// # Errors
    /// `Invalid` for names that cannot be asked for in a query.
    pub(crate) fn new(names: &[String], words: Words) -> Result<Self> {
        let usable =
            |name: &String| !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-'));
        let twice = |(at, name): (usize, &String)| names.iter().take(at).any(|before| before == name);
        if names.is_empty() || !names.iter().all(usable) || names.iter().enumerate().any(twice) {
            let what = format!(
                "{names:?} cannot be the fields of a search; name at least one, each once, with letters, digits, - and _"
            );
            return Err(Error::new(ErrorKind::Invalid, what));
        }
        let mut schema = Schema::builder();
        let seq = schema.add_u64_field(Self::SEQ, NumericOptions::from(FAST));
        let indexing = TextFieldIndexing::default()
            .set_tokenizer(Self::TOKENIZER)
            .set_index_option(IndexRecordOption::WithFreqsAndPositions);
        let options = TextOptions::default().set_indexing_options(indexing);
        let fields = names.iter().map(|name| schema.add_text_field(&format!("text.{name}"), options.clone())).collect();
        let tokenizers = TokenizerManager::new();
        tokenizers.register(Self::TOKENIZER, TextAnalyzer::from(Finder(words)));
        // For fields without words tantivy wants one, too, and never uses it.
        tokenizers.register("default", TextAnalyzer::from(Finder(words)));
        Ok(Self { schema: schema.build(), tokenizers, fields, words, seq })
    }

    /// The document of entry `seq`: `texts` with the numbers of their fields.
    pub(super) fn document(&self, seq: u64, texts: &[(usize, String)]) -> TantivyDocument {
        let mut document = TantivyDocument::default();
        document.add_u64(self.seq, seq);
        for (field, text) in texts {
            if let Some(field) = self.fields.get(*field) {
                document.add_text(*field, text);
            }
        }
        document
    }
}

/// Finds words for tantivy.
#[derive(Clone)]
struct Finder(Words);

impl Tokenizer for Finder {
    type TokenStream<'a> = Found<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> Found<'a> {
        Found { words: self.0.places(text), token: Token::default() }
    }
}

struct Found<'a> {
    words: WordIter<'a>,
    token: Token,
}

impl TokenStream for Found<'_> {
    fn advance(&mut self) -> bool {
        let Some(word) = self.words.next() else { return false };
        self.token.offset_from = word.place.start;
        self.token.offset_to = word.place.end;
        self.token.position = self.token.position.wrapping_add(1);
        self.token.text = word.form;
        true
    }

    fn token(&self) -> &Token {
        &self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        &mut self.token
    }
}
