//! The keys of an entry's groups, as bytes.

use std::sync::Arc;

use crate::views::Key;

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

/// What an entry has brought: the keys of its groups, each after its length, and its part of each.
pub(super) fn join(keys: &[Vec<u8>], part: &[u8]) -> Vec<u8> {
    let mut row = (keys.len() as u32).to_le_bytes().to_vec();
    for key in keys {
        row.extend_from_slice(&(key.len() as u32).to_le_bytes());
        row.extend_from_slice(key);
    }
    row.extend_from_slice(part);
    row
}

/// Takes apart what `join` made.
pub(super) fn split(row: &[u8]) -> Option<(Vec<&[u8]>, &[u8])> {
    let (count, mut rest) = row.split_first_chunk()?;
    let mut keys = Vec::new();
    for _ in 0..u32::from_le_bytes(*count) {
        let (len, after) = rest.split_first_chunk()?;
        let (key, after) = after.split_at_checked(u32::from_le_bytes(*len) as usize)?;
        keys.push(key);
        rest = after;
    }
    Some((keys, rest))
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
