//! [`Search`], the view.

mod texts;

use std::{path::PathBuf, sync::Arc};

use flumedb::{
    Error, ErrorKind, Result, Seq,
    view::{Checkpoint, Definition, Entries, Retraction, Run, View, ViewContext},
};

pub use texts::Texts;
pub(crate) use texts::TextsOf;

use crate::{
    reader::SearchReader,
    store::{Form, Sizes, Store},
    words::Words,
};

/// A view that finds entries by the words of their texts.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use flumedb::{Flume, codec::Utf8};
/// use flumedb_search::{Marks, Search};
/// let db = Flume::memory(Utf8)?;
/// let search = db.view("search", Search::new(1, |line: &String| [line.clone()])).await?;
/// db.append_all(["The tide is high", "Low tide", "High time"]).await?;
///
/// let reader = search.read().await?;
/// assert_eq!(reader.search("HIGH tid*")?.count()?, 1);
/// let found = reader.search("high")?.entries().await?;
/// assert_eq!(found.iter().map(|found| &*found.value).collect::<Vec<_>>(), ["High time", "The tide is high"]);
/// assert_eq!(found[1].snippet(&Marks::new("*", "*")), "The tide is *high*");
/// # Ok::<(), flumedb::Error>(()) }).unwrap();
/// ```
///
/// It keeps words and `Seq`s; the texts stay in the log. What is taken in is shown with the next publish, at a cost that
/// does not depend on how much there is; a deleted entry is not found any more from the next publish on, and its words go
/// with the next merge. It starts no thread and works on any storage.
pub struct Search<T> {
    version: u32,
    fields: Arc<[String]>,
    words: Words,
    sizes: Sizes,
    texts: TextsOf<T>,
    open: Option<Open<T>>,
}

struct Open<T> {
    store: Store,
    entries: Entries<T>,
}

impl<T: Send + Sync + 'static> Search<T> {
    /// Bytes of memory in which words are gathered, unless [`memory_bytes`](Search::memory_bytes) says otherwise.
    pub const MEMORY_BYTES: usize = 32 << 20;
    /// So many of the newest entries are kept as they are, unless [`recent`](Search::recent) says otherwise.
    pub const RECENT: usize = 128;
    /// What the only field is called, if there are none with names.
    pub const FIELD: &'static str = "text";

    /// Finds entries by the texts that `texts` gives for an item: an `Option`, an array, a `Vec` or anything else to
    /// iterate over. A phrase is found within one of them. Raise `version` when `texts` changes, and the index is built
    /// anew.
    pub fn new<I>(version: u32, texts: impl Fn(&T) -> I + Send + Sync + 'static) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        Self::with_fields(version, [Self::FIELD], move |item, to| {
            texts(item).into_iter().for_each(|text| to.add(Self::FIELD, text));
        })
    }

    /// Finds entries by texts in several fields, which a query may name (`title:tide`).
    ///
    /// ```
    /// # use flumedb_search::Search;
    /// struct Post { title: String, body: String }
    ///
    /// let search = Search::with_fields(1, ["title", "body"], |post: &Post, texts| {
    ///     texts.add("title", &*post.title);
    ///     texts.add("body", &*post.body);
    /// });
    /// # let _: Search<Post> = search;
    /// ```
    pub fn with_fields<N: Into<String>>(
        version: u32,
        fields: impl IntoIterator<Item = N>,
        texts: impl Fn(&T, &mut Texts) + Send + Sync + 'static,
    ) -> Self {
        Self {
            version,
            fields: fields.into_iter().map(Into::into).collect(),
            words: Words::new(),
            sizes: Sizes { recent: Self::RECENT, memory_bytes: Self::MEMORY_BYTES },
            texts: Arc::new(texts),
            open: None,
        }
    }

    /// Sets how words are found and compared. Other rules are another index.
    #[must_use]
    pub fn words(mut self, words: Words) -> Self {
        self.words = words;
        self
    }

    /// Sets in how many bytes of memory words are gathered before they are written as a piece of the index. With more of
    /// it, building takes less merging. The pieces themselves need about as much for a moment, and merging up to 64 MB.
    #[must_use]
    pub fn memory_bytes(mut self, bytes: usize) -> Self {
        self.sizes.memory_bytes = bytes;
        self
    }

    /// Sets how many of the newest entries are kept as they are, before they become a piece of the index. Each is looked
    /// at by every question; to make a piece costs a millisecond, however small it is.
    #[must_use]
    pub fn recent(mut self, entries: usize) -> Self {
        self.sizes.recent = entries;
        self
    }

    fn opened(&mut self) -> Result<&mut Open<T>> {
        let not_open = || Error::new(ErrorKind::Invalid, "the search is not open; call `open` first");
        self.open.as_mut().ok_or_else(not_open)
    }

    /// Takes in an entry.
    fn add(&mut self, seq: Seq, item: &T) -> Result<()> {
        let texts = Texts::of(&self.texts, &self.fields, item).map_err(|error| error.at(seq))?;
        if texts.is_empty() {
            return Ok(());
        }
        self.opened()?.store.add(seq.get(), texts.into_vec())
    }
}

impl<T: Send + Sync + 'static> View for Search<T> {
    type Item = T;
    type Reader = SearchReader<T>;

    fn definition(&self) -> Definition {
        // Another format of tantivy's files is another index, too.
        let format = tantivy::INDEX_FORMAT_VERSION;
        let detail = format!("{} tantivy/{format} {}", self.words.name(), self.fields.join(","));
        Definition::new("search", self.version, detail)
    }

    fn open(&mut self, cx: &ViewContext<T>) -> Result<Option<Checkpoint>> {
        self.open = None;
        let form = Form::new(&self.fields, self.words)?;
        let (store, checkpoint) = Store::open(cx.place.as_ref(), form, self.sizes)?;
        self.open = Some(Open { store, entries: cx.entries.clone() });
        Ok(checkpoint)
    }

    fn apply(&mut self, run: &Run<T>) -> Result<()> {
        run.iter().try_for_each(|entry| self.add(entry.seq, &entry.value))
    }

    fn retract(&mut self, seq: Seq, _item: Option<&T>) -> Result<Retraction> {
        self.opened()?.store.remove(seq.get())?;
        Ok(Retraction::Done)
    }

    fn reprocess(&mut self, seq: Seq, item: Option<&T>) -> Result<Retraction> {
        self.opened()?.store.remove(seq.get())?;
        item.map_or(Ok(()), |item| self.add(seq, item))?;
        Ok(Retraction::Done)
    }

    fn publish(&mut self, at: &Checkpoint) -> Result<SearchReader<T>> {
        let (fields, words, texts) = (self.fields.clone(), self.words, self.texts.clone());
        let Open { store, entries } = self.opened()?;
        let (parts, recent) = store.publish(at)?;
        let (parts, recent) = (parts.into(), Arc::new(recent));
        let path: Arc<PathBuf> = Arc::new(store.path());
        let (form, entries) = (store.form.clone(), entries.clone());
        Ok(SearchReader { parts, recent, form, fields, words, texts, entries, path, since: at.since() })
    }

    fn sync(&mut self) -> Result<()> {
        self.opened()?.store.sync()
    }
}
