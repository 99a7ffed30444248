//! [`Pending`], what a view has taken in since it was published last.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use foldhash::quality::RandomState;

use super::{
    kind::{Kind, Paths},
    term::NUMBER_LEN,
};
use crate::{codec::Document, view::Run};

/// An entry's number, and the number that it is compared by.
pub(super) type Measured = (u64, [u8; NUMBER_LEN]);

#[derive(Default)]
pub(super) struct Pending {
    /// The entries with each term, in order; sometimes one twice in a row.
    pub(super) terms: HashMap<Vec<u8>, Vec<u64>, RandomState>,
    pub(super) numbers: Vec<Measured>,
    pub(super) gone: BTreeSet<u64>,
    /// Entries that read otherwise now, with what they have now; `None` if nothing.
    pub(super) anew: BTreeMap<u64, Option<Anew>>,
    scratch: Vec<u8>,
    /// About how much memory terms and numbers take.
    memory: usize,
}

/// What a term takes besides its bytes and those of its entries.
const TERM_BYTES: usize = 96;

#[derive(Default)]
pub(super) struct Anew {
    pub(super) terms: BTreeSet<Vec<u8>>,
    pub(super) number: Option<[u8; NUMBER_LEN]>,
}

impl Pending {
    pub(super) fn apply<T: Document>(&mut self, kind: &Kind, run: &Run<T>) {
        let paths = kind.paths();
        for entry in run.iter() {
            let seq = entry.seq.get();
            kind.terms(&paths, &entry.value, &mut self.scratch, &mut |term| {
                self.memory += size_of::<u64>();
                match self.terms.get_mut(term) {
                    Some(seqs) => seqs.push(seq),
                    None => {
                        self.memory += TERM_BYTES + term.len();
                        self.terms.insert(term.to_owned(), vec![seq]);
                    }
                }
            });
            if let Some(number) = kind.number(&paths, &entry.value) {
                self.numbers.push((seq, number));
                self.memory += size_of::<Measured>();
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

    pub(super) fn memory(&self) -> usize {
        self.memory
    }

    pub(super) fn clear(&mut self) {
        self.memory = 0;
        self.terms.clear();
        self.numbers.clear();
        self.gone.clear();
        self.anew.clear();
    }
}
