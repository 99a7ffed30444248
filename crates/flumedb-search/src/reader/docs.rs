//! Which documents of one segment a clause finds, in order.

use std::{io, sync::Arc};

use tantivy::{
    DocSet, InvertedIndexReader, TERMINATED, Term,
    fieldnorm::FieldNormReader,
    postings::{Postings, SegmentPostings, TermInfo},
    query::Bm25Weight,
    schema::{Field, IndexRecordOption},
};

use crate::{
    query::Clause,
    store::{Segment, bits::Bits},
};

/// Where the documents of a clause in one field come from. Opened once for each piece of a segment that is looked at.
pub(super) enum Source {
    /// Those with one word.
    Word { info: TermInfo, index: Arc<InvertedIndexReader>, scoring: Option<Scoring> },
    /// Those with words side by side.
    Phrase { infos: Vec<TermInfo>, index: Arc<InvertedIndexReader>, scoring: Option<Scoring> },
    /// Those with a word that begins so.
    Set(Arc<Bits>),
    /// Those with words side by side, the last of which begins so, and how often.
    List { found: Arc<[(u32, u32)]>, scoring: Option<Scoring> },
}

/// How a document is scored.
#[derive(Clone)]
pub(super) struct Scoring {
    weight: Bm25Weight,
    norms: Option<FieldNormReader>,
}

impl Scoring {
    fn of(&self, doc: u32, freq: u32) -> f32 {
        let norm = self.norms.as_ref().map_or(0, |norms| norms.fieldnorm_id(doc));
        self.weight.score(norm, freq)
    }
}

impl Source {
    /// Where `clause` finds documents in `field`; `None` if it finds none.
    pub(super) fn new(
        segment: &Segment,
        clause: &Clause,
        field: Field,
        weight: Option<&Bm25Weight>,
    ) -> tantivy::Result<Option<Self>> {
        let index = segment.reader.inverted_index(field)?;
        let scoring = match weight {
            Some(weight) => {
                let norms = segment.reader.fieldnorms_readers().get_field(field)?;
                Some(Scoring { weight: weight.clone(), norms })
            }
            None => None,
        };
        let whole = clause.words.len() - usize::from(clause.prefix);
        let mut infos = Vec::new();
        for word in clause.words.iter().take(whole) {
            match index.get_term_info(&Term::from_field_text(field, word))? {
                Some(info) => infos.push(info),
                None => return Ok(None),
            }
        }
        if let Some(beginning) = clause.words.get(whole) {
            if infos.is_empty() {
                return Ok(Some(Self::Set(Arc::new(with_beginning(&index, beginning, segment.docs)?))));
            }
            let found = before_beginning(&index, &infos, beginning)?.into();
            return Ok(Some(Self::List { found, scoring }));
        }
        match <[TermInfo; 1]>::try_from(infos) {
            Ok([info]) => Ok(Some(Self::Word { info, index, scoring })),
            Err(infos) => Ok(Some(Self::Phrase { infos, index, scoring })),
        }
    }

    /// About how many documents there are.
    pub(super) fn cost(&self) -> u64 {
        match self {
            Self::Word { info, .. } => u64::from(info.doc_freq),
            Self::Phrase { infos, .. } => infos.iter().map(|info| u64::from(info.doc_freq)).min().unwrap_or(0),
            Self::Set(bits) => u64::from(bits.count()),
            Self::List { found, .. } => found.len() as u64,
        }
    }

    pub(super) fn open(&self) -> tantivy::Result<Docs<'_>> {
        Ok(match self {
            Self::Word { info, index, scoring } => {
                let option = if scoring.is_some() { IndexRecordOption::WithFreqs } else { IndexRecordOption::Basic };
                Docs::Word {
                    postings: index.read_postings_from_terminfo(info, option)?.into(),
                    scoring: scoring.as_ref(),
                }
            }
            Self::Phrase { infos, index, scoring } => {
                Docs::Phrase { phrase: Phrase::open(index, infos)?, scoring: scoring.as_ref() }
            }
            Self::Set(bits) => Docs::Set(bits),
            Self::List { found, scoring } => Docs::List { found, at: 0, scoring: scoring.as_ref() },
        })
    }
}

/// All documents with a word that begins so.
fn with_beginning(index: &InvertedIndexReader, beginning: &str, docs: u32) -> io::Result<Bits> {
    let mut bits = Bits::none(docs);
    each_word(index, beginning, |info| {
        let mut postings = index.read_block_postings_from_terminfo(info, IndexRecordOption::Basic)?;
        while postings.block_len() > 0 {
            postings.docs().iter().for_each(|doc| bits.insert(*doc));
            postings.advance();
        }
        Ok(())
    })?;
    Ok(bits)
}

/// All documents where a word that begins so stands behind the words of `infos`, and how often.
fn before_beginning(index: &InvertedIndexReader, infos: &[TermInfo], beginning: &str) -> io::Result<Vec<(u32, u32)>> {
    let mut phrase = Phrase::open(index, infos)?;
    // Where a word would have to stand.
    let mut places = Vec::new();
    let mut doc = phrase.at_least(0);
    while doc != TERMINATED {
        places.extend(phrase.starts.iter().map(|start| (doc, start + infos.len() as u32)));
        doc = phrase.at_least(doc + 1);
    }
    let (mut found, mut positions) = (Vec::new(), Vec::new());
    each_word(index, beginning, |info| {
        let option = IndexRecordOption::WithFreqsAndPositions;
        let mut postings = index.read_postings_from_terminfo(info, option)?;
        while postings.doc() != TERMINATED {
            let doc = postings.doc();
            let here = places.partition_point(|(of, _)| *of < doc);
            match places.get(here) {
                None => break,
                Some((of, _)) if *of > doc => {
                    postings.seek(*of);
                    continue;
                }
                Some(_) => {}
            }
            postings.positions(&mut positions);
            let wanted = places.iter().skip(here).take_while(|(of, _)| *of == doc);
            let count = wanted.filter(|(_, place)| positions.binary_search(place).is_ok()).count();
            if count > 0 {
                found.push((doc, count as u32));
            }
            postings.advance();
        }
        Ok(())
    })?;
    found.sort_unstable();
    found.dedup_by(|from, to| {
        let same = from.0 == to.0;
        to.1 += if same { from.1 } else { 0 };
        same
    });
    Ok(found)
}

fn each_word(
    index: &InvertedIndexReader,
    beginning: &str,
    mut visit: impl FnMut(&TermInfo) -> io::Result<()>,
) -> io::Result<()> {
    let mut words = index.terms().range().ge(beginning.as_bytes()).into_stream()?;
    while words.advance() {
        if !words.key().starts_with(beginning.as_bytes()) {
            break;
        }
        visit(words.value())?;
    }
    Ok(())
}

/// The documents of a clause in one field.
pub(super) enum Docs<'a> {
    Word { postings: Box<SegmentPostings>, scoring: Option<&'a Scoring> },
    Phrase { phrase: Phrase, scoring: Option<&'a Scoring> },
    Set(&'a Bits),
    List { found: &'a [(u32, u32)], at: usize, scoring: Option<&'a Scoring> },
}

impl Docs<'_> {
    /// The first document that is not before `target`. `target` never goes back.
    pub(super) fn at_least(&mut self, target: u32) -> u32 {
        match self {
            Self::Word { postings, .. } => reach(postings, target),
            Self::Phrase { phrase, .. } => phrase.at_least(target),
            Self::Set(bits) => bits.at_least(target).unwrap_or(TERMINATED),
            Self::List { found, at, .. } => {
                let rest = found.get(*at..).unwrap_or_default();
                *at += rest.partition_point(|(doc, _)| *doc < target);
                found.get(*at).map_or(TERMINATED, |(doc, _)| *doc)
            }
        }
    }

    /// The score of `doc`, where it stands. A prefix counts the same whatever it stands for.
    pub(super) fn score(&self, doc: u32) -> f32 {
        let (scoring, freq) = match self {
            Self::Word { postings, scoring } => (scoring, postings.term_freq()),
            Self::Phrase { phrase, scoring } => (scoring, phrase.starts.len() as u32),
            Self::Set(_) => return 1.0,
            Self::List { found, at, scoring } => (scoring, found.get(*at).map_or(0, |(_, freq)| *freq)),
        };
        scoring.map_or(0.0, |scoring| scoring.of(doc, freq))
    }
}

fn reach(postings: &mut SegmentPostings, target: u32) -> u32 {
    if postings.doc() < target { postings.seek(target) } else { postings.doc() }
}

/// Words side by side.
pub(super) struct Phrase {
    words: Vec<SegmentPostings>,
    doc: Option<u32>,
    /// Where it begins in the document.
    starts: Vec<u32>,
    positions: Vec<u32>,
}

impl Phrase {
    fn open(index: &InvertedIndexReader, infos: &[TermInfo]) -> io::Result<Self> {
        let option = IndexRecordOption::WithFreqsAndPositions;
        let words =
            infos.iter().map(|info| index.read_postings_from_terminfo(info, option)).collect::<io::Result<_>>()?;
        Ok(Self { words, doc: None, starts: Vec::new(), positions: Vec::new() })
    }

    fn at_least(&mut self, target: u32) -> u32 {
        if let Some(doc) = self.doc.filter(|doc| *doc >= target) {
            return doc;
        }
        let mut doc = target;
        loop {
            doc = self.together(doc);
            if doc == TERMINATED || self.stands() {
                self.doc = Some(doc);
                return doc;
            }
            doc += 1;
        }
    }

    /// The first document from `doc` on that has all words.
    fn together(&mut self, mut doc: u32) -> u32 {
        loop {
            let furthest = self.words.iter_mut().map(|postings| reach(postings, doc)).max().unwrap_or(TERMINATED);
            if furthest == doc || furthest == TERMINATED {
                return furthest;
            }
            doc = furthest;
        }
    }

    /// Whether they stand side by side in the document that they are at.
    fn stands(&mut self) -> bool {
        for (number, postings) in (0..).zip(&mut self.words) {
            if number == 0 {
                postings.positions(&mut self.starts);
                continue;
            }
            postings.positions(&mut self.positions);
            let positions = &self.positions;
            self.starts.retain(|start| positions.binary_search(&(start + number)).is_ok());
        }
        !self.starts.is_empty()
    }
}
