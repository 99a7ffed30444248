//! [`Path`], where a field stands, and [`Number`], what entries are compared and sorted by.

use std::fmt;

use serde_json::Value;

use super::term::{self, NUMBER_LEN};
use crate::codec::Document;

/// Where a field stands in a document: names, `"value.content.type"`. The empty text is the document itself. Names with dots
/// in them are given one by one.
///
/// ```
/// use flumedb::views::bitmaps::Path;
/// assert_eq!(Path::from("value.author"), Path::from(["value", "author"]));
/// assert_ne!(Path::from("a.b"), Path::from(["a.b"]));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Path(pub(super) Vec<String>);

impl From<&str> for Path {
    fn from(text: &str) -> Self {
        if text.is_empty() { Self(Vec::new()) } else { Self(text.split('.').map(str::to_owned).collect()) }
    }
}

impl From<&String> for Path {
    fn from(text: &String) -> Self {
        Self::from(text.as_str())
    }
}

impl<const N: usize> From<[&str; N]> for Path {
    fn from(names: [&str; N]) -> Self {
        Self(names.map(str::to_owned).into())
    }
}

impl From<Vec<String>> for Path {
    fn from(names: Vec<String>) -> Self {
        Self(names)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("."))
    }
}

impl Path {
    /// As it is looked up.
    pub(super) fn names(&self) -> Vec<&str> {
        self.0.iter().map(String::as_str).collect()
    }

    /// Text with dots, or a list where that would say something else.
    pub(super) fn to_json(&self) -> Value {
        let text = self.to_string();
        if Self::from(text.as_str()) == *self { text.into() } else { self.0.clone().into() }
    }
}

/// A number that entries have: what they are compared with (`gt` …) and sorted by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Number {
    /// The number at a path.
    Path(Path),
    /// The least of the numbers at some paths. Where one has none, those of the others.
    Least(Vec<Path>),
    /// One that was declared under this name ([`Bitmaps::number`](super::Bitmaps::number)). Two are there from the start, as in jitdb:
    /// `sequence`, which is `value.sequence`, and `timestamp`, the lesser of `timestamp` and `value.timestamp`.
    Named(String),
}

impl<P: Into<Path>> From<P> for Number {
    fn from(path: P) -> Self {
        Self::Path(path.into())
    }
}

impl Number {
    /// What is declared from the start.
    pub(super) fn known(name: &str) -> Option<Self> {
        match name {
            "sequence" => Some(Self::Path("value.sequence".into())),
            "timestamp" => Some(Self::Least(vec!["timestamp".into(), "value.timestamp".into()])),
            _ => None,
        }
    }

    pub(super) fn paths(&self) -> &[Path] {
        match self {
            Self::Path(path) => std::slice::from_ref(path),
            Self::Least(paths) => paths,
            Self::Named(_) => &[],
        }
    }
}

/// The term of the least number at `paths`, without its mark.
pub(super) fn least<D: Document + ?Sized>(doc: &D, paths: &[Vec<&str>]) -> Option<[u8; NUMBER_LEN]> {
    paths.iter().filter_map(|path| term::number(&doc.field(path)?)).min()
}
