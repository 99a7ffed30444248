//! Guards against a publish that costs what there is and not what is new, and against pieces of the index that pile up
//! when every entry is shown by itself. With `FLUME_SOAK` set, 100,000 entries.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods, reason = "a test")]

use std::time::Instant;

use flumedb::{Flume, codec::Utf8};
use flumedb_search::Search;
use flumedb_sim::soak_or;

#[tokio::test]
async fn every_entry_is_found_at_once_and_pieces_do_not_pile_up() {
    let entries = soak_or(100_000, 2_000);
    for on_disk in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let db = if on_disk { Flume::open(dir.path(), Utf8).await.unwrap() } else { Flume::memory(Utf8).unwrap() };
        let search = db.view("search", Search::new(1, |line: &String| [line.clone()])).await.unwrap();
        let (start, mut most) = (Instant::now(), 0);
        let mut slowest = std::time::Duration::ZERO;
        for number in 0..entries {
            let seq = db.append(&*format!("entry {number} of many, tide {}", number % 7)).buffered().await.unwrap();
            let before = Instant::now();
            let reader = search.read().await.unwrap();
            slowest = slowest.max(before.elapsed());
            let hits = reader.search(&format!("{number} tide")).unwrap().limit(1).hits().unwrap();
            assert_eq!(hits.seqs().collect::<Vec<_>>(), [seq]);
            most = most.max(reader.segments());
        }
        let each = start.elapsed() / entries as u32;
        println!(
            "{entries} entries, each shown by itself, disk {on_disk}: {each:?} each, slowest read {slowest:?}, at most {most} pieces"
        );
        assert!(most <= 50, "{most} pieces");
        db.close().await.unwrap();
    }
}
