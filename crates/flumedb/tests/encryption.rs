//! An encrypted database tells nothing to who has its files and not its keys. Guards against what leaks on the side (views,
//! notes, cut tails, a head page, a dictionary), a nonce that is used twice after a crash, a key that is wrong and found
//! out only when something was changed, and a change of keys that makes older entries unreadable.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests panic to fail")]

use std::{
    collections::{BTreeMap, HashMap},
    future::poll_fn,
    path::{Path, PathBuf},
    pin::pin,
    task::Poll,
};

use flumedb::{
    Damage, Env, Error, ErrorKind, Flume, Keys, Seq, Span,
    check::Report,
    codec::Json,
    env::OpenMode,
    log::{Batch, Compression, Log, LogSettings, Note, ReadRequest, SegmentedLog},
    views::{Index, Reduce},
};
use flumedb_sim::{Choices, DIR, Fault, FaultKind, Image, Sim, now};
use futures_util::future::{Either, select};

fn key(number: u16) -> [u8; 32] {
    [number as u8; 32]
}

fn settings(keys: &Keys) -> LogSettings {
    LogSettings { segment_bytes: 4096, keys: Some(keys.clone()), ..LogSettings::default() }
}

fn open(env: &Env, settings: LogSettings) -> flumedb::Result<SegmentedLog> {
    SegmentedLog::open(env, Path::new(DIR), settings)
}

fn append(sim: &Sim, log: &SegmentedLog, payload: &[u8]) -> flumedb::Result<Seq> {
    let mut batch = Batch::new();
    batch.push(payload);
    sim.block_on(log.append(batch)).map(|seqs| seqs[0])
}

fn kind<T>(result: flumedb::Result<T>) -> ErrorKind {
    result.err().map(|error| error.kind()).expect("it fails")
}

/// A check of the log that reads as fast as it can, a piece at a time.
fn scrub(sim: &Sim, keys: Option<&Keys>) -> flumedb::Result<Report> {
    let (dir, on_damage) = (Path::new(DIR), Box::new(|_: &Damage| ()));
    sim.block_on(match keys {
        Some(keys) => SegmentedLog::with_keys(keys).scrub(&sim.env, dir, u64::MAX, on_damage)?,
        None => SegmentedLog::scrub_at(&sim.env, dir, u64::MAX, on_damage)?,
    })
}

/// Where in the files of a disk `needle` stands.
fn places(image: &Image, needle: &[u8]) -> Vec<PathBuf> {
    let files = image.files().into_iter();
    files
        .filter(|file| image.read(file).is_some_and(|bytes| bytes.windows(needle.len()).any(|it| it == needle)))
        .collect()
}

const SECRET: &str = "xyzzy-plugh-secret";

/// A database with views of all kinds that keep what entries say, which is used, killed and cut off.
async fn program(env: &Env, keys: Option<&Keys>, compression: Compression) -> flumedb::Result<()> {
    let codec = Json::<String>::new();
    let mut builder = Flume::builder(codec).env(env.clone()).compression(compression).set(|settings| {
        settings.log.segment_bytes = 8192;
        settings.views.sync_every = std::time::Duration::ZERO;
    });
    if let Some(keys) = keys {
        builder = builder.keys(keys.clone());
    }
    let db = builder.open("db").await?;
    let text = |text: &String| Some(text.clone());
    let reduce = db
        .view("reduce", Reduce::new(1, Vec::new(), |all: &mut Vec<String>, item: &String| all.push(item.clone())))
        .await?;
    let index = db.view("index", Index::new(1, text)).await?;
    for number in 0..60 {
        let note = Note { name: format!("note of {SECRET}"), position: number, proof: SECRET.into() };
        db.append(&format!("{SECRET} number {number}, and the same again: {SECRET} {SECRET} {SECRET}"))
            .note(note)
            .await?;
    }
    db.delete([Seq::new(3)]).await?;
    assert_eq!(reduce.read().await?.len(), 59);
    assert_eq!(index.read().await?.all().count(), 59);
    db.append(&format!("{SECRET} at the end")).buffered().await?;
    db.close().await
}

/// Lets the others go on for some turns.
async fn turns(mut count: u64) {
    poll_fn(|cx| {
        if count == 0 {
            return Poll::Ready(());
        }
        count -= 1;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[test]
fn nothing_of_it_is_on_the_disk() {
    for (keys, compression) in [
        (None, Compression::None),
        (Some(Keys::new(1, key(1)).unwrap()), Compression::None),
        (Some(Keys::new(1, key(1)).unwrap()), Compression::Lz4),
    ] {
        let mut images = Vec::new();
        // Killed in the middle, at several places, so that a tail is cut.
        for turn in [20, 60, 120, 200] {
            let mut sim = Sim::new(7 + turn);
            let cut = sim.block_on(async {
                let whole = pin!(program(&sim.env, keys.as_ref(), compression));
                matches!(select(whole, pin!(turns(turn))).await, Either::Right(_))
            });
            assert!(cut || turn > 20, "it was through before the power went");
            sim = sim.crash(&mut Choices::seeded(turn));
            sim.block_on(open_db(&sim.env, keys.as_ref()).into_future()).unwrap();
            images.push(sim.kill().disk.image());
        }
        let sim = Sim::boot(Image::new(), 8);
        sim.block_on(program(&sim.env, keys.as_ref(), compression)).unwrap();
        images.push(sim.kill().disk.image());
        assert!(images.last().is_some_and(|image| image.files().len() > 5));
        let found: Vec<PathBuf> = images.iter().flat_map(|image| places(image, &SECRET.as_bytes()[..8])).collect();
        // Without keys the test must find it, or it would find nothing with them either.
        assert_eq!(found.is_empty(), keys.is_some(), "{compression:?}: {found:?}");
    }
}

fn open_db(env: &Env, keys: Option<&Keys>) -> flumedb::Call<'static, flumedb::Result<Flume<Json<String>>>> {
    let builder = Flume::builder(Json::<String>::new()).env(env.clone());
    match keys {
        Some(keys) => builder.keys(keys.clone()).open("db"),
        None => builder.open("db"),
    }
}

#[test]
fn a_wrong_or_missing_key_is_told_before_anything_is_changed() {
    let keys = Keys::new(1, key(1)).unwrap();
    let sim = Sim::new(1);
    let log = open(&sim.env, settings(&keys)).unwrap();
    for number in 0..20 {
        append(&sim, &log, format!("entry {number}").as_bytes()).unwrap();
    }
    // Not closed, so that there is a tail to be cut and something to be written anew.
    let sim = sim.kill();
    let before = sim.disk.image();
    for wrong in [None, Some(Keys::new(1, key(9)).unwrap()), Some(Keys::new(2, key(2)).unwrap())] {
        let settings = LogSettings { keys: wrong.clone(), ..settings(&keys) };
        let error = open(&sim.env, settings.clone()).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Key, "{error}");
        assert!(error.to_string().contains("key 1"), "{error}");
        assert_eq!(kind(SegmentedLog::repair(&sim.env, Path::new(DIR), &settings, true)), ErrorKind::Key);
        assert!(sim.disk.image().reads_as(&before), "it changed something");

        let reader = match &wrong {
            Some(keys) => SegmentedLog::with_keys(keys).read_only(&sim.env, Path::new(DIR)).unwrap(),
            None => SegmentedLog::read_only(&sim.env, Path::new(DIR)).unwrap(),
        };
        let error = now(reader.get(Seq::new(4))).unwrap_err();
        assert_eq!((error.kind(), error.seq()), (ErrorKind::Key, Some(Seq::new(4))));
        assert!(error.to_string().contains("key 1"), "{error}");
        assert_eq!(kind(now(reader.read(ReadRequest::forwards(Span { from: 0, to: 9 })))), ErrorKind::Key);
        assert_eq!(kind(now(reader.read(ReadRequest::backwards(Span { from: 0, to: 9 })))), ErrorKind::Key);
        assert!(reader.proof(Seq::new(4)).unwrap().is_some(), "what tells logs apart needs no key");
    }
    // The checksums are over what is on the disk.
    let report = SegmentedLog::check(&sim.env, Path::new(DIR)).unwrap();
    assert_eq!((report.entries, report.damage.len()), (20, 0));
    assert!(SegmentedLog::with_keys(&keys).check(&sim.env, Path::new(DIR)).unwrap().damage.is_empty());
    let wrong = Keys::new(1, key(9)).unwrap();
    assert_eq!(kind(SegmentedLog::with_keys(&wrong).check(&sim.env, Path::new(DIR))), ErrorKind::Key);
    // A check that takes its time says the same.
    assert_eq!(kind(scrub(&sim, Some(&wrong))), ErrorKind::Key);
    assert_eq!(scrub(&sim, None).unwrap(), report);
    assert_eq!(scrub(&sim, Some(&keys)).unwrap(), report);
    assert_eq!(now(open(&sim.env, settings(&keys)).unwrap().get(Seq::new(4))).unwrap(), "entry 4");
}

#[test]
fn keys_change_and_older_entries_stay() {
    let sim = Sim::new(2);
    let note = |number| Note { name: "position".into(), position: number, proof: b"proof".to_vec() };
    let write = |settings: LogSettings, number: u64| {
        let log = open(&sim.env, settings).unwrap();
        let mut batch = Batch::new();
        (0..10).for_each(|index| batch.push(format!("entry {}", number * 10 + index).as_bytes()));
        batch.note = Some(note(number));
        sim.block_on(log.append(batch)).unwrap();
        sim.block_on(log.close()).unwrap();
    };
    let clear = LogSettings { segment_bytes: 4096, ..LogSettings::default() };
    let first = Keys::new(1, key(1)).unwrap();
    let second = Keys::new(2, key(2)).unwrap().with(1, key(1)).unwrap();
    write(clear, 0);
    write(settings(&first), 1);
    write(settings(&second), 2);
    write(settings(&second), 3);
    let log = open(&sim.env, settings(&second)).unwrap();
    for number in 0..40 {
        assert_eq!(now(log.get(Seq::new(number))).unwrap(), format!("entry {number}"));
    }
    assert_eq!(log.note("position").unwrap(), Some(note(3)));
    drop(log);
    // Without the older key the log can be written to, and what was in the clear or is newer can be read.
    let only = Keys::new(2, key(2)).unwrap();
    let log = open(&sim.env, settings(&only)).unwrap();
    assert_eq!(now(log.get(Seq::new(5))).unwrap(), "entry 5");
    assert_eq!(now(log.get(Seq::new(25))).unwrap(), "entry 25");
    let error = now(log.get(Seq::new(15))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Key, "{error}");
    assert!(error.to_string().contains("key 1"), "{error}");
    assert_eq!(log.note("position").unwrap(), Some(note(3)), "notes are carried over under the new key");
    // And what cannot be read can be deleted.
    sim.block_on(log.delete(&[Seq::new(15)])).unwrap();
    assert_eq!(kind(now(log.get(Seq::new(15)))), ErrorKind::Deleted);
    append(&sim, &log, b"one more").unwrap();
}

/// Every nonce on the disk, and what it stands in front of.
fn nonces(image: &Image, seen: &mut HashMap<Vec<u8>, Vec<u8>>) {
    for path in image.files().into_iter().filter(|path| path.extension().is_some_and(|ending| ending == "seg")) {
        let bytes = image.read(&path).unwrap();
        let mut at = 128;
        while let Some(header) = bytes.get(at..at + 16) {
            let len = u32::from_le_bytes(header[8..12].try_into().unwrap()) as usize;
            let Some(stored) = bytes.get(at + 16..at + 16 + len).filter(|_| header[12] != 0) else { break };
            if header[13] & 8 != 0 {
                let (nonce, text) = stored.split_at(12);
                let other = seen.insert(nonce.to_vec(), text.to_vec());
                assert!(other.is_none_or(|other| other == text), "two texts under one nonce, in {}", path.display());
            }
            at += (16 + len).next_multiple_of(8);
        }
    }
}

/// Recovery cuts a tail, and other entries get its numbers; a full disk has a commit written again.
#[test]
fn no_nonce_is_used_twice_over_crashes_and_full_disks() {
    let keys = Keys::new(1, key(1)).unwrap();
    let mut seen = HashMap::new();
    let mut reused = BTreeMap::<u64, u32>::new();
    for seed in 0..40 {
        // Each life has a seed of its own, the one after the last's.
        let mut sim = Sim::new(seed * 100);
        let mut choices = Choices::seeded(seed);
        for life in 0..5 {
            let log = open(&sim.env, settings(&keys)).unwrap();
            if choices.pick(2) == 0 {
                sim.disk.set_fault(Fault { kind: FaultKind::Full, nth: choices.pick(6), lasting: false });
            }
            for number in 0..1 + choices.pick(8) {
                let mut batch = Batch::new();
                batch.push(format!("seed {seed} life {life} number {number}").as_bytes());
                batch.buffered = choices.pick(2) == 0;
                batch.note = (number == 2).then(|| Note { name: "note".into(), position: number, proof: Vec::new() });
                if let Ok(seqs) = sim.block_on(log.append(batch)) {
                    *reused.entry(seed * 1000 + seqs[0].get()).or_default() += 1;
                }
                nonces(&sim.disk.image(), &mut seen);
            }
            sim = sim.crash(&mut choices);
        }
    }
    assert!(seen.len() > 500, "{} nonces", seen.len());
    assert!(reused.values().any(|count| *count > 1), "no number was ever used again");
}

fn crc32c(bytes: &[u8]) -> u32 {
    (0..bytes.len()).fold(!0_u32, |crc, at| {
        (0..8).fold(crc ^ u32::from(bytes[at]), |crc, _| (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg()))
    }) ^ !0
}

/// Where the records of the only segment begin.
fn records(bytes: &[u8]) -> Vec<usize> {
    let mut at = 128;
    let mut found = Vec::new();
    while bytes.get(at + 12).is_some_and(|kind| *kind != 0) {
        found.push(at);
        at += (16 + u32::from_le_bytes(bytes[at + 8..at + 12].try_into().unwrap()) as usize).next_multiple_of(8);
    }
    found
}

/// A sealed segment whose bytes are sound still has to be looked into.
#[test]
fn a_slow_check_looks_into_sealed_segments_too() {
    let sim = Sim::new(7);
    let older = Keys::new(1, key(1)).unwrap();
    let log = open(&sim.env, settings(&older)).unwrap();
    for _ in 0..20 {
        append(&sim, &log, &[1; 500]).unwrap();
    }
    sim.block_on(log.close()).unwrap();
    drop(log);
    let newer = || Keys::new(2, key(2)).unwrap();
    let (right, wrong) = (newer().with(1, key(1)).unwrap(), newer().with(1, key(9)).unwrap());
    let log = open(&sim.env, settings(&right)).unwrap();
    append(&sim, &log, &[2; 500]).unwrap();
    sim.block_on(log.close()).unwrap();
    assert_eq!(kind(SegmentedLog::with_keys(&wrong).check(&sim.env, Path::new(DIR))), ErrorKind::Key);
    assert_eq!(kind(scrub(&sim, Some(&wrong))), ErrorKind::Key);
    assert!(scrub(&sim, Some(&right)).unwrap().is_ok());
    assert!(scrub(&sim, Some(&newer())).unwrap().is_ok(), "what has no key is not looked into");
}

/// Whoever can write to the disk can make checksums. What he changes does not decrypt, nor does what he moves.
#[test]
fn what_is_changed_or_moved_with_right_checksums_is_told() {
    let keys = Keys::new(1, key(1)).unwrap();
    let sim = Sim::new(3);
    let log = open(&sim.env, LogSettings { keys: Some(keys.clone()), ..LogSettings::default() }).unwrap();
    for number in 0..3 {
        append(&sim, &log, format!("entry number {number}").as_bytes()).unwrap();
    }
    sim.block_on(log.close()).unwrap();
    let image = sim.kill().disk.image();
    let path = image.files().into_iter().find(|path| path.extension().is_some()).unwrap();
    let whole = image.read(&path).unwrap();
    let entries: Vec<usize> = records(&whole).into_iter().filter(|at| whole[at + 12] == 2).collect();
    let stored = |at: usize| at + 16..at + 16 + 12 + 14 + 16;
    type Forge = fn(&mut [u8], &[u8]);
    let forgeries: [(&str, Forge); 3] = [
        ("changed", |stored, _| stored[13] ^= 1),
        ("another's", |stored, other| stored.copy_from_slice(other)),
        ("nonce changed", |stored, _| stored[0] ^= 1),
    ];
    for (what, forge) in forgeries {
        let mut bytes = whole.clone();
        let (target, other) = (entries[1], whole[stored(entries[2])].to_vec());
        let covered = |bytes: &[u8]| crc32c(&bytes[target + 4..stored(target).end]);
        let place = covered(&bytes) ^ u32::from_le_bytes(bytes[target..target + 4].try_into().unwrap());
        forge(&mut bytes[stored(target)], &other);
        let sum = covered(&bytes) ^ place;
        bytes[target..target + 4].copy_from_slice(&sum.to_le_bytes());
        let mut image = image.clone();
        image.write(&path, &bytes).unwrap();
        let sim = Sim::boot(image, 4);
        let log = SegmentedLog::with_keys(&keys).read_only(&sim.env, Path::new(DIR)).unwrap();
        let error = now(log.get(Seq::new(1))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{what}: {error}");
        assert!(error.to_string().contains("does not decrypt"), "{what}: {error}");
        assert_eq!(now(log.get(Seq::new(0))).unwrap(), "entry number 0");
        let report = SegmentedLog::with_keys(&keys).check(&sim.env, Path::new(DIR)).unwrap();
        assert!(!report.damage.is_empty(), "{what}");
        assert_eq!(scrub(&sim, Some(&keys)).unwrap(), report, "{what}");
        assert_eq!(sim.block_on(log.scrub(u64::MAX, Box::new(|_| ())).unwrap()).unwrap(), report, "{what}");
    }
}

/// What views kept in the clear goes when a database gets keys; and without its keys nothing of it is opened.
#[test]
fn views_are_built_anew_when_keys_come() {
    let env = Env::memory();
    let builder = || Flume::builder(Json::<String>::new()).env(env.clone());
    let words = || Index::new(1, |text: &String| Some(text.clone()));
    let keys = Keys::new(1, key(1)).unwrap();
    let db = builder().open("db").blocking().unwrap();
    db.append(&SECRET.to_owned()).blocking().unwrap();
    for name in ["words", "nobody-asks"] {
        assert_eq!(db.view(name, words()).blocking().unwrap().read().blocking().unwrap().all().count(), 1);
    }
    db.close().blocking().unwrap();
    // Beside each store lies what the view says of itself.
    let is_store = |name: &String| name.contains('-') && !name.ends_with(".status");
    let stores = || env.storage.list("db/views".as_ref()).unwrap().into_iter().filter(is_store).count();
    assert_eq!(stores(), 2);

    for round in 0..2 {
        let db = builder().keys(keys.clone()).open("db").blocking().unwrap();
        assert_eq!(stores(), round, "what is in the clear is gone, and what is encrypted stays");
        let view = db.view("words", words()).blocking().unwrap();
        assert_eq!(view.read().blocking().unwrap().get(SECRET).count(), 1);
        db.append(&format!("round {round}")).blocking().unwrap();
        db.close().blocking().unwrap();
    }
    assert_eq!(kind(builder().open("db").blocking()), ErrorKind::Key);
    // Nor are the views taken for others' by a database that has no keys.
    let other = builder().views_in("db/views").open("other").blocking();
    assert_eq!(kind(other), ErrorKind::Key);

    // After a change of keys the stores under the older one are still read.
    let db = builder().keys(Keys::new(2, key(2)).unwrap().with(1, key(1)).unwrap()).open("db").blocking().unwrap();
    let view = db.view("words", words()).blocking().unwrap();
    assert_eq!(view.read().blocking().unwrap().get(SECRET).count(), 1);
    db.append(&"under the new key".to_owned()).blocking().unwrap();
    assert_eq!(view.read().blocking().unwrap().all().count(), 4);
    db.close().blocking().unwrap();
}

/// Whatever a store is like, it works when its files are encrypted.
#[test]
fn every_kind_of_view_can_be_kept_encrypted() {
    let env = Env::memory();
    let keys = Keys::new(1, key(1)).unwrap();
    for round in 0..2 {
        let db =
            Flume::builder(flumedb::codec::JsonDocs).env(env.clone()).keys(keys.clone()).open("db").blocking().unwrap();
        if round == 0 {
            for number in 0..300 {
                db.append(&*format!(r#"{{"word":"{SECRET}","number":{number}}}"#)).buffered().blocking().unwrap();
            }
        }
        let word = |_: &flumedb::codec::JsonDoc| Some(SECRET.to_owned());
        let index = db.view("index", Index::new(1, word)).blocking().unwrap();
        assert_eq!(index.read().blocking().unwrap().get(SECRET).count(), 300);
        db.close().blocking().unwrap();
    }
    let mut found = 0;
    let mut dirs = vec![PathBuf::from("db")];
    while let Some(dir) = dirs.pop() {
        for name in env.storage.list(&dir).unwrap() {
            let path = dir.join(name);
            let Ok(file) = env.storage.open(&path, OpenMode::Read) else {
                dirs.push(path);
                continue;
            };
            let bytes = file.read(0, file.len().unwrap() as usize).unwrap();
            found += 1;
            assert!(!bytes.windows(8).any(|it| it == &SECRET.as_bytes()[..8]), "it is in {}", path.display());
        }
    }
    assert!(found > 3);
}

#[test]
fn keys_are_read_as_text() {
    let hex = |number: u8| format!("{number:02x}").repeat(32);
    let keys = Keys::parse(&format!("# keys\n\n1 {}\n7: {}\n", hex(1), hex(7))).unwrap();
    assert_eq!(keys.current(), 7);
    assert_eq!(Keys::parse(&hex(3)).unwrap().current(), 1);
    let two = format!("1 {},2 {}", hex(1), hex(2));
    assert_eq!(Keys::parse(&two).unwrap().current(), 2);
    let same = format!("1 {}\n1 {}", hex(1), hex(2));
    for wrong in ["", "1", "0 00", "x", &hex(1)[1..], &format!("0 {}", hex(1)), &format!("70000 {}", hex(1)), &same] {
        let error = Keys::parse(wrong).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{wrong}");
        assert!(wrong.len() < 10 || !error.to_string().contains(&wrong[3..10]), "the key is in the error: {error}");
    }
    let env = Env::memory();
    let line = Keys::generate(&env, 5).unwrap();
    assert_eq!(Keys::parse(&line).unwrap().current(), 5);
    assert_ne!(Keys::generate(&env, 5).unwrap(), line);
    assert_eq!(kind(Keys::read(&env, "nowhere".as_ref())), ErrorKind::NotFound);
    let file = env.storage.open("keys".as_ref(), OpenMode::CreateNew).unwrap();
    file.write_all(0, two.as_bytes()).unwrap();
    assert_eq!(Keys::read(&env, "keys".as_ref()).unwrap().current(), 2);
    assert!(!format!("{keys:?}").contains("0707"));

    let asked = Keys::from_fn(4, |number| match number {
        4 => Ok(Some(key(4))),
        5 => Err(Error::new(ErrorKind::Io, "the keyring is locked")),
        _ => Ok(None),
    });
    let log = SegmentedLog::open(&env, "asked".as_ref(), settings(&asked.unwrap()));
    assert!(log.is_ok());
    let locked = Keys::from_fn(5, |_| Err(Error::new(ErrorKind::Io, "the keyring is locked"))).unwrap();
    assert_eq!(kind(SegmentedLog::open(&env, "locked".as_ref(), settings(&locked))), ErrorKind::Io);
}
