//! [`Stats`], what scores are computed from. Deleted entries do not count, so that scores are those of an index built
//! without them.

use tantivy::{
    DocSet, TERMINATED, Term,
    fieldnorm::FieldNormReader,
    query::{Bm25StatisticsProvider, Bm25Weight},
    schema::{Field, IndexRecordOption},
};

use crate::{
    query::Clause,
    store::{Form, Part, recent::Recent},
};

pub(super) struct Stats<'a> {
    parts: &'a [Part],
    recent: &'a Recent,
    form: &'a Form,
    docs: u64,
    /// How many words there are in each field.
    lengths: Vec<u64>,
}

impl<'a> Stats<'a> {
    pub(super) fn new(parts: &'a [Part], recent: &'a Recent, form: &'a Form) -> tantivy::Result<Self> {
        let mut lengths = vec![0; form.fields.len()];
        for part in parts {
            let more = part.segment.lengths(&form.fields, &part.dead)?;
            lengths.iter_mut().zip(more).for_each(|(length, more)| *length += more);
        }
        for (field, length) in lengths.iter_mut().enumerate() {
            let steps = recent.iter().map(|entry| FieldNormReader::id_to_fieldnorm(entry.length(field)));
            *length += steps.map(u64::from).sum::<u64>();
        }
        let docs = parts.iter().map(|part| u64::from(part.living)).sum::<u64>() + recent.len() as u64;
        Ok(Self { parts, recent, form, docs, lengths })
    }

    fn number(&self, field: Field) -> Option<usize> {
        self.form.fields.iter().position(|of| *of == field)
    }

    /// How much a document counts that `clause` finds in `field`; nothing for a prefix alone.
    pub(super) fn weight(&self, clause: &Clause, field: Field) -> tantivy::Result<Option<Bm25Weight>> {
        let whole = clause.words.len() - usize::from(clause.prefix);
        let words = clause.words.iter().take(whole);
        let terms: Vec<Term> = words.map(|word| Term::from_field_text(field, word)).collect();
        // The parts of a phrase count by how rare they are, each by itself.
        (!terms.is_empty()).then(|| Bm25Weight::for_terms(self, &terms)).transpose()
    }
}

impl Bm25StatisticsProvider for Stats<'_> {
    fn total_num_tokens(&self, field: Field) -> tantivy::Result<u64> {
        Ok(self.number(field).and_then(|number| self.lengths.get(number)).copied().unwrap_or(0))
    }

    fn total_num_docs(&self) -> tantivy::Result<u64> {
        Ok(self.docs)
    }

    fn doc_freq(&self, term: &Term) -> tantivy::Result<u64> {
        let number = self.number(term.field());
        let word = term.value().as_str().map(str::to_owned).unwrap_or_default();
        let recent = self.recent.iter().filter(|entry| number.is_some_and(|field| entry.has_word(field, &word)));
        let mut count = recent.count() as u64;
        for part in self.parts {
            let index = part.segment.reader.inverted_index(term.field())?;
            let Some(info) = index.get_term_info(term)? else { continue };
            count += u64::from(info.doc_freq);
            if part.dead.is_empty() {
                continue;
            }
            let mut postings = index.read_postings_from_terminfo(&info, IndexRecordOption::Basic)?;
            for doc in part.dead.iter() {
                if postings.doc() < doc {
                    postings.seek(doc);
                }
                match postings.doc() {
                    TERMINATED => break,
                    found => count -= u64::from(found == doc),
                }
            }
        }
        Ok(count)
    }
}
