//! [`Group`], views of one handle that read different fields of the same entries: whoever comes to a run first reads for all that
//! are about to come, in one look at each document.

use std::sync::{
    Arc, Mutex, PoisonError, Weak,
    atomic::{AtomicU64, Ordering},
};

use super::{path::Path, term};
use crate::{Entry, codec::Document, view::Run};

/// Shorter runs are not worth it.
const LEAST: usize = 16;
/// Who is so far behind does not come soon: it has stopped, or reads by itself.
const NEAR: u64 = 1 << 16;
/// So many read together at most: what is read takes memory until all have come past.
const MOST: usize = 8;
/// About as long as terms are.
const COMMON: usize = 64;

/// The views that read values at paths.
#[derive(Default)]
pub(super) struct Group(Mutex<Vec<Weak<Reading>>>);

/// One of them.
struct Reading {
    path: Path,
    /// It has passed the entries before this one.
    next: AtomicU64,
}

/// A place in the group, for as long as it is held.
pub(super) struct Member {
    group: Arc<Group>,
    reading: Arc<Reading>,
}

/// The terms of a run's entries by path.
pub(super) struct Columns(Vec<(Path, Column)>);

/// The terms of entries, one behind the other.
pub(super) struct Column {
    bytes: Vec<u8>,
    /// Where that of each entry ends; where the one before does if it has none.
    ends: Vec<usize>,
}

impl Group {
    /// Takes in a view that has passed the entries before `next`.
    pub(super) fn join(self: &Arc<Self>, path: &Path, next: u64) -> Member {
        let reading = Arc::new(Reading { path: path.clone(), next: AtomicU64::new(next) });
        let mut group = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        group.retain(|reading| reading.strong_count() > 0);
        group.push(Arc::downgrade(&reading));
        Member { group: self.clone(), reading }
    }

    /// The paths of those that are about to come to the entry `seq`.
    fn near(&self, seq: u64) -> Vec<Path> {
        let group = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let near = |reading: &Reading| {
            seq.checked_sub(reading.next.load(Ordering::Relaxed)).is_some_and(|behind| behind <= NEAR)
        };
        let near = group.iter().filter_map(Weak::upgrade).filter(|reading| near(reading)).take(MOST);
        near.map(|reading| reading.path.clone()).collect()
    }
}

impl Member {
    /// What this view reads of a run, if it was read for several.
    pub(super) fn column<'a, T: Document>(&self, run: &'a Run<T>) -> Option<&'a Column> {
        let first = run.first().filter(|_| run.len() >= LEAST)?.seq.get();
        let columns = run.noted(|entries| {
            let paths = self.group.near(first);
            let takes = paths.len().saturating_mul(entries.len()).saturating_mul(COMMON + size_of::<usize>());
            // Alone it leaves the run to others; and what is read takes about as much memory at most as what it is read from.
            let worth = paths.len() > 1 && takes <= run.memory();
            worth.then_some(|entries: &[Entry<T>]| Columns::read(paths, entries))
        })?;
        columns.0.iter().find(|(path, _)| *path == self.reading.path).map(|(_, column)| column)
    }

    pub(super) fn passed<T>(&self, run: &Run<T>) {
        if let Some(last) = run.last() {
            self.reading.next.store(last.seq.get().saturating_add(1), Ordering::Relaxed);
        }
    }
}

impl Columns {
    fn read<T: Document>(paths: Vec<Path>, entries: &[Entry<T>]) -> Self {
        let mut columns: Vec<Column> = paths.iter().map(|_| Column::of(entries.len())).collect();
        let names: Vec<_> = paths.iter().map(Path::names).collect();
        let names: Vec<_> = names.iter().map(Vec::as_slice).collect();
        for entry in entries {
            entry.value.fields(&names, &mut |place, field| {
                if let Some(column) = columns.get_mut(place) {
                    term::append(field.as_ref(), &mut column.bytes);
                    column.ends.push(column.bytes.len());
                }
            });
        }
        Self(paths.into_iter().zip(columns).collect())
    }
}

impl Column {
    /// One with room for so many terms, if they are of common length.
    fn of(terms: usize) -> Self {
        Self { bytes: Vec::with_capacity(terms * COMMON), ends: Vec::with_capacity(terms) }
    }

    /// The term of the entry at a place of the run's memory.
    pub(super) fn term(&self, place: usize) -> Option<&[u8]> {
        let start = place.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or_default();
        self.bytes.get(start..*self.ends.get(place)?).filter(|term| !term.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Seq, codec::JsonDoc, views::bitmaps::kind::Kind};

    fn run(from: u64, len: u64) -> Run<JsonDoc> {
        let texts = [r#"{"a":1,"b":{"c":"x"}}"#, r#"{"b":{"c":[]},"a":""}"#, "7", r#"{"a":{"b":2},"b":null}"#];
        let entry = |number: u64| {
            let text = texts.into_iter().cycle().nth(number as usize).unwrap_or_default();
            JsonDoc::parse(text).ok().map(|value| Entry { seq: Seq::new(number), value })
        };
        Run::new((from..from + len).filter_map(entry).collect::<Vec<_>>()).with_memory(1 << 20)
    }

    /// Guards against terms that are read together otherwise than alone, and for the wrong entries.
    #[test]
    fn read_together_as_alone() {
        let group = Arc::<Group>::default();
        let paths: Vec<Path> = ["a", "b.c", "", "none", "a"].map(Path::from).into();
        let members: Vec<Member> = paths.iter().map(|path| group.join(path, 0)).collect();
        let run = run(0, 40).cut(7, 33);
        for (member, path) in members.iter().zip(&paths) {
            let (column, kind) = (member.column(&run), Kind::Values(path.clone()));
            for (entry, place) in run.iter().zip(run.offset()..) {
                let mut alone = None;
                kind.terms(&kind.paths(), &entry.value, &mut Vec::new(), &mut |term| alone = Some(term.to_owned()));
                assert_eq!(column.map(|column| column.term(place)), Some(alone.as_deref()), "{path} of {place}");
            }
        }
    }

    /// Guards against reading for views that do not come: those that are ahead, have stopped far behind, or are gone.
    #[test]
    fn for_those_that_are_about_to_come() {
        let group = Arc::<Group>::default();
        let near = |seq: u64| group.near(seq).iter().map(Path::to_string).collect::<Vec<_>>();
        let (one, ahead, gone) =
            (group.join(&"one".into(), 0), group.join(&"ahead".into(), 90), group.join(&"gone".into(), 0));
        drop(gone);
        assert_eq!(near(50), ["one"]);
        let shared = run(50, 40);
        assert!(one.column(&shared).is_none(), "it reads by itself");
        let others = Arc::<Group>::default();
        let (two, three) = (others.join(&"two".into(), 50), others.join(&"three".into(), 50));
        assert!(
            two.column(&shared).is_some() && three.column(&shared).is_some(),
            "one that was alone leaves it to others"
        );
        assert_eq!(near(90), ["one", "ahead"]);
        let next = run(90, 40);
        assert!(one.column(&next).is_some() && ahead.column(&next).is_some());
        one.passed(&next);
        assert_eq!(near(100), ["ahead"]);
        assert_eq!(near(90 + NEAR + 1), ["one"]);
    }
}
