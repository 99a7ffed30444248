//! Walking the commits of one segment in order, accepting only what the chain of checksums proves.

use super::format::{ALIGN, COMMIT_LEN, Commit, Fault, HEADER_LEN, LogId, RECORD_LEN, Record, SegmentHeader, kind};
use crate::env::planted::{Bug, planted};

/// A place between two commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    /// Where the next commit begins.
    pub(crate) offset: u64,
    /// The checksum of the record before.
    pub(crate) chain: u32,
    /// The seq of the next entry.
    pub(crate) next: u64,
}

impl Position {
    /// Where the first commit of a segment begins.
    pub(crate) fn start(header: &SegmentHeader) -> Self {
        Self { offset: HEADER_LEN as u64, chain: header.chain, next: header.first }
    }
}

/// Why a walk ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Nothing but zeros follows.
    End,
    /// The record that seals the segment follows, whole, and ends here.
    Index { end: u64 },
    /// What follows is no commit, or not a whole one. `offset` is where the first bad record begins.
    Bad { offset: u64, fault: Fault },
}

/// A record of a commit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Item<'a> {
    /// Its seq, if it takes one; else that of the next entry.
    pub(crate) number: u64,
    /// Where it begins in the file.
    pub(crate) offset: u64,
    pub(crate) record: Record<'a>,
}

/// Walks the commits of a segment whose bytes are `bytes`, beginning at `at`, which is moved behind each whole commit
/// once `visit` has seen it. A commit with an entry at or past `limit` ends the walk.
pub(crate) fn walk<'a>(
    bytes: &'a [u8],
    id: LogId,
    limit: u64,
    at: &mut Position,
    mut visit: impl FnMut(&Commit, &[Item<'a>]),
) -> Stop {
    let mut items = Vec::new();
    loop {
        match next_commit(bytes, id, *at, &mut items) {
            Ok(Next::Commit(_, after)) if after.next > limit => return Stop::End,
            Ok(Next::Commit(commit, after)) => {
                visit(&commit, &items);
                *at = after;
            }
            Ok(Next::Stop(stop)) => return stop,
            Err((offset, fault)) => return Stop::Bad { offset, fault },
        }
    }
}

pub(crate) enum Next {
    Commit(Commit, Position),
    Stop(Stop),
}

/// The commit at `at` and its records. On an error `items` holds the records before the bad one.
pub(crate) fn next_commit<'a>(
    bytes: &'a [u8],
    id: LogId,
    at: Position,
    items: &mut Vec<Item<'a>>,
) -> Result<Next, (u64, Fault)> {
    items.clear();
    let rest = bytes.get(at.offset as usize..).unwrap_or_default();
    if rest.get(..RECORD_LEN).unwrap_or(rest).iter().all(|&byte| byte == 0) && rest.iter().all(|&byte| byte == 0) {
        return Ok(Next::Stop(Stop::End));
    }
    let bad = |fault| (at.offset, fault);
    let opening = Record::parse(rest, id.place(at.next)).map_err(bad)?;
    if opening.prev != at.chain {
        return Err(bad(Fault::Bad("it does not follow the record before it")));
    }
    if opening.kind == kind::INDEX {
        return Ok(Next::Stop(Stop::Index { end: at.offset + opening.size as u64 }));
    }
    if opening.kind == kind::GAP {
        // Whole commits that were taken out.
        let count = opening.seqs();
        let next = at.next.checked_add(count).ok_or(bad(Fault::Bad("more entries than there are numbers")))?;
        items.push(Item { number: at.next, offset: at.offset, record: opening });
        let after = Position { offset: at.offset + opening.size as u64, chain: opening.crc, next };
        return Ok(Next::Commit(Commit { first: at.next, count: count as u32, ..Commit::default() }, after));
    }
    let commit = Some(opening.payload)
        .filter(|_| opening.kind == kind::COMMIT)
        .and_then(Commit::decode)
        .filter(|commit| commit.first == at.next)
        .ok_or(bad(Fault::Bad("a record that is no commit")))?;
    let start = opening.size;
    let body = rest.get(start..start + commit.body as usize).ok_or(bad(Fault::Bad("the file ends in a commit")))?;

    let (mut chain, mut number, mut done) = (opening.crc, at.next, 0);
    while done < body.len() {
        let offset = at.offset + (start + done) as u64;
        let bad = |fault| (offset, fault);
        let record = Record::parse(body.get(done..).unwrap_or_default(), id.place(number));
        if planted(Bug::HalfBatch) && !items.is_empty() && record.is_err() {
            return Ok(Next::Commit(commit, Position { offset, chain, next: number }));
        }
        let record = record.map_err(bad)?;
        if record.prev != chain {
            return Err(bad(Fault::Bad("it does not follow the record before it")));
        }
        let known = matches!(
            record.kind,
            kind::ENTRY | kind::TOMBSTONE | kind::NOTE | kind::CARRY | kind::DICTIONARY | kind::GAP
        );
        if !known {
            return Err(bad(Fault::Newer("record kind", record.kind.into())));
        }
        items.push(Item { number, offset, record });
        chain = record.crc;
        number = number.saturating_add(record.seqs());
        done += record.size;
    }
    if done != body.len() || number - at.next != u64::from(commit.count) {
        return Err(bad(Fault::Bad("a commit that is longer or shorter than it says")));
    }
    let after = Position { offset: at.offset + (start + done) as u64, chain, next: number };
    Ok(Next::Commit(commit, after))
}

/// The first whole commit of this log at or after `from`, wherever the chain may be, for which `wanted` holds; where it
/// begins, and the position that leads to it.
pub(crate) fn find_commit(
    bytes: &[u8],
    id: LogId,
    from: u64,
    mut wanted: impl FnMut(&Commit) -> bool,
) -> Option<(Commit, Position)> {
    let mut offset = (from as usize).next_multiple_of(ALIGN);
    while let Some(rest) = bytes.get(offset..).filter(|rest| rest.len() >= RECORD_LEN + COMMIT_LEN) {
        if let Some((commit, chain)) = Commit::sniff(rest, id)
            && wanted(&commit)
        {
            return Some((commit, Position { offset: offset as u64, chain, next: commit.first }));
        }
        offset += ALIGN;
    }
    None
}
