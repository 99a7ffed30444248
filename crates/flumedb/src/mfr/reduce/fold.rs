//! [`Fold`], a reducer: `{"$sum": "likes"}`.

use std::cmp::Ordering;

use serde_json::Value;

use crate::{
    Result,
    codec::Document,
    mfr::{
        Compat,
        budget::{Budget, weigh},
        order::{compare, number, to_number},
        place::Place,
        room::Room,
        rule::Rule,
        tree::Tree,
    },
};

pub(super) const NAMES: &str = "$count, $sum, $product, $min, $max, $collect";

#[derive(Clone, Debug)]
pub(in crate::mfr) struct Fold {
    kind: Kind,
    of: Rule,
    compat: Compat,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Count,
    Sum,
    Product,
    Min,
    Max,
    Collect,
}

/// What a reducer has made so far.
#[derive(Debug)]
pub(in crate::mfr) enum Folded {
    Count(u64),
    /// Exact as long as all numbers were whole.
    Number {
        whole: Option<i128>,
        float: f64,
    },
    /// As the originals have it; null at the beginning of one that stands alone.
    Coerced(Coerced),
    Extreme(Option<Value>),
    Collected(Vec<Value>),
}

#[derive(Debug)]
pub(in crate::mfr) enum Coerced {
    Value(Option<Value>),
    Number(f64),
}

impl Fold {
    pub(super) fn parse(name: &str, tree: &Tree, place: &Place<'_>, compat: Compat) -> Result<Option<Self>> {
        let kind = match name {
            "$count" => Kind::Count,
            "$sum" => Kind::Sum,
            "$product" => Kind::Product,
            "$min" => Kind::Min,
            "$max" => Kind::Max,
            "$collect" => Kind::Collect,
            _ => return Ok(None),
        };
        Ok(Some(Self { kind, of: Rule::parse(tree, place, compat)?, compat }))
    }

    pub(super) fn start(&self, alone: bool) -> Folded {
        match self.kind {
            Kind::Count => Folded::Count(0),
            Kind::Sum => Folded::Number { whole: Some(0), float: 0.0 },
            Kind::Product => Folded::Number { whole: Some(1), float: 1.0 },
            Kind::Min | Kind::Max if self.compat == Compat::Corrected => Folded::Extreme(None),
            Kind::Min | Kind::Max => Folded::Coerced(Coerced::Value(alone.then_some(Value::Null))),
            Kind::Collect => Folded::Collected(Vec::new()),
        }
    }

    pub(super) fn push(&self, folded: &mut Folded, doc: &dyn Document, room: &Room, budget: &mut Budget) -> Result<()> {
        if let Folded::Count(count) = folded {
            *count += 1;
            return Ok(());
        }
        let before = room.taken();
        let value = self.of.apply(Some(doc), room);
        // What of it is kept is the budget's.
        room.keep(before);
        if room.is_over() {
            return Ok(());
        }
        match self.compat {
            Compat::Corrected => self.take(folded, value, budget),
            Compat::Originals => self.take_coerced(folded, value, budget),
        }
    }

    fn take(&self, folded: &mut Folded, value: Option<Value>, budget: &mut Budget) -> Result<()> {
        let Some(value) = value else { return Ok(()) };
        match (self.kind, folded) {
            (Kind::Sum | Kind::Product, Folded::Number { whole, float }) => {
                let Value::Number(number) = value else { return Ok(()) };
                let sum = matches!(self.kind, Kind::Sum);
                let next = number.as_i128();
                *whole = whole.zip(next).and_then(
                    |(one, two)| {
                        if sum { one.checked_add(two) } else { one.checked_mul(two) }
                    },
                );
                let next = number.as_f64().unwrap_or_default();
                *float = if sum { *float + next } else { *float * next };
            }
            (Kind::Min | Kind::Max, Folded::Extreme(best)) if !value.is_null() => {
                let wanted = if matches!(self.kind, Kind::Min) { Ordering::Less } else { Ordering::Greater };
                if best.as_ref().is_none_or(|best| compare(&value, best) == wanted) {
                    budget.give(best.as_ref().map_or(0, weigh));
                    budget.take(weigh(&value), "a $min or $max")?;
                    *best = Some(value);
                }
            }
            (Kind::Collect, Folded::Collected(values)) => {
                budget.take(weigh(&value), "a $collect")?;
                values.push(value);
            }
            _ => {}
        }
        Ok(())
    }

    /// As the originals do it: with what JavaScript takes the values for.
    fn take_coerced(&self, folded: &mut Folded, value: Option<Value>, budget: &mut Budget) -> Result<()> {
        match (self.kind, folded) {
            (Kind::Sum, Folded::Number { whole, float }) => {
                let next = to_number(value.as_ref());
                *whole = None;
                *float = or(*float, 0.0) + or(next, 0.0);
            }
            (Kind::Product, Folded::Number { whole, float }) => {
                let next = match &value {
                    // An empty text, false and the like are passed over, as is 0.
                    Some(Value::String(text)) if text.is_empty() => 1.0,
                    value => to_number(value.as_ref()),
                };
                *whole = None;
                let passed = matches!(value, None | Some(Value::Null | Value::Bool(false)))
                    || matches!(&value, Some(Value::Number(_))) && next == 0.0;
                *float = or(*float, 1.0) * if passed { 1.0 } else { next };
            }
            (Kind::Min | Kind::Max, Folded::Coerced(so_far)) => {
                *so_far = match so_far {
                    Coerced::Value(None) => {
                        budget.take(value.as_ref().map_or(0, weigh), "a $min or $max")?;
                        Coerced::Value(value)
                    }
                    Coerced::Value(first) => Coerced::Number(self.extreme(to_number(first.as_ref()), &value)),
                    Coerced::Number(number) => Coerced::Number(self.extreme(*number, &value)),
                };
            }
            (Kind::Collect, Folded::Collected(values)) => {
                // What is not there stands as null in JSON.
                let value = value.unwrap_or(Value::Null);
                budget.take(weigh(&value), "a $collect")?;
                values.push(value);
            }
            _ => {}
        }
        Ok(())
    }

    /// Not-a-number if either is.
    fn extreme(&self, one: f64, value: &Option<Value>) -> f64 {
        let two = to_number(value.as_ref());
        if one.is_nan() || two.is_nan() {
            f64::NAN
        } else if matches!(self.kind, Kind::Min) {
            one.min(two)
        } else {
            one.max(two)
        }
    }
}

fn or(number: f64, otherwise: f64) -> f64 {
    if number == 0.0 || number.is_nan() { otherwise } else { number }
}

impl Folded {
    /// What JSON has no number for is null.
    pub(super) fn finish(self) -> Option<Value> {
        match self {
            Self::Count(count) => Some(count.into()),
            Self::Number { whole, float } => {
                let exact = whole.and_then(|whole| i64::try_from(whole).ok());
                Some(exact.map(Value::from).or_else(|| number(float)).unwrap_or(Value::Null))
            }
            Self::Coerced(Coerced::Number(coerced)) => Some(number(coerced).unwrap_or(Value::Null)),
            Self::Coerced(Coerced::Value(value)) => value,
            Self::Extreme(value) => value,
            Self::Collected(values) => Some(Value::Array(values)),
        }
    }
}
