//! Guards against a log that is taken for one of another format, read as such, or written to on a guess.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

mod common;

use std::time::{Duration, Instant};

use common::{all, content, machine, vectors};
use flumedb::{Env, ErrorKind, env::OpenMode, log::Batch};
use flumedb_ssb::{Format, Framing, any};
use proptest::prelude::{any as arbitrary, *};
use serde_json::Value;

const PATH: &str = "log.offset";

/// Formats that one file holds and that are written here.
const WRITTEN: [Format; 9] = [
    Format::Offset(Framing::Bits32),
    Format::Offset(Framing::Bits48),
    Format::Offset(Framing::Bits53),
    Format::Offset(Framing::Basic),
    Format::Aligned(None),
    Format::Aligned(Some(1024)),
    Format::Aligned(Some(400)),
    Format::Aaol(None),
    Format::Aaol(Some(512)),
];

/// The folders of vectors that have logs in them.
const FOLDERS: [&str; 7] = ["aaol", "aligned", "jitdb", "offset", "query", "ssb", "views"];

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// What the manifest says that a file is. Where all of it lies in one block, the size of the blocks may not be told.
fn expected(file: &Value, manifest: &[Value]) -> Format {
    let name = file["file"].as_str().unwrap();
    let about = file["for"].as_str().and_then(|of| manifest.iter().find(|file| file["file"] == of)).unwrap_or(file);
    let number = |key: &str| about[key].as_u64();
    match (number("offset_bits"), number("block"), number("blockSize")) {
        _ if name.contains("legacy") => Format::Offset(Framing::Basic),
        _ if name.contains("empty") => Format::Offset(Framing::Bits32),
        (Some(bits), ..) => Format::Offset(Framing::from_name(&format!("offset{bits}")).unwrap()),
        (_, Some(size), _) => Format::Aligned(Some(size as u32)),
        (.., Some(size)) => Format::Aaol(Some(size as u32)),
        // What ssb-db wrote.
        _ if name.starts_with("ssb/") && name.ends_with("log.offset") => Format::Offset(Framing::Bits32),
        _ => panic!("{name}: the manifest does not say what it is"),
    }
}

#[test]
fn every_log_of_the_vectors_is_told() {
    let dir = vectors();
    let manifest: Value = serde_json::from_slice(&std::fs::read(dir.join("MANIFEST.json")).unwrap()).unwrap();
    let manifest = manifest["files"].as_array().unwrap();
    let mut seen = 0;
    for file in manifest {
        let name = file["file"].as_str().unwrap();
        let is_log = [".log", ".bipf", "log.offset"].iter().any(|ending| name.ends_with(ending));
        let here = FOLDERS.iter().any(|folder| name.starts_with(folder));
        if !is_log || !here || !dir.join(name).is_file() {
            continue;
        }
        let told = any::tell(&Env::os(), dir.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        let (format, expected) = (told.format, expected(file, manifest));
        let size_told = format.block_bytes().is_some();
        assert!(format == expected || format.name() == expected.name() && !size_told, "{name}: {told:#?}");
        let larger = expected.block_bytes().is_none_or(|block| file["bytes"].as_u64().unwrap() > block.into());
        assert!(size_told == expected.block_bytes().is_some() || !larger, "{name}: {told:#?}");
        assert!(told.rivals.is_empty() && !told.evidence.is_empty(), "{name}: {told:#?}");
        seen += 1;
    }
    assert!(seen >= 30, "{seen}");
}

/// A machine with a log of this format that holds these payloads.
fn written(format: Format, payloads: &[Vec<u8>]) -> Env {
    let env = Env::memory();
    let opened = any::builder().env(env.clone()).format(format).create().open(PATH).unwrap();
    let mut batch = Batch::new();
    payloads.iter().for_each(|payload| batch.push(payload));
    block_on(async {
        opened.log.append(batch).await.unwrap();
        opened.log.close().await.unwrap();
    });
    env
}

fn payload() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        "\\{\"n\":[0-9]{1,9}\\}".prop_map(String::into_bytes),
        proptest::collection::vec(arbitrary::<u8>(), 1..300),
        (1..250usize).prop_map(|size| vec![b'x'; size]),
    ]
    .prop_filter("reads as deleted", |payload| payload.iter().any(|&byte| byte != 0))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_was_written_is_told_and_read(
        format in proptest::sample::select(&WRITTEN[..]),
        payloads in proptest::collection::vec(payload(), 2..60),
    ) {
        let env = written(format, &payloads);
        let told = any::tell(&env, PATH).unwrap();
        let opened = any::builder().env(env.clone()).open(PATH).unwrap();
        // A log of the basic layout may be one of another until it is long enough.
        if told.rivals.is_empty() {
            assert_eq!(opened.format.name(), format.name(), "{told:#?}");
        }
        let read: Vec<_> = block_on(all(&*opened.log)).into_iter().map(|(.., payload)| payload.to_vec()).collect();
        assert_eq!(read, payloads);
        assert!(opened.report().unwrap().is_ok());
        assert!(any::check(&env, PATH, Some(format)).unwrap().is_ok());
    }

    /// Whatever the bytes are: no panic, an answer soon, nothing changed by looking, and nothing put beside what is no log.
    #[test]
    fn arbitrary_bytes_are_no_harm(bytes in proptest::collection::vec(prop_oneof![3 => 0..4u8, 1 => arbitrary::<u8>()], 0..3000)) {
        let env = machine(&bytes);
        let start = Instant::now();
        let read = any::builder().env(env.clone()).open(PATH);
        let known = match read {
            Ok(opened) => {
                block_on(opened.log.barrier()).unwrap();
                true
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
                false
            }
        };
        let _ = any::check(&env, PATH, None);
        assert_eq!(content(&env, PATH), bytes);
        let _ = any::repair(&env, PATH, None, false);
        let _ = any::builder().env(env.clone()).append().open(PATH);
        if !known {
            assert_eq!(content(&env, PATH), bytes);
            for beside in ["torn", "damaged", "compaction", "stats"] {
                assert_eq!(env.storage.kind(format!("{PATH}.{beside}").as_ref()).unwrap(), None);
            }
        }
        assert!(start.elapsed() < Duration::from_secs(5));
    }
}

/// The failure: a file of holes that keeps the program busy for hours.
#[test]
fn a_huge_file_of_nothing_is_given_up_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("huge");
    for (at, bytes) in [(0, &b""[..]), (0, b"\x05\0hello"), (0, b"\0\0\0\x02hi\0\0\0\x02\0\0\0\x0e"), (1 << 20, b"x")] {
        let file = std::fs::File::create(&path).unwrap();
        file.set_len(1 << 37).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&file, bytes, at).unwrap();
        let start = Instant::now();
        let told = any::tell(&Env::os(), &path);
        assert!(start.elapsed() < Duration::from_secs(10), "{told:?} took {:?}", start.elapsed());
        // Zeros behind a record are looked through, as fast as they can be read.
        file.set_len(1 << 30).unwrap();
        let start = Instant::now();
        let report = any::check(&Env::os(), &path, None);
        assert!(report.is_ok_and(|report| !report.is_ok()) || told.is_err());
        assert!(start.elapsed() < Duration::from_secs(10), "{bytes:?} took {:?}", start.elapsed());
    }
}

/// The failure: what a power cut leaves behind a log makes it look like one of another format, without a fault.
#[test]
fn a_torn_end_does_not_make_it_a_log_of_another_format() {
    let values: Vec<Vec<u8>> =
        (0..400).map(|number| format!("{{\"n\":{number},\"text\":\"some words\"}}").into_bytes()).collect();
    let mut logs: Vec<(&str, Vec<u8>)> =
        WRITTEN.iter().map(|&format| (format.name(), content(&written(format, &values), PATH))).collect();
    logs.push(("jsonl", values.join(&b'\n').into_iter().chain([b'\n']).collect()));
    for (name, log) in logs {
        for torn in [&b"\0"[..], &[0; 4096], &[0; 70_000], &[0; 1 << 20], b"{\"n\":40", b"{\"n\":40\0\0\0"] {
            let env = machine(&[&log[..], torn].concat());
            let opened = any::builder().env(env).open(PATH).unwrap();
            assert_eq!(opened.format.name(), name, "{} bytes: {:#?}", torn.len(), opened.evidence);
            let read: Vec<_> = block_on(all(&*opened.log)).into_iter().map(|(.., payload)| payload.to_vec()).collect();
            assert_eq!(read, values, "{name}, {} bytes", torn.len());
            // Zeros are what fills a block.
            let blocks = ["aligned", "aaol"].contains(&name) && torn.iter().all(|&byte| byte == 0);
            assert!(blocks || !opened.report().unwrap().is_ok(), "{name}, {} bytes", torn.len());
        }
    }
}

#[test]
fn what_is_named_must_be_what_is_there() {
    let env = written(Format::Offset(Framing::Bits32), &[b"one".to_vec(), b"two".to_vec()]);
    env.storage.create_dir_all("dir".as_ref()).unwrap();
    let open =
        |path: &str, format: Format| any::builder().env(env.clone()).format(format).open(path).err().unwrap().kind();
    assert_eq!(open(PATH, Format::Offset(Framing::Bits48)), ErrorKind::Invalid);
    assert_eq!(open(PATH, Format::Flume), ErrorKind::Invalid);
    assert_eq!(open(PATH, Format::Offset2), ErrorKind::Invalid);
    assert_eq!(open("dir", Format::Offset(Framing::Bits32)), ErrorKind::Invalid);
    assert_eq!(open("dir", Format::Flume), ErrorKind::Unsupported);
    assert_eq!(open("nothing", Format::Flume), ErrorKind::NotFound);
    assert_eq!(any::tell(&env, "dir").unwrap_err().kind(), ErrorKind::Unsupported);
    let file = env.storage.open("text".as_ref(), OpenMode::CreateNew).unwrap();
    file.write_all(0, b"Dear diary").unwrap();
    let error = any::tell(&env, "text").unwrap_err();
    assert!(error.to_string().contains("offset32"), "{error}");
}
