//! [`within`], the values in a list that an index may ask for: its items, the same field of each, or, as jitdb's `pluck` is in
//! no file's name, any field of each.

use std::collections::HashMap;

use flumedb::codec::{Document, Field};

use super::scalar::Scalar;
use crate::bipf::Value;

/// A value that stands in a list.
pub(super) struct Found {
    pub(super) name: String,
    pub(super) scalar: Scalar,
    /// The field of the items that it is in; empty: it is an item, or where the path said.
    pub(super) pluck: String,
    /// No item before the last has it.
    pub(super) is_last: bool,
}

/// The values in `list` whose names are asked for, each once. `inside`: where in the items to look.
pub(super) fn within<T>(list: Value<'_>, inside: &[&str], names: &HashMap<String, T>) -> Vec<Found> {
    let (mut found, mut firsts, mut items) = (Vec::<Found>::new(), Vec::new(), 0_usize);
    for item in list.values() {
        let mut see = |field: &Field<'_>, pluck: &str| {
            let name = Scalar::name_of(field).filter(|name| names.contains_key(name));
            let Some((name, scalar)) = name.zip(Scalar::of(field)) else { return };
            if found.iter().all(|known| known.scalar != scalar || known.pluck != pluck) {
                found.push(Found { name, scalar, pluck: pluck.to_owned(), is_last: false });
                firsts.push(items);
            }
        };
        match item.field(inside) {
            Some(Field::Object) if inside.is_empty() => {
                for (name, value) in item.members() {
                    if let (Some(pluck), Some(field)) = (name.text(), value.field(&[])) {
                        see(&field, pluck);
                    }
                }
            }
            Some(field) => see(&field, ""),
            None => {}
        }
        items += 1;
    }
    for (found, first) in found.iter_mut().zip(firsts) {
        found.is_last = first + 1 == items;
    }
    found
}
