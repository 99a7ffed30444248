//! [`Kind`], what one of the views builds: which terms a document has. The whole of it decides the view's name and its
//! definition, so that no two questions share a view by mistake.

use std::{fmt, hash::Hasher, sync::Arc};

use serde::Deserialize;
use serde_json::{Value, json};
use siphasher::sip128::{Hasher128, SipHasher13};

use super::{
    path::{Number, Path, least},
    term::{self, NUMBER_LEN},
};
use crate::{
    codec::{Document, Field},
    view::Definition,
};

/// What a predicate is given: what stands at its path, if something does.
pub(super) type Test = Arc<dyn Fn(Option<Field<'_>>) -> bool + Send + Sync>;

/// What one of the views builds.
#[derive(Clone)]
pub(super) enum Kind {
    /// Every entry.
    Entries,
    /// The value at a path, or that there is none.
    Values(Path),
    /// The items of an array at a path, or what stands at `pluck` in each of them; a scalar as its only item.
    Items { path: Path, pluck: Option<Path> },
    /// `bytes` bytes of the text at a path, from the one at `offset` on: small, and what it finds is looked at.
    Part { path: Path, bytes: usize, offset: usize },
    /// Numbers, by entry and in order.
    Numbers(Number),
    /// What a function says.
    Predicate { path: Path, name: String, version: u32, test: Test },
}

/// The version of what is stored.
const VERSION: u32 = 2;

impl Kind {
    /// Everything that decides the state.
    fn detail(&self) -> Value {
        match self {
            Self::Entries => json!({"kind": "entries"}),
            Self::Values(path) => json!({"kind": "values", "path": path.0}),
            Self::Items { path, pluck } => {
                json!({"kind": "items", "path": path.0, "pluck": pluck.as_ref().map(|pluck| &pluck.0)})
            }
            Self::Part { path, bytes, offset } => {
                json!({"kind": "part", "path": path.0, "bytes": bytes, "offset": offset})
            }
            Self::Numbers(number) => {
                json!({"kind": "numbers", "least": number.paths().iter().map(|path| &path.0).collect::<Vec<_>>()})
            }
            Self::Predicate { path, name, version, .. } => {
                json!({"kind": "predicate", "path": path.0, "name": name, "version": version})
            }
        }
    }

    /// What has this detail. A predicate is a function, of which it does not tell.
    pub(super) fn of_detail(detail: &Value) -> Option<Self> {
        fn part<'a, T: Deserialize<'a>>(detail: &'a Value, name: &str) -> Option<T> {
            T::deserialize(detail.get(name)?).ok()
        }
        let path = || part(detail, "path").map(Path);
        Some(match detail.get("kind")?.as_str()? {
            "entries" => Self::Entries,
            "values" => Self::Values(path()?),
            "items" => Self::Items { path: path()?, pluck: part::<Option<_>>(detail, "pluck")?.map(Path) },
            "part" => Self::Part { path: path()?, bytes: part(detail, "bytes")?, offset: part(detail, "offset")? },
            "numbers" => Self::Numbers(Number::Least(part::<Vec<_>>(detail, "least")?.into_iter().map(Path).collect())),
            _ => return None,
        })
    }

    pub(super) fn definition(&self) -> Definition {
        Definition::new("bitmaps", VERSION, self.detail().to_string())
    }

    /// A name for the view, which is also that of a directory: what it is, for people, and a digest of all of it.
    pub(super) fn name(&self) -> String {
        let detail = self.detail();
        let mut hasher = SipHasher13::new();
        hasher.write(detail.to_string().as_bytes());
        let about = match self {
            Self::Entries => String::new(),
            Self::Values(path) | Self::Items { path, .. } | Self::Part { path, .. } | Self::Predicate { path, .. } => {
                path.to_string()
            }
            Self::Numbers(number) => number.paths().iter().map(Path::to_string).collect::<Vec<_>>().join("-"),
        };
        let plain = |letter: char| if letter.is_ascii_alphanumeric() || letter == '-' { letter } else { '_' };
        let about: String = about.chars().map(plain).take(40).collect();
        let kind = detail.get("kind").and_then(Value::as_str).unwrap_or_default();
        format!("bitmaps-{kind}-{about}-{:016x}", hasher.finish128().h1)
    }

    /// Shows `visit` each term that `doc` has; the same one perhaps more than once. `scratch` is memory to use.
    pub(super) fn terms<D: Document + ?Sized>(
        &self,
        paths: &Paths<'_>,
        doc: &D,
        scratch: &mut Vec<u8>,
        visit: &mut dyn FnMut(&[u8]),
    ) {
        match self {
            Self::Entries => visit(term::THERE),
            Self::Values(_) => {
                scratch.clear();
                if term::append(doc.field(&paths.first).as_ref(), scratch) {
                    visit(scratch);
                }
            }
            Self::Items { pluck, .. } => {
                let mut found = |field: Option<Field<'_>>| {
                    if let Some(field) = field
                        && term::write(&field, scratch)
                    {
                        visit(scratch);
                    }
                };
                match doc.field(&paths.first) {
                    Some(Field::Array) => doc.items(&paths.first, &mut |item| {
                        found(if pluck.is_some() { item.field(&paths.second) } else { item.field(&[]) });
                    }),
                    scalar => found(scalar),
                }
            }
            Self::Part { bytes, offset, .. } => {
                if let Some(text) = doc.text(&paths.first) {
                    part(&text, *bytes, *offset, scratch);
                    visit(scratch);
                }
            }
            // Its terms are numbers, and stand elsewhere too.
            Self::Numbers(_) => {
                if let Some(number) = self.number(paths, doc) {
                    visit(term::NUMERIC);
                    scratch.clear();
                    scratch.push(term::NUMBER);
                    scratch.extend_from_slice(&number);
                    visit(scratch);
                }
            }
            Self::Predicate { test, .. } => {
                if test(doc.field(&paths.first)) {
                    visit(term::THERE);
                }
            }
        }
    }

    /// The number that `doc` is compared and sorted by.
    pub(super) fn number<D: Document + ?Sized>(&self, paths: &Paths<'_>, doc: &D) -> Option<[u8; NUMBER_LEN]> {
        if matches!(self, Self::Numbers(_)) { least(doc, &paths.all) } else { None }
    }

    /// The paths as they are looked up; made once for many documents.
    pub(super) fn paths(&self) -> Paths<'_> {
        let mut paths = Paths::default();
        match self {
            Self::Entries => {}
            Self::Values(path) | Self::Part { path, .. } | Self::Predicate { path, .. } => paths.first = path.names(),
            Self::Items { path, pluck } => {
                paths.first = path.names();
                paths.second = pluck.as_ref().map(Path::names).unwrap_or_default();
            }
            Self::Numbers(number) => paths.all = number.paths().iter().map(Path::names).collect(),
        }
        paths
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kind({})", self.detail())
    }
}

#[derive(Default)]
pub(super) struct Paths<'a> {
    first: Vec<&'a str>,
    second: Vec<&'a str>,
    all: Vec<Vec<&'a str>>,
}

/// Writes the term of some bytes of a text over what is in `out`: how many there are first, so that no part begins another.
pub(super) fn part(text: &str, bytes: usize, offset: usize, out: &mut Vec<u8>) {
    let from = text.as_bytes().get(offset..).unwrap_or_default();
    let part = from.get(..bytes).unwrap_or(from);
    out.clear();
    out.push(part.len() as u8);
    out.extend_from_slice(part);
}
