//! The shortest way from one node to another.

use std::collections::HashMap;

use super::{Edge, Graph};
use crate::{Result, views::links::LinkRow};

impl<T: Send + Sync + 'static> Graph<T> {
    /// The fewest links that lead from `start` to `end`, in order; none if they are the same, `None` if no way leads there.
    /// Of several that are equally short, that whose nodes come first by name, step by step from the start; of several links
    /// between two nodes, the first by kind and entry.
    ///
    /// # Errors
    /// As [`neighbours`](Graph::neighbours).
    pub fn shortest_path(&self, start: &str, end: &str) -> Result<Option<Vec<LinkRow>>> {
        // From where, and by which link, each node was reached first.
        let mut seen: HashMap<String, Option<(usize, Edge)>> = HashMap::from([(start.to_owned(), None)]);
        let mut order = vec![start.to_owned()];
        let mut at = 0;
        while !seen.contains_key(end) {
            let Some(from) = order.get(at).cloned() else { return Ok(None) };
            for (node, edge) in self.next_to(&from, self.way)? {
                if !seen.contains_key(&node) {
                    self.room(seen.len() + 1, start)?;
                    seen.insert(node.clone(), Some((at, edge)));
                    order.push(node);
                }
            }
            at += 1;
        }
        let (mut path, mut node) = (Vec::new(), end);
        while let Some(Some((from, edge))) = seen.get(node) {
            let link = self.reader.tables().link((edge.seq.get(), edge.position))?;
            path.push(LinkRow { seq: edge.seq, link });
            let Some(before) = order.get(*from) else { break };
            node = before;
        }
        path.reverse();
        Ok(Some(path))
    }
}
