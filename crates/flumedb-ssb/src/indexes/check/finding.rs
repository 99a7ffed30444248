//! What a check says: a [`Finding`] for each file, together an [`IndexReport`].

use std::{fmt, path::PathBuf};

use flumedb::Seq;
use serde::{Serialize, Serializer, ser::SerializeStruct};

use crate::indexes::{IndexFile, file::lossy};

/// How an index stands to its log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Verdict {
    /// It holds what it should.
    Right,
    /// It holds what it should of the records that it covers; newer ones are in the log.
    Behind,
    /// It covers records that the log does not have: it is another log's, or the log has lost its end.
    Ahead,
    /// It holds something else than it should.
    Wrong,
    /// Its bytes are not as they were written.
    Damaged,
    /// What it should hold cannot be worked out.
    Unknown,
}

impl Verdict {
    /// Whether nothing speaks against using it.
    pub fn is_ok(self) -> bool {
        matches!(self, Self::Right | Self::Behind | Self::Unknown)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Right => "right",
            Self::Behind => "behind",
            Self::Ahead => "ahead",
            Self::Wrong => "wrong",
            Self::Damaged => "damaged",
            Self::Unknown => "unknown",
        })
    }
}

/// A fault of the original libraries that a file shows. Each is a row of `docs/compatibility.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Different queries share the file; it answers one of them rightly.
    SharedName,
    /// Different queries share the file, and it holds the answers of more than one.
    MixedQueries,
    /// Records selected under an older version were kept when the version was raised.
    OldVersion,
    /// A short value makes jitdb throw in the middle of the scan.
    ShortValue,
    /// Lists whose last item matches are left out.
    LastItem,
    /// The log goes on behind what 32 bits can name.
    Past4GiB,
    /// The numbering started again at 0 in the middle of the log.
    Shifted,
    /// The count includes deleted records behind the position.
    CountsDeleted,
    /// The count is one too small for its position.
    CountTooSmall,
    /// A deleted entry hides others in a hashtable.
    DeletedHides,
    /// The folded value counts entries that have been deleted since.
    FoldedDeleted,
}

impl Fault {
    /// Its row in `docs/compatibility.md`.
    pub fn row(self) -> &'static str {
        match self {
            Self::SharedName | Self::MixedQueries => "V1",
            Self::OldVersion => "V5",
            Self::ShortValue => "V7",
            Self::LastItem => "V8",
            Self::Past4GiB => "V9",
            Self::Shifted => "V10",
            Self::CountsDeleted => "V11",
            Self::CountTooSmall => "V14",
            Self::DeletedHides => "V15",
            Self::FoldedDeleted => "V17",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SharedName => "ambiguous name: one file serves several queries, and answers one of them rightly",
            Self::MixedQueries => "ambiguous name: one file serves several queries, and holds the answers of two",
            Self::OldVersion => "raising the version keeps what the older function selected",
            Self::ShortValue => "a value shorter than the prefix offset and four bytes stops it for good",
            Self::LastItem => "lists with the value as their last item are left out",
            Self::Past4GiB => "positions past 4 GiB do not fit, so it can never cover the whole log",
            Self::Shifted => "the numbering started again at 0 in the middle of the log",
            Self::CountsDeleted => "the count includes deleted records behind its position; this does no harm",
            Self::CountTooSmall => "the count is one too small for its position; the next save shifts all that follows",
            Self::DeletedHides => "entries behind a deleted one cannot be found",
            Self::FoldedDeleted => "entries deleted since may still be counted in the value",
        })
    }
}

impl Serialize for Fault {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Fault", 2)?;
        object.serialize_field("row", self.row())?;
        object.serialize_field("what", &self.to_string())?;
        object.end()
    }
}

/// A record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Place {
    /// Its number, from 0, deleted ones counted.
    pub record: u32,
    /// Its position in the log, if the log has it.
    pub seq: Option<Seq>,
}

/// Records by which an index differs from what it should hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// How many.
    pub count: u64,
    /// The first few of them.
    pub first: Vec<Place>,
}

/// What was found out about one index file.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// The file.
    #[serde(flatten)]
    pub file: IndexFile,
    /// How it stands to its log.
    pub verdict: Verdict,
    /// How many records of the log it covers, if that is known.
    pub covered: Option<u64>,
    /// What it holds, as far as that was found out: `value.content.type = "post"`.
    pub holds: Option<String>,
    /// Other queries that jitdb would answer from this file, and wrongly.
    pub serves: Vec<String>,
    /// Records that it should name and does not, or names something else for.
    pub missing: Difference,
    /// Records that it names and should not.
    pub extra: Difference,
    /// Covered records that cannot be judged: deleted, encrypted, or of no known encoding.
    pub untold: u64,
    /// Faults of the originals that it shows.
    pub faults: Vec<Fault>,
    /// The verdict in words, where there is more to say.
    pub reason: Option<String>,
}

impl Finding {
    pub(super) fn new(file: IndexFile, verdict: Verdict) -> Self {
        Self {
            file,
            verdict,
            covered: None,
            holds: None,
            serves: Vec::new(),
            missing: Difference::default(),
            extra: Difference::default(),
            untold: 0,
            faults: Vec::new(),
            reason: None,
        }
    }

    pub(super) fn because(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into());
        self
    }
}

/// What a check of a directory found.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct IndexReport {
    /// The directory.
    pub dir: PathBuf,
    /// Records of the log, deleted ones among them.
    pub records: u64,
    /// Deleted records.
    pub deleted: u64,
    /// A finding for each index file.
    pub indexes: Vec<Finding>,
}

impl IndexReport {
    /// Whether no index is wrong, damaged or ahead of the log.
    pub fn is_ok(&self) -> bool {
        self.indexes.iter().all(|finding| finding.verdict.is_ok())
    }
}

impl Serialize for IndexReport {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct Dir<'a>(&'a std::path::Path);
        impl Serialize for Dir<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                lossy(self.0, serializer)
            }
        }
        let mut object = serializer.serialize_struct("IndexReport", 5)?;
        object.serialize_field("dir", &Dir(&self.dir))?;
        object.serialize_field("records", &self.records)?;
        object.serialize_field("deleted", &self.deleted)?;
        object.serialize_field("ok", &self.is_ok())?;
        object.serialize_field("indexes", &self.indexes)?;
        object.end()
    }
}
