//! Guards against a commit that has more, or less, than its checkpoint covers: a sync may come when entries were taken in,
//! taken back or taken in anew since the last publish, and the log may lose them again.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
};

use flumedb::{
    Entry, Flume, Result, Seq,
    codec::Utf8,
    env::{MemoryStorage, Storage},
    view::{Checkpoint, Definition, Entries, Place, Run, View, ViewContext},
};
use flumedb_search::{Search, SearchReader};

/// Keeps the checkpoints that it is given, as only a host makes them.
struct Keep(Arc<Mutex<Vec<Checkpoint>>>);

impl View for Keep {
    type Item = String;
    type Reader = ();

    fn definition(&self) -> Definition {
        Definition::new("keep", 1, "")
    }

    fn open(&mut self, _: &ViewContext<String>) -> Result<Option<Checkpoint>> {
        Ok(None)
    }

    fn apply(&mut self, _: &Run<String>) -> Result<()> {
        Ok(())
    }

    fn publish(&mut self, at: &Checkpoint) -> Result<()> {
        self.0.lock().unwrap().push(at.clone());
        Ok(())
    }
}

fn run(entries: &[(u64, &str)]) -> Run<String> {
    let entry = |(seq, text): &(u64, &str)| Entry { seq: Seq::new(*seq), value: (*text).to_owned() };
    Run::new(entries.iter().map(entry).collect::<Vec<_>>())
}

fn found(reader: &SearchReader<String>, query: &str) -> Vec<u64> {
    reader.search(query).unwrap().hits().unwrap().seqs().map(Seq::get).collect()
}

#[tokio::test]
async fn a_commit_has_exactly_what_its_checkpoint_covers() {
    let db = Flume::memory(Utf8).unwrap();
    let kept = Arc::new(Mutex::new(Vec::new()));
    let keep = db.view("keep", Keep(kept.clone())).await.unwrap();
    db.append_all(["0", "1", "2", "3"]).await.unwrap();
    keep.read().await.unwrap();
    let at = kept.lock().unwrap().last().unwrap().clone();
    assert_eq!(at.since(), Some(Seq::new(3)));

    // Few entries as they are, each a segment, and segments that are done before they are published.
    for (recent, memory_bytes) in [(100, 1 << 20), (2, 1 << 20), (0, 0)] {
        let storage = Arc::new(MemoryStorage::new());
        let dir = PathBuf::from("/search");
        storage.create_dir_all(&dir).unwrap();
        let entries = Entries::new(db.log().clone(), |bytes| Ok(String::from_utf8(bytes.to_vec()).unwrap()));
        let cx = ViewContext { place: Some(Place { storage, dir }), entries };
        let search = || Search::new(1, |text: &String| [text.clone()]).recent(recent).memory_bytes(memory_bytes);

        let mut view = search();
        assert_eq!(view.open(&cx).unwrap(), None);
        view.apply(&run(&[(0, "high tide"), (1, "low tide"), (2, "moon"), (3, "tide")])).unwrap();
        view.publish(&at).unwrap();
        view.retract(Seq::new(0), None).unwrap();
        view.reprocess(Seq::new(2), Some(&"tide of the moon".to_owned())).unwrap();
        let large = "tide and sun ".repeat(20_000);
        view.apply(&run(&[(4, "tide"), (5, &large), (6, "sun tide")])).unwrap();
        view.retract(Seq::new(6), None).unwrap();
        view.sync().unwrap();
        drop(view);

        let mut view = search();
        assert_eq!(view.open(&cx).unwrap().as_ref(), Some(&at));
        let reader = view.publish(&at).unwrap();
        assert_eq!(
            (found(&reader, "tide"), found(&reader, "moon"), found(&reader, "sun")),
            (vec![3, 1, 0], vec![2], vec![])
        );
        // The log has others now.
        view.retract(Seq::new(1), None).unwrap();
        view.apply(&run(&[(4, "tide again"), (5, "noon")])).unwrap();
        let reader = view.publish(&at).unwrap();
        assert_eq!((found(&reader, "tide"), reader.count()), (vec![4, 3, 0], 5));
        view.sync().unwrap();
        drop(view);
        let mut view = search();
        view.open(&cx).unwrap();
        assert_eq!(found(&view.publish(&at).unwrap(), "tide"), [4, 3, 0]);
    }
}
