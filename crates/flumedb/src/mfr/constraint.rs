//! [`Constraint`], what a filter says about what stands at a path: from which an index can tell a range.

use serde_json::{Value, json};

use super::{
    Pipeline,
    filter::{Test, What},
    operator::{Comparison, Operator},
};

/// Holds of every value that the filter lets through.
#[derive(Debug, PartialEq)]
pub(crate) enum Constraint<'a> {
    /// It is this very value.
    Exactly(&'a Value),
    /// It is one of these.
    In(&'a [Value]),
    /// It is not less than this one.
    NotLess(&'a Value),
    /// It is not greater than this one.
    NotGreater(&'a Value),
    /// It is a text that begins so.
    TextPrefix(&'a str),
    /// It is an array that begins so.
    ArrayPrefix(&'a [Value]),
    /// It is of this kind, named as `$is` does.
    Kind(&'a str),
}

impl Pipeline {
    /// What its first filter says about what stands at `names`, with the number of the test that says it.
    pub(crate) fn constraints<'a>(&'a self, names: &[String]) -> Vec<(usize, Constraint<'a>)> {
        let tests = self.tests().iter().enumerate();
        let at = tests.filter(|(_, test)| test.path.as_names() == Some(names));
        at.filter_map(|(number, test)| Some((number, constraint(test)?))).collect()
    }

    /// The tests of its first filter, each as a filter of its own.
    pub(crate) fn shown_tests(&self) -> Vec<Value> {
        self.tests().iter().map(|test| json!({"path": test.path.shown(), "is": test.said})).collect()
    }

    fn tests(&self) -> &[Test] {
        self.0.selector.as_ref().map_or(&[], |filter| &filter.tests)
    }
}

fn constraint(test: &Test) -> Option<Constraint<'_>> {
    Some(match &test.what {
        What::Literal(value) | What::Operator(Operator::Equal(value)) => Constraint::Exactly(value),
        What::Operator(Operator::In(values)) => Constraint::In(values),
        What::Operator(Operator::Compare(Comparison::Greater | Comparison::GreaterOrEqual, value)) => {
            Constraint::NotLess(value)
        }
        What::Operator(Operator::Compare(Comparison::Less | Comparison::LessOrEqual, value)) => {
            Constraint::NotGreater(value)
        }
        What::Operator(Operator::TextPrefix(prefix)) => Constraint::TextPrefix(prefix),
        What::Operator(Operator::ArrayPrefix(prefix)) => Constraint::ArrayPrefix(prefix),
        What::Operator(Operator::Is(kind)) => Constraint::Kind(kind),
        What::Present | What::Operator(_) => return None,
    })
}
