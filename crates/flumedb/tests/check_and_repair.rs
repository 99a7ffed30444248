//! A check must see every wrong byte and change none; a repair must lose nothing but what is damaged. FlumeDB's recovery
//! cut everything behind a bad place, and never noticed one that was not at the end.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may")]

use std::path::{Path, PathBuf};

use flumedb::{
    Env, ErrorKind, Result, Seq,
    env::OpenMode,
    log::{Batch, Log, LogSettings, SegmentedLog},
};

const DIR: &str = "log";

fn small() -> LogSettings {
    LogSettings { segment_bytes: 4096, ..LogSettings::default() }
}

fn payload(n: u64) -> Vec<u8> {
    let mut payload = n.to_le_bytes().to_vec();
    payload.resize(8 + (n * 31 % 300) as usize, n as u8);
    payload
}

/// 120 entries in commits of one to three, over several segments.
async fn write(env: &Env, clean: bool) -> Result<()> {
    let log = SegmentedLog::open(env, Path::new(DIR), small())?;
    let mut n = 0;
    while n < 120 {
        let mut batch = Batch::new();
        for _ in 0..=n % 3 {
            batch.push(&payload(n));
            n += 1;
        }
        log.append(batch).await?;
    }
    if clean { log.close().await } else { Ok(()) }
}

fn files(env: &Env) -> Vec<PathBuf> {
    let names = env.storage.list(Path::new(DIR)).unwrap();
    names.into_iter().filter(|name| name.ends_with(".seg")).map(|name| Path::new(DIR).join(name)).collect()
}

fn content(env: &Env, path: &Path) -> flumedb::Bytes {
    let file = env.storage.open(path, OpenMode::Read).unwrap();
    file.read(0, file.len().unwrap() as usize).unwrap()
}

fn edit(env: &Env, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let file = env.storage.open(path, OpenMode::Write).unwrap();
    let mut bytes = content(env, path).to_vec();
    change(&mut bytes);
    file.set_len(0).unwrap();
    file.write_all(0, &bytes).unwrap();
}

/// Every entry is what was written, or reads as deleted and is counted as lost; the log goes on.
async fn goes_on(env: &Env, what: &str) -> Result<usize> {
    let report = SegmentedLog::check(env, Path::new(DIR))?;
    assert!(report.is_ok(), "{what}: {report:?}");
    let log = SegmentedLog::open(env, Path::new(DIR), small())?;
    assert!(log.recovery().is_none(), "{what}");
    let mut lost = 0;
    for n in 0..120 {
        match log.get(Seq::new(n)).await {
            Ok(found) => assert_eq!(found, payload(n), "{what}: entry {n}"),
            Err(error) if error.kind() == ErrorKind::Deleted => lost += 1,
            Err(error) => panic!("{what}: entry {n}: {error}"),
        }
    }
    let mut batch = Batch::new();
    batch.push(b"after");
    assert_eq!(log.append(batch).await?, [Seq::new(120)], "{what}");
    log.close().await?;
    assert!(SegmentedLog::check(env, Path::new(DIR))?.is_ok(), "{what}");
    Ok(lost)
}

#[tokio::test]
async fn a_sound_log_checks_as_sound_and_is_left_alone() -> Result<()> {
    for clean in [true, false] {
        let env = Env::memory();
        write(&env, clean).await?;
        let before: Vec<_> = files(&env).iter().map(|path| content(&env, path)).collect();
        let report = SegmentedLog::check(&env, Path::new(DIR))?;
        assert!(report.is_ok(), "{report:?}");
        assert_eq!((report.entries, report.head), (120, Some(Seq::new(119))));
        let after: Vec<_> = files(&env).iter().map(|path| content(&env, path)).collect();
        assert_eq!(before, after);
        let repair = SegmentedLog::repair(&env, Path::new(DIR), &small(), true)?;
        assert_eq!(repair, Default::default());
        assert_eq!(goes_on(&env, "untouched").await?, 0);
    }
    Ok(())
}

#[tokio::test]
async fn a_flipped_byte_anywhere_loses_at_most_its_own_commit() -> Result<()> {
    let template = Env::memory();
    write(&template, true).await?;
    let count = files(&template).len();
    assert!(count >= 4, "several segments: {count}");
    let mut seen = 0;
    for index in 0..count {
        let len = content(&template, &files(&template)[index]).len();
        for at in (0..len).step_by(67) {
            let env = Env::memory();
            write(&env, true).await?;
            let path = files(&env)[index].clone();
            if at >= content(&env, &path).len() {
                continue;
            }
            edit(&env, &path, |bytes| bytes[at] ^= 0x10);
            let what = format!("byte {at} of {}", path.display());
            let report = SegmentedLog::check(&env, Path::new(DIR))?;
            if report.is_ok() {
                // Padding, which says nothing.
                assert_eq!(goes_on(&env, &what).await?, 0);
                continue;
            }
            seen += 1;
            assert!(report.torn_tail.is_none(), "{what}: {report:?}");
            assert!(report.damage.iter().all(|damage| damage.file == path), "{what}: {report:?}");
            assert!(report.damage.iter().any(|damage| damage.offset <= at as u64), "{what}: {report:?}");
            let refused = SegmentedLog::repair(&env, Path::new(DIR), &small(), false).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Corrupt, "{what}");
            let repair = SegmentedLog::repair(&env, Path::new(DIR), &small(), true)?;
            assert_eq!(repair.damage, report.damage);
            assert!(!repair.kept_in.is_empty());
            let lost = goes_on(&env, &what).await?;
            assert!(lost <= 3, "{what}: {lost} entries lost");
        }
    }
    assert!(seen > 200, "{seen} damaged logs");
    Ok(())
}

#[tokio::test]
async fn a_missing_or_cut_segment_is_replaced_by_stubs() -> Result<()> {
    for clean in [true, false] {
        let template = Env::memory();
        write(&template, clean).await?;
        for index in 0..files(&template).len() {
            for keep in [None, Some(0), Some(200), Some(1000), Some(2000)] {
                let env = Env::memory();
                write(&env, clean).await?;
                // An idle writer may have added a commit, so the segments are not the same each time.
                let segments = files(&env).len();
                let Some(path) = files(&env).get(index).cloned() else { continue };
                // Space that was claimed and not used is zeros; to lose those is no loss.
                let used = content(&env, &path).iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
                if keep.is_some_and(|keep| keep >= used) {
                    continue;
                }
                match keep {
                    None => env.storage.remove(&path).unwrap(),
                    Some(keep) => edit(&env, &path, |bytes| bytes.truncate(keep)),
                }
                let what = format!("{} cut to {keep:?}, clean {clean}", path.display());
                let report = SegmentedLog::check(&env, Path::new(DIR))?;
                assert!(!report.damage.is_empty(), "{what}: {report:?}");
                if index + 1 == segments && keep.is_none_or(|keep| keep < 1000) {
                    // The newest is gone with all that said how many entries it had; only the head page knows of it.
                    continue;
                }
                SegmentedLog::repair(&env, Path::new(DIR), &small(), true)?;
                assert!(goes_on(&env, &what).await? > 0, "{what}");
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_torn_tail_is_cut_and_kept() -> Result<()> {
    let env = Env::memory();
    write(&env, false).await?;
    let path = files(&env).pop().unwrap();
    let end = content(&env, &path).iter().rposition(|&byte| byte != 0).unwrap() + 1;
    let end = end.next_multiple_of(8);
    edit(&env, &path, |bytes| {
        bytes.truncate(end);
        bytes.extend_from_slice(b"half a commit");
    });
    let report = SegmentedLog::check(&env, Path::new(DIR))?;
    assert!(report.damage.is_empty(), "{report:?}");
    let torn = report.torn_tail.clone().expect("a torn tail");
    assert_eq!((torn.offset, torn.bytes), (end as u64, 13));
    let repair = SegmentedLog::repair(&env, Path::new(DIR), &small(), false)?;
    assert_eq!(repair.torn_tail, report.torn_tail);
    assert_eq!(content(&env, &repair.kept_in[0]), "half a commit");
    assert_eq!(goes_on(&env, "torn").await?, 0);
    Ok(())
}

#[tokio::test]
async fn a_torn_tail_is_told_once_and_does_not_come_back() -> Result<()> {
    for closed in [true, false] {
        let env = Env::memory();
        write(&env, false).await?;
        let path = files(&env).pop().unwrap();
        edit(&env, &path, |bytes| {
            let end = bytes.iter().rposition(|&byte| byte != 0).unwrap() + 1;
            bytes.truncate(end.next_multiple_of(8));
            // More than what is appended next covers.
            bytes.extend_from_slice(&[7; 2000]);
        });
        let log = SegmentedLog::open(&env, Path::new(DIR), small())?;
        let told = log.recovery().expect("a recovery");
        assert_eq!((told.dropped_bytes, &told.file), (2000, &path));
        let mut batch = Batch::new();
        batch.push(b"after");
        let after = log.append(batch).await?[0];
        if closed {
            log.close().await?;
        }
        drop(log);
        assert!(SegmentedLog::check(&env, Path::new(DIR))?.is_ok());
        let log = SegmentedLog::open(&env, Path::new(DIR), small())?;
        assert_eq!(log.recovery(), None, "closed: {closed}");
        assert_eq!(log.get(after).await?, "after");
    }
    Ok(())
}

#[tokio::test]
async fn a_segment_that_was_being_made_is_a_torn_tail() -> Result<()> {
    let env = Env::memory();
    let head = Path::new(DIR).join("head");
    let log = SegmentedLog::open(&env, Path::new(DIR), small())?;
    let mut before = content(&env, &head);
    let mut n = 0;
    while files(&env).len() < 3 {
        before = content(&env, &head);
        let mut batch = Batch::new();
        batch.push(&payload(n));
        log.append(batch).await?;
        n += 1;
    }
    drop(log);
    // The last commit, which began the segment, was not acknowledged: of the segment a part of its beginning is there.
    edit(&env, &head, |bytes| *bytes = before.to_vec());
    let made = files(&env).pop().unwrap();
    edit(&env, &made, |bytes| {
        bytes.truncate(200);
        bytes[..64].fill(0);
    });
    let report = SegmentedLog::check(&env, Path::new(DIR))?;
    assert!(report.damage.is_empty(), "{report:?}");
    assert_eq!(report.torn_tail.as_ref().map(|torn| &torn.file), Some(&made));
    assert_eq!((report.entries, report.head), (n - 1, Some(Seq::new(n - 2))));
    assert_eq!(SegmentedLog::repair(&env, Path::new(DIR), &small(), false)?.torn_tail, report.torn_tail);
    assert!(SegmentedLog::check(&env, Path::new(DIR))?.is_ok());
    let log = SegmentedLog::open(&env, Path::new(DIR), small())?;
    for number in 0..n - 1 {
        assert_eq!(log.get(Seq::new(number)).await?, payload(number));
    }
    Ok(())
}

#[tokio::test]
async fn the_newest_segment_cannot_go_missing_unnoticed() -> Result<()> {
    for clean in [true, false] {
        let env = Env::memory();
        write(&env, clean).await?;
        let newest = files(&env).pop().unwrap();
        env.storage.remove(&newest).unwrap();
        let opened = SegmentedLog::open(&env, Path::new(DIR), small()).err().map(|error| error.kind());
        assert_eq!(opened, Some(ErrorKind::Corrupt), "its entries were acknowledged");
        let reader = SegmentedLog::read_only(&env, Path::new(DIR))?;
        assert_eq!(reader.get(Seq::new(0)).await?, payload(0));
        assert_eq!(reader.barrier().await.unwrap_err().kind(), ErrorKind::Corrupt);
        SegmentedLog::repair(&env, Path::new(DIR), &small(), true)?;
        SegmentedLog::open(&env, Path::new(DIR), small())?;
        assert!(SegmentedLog::check(&env, Path::new(DIR))?.is_ok());
    }
    Ok(())
}

#[tokio::test]
async fn a_damaged_index_or_header_hides_no_entry() -> Result<()> {
    let template = Env::memory();
    write(&template, true).await?;
    let sealed = files(&template).len() - 1;
    for index in 0..sealed {
        let len = content(&template, &files(&template)[index]).len();
        for at in [3, 50, 100, len - 60, len - 30, len - 5] {
            let env = Env::memory();
            write(&env, true).await?;
            let Some(path) = files(&env).get(index).cloned().filter(|path| content(&env, path).len() == len) else {
                continue;
            };
            edit(&env, &path, |bytes| bytes[at] ^= 1);
            let log = SegmentedLog::read_only(&env, Path::new(DIR))?;
            for n in 0..120 {
                assert_eq!(log.get(Seq::new(n)).await?, payload(n), "byte {at} of {}: entry {n}", path.display());
            }
        }
    }
    Ok(())
}
