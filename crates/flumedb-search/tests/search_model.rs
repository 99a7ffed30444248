//! Guards against an index that forgets an entry, or a deletion, or shows one twice; that trusts what a crash left; whose
//! answers or scores depend on how it came about. On the simulated disk: whatever was appended, deleted, read otherwise,
//! closed, killed and cut off, all answers are those of looking at every text.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod naive;

use flumedb::Entry;
use flumedb_search::{Order, Search, SearchReader, Words};
use flumedb_sim::{
    Choices,
    views::{Subject, check, power},
};
use naive::{FIELDS, Row, Texts, Wanted};

struct Searches {
    queries: Vec<Vec<Wanted>>,
    /// How many entries become a segment.
    recent: usize,
}

impl Searches {
    /// Version 2 folds accents, and leaves out titles.
    fn words(version: u32) -> Words {
        Words::new().fold_diacritics(version == 2)
    }

    fn texts(version: u32, texts: &Texts) -> Texts {
        let [title, body] = texts.clone();
        if version == 2 { [String::new(), body] } else { [title, body] }
    }
}

impl Subject for Searches {
    type Item = Texts;
    type View = Search<Texts>;
    type Seen = Vec<(String, u64, Vec<Row>, Vec<Row>)>;

    fn view(&self, version: u32) -> Search<Texts> {
        let texts = move |item: &Texts, to: &mut flumedb_search::Texts| {
            let texts = Self::texts(version, item);
            FIELDS.iter().zip(texts).for_each(|(field, text)| to.add(field, text));
        };
        Search::with_fields(version, FIELDS, texts).words(Self::words(version)).memory_bytes(0).recent(self.recent)
    }

    fn item(&self, chance: &mut Choices) -> Texts {
        [naive::text(chance), naive::text(chance)]
    }

    async fn look(&self, reader: &SearchReader<Texts>) -> Self::Seen {
        let ask = |query: &Vec<Wanted>| {
            let written = naive::written(query);
            let count = reader.search(&written).unwrap().count().unwrap();
            let [newest, relevant] = [Order::Newest, Order::Relevance].map(|order| naive::ask(reader, query, order, 7));
            (written, count, newest, relevant)
        };
        self.queries.iter().map(ask).collect()
    }

    fn expect(&self, version: u32, entries: &[Entry<Texts>]) -> Self::Seen {
        let entries: Vec<_> = entries.iter().map(|entry| (entry.seq, Self::texts(version, &entry.value))).collect();
        let expect = |query: &Vec<Wanted>| {
            let (newest, relevant) = naive::expect(query, Self::words(version), &entries);
            (naive::written(query), newest.len() as u64, newest, relevant)
        };
        self.queries.iter().map(expect).collect()
    }
}

fn searches(recent: usize) -> Searches {
    let mut chance = Choices::seeded(recent as u64);
    let queries = (0..12).map(|_| naive::query(&mut chance)).collect();
    Searches { queries, recent }
}

fn search(recent: usize, histories: usize) {
    check(&searches(recent), histories);
}

#[test]
fn what_was_synced_is_not_built_anew_after_a_power_cut() {
    power(&searches(3), "what_was_synced_is_not_built_anew_after_a_power_cut");
}

#[test]
fn whatever_happens_all_answers_are_those_of_looking_at_every_text() {
    search(3, 40);
}

#[test]
fn so_they_are_where_everything_is_in_segments() {
    search(0, 30);
}

#[test]
fn so_they_are_where_most_is_kept_as_it_is() {
    search(Search::<Texts>::RECENT, 30);
}
