//! [`SearchReader`], an index of words as it stood at one moment.

mod ask;
mod cursor;
mod docs;
mod find;
mod snippet;
mod stats;

use std::{path::PathBuf, sync::Arc};

use flumedb::{Result, Seq, view::Entries};

pub use ask::{Ask, Found, Hit, Hits};
pub use cursor::Cursor;
pub use snippet::Marks;

use crate::{
    query::Query,
    store::{Form, Part, recent::Recent},
    view::TextsOf,
    words::Words,
};

/// In which order entries are found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// The newest first.
    #[default]
    Newest,
    /// The most relevant first (BM25): with the rarer words, more often, in a shorter text. Of the equally relevant the
    /// newest first.
    Relevance,
}

/// A consistent snapshot of a [`Search`](crate::Search): whatever is appended or deleted meanwhile, it gives the same
/// answers. Cheap to clone.
pub struct SearchReader<T> {
    pub(crate) parts: Arc<[Part]>,
    pub(crate) recent: Arc<Recent>,
    pub(crate) form: Arc<Form>,
    pub(crate) fields: Arc<[String]>,
    pub(crate) words: Words,
    pub(crate) texts: TextsOf<T>,
    pub(crate) entries: Entries<T>,
    pub(crate) path: Arc<PathBuf>,
    pub(crate) since: Option<Seq>,
}

impl<T> Clone for SearchReader<T> {
    fn clone(&self) -> Self {
        Self {
            parts: self.parts.clone(),
            recent: self.recent.clone(),
            form: self.form.clone(),
            fields: self.fields.clone(),
            words: self.words,
            texts: self.texts.clone(),
            entries: self.entries.clone(),
            path: self.path.clone(),
            since: self.since,
        }
    }
}

impl<T> SearchReader<T> {
    /// The newest entry that it covers.
    pub fn since(&self) -> Option<Seq> {
        self.since
    }

    /// How many entries have a text.
    pub fn count(&self) -> u64 {
        self.parts.iter().map(|part| u64::from(part.living)).sum::<u64>() + self.recent.len() as u64
    }

    /// Of how many pieces the index is made: what a question costs at least.
    pub fn segments(&self) -> usize {
        self.parts.len()
    }

    /// What fields there are.
    pub fn fields(&self) -> &[String] {
        &self.fields
    }

    /// How words are found and compared.
    pub fn words(&self) -> Words {
        self.words
    }

    /// Looks for what `query` says, as written in [`Query`].
    ///
    /// # Errors
    /// `Invalid`, naming the place in the query.
    pub fn search(&self, query: &str) -> Result<Ask<'_, T>> {
        Query::parse(query, self.words, &self.fields).map(|query| self.ask(query))
    }

    /// Looks for what somebody is typing: the last word may go on, and an open quote is no mistake.
    ///
    /// # Errors
    /// `Invalid`, naming the place in the query.
    pub fn search_typing(&self, query: &str) -> Result<Ask<'_, T>> {
        Query::parse_typing(query, self.words, &self.fields).map(|query| self.ask(query))
    }

    /// Looks for all words of a text, where no character has a meaning.
    ///
    /// # Errors
    /// `Invalid` for more words than a query may have.
    pub fn search_all_of(&self, text: &str) -> Result<Ask<'_, T>> {
        Query::all_of(text, self.words).map(|query| self.ask(query))
    }

    /// Looks for what `query` says.
    pub fn ask(&self, query: Query) -> Ask<'_, T> {
        Ask::new(self, query)
    }
}
