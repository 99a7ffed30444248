//! What is appended is what is read, however it is stored. Guards against an entry that is compressed into other bytes, a
//! log that can only be read with the settings it was written with, and bytes on the disk that make a reader take more
//! memory than there is (a length that lies, a few bytes that stand for very many).

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests panic to fail")]

use std::path::Path;

use flumedb::{
    Bytes, Env, ErrorKind, Seq, Span,
    env::OpenMode,
    log::{Batch, Compression, Durability, Log, LogSettings, ReadRequest, SegmentedLog},
};
use flumedb_sim::now;

const DIR: &str = "log";

fn open(env: &Env, compression: Compression, segment_bytes: u64) -> SegmentedLog {
    let settings = LogSettings { compression, segment_bytes, durability: Durability::System, ..LogSettings::default() };
    SegmentedLog::open(env, Path::new(DIR), settings).unwrap()
}

fn append(log: &SegmentedLog, payloads: impl IntoIterator<Item = Vec<u8>>) {
    let mut batch = Batch::new();
    payloads.into_iter().for_each(|payload| batch.push(&payload));
    pollster(log.append(batch)).unwrap();
}

fn pollster<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn message(number: u64) -> Vec<u8> {
    let random = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let id = format!("{random:016x}{:016x}", random.wrapping_mul(0x94d0_49bb_1331_11eb));
    format!(
        r#"{{"previous":"%{id}.sha256","author":"@{id}.ed25519","sequence":{number},"content":{{"type":"post","text":"word {number}"}}}}"#
    )
    .into_bytes()
}

/// All payloads, read forwards and backwards in chunks of `max_bytes`.
fn read_all(log: &SegmentedLog, max_bytes: usize) -> Vec<Bytes> {
    let end = now(log.barrier()).unwrap().map_or(0, |head| head.get() + 1);
    let (mut forwards, mut backwards) = (Vec::new(), Vec::new());
    let (mut from, mut to) = (0, end);
    while from < end {
        let request = ReadRequest { max_bytes, ..ReadRequest::forwards(Span { from, to: end }) };
        let chunk = now(log.read(request)).unwrap();
        forwards.extend(chunk.slots.iter().map(|slot| chunk.payload_bytes(slot)));
        from = chunk.covered.to;
    }
    while to > 0 {
        let request = ReadRequest { max_bytes, ..ReadRequest::backwards(Span { from: 0, to }) };
        let chunk = now(log.read(request)).unwrap();
        backwards.extend(chunk.slots.iter().map(|slot| chunk.payload_bytes(slot)));
        to = chunk.covered.from;
    }
    backwards.reverse();
    assert!(forwards == backwards, "backwards it is another log than forwards");
    forwards
}

fn bytes_of(env: &Env) -> Vec<(String, Bytes)> {
    let names = env.storage.list(DIR.as_ref()).unwrap().into_iter().filter(|name| name.ends_with(".seg"));
    let read = |name: String| {
        let file = env.storage.open(&Path::new(DIR).join(&name), OpenMode::Read).unwrap();
        let bytes = file.read(0, file.len().unwrap() as usize).unwrap();
        (name, bytes)
    };
    names.map(read).collect()
}

#[test]
fn segments_of_all_kinds_are_one_log() {
    let env = Env::memory();
    let mut expected = Vec::new();
    for (round, compression) in
        [Compression::None, Compression::Lz4, Compression::None, Compression::Lz4].into_iter().enumerate()
    {
        let log = open(&env, compression, 16 << 10);
        let payloads: Vec<Vec<u8>> = (0..200).map(|number| message(round as u64 * 200 + number)).collect();
        payloads.chunks(7).for_each(|some| append(&log, some.to_vec()));
        expected.extend(payloads);
        assert!(read_all(&log, 5000) == expected);
        assert!(read_all(&log, 1) == expected, "one entry a chunk");
        pollster(log.close()).unwrap();
        assert!(SegmentedLog::check(&env, Path::new(DIR)).unwrap().is_ok());
        let reader = SegmentedLog::read_only(&env, Path::new(DIR)).unwrap();
        assert!(read_all(&reader, 1 << 20) == expected);
        for (number, payload) in expected.iter().enumerate() {
            assert!(now(reader.get(Seq::new(number as u64))).unwrap() == payload);
        }
    }
}

/// The first segment ends early, so that the next has a dictionary: then entries of a few hundred bytes, which have no
/// repetitions within themselves, get shorter too.
#[test]
fn entries_are_shorter_for_what_they_have_in_common() {
    let size = |compression| {
        let env = Env::memory();
        let log = open(&env, compression, 64 << 20);
        let payloads: Vec<Vec<u8>> = (0..24_000).map(message).collect();
        payloads.chunks(500).for_each(|some| append(&log, some.to_vec()));
        pollster(log.close()).unwrap();
        let log = open(&env, compression, 64 << 20);
        assert!(read_all(&log, 1 << 20) == payloads);
        // What is appended later in the same segment has the same dictionary.
        append(&log, [message(1)]);
        assert!(now(log.get(Seq::new(24_000))).unwrap() == message(1));
        pollster(log.close()).unwrap();
        bytes_of(&env).iter().map(|(_, bytes)| bytes.len()).collect::<Vec<_>>()
    };
    let (plain, packed) = (size(Compression::None), size(Compression::Lz4));
    println!("{plain:?} and {packed:?}");
    assert_eq!((plain.len(), packed.len()), (1, 2));
    let (plain, packed) = (plain.iter().sum::<usize>(), packed.iter().sum::<usize>());
    assert!(packed * 10 < plain * 8, "{packed} of {plain} bytes");
}

#[test]
fn what_does_not_get_shorter_stays_as_it_is() {
    let mut random = 1_u64;
    let mut noise = || {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 56) as u8
    };
    let payloads: Vec<Vec<u8>> = [0, 1, 31, 32, 700, 70_000].map(|size| (0..size).map(|_| noise()).collect()).into();
    let files = [Compression::None, Compression::Lz4].map(|compression| {
        let env = Env::memory();
        let log = open(&env, compression, 1 << 20);
        append(&log, payloads.clone());
        assert!(read_all(&log, 1 << 20) == payloads);
        pollster(log.close()).unwrap();
        bytes_of(&env)
    });
    let [plain, packed] = files;
    assert_eq!(plain[0].1.len(), packed[0].1.len());
    assert!(packed[0].1.windows(700).any(|it| it == payloads[4]), "it is in the file as it is");
}

/// Entries of 1 MiB of which 4 KiB are on the disk: a chunk of them is no larger than it was asked for.
#[test]
fn few_bytes_that_stand_for_many_are_read_a_few_at_a_time() {
    let env = Env::memory();
    let log = open(&env, Compression::Lz4, 64 << 20);
    let payloads: Vec<Vec<u8>> = (0..60).map(|number| vec![number; 1 << 20]).collect();
    payloads.chunks(4).for_each(|some| append(&log, some.to_vec()));
    assert!(bytes_of(&env).iter().map(|(_, bytes)| bytes.len()).sum::<usize>() < 2 << 20);
    for request in [ReadRequest::forwards(Span { from: 0, to: 60 }), ReadRequest::backwards(Span { from: 0, to: 60 })] {
        let chunk = now(log.read(request)).unwrap();
        assert!(chunk.bytes.len() <= request.max_bytes + (1 << 20), "{} bytes", chunk.bytes.len());
    }
    assert!(read_all(&log, 3 << 20) == payloads);
}

fn crc32c(bytes: &[u8]) -> u32 {
    bytes.iter().fold(!0_u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg()))
    }) ^ !0
}

/// A record with a good checksum whose compressed payload is anything at all: an error that names the place, at once.
#[test]
fn a_payload_that_is_not_what_it_states_is_damage() {
    let env = Env::memory();
    let log = open(&env, Compression::Lz4, 1 << 20);
    append(&log, [vec![7; 3000]]);
    pollster(log.close()).unwrap();
    let (name, whole) = bytes_of(&env).remove(0);
    let at = (128..whole.len()).step_by(8).find(|at| whole[at + 12..at + 14] == [2, 4]).unwrap();
    let len = u32::from_le_bytes(whole[at + 8..at + 12].try_into().unwrap()) as usize;
    let place = crc32c(&whole[at + 4..at + 16 + len]) ^ u32::from_le_bytes(whole[at..at + 4].try_into().unwrap());
    let read = |stored: &[u8]| {
        let mut bytes = whole.to_vec();
        bytes[at + 16..at + 16 + len].copy_from_slice(stored);
        let sum = crc32c(&bytes[at + 4..at + 16 + len]) ^ place;
        bytes[at..at + 4].copy_from_slice(&sum.to_le_bytes());
        let file = env.storage.open(&Path::new(DIR).join(&name), OpenMode::Write).unwrap();
        file.write_all(0, &bytes).unwrap();
        let log = SegmentedLog::read_only(&env, Path::new(DIR)).unwrap();
        let got = now(log.get(Seq::new(0)));
        let report = SegmentedLog::check(&env, Path::new(DIR)).unwrap();
        // Another checksum breaks the chain, too.
        assert!(got.is_ok() || !report.damage.is_empty());
        got.map_err(|error| error.kind())
    };
    let stored = whole[at + 16..at + 16 + len].to_vec();
    assert_eq!(read(&stored).unwrap(), vec![7; 3000]);
    for lie in [0, 1, 2999, 3001, 1 << 20, 1 << 30, (1 << 30) + 1, u32::MAX] {
        let mut lying = stored.clone();
        lying[..4].copy_from_slice(&u32::to_le_bytes(lie));
        assert_eq!(read(&lying), Err(ErrorKind::Corrupt), "a length of {lie}");
    }
    let mut random = 1_u64;
    for _ in 0..2000 {
        let mut other = stored.clone();
        for _ in 0..3 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            other[(random >> 33) as usize % len] = (random >> 24) as u8;
        }
        // Whatever it is, it is an error or some bytes; nothing panics.
        let _ = read(&other);
    }
}
