//! [`Bitmaps`], for questions about any fields in any combination: a roaring bitmap per (field path, value), built when it is
//! first asked for. `term` turns values into bytes and `kind` documents into terms; `pending`, `rows`, `block` and `column` are
//! how one of the views keeps them; `op` is what is asked, `node`, `eval`, `walk` and `sorted` find it.

mod block;
mod column;
mod cursor;
mod eval;
mod follow;
mod group;
mod interned;
mod json;
mod kind;
mod matches;
mod node;
mod op;
mod path;
mod pending;
mod place;
mod query;
mod reader;
mod records;
mod rows;
mod sorted;
mod sublog;
mod term;
mod view;
mod walk;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

pub use cursor::Cursor;
pub use follow::{Follow, Told};
pub use matches::{Matches, Page};
pub use op::{Comparison, Op, Part};
pub use path::{Number, Path};
pub use query::Query;
pub use reader::BitmapReader;
pub use sublog::SubLog;
pub use term::Scalar;
pub use view::BitmapView;

use self::{
    eval::Eval,
    group::Group,
    kind::{Kind, Test},
    node::{Declared, Node, Planner},
    place::Place,
    records::Records,
};
use crate::{
    Call, ErrorKind, Flume, Result,
    codec::{Codec, Document, Field},
    view::{Live, LiveSet},
};

/// A query adds so many views at most: each is a store, and takes one of the places that a database has for views.
const NEW_VIEWS: usize = 64;

/// A handle on the bitmaps of a database: any question about fields of its documents, in any combination. Cheap to clone.
///
/// Each path and kind of question is a view of its own, which is added when it is first asked for (or
/// [prepared](Bitmaps::prepare)) and from then on follows the log as views do: a query waits until its views have caught up,
/// and reads all of them at one position. Several that are new share one pass over the log. After reopening they are found
/// again, with what they had.
///
/// What tells two views apart is the whole definition, with the type of the value: `1`, `"1"`, `null`, `false`, `""` and nothing
/// never share a bitmap.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use flumedb::{Flume, codec::JsonDocs, views::{Bitmaps, Op}};
/// let db = Flume::memory(JsonDocs)?;
/// db.append_all([r#"{"type":"post","likes":3}"#, r#"{"type":"vote"}"#, r#"{"type":"post","likes":7}"#]).await?;
///
/// let bitmaps = Bitmaps::new(&db);
/// let posts = bitmaps.query(Op::equal("type", "post"));
/// assert_eq!(posts.count().await?, 2);
/// let liked = posts.clone().sort("likes").descending().page(1).await?;
/// assert_eq!(liked.seqs[0].get(), 2);
/// # Ok::<(), flumedb::Error>(()) }).unwrap();
/// ```
pub struct Bitmaps<C: Codec> {
    db: Flume<C>,
    cache_bytes: usize,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    declared: Mutex<Declarations>,
    records: Records,
    group: Arc<Group>,
}

#[derive(Clone, Default)]
struct Declarations {
    predicates: HashMap<String, (u32, Test)>,
    numbers: HashMap<String, Number>,
}

impl Declared for Declarations {
    fn predicate(&self, name: &str) -> Option<(u32, Test)> {
        self.predicates.get(name).cloned()
    }

    fn number(&self, name: &str) -> Option<Number> {
        self.numbers.get(name).cloned().or_else(|| Number::known(name))
    }
}

impl<C: Codec> Clone for Bitmaps<C> {
    fn clone(&self) -> Self {
        Self { db: self.db.clone(), cache_bytes: self.cache_bytes, shared: self.shared.clone() }
    }
}

impl<C: Codec<Item: Document>> Bitmaps<C> {
    /// A handle on the bitmaps of `db`. It holds the database as a clone of it does.
    pub fn new(db: &Flume<C>) -> Self {
        Self { db: db.clone(), cache_bytes: BitmapView::<C::Item>::CACHE_BYTES, shared: Arc::default() }
    }

    /// Sets how many bytes of the store of each view are kept in memory, of those that are added from now on through this handle;
    /// 16 MiB unless set. There is one view for each path and kind of question.
    #[must_use]
    pub fn cache_bytes(self, bytes: usize) -> Self {
        Self { cache_bytes: bytes, ..self }
    }

    /// Declares a predicate: a function of what stands at a path, if something does. What it is true of is kept in a bitmap;
    /// raise `version` when the function changes.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use flumedb::{Flume, codec::{Field, JsonDocs}, views::{Bitmaps, Op}};
    /// let db = Flume::memory(JsonDocs)?;
    /// let bitmaps = Bitmaps::new(&db);
    /// bitmaps.predicate("long", 1, |field| matches!(field, Some(Field::Text(text)) if text.len() > 20));
    /// db.append(r#"{"text":"one that is long enough"}"#).await?;
    /// assert_eq!(bitmaps.query(Op::predicate("text", "long")).count().await?, 1);
    /// # Ok::<(), flumedb::Error>(()) }).unwrap();
    /// ```
    pub fn predicate(
        &self,
        name: impl Into<String>,
        version: u32,
        test: impl Fn(Option<Field<'_>>) -> bool + Send + Sync + 'static,
    ) -> &Self {
        self.declared().predicates.insert(name.into(), (version, Arc::new(test)));
        self
    }

    /// Declares a number under a name, for [`Number::Named`] and `"index"` in JSON.
    pub fn number(&self, name: impl Into<String>, number: impl Into<Number>) -> &Self {
        self.declared().numbers.insert(name.into(), number.into());
        self
    }

    /// The entries that `op` is true of: nothing is asked before the query is told what to give.
    pub fn query(&self, op: Op) -> Query<C> {
        Query::new(self.clone(), op)
    }

    /// Adds the views that `op` needs, so that they build before they are asked. Returns when their stores are open. A query may
    /// add 64 at once, and use any number of those that are there.
    ///
    /// # Errors
    /// As [`Query::run`], but for what comes of waiting until they have caught up.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the views that it has added.
    pub fn prepare(&self, op: &Op) -> Call<'_, Result<()>> {
        let op = op.clone();
        Call::new(async move { self.plan(&op, None).await.map(drop) })
    }

    /// The entries that `op` is true of, as a log of their own: read-only, with the names that they have in this database's log,
    /// to be read, subscribed to, and followed by views.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use flumedb::{Flume, codec::JsonDocs, views::{Bitmaps, Op, Reduce}};
    /// let db = Flume::memory(JsonDocs)?;
    /// let posts = Bitmaps::new(&db).sublog(Op::equal("type", "post")).await?;
    /// let posts = Flume::with_log(posts, JsonDocs).await?;
    /// let count = posts.view("count", Reduce::new(1, 0, |count: &mut u64, _: &_| *count += 1)).await?;
    /// db.append_all([r#"{"type":"post"}"#, r#"{"type":"vote"}"#, r#"{"type":"post"}"#]).await?;
    /// assert_eq!(*count.read().await?, 2, "fresh as any view is");
    /// # Ok::<(), flumedb::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    /// As [`Query::run`], and `Unsupported` for an `op` that has to look at entries: a prefix of more than 96 bytes, a value of
    /// more than 128, an index of parts; and for one with record numbers.
    ///
    /// # Cancel safety
    /// As [`Query::run`].
    pub fn sublog(&self, op: Op) -> Call<'_, Result<Arc<SubLog<C::Item>>>> {
        Call::new(async move {
            let plan = self.plan(&op, None).await?;
            SubLog::open(self.db.log().clone(), &op, plan).await
        })
    }

    /// Discards what the views that `op` needs have built, and begins anew from the log; also where they do not open because
    /// their stores cover entries that the log has lost. Returns when it has begun.
    ///
    /// # Errors
    /// As [`prepare`](Bitmaps::prepare).
    ///
    /// # Cancel safety
    /// Dropping the future does not call off what has begun.
    pub fn rebuild(&self, op: &Op) -> Call<'_, Result<()>> {
        let op = op.clone();
        Call::new(async move {
            let (_, _, kinds) = self.kinds(&op, None).await?;
            for live in self.added(kinds)? {
                live.rebuild().await?;
            }
            Ok(())
        })
    }

    fn declared(&self) -> MutexGuard<'_, Declarations> {
        self.shared.declared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Which views answer `op`; they are there then.
    async fn plan(&self, op: &Op, sort: Option<&Number>) -> Result<Plan<C::Item>> {
        let (node, sort, kinds) = self.kinds(op, sort).await?;
        let views = self.views(kinds).await?;
        Ok(Plan { node, sort, views })
    }

    /// How `op` is evaluated, by which view it is sorted, and which views there are to be.
    async fn kinds(&self, op: &Op, sort: Option<&Number>) -> Result<(Node, Option<usize>, Vec<Kind>)> {
        let mut records = Vec::new();
        records::listed(op, &mut records);
        let records = self.shared.records.find(self.db.log(), records).await?;
        let declared = self.declared().clone();
        let find = |numbers: &[u64]| records::pick(&records, numbers);
        let mut planner = Planner { kinds: Vec::new(), declared: &declared, records: &find };
        let node = planner.node(op, &Place::Top)?;
        let sort = sort.map(|number| planner.number(number, &Place::Member(&Place::Top, "sort"))).transpose()?;
        if planner.kinds.is_empty() {
            // Something must say how far the query has come.
            planner.view(Kind::Entries);
        }
        Ok((node, sort, planner.kinds))
    }

    fn view(&self, kind: Kind) -> BitmapView<C::Item> {
        BitmapView::new(kind).cache_bytes(self.cache_bytes).in_group(&self.shared.group)
    }

    /// The views of these kinds, added if they are not there: all of them or, where they are too many, none.
    fn added(&self, kinds: Vec<Kind>) -> Result<Vec<Live<BitmapView<C::Item>>>> {
        let views = kinds.into_iter().map(|kind| (kind.name(), self.view(kind))).collect();
        self.db.host().get_or_add_all(views, NEW_VIEWS)
    }

    /// The same, when they are open.
    async fn views(&self, kinds: Vec<Kind>) -> Result<Vec<Live<BitmapView<C::Item>>>> {
        // All of them before any is waited for, so that they share one pass over the log.
        let views = self.added(kinds)?;
        for live in &views {
            if let Err(error) = live.opened().await {
                // Its name is free for another try, unless it is there and has stopped. What is wrong has been said by `error`.
                if error.kind() != ErrorKind::Closed {
                    drop(self.db.host().remove(live.name()).await);
                }
                return Err(error);
            }
        }
        Ok(views)
    }
}

/// A query and the views that answer it.
struct Plan<T: Document + Send + Sync + 'static> {
    node: Node,
    /// Which view it is sorted by.
    sort: Option<usize>,
    views: Vec<Live<BitmapView<T>>>,
}

impl<T: Document + Send + Sync + 'static> Plan<T> {
    async fn read(self) -> Result<(Arc<Eval<T>>, Option<usize>)> {
        let readers = self.views.as_slice().read_all().await?;
        Ok((Arc::new(Eval { node: Arc::new(self.node), readers, ever: false }), self.sort))
    }
}
