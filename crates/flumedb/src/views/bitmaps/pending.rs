//! [`Pending`], what a view has taken in since it was published last.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    block::halves,
    group::Column,
    interned::Interned,
    kind::{Kind, Paths},
    term::NUMBER_LEN,
};
use crate::{codec::Document, view::Run};

/// An entry's number, and the number that it is compared by.
pub(super) type Measured = (u64, [u8; NUMBER_LEN]);

#[derive(Default)]
pub(super) struct Pending {
    pub(super) terms: Interned,
    /// Which entries have which terms, in order; most logs have one such part.
    pub(super) parts: Vec<Part>,
    pub(super) numbers: Vec<Measured>,
    pub(super) gone: BTreeSet<u64>,
    /// Entries that read otherwise now, with what they have now; `None` if nothing.
    pub(super) anew: BTreeMap<u64, Option<Anew>>,
    scratch: Vec<u8>,
}

/// Entries whose numbers have the same upper half.
pub(super) struct Part {
    pub(super) high: u32,
    /// The number of a term, and the lower half of that of an entry which has it; sometimes one twice in a row.
    pairs: Vec<(u32, u32)>,
}

#[derive(Default)]
pub(super) struct Anew {
    pub(super) terms: BTreeSet<Vec<u8>>,
    pub(super) number: Option<[u8; NUMBER_LEN]>,
}

impl Pending {
    /// Takes in a run, of which `column` has the terms if they have been read.
    pub(super) fn apply<T: Document>(&mut self, kind: &Kind, run: &Run<T>, column: Option<&Column>) {
        let paths = kind.paths();
        for (entry, place) in run.iter().zip(run.offset()..) {
            let seq = entry.seq.get();
            let (high, low) = halves(seq);
            if self.parts.last().is_none_or(|part| part.high != high) {
                self.parts.push(Part { high, pairs: Vec::new() });
            }
            let Some(part) = self.parts.last_mut() else { return };
            let mut take = |term: &[u8]| part.pairs.push((self.terms.number(term), low));
            match column {
                Some(column) => column.term(place).into_iter().for_each(take),
                None => kind.terms(&paths, &entry.value, &mut self.scratch, &mut take),
            }
            if let Some(number) = kind.number(&paths, &entry.value) {
                self.numbers.push((seq, number));
            }
        }
    }

    pub(super) fn reprocess<T: Document>(&mut self, kind: &Kind, paths: &Paths<'_>, seq: u64, item: Option<&T>) {
        let anew = item.map(|item| {
            let mut anew = Anew::default();
            kind.terms(paths, item, &mut self.scratch, &mut |term| {
                anew.terms.insert(term.to_owned());
            });
            anew.number = kind.number(paths, item);
            anew
        });
        self.anew.insert(seq, anew);
    }

    /// About how much memory terms and numbers take.
    pub(super) fn memory(&self) -> usize {
        /// A pair, and where it is once it stands with those of the same term.
        const PAIR: usize = size_of::<(u32, u32)>() + size_of::<u32>();
        let pairs: usize = self.parts.iter().map(|part| part.pairs.len()).sum();
        self.terms.memory() + pairs * PAIR + self.numbers.len() * size_of::<Measured>()
    }

    pub(super) fn clear(&mut self) {
        self.terms.clear();
        self.parts.clear();
        self.numbers.clear();
        self.gone.clear();
        self.anew.clear();
    }
}

impl Part {
    /// The lower halves by term: those of each stand together, from one of the places to the next.
    pub(super) fn by_term(&self, terms: usize) -> ByTerm {
        let mut ends = vec![0; terms];
        for (term, _) in &self.pairs {
            if let Some(count) = ends.get_mut(*term as usize) {
                *count += 1;
            }
        }
        let mut before = 0;
        for end in &mut ends {
            // Where it starts; it moves on with each that is put there.
            before += std::mem::replace(end, before);
        }
        let mut lows = vec![0; self.pairs.len()];
        for (term, low) in &self.pairs {
            if let Some(end) = ends.get_mut(*term as usize) {
                if let Some(place) = lows.get_mut(*end) {
                    *place = *low;
                }
                *end += 1;
            }
        }
        ByTerm { ends, lows }
    }
}

/// Lower halves, those of one term behind those of another.
pub(super) struct ByTerm {
    ends: Vec<usize>,
    lows: Vec<u32>,
}

impl ByTerm {
    pub(super) fn get(&self, term: u32) -> &[u32] {
        let term = term as usize;
        let start = term.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or_default();
        self.ends.get(term).and_then(|end| self.lows.get(start..*end)).unwrap_or_default()
    }
}
