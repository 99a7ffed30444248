//! [`Sort`], the argument of `$sort`.

use std::cmp::Ordering;

use serde_json::Value;

use super::{
    Compat, Row,
    budget::{Budget, weigh},
    order::compare_found,
    path::Path,
    place::Place,
    tree::Tree,
};
use crate::{Result, codec::Document};

/// By what stands at paths, the first path first; what is alike stays in the order in which it came.
#[derive(Clone, Debug)]
pub(super) struct Sort {
    /// Whether the greatest comes first.
    paths: Vec<(Path, bool)>,
    compat: Compat,
}

/// Rows that wait to be sorted, with what they are sorted by.
#[derive(Debug, Default)]
pub(super) struct Sorted(Vec<(Vec<Option<Value>>, Row)>);

impl Sort {
    pub(super) fn parse(tree: &Tree, place: &Place<'_>, compat: Compat) -> Result<Self> {
        let Tree::List(list) = tree else {
            return Err(place.error(format!("$sort takes a list of paths, not {tree}")));
        };
        let mut paths = Vec::new();
        // In the originals what was turned round stays so for the paths that follow.
        let mut turned = false;
        for (index, tree) in list.iter().enumerate() {
            let place = place.item(index);
            match tree {
                Tree::Object(members) => match members.as_slice() {
                    [(name, path)] if name == "$reverse" => {
                        turned = true;
                        paths.push((Path::parse(path, &place.member(name))?, true));
                    }
                    _ => return Err(place.error(format!("{tree} is no path; a path or {{\"$reverse\": path}} is"))),
                },
                path => {
                    paths.push((Path::parse(path, &place)?, turned && compat == Compat::Originals));
                }
            }
        }
        Ok(Self { paths, compat })
    }

    pub(super) fn push(&self, sorted: &mut Sorted, row: Row, budget: &mut Budget) -> Result<()> {
        /// About what a row takes beside its value.
        const ROW: usize = 80;
        let doc: &dyn Document = &row.value;
        // In the originals null comes last, as if it were missing.
        let counts = |key: &Value| self.compat == Compat::Corrected || !key.is_null();
        let keys: Vec<_> = self.paths.iter().map(|(path, _)| path.value(Some(doc)).filter(counts)).collect();
        let weight = weigh(&row.value) + keys.iter().flatten().map(weigh).sum::<usize>();
        budget.take(ROW + weight, "rows of a $sort")?;
        sorted.0.push((keys, row));
        Ok(())
    }

    pub(super) fn finish(&self, mut sorted: Sorted) -> impl Iterator<Item = Row> + Send + use<> {
        sorted.0.sort_by(|(one, _), (two, _)| {
            let keys = self.paths.iter().zip(one.iter().zip(two));
            let orders = keys.map(|((_, reverse), (one, two))| {
                let order = compare_found(one.as_ref(), two.as_ref(), self.compat);
                if *reverse { order.reverse() } else { order }
            });
            orders.into_iter().find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
        });
        sorted.0.into_iter().map(|(_, row)| row)
    }
}
