//! [`Groups`], the state of each group, in the order of what its values have in common.

use std::{cmp::Ordering, collections::BTreeMap};

use serde_json::Value;

use super::State;
use crate::{
    Result,
    mfr::{
        Compat,
        budget::{Budget, weigh},
        order::compare_found,
    },
};

#[derive(Debug)]
pub(in crate::mfr) struct Groups {
    states: BTreeMap<Key, State>,
    compat: Compat,
}

#[derive(Debug)]
struct Key {
    parts: Vec<Option<Value>>,
    compat: Compat,
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        let parts = self.parts.iter().zip(&other.parts);
        parts
            .map(|(one, two)| compare_found(one.as_ref(), two.as_ref(), self.compat))
            .find(|order| order.is_ne())
            .unwrap_or(Ordering::Equal)
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Key {}

impl Groups {
    pub(super) fn new(compat: Compat) -> Self {
        Self { states: BTreeMap::new(), compat }
    }

    /// The state of the group with these keys, which takes so many bytes beside them.
    pub(super) fn of(
        &mut self,
        parts: Vec<Option<Value>>,
        state_bytes: usize,
        budget: &mut Budget,
        start: impl FnOnce(&[Option<Value>]) -> State,
    ) -> Result<&mut State> {
        /// About what a group takes beside its state and its keys, which it keeps twice.
        const GROUP: usize = 200;
        let key = Key { parts, compat: self.compat };
        if !self.states.contains_key(&key) {
            let keys: usize = key.parts.iter().flatten().map(weigh).sum();
            budget.take(GROUP.saturating_add(state_bytes).saturating_add(2 * keys), "groups of a $reduce")?;
        }
        Ok(match self.states.entry(key) {
            std::collections::btree_map::Entry::Occupied(state) => state.into_mut(),
            std::collections::btree_map::Entry::Vacant(place) => {
                let state = start(&place.key().parts);
                place.insert(state)
            }
        })
    }

    pub(super) fn into_states(self) -> impl Iterator<Item = State> + Send {
        self.states.into_values()
    }
}
