//! [`Chain`], the entries on which `data` and `ofst` agree. Each of the two alone says where entries are, by lengths one
//! after another and by places; where they differ, the other entries around show which is wrong, or neither is believed.

use flumedb::Result;

use super::{
    files::{Files, Journal},
    head::Head,
};
use crate::file::Window;

/// So many places where the files differ are stepped over; what lies behind them is not read.
const MOST_GAPS: usize = 1024;

/// The entries that are proved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Chain {
    count: u64,
    /// Where the last entry ends in `data`.
    end: u64,
    gaps: Vec<Gap>,
    /// The entries that were deleted when they were walked over.
    deleted: Vec<u64>,
    /// Lengths of `ofst` and `data` when they were walked over last.
    seen: (u64, u64),
}

/// Entries of which the files say different things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Gap {
    /// The first of the entries.
    pub(super) from: u64,
    /// The first entry behind them.
    pub(super) to: u64,
    /// Where they start in `data`.
    pub(super) start: u64,
    /// Where they end in `data`.
    pub(super) end: u64,
    /// The lengths in `data` are right, and so many: only `ofst` is wrong.
    pub(super) led: bool,
}

impl Chain {
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    pub(super) fn end(&self) -> u64 {
        self.end
    }

    pub(super) fn gaps(&self) -> &[Gap] {
        &self.gaps
    }

    /// How many entries lie in gaps.
    pub(super) fn in_gaps(&self) -> u64 {
        self.gaps.iter().map(|gap| gap.to - gap.from).sum()
    }

    /// How many entries were deleted when they were walked over.
    pub(super) fn deleted(&self) -> u64 {
        self.deleted.len() as u64
    }

    /// How many of those are `seq` or before it.
    pub(super) fn deleted_up_to(&self, seq: u64) -> u64 {
        self.deleted.partition_point(|&deleted| deleted <= seq) as u64
    }

    /// The first gap that ends behind `seq`.
    pub(super) fn gap_from(&self, seq: u64) -> Option<Gap> {
        self.gaps.get(self.gaps.partition_point(|gap| gap.to <= seq)).copied()
    }

    /// The last gap that begins before `seq`.
    pub(super) fn gap_before(&self, seq: u64) -> Option<Gap> {
        let after = self.gaps.partition_point(|gap| gap.from < seq);
        self.gaps.get(after.checked_sub(1)?).copied()
    }

    /// Adds an entry behind the last one.
    pub(super) fn push(&mut self, head: Head) {
        if head.deleted {
            self.deleted.push(self.count);
        }
        self.end = head.end(self.end);
        self.count += 1;
    }

    /// The entries in the files.
    pub(super) fn walk(files: &Files) -> Result<Self> {
        let mut chain = Self::default();
        chain.extend(files)?;
        Ok(chain)
    }

    /// Walks on behind the last entry.
    pub(super) fn extend(&mut self, files: &Files) -> Result<()> {
        // What a writer adds, it adds to `data` first; so `ofst` is measured first.
        let (words, data) = (files.ofst.len()?, files.data.len()?);
        if self.seen == (words, data) {
            return Ok(());
        }
        let mut walk = Walk {
            words: Window::new(&files.ofst, words),
            heads: Window::new(&files.data, data),
            files,
            count: words / Head::BYTES as u64,
            vouched: match files.journal()? {
                Journal::Count(count) => count,
                Journal::Torn => 0,
                Journal::Damaged => u64::MAX,
            },
            len: data,
            // Each entry once where lengths lead back, and as many where they do not.
            patience: 2 * (words / Head::BYTES as u64),
        };
        while self.count < walk.count {
            if let Some(head) = walk.agreed(self.count, self.end)? {
                self.push(head);
                continue;
            }
            // What was being written when a writer was stopped may be anything.
            let may_be_torn = self.count >= walk.vouched;
            if may_be_torn || self.gaps.len() == MOST_GAPS || !self.step_over(&mut walk)? {
                break;
            }
        }
        // Last, so that what could not be read is looked at again.
        self.seen = (words, data);
        Ok(())
    }

    /// Steps over entries of which the files say different things, to where they agree again.
    fn step_over(&mut self, walk: &mut Walk<'_>) -> Result<bool> {
        let (first, start) = (self.count, self.end);
        if let Some((to, end)) = walk.rejoin(first, start)? {
            let starts_here = walk.word(first)? == Some(start);
            let head = walk.frame(start)?.filter(|_| starts_here);
            // That the first length is wrong may explain as much as that the places behind it are.
            let rival = head.is_some() && walk.leads(first + 1, to, end)?;
            match walk.word(first + 1)? {
                // One fault is likelier than several that fit together.
                Some(second) if rival && to - first > 2 => self.skip(first + 1, second, false),
                _ => {
                    if let Some(head) = head.filter(|_| !rival) {
                        self.push(head);
                    }
                    self.skip(to, end, !rival);
                }
            }
            return Ok(true);
        }
        if let Some((to, end)) = walk.resume(first, start)? {
            self.skip(to, end, false);
            return Ok(true);
        }
        Ok(false)
    }

    fn skip(&mut self, to: u64, end: u64, led: bool) {
        self.gaps.push(Gap { from: self.count, to, start: self.end, end, led });
        (self.count, self.end) = (to, end);
    }
}

/// The files as a walk sees them.
struct Walk<'a> {
    files: &'a Files,
    words: Window<'a>,
    heads: Window<'a>,
    /// How many places `ofst` has.
    count: u64,
    /// How many entries `jrnl` counts: those were whole once.
    vouched: u64,
    /// Length of `data`.
    len: u64,
    /// So many lengths are followed to find where the files agree again.
    patience: u64,
}

impl Walk<'_> {
    /// The entry number `seq`, if it starts at `at` in both files and ends where the next one starts.
    fn agreed(&mut self, seq: u64, at: u64) -> Result<Option<Head>> {
        let (count, len) = (self.count, self.len);
        // What comes after the last one that was whole says nothing against it.
        let last = seq + 1 == count || seq + 1 == self.vouched;
        let words = self.words.from(seq * Head::BYTES as u64, 2 * Head::BYTES)?;
        let (starts, next) = (number(words), words.get(Head::BYTES..).filter(|_| !last).and_then(number));
        if starts != Some(at) {
            return Ok(None);
        }
        let Some(head) = Head::parse(self.heads.from(at, Head::BYTES)?) else { return Ok(None) };
        let end = head.end(at);
        Ok((next.is_none_or(|next| next == end) && end <= len).then_some(head))
    }

    /// Where the lengths from `at` on lead to an entry of which the files agree, or to the end of both: its number and its
    /// place.
    fn rejoin(&mut self, seq: u64, mut at: u64) -> Result<Option<(u64, u64)>> {
        for to in seq + 1..=self.count.min(seq.saturating_add(self.patience)) {
            self.patience -= 1;
            let Some(head) = self.frame(at)? else { return Ok(None) };
            at = head.end(at);
            let joins = match self.word(to)? {
                Some(word) => word == at && self.agrees(to, at)?,
                None => at == self.len,
            };
            if joins {
                return Ok(Some((to, at)));
            }
        }
        Ok(None)
    }

    /// Whether the places from the entry `seq` on are those of entries one after another, up to the entry `to` at `end`.
    fn leads(&self, seq: u64, to: u64, end: u64) -> Result<bool> {
        for seq in seq..to {
            let Some(word) = self.word(seq)?.filter(|&word| word < end) else { return Ok(false) };
            if !self.agrees(seq, word)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The next entry that starts behind `at` and ends where `ofst` says that the one after it starts.
    fn resume(&self, seq: u64, at: u64) -> Result<Option<(u64, u64)>> {
        for to in seq + 1..self.count {
            let room = |word: &u64| word.checked_sub(at).is_some_and(|bytes| bytes / Head::BYTES as u64 >= to - seq);
            if let Some(word) = self.word(to)?.filter(room)
                && self.agrees(to, word)?
            {
                return Ok(Some((to, word)));
            }
        }
        Ok(None)
    }

    /// Whether the entry number `seq`, which starts at `at`, ends where the next one does, or `data`.
    fn agrees(&self, seq: u64, at: u64) -> Result<bool> {
        let Some(head) = self.frame(at)? else { return Ok(false) };
        Ok(self.word(seq + 1)?.unwrap_or(self.len) == head.end(at))
    }

    /// Where `ofst` says that an entry starts.
    fn word(&self, seq: u64) -> Result<Option<u64>> {
        if seq >= self.count {
            return Ok(None);
        }
        Ok(number(&self.files.ofst.up_to(seq * Head::BYTES as u64, Head::BYTES)?))
    }

    /// The length that stands at `at` of `data`, if so many bytes follow.
    fn frame(&self, at: u64) -> Result<Option<Head>> {
        // Where the file was cut since, even a look behind its end can end the program.
        if at > self.len.saturating_sub(Head::BYTES as u64) {
            return Ok(None);
        }
        let head = Head::parse(&self.files.data.up_to(at, Head::BYTES)?);
        Ok(head.filter(|head| head.end(at) <= self.len))
    }
}

/// A number of `ofst`. Negative ones are beyond every file.
pub(super) fn number(bytes: &[u8]) -> Option<u64> {
    bytes.first_chunk().map(|bytes| u64::from_be_bytes(*bytes))
}
