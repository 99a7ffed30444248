//! Guards against a backup that holds what was never on the disk, misses what was, mixes two histories of a log, or is put
//! over something else; and against one that differs because it was made in steps.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on ends")]

use std::{cell::RefCell, path::Path};

use flumedb::{
    Env, ErrorKind, Flume, Result, Seq,
    codec::Utf8,
    env::OpenMode,
    log::{Batch, Compaction, Durability, Log, LogSettings, SegmentedLog, Sharing, SlotKind},
};
use flumedb_sim::{Choices, Contents, Sim, soak_or_count};
use futures_util::future::join;

const LOG: &str = "log";

fn settings() -> LogSettings {
    let by_hand = Compaction { automatic: false, ..Compaction::default() };
    LogSettings { segment_bytes: 4096, compaction: by_hand, ..LogSettings::default() }
}

fn contents(env: &Env, dir: &str) -> Contents {
    Contents::of(&SegmentedLog::read_only(env, Path::new(dir)).unwrap()).unwrap()
}

/// Each file of a directory, but for those that say when, and what is in it.
fn files(env: &Env, dir: &str) -> Vec<(String, flumedb::Bytes)> {
    let names = env.storage.list(dir.as_ref()).unwrap();
    let names = names.into_iter().filter(|name| name.ends_with(".seg") || name == "head");
    let read = |name: String| {
        let file = env.storage.open(&Path::new(dir).join(&name), OpenMode::Read).unwrap();
        let bytes = file.read(0, file.len().unwrap() as usize).unwrap();
        (name, bytes)
    };
    names.map(read).collect()
}

/// Whether `part` is what `whole` was when it ended there.
fn is_prefix(part: &Contents, whole: &Contents) -> bool {
    part.slots.len() <= whole.slots.len()
        && part.slots.iter().zip(&whole.slots).all(|(one, other)| {
            // An entry may have been deleted since, and what says that it was may be gone.
            one == other || (one.0 != SlotKind::Deleted && other.0 == SlotKind::Deleted)
        })
}

/// Work that goes on while backups are made: what is acknowledged is told.
async fn write(log: &SegmentedLog, rng: &RefCell<fastrand::Rng>, durable: &RefCell<Option<Seq>>, rounds: u64) {
    for _ in 0..rounds {
        let (count, size, buffered, delete) = {
            let mut rng = rng.borrow_mut();
            (rng.usize(1..4), rng.usize(0..1500), rng.u8(0..3) == 0, rng.u8(0..3) == 0)
        };
        let mut batch = Batch::new();
        (0..count).for_each(|number| batch.push(&vec![number as u8; size]));
        batch.buffered = buffered;
        let seqs = log.append(batch).await.unwrap();
        if !buffered {
            *durable.borrow_mut() = seqs.last().copied();
        }
        if delete {
            log.delete(&seqs[..1]).await.unwrap();
        }
    }
}

/// Backups beside a writer and while what was deleted is taken out, from a handle and without one; each is a prefix, and has what was acknowledged before. Made in
/// steps, the last is what one made at once is, to the byte.
fn live(seed: usize) {
    let rng = RefCell::new(fastrand::Rng::with_seed(seed as u64));
    let durable = RefCell::new(None);
    let mut sim = Sim::new(seed as u64);
    let sharing = if seed.is_multiple_of(2) { Sharing::Share } else { Sharing::Copy };
    let durability = [Durability::EveryCommit, Durability::System][seed / 2 % 2];
    for _ in 0..3 {
        let log = SegmentedLog::open(&sim.env, LOG.as_ref(), LogSettings { durability, ..settings() }).unwrap();
        let mut made = Vec::new();
        let backups = async {
            for number in 0..3 {
                let before = *durable.borrow();
                let head = *log.head().borrow();
                let done = if number == 1 {
                    SegmentedLog::backup_at(&sim.env, LOG.as_ref(), "steps".as_ref(), sharing, |_, _| ()).unwrap()
                } else {
                    let done = log.backup("steps".as_ref(), sharing).await.unwrap();
                    assert!(done.head >= head, "what was appended before is not in it");
                    done
                };
                if durability == Durability::EveryCommit {
                    assert!(done.head >= before, "{:?} of {before:?}", done.head);
                }
                match log.proof(done.head.unwrap()) {
                    // It was taken out since, or before.
                    Err(error) => assert_eq!(error.kind(), ErrorKind::Deleted),
                    proof => assert!(done.proof.is_none() || proof.unwrap() == done.proof),
                }
                made.push((done.head.unwrap(), contents(&sim.env, "steps")));
            }
        };
        let begun = async {
            // A backup of nothing is another test.
            let mut batch = Batch::new();
            batch.push(b"first");
            log.append(batch).await.unwrap();
        };
        sim.block_on(begun);
        let compactions = async {
            for _ in 0..3 {
                log.compact().await.unwrap();
            }
        };
        sim.block_on(join(write(&log, &rng, &durable, 12), join(backups, compactions)));
        let whole = Contents::of(&log).unwrap();
        for (head, found) in &made {
            assert_eq!(head.get() as usize + 1, found.slots.len());
            assert!(is_prefix(found, &whole), "seed {seed}: no prefix of the log");
        }
        let done = sim.block_on(log.backup("steps".as_ref(), sharing)).unwrap();
        let full = format!("full-{}", done.head.unwrap());
        sim.block_on(log.backup(full.as_ref(), Sharing::Copy)).unwrap();
        assert!(files(&sim.env, "steps") == files(&sim.env, &full), "seed {seed}: in steps it is another");
        for dir in ["steps", &full] {
            let verified = SegmentedLog::verify(&sim.env, dir.as_ref()).unwrap();
            assert!(verified.report.is_ok() && verified.extra.is_empty(), "seed {seed}: {verified:?}");
            assert_eq!(verified.report.head, done.head);
        }
        drop(log);
        sim = if rng.borrow_mut().bool() {
            sim.kill()
        } else {
            let seed = rng.borrow_mut().u64(..);
            sim.crash(&mut Choices::seeded(seed))
        };
        // The writer is dead, and what it acknowledged is what counts.
        let done = SegmentedLog::backup_at(&sim.env, LOG.as_ref(), "dead".as_ref(), sharing, |_, _| ()).unwrap();
        assert!(done.head >= *durable.borrow() || durability == Durability::System);
        assert_eq!(contents(&sim.env, "dead"), contents(&sim.env, LOG));
        sim.env.storage.remove_dir_all("dead".as_ref()).unwrap();
    }
}

#[test]
fn a_backup_of_a_log_that_is_written_to_is_a_prefix_of_it() {
    soak_or_count(150, live);
}

fn append(env: &Env, dir: &str, texts: &[&str]) -> Result<()> {
    let db = Flume::builder(Utf8).env(env.clone()).open(dir).blocking()?;
    db.append_all(texts.iter().copied()).blocking()?;
    db.close().blocking()
}

fn back_up(env: &Env, from: &str, to: &str) -> Result<flumedb::log::BackedUp> {
    SegmentedLog::backup_at(env, from.as_ref(), to.as_ref(), Sharing::Share, |_, _| ())
}

fn restore(env: &Env, from: &str, to: &str) -> Result<flumedb::log::Restored> {
    SegmentedLog::restore(env, from.as_ref(), to.as_ref(), |_, _| ())
}

#[test]
fn nothing_is_put_over_something_else() -> Result<()> {
    let env = Env::memory();
    append(&env, "one", &["a", "b"])?;
    append(&env, "two", &["c"])?;
    back_up(&env, "one", "backup")?;
    let invalid = |outcome: Result<flumedb::log::BackedUp>, words: &str| {
        let error = outcome.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        assert!(error.to_string().contains(words), "{error}");
    };
    let before = files(&env, "backup");
    invalid(back_up(&env, "two", "backup"), "another log");
    invalid(back_up(&env, "one", "two"), "something else");
    invalid(back_up(&env, "one", "one"), "something else");
    invalid(back_up(&env, "backup", "further"), "is a backup");
    env.storage.create_dir_all("other".as_ref()).unwrap();
    env.storage.open("other/file".as_ref(), OpenMode::CreateNew).unwrap();
    invalid(back_up(&env, "one", "other"), "something else");
    invalid(back_up(&env, "one", "other/file"), "is a file");
    assert_eq!(back_up(&env, "nothing", "new").unwrap_err().kind(), ErrorKind::NotFound);
    assert!(env.storage.kind("new".as_ref()).unwrap().is_none(), "a place is made only for a backup");
    for dir in ["one", "other", "backup", "other/file"] {
        assert_eq!(restore(&env, "backup", dir).unwrap_err().kind(), ErrorKind::Invalid, "{dir}");
    }
    assert_eq!(restore(&env, "one", "new").unwrap_err().kind(), ErrorKind::NotFound);
    assert!(before == files(&env, "backup"));
    assert_eq!(contents(&env, "two").slots.len(), 1);

    // A backup stays as it is.
    let open = SegmentedLog::open(&env, "backup".as_ref(), settings()).err().map(|error| error.kind());
    assert_eq!(open, Some(ErrorKind::Invalid));
    let repair = SegmentedLog::repair(&env, "backup".as_ref(), &settings(), true);
    assert_eq!(repair.unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(contents(&env, "backup"), contents(&env, "one"));
    Ok(())
}

#[test]
fn two_histories_of_a_log_are_not_mixed() -> Result<()> {
    let env = Env::memory();
    append(&env, "db", &["a", "b"])?;
    let early = back_up(&env, "db", "early")?;
    back_up(&env, "db", "late")?;
    append(&env, "db", &["c", "d"])?;
    back_up(&env, "db", "late")?;

    // An older copy is shorter than what the backup holds, and then it goes another way.
    let restored = restore(&env, "early", "again")?;
    assert_eq!((restored.head, &restored.proof), (Some(Seq::new(1)), &early.proof));
    let error = back_up(&env, "again", "late").unwrap_err();
    assert!(error.kind() == ErrorKind::Invalid && error.to_string().contains("older copy"), "{error}");
    append(&env, "again", &["x", "y", "z"])?;
    let error = back_up(&env, "again", "late").unwrap_err();
    assert!(error.kind() == ErrorKind::Invalid && error.to_string().contains("two histories"), "{error}");
    assert!(SegmentedLog::verify(&env, "late".as_ref())?.report.is_ok());
    // It goes on where both had been.
    back_up(&env, "again", "early")?;
    assert_eq!(contents(&env, "early"), contents(&env, "again"));
    Ok(())
}

/// Opens a log that is compacted only when asked to, does something with it and closes it.
fn with(env: &Env, dir: &str, act: impl FnOnce(&Flume<Utf8>) -> Result<()>) -> Result<()> {
    let set = |settings: &mut flumedb::Settings| settings.log = self::settings();
    let db = Flume::builder(Utf8).env(env.clone()).set(set).open(dir).blocking()?;
    act(&db)?;
    db.close().blocking()
}

/// Appends each as a commit of its own.
fn add(db: &Flume<Utf8>, texts: &[&str]) -> Result<()> {
    texts.iter().try_for_each(|text| db.append(*text).blocking().map(drop))
}

fn erase(db: &Flume<Utf8>, seqs: impl IntoIterator<Item = u64>) -> Result<()> {
    db.delete(seqs.into_iter().map(Seq::new)).blocking()?;
    db.compact().blocking().map(drop)
}

/// The failure: the newest entry of a backup is erased in another history, and with it all that told the two apart.
#[test]
fn a_history_is_told_apart_without_the_newest_entry_of_the_backup() -> Result<()> {
    // Entry 2 is the newest that both have the number of, 3 the newest in the backup.
    for erased in [vec![2], vec![3], vec![2, 3], vec![3, 4], vec![1, 2, 3, 4], vec![0, 1, 2, 3, 4, 5]] {
        for at_once in [false, true] {
            let env = Env::memory();
            append(&env, "db", &["a", "b"])?;
            back_up(&env, "db", "early")?;
            append(&env, "db", &["c", "d"])?;
            back_up(&env, "db", "late")?;
            let kept = files(&env, "late");
            restore(&env, "early", "again")?;
            let other = |db: &Flume<Utf8>| add(db, &["W", "X", "Y", "Z"]);
            if at_once {
                with(&env, "again", |db| other(db).and_then(|()| erase(db, erased.iter().copied())))?;
            } else {
                with(&env, "again", other)?;
                with(&env, "again", |db| erase(db, erased.iter().copied()))?;
            }
            let error =
                back_up(&env, "again", "late").map(|done| panic!("{erased:?} {at_once}: {done:?}")).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{erased:?}: {error}");
            assert!(error.to_string().contains("give a new directory"), "{erased:?}: {error}");
            assert!(files(&env, "late") == kept, "{erased:?} {at_once}");
            // It is one history with the backup from which it came.
            if erased[0] >= 2 {
                back_up(&env, "again", "early")?;
                assert_eq!(contents(&env, "early"), contents(&env, "again"), "{erased:?} {at_once}");
            }
        }
    }
    Ok(())
}

/// The failure: a backup that cannot go on because its newest entry was erased since, with more or less around it.
#[test]
fn a_backup_goes_on_though_its_newest_entry_was_erased() -> Result<()> {
    let all = vec![0, 1, 2, 3, 4, 5];
    for erased in [vec![2], vec![1, 2], vec![2, 3], vec![1, 2, 3], vec![2, 3, 4], vec![2, 3, 4, 5], all.clone()] {
        for openings in 1..=4 {
            let env = Env::memory();
            let what = format!("{erased:?} in {openings}");
            let first = |db: &Flume<Utf8>| add(db, &["a", "b", "c"]);
            let more = |db: &Flume<Utf8>| add(db, &["d", "e", "f"]);
            let gone = |db: &Flume<Utf8>| erase(db, erased.iter().copied());
            let live = |db: &Flume<Utf8>| db.backup("backup", Sharing::Share).blocking().map(drop);
            match openings {
                1 => with(&env, "db", |db| {
                    first(db).and_then(|()| live(db)).and_then(|()| more(db)).and_then(|()| gone(db))
                })?,
                2 => {
                    with(&env, "db", |db| first(db).and_then(|()| live(db)).and_then(|()| more(db)))?;
                    with(&env, "db", gone)?;
                }
                3 => {
                    with(&env, "db", first)?;
                    back_up(&env, "db", "backup")?;
                    with(&env, "db", |db| more(db).and_then(|()| gone(db)))?;
                }
                _ => {
                    with(&env, "db", |db| first(db).and_then(|()| live(db)))?;
                    with(&env, "db", more)?;
                    with(&env, "db", gone)?;
                    // What is left of it is written anew once more.
                    with(&env, "db", |db| erase(db, [0]))?;
                }
            }
            if erased == all && openings > 1 {
                // The whole segment was dropped, and nothing is left of whoever wrote what is in the backup.
                let error = back_up(&env, "db", "backup").unwrap_err();
                assert!(error.to_string().contains("too much was erased"), "{what}: {error}");
                continue;
            }
            back_up(&env, "db", "backup").map_err(|error| error.context(&what))?;
            let read = |dir: &str| -> Result<Vec<String>> {
                let db = Flume::builder(Utf8).env(env.clone()).read_only(dir).blocking()?;
                db.scan(..).blocking().map(|entry| Ok(entry?.value)).collect()
            };
            assert_eq!(read("backup")?, read("db")?, "{what}");
            assert!(SegmentedLog::verify(&env, "backup".as_ref())?.report.is_ok(), "{what}");
            with(&env, "db", more)?;
            back_up(&env, "db", "backup").map_err(|error| error.context(&what))?;
            assert_eq!(read("backup")?, read("db")?, "{what}");
        }
    }
    Ok(())
}

/// The failure: a backup inside of what it is a backup of, which the next one, or a repair, takes for a part of it.
#[test]
fn nothing_is_made_inside_of_a_database_or_a_backup() -> Result<()> {
    let env = Env::memory();
    append(&env, "db", &["a"])?;
    append(&env, "other", &["b"])?;
    back_up(&env, "db", "backup")?;
    for to in ["db/inner", "db/one/two", "other/inner", "backup/inner", "db/../db/inner"] {
        for error in [back_up(&env, "db", to).unwrap_err(), restore(&env, "backup", to).unwrap_err()] {
            assert_eq!(error.kind(), ErrorKind::Invalid, "{to}: {error}");
            assert!(error.to_string().contains("inside of"), "{to}: {error}");
        }
        assert!(env.storage.kind(to.as_ref()).unwrap().is_none(), "{to}");
    }
    back_up(&env, "db", "db-backup")?;
    restore(&env, "backup", "backups/restored").map(drop)
}

#[test]
fn a_damaged_log_is_not_copied_over_a_good_backup() -> Result<()> {
    let env = Env::memory();
    let text = "x".repeat(700);
    append_small(&env, &[text.as_str(); 6])?;
    back_up(&env, LOG, "backup")?;
    let kept = files(&env, "backup");
    append_small(&env, &vec![text.as_str(); 20])?;
    let newest = env.storage.list(LOG.as_ref()).unwrap().into_iter().rfind(|name| name.ends_with(".seg")).unwrap();
    for name in env.storage.list(LOG.as_ref()).unwrap().into_iter().filter(|name| name.ends_with(".seg")) {
        if kept.iter().any(|(old, _)| *old == name) && name != newest {
            continue;
        }
        let path = Path::new(LOG).join(&name);
        let file = env.storage.open(&path, OpenMode::Write).unwrap();
        let was = file.read(300, 1).unwrap();
        file.write_all(300, &[was[0] ^ 1]).unwrap();
        let error = back_up(&env, LOG, "backup").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{name}: {error}");
        assert_eq!(error.damage().map(|damage| &damage.file), Some(&path), "{error}");
        assert!(SegmentedLog::verify(&env, "backup".as_ref())?.report.is_ok(), "{name}");
        file.write_all(300, &was).unwrap();
    }
    back_up(&env, LOG, "backup")?;
    assert_eq!(contents(&env, "backup"), contents(&env, LOG));
    Ok(())
}

fn append_small(env: &Env, texts: &[&str]) -> Result<()> {
    let db =
        Flume::builder(Utf8).env(env.clone()).set(|settings| settings.log = self::settings()).open(LOG).blocking()?;
    for text in texts {
        db.append(*text).blocking()?;
    }
    db.close().blocking()
}

#[test]
fn an_empty_log_has_a_backup_too() -> Result<()> {
    let env = Env::memory();
    append(&env, "db", &[])?;
    assert_eq!(back_up(&env, "db", "backup")?.head, None);
    assert!(SegmentedLog::verify(&env, "backup".as_ref())?.report.is_ok());
    restore(&env, "backup", "restored")?;
    append(&env, "restored", &["first"])?;
    assert_eq!(contents(&env, "restored").slots.len(), 1);
    append(&env, "db", &["another"])?;
    assert_eq!(back_up(&env, "db", "backup")?.head, Some(Seq::new(0)));
    Ok(())
}

/// What one backup was made of, again and again: only what is new is taken.
#[test]
fn only_what_is_new_is_taken() -> Result<()> {
    let env = Env::memory();
    let text = "x".repeat(700);
    append_small(&env, &vec![text.as_str(); 20])?;
    let first = back_up(&env, LOG, "backup")?;
    assert!(first.linked >= 3 && first.copied == 1 && first.kept == 0, "{first:?}");
    let again = back_up(&env, LOG, "backup")?;
    assert_eq!((again.linked, again.copied, again.kept, again.removed), (0, 0, first.files, 0), "{again:?}");
    append_small(&env, &[text.as_str(); 5])?;
    let more = back_up(&env, LOG, "backup")?;
    assert_eq!(more.kept, first.files - 1, "{more:?}");
    assert!(more.copied == 1 && more.copied_bytes < 8192, "{more:?}");
    Ok(())
}
