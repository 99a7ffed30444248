//! Search without an index: every question is answered by looking at every text.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "for tests")]

use flumedb::Seq;
use flumedb_search::{Order, SearchReader, Words};
use flumedb_sim::Choices;
use tantivy::fieldnorm::FieldNormReader;

/// The texts of an entry, by field: a title and a body.
pub(crate) type Texts = [String; 2];
pub(crate) const FIELDS: [&str; 2] = ["title", "body"];

/// One condition.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) excluded: bool,
    pub(crate) field: Option<usize>,
    pub(crate) words: Vec<String>,
    pub(crate) prefix: bool,
}

/// Words with something in common.
const VOCABULARY: [&str; 16] = [
    "tide",
    "tides",
    "Tidal",
    "TIDE",
    "high",
    "low",
    "moon",
    "moonlight",
    "Flut",
    "東京",
    "京",
    "Été",
    "ete",
    "a",
    "🌊",
    "don't",
];

pub(crate) fn text(chance: &mut Choices) -> String {
    let words = 0..chance.pick(7);
    words.map(|_| VOCABULARY[chance.pick(VOCABULARY.len() as u64) as usize]).collect::<Vec<_>>().join(" ")
}

/// Any query with at least one condition that is not excluded.
pub(crate) fn query(chance: &mut Choices) -> Vec<Wanted> {
    let mut query = Vec::new();
    for number in 0..=chance.pick(3) {
        let words = 0..=chance.pick(10) / 7;
        let mut words: Vec<String> =
            words.map(|_| VOCABULARY[chance.pick(VOCABULARY.len() as u64) as usize].to_owned()).collect();
        let prefix = chance.pick(3) == 0;
        if prefix && let Some(last) = words.last_mut() {
            let chars: Vec<char> = last.chars().collect();
            *last = chars[..=chance.pick(chars.len() as u64) as usize].iter().collect();
            // Punctuation ends no word.
            *last = last.trim_end_matches('\'').to_owned();
        }
        let field = Some(chance.pick(4) as usize).filter(|field| *field < 2);
        query.push(Wanted { excluded: number > 0 && chance.pick(3) == 0, field, words, prefix });
    }
    query
}

/// As it is written.
pub(crate) fn written(query: &[Wanted]) -> String {
    let clause = |wanted: &Wanted| {
        let minus = if wanted.excluded { "-" } else { "" };
        let field = wanted.field.map_or(String::new(), |field| format!("{}:", FIELDS[field]));
        let star = if wanted.prefix { "*" } else { "" };
        match &*wanted.words {
            [word] => format!("{minus}{field}{word}{star}"),
            words => format!("{minus}{field}\"{}{star}\"", words.join(" ")),
        }
    };
    query.iter().map(clause).collect::<Vec<_>>().join(" ")
}

/// An entry that is found: which, and its score by relevance.
pub(crate) type Row = (Seq, u32);

/// What a reader should say: the entries by age, and by relevance with the bits of their scores.
pub(crate) fn expect(query: &[Wanted], words: Words, entries: &[(Seq, Texts)]) -> (Vec<Row>, Vec<Row>) {
    let entries: Vec<(Seq, [Vec<String>; 2])> = entries
        .iter()
        .filter(|(_, texts)| texts.iter().any(|text| !text.is_empty()))
        .map(|(seq, texts)| (*seq, texts.clone().map(|text| words.of(&text).collect())))
        .collect();
    let clauses: Vec<(Wanted, Vec<String>)> =
        query.iter().map(|wanted| (wanted.clone(), words.of(&wanted.words.join(" ")).collect::<Vec<_>>())).collect();
    let mut found = Vec::new();
    for (seq, texts) in &entries {
        let has = |(wanted, words): &(Wanted, Vec<String>)| {
            (0..2).any(|field| {
                wanted.field.is_none_or(|only| only == field) && times(words, wanted.prefix, &texts[field]) > 0
            })
        };
        if clauses.iter().all(|clause| has(clause) != clause.0.excluded) {
            let mut score = 0.0_f32;
            for (wanted, words) in clauses.iter().filter(|(wanted, _)| !wanted.excluded) {
                let fields = (0..2).filter(|field| wanted.field.is_none_or(|only| only == *field));
                score += fields.map(|field| bm25(&entries, field, words, wanted.prefix, &texts[field])).sum::<f32>();
            }
            found.push((*seq, score.to_bits()));
        }
    }
    let mut by_age: Vec<Row> = found.iter().map(|(seq, _)| (*seq, 0)).collect();
    by_age.reverse();
    found.sort_by_key(|(seq, score)| std::cmp::Reverse((*score, *seq)));
    (by_age, found)
}

/// How often words stand side by side in a text.
fn times(words: &[String], prefix: bool, text: &[String]) -> u32 {
    let at = |window: &&[String]| {
        words.iter().zip(*window).enumerate().all(|(number, (wanted, word))| {
            if prefix && number + 1 == words.len() { word.starts_with(wanted) } else { word == wanted }
        })
    };
    text.windows(words.len()).filter(at).count() as u32
}

/// BM25 as everybody writes it down, with lengths in the steps in which they are kept.
fn bm25(entries: &[(Seq, [Vec<String>; 2])], field: usize, words: &[String], prefix: bool, text: &[String]) -> f32 {
    let freq = times(words, prefix, text);
    if freq == 0 || (prefix && words.len() == 1) {
        return if freq == 0 { 0.0 } else { 1.0 };
    }
    let step = |len: usize| FieldNormReader::id_to_fieldnorm(FieldNormReader::fieldnorm_to_id(len as u32));
    let all: u64 = entries.iter().map(|(_, texts)| u64::from(step(texts[field].len()))).sum();
    let average = all as f32 / entries.len() as f32;
    let rarity = |word: &String| {
        let with = entries.iter().filter(|(_, texts)| texts[field].contains(word)).count() as f32;
        (1.0 + (entries.len() as f32 - with + 0.5) / (with + 0.5)).ln()
    };
    let whole = &words[..words.len() - usize::from(prefix)];
    let rarity: f32 =
        if let [word] = whole { rarity(word) } else { whole.iter().map(rarity).fold(0.0, |sum, one| sum + one) };
    let (k, b) = (1.2_f32, 0.75_f32);
    let norm = k * (1.0 - b + b * step(text.len()) as f32 / average);
    rarity * (1.0 + k) * (freq as f32 / (freq as f32 + norm))
}

/// What a reader says, page by page.
pub(crate) fn ask<T>(reader: &SearchReader<T>, query: &[Wanted], order: Order, page: usize) -> Vec<Row> {
    let (mut rows, mut after) = (Vec::new(), None);
    loop {
        let mut ask = reader.search(&written(query)).unwrap().order(order).limit(page);
        if let Some(cursor) = after {
            ask = ask.after(cursor);
        }
        let hits = ask.hits().unwrap();
        rows.extend(hits.hits.iter().map(|hit| (hit.seq, hit.score.to_bits())));
        match hits.next {
            None => return rows,
            // As text, on the way.
            Some(next) => after = Some(next.to_string().parse().unwrap()),
        }
    }
}
