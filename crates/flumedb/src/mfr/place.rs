//! [`Place`], where in a query something stands: what an error names.

use std::fmt;

use crate::{Error, ErrorKind};

/// A place in a query; written as a JSON pointer (`/0/$filter/name`).
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    parent: Option<&'a Place<'a>>,
    step: Step<'a>,
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Name(&'a str),
    Item(usize),
}

impl<'a> Place<'a> {
    pub(super) const ROOT: Place<'static> = Place { parent: None, step: Step::Item(0) };

    pub(super) fn member(&'a self, name: &'a str) -> Place<'a> {
        Place { parent: Some(self), step: Step::Name(name) }
    }

    pub(super) fn item(&'a self, index: usize) -> Place<'a> {
        Place { parent: Some(self), step: Step::Item(index) }
    }

    /// How many containers stand around it.
    pub(super) fn depth(&self) -> usize {
        std::iter::successors(self.parent, |place| place.parent).count()
    }

    /// An error that names the place.
    pub(super) fn error(&self, what: impl fmt::Display) -> Error {
        let at = if self.parent.is_none() { "in the query".to_owned() } else { format!("at {self} in the query") };
        Error::new(ErrorKind::Invalid, format!("{at}: {what}"))
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(parent) = self.parent else { return Ok(()) };
        parent.fmt(f)?;
        match self.step {
            Step::Name(name) => write!(f, "/{}", name.replace('~', "~0").replace('/', "~1")),
            Step::Item(index) => write!(f, "/{index}"),
        }
    }
}
