//! [`IndexOn`], which paths an index is of.

use serde::{Deserialize, Serialize};

use super::plan;
use crate::{Error, ErrorKind, Result, mfr::Pipeline};

/// An index of a [`Query`](super::Query) set: its name, and the paths by whose values entries are found, the first path
/// first.
///
/// An entry is in the index if it has something at the first path. As JSON it is written as flumeview-query does.
///
/// ```
/// use flumedb::views::IndexOn;
/// let by_author = IndexOn::new("author", [["value", "author"], ["value", "sequence"]]);
/// let same = IndexOn::parse_list(r#"[{"key": "author", "value": [["value", "author"], ["value", "sequence"]]}]"#)?;
/// assert_eq!(same, [by_author]);
/// # Ok::<(), flumedb::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IndexOn {
    #[serde(rename = "key")]
    pub(super) name: String,
    #[serde(rename = "value", deserialize_with = "paths")]
    pub(super) paths: Vec<Vec<String>>,
    /// Whether the originals would keep but one entry of those with the same values.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub(super) exact: bool,
}

impl IndexOn {
    /// An index of these paths, each a list of names.
    pub fn new<P, N>(name: impl Into<String>, paths: impl IntoIterator<Item = P>) -> Self
    where
        P: IntoIterator<Item = N>,
        N: Into<String>,
    {
        let paths = paths.into_iter().map(|path| path.into_iter().map(Into::into).collect()).collect();
        Self { name: name.into(), paths, exact: true }
    }

    /// For [`Compat::Originals`](crate::mfr::Compat::Originals) alone: whether but the newest of the entries with the same
    /// values is found, as in the originals unless they are told otherwise.
    #[must_use]
    pub fn exact(self, exact: bool) -> Self {
        Self { exact, ..self }
    }

    /// Indexes as JSON: a list of `{"key": name, "value": [path, …]}`, where a path is a name or a list of names.
    ///
    /// # Errors
    /// `Invalid` if it is no such list, or one of them has no path; the message names the place.
    pub fn parse_list(text: &str) -> Result<Vec<Self>> {
        let list: Vec<Self> = serde_json::from_str(text)
            .map_err(|error| Error::with_source(ErrorKind::Invalid, format!("no list of indexes: {error}"), error))?;
        for (place, on) in list.iter().enumerate() {
            on.check().map_err(|error| error.context(format_args!("at /{place}/value in the list of indexes")))?;
        }
        Ok(list)
    }

    /// How well it fits a query: 0 if it does not, more the better.
    ///
    /// ```
    /// use flumedb::{mfr::Pipeline, views::IndexOn};
    /// let by_author = IndexOn::new("author", [["author"], ["time"]]);
    /// assert_eq!(by_author.fits(&Pipeline::parse(r#"{"author": "alice", "time": {"$gt": 3}}"#)?), 5);
    /// assert_eq!(by_author.fits(&Pipeline::parse(r#"{"time": {"$gt": 3}}"#)?), 0);
    /// # Ok::<(), flumedb::Error>(())
    /// ```
    pub fn fits(&self, query: &Pipeline) -> u32 {
        plan::score(self, query)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn check(&self) -> Result<()> {
        if self.paths.is_empty() {
            let message = format!("the index \"{}\" has no path; give it one at least", self.name);
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        Ok(())
    }

    /// What decides what is stored.
    pub(super) fn detail(&self) -> String {
        serde_json::json!(self.paths).to_string()
    }
}

fn yes() -> bool {
    true
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_yes(exact: &bool) -> bool {
    *exact
}

fn paths<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<Vec<String>>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Path {
        Name(String),
        Names(Vec<String>),
    }
    let paths = Vec::<Path>::deserialize(deserializer)?;
    let names = |path| match path {
        Path::Name(name) => vec![name],
        Path::Names(names) => names,
    };
    Ok(paths.into_iter().map(names).collect())
}
