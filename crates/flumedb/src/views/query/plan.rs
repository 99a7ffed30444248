//! [`Plan`], which part of an index a query needs.

use serde_json::Value;

use super::{Bounds, IndexOn, key};
use crate::mfr::{Compat, Constraint, Pipeline};

/// So many ranges may `$in` make of one.
const RANGES: usize = 64;

/// Ranges of an index with everything in them that a query can want.
#[derive(Debug)]
pub(super) struct Plan {
    /// First key, and the end, which is not in it; in order, and none overlaps another.
    pub(super) ranges: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    pub(super) shown: Vec<Bounds>,
    /// Tests of the filter that no entry in the ranges fails, but for long values.
    pub(super) covered: Vec<usize>,
}

/// What the filter says of one path of the index.
enum Sides {
    Exact(Vec<(Vec<u8>, Value)>),
    Range { start: Vec<u8>, end: Option<Vec<u8>>, shown: (Option<Value>, Option<Value>) },
}

/// How well an index fits: two points for each path with an exact value, one for a range, those before counting squared.
/// 0 if it does not fit.
pub(super) fn score(on: &IndexOn, query: &Pipeline) -> u32 {
    let mut score = 0_u32;
    if query.wants_scan() {
        return 0;
    }
    let mut ranges = 1;
    for path in &on.paths {
        let points = match sides(query, path) {
            Some((Sides::Exact(values), _)) if multiplied(&mut ranges, values.len()) => 2,
            Some((Sides::Range { .. }, _)) => 1,
            // What `Plan::new` makes no use of is no reason to choose the index.
            Some((Sides::Exact(_), _)) | None => break,
        };
        score = score.saturating_mul(score).saturating_add(points);
    }
    score
}

impl Plan {
    /// How to use the index; `None` if it does not fit.
    pub(super) fn new(on: &IndexOn, query: &Pipeline) -> Option<Self> {
        let mut plan = Self { ranges: Vec::new(), shown: Vec::new(), covered: Vec::new() };
        let mut prefixes = vec![(Vec::new(), Vec::new())];
        let mut last = None;
        let (mut used, mut ranges) = (false, 1);
        for path in &on.paths {
            let Some((sides, covered)) = sides(query, path) else { break };
            match sides {
                Sides::Exact(values) if multiplied(&mut ranges, values.len()) => {
                    prefixes = product(&prefixes, &values);
                }
                Sides::Exact(_) => break,
                range => last = Some(range),
            }
            used = true;
            plan.covered.extend(covered);
            if last.is_some() {
                break;
            }
        }
        if !used {
            return None;
        }
        for (prefix, values) in prefixes {
            plan.add(prefix, values, last.as_ref());
        }
        plan.ranges.sort_unstable();
        Some(plan)
    }

    fn add(&mut self, prefix: Vec<u8>, values: Vec<Value>, last: Option<&Sides>) {
        let mut shown = Bounds { from: values.clone(), to: values };
        let (mut start, mut end) = (prefix.clone(), key::behind(prefix.clone()));
        if let Some(Sides::Range { start: from, end: to, shown: (low, high) }) = last {
            start.extend(from);
            if let Some(to) = to {
                end = Some([prefix.as_slice(), to].concat());
            }
            shown.from.extend(low.clone());
            shown.to.extend(high.clone());
        }
        self.ranges.push((key::cut_start(start), end.and_then(key::cut_end)));
        self.shown.push(shown);
    }
}

/// Whether so many values for each of the ranges there are come to no more than may be; then there are as many.
fn multiplied(ranges: &mut usize, values: usize) -> bool {
    let all = ranges.saturating_mul(values);
    let fits = all <= RANGES;
    if fits {
        *ranges = all;
    }
    fits
}

type Prefix = (Vec<u8>, Vec<Value>);

fn product(prefixes: &[Prefix], values: &[(Vec<u8>, Value)]) -> Vec<Prefix> {
    let with = |(bytes, shown): &Prefix| {
        let (bytes, shown) = (bytes.clone(), shown.clone());
        values.iter().map(move |(next, value)| {
            let mut shown = shown.clone();
            shown.push(value.clone());
            ([bytes.as_slice(), next].concat(), shown)
        })
    };
    prefixes.iter().flat_map(with).collect()
}

/// What the filter says of the value at `path`, and which of its tests say it.
fn sides(query: &Pipeline, path: &[String]) -> Option<(Sides, Vec<usize>)> {
    let constraints = query.constraints(path);
    exact(query, &constraints).or_else(|| range(query.compat(), &constraints))
}

fn exact(query: &Pipeline, constraints: &[(usize, Constraint<'_>)]) -> Option<(Sides, Vec<usize>)> {
    constraints.iter().find_map(|(number, constraint)| {
        let mut values = match constraint {
            Constraint::Exactly(value) => vec![(key::of_value(value)?, (*value).clone())],
            Constraint::In(values) if query.compat() == Compat::Corrected => {
                let encoded = values.iter().map(|value| Some((key::of_value(value)?, value.clone())));
                encoded.collect::<Option<_>>()?
            }
            _ => return None,
        };
        values.sort_by(|(one, _), (two, _)| one.cmp(two));
        values.dedup_by(|(one, _), (two, _)| one == two);
        // Too many by themselves: what else is said of the path may make a range.
        (values.len() <= RANGES).then(|| (Sides::Exact(values), vec![*number]))
    })
}

fn range(compat: Compat, constraints: &[(usize, Constraint<'_>)]) -> Option<(Sides, Vec<usize>)> {
    let (mut start, mut end) = (Vec::new(), None::<Vec<u8>>);
    let mut shown = (None, None);
    let mut covered = Vec::new();
    // A value is compared with those of its kind alone; in the originals, with all.
    let kind = |value: &Value| match compat {
        Compat::Corrected => key::kind_of(value).map(|(start, end)| (start, Some(end))),
        Compat::Originals => Some((Vec::new(), None)),
    };
    for (number, constraint) in constraints {
        let (from, to, low, high) = match constraint {
            Constraint::NotLess(value) => {
                let (Some(bytes), Some((_, to))) = (key::of_value(value), kind(value)) else { continue };
                (bytes, to, Some((*value).clone()), None)
            }
            Constraint::NotGreater(value) => {
                let (Some(bytes), Some((from, _))) = (key::of_value(value), kind(value)) else { continue };
                (from, key::behind(bytes), None, Some((*value).clone()))
            }
            Constraint::TextPrefix(prefix) if compat == Compat::Corrected || !prefix.is_empty() => {
                let bytes = key::of_text_prefix(prefix);
                let high = Value::from(format!("{prefix}\u{10ffff}"));
                (bytes.clone(), key::behind(bytes), Some((*prefix).into()), Some(high))
            }
            Constraint::ArrayPrefix(prefix) => {
                let Some(bytes) = key::of_array_prefix(prefix) else { continue };
                let low = Value::from(prefix.to_vec());
                match compat {
                    Compat::Corrected => (bytes.clone(), key::behind(bytes), Some(low.clone()), Some(low)),
                    // There the ends of the range are exchanged, and nothing is in it.
                    Compat::Originals => (bytes, Some(Vec::new()), Some(low.clone()), Some(low)),
                }
            }
            Constraint::Kind(kind) => {
                let Some((from, to)) = key::of_kind(kind) else { continue };
                if compat == Compat::Originals && *kind == "number" {
                    continue;
                }
                (from, Some(to), None, None)
            }
            _ => continue,
        };
        if from > start {
            (start, shown.0) = (from, low);
        }
        if to.as_ref().is_some_and(|to| end.as_ref().is_none_or(|end| to < end)) {
            (end, shown.1) = (to, high);
        }
        covered.push(*number);
    }
    (!covered.is_empty()).then_some((Sides::Range { start, end, shown }, covered))
}
