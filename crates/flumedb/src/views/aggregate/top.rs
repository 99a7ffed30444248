//! [`TopK`].

use super::{
    Aggregate, Values,
    best::{Best, Rule},
    values,
};
use crate::{
    Seq,
    views::{AsKey, Key},
};

/// The `k` greatest values with the entries that have them, the greatest first, of equal ones the oldest first. Exact.
///
/// For the groups that have most of something ask for [`GroupRows::top`](crate::views::groups::GroupRows::top).
pub struct TopK<T, V> {
    k: usize,
    of: Values<T, V>,
}

impl<T, V: Key> TopK<T, V> {
    /// Of what `of` gives: an `Option`, an array, or anything else to iterate over.
    pub fn new<I: IntoIterator<Item = V>>(k: usize, of: impl Fn(&T) -> I + Send + Sync + 'static) -> Self {
        Self { k, of: values(of) }
    }

    fn rule(&self) -> Rule {
        Rule { greatest: true, kept: self.k.saturating_mul(2) }
    }
}

impl<T: 'static, V: Key> Aggregate<T> for TopK<T, V> {
    type State = Best;
    type Value = Vec<(V, Seq)>;

    fn form(&self) -> String {
        format!("top {} {}", self.k, V::form())
    }

    fn add(&self, state: &mut Best, seq: Seq, item: &T) {
        (self.of)(item, &mut |value| {
            let mut row = Vec::new();
            AsKey::<(V, u64)>::encode(&(value, !seq.get()), &mut row);
            state.add(self.rule(), row, 1);
        });
    }

    fn merge(&self, state: &mut Best, part: &Best) {
        state.merge(self.rule(), part);
    }

    fn subtract(&self, state: &mut Best, part: &Best) -> bool {
        // A part with more values than are kept was cut itself.
        state.subtract(self.rule(), part, self.k)
    }

    fn value(&self, state: &Best) -> Vec<(V, Seq)> {
        let decoded = state.rows().take(self.k).filter_map(|mut row| <(V, u64)>::decode(&mut row));
        decoded.map(|(value, seq)| (value, Seq::new(!seq))).collect()
    }
}
