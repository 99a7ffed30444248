//! [`Rule`], what a query makes of a value: the argument of `$map`, and of the reducers.

use serde_json::{Map, Value};

use super::{
    Compat,
    budget::{MEMBER, NODE},
    operator::Operator,
    order::{is_truthy, scalar},
    path::{Input, Path},
    place::Place,
    room::Room,
    tree::Tree,
};
use crate::{Result, codec::Document};

#[derive(Clone, Debug)]
pub(super) enum Rule {
    Path(Path),
    /// One after another, each of what the one before made.
    Chain(Vec<Rule>),
    /// An object with what each rule makes of the same value.
    Object(Vec<(String, Rule)>),
    /// Those that must hold, and the last one, whose result counts.
    Operators(Vec<Operator>),
}

impl Rule {
    pub(super) fn parse(tree: &Tree, place: &Place<'_>, compat: Compat) -> Result<Self> {
        match tree {
            Tree::Object(members) if !tree.has_operator() => {
                let member = |(name, tree): &(String, Tree)| {
                    let place = place.member(name);
                    // `true` is the member of the same name.
                    let rule = if matches!(tree, Tree::Bool(true)) {
                        let mut path = Path::default();
                        path.push_name(name.clone());
                        Self::Path(path)
                    } else {
                        Self::parse(tree, &place, compat)?
                    };
                    Ok((name.clone(), rule))
                };
                Ok(Self::Object(members.iter().map(member).collect::<Result<_>>()?))
            }
            Tree::Object(members) => operators(members, place, compat).map(Self::Operators),
            Tree::List(parts) => chain(parts, place, compat),
            Tree::Bool(true) | Tree::Text(_) | Tree::Number(_) => Path::parse(tree, place).map(Self::Path),
            other => Err(place.error(format!(
                "{other} is no rule; a name, a position, true, a list of them, an object of rules or an operator is"
            ))),
        }
    }

    /// Whether it leaves a value as it is.
    pub(super) fn is_identity(&self) -> bool {
        matches!(self, Self::Path(path) if *path == Path::default())
    }

    /// What it makes of a value; `None` for nothing. Of `room` it takes what the result weighs.
    pub(super) fn apply(&self, doc: Option<&dyn Document>, room: &Room) -> Option<Value> {
        if room.is_over() {
            return None;
        }
        match self {
            Self::Path(path) => room.copy(doc, path),
            Self::Chain(rules) => {
                let (first, others) = rules.split_first()?;
                let at_first = room.taken();
                others.iter().fold(first.apply(doc, room), |value, rule| {
                    let before = room.taken();
                    let made = rule.apply(value.as_ref().map(|value| value as _), room);
                    room.keep(at_first + room.taken().saturating_sub(before));
                    made
                })
            }
            Self::Object(rules) => {
                let doc = doc.filter(|doc| !rules.is_empty() && !is_null(*doc) && room.take(NODE))?;
                let made = |(name, rule): &(String, Self)| {
                    let value = rule.apply(Some(doc), room)?;
                    room.take(MEMBER + name.len()).then(|| (name.clone(), value))
                };
                Some(Value::Object(rules.iter().filter_map(made).collect::<Map<_, _>>()))
            }
            Self::Operators(operators) => {
                let input = Input::new(doc, &[]);
                let (last, others) = operators.split_last()?;
                for operator in others {
                    let before = room.taken();
                    // Once: in rules within rules, a second look at each level would double the work of all below.
                    let made = operator.apply(&input, room);
                    if !is_truthy(made.as_ref().map(scalar).as_ref()) {
                        return made;
                    }
                    room.keep(before);
                }
                last.apply(&input, room)
            }
        }
    }

    /// Whether what it makes counts as true.
    pub(super) fn holds(&self, doc: Option<&dyn Document>, room: &Room) -> bool {
        let before = room.taken();
        let holds = is_truthy(self.apply(doc, room).as_ref().map(scalar).as_ref());
        room.keep(before);
        holds
    }
}

fn is_null(doc: &dyn Document) -> bool {
    matches!(doc.field(&[]), None | Some(crate::codec::Field::Null))
}

/// The operators of an object that has some.
fn operators(members: &[(String, Tree)], place: &Place<'_>, compat: Compat) -> Result<Vec<Operator>> {
    let mut found = Vec::new();
    for (name, tree) in members {
        match Operator::parse(name, tree, &place.member(name), compat)? {
            Some(operator) => found.push(operator),
            None if compat == Compat::Originals => {}
            None if name.starts_with('$') => return Err(Operator::unknown(name, &place.member(name))),
            None => {
                return Err(place
                    .member(name)
                    .error("a name beside operators; give the operators an object of their own"));
            }
        }
    }
    match (found.is_empty(), members.first()) {
        (true, Some((name, _))) => Err(Operator::unknown(name, &place.member(name))),
        _ => Ok(found),
    }
}

/// A list of rules. Paths in a row are one path, which a document finds without a copy of what is around.
fn chain(parts: &[Tree], place: &Place<'_>, compat: Compat) -> Result<Rule> {
    let mut rules = Vec::new();
    for (index, part) in parts.iter().enumerate() {
        let place = place.item(index);
        if matches!(part, Tree::Object(_)) && !part.has_operator() {
            return Err(place.error("an object of rules cannot stand in a list; put it in a $map"));
        }
        match (rules.last_mut(), Rule::parse(part, &place, compat)?) {
            (Some(Rule::Path(before)), Rule::Path(next)) => before.join(&next),
            (_, Rule::Chain(inner)) => rules.extend(inner),
            (_, rule) => rules.push(rule),
        }
    }
    Ok(match (rules.pop(), rules.is_empty()) {
        (None, _) => Rule::Path(Path::default()),
        (Some(one), true) => one,
        (Some(last), false) => {
            rules.push(last);
            Rule::Chain(rules)
        }
    })
}
