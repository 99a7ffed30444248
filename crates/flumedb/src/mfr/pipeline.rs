//! [`Pipeline`], a query that has been read.

use std::sync::Arc;

use serde_json::Value;

use super::{Compat, Row, Running, filter::Filter, place::Place, reduce::Reduce, rule::Rule, sort::Sort, tree::Tree};
use crate::{Result, codec::Document};

/// How queries are read, and how much one may use.
///
/// ```
/// use flumedb::mfr::{Compat, Language};
/// let query = Language::new().compat(Compat::Originals).memory_bytes(1 << 20).parse(r#"[{"$map": "likes"}]"#)?;
/// assert_eq!(query.run(&[serde_json::json!({"likes": 0})]).count(), 0, "the originals leave out what counts as false");
/// # Ok::<(), flumedb::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Language {
    compat: Compat,
    memory_bytes: usize,
}

impl Default for Language {
    fn default() -> Self {
        Self { compat: Compat::default(), memory_bytes: Self::MEMORY_BYTES }
    }
}

impl Language {
    /// How much a query may keep in memory unless [`memory_bytes`](Language::memory_bytes) says otherwise.
    pub const MEMORY_BYTES: usize = 64 << 20;

    /// The language as it is documented.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether to do as the originals do.
    #[must_use]
    pub fn compat(self, compat: Compat) -> Self {
        Self { compat, ..self }
    }

    /// How much a query may keep for `$reduce` and `$sort`, about, and how much its stages may make of one value besides; one that
    /// needs more ends with an error.
    #[must_use]
    pub fn memory_bytes(self, memory_bytes: usize) -> Self {
        Self { memory_bytes, ..self }
    }

    /// Reads a query.
    ///
    /// # Errors
    /// `Invalid` if it is no JSON, too large or too deep, or not a query; the message names the place.
    pub fn parse(&self, text: &str) -> Result<Pipeline> {
        self.read(&Tree::parse(text)?)
    }

    /// Takes a value as a query. Its members come in the order that `serde_json` keeps, which is that of their names: so
    /// groups are sorted by the least name first.
    ///
    /// # Errors
    /// `Invalid` as [`parse`](Language::parse).
    pub fn parse_value(&self, value: &Value) -> Result<Pipeline> {
        self.read(&Tree::of(value, &Place::ROOT)?)
    }

    fn read(&self, tree: &Tree) -> Result<Pipeline> {
        let compat = self.compat;
        let mut stages = Vec::new();
        let mut selector = None;
        match tree {
            Tree::List(list) => {
                for (index, stage) in list.iter().enumerate() {
                    let place = Place::ROOT.item(index);
                    // What counts as false is no stage, as in the originals.
                    if !matches!(stage, Tree::Null | Tree::Bool(false)) {
                        stages.push(Placed::parse(stage, &place, compat)?);
                    }
                }
                if let Some(Placed { stage: Stage::Filter(filter), .. }) = stages.first() {
                    selector = Some(filter.clone());
                }
            }
            Tree::Object(members) if matches!(members.as_slice(), [(name, _)] if is_stage(name)) => {
                stages.push(Placed::parse(tree, &Place::ROOT, compat)?);
                if let Some(Placed { stage: Stage::Filter(filter), .. }) = stages.first() {
                    selector = Some(filter.clone());
                }
            }
            Tree::Object(_) => {
                let filter = Filter::parse(tree, &Place::ROOT, compat)?;
                if compat == Compat::Corrected {
                    stages.push(Placed { place: String::new(), stage: Stage::Filter(filter.clone()) });
                }
                selector = Some(filter);
            }
            other => {
                let message = format!("{other} is no query; a list of stages or an object to match is");
                return Err(Place::ROOT.error(message));
            }
        }
        Ok(Pipeline(Arc::new(Parts { stages, selector, compat, memory_bytes: self.memory_bytes })))
    }
}

/// A query that has been read. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Pipeline(pub(super) Arc<Parts>);

#[derive(Debug)]
pub(super) struct Parts {
    pub(super) stages: Vec<Placed>,
    /// What says which index fits.
    pub(super) selector: Option<Filter>,
    pub(super) compat: Compat,
    pub(super) memory_bytes: usize,
}

/// A stage and where in the query it stands.
#[derive(Clone, Debug)]
pub(super) struct Placed {
    pub(super) place: String,
    pub(super) stage: Stage,
}

#[derive(Clone, Debug)]
pub(super) enum Stage {
    Filter(Filter),
    Map(Rule),
    Reduce(Reduce),
    Sort(Sort),
}

impl Pipeline {
    /// Reads a query as [`Language::new`] has it.
    ///
    /// # Errors
    /// As [`Language::parse`].
    pub fn parse(text: &str) -> Result<Self> {
        Language::new().parse(text)
    }

    /// Begins a run of the query, to which values are given one by one.
    pub fn start(&self) -> Running {
        Running::new(self.clone())
    }

    /// What it makes of some values.
    pub fn run<'a, D: Document + 'a>(
        &self,
        docs: impl IntoIterator<Item = &'a D>,
    ) -> impl Iterator<Item = Result<Row>> {
        let mut running = Some(self.start());
        let mut docs = docs.into_iter();
        let mut finish = None;
        std::iter::from_fn(move || {
            while let (Some(open), None) = (&mut running, &finish) {
                match docs.next().map(|doc| open.push(None, doc)) {
                    Some(Ok(None)) => {}
                    Some(Ok(Some(row))) => return Some(Ok(row)),
                    Some(Err(error)) => {
                        running = None;
                        return Some(Err(error));
                    }
                    None => finish = running.take().map(Running::finish),
                }
            }
            finish.as_mut()?.next()
        })
    }

    /// The same query with the stages of another behind its own.
    ///
    /// ```
    /// # use flumedb::mfr::Pipeline;
    /// let sorted = Pipeline::parse(r#"{"type": "post"}"#)?.then(&Pipeline::parse(r#"[{"$sort": ["likes"]}]"#)?);
    /// assert!(!sorted.is_streaming());
    /// # Ok::<(), flumedb::Error>(())
    /// ```
    #[must_use]
    pub fn then(&self, other: &Self) -> Self {
        let stages = self.0.stages.iter().chain(&other.0.stages).cloned().collect();
        let selector =
            self.0.selector.clone().or_else(|| other.0.selector.clone().filter(|_| self.0.stages.is_empty()));
        Self(Arc::new(Parts { stages, selector, compat: self.0.compat, memory_bytes: self.0.memory_bytes }))
    }

    /// Whether it does as the originals do.
    pub fn compat(&self) -> Compat {
        self.0.compat
    }

    /// Whether the originals would look at the whole log for it: they do when it is sorted at its end.
    pub(crate) fn wants_scan(&self) -> bool {
        self.0.compat == Compat::Originals && matches!(self.0.stages.last(), Some(Placed { stage: Stage::Sort(_), .. }))
    }

    /// Whether rows come as soon as there are values, and not only when all have been seen: there is no `$reduce` and no
    /// `$sort`.
    pub fn is_streaming(&self) -> bool {
        !self.0.stages.iter().any(|placed| matches!(placed.stage, Stage::Reduce(_) | Stage::Sort(_)))
    }
}

impl Placed {
    fn parse(tree: &Tree, place: &Place<'_>, compat: Compat) -> Result<Self> {
        let Tree::Object(members) = tree else {
            return Err(place.error(format!("{tree} is no stage; an object with $filter, $map, $reduce or $sort is")));
        };
        let [(name, argument)] = members.as_slice() else {
            return match members.first() {
                // The originals look at the first member only.
                Some((name, argument)) if compat == Compat::Originals => Self::named(name, argument, place, compat),
                _ => {
                    Err(place
                        .error("a stage has one of $filter, $map, $reduce and $sort; give each a stage of its own"))
                }
            };
        };
        Self::named(name, argument, place, compat)
    }

    fn named(name: &str, argument: &Tree, place: &Place<'_>, compat: Compat) -> Result<Self> {
        let place = place.member(name);
        let stage = match name {
            "$filter" => Stage::Filter(Filter::parse(argument, &place, compat)?),
            "$map" => Stage::Map(Rule::parse(argument, &place, compat)?),
            "$reduce" => Stage::Reduce(Reduce::parse(argument, &place, compat)?),
            "$sort" => Stage::Sort(Sort::parse(argument, &place, compat)?),
            _ => {
                let message = format!("there is no stage {name}; there are $filter, $map, $reduce and $sort");
                return Err(place.error(message));
            }
        };
        Ok(Self { place: place.to_string(), stage })
    }
}

fn is_stage(name: &str) -> bool {
    matches!(name, "$filter" | "$map" | "$reduce" | "$sort")
}
