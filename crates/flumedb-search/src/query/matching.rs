//! Whether a text has what is looked for, told from the text alone: for marks in snippets, and for whatever has no index.

use super::{Clause, Query};
use crate::words::Word;

impl Clause {
    /// The places among `words` (those of one text) where the clause's words begin.
    pub(crate) fn places<'a>(&'a self, words: &'a [Word]) -> impl Iterator<Item = usize> + 'a {
        let last = self.words.len().saturating_sub(1);
        words.windows(self.words.len().max(1)).enumerate().filter_map(move |(at, window)| {
            let all = self.words.iter().zip(window).enumerate().all(|(number, (wanted, word))| {
                if self.prefix && number == last { word.form.starts_with(wanted) } else { word.form == *wanted }
            });
            all.then_some(at)
        })
    }
}

/// Which of the words of a text in field `field` are looked for, by the number of the clause that does.
pub(crate) fn matched(query: &Query, field: usize, words: &[Word]) -> Vec<Option<usize>> {
    let mut marks = vec![None; words.len()];
    for (number, clause) in query.clauses.iter().enumerate() {
        if clause.excluded || clause.field.is_some_and(|only| only != field) {
            continue;
        }
        for at in clause.places(words) {
            marks.iter_mut().skip(at).take(clause.words.len()).for_each(|mark| *mark = Some(number));
        }
    }
    marks
}
