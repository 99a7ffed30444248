//! [`Graph`], links as a graph: texts are the nodes, links lead from one to another. All of it runs on a reader's snapshot, walks
//! no further than asked, holds no more nodes than allowed, and gives the same answer in the same order each time.

mod distance;
mod edges;
mod path;

use std::collections::{BTreeMap, HashMap};

pub use distance::{Distance, Stance};

use super::LinksReader;
use crate::{Error, Result, Seq};

/// The graph that links make.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use flumedb::{Flume, codec::Utf8, views::{Link, Links, links::Way}};
/// let db = Flume::memory(Utf8)?;
/// let roads = Links::new(1, |line: &String| line.split_once('-').map(|(one, two)| Link::new(one, "road", two)));
/// let roads = db.view("roads", roads).await?;
/// db.append_all(["rome-pisa", "pisa-genoa", "genoa-nice", "rome-milan", "milan-nice"]).await?;
///
/// let graph = roads.read().await?.graph();
/// assert_eq!(graph.neighbours("pisa", Way::Both)?, ["genoa", "rome"]);
/// let way = graph.shortest_path("rome", "nice")?.unwrap();
/// assert_eq!(way.iter().map(|row| row.link.dest.as_str()).collect::<Vec<_>>(), ["milan", "nice"]);
/// # Ok::<(), flumedb::Error>(()) }).unwrap();
/// ```
pub struct Graph<T> {
    reader: LinksReader<T>,
    rels: Vec<String>,
    way: Way,
    max_nodes: usize,
}

impl<T> Clone for Graph<T> {
    fn clone(&self) -> Self {
        Self { reader: self.reader.clone(), rels: self.rels.clone(), way: self.way, max_nodes: self.max_nodes }
    }
}

/// In which direction links are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From source to dest.
    Out,
    /// From dest to source.
    In,
    /// Either.
    Both,
}

/// A link without its further fields.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edge {
    /// Where it starts.
    pub source: String,
    /// Its kind.
    pub rel: String,
    /// Where it leads.
    pub dest: String,
    /// The entry that says it.
    pub seq: Seq,
    /// Which of the entry's rows.
    pub(super) position: u32,
}

/// A node that was reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reached {
    /// The node.
    pub node: String,
    /// Over how many links.
    pub hops: u32,
}

impl<T: Send + Sync + 'static> Graph<T> {
    /// How many nodes are held at once, unless [`max_nodes`](Graph::max_nodes) says otherwise.
    pub const MAX_NODES: usize = 100_000;

    pub(super) fn new(reader: LinksReader<T>) -> Self {
        Self { reader, rels: Vec::new(), way: Way::Out, max_nodes: Self::MAX_NODES }
    }

    /// Only links of this kind, and of others that were asked for like this.
    #[must_use]
    pub fn rel(mut self, rel: impl Into<String>) -> Self {
        self.rels.push(rel.into());
        self
    }

    /// In which direction [`within`](Graph::within) and [`shortest_path`](Graph::shortest_path) follow links; from source to
    /// dest unless this says otherwise.
    #[must_use]
    pub fn way(mut self, way: Way) -> Self {
        self.way = way;
        self
    }

    /// How many nodes a question may hold in memory at once. One that needs more ends with an error.
    #[must_use]
    pub fn max_nodes(mut self, nodes: usize) -> Self {
        self.max_nodes = nodes;
        self
    }

    /// The links at a node, by kind and other end: those that start there, then those that lead there. A link from a node to
    /// itself is both.
    pub fn edges(&self, node: &str, way: Way) -> impl Iterator<Item = Result<Edge>> + use<T> {
        edges::edges(&self.reader, &self.rels, node, way)
    }

    /// The nodes next to a node, by name, each once.
    ///
    /// # Errors
    /// `LimitExceeded` if there are more than [`max_nodes`](Graph::max_nodes); `Corrupt` or `Io`, as the store says.
    pub fn neighbours(&self, node: &str, way: Way) -> Result<Vec<String>> {
        Ok(self.next_to(node, way)?.into_keys().collect())
    }

    /// The nodes that can be reached from `start` over at most `hops` links, with the least number of links to each: nearest
    /// first, then by name. `start` itself is the first, at 0.
    ///
    /// # Errors
    /// As [`neighbours`](Graph::neighbours).
    pub fn within(&self, start: &str, hops: u32) -> Result<Vec<Reached>> {
        let mut seen = HashMap::from([(start.to_owned(), 0)]);
        let mut reached = vec![Reached { node: start.to_owned(), hops: 0 }];
        let mut edge = 0;
        for far in 1..=hops {
            let mut next = Vec::new();
            for at in edge..reached.len() {
                let Some(from) = reached.get(at) else { break };
                for node in self.next_to(&from.node, self.way)?.into_keys() {
                    if !seen.contains_key(&node) {
                        self.room(seen.len() + 1, start)?;
                        seen.insert(node.clone(), far);
                        next.push(Reached { node, hops: far });
                    }
                }
            }
            if next.is_empty() {
                break;
            }
            next.sort_unstable_by(|one, two| one.node.cmp(&two.node));
            edge = reached.len();
            reached.append(&mut next);
        }
        Ok(reached)
    }

    /// The nodes next to a node, by name, with the first link to each.
    fn next_to(&self, node: &str, way: Way) -> Result<BTreeMap<String, Edge>> {
        let mut next = BTreeMap::new();
        for edge in self.edges(node, way) {
            let edge = edge?;
            let other = if edge.source == node { &edge.dest } else { &edge.source };
            if !next.contains_key(other) {
                self.room(next.len() + 1, node)?;
                next.insert(other.clone(), edge);
            }
        }
        Ok(next)
    }

    /// Whether so many nodes may be held.
    fn room(&self, nodes: usize, start: &str) -> Result<()> {
        if nodes <= self.max_nodes {
            return Ok(());
        }
        let message = format!(
            "more than {} nodes are reached from {start:?}; ask for fewer hops or for links of one kind",
            self.max_nodes
        );
        Err(Error::over_limit(message, "max_nodes"))
    }
}
