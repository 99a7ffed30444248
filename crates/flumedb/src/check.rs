//! [`Report`], what a check of any log says, and [`Repair`], what a repair did. It holds no checking itself: each log
//! checks its own bytes and fills these in.

use std::path::{Path, PathBuf};

use serde::{Serialize, Serializer, ser::SerializeStruct};

use crate::{Damage, Seq};

/// Bytes at the end of a file that a stopped writer left incomplete. Nothing valid follows them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TornTail {
    /// The file.
    #[serde(serialize_with = "lossy")]
    pub file: PathBuf,
    /// Where the complete entries end.
    pub offset: u64,
    /// Bytes from there to the end of the file.
    pub bytes: u64,
}

/// What a check found. Checking changes nothing.
///
/// As JSON it is the object that `flume check --json` prints.
///
/// ```
/// use flumedb::check::Report;
/// let report = Report { format: Some("offset32".into()), entries: 3, bytes: 71, ..Report::default() };
/// assert!(report.is_ok());
/// assert_eq!(
///     serde_json::to_string(&report).unwrap(),
///     r#"{"format":"offset32","entries":3,"deleted":0,"bytes":71,"head":null,"ok":true,"torn_tail":null,"damage":[]}"#
/// );
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The name of the log's format; `None` where no format fits.
    pub format: Option<String>,
    /// Entries that can be read.
    pub entries: u64,
    /// Entries that were deleted.
    pub deleted: u64,
    /// Bytes on the disk.
    pub bytes: u64,
    /// The newest entry.
    pub head: Option<Seq>,
    /// What a stopped writer left.
    pub torn_tail: Option<TornTail>,
    /// Where bytes are not as they were written.
    pub damage: Vec<Damage>,
}

impl Report {
    /// Whether the format is known and every byte is as it was written.
    pub fn is_ok(&self) -> bool {
        self.format.is_some() && self.torn_tail.is_none() && self.damage.is_empty()
    }
}

impl Serialize for Report {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Report", 8)?;
        object.serialize_field("format", &self.format)?;
        object.serialize_field("entries", &self.entries)?;
        object.serialize_field("deleted", &self.deleted)?;
        object.serialize_field("bytes", &self.bytes)?;
        object.serialize_field("head", &self.head)?;
        object.serialize_field("ok", &self.is_ok())?;
        object.serialize_field("torn_tail", &self.torn_tail)?;
        object.serialize_field("damage", &self.damage)?;
        object.end()
    }
}

/// What a repair did. Empty: there was nothing to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Repair {
    /// The tail that was cut.
    pub torn_tail: Option<TornTail>,
    /// Damage that was taken out of the way of what lies behind it, because the caller asked for that.
    pub damage: Vec<Damage>,
    /// What a stopped writer had begun, and is done now: in words that go behind "finished".
    pub finished: Option<String>,
    /// Where the bytes are kept that were cut or overwritten.
    pub kept_in: Vec<PathBuf>,
}

/// A path as text, also where it is no Unicode.
pub(crate) fn lossy<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}
