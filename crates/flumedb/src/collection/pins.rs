//! [`Pins`], which positions of the log somebody still reads at: what was current there must not be deleted.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The positions that are read at: each the number behind the newest entry that is seen there.
#[derive(Clone, Default)]
pub(super) struct Pins(Arc<Mutex<Held>>);

#[derive(Default)]
struct Held {
    /// How many there are of each.
    positions: BTreeMap<u64, usize>,
    /// The least that there was since somebody began to look.
    least: Option<u64>,
}

/// A position that is read at for as long as this lives.
pub(super) struct Pin {
    pins: Pins,
    position: u64,
}

impl Pins {
    pub(super) fn pin(&self, position: u64) -> Pin {
        let mut held = self.held();
        *held.positions.entry(position).or_default() += 1;
        held.least = held.least.map(|least| least.min(position));
        Pin { pins: self.clone(), position }
    }

    /// Begins to look for the least position. One looks at a time.
    pub(super) fn look(&self) {
        let mut held = self.held();
        held.least = Some(held.positions.first_key_value().map_or(u64::MAX, |(&position, _)| position));
    }

    /// The least position that there was since.
    pub(super) fn seen(&self) -> u64 {
        self.held().least.take().unwrap_or(0)
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        let mut held = self.pins.held();
        if let Some(count) = held.positions.get_mut(&self.position) {
            *count -= 1;
            if *count == 0 {
                held.positions.remove(&self.position);
            }
        }
    }
}
