//! Finding: from a query to the entries that come first.

use std::{cmp::Reverse, collections::BinaryHeap};

use tantivy::{TERMINATED, query::Bm25Weight, schema::Field};

use super::{
    Order,
    docs::{Docs, Source},
    stats::Stats,
};
use crate::{
    query::Query,
    store::{
        Form, Part,
        recent::{Recent, RecentEntry},
    },
};

/// Where an entry stands among those found: what is greater comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    /// The bits of a score, which is not negative; 0 where scores do not matter.
    pub(super) score: u32,
    pub(super) seq: u64,
}

/// The first few.
struct First {
    ranks: BinaryHeap<Reverse<Rank>>,
    limit: usize,
}

impl First {
    fn is_full(&self) -> bool {
        self.ranks.len() >= self.limit
    }

    fn last(&self) -> Option<Rank> {
        self.ranks.peek().map(|Reverse(rank)| *rank)
    }

    fn offer(&mut self, rank: Rank, after: Option<Rank>) {
        if after.is_some_and(|after| rank >= after) {
            return;
        }
        if !self.is_full() {
            self.ranks.push(Reverse(rank));
        } else if self.last().is_some_and(|last| last < rank) {
            self.ranks.pop();
            self.ranks.push(Reverse(rank));
        }
    }
}

/// A query, made ready for the parts of a snapshot.
pub(super) struct Finder<'a> {
    query: &'a Query,
    parts: &'a [Part],
    recent: &'a Recent,
    order: Order,
    /// Of each clause: the fields that count, by number, and how much.
    fields: Vec<Vec<(usize, Field, Option<Bm25Weight>)>>,
}

impl<'a> Finder<'a> {
    /// A segment is looked at from its end, at first so many documents.
    const PIECE: u32 = 2048;

    pub(super) fn new(
        query: &'a Query,
        parts: &'a [Part],
        recent: &'a Recent,
        form: &'a Form,
        order: Order,
    ) -> tantivy::Result<Self> {
        let stats = match order {
            Order::Newest => None,
            Order::Relevance => Some(Stats::new(parts, recent, form)?),
        };
        let mut fields = Vec::new();
        for clause in &query.clauses {
            let mut those = Vec::new();
            for (number, field) in form.fields.iter().enumerate() {
                if clause.field.is_none_or(|only| only == number) {
                    let weight = match &stats {
                        Some(stats) if !clause.excluded => stats.weight(clause, *field)?,
                        _ => None,
                    };
                    those.push((number, *field, weight));
                }
            }
            fields.push(those);
        }
        Ok(Self { query, parts, recent, order, fields })
    }

    /// How many entries there are.
    pub(super) fn count(&self) -> tantivy::Result<u64> {
        let mut count = self.recent.iter().filter_map(|entry| self.score(entry)).count() as u64;
        for part in self.parts {
            if let Some(sources) = self.sources(part)? {
                each(&sources, part, 0, part.segment.docs, |_, _| count += 1)?;
            }
        }
        Ok(count)
    }

    /// The first `limit` entries that come after `after`.
    pub(super) fn first(&self, limit: usize, after: Option<Rank>) -> tantivy::Result<Vec<Rank>> {
        let mut first = First { ranks: BinaryHeap::new(), limit };
        if limit == 0 {
            return Ok(Vec::new());
        }
        for entry in self.recent.iter() {
            if let Some(score) = self.score(entry) {
                first.offer(self.rank(score, entry.seq), after);
            }
        }
        let mut parts: Vec<&Part> = self.parts.iter().filter(|part| part.living > 0).collect();
        parts.sort_by_key(|part| Reverse(part.segment.seqs().end));
        for part in parts {
            self.look_into(part, after, &mut first)?;
        }
        let mut ranks: Vec<Rank> = first.ranks.into_iter().map(|Reverse(rank)| rank).collect();
        ranks.sort_unstable_by_key(|rank| Reverse(*rank));
        Ok(ranks)
    }

    fn rank(&self, score: f32, seq: u64) -> Rank {
        Rank { score: if self.order == Order::Newest { 0 } else { score.to_bits() }, seq }
    }

    /// The score of a recent entry, if it is found.
    fn score(&self, entry: &RecentEntry) -> Option<f32> {
        let (mut sum, mut wanted) = (0.0, false);
        for (clause, fields) in self.query.clauses.iter().zip(&self.fields) {
            let (mut found, mut score) = (false, 0.0);
            for (field, _, weight) in fields {
                let times = entry.times(clause, *field);
                found |= times > 0;
                score += match weight {
                    _ if times == 0 => 0.0,
                    Some(weight) => weight.score(entry.length(*field), times),
                    None => 1.0,
                };
            }
            if found == clause.excluded {
                return None;
            }
            wanted |= !clause.excluded;
            sum += if clause.excluded { 0.0 } else { score };
        }
        wanted.then_some(sum)
    }

    fn look_into(&self, part: &Part, after: Option<Rank>, first: &mut First) -> tantivy::Result<()> {
        let segment = &part.segment;
        let by_age = self.order == Order::Newest;
        let older = |first: &First| {
            by_age && first.is_full() && first.last().is_some_and(|last| segment.seqs().end <= last.seq)
        };
        if older(first) || (by_age && after.is_some_and(|after| segment.seqs().start >= after.seq)) {
            return Ok(());
        }
        let Some(sources) = self.sources(part)? else { return Ok(()) };
        let in_pieces = by_age && segment.sorted;
        let (mut to, mut piece) = (segment.docs, if in_pieces { Self::PIECE } else { segment.docs });
        while to > 0 {
            let from = to.saturating_sub(piece);
            each(&sources, part, from, to, |doc, score| {
                first.offer(self.rank(score, segment.seq(doc)), after);
            })?;
            // What lies before is older.
            if in_pieces && first.is_full() {
                break;
            }
            (to, piece) = (from, piece.saturating_mul(4));
        }
        Ok(())
    }

    /// What finds the documents in one part: of each clause the fields that have any. `None` if a clause has none at all.
    fn sources(&self, part: &Part) -> tantivy::Result<Option<Sources>> {
        let mut sources = Sources { wanted: Vec::new(), excluded: Vec::new() };
        for (clause, fields) in self.query.clauses.iter().zip(&self.fields) {
            let mut those = Vec::new();
            for (_, field, weight) in fields {
                those.extend(Source::new(&part.segment, clause, *field, weight.as_ref())?);
            }
            match (clause.excluded, those.is_empty()) {
                (true, false) => sources.excluded.push(those),
                (true, true) => {}
                (false, false) => sources.wanted.push(those),
                (false, true) => return Ok(None),
            }
        }
        Ok((!sources.wanted.is_empty()).then_some(sources))
    }
}

struct Sources {
    wanted: Vec<Vec<Source>>,
    excluded: Vec<Vec<Source>>,
}

/// A clause at work: its documents in each field.
struct AnyField<'a>(Vec<Docs<'a>>);

impl<'a> AnyField<'a> {
    fn open(sources: &'a [Source]) -> tantivy::Result<Self> {
        sources.iter().map(Source::open).collect::<tantivy::Result<_>>().map(Self)
    }

    fn at_least(&mut self, target: u32) -> u32 {
        self.0.iter_mut().map(|docs| docs.at_least(target)).min().unwrap_or(TERMINATED)
    }

    /// Summed in the order of the fields, so that the same entry has the same score in every index.
    fn score(&mut self, doc: u32) -> f32 {
        self.0.iter_mut().map(|docs| if docs.at_least(doc) == doc { docs.score(doc) } else { 0.0 }).sum()
    }
}

/// Shows `visit` the living documents at `from..to` that are found, and their scores.
fn each(sources: &Sources, part: &Part, from: u32, to: u32, mut visit: impl FnMut(u32, f32)) -> tantivy::Result<()> {
    let mut wanted = sources.wanted.iter().map(|of| AnyField::open(of)).collect::<tantivy::Result<Vec<_>>>()?;
    let mut excluded = sources.excluded.iter().map(|of| AnyField::open(of)).collect::<tantivy::Result<Vec<_>>>()?;
    // The rarest leads.
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by_key(|at| sources.wanted.get(*at).map(|of| of.iter().map(Source::cost).sum::<u64>()));
    let mut doc = from;
    'next: while doc < to {
        for at in &order {
            let found = wanted.get_mut(*at).map_or(TERMINATED, |clause| clause.at_least(doc));
            if found != doc {
                doc = found;
                continue 'next;
            }
        }
        if !part.dead.contains(doc) && !excluded.iter_mut().any(|clause| clause.at_least(doc) == doc) {
            visit(doc, wanted.iter_mut().map(|clause| clause.score(doc)).sum());
        }
        doc += 1;
    }
    Ok(())
}
