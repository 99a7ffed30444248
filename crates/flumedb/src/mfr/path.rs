//! [`Path`], where in a value something is looked for.

use serde_json::Value;

use super::{place::Place, tree::Tree};
use crate::{
    Result,
    codec::{Document, Field},
};

/// Names of members and positions in arrays, negative ones from the end; `length` of an array or a text is how long it
/// is (of a text in UTF-16 units). A path that leads nowhere, as one into a number, finds nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Path {
    /// As far as a document finds it by itself.
    names: Vec<String>,
    /// What is left from the first step on that a document does not know.
    rest: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq)]
enum Step {
    Name(String),
    FromEnd(usize),
}

/// What a path found, with what stands in it still in the document where it can.
pub(super) struct Input<'a> {
    doc: Option<&'a dyn Document>,
    path: &'a [&'a str],
}

impl<'a> Input<'a> {
    pub(super) fn new(doc: Option<&'a dyn Document>, path: &'a [&'a str]) -> Self {
        Self { doc, path }
    }

    pub(super) fn field(&self) -> Option<Field<'a>> {
        self.doc?.field(self.path)
    }

    pub(super) fn value(&self) -> Option<Value> {
        self.doc?.to_value(self.path)
    }
}

impl Path {
    /// A path in a query: a name, a position, `true` for the whole, or a list of such.
    pub(super) fn parse(tree: &Tree, place: &Place<'_>) -> Result<Self> {
        let mut path = Self::default();
        match tree {
            Tree::List(steps) => {
                for (index, step) in steps.iter().enumerate() {
                    path.push_tree(step, &place.item(index))?;
                }
            }
            one => path.push_tree(one, place)?,
        }
        Ok(path)
    }

    fn push_tree(&mut self, step: &Tree, place: &Place<'_>) -> Result<()> {
        match step {
            Tree::Bool(true) => {}
            Tree::Text(name) => self.push_name(name.clone()),
            Tree::Number(number) if number.is_i64() => self.push_position(number.as_i64().unwrap_or_default()),
            other => return Err(place.error(format!("{other} is no step of a path; a name or a whole number is"))),
        }
        Ok(())
    }

    pub(super) fn push_name(&mut self, name: String) {
        if self.rest.is_empty() && name != "length" {
            self.names.push(name);
        } else {
            self.rest.push(Step::Name(name));
        }
    }

    pub(super) fn push_position(&mut self, position: i64) {
        match usize::try_from(position) {
            Ok(position) => self.push_name(position.to_string()),
            Err(_) => self.rest.push(Step::FromEnd(position.unsigned_abs().try_into().unwrap_or(usize::MAX))),
        }
    }

    /// Goes on with `other`.
    pub(super) fn join(&mut self, other: &Self) {
        other.names.iter().for_each(|name| self.push_name(name.clone()));
        self.rest.extend(other.rest.iter().cloned());
    }

    /// The names, if it is nothing but names.
    pub(super) fn as_names(&self) -> Option<&[String]> {
        self.rest.is_empty().then_some(&self.names)
    }

    /// As a query has it.
    pub(super) fn shown(&self) -> Vec<Value> {
        let rest = self.rest.iter().map(|step| match step {
            Step::Name(name) => Value::from(name.as_str()),
            Step::FromEnd(back) => Value::from(format!("-{back}")),
        });
        self.names.iter().map(|name| Value::from(name.as_str())).chain(rest).collect()
    }

    /// Shows `look` what stands there.
    pub(super) fn within<R>(&self, doc: Option<&dyn Document>, look: impl FnOnce(Input<'_>) -> R) -> R {
        with_names(&self.names, |names| {
            if self.rest.is_empty() {
                return look(Input::new(doc, names));
            }
            let value = doc.and_then(|doc| doc.to_value(names)).and_then(|value| walk(value, &self.rest));
            look(Input::new(value.as_ref().map(|value| value as _), &[]))
        })
    }

    /// A copy of what stands there.
    pub(super) fn value(&self, doc: Option<&dyn Document>) -> Option<Value> {
        let doc = doc?;
        let value = with_names(&self.names, |names| doc.to_value(names))?;
        walk(value, &self.rest)
    }
}

fn walk(value: Value, steps: &[Step]) -> Option<Value> {
    steps.iter().try_fold(value, |value, step| match (step, value) {
        (Step::Name(name), Value::Array(items)) if name == "length" => Some(items.len().into()),
        (Step::Name(name), Value::String(text)) if name == "length" => Some(text.encode_utf16().count().into()),
        (Step::Name(name), Value::Object(mut members)) => members.remove(name),
        (Step::Name(name), Value::Array(mut items)) => {
            let at = name.parse().ok().filter(|at: &usize| *at < items.len() && at.to_string() == *name)?;
            Some(items.swap_remove(at))
        }
        (Step::FromEnd(back), Value::Array(mut items)) => {
            let at = items.len().checked_sub(*back)?;
            Some(items.swap_remove(at))
        }
        _ => None,
    })
}

/// Names as a document takes them, on the stack where they are few.
pub(crate) fn with_names<R>(names: &[String], look: impl FnOnce(&[&str]) -> R) -> R {
    let mut few = [""; 8];
    match few.get_mut(..names.len()) {
        Some(few) => {
            few.iter_mut().zip(names).for_each(|(slot, name)| *slot = name);
            look(few)
        }
        None => look(&names.iter().map(String::as_str).collect::<Vec<_>>()),
    }
}
