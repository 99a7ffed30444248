//! Opening a store: what its commit names, and nothing else.

use std::{collections::BTreeSet, path::Path, sync::Arc};

use flumedb::{
    Damage, Error, Result,
    env::PathKind,
    view::{Checkpoint, Place},
};

use super::{
    Dead, Segment, Store, attempt,
    files::{self, Files, file_path},
    held::Held,
    meta::{self, Meta, SegmentMeta},
    segment,
};

impl Store {
    /// Takes over what is stored in `place`, and removes what is left of work that was broken off.
    pub(super) fn load(&mut self, place: &Place) -> Result<Option<Checkpoint>> {
        let path = place.dir.join(meta::NAME);
        let kind = place.storage.kind(&path).map_err(|error| Error::io("look at", &path, error))?;
        let mut names = BTreeSet::new();
        let mut checkpoint = None;
        if kind == Some(PathKind::File) {
            let (meta, at, unsorted) = Meta::read(place)?;
            if meta.schema != self.form.schema {
                return Err(Error::corrupt(Damage::new(path, 0, 0, "it is about other fields")));
            }
            names.insert(meta::NAME.to_owned());
            self.opstamp = meta.opstamp;
            for segment in meta.segments {
                let sorted = !unsorted.contains(&segment.segment_id);
                let held = self.load_segment(place, &segment, sorted)?;
                names.extend(held.files(place).iter().filter_map(|path| path.file_name()?.to_str().map(str::to_owned)));
                self.next = self.next.max(held.segment.number.saturating_add(1));
                self.segments.push(held);
            }
            checkpoint = Some(at);
        }
        sweep(place, &names)?;
        Ok(checkpoint)
    }

    fn load_segment(&self, place: &Place, meta: &SegmentMeta, sorted: bool) -> Result<Held> {
        let number = u64::from_str_radix(&meta.segment_id, 16)
            .map_err(|_| Error::corrupt(Damage::new(place.dir.join(meta::NAME), 0, 0, "a segment has no number")))?;
        let files = Files::open(place, &meta.segment_id)?;
        let segment = attempt(&place.dir, || Segment::open(&self.form, files, number, meta.max_doc, sorted))?;
        let (mut dead, mut dead_file) = (Dead::default(), None);
        if let Some(deletes) = &meta.deletes {
            let path = file_path(place, &meta.segment_id, &format!("{}.del", deletes.opstamp));
            dead = segment::read_dead(&self.form, &path, files::read_all(place, &path)?, meta.max_doc)?;
            dead_file = Some(deletes.opstamp);
        }
        Ok(Held { segment: Arc::new(segment), dead, stored: true, dead_file, dead_since: false })
    }
}

/// Removes files that nothing counts on: what a stopped writer was making.
fn sweep(place: &Place, names: &BTreeSet<String>) -> Result<()> {
    let failed = |error| Error::io("tidy", &place.dir, error);
    for name in place.storage.list(&place.dir).map_err(failed)? {
        let path: &Path = &place.dir.join(&name);
        if !names.contains(&name) && place.storage.kind(path).map_err(failed)? == Some(PathKind::File) {
            place.storage.remove(path).map_err(failed)?;
        }
    }
    Ok(())
}
