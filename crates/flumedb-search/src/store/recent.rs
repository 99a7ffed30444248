//! [`Recent`], the newest entries, before they are enough for a segment: to make one costs tantivy a millisecond, however
//! little is in it. A question looks at each of them.

use std::sync::Arc;

use tantivy::fieldnorm::FieldNormReader;

use crate::{
    query::Clause,
    words::{Word, Words},
};

/// The newest entries. A clone stays as it is.
#[derive(Clone)]
pub(crate) struct Recent {
    entries: Vec<Arc<RecentEntry>>,
    words: usize,
    most: usize,
}

/// An entry in memory.
pub(crate) struct RecentEntry {
    pub(crate) seq: u64,
    /// Each with the number of its field.
    pub(super) texts: Vec<(usize, String)>,
    words: Vec<(usize, Vec<Word>)>,
}

impl Recent {
    /// No more words are looked at one by one.
    const WORDS: usize = 8 << 10;

    /// None yet, and never more than `most`.
    pub(super) fn new(most: usize) -> Self {
        Self { entries: Vec::new(), words: 0, most }
    }

    /// Gives all that there are, and keeps none.
    pub(super) fn take(&mut self) -> Self {
        let most = self.most;
        std::mem::replace(self, Self::new(most))
    }

    /// Whether one more entry with texts of so many bytes is too much, together with those `before`.
    pub(super) fn is_full(&self, text: usize, before: &Self) -> bool {
        // A word has some letters.
        self.len() + before.len() >= self.most || self.words + before.words + text / 4 > Self::WORDS
    }

    pub(super) fn append(&mut self, mut newer: Self) {
        self.words += newer.words;
        self.entries.append(&mut newer.entries);
    }

    pub(super) fn add(&mut self, seq: u64, texts: Vec<(usize, String)>, words: Words) {
        let found: Vec<_> = texts.iter().map(|(field, text)| (*field, words.places(text).collect())).collect();
        let entry = RecentEntry { seq, texts, words: found };
        self.words += entry.count();
        self.entries.push(Arc::new(entry));
    }

    pub(super) fn remove(&mut self, seq: u64) {
        self.entries.retain(|entry| entry.seq != seq);
        self.words = self.entries.iter().map(|entry| entry.count()).sum();
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<RecentEntry>> {
        self.entries.iter()
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }
}

impl RecentEntry {
    fn count(&self) -> usize {
        self.words.iter().map(|(_, words)| words.len()).sum()
    }

    fn in_field(&self, field: usize) -> impl Iterator<Item = &Vec<Word>> {
        self.words.iter().filter(move |(of, _)| *of == field).map(|(_, words)| words)
    }

    /// How often the words of a clause stand in a field.
    pub(crate) fn times(&self, clause: &Clause, field: usize) -> u32 {
        self.in_field(field).map(|words| clause.places(words).count() as u32).sum()
    }

    pub(crate) fn has_word(&self, field: usize, word: &str) -> bool {
        self.in_field(field).any(|words| words.iter().any(|of| of.form == word))
    }

    /// How many words there are in a field, in the steps that segments know.
    pub(crate) fn length(&self, field: usize) -> u8 {
        FieldNormReader::fieldnorm_to_id(self.in_field(field).map(|words| words.len() as u32).sum())
    }
}
