//! [`Record`], what a program keeps in a collection, and what it says about itself: key, indexes, schema, history.

use serde::{Serialize, de::DeserializeOwned};

use super::value;
use crate::{
    Bytes, Result,
    views::{AsKey, Key},
};

/// A type whose values are kept in a [`Collection`](super::Collection): it has a key, and may have indexes.
///
/// # The derive
/// `#[derive(Record)]` writes this, and a trait `PostIndexes` with the methods `by_author` and `by_author_range` for each
/// index; where they are used in another module, import it.
///
/// ```
/// use flumedb::{Record, collection::History};
///
/// #[derive(serde::Serialize, serde::Deserialize, Record)]
/// #[record(name = "posts", version = 1, history = History::Last(3))]
/// struct Post {
///     #[key]
///     id: u64,
///     /// Found by `posts.by_author("alice")`.
///     #[index]
///     author: String,
///     /// One record has it: `posts.by_slug("hello")`. None at all is fine, too.
///     #[unique]
///     slug: Option<String>,
///     /// Found by each of them.
///     #[index]
///     tags: Vec<String>,
/// }
/// ```
///
/// The key needs `Clone`. What makes no sense does not compile: a record without a key,
///
/// ```compile_fail
/// #[derive(serde::Serialize, serde::Deserialize, flumedb::Record)]
/// #[record(name = "posts")]
/// struct Post { id: u64 }
/// ```
///
/// without a name for its collection,
///
/// ```compile_fail
/// #[derive(serde::Serialize, serde::Deserialize, flumedb::Record)]
/// struct Post { #[key] id: u64 }
/// ```
///
/// with two keys,
///
/// ```compile_fail
/// #[derive(serde::Serialize, serde::Deserialize, flumedb::Record)]
/// #[record(name = "posts")]
/// struct Post { #[key] id: u64, #[key] author: String }
/// ```
///
/// with something that cannot be a key,
///
/// ```compile_fail
/// #[derive(serde::Serialize, serde::Deserialize, flumedb::Record)]
/// #[record(name = "posts")]
/// struct Post { #[key] id: f32 }
/// ```
///
/// or with an attribute that is none.
///
/// ```compile_fail
/// #[derive(serde::Serialize, serde::Deserialize, flumedb::Record)]
/// #[record(name = "posts", versoin = 2)]
/// struct Post { #[key] id: u64 }
/// ```
///
/// # By hand
/// It is as much as this:
///
/// ```
/// use flumedb::collection::{Database, IndexDefinition, IndexRows, Record};
///
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Post { id: u64, author: String, text: String }
///
/// impl Record for Post {
///     type Key = u64;
///     const NAME: &'static str = "posts";
///
///     fn key(&self) -> u64 { self.id }
///     fn indexes() -> Vec<IndexDefinition> { vec![IndexDefinition::new::<String>("author")] }
///     fn index(&self, rows: &mut IndexRows) { rows.add::<String>("author", &self.author); }
/// }
///
/// let db = Database::memory().blocking()?;
/// let posts = db.collection::<Post>().blocking()?;
/// posts.put(&Post { id: 1, author: "alice".into(), text: "hello".into() }).blocking()?;
/// assert_eq!(posts.by_index::<String>("author", "alice").blocking()?[0].text, "hello");
/// # Ok::<(), flumedb::Error>(())
/// ```
pub trait Record: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// What identifies a record in its collection, and orders it.
    type Key: Key;

    /// The name of the collection. It is stored: to change it is to begin an empty one.
    const NAME: &'static str;

    /// The version of the type's form. Raise it when records written before no longer deserialize or mean something else,
    /// and say in [`migrate`](Record::migrate) what becomes of them. Fields that serde fills in need no new version.
    const VERSION: u32 = 1;

    /// Which superseded versions of a record are kept.
    const HISTORY: History = History::Last(1);

    /// The key of this record.
    fn key(&self) -> Self::Key;

    /// The indexes there are. When they change, the rows of the records that are there are made anew, by
    /// [`Database::collection`](super::Database::collection).
    fn indexes() -> Vec<IndexDefinition> {
        Vec::new()
    }

    /// Adds the rows that this record has in its indexes: any number in each.
    fn index(&self, rows: &mut IndexRows) {
        let _ = rows;
    }

    /// Makes a record of one that was written under an older [`VERSION`](Record::VERSION).
    ///
    /// ```
    /// # use flumedb::{Record, Result, collection::Old};
    /// #[derive(serde::Serialize, serde::Deserialize, Record)]
    /// #[record(name = "people", version = 2, migrate = Person::migrate)]
    /// struct Person { #[key] name: String, born: u32 }
    ///
    /// #[derive(serde::Deserialize)]
    /// struct PersonV1 { name: String, age: u32 }
    ///
    /// impl Person {
    ///     fn migrate(old: Old<'_>) -> Result<Self> {
    ///         let PersonV1 { name, age } = old.decode()?;
    ///         Ok(Self { name, born: 2026 - age })
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    /// What the migration says; whoever reads the record gets it.
    fn migrate(old: Old<'_>) -> Result<Self> {
        old.decode()
    }
}

/// Which superseded versions of a record are kept. The others are deleted from the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum History {
    /// Every version of every record, those of deleted records too.
    All,
    /// The newest versions of each record, so many, the current one included; of a deleted record none. At least one.
    Last(u32),
    /// The versions that were current within so long. The clock is the writer's.
    Age(std::time::Duration),
}

/// An index of a collection.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct IndexDefinition {
    pub(super) name: String,
    pub(super) unique: bool,
    pub(super) form: String,
}

impl IndexDefinition {
    /// An index by keys of type `K`.
    pub fn new<K: Key>(name: impl Into<String>) -> Self {
        Self { name: name.into(), unique: false, form: K::form() }
    }

    /// The same, in which no two records may have one key.
    #[must_use]
    pub fn unique(self) -> Self {
        Self { unique: true, ..self }
    }
}

/// Takes the rows of a record: see [`Record::index`].
#[derive(Debug, Default)]
pub struct IndexRows(pub(super) Vec<IndexRow>);

/// That a record is found under a key of an index.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct IndexRow {
    /// The name of the index.
    pub index: String,
    /// Whether no other record may have this row.
    pub unique: bool,
    /// The key, in bytes that keep its order.
    pub key: Bytes,
}

impl IndexRows {
    /// The record is found under `key` in the index `index`, whose keys are of type `K`.
    pub fn add<K>(&mut self, index: &str, key: &(impl AsKey<K> + ?Sized)) {
        self.0.push(IndexRow { index: index.to_owned(), unique: false, key: encode_key(key) });
    }
}

/// The bytes of a key.
pub(super) fn encode_key<K>(key: &(impl AsKey<K> + ?Sized)) -> Bytes {
    let mut bytes = Vec::new();
    key.encode(&mut bytes);
    bytes.into()
}

/// A record as it was written under an older version of its type.
#[derive(Debug)]
pub struct Old<'a> {
    pub(super) version: u32,
    pub(super) bytes: &'a [u8],
}

impl Old<'_> {
    /// The [`Record::VERSION`] that it was written under.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// What it was, as any type that describes it.
    ///
    /// # Errors
    /// `Invalid` if it is nothing of the kind.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T> {
        value::decode(self.bytes)
    }
}

/// What a collection says about itself: kept in the log, as a record of its own.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Declaration {
    pub(super) version: u32,
    pub(super) key: String,
    pub(super) indexes: Vec<IndexDefinition>,
    pub(super) history: History,
    /// Raised whenever the rows of the records have to be made anew.
    pub(super) generation: u32,
    /// Whether they have been.
    pub(super) ready: bool,
}

impl Declaration {
    /// The collections' own collection: declarations, by the name of what they are about.
    pub(super) const COLLECTION: &'static str = "";

    pub(super) fn of<T: Record>() -> Self {
        let mut indexes = T::indexes();
        indexes.sort_by(|one, two| one.name.cmp(&two.name));
        let (key, history) = (T::Key::form(), T::HISTORY);
        Self { version: T::VERSION, key, indexes, history, generation: 1, ready: true }
    }
}
