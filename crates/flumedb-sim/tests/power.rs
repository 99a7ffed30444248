//! Guards against a simulated power cut that is too kind (keeps what no system promises) or too cruel (loses what was
//! synced): either makes the crash tests of the log worthless.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that cannot go on ends")]

use std::{collections::HashSet, io, path::Path, sync::Arc};

use flumedb::env::{File, OpenMode, Storage};
use flumedb_sim::{Call, Choices, Fault, FaultKind, Image, SECTOR, Sim, crashes};
use proptest::prelude::*;

const SECTOR_LEN: usize = SECTOR as usize;

fn create(sim: &Sim, name: &str) -> Arc<dyn File> {
    sim.disk.open(name.as_ref(), OpenMode::CreateNew).unwrap()
}

fn file_on(image: &Image, name: &str) -> Option<Vec<u8>> {
    image.read(name.as_ref())
}

/// A machine with a synced file `a` of `sectors` sectors of ones.
fn with_synced_file(sectors: usize) -> (Sim, Arc<dyn File>) {
    let sim = Sim::new(1);
    let file = create(&sim, "a");
    file.write_all(0, &vec![1; sectors * SECTOR_LEN]).unwrap();
    file.sync().unwrap();
    sim.disk.sync_dir(Path::new("")).unwrap();
    (sim, file)
}

#[test]
fn every_subset_of_unsynced_sectors_comes_up_once() {
    let (sim, file) = with_synced_file(5);
    file.write_all(0, &[2; 5 * SECTOR_LEN]).unwrap();
    let left: HashSet<Vec<u8>> =
        crashes(&sim.disk.image(), 64, 0).iter().map(|image| file_on(image, "a").unwrap()).collect();
    assert_eq!(left.len(), 32);
    for bytes in left {
        for sector in bytes.chunks(SECTOR_LEN) {
            assert!(sector == [1; SECTOR_LEN] || sector == [2; SECTOR_LEN], "a sector is torn");
        }
    }
}

#[test]
fn a_sector_written_twice_is_as_after_none_one_or_both_writes() {
    let (sim, file) = with_synced_file(1);
    file.write_all(0, b"x").unwrap();
    file.write_all(1, b"y").unwrap();
    let left: Vec<[u8; 2]> = crashes(&sim.disk.image(), 64, 0)
        .iter()
        .map(|image| file_on(image, "a").unwrap()[..2].try_into().unwrap())
        .collect();
    assert_eq!(left, [[1, 1], [b'x', 1], [b'x', b'y']]);
}

#[test]
fn a_length_may_change_without_its_bytes_and_never_the_other_way() {
    let (sim, file) = with_synced_file(1);
    file.write_all(SECTOR, &[2; 2 * SECTOR_LEN]).unwrap();
    let left: HashSet<Vec<u8>> =
        crashes(&sim.disk.image(), 64, 0).iter().map(|image| file_on(image, "a").unwrap()).collect();
    // Not longer; longer by one sector, zeros or written; longer by two, each of which is either.
    assert_eq!(left.len(), 1 + 2 + 4);
    assert!(left.iter().all(|bytes| bytes[..SECTOR_LEN] == [1; SECTOR_LEN]));
}

#[test]
fn names_are_forgotten_unless_their_directory_was_synced() {
    let sim = Sim::new(1);
    let file = create(&sim, "new");
    file.write_all(0, b"bytes").unwrap();
    file.sync().unwrap();
    let names = |image: &Image| image.files().into_iter().map(|path| path.display().to_string()).collect::<Vec<_>>();
    assert_eq!(names(&sim.disk.image().crash(&mut Choices::none())), [""; 0]);
    sim.disk.sync_dir(Path::new("")).unwrap();
    assert_eq!(names(&sim.disk.image().crash(&mut Choices::none())), ["new"]);

    sim.disk.rename("new".as_ref(), "old".as_ref()).unwrap();
    sim.disk.create_dir_all("d".as_ref()).unwrap();
    create(&sim, "d/in");
    sim.disk.sync_dir("d".as_ref()).unwrap();
    let left: HashSet<Vec<String>> = crashes(&sim.disk.image(), 64, 0).iter().map(names).collect();
    let expected = [vec!["new"], vec!["old"], vec!["d/in", "new"], vec!["d/in", "old"]];
    assert_eq!(left, expected.map(|names| names.into_iter().map(str::to_owned).collect()).into());
}

#[test]
fn a_failed_sync_drops_pages_that_still_read_back() {
    for seed in 0..20 {
        let sim = Sim::new(seed);
        let file = create(&sim, "a");
        sim.disk.sync_dir(Path::new("")).unwrap();
        file.write_all(0, &[1; 8 * SECTOR_LEN]).unwrap();
        sim.disk.set_fault(Fault { kind: FaultKind::Sync, nth: 0, lasting: false });
        assert!(file.sync().is_err());
        let cached = file.read(0, 8 * SECTOR_LEN).unwrap();
        assert_eq!(cached, [1; 8 * SECTOR_LEN][..]);
        // The system believes that there is nothing left to write.
        file.sync().unwrap();
        if file_on(&sim.disk.image().crash(&mut Choices::all()), "a").unwrap() != cached {
            return;
        }
    }
    panic!("20 failed syncs, and never was a page lost");
}

#[test]
fn after_the_power_is_off_every_call_fails() {
    let (sim, file) = with_synced_file(1);
    sim.disk.power_off_at(Some(sim.disk.calls() + 1));
    file.write_all(0, b"in time").unwrap();
    assert!(file.write_all(0, b"late").is_err());
    assert!(sim.disk.list(Path::new("")).is_err());
    let sim = sim.crash(&mut Choices::all());
    assert!(file.read(0, 1).is_err(), "a handle outlived the crash");
    assert_eq!(&file_on(&sim.disk.image(), "a").unwrap()[..7], b"in time");
}

#[test]
fn a_full_disk_takes_what_fits_and_works_again_with_more_room() {
    let (sim, file) = with_synced_file(1);
    sim.disk.set_capacity(Some(8192));
    assert_eq!(file.write(0, &[1; 10_000]).unwrap(), 8192);
    assert_eq!(file.write(8192, &[1; 1]).unwrap_err().kind(), io::ErrorKind::StorageFull);
    assert_eq!(file.allocate(9000).unwrap_err().kind(), io::ErrorKind::StorageFull);
    assert_eq!(file.write(0, &[2; 8192]).unwrap(), 8192);
    sim.disk.set_capacity(Some(12_288));
    file.allocate(9000).unwrap();
    assert_eq!(file.write(8192, &[1; 1]).unwrap(), 1);
}

#[test]
fn faults_hit_the_call_they_are_set_for() {
    let (sim, file) = with_synced_file(1);
    sim.disk.set_fault(Fault { kind: FaultKind::Interrupted, nth: 1, lasting: false });
    sim.disk.set_fault(Fault { kind: FaultKind::Short, nth: 2, lasting: true });
    assert_eq!(file.write(0, &[3; 8]).unwrap(), 8);
    assert_eq!(file.write(0, &[3; 8]).unwrap_err().kind(), io::ErrorKind::Interrupted);
    assert_eq!(file.write(0, &[3; 8]).unwrap(), 4);
    assert_eq!(file.write(0, &[3; 8]).unwrap(), 4);
    assert_eq!(sim.disk.clear_faults(), 4);
    sim.disk.set_fault(Fault { kind: FaultKind::Flip, nth: 0, lasting: false });
    let flipped = file.read(0, 8).unwrap();
    let right = file.read(0, 8).unwrap();
    let differ: u32 = flipped.iter().zip(&right).map(|(a, b)| (a ^ b).count_ones()).sum();
    assert_eq!(differ, 1);
}

#[test]
fn a_hook_sees_the_disk_before_each_call() {
    let (sim, file) = with_synced_file(1);
    let (sender, seen) = std::sync::mpsc::channel();
    sim.disk.set_hook(Some(Box::new(move |call, image| {
        let _ = sender.send((call, file_on(image, "a").unwrap()[0]));
    })));
    file.write_all(0, &[2]).unwrap();
    file.sync().unwrap();
    assert_eq!(seen.try_iter().collect::<Vec<_>>(), [(Call::Write, 1), (Call::Sync, 2)]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever happens after a sync, the bytes that were not written since are there, and no others appear.
    #[test]
    fn what_was_synced_is_kept(
        before in prop::collection::vec((0..3000usize, 1..1500usize), 0..6),
        after in prop::collection::vec((0..3000usize, 1..1500usize), 0..6),
        seed: u64,
    ) {
        let sim = Sim::new(seed);
        let file = create(&sim, "a");
        let mut number = 0;
        let mut write = |range: &(usize, usize)| {
            number += 1;
            file.write_all(range.0 as u64, &vec![number; range.1]).unwrap();
        };
        before.iter().for_each(&mut write);
        file.sync().unwrap();
        sim.disk.sync_dir(Path::new("")).unwrap();
        let synced = file_on(&sim.disk.image(), "a").unwrap();
        after.iter().for_each(&mut write);
        let whole = file_on(&sim.disk.image(), "a").unwrap();
        let sim = sim.crash(&mut Choices::seeded(seed));
        let left = file_on(&sim.disk.image(), "a").unwrap();
        prop_assert!(left.len() >= synced.len() && left.len() <= whole.len());
        let rewritten = |at: usize| after.iter().any(|(start, len)| (*start..start + len).contains(&at));
        for (at, byte) in left.iter().enumerate() {
            let old = synced.get(at).copied().unwrap_or(0);
            prop_assert!(*byte == old || rewritten(at), "byte {at} is {byte}, was {old}");
        }
    }
}
