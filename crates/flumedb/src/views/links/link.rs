//! [`Link`], what an entry says of two things, and [`LinkRow`], a link with the entry that says it.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    Seq,
    codec::{Document, Field},
};

/// What an entry says of two things: from `source`, by `rel`, to `dest`, and whatever else there is to say of it.
///
/// ```
/// use flumedb::views::Link;
/// let link = Link::new("@alice", "likes", "%post").with("ts", 17);
/// assert_eq!((link.rel.as_str(), &link.fields["ts"]), ("likes", &17.into()));
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Link {
    /// Where it starts.
    pub source: String,
    /// What kind of link it is.
    pub rel: String,
    /// Where it leads.
    pub dest: String,
    /// Further fields. One called `source`, `rel` or `dest` is not seen: those are the three above.
    pub fields: Map<String, Value>,
}

impl Link {
    /// A link without further fields.
    pub fn new(source: impl Into<String>, rel: impl Into<String>, dest: impl Into<String>) -> Self {
        Self { source: source.into(), rel: rel.into(), dest: dest.into(), fields: Map::new() }
    }

    /// Adds a field.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.fields.insert(name.into(), value.into());
        self
    }

    /// The row as one value, as queries see it: `{"source":…,"rel":…,"dest":…}` and the further fields.
    pub fn to_value(&self) -> Value {
        let mut members = self.fields.clone();
        for (name, text) in [("source", &self.source), ("rel", &self.rel), ("dest", &self.dest)] {
            members.insert(name.to_owned(), Value::String(text.clone()));
        }
        Value::Object(members)
    }

    fn part<'a, 'p>(&'a self, path: &'p [&'p str]) -> Part<'a, 'p> {
        let Some((first, rest)) = path.split_first() else { return Part::Whole };
        let text = match *first {
            "source" => &self.source,
            "rel" => &self.rel,
            "dest" => &self.dest,
            name => return self.fields.get(name).map_or(Part::Nothing, |value| Part::Field(value, rest)),
        };
        if rest.is_empty() { Part::Text(text) } else { Part::Nothing }
    }

    /// What stands at `path`.
    pub(super) fn at(&self, path: &[String]) -> Option<Cow<'_, Value>> {
        let (first, rest) = path.split_first()?;
        let text = match first.as_str() {
            "source" => &self.source,
            "rel" => &self.rel,
            "dest" => &self.dest,
            name => return walk(self.fields.get(name)?, rest).map(Cow::Borrowed),
        };
        rest.is_empty().then(|| Cow::Owned(Value::String(text.clone())))
    }
}

fn walk<'a>(value: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, name| match value {
        Value::Object(members) => members.get(name),
        Value::Array(items) => items.get(name.parse::<usize>().ok()?),
        _ => None,
    })
}

/// Queries look into a link as into a document: its ends and its kind are members beside its fields.
impl Document for Link {
    fn field(&self, path: &[&str]) -> Option<Field<'_>> {
        match self.part(path) {
            Part::Whole => Some(Field::Object),
            Part::Text(text) => Some(Field::Text(text.into())),
            Part::Field(value, rest) => value.field(rest),
            Part::Nothing => None,
        }
    }

    fn items(&self, path: &[&str], visit: &mut dyn FnMut(&dyn Document)) {
        if let Part::Field(value, rest) = self.part(path) {
            value.items(rest, visit);
        }
    }

    fn members(&self, path: &[&str], visit: &mut dyn FnMut(&str, &dyn Document)) {
        match self.part(path) {
            Part::Whole => self.to_value().members(&[], visit),
            Part::Field(value, rest) => value.members(rest, visit),
            Part::Text(_) | Part::Nothing => {}
        }
    }
}

/// What stands at a path.
enum Part<'a, 'p> {
    Whole,
    Text(&'a str),
    /// A further field, and where to look in it.
    Field(&'a Value, &'p [&'p str]),
    Nothing,
}

/// A link, and the entry that says it.
#[derive(Clone, Debug, PartialEq)]
pub struct LinkRow {
    /// The entry.
    pub seq: Seq,
    /// What it says.
    pub link: Link,
}
