//! How far others are by who follows whom and who blocks whom, as Scuttlebutt counts.

use std::collections::{BTreeMap, HashMap, hash_map};

use super::{Graph, Way};
use crate::{Result, Seq};

/// What somebody says of somebody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stance {
    /// Follows: one hop further.
    Follow,
    /// Blocks.
    Block,
    /// Neither any more.
    Neither,
}

/// How far somebody is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Distance {
    /// Who.
    pub node: String,
    /// Hops; below zero for those who are kept out: -1 is blocked by the start, -2 blocked by somebody whom the start follows,
    /// or not followed any more by the start, and so on.
    pub hops: i64,
}

impl<T: Send + Sync + 'static> Graph<T> {
    /// How far everybody is from `start`, nearest first, then followed before kept out, then by name.
    ///
    /// `stance` says what a kind of link means, `None` for one that says nothing of this. The newest statement of one about
    /// another counts. A node at distance `d`, from 0 to before `max`, puts whom it follows at `d + 1`, whom it blocks at
    /// `-(d + 1)`, and of whom it says neither at `-(d + 2)`. The distance nearest to 0 counts; if two are equally near,
    /// following does. Those below zero lead nowhere. The kinds that [`rel`](Graph::rel) asks for play no part.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use flumedb::{Flume, codec::Utf8, views::{Link, Links, links::Stance}};
    /// let db = Flume::memory(Utf8)?;
    /// let links = Links::new(1, |line: &String| match line.split(' ').collect::<Vec<_>>()[..] {
    ///     [source, rel, dest] => Some(Link::new(source, rel, dest)),
    ///     _ => None,
    /// });
    /// let links = db.view("links", links).await?;
    /// db.append_all(["me follow ann", "ann follow bob", "ann follow eve", "me block eve"]).await?;
    /// let stance = |rel: &str| match rel {
    ///     "follow" => Some(Stance::Follow),
    ///     "block" => Some(Stance::Block),
    ///     _ => None,
    /// };
    /// let far = links.read().await?.graph().distances_from("me", 3, stance)?;
    /// let far: Vec<_> = far.iter().map(|one| (one.node.as_str(), one.hops)).collect();
    /// assert_eq!(far, [("me", 0), ("ann", 1), ("eve", -1), ("bob", 2)]);
    /// # Ok::<(), flumedb::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    /// As [`neighbours`](Graph::neighbours).
    pub fn distances_from(
        &self,
        start: &str,
        max: u32,
        stance: impl Fn(&str) -> Option<Stance>,
    ) -> Result<Vec<Distance>> {
        self.distances(start, max, Way::Out, &stance)
    }

    /// How far `start` is from everybody: the same, with every statement turned around.
    ///
    /// # Errors
    /// As [`neighbours`](Graph::neighbours).
    pub fn distances_to(
        &self,
        start: &str,
        max: u32,
        stance: impl Fn(&str) -> Option<Stance>,
    ) -> Result<Vec<Distance>> {
        self.distances(start, max, Way::In, &stance)
    }

    fn distances(
        &self,
        start: &str,
        max: u32,
        way: Way,
        stance: &dyn Fn(&str) -> Option<Stance>,
    ) -> Result<Vec<Distance>> {
        let mut hops = HashMap::from([(start.to_owned(), 0_i64)]);
        let mut edge = vec![start.to_owned()];
        for far in 0..i64::from(max) {
            let mut touched = Vec::new();
            for node in &edge {
                for (other, stance) in self.stances(node, way, stance)? {
                    let found = match stance {
                        Stance::Follow => far + 1,
                        Stance::Block => -(far + 1),
                        Stance::Neither => -(far + 2),
                    };
                    self.room(hops.len() + 1, start)?;
                    match hops.entry(other) {
                        hash_map::Entry::Occupied(mut known) if nearer(found, *known.get()) => {
                            touched.push(known.key().clone());
                            known.insert(found);
                        }
                        hash_map::Entry::Occupied(_) => {}
                        hash_map::Entry::Vacant(unknown) => {
                            touched.push(unknown.key().clone());
                            unknown.insert(found);
                        }
                    }
                }
            }
            // One that was followed first and blocked at the same distance later is followed still, and here once or twice.
            touched.sort_unstable();
            touched.dedup();
            edge = touched.into_iter().filter(|node| hops.get(node) == Some(&(far + 1))).collect();
            if edge.is_empty() {
                break;
            }
        }
        let mut distances: Vec<Distance> = hops.into_iter().map(|(node, hops)| Distance { node, hops }).collect();
        distances.sort_unstable_by(|one, two| {
            (one.hops.abs(), one.hops < 0, &one.node).cmp(&(two.hops.abs(), two.hops < 0, &two.node))
        });
        Ok(distances)
    }

    /// The newest statement of (or about) a node about (or of) each other one.
    fn stances(
        &self,
        node: &str,
        way: Way,
        stance: &dyn Fn(&str) -> Option<Stance>,
    ) -> Result<BTreeMap<String, Stance>> {
        let mut newest: BTreeMap<String, ((Seq, u32), Stance)> = BTreeMap::new();
        for edge in super::edges::edges(&self.reader, &[], node, way) {
            let edge = edge?;
            let Some(stance) = stance(&edge.rel) else { continue };
            let place = (edge.seq, edge.position);
            let other = if way == Way::In { edge.source } else { edge.dest };
            match newest.get_mut(&other) {
                Some(known) if place > known.0 => *known = (place, stance),
                Some(_) => {}
                None => {
                    self.room(newest.len() + 1, node)?;
                    newest.insert(other, (place, stance));
                }
            }
        }
        Ok(newest.into_iter().map(|(other, (_, stance))| (other, stance)).collect())
    }
}

/// Whether the first counts and the second does not.
fn nearer(one: i64, two: i64) -> bool {
    (one.abs(), one < 0) < (two.abs(), two < 0)
}
