//! [`Meta`], the commit: which segments there are, what of them is gone, and the checkpoint that this covers. It is written
//! as tantivy writes its own (`meta.json`), with the checkpoint as the payload, so that a program with plain tantivy can
//! open the directory.

use flumedb::{
    Damage, Error, Result,
    view::{Checkpoint, Place},
};
use serde::{Deserialize, Serialize};
use tantivy::{IndexSettings, schema::Schema};

use super::{
    blob::checksum,
    files::{read_all, write_new},
};

pub(super) const NAME: &str = "meta.json";
const NEW: &str = "meta.json.new";

/// The fields are tantivy's.
#[derive(Serialize, Deserialize)]
pub(super) struct Meta {
    index_settings: IndexSettings,
    pub(super) segments: Vec<SegmentMeta>,
    pub(super) schema: Schema,
    pub(super) opstamp: u64,
    payload: String,
}

#[derive(Serialize, Deserialize)]
pub(super) struct SegmentMeta {
    pub(super) segment_id: String,
    pub(super) max_doc: u32,
    pub(super) deletes: Option<DeleteMeta>,
}

/// There is a file with the documents that are left.
#[derive(Serialize, Deserialize)]
pub(super) struct DeleteMeta {
    num_deleted_docs: u32,
    pub(super) opstamp: u64,
}

impl DeleteMeta {
    pub(super) fn new(num_deleted_docs: u32, opstamp: u64) -> Self {
        Self { num_deleted_docs, opstamp }
    }
}

/// What tantivy keeps for us.
#[derive(Serialize, Deserialize)]
struct Payload {
    /// CRC-32C of all of the commit with 0 here.
    check: u32,
    checkpoint: Vec<u8>,
    /// The segments whose documents are not in the order of their seqs.
    unsorted: Vec<String>,
}

impl Meta {
    pub(super) fn new(schema: Schema, segments: Vec<SegmentMeta>, opstamp: u64) -> Self {
        Self { index_settings: super::segment::settings(), segments, schema, opstamp, payload: String::new() }
    }

    /// Replaces the commit that is there, once this one is on the disk.
    pub(super) fn write(mut self, place: &Place, at: &Checkpoint, unsorted: Vec<String>) -> Result<()> {
        let mut payload = Payload { check: 0, checkpoint: at.to_bytes(), unsorted };
        payload.check = self.check(&payload);
        self.payload = to_json(&payload);
        let (new, path) = (place.dir.join(NEW), place.dir.join(NAME));
        write_new(place, &new, to_json(&self).as_bytes())?;
        let replace = || {
            place.storage.rename(&new, &path)?;
            place.storage.sync_dir(&place.dir)
        };
        replace().map_err(|error| Error::io("replace", &path, error))
    }

    /// Reads the commit, its checkpoint, and the segments that are not sorted.
    pub(super) fn read(place: &Place) -> Result<(Self, Checkpoint, Vec<String>)> {
        let path = place.dir.join(NAME);
        let damaged = |reason: String| Error::corrupt(Damage::new(&path, 0, 0, reason));
        let bytes = read_all(place, &path)?;
        let mut meta: Self = serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
        let mut payload: Payload = serde_json::from_str(&meta.payload).map_err(|error| damaged(error.to_string()))?;
        let check = std::mem::take(&mut payload.check);
        if meta.check(&payload) != check {
            return Err(damaged("its checksum is wrong".to_owned()));
        }
        let checkpoint = Checkpoint::from_bytes(&payload.checkpoint)?;
        Ok((meta, checkpoint, payload.unsorted))
    }

    fn check(&mut self, payload: &Payload) -> u32 {
        self.payload = to_json(payload);
        checksum(to_json(self).as_bytes())
    }
}

/// Everything here has a representation.
fn to_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
