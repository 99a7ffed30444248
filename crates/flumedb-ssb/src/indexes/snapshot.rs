//! [`Snapshot`], the file of flumeview-reduce.

use bytes::Bytes;
use flumedb::codec::{Document, Field, JsonDoc};

/// What a `<view>.json` file holds: a fold's value and the position up to which it was folded.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The view's version; any JSON value can be one.
    pub version: Option<JsonDoc>,
    /// The position of the newest entry that it covers; `None`: of none yet.
    pub since: Option<u64>,
    /// The folded value. A fold that has seen nothing has none.
    pub value: Option<JsonDoc>,
}

impl Snapshot {
    /// `None`: JSON of another kind. A view that was destroyed leaves its bare initial value.
    pub(super) fn parse(file: Bytes) -> Result<Option<Self>, String> {
        let doc = JsonDoc::parse(file).map_err(|error| format!("{error} (was it written with another codec?)"))?;
        let since = match doc.field(&["seq"]) {
            Some(Field::Integer(-1)) => None,
            Some(Field::Integer(seq)) => Some(u64::try_from(seq).map_err(|_| format!("its position is {seq}"))?),
            _ => return Ok(None),
        };
        Ok(Some(Self { version: doc.part(&["version"]), since, value: doc.part(&["value"]) }))
    }
}
