//! [`Reduce`], many values become few: the argument of `$reduce`.

mod fold;
mod groups;

use serde_json::{Map, Value};

use self::{
    fold::{Fold, Folded},
    groups::Groups,
};
use super::{
    Compat,
    budget::{Budget, MEMBER},
    operator::Operator,
    place::Place,
    room::Room,
    rule::Rule,
    tree::Tree,
};
use crate::{Result, codec::Document};

/// A shape with reducers in it, and with rules, by whose results the values are grouped.
#[derive(Clone, Debug)]
pub(super) struct Reduce {
    shape: Shape,
    /// About what the state of one group takes when it begins.
    state_bytes: usize,
    compat: Compat,
}

#[derive(Clone, Debug)]
enum Shape {
    Object(Vec<(String, Shape)>),
    Fold(Fold),
    /// What the group has in common.
    Key(Rule),
    /// A reduction of its own for each group.
    Nested(Box<Reduce>),
}

/// What a [`Reduce`] has made so far. Nothing of nothing.
#[derive(Debug)]
pub(super) enum Reduced {
    Nothing,
    One(State),
    Groups(Groups),
}

/// The state of one group.
#[derive(Debug)]
pub(super) enum State {
    Object(Vec<State>),
    Folded(Folded),
    Key(Option<Value>),
    Nested(Box<Reduced>),
}

impl Reduce {
    pub(super) fn parse(tree: &Tree, place: &Place<'_>, compat: Compat) -> Result<Self> {
        let shape = Shape::parse(tree, place, compat)?;
        Ok(Self { state_bytes: shape.states().saturating_mul(size_of::<State>()), shape, compat })
    }

    pub(super) fn start() -> Reduced {
        Reduced::Nothing
    }

    /// Takes in a value, unless there is no `room` for what it makes of it.
    pub(super) fn push(
        &self,
        reduced: &mut Reduced,
        doc: &dyn Document,
        room: &Room,
        budget: &mut Budget,
    ) -> Result<()> {
        let mut keys = Vec::new();
        self.shape.keys(doc, room, &mut keys);
        if room.is_over() {
            return Ok(());
        }
        if matches!(reduced, Reduced::Nothing) {
            *reduced = if keys.is_empty() {
                budget.take(self.state_bytes, "a $reduce")?;
                // In the originals a reducer that stands alone begins with null, one in an object with nothing.
                Reduced::One(self.shape.start(&mut Vec::new().into_iter(), matches!(self.shape, Shape::Fold(_))))
            } else {
                Reduced::Groups(Groups::new(self.compat))
            };
        }
        match reduced {
            Reduced::Nothing => Ok(()),
            Reduced::One(state) => self.shape.push(state, doc, room, budget),
            Reduced::Groups(groups) => {
                let state = groups
                    .of(keys, self.state_bytes, budget, |keys| self.shape.start(&mut keys.iter().cloned(), false))?;
                self.shape.push(state, doc, room, budget)
            }
        }
    }

    /// What has become of the values: one for each group.
    pub(super) fn finish(&self, reduced: Reduced) -> Box<dyn Iterator<Item = Value> + Send> {
        match reduced {
            Reduced::Nothing => Box::new(std::iter::empty()),
            Reduced::Groups(groups) => {
                let shape = self.shape.clone();
                Box::new(groups.into_states().filter_map(move |state| shape.finish(state)))
            }
            Reduced::One(state) => match (self.shape.finish(state), self.compat) {
                // In the originals, what a list or an object holds comes out.
                (Some(Value::Array(items)), Compat::Originals) => Box::new(items.into_iter()),
                (Some(Value::Object(mut members)), Compat::Originals) => {
                    let values: Vec<_> = self.shape.names().filter_map(|name| members.remove(name)).collect();
                    Box::new(values.into_iter())
                }
                (value, _) => Box::new(value.into_iter()),
            },
        }
    }
}

impl Shape {
    fn parse(tree: &Tree, place: &Place<'_>, compat: Compat) -> Result<Self> {
        let Tree::Object(members) = tree else { return Rule::parse(tree, place, compat).map(Self::Key) };
        if !tree.has_operator() {
            let member =
                |(name, tree): &(String, Tree)| Ok((name.clone(), Self::parse(tree, &place.member(name), compat)?));
            return Ok(Self::Object(members.iter().map(member).collect::<Result<_>>()?));
        }
        for (name, argument) in members {
            let place = place.member(name);
            let shape = match Fold::parse(name, argument, &place, compat)? {
                Some(fold) => Self::Fold(fold),
                None if name == "$reduce" => {
                    let mut nested = Reduce::parse(argument, &place, compat)?;
                    // All its groups stand in one list at the end, each with its names.
                    nested.state_bytes = nested.state_bytes.saturating_add(nested.shape.names_bytes());
                    Self::Nested(Box::new(nested))
                }
                None if compat == Compat::Corrected && Operator::parse(name, argument, &place, compat)?.is_none() => {
                    return Err(place.error(format!(
                        "there is no reducer or operator {name}; the reducers are {}, $reduce",
                        fold::NAMES
                    )));
                }
                None => continue,
            };
            if members.len() > 1 && compat == Compat::Corrected {
                return Err(place.error("a reducer stands alone in its object; give the others names of their own"));
            }
            return Ok(shape);
        }
        Rule::parse(tree, place, compat).map(Self::Key)
    }

    /// How many states one of this shape has in it.
    fn states(&self) -> usize {
        match self {
            Self::Object(members) => 1 + members.iter().map(|(_, shape)| shape.states()).sum::<usize>(),
            Self::Key(_) | Self::Fold(_) | Self::Nested(_) => 1,
        }
    }

    /// About what the names in an object of this shape take.
    fn names_bytes(&self) -> usize {
        match self {
            Self::Object(members) => {
                members.iter().map(|(name, shape)| MEMBER + name.len() + shape.names_bytes()).sum()
            }
            Self::Key(_) | Self::Fold(_) | Self::Nested(_) => 0,
        }
    }

    /// What each rule makes of a value.
    fn keys(&self, doc: &dyn Document, room: &Room, keys: &mut Vec<Option<Value>>) {
        match self {
            Self::Object(members) => members.iter().for_each(|(_, shape)| shape.keys(doc, room, keys)),
            Self::Key(rule) => keys.push(rule.apply(Some(doc), room)),
            Self::Fold(_) | Self::Nested(_) => {}
        }
    }

    fn start(&self, keys: &mut dyn Iterator<Item = Option<Value>>, alone: bool) -> State {
        match self {
            Self::Object(members) => State::Object(members.iter().map(|(_, shape)| shape.start(keys, false)).collect()),
            Self::Key(_) => State::Key(keys.next().flatten()),
            Self::Fold(fold) => State::Folded(fold.start(alone)),
            Self::Nested(_) => State::Nested(Box::new(Reduce::start())),
        }
    }

    fn push(&self, state: &mut State, doc: &dyn Document, room: &Room, budget: &mut Budget) -> Result<()> {
        match (self, state) {
            (Self::Object(members), State::Object(states)) => {
                members.iter().zip(states).try_for_each(|((_, shape), state)| shape.push(state, doc, room, budget))
            }
            (Self::Fold(fold), State::Folded(folded)) => fold.push(folded, doc, room, budget),
            (Self::Nested(reduce), State::Nested(reduced)) => reduce.push(reduced, doc, room, budget),
            _ => Ok(()),
        }
    }

    fn finish(&self, state: State) -> Option<Value> {
        match (self, state) {
            (Self::Object(members), State::Object(states)) => {
                let made = members.iter().zip(states);
                let made = made.filter_map(|((name, shape), state)| Some((name.clone(), shape.finish(state)?)));
                Some(Value::Object(made.collect::<Map<_, _>>()))
            }
            (Self::Fold(_), State::Folded(folded)) => folded.finish(),
            (Self::Key(_), State::Key(key)) => key,
            (Self::Nested(reduce), State::Nested(reduced)) => match *reduced {
                Reduced::One(state) => reduce.shape.finish(state),
                grouped => Some(reduce.finish(grouped).collect()),
            },
            _ => None,
        }
    }

    fn names(&self) -> impl Iterator<Item = &String> {
        let members: &[(String, Self)] = match self {
            Self::Object(members) => members,
            _ => &[],
        };
        members.iter().map(|(name, _)| name)
    }
}
