//! The order of the members of an object that was JSON text, as JavaScript has it.

use std::collections::BTreeMap;

/// Where a member has been written: its name, then its value up to the next member.
#[derive(Clone, Copy)]
pub(super) struct Member {
    pub(super) name: usize,
    pub(super) value: usize,
}

/// Objects of so many members are compared name by name before anything is set up.
const FEW: usize = 24;

/// Brings the members that have been written since `start` into the order in which JavaScript lists them: names that are
/// array indices first, ascending, then the others as they came. Of a name the last counts, at the place of the first.
pub(super) fn arrange(out: &mut Vec<u8>, start: usize, members: &[Member]) {
    let name = |member: &Member| out.get(member.name..member.value).unwrap_or_default();
    let none_is_index = members.iter().all(|member| index(name(member)).is_none());
    let few_and_distinct = members.len() <= FEW
        && (1..).zip(members).all(|(next, one)| members.iter().skip(next).all(|two| name(one) != name(two)));
    if none_is_index && few_and_distinct {
        return;
    }

    let ends = members.iter().skip(1).map(|next| next.name).chain([out.len()]);
    let mut kept = Vec::with_capacity(members.len());
    let mut places = BTreeMap::new();
    for (member, end) in members.iter().zip(ends) {
        let place = *places.entry(name(member)).or_insert(kept.len());
        let bytes = out.get(member.name..end).unwrap_or_default();
        match kept.get_mut(place) {
            Some((_, earlier)) => *earlier = bytes,
            None => kept.push((index(name(member)), bytes)),
        }
    }
    kept.sort_by_key(|(index, _)| index.map_or(u64::MAX, u64::from));
    let body: Vec<u8> = kept.iter().flat_map(|(_, bytes)| *bytes).copied().collect();
    out.truncate(start);
    out.extend_from_slice(&body);
}

/// The array index that a name is, with its tag: a number without needless zeros, below the largest of 32 bits.
fn index(name: &[u8]) -> Option<u32> {
    let (_, digits) = name.split_first()?;
    let canonical = match digits {
        [b'0'] => true,
        [b'1'..=b'9', rest @ ..] => rest.len() < 10 && rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    let number = if canonical { str::from_utf8(digits).ok()?.parse().ok()? } else { return None };
    (number != u32::MAX).then_some(number)
}
