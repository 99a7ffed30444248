//! [`Count`].

use super::Aggregate;
use crate::Seq;

/// How many entries there are.
#[derive(Clone, Copy, Debug, Default)]
pub struct Count;

impl<T> Aggregate<T> for Count {
    type State = u64;
    type Value = u64;

    fn form(&self) -> String {
        "count".to_owned()
    }

    fn add(&self, state: &mut u64, _: Seq, _: &T) {
        *state += 1;
    }

    fn merge(&self, state: &mut u64, part: &u64) {
        *state += part;
    }

    fn subtract(&self, state: &mut u64, part: &u64) -> bool {
        let rest = state.checked_sub(*part);
        *state = rest.unwrap_or_default();
        rest.is_some()
    }

    fn value(&self, state: &u64) -> u64 {
        *state
    }
}
