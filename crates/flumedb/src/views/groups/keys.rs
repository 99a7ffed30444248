//! The keys of an entry's groups, as bytes.

use std::sync::Arc;

use crate::{Seq, views::Key};

/// Adds the bytes of each key of an item.
pub(super) type KeysOf<T> = Arc<dyn Fn(&T, &mut Vec<Vec<u8>>) + Send + Sync>;

pub(super) fn keys_of<T, K: Key, I: IntoIterator<Item = K>>(
    keys: impl Fn(&T) -> I + Send + Sync + 'static,
) -> KeysOf<T> {
    Arc::new(move |item, out| {
        for key in keys(item) {
            let mut bytes = Vec::new();
            key.encode(&mut bytes);
            out.push(bytes);
        }
        // An entry is in a group or it is not.
        out.sort_unstable();
        out.dedup();
    })
}

/// The key of a row of parts: the group's, and the entry.
pub(super) fn part_key(key: &[u8], seq: Seq) -> Vec<u8> {
    let mut row = key.to_owned();
    row.extend_from_slice(&seq.get().to_be_bytes());
    row
}

/// Keys one behind the other, each after its length.
pub(super) fn join(keys: &[Vec<u8>]) -> Vec<u8> {
    let mut joined = Vec::new();
    for key in keys {
        joined.extend_from_slice(&(key.len() as u32).to_le_bytes());
        joined.extend_from_slice(key);
    }
    joined
}

/// Takes apart what `join` made.
pub(super) fn split(mut joined: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut keys = Vec::new();
    while !joined.is_empty() {
        let (len, rest) = joined.split_first_chunk()?;
        let (key, rest) = rest.split_at_checked(u32::from_le_bytes(*len) as usize)?;
        keys.push(key.to_owned());
        joined = rest;
    }
    Some(keys)
}

/// The least bytes that are more than all that begin with `prefix`: without the 0xff at its end, and the last byte one more.
pub(super) fn after_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut end = prefix.to_owned();
    while end.last() == Some(&0xff) {
        end.pop();
    }
    *end.last_mut()? += 1;
    Some(end)
}
