//! Guards against damage of a backup that nobody notices before it is needed: each byte of each file is turned, each file is
//! cut and taken away, and every time the backup is said to be damaged, in that file, and is not restored.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on ends")]

use std::path::{Path, PathBuf};

use flumedb::{
    Env, ErrorKind,
    env::OpenMode,
    log::{Batch, Log, LogSettings, SegmentedLog, Sharing},
};
use flumedb_sim::{Image, Sim, on_all_cores};

const BACKUP: &str = "backup";

fn original() -> Image {
    let sim = Sim::new(11);
    let settings = LogSettings { segment_bytes: 4096, ..LogSettings::default() };
    let log = SegmentedLog::open(&sim.env, "log".as_ref(), settings).unwrap();
    for size in [700, 3, 1500, 0, 900, 1200, 8, 2000, 300, 1800, 1100, 60] {
        let mut batch = Batch::new();
        batch.push(&vec![size as u8; size]);
        sim.block_on(log.append(batch)).unwrap();
    }
    sim.block_on(log.delete(&[flumedb::Seq::new(2)])).unwrap();
    let done = sim.block_on(log.backup(BACKUP.as_ref(), Sharing::Copy)).unwrap();
    assert!(done.files >= 3, "{done:?}");
    sim.kill().disk.image()
}

fn files(image: &Image) -> Vec<PathBuf> {
    let files = image.files().into_iter().filter(|path| path.starts_with(BACKUP) && !path.ends_with("lock"));
    files.collect()
}

/// Verifies the backup with other bytes in a file, or without it.
fn is_told(image: &Image, file: &Path, bytes: Option<&[u8]>, what: &str) {
    let sim = Sim::boot(image.clone(), 12);
    match bytes {
        Some(bytes) => {
            let mut image = image.clone();
            image.write(file, bytes).unwrap();
            sim.disk.set_image(image);
        }
        None => sim.disk.unseen(|| flumedb::env::Storage::remove(&sim.disk, file)).unwrap(),
    }
    let env: &Env = &sim.env;
    let told = match SegmentedLog::verify(env, BACKUP.as_ref()) {
        // A version that nobody has written yet, or no manifest: no backup.
        Err(error) => matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::NotFound),
        Ok(verified) => {
            let damage = verified.report.damage;
            damage.iter().any(|damage| damage.file == file)
        }
    };
    assert!(told, "{what} of {} is not told", file.display());
    let restored = SegmentedLog::restore(env, BACKUP.as_ref(), "restored".as_ref(), |_, _| ());
    assert!(restored.is_err(), "{what} of {}: restored all the same", file.display());
    let made = env.storage.kind("restored".as_ref()).unwrap();
    assert!(made.is_none(), "{what} of {}: something was made of it", file.display());
}

#[test]
fn every_byte_of_every_file_counts() {
    let image = original();
    for file in files(&image) {
        let whole = image.read(&file).unwrap();
        on_all_cores(whole.len(), |at| {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << (at % 8);
            is_told(&image, &file, Some(&bytes), &format!("byte {at}"));
        });
        for keep in [0, 1, 50, 130, whole.len() / 2, whole.len() - 1] {
            is_told(&image, &file, Some(&whole[..keep.min(whole.len() - 1)]), &format!("a cut after {keep} bytes"));
        }
        is_told(&image, &file, None, "the loss");
    }
}

#[test]
fn what_is_too_much_is_told_and_does_no_harm() {
    let sim = Sim::boot(original(), 13);
    let file = sim.env.storage.open(&Path::new(BACKUP).join("notes.txt"), OpenMode::CreateNew).unwrap();
    file.write_all(0, b"whose is this?").unwrap();
    let verified = SegmentedLog::verify(&sim.env, BACKUP.as_ref()).unwrap();
    assert!(verified.report.is_ok());
    assert_eq!(verified.extra, ["notes.txt"]);
    SegmentedLog::restore(&sim.env, BACKUP.as_ref(), "restored".as_ref(), |_, _| ()).unwrap();
    assert!(sim.env.storage.kind("restored/notes.txt".as_ref()).unwrap().is_none());
}
