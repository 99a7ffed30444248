//! Guards against a disk that cannot be read somewhere, or a file that somebody else has cut short, ending the program:
//! files are mapped, and the system kills whoever touches a page that it cannot bring in.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that cannot go on ends"
)]

mod process_support;

use std::{
    fs,
    io::{Seek, SeekFrom, Write},
    path::Path,
};

use flumedb::{
    Env, ErrorKind, Flume, Seq,
    codec::Utf8,
    env::{OpenMode, OsStorage, Storage},
    log::{LogSettings, SegmentedLog, Sharing},
};
use process_support::{Image, Mounted, in_own_namespace, skipped};

const TEST: &str = "a_page_that_the_disk_cannot_bring_in_is_an_error";
const ENTRIES: u64 = 4_000;
const BATCH: u64 = 10;
/// So many entries fit into a segment, at the least.
const SEGMENT: u64 = 500;

fn text(number: u64) -> String {
    format!("entry {number:06} of a log on a disk that fails{}", " and on".repeat(60))
}

fn open(dir: &Path) -> flumedb::Result<Flume<Utf8>> {
    Flume::builder(Utf8).set(|settings| settings.log.segment_bytes = 256 << 10).open(dir).blocking()
}

#[test]
fn a_file_that_was_cut_short_reads_as_far_as_it_goes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    let bytes: Vec<u8> = (0..1_000_000_u32).map(|number| number as u8).collect();
    fs::write(&path, &bytes).unwrap();
    let file = OsStorage::new().open(&path, OpenMode::Read).unwrap();
    assert_eq!(file.read(0, 100).unwrap(), bytes[..100]);
    fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(500_000).unwrap();
    assert_eq!(file.read(400_000, 1_000).unwrap(), bytes[400_000..401_000]);
    assert_eq!(file.read(499_000, 2_000).unwrap(), bytes[499_000..500_000]);
    assert_eq!(file.read(900_000, 1_000).unwrap(), [0_u8; 0].as_slice());
}

/// Makes the block of the disk that has this entry unreadable: what stands there does not fit its checksum any more.
fn spoil(image: &Path, number: u64) {
    let (bytes, wanted) = (fs::read(image).unwrap(), text(number).into_bytes());
    let first = wanted[0];
    let starts = bytes.iter().enumerate().filter(|(_, byte)| **byte == first).map(|(at, _)| at);
    let found: Vec<usize> = starts.filter(|&at| bytes[at..].starts_with(&wanted)).collect();
    assert!(!found.is_empty(), "entry {number} is on the disk");
    let mut file = fs::OpenOptions::new().write(true).open(image).unwrap();
    for at in found {
        file.seek(SeekFrom::Start(at as u64 + 7)).unwrap();
        file.write_all(b"X").unwrap();
    }
    file.sync_all().unwrap();
}

/// A database on a file system in a file.
fn with_database(dir: &Path) -> Option<Image> {
    if !Image::can_be("btrfs") {
        skipped(TEST, "there is no mkfs.btrfs");
        return None;
    }
    let image = Image::create("btrfs", &dir.join("disk.img")).unwrap();
    let mounted = mount(&image, dir)?;
    let db = open(&mounted.dir().join("db")).unwrap();
    for from in (0..ENTRIES).step_by(BATCH as usize) {
        db.append_all((from..from + BATCH).map(text)).blocking().unwrap();
    }
    db.close().blocking().unwrap();
    drop(mounted);
    Some(image)
}

fn mount(image: &Image, dir: &Path) -> Option<Mounted> {
    match image.mount(&dir.join("disk")) {
        Ok(mounted) => Some(mounted),
        Err(error) => {
            skipped(TEST, &error);
            None
        }
    }
}

#[test]
fn a_page_that_the_disk_cannot_bring_in_is_an_error() {
    if !in_own_namespace(TEST, false) {
        return;
    }
    let scratch = tempfile::tempdir().unwrap();
    let memory = Mounted::tmpfs(scratch.path(), "600m");
    let dir = memory.dir();
    let Some(image) = with_database(dir) else { return };
    let whole = image.copy_slowly(&dir.join("whole.img")).unwrap();

    // In a segment that is closed: all the rest can be read.
    let bad = ENTRIES / 2;
    spoil(&dir.join("disk.img"), bad);
    let mounted = mount(&image, dir).unwrap();
    let path = mounted.dir().join("db");
    let db = open(&path).unwrap();
    assert_eq!(db.get(Seq::new(bad)).blocking().unwrap_err().kind(), ErrorKind::Io);
    assert_eq!(db.get(Seq::new(bad + SEGMENT)).blocking().unwrap(), text(bad + SEGMENT));
    assert_eq!(db.get(Seq::new(bad - SEGMENT)).blocking().unwrap(), text(bad - SEGMENT));
    let mut read = 0;
    let failed = db.scan(..).blocking().find_map(|entry| match entry {
        Ok(_) => {
            read += 1;
            None
        }
        Err(error) => Some(error),
    });
    assert_eq!(failed.unwrap().kind(), ErrorKind::Io);
    assert!(read <= bad && read + SEGMENT > bad, "{read} entries were read before entry {bad}");
    db.append("goes on").blocking().unwrap();
    let backup = db.backup(dir.join("backup"), Sharing::Copy).blocking();
    assert_eq!(backup.unwrap_err().kind(), ErrorKind::Io);
    db.close().blocking().unwrap();
    let report = SegmentedLog::check(&Env::os(), &path).unwrap();
    assert_eq!(report.damage.len(), 1, "{report:?}");
    assert_eq!(report.damage[0].bytes, 4096);
    repair(&path, ENTRIES);
    drop(mounted);
    image.remove();

    // In the last one, which an opening reads.
    let image = whole;
    spoil(&dir.join("whole.img"), ENTRIES - 3);
    let mounted = mount(&image, dir).unwrap();
    let path = mounted.dir().join("db");
    assert_eq!(open(&path).map(drop).unwrap_err().kind(), ErrorKind::Io);
    repair(&path, ENTRIES - 1);
}

/// A repair steps over what cannot be read: all entries but a few are there, and all up to `last`, which is to be the newest.
fn repair(path: &Path, last: u64) {
    let settings = LogSettings::default();
    let refused = SegmentedLog::repair(&Env::os(), path, &settings, false);
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Corrupt);
    let repaired = SegmentedLog::repair(&Env::os(), path, &settings, true).unwrap();
    assert_eq!((repaired.damage.len(), repaired.kept_in.len()), (1, 1), "{repaired:?}");
    let report = SegmentedLog::check(&Env::os(), path).unwrap();
    assert!(report.is_ok(), "{report:?}");
    let db = open(path).unwrap();
    assert_eq!(db.head(), Some(Seq::new(last)));
    let read: Vec<u64> = db.scan(..).blocking().map(|entry| entry.unwrap().seq.get()).collect();
    // A block has parts of two batches, and what is of a batch is there or not as one.
    assert!(read.len() as u64 >= last + 1 - 2 * BATCH, "{} of {last}", read.len());
}
