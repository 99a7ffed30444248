//! [`Query`], a set of indexes that the query language [`mfr`](crate::mfr) is asked through.
//!
//! Each index is a view of its own. A query goes to the one that fits its first filter best, and every entry that it leads
//! to is held against the whole filter; so what is found does not depend on which indexes there are.

mod ask;
mod declare;
mod explain;
mod key;
mod plan;
mod rows;
mod view;

use std::{collections::BTreeMap, sync::Arc};

pub use ask::{Ask, Followed, Told};
pub use declare::IndexOn;
pub use explain::{Bounds, Explain};
pub use rows::Rows;
pub use view::{QueryIndex, QueryReader};

use crate::{
    Call, Error, ErrorKind, Flume, Result,
    codec::{Codec, Document},
    mfr::Pipeline,
    view::Live,
};

/// A database with indexes for queries: a handle, cheap to clone.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use flumedb::{Flume, codec::JsonDocs, mfr::Pipeline, views::{IndexOn, Query}};
///
/// let db = Flume::memory(JsonDocs)?;
/// let posts = Query::open(&db, "posts", [IndexOn::new("author", [["author"], ["likes"]])]).await?;
/// db.append_all([r#"{"author":"alice","likes":3}"#, r#"{"author":"bob","likes":4}"#]).await?;
///
/// let query = Pipeline::parse(r#"[{"$filter": {"author": "alice", "likes": {"$gt": 2}}}, {"$map": "likes"}]"#)?;
/// let mut rows = posts.ask(&query).limit(10).rows();
/// assert_eq!(rows.next().await.unwrap()?.value, 3);
/// assert!(rows.next().await.is_none());
///
/// let explain = posts.ask(&query).explain().await?;
/// assert_eq!((explain.index.as_deref(), explain.rows), (Some("author"), 1));
/// # Ok::<(), flumedb::Error>(()) }).unwrap();
/// ```
pub struct Query<C: Codec>
where
    C::Item: Document,
{
    db: Flume<C>,
    indexes: Arc<[Declared<C::Item>]>,
}

struct Declared<T: Document + Send + Sync + 'static> {
    on: IndexOn,
    live: Live<QueryIndex<T>>,
}

impl<C: Codec> Clone for Query<C>
where
    C::Item: Document,
{
    fn clone(&self) -> Self {
        Self { db: self.db.clone(), indexes: self.indexes.clone() }
    }
}

impl<C: Codec> Query<C>
where
    C::Item: Document,
{
    /// Adds a view to the database for each index, called after the set and the index, unless that view is there already.
    /// Without indexes every query looks at the whole log.
    ///
    /// # Errors
    /// As [`Flume::view`]; `Invalid` also for an index without paths.
    ///
    /// # Cancel safety
    /// As [`Flume::view`]; indexes that were added stay.
    pub fn open<'a>(
        db: &'a Flume<C>,
        name: &'a str,
        indexes: impl IntoIterator<Item = IndexOn>,
    ) -> Call<'a, Result<Self>> {
        let indexes: Vec<IndexOn> = indexes.into_iter().collect();
        Call::new(async move {
            let host = db.host();
            // All of them before any is waited for, so that they share one pass over the log.
            let add = |on: IndexOn| {
                let live = host.get_or_add(&format!("{name}-{}", on.name), QueryIndex::new(on.clone())?)?;
                Ok(Declared { on, live })
            };
            let declared = indexes.into_iter().map(add).collect::<Result<Vec<_>>>()?;
            for Declared { live, .. } in &declared {
                if let Err(error) = live.opened().await {
                    // The name is free for another try. What is wrong has been said by `error`.
                    if error.kind() != ErrorKind::Closed {
                        drop(host.remove(live.name()).await);
                    }
                    return Err(error);
                }
            }
            Ok(Self { db: db.clone(), indexes: declared.into() })
        })
    }

    /// Asks a query.
    pub fn ask(&self, query: &Pipeline) -> Ask<C> {
        Ask::new(self.clone(), query.clone())
    }

    /// The views of the indexes, in the order in which they were declared.
    pub fn views(&self) -> impl Iterator<Item = &Live<QueryIndex<C::Item>>> {
        self.indexes.iter().map(|declared| &declared.live)
    }

    /// The index that fits best; of those that fit alike, the first.
    fn chosen(&self, query: &Pipeline) -> Option<usize> {
        let scores = self.indexes.iter().map(|declared| plan::score(&declared.on, query)).enumerate();
        let best = scores.filter(|(_, score)| *score > 0).rev().max_by_key(|(_, score)| *score);
        best.map(|(index, _)| index)
    }

    fn scores(&self, query: &Pipeline) -> BTreeMap<String, u32> {
        let score = |declared: &Declared<C::Item>| (declared.on.name.clone(), plan::score(&declared.on, query));
        self.indexes.iter().map(score).filter(|(_, score)| *score > 0).collect()
    }

    fn live(&self, index: usize) -> Result<&Live<QueryIndex<C::Item>>> {
        Ok(&self.indexes.get(index).ok_or_else(Error::closed)?.live)
    }

    /// How many entries the log has.
    async fn count(&self) -> Result<u64> {
        let Some(head) = self.db.barrier().await? else { return Ok(0) };
        let (mut entries, mut count) = (self.db.scan(..=head).raw(), 0);
        while let Some(entry) = entries.next().await {
            match entry {
                Ok(_) => count += 1,
                Err(error) if error.seq().is_some() => count += 1,
                Err(error) => return Err(error),
            }
        }
        Ok(count)
    }
}
