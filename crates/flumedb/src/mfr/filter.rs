//! [`Filter`], whether a value is wanted: the argument of `$filter`. It looks into a document without copying it.

use serde_json::{Value, json};

use super::{
    Compat,
    operator::{Operator, equals},
    path::Path,
    place::Place,
    room::Room,
    tree::Tree,
};
use crate::{
    Result,
    codec::{Document, Field},
};

/// Tests of what stands at paths; all must hold.
#[derive(Clone, Debug)]
pub(super) struct Filter {
    pub(super) tests: Vec<Test>,
    compat: Compat,
}

#[derive(Clone, Debug)]
pub(super) struct Test {
    pub(super) path: Path,
    pub(super) what: What,
    /// What the query said: for those who want to know.
    pub(super) said: Value,
}

#[derive(Clone, Debug)]
pub(super) enum What {
    /// Something is there, and it is not null.
    Present,
    /// This very value.
    Literal(Value),
    Operator(Operator),
}

impl Filter {
    pub(super) fn parse(tree: &Tree, place: &Place<'_>, compat: Compat) -> Result<Self> {
        let mut filter = Self { tests: Vec::new(), compat };
        filter.add(tree, &Path::default(), place)?;
        Ok(filter)
    }

    pub(super) fn matches(&self, doc: Option<&dyn Document>, room: &Room) -> bool {
        self.tests.iter().all(|test| test.holds(doc, room))
    }

    fn add(&mut self, tree: &Tree, path: &Path, place: &Place<'_>) -> Result<()> {
        match tree {
            Tree::Object(members) if tree.has_operator() => self.add_operators(members, path, place),
            Tree::Object(members) => {
                self.add_container(path, members.iter().map(|(name, tree)| (name.as_str(), tree)), |name| {
                    (place.member(name), name.to_owned())
                })
            }
            Tree::List(items) => {
                self.add_container(path, items.iter().enumerate(), |index| (place.item(index), index.to_string()))
            }
            literal => {
                self.push(path, What::Literal(literal.to_value()), literal.to_value());
                Ok(())
            }
        }
    }

    /// Each member must match, and there must be something that has members.
    fn add_container<'t, N: Copy>(
        &mut self,
        path: &Path,
        members: impl Iterator<Item = (N, &'t Tree)>,
        place: impl Fn(N) -> (Place<'t>, String),
    ) -> Result<()> {
        let first = self.tests.len();
        for (name, tree) in members {
            let (place, name) = place(name);
            let mut path = path.clone();
            path.push_name(name);
            self.add(tree, &path, &place)?;
        }
        let compat = self.compat;
        let implied = self.tests.iter().skip(first).any(|test| match &test.what {
            What::Present => true,
            What::Literal(_) => true,
            What::Operator(operator) => !operator.takes_nothing(compat),
        });
        if !implied {
            self.push(path, What::Present, json!({}));
        }
        Ok(())
    }

    fn add_operators(&mut self, members: &[(String, Tree)], path: &Path, place: &Place<'_>) -> Result<()> {
        let mut found = false;
        for (name, tree) in members {
            let place = place.member(name);
            match Operator::parse(name, tree, &place, self.compat)? {
                Some(Operator::Filter(inner)) => {
                    found = true;
                    for test in inner.tests {
                        let mut path = path.clone();
                        path.join(&test.path);
                        self.push(&path, test.what, test.said);
                    }
                }
                Some(operator) => {
                    found = true;
                    self.push(path, What::Operator(operator), json!({ name: tree.to_value() }));
                }
                // The originals pass over what they do not know beside what they know.
                None if self.compat == Compat::Originals => {}
                None if name.starts_with('$') => return Err(Operator::unknown(name, &place)),
                None => {
                    self.add_container(path, [(name.as_str(), tree)].into_iter(), |name| (place, name.to_owned()))?
                }
            }
        }
        match members.first() {
            Some((name, _)) if !found => Err(Operator::unknown(name, &place.member(name))),
            _ => Ok(()),
        }
    }

    fn push(&mut self, path: &Path, what: What, said: Value) {
        self.tests.push(Test { path: path.clone(), what, said });
    }
}

impl Test {
    fn holds(&self, doc: Option<&dyn Document>, room: &Room) -> bool {
        self.path.within(doc, |input| match &self.what {
            What::Present => !matches!(input.field(), None | Some(Field::Null)),
            What::Literal(value) => equals(value, input.field().as_ref(), &input, room.compat),
            What::Operator(operator) => operator.holds(&input, room),
        })
    }
}
