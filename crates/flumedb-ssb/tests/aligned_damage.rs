//! Guards against a damaged or hostile flumelog-aligned-offset file ending the program, making it show an entry that was
//! never appended, or taking whole records with it: random logs, whose payloads imitate framing, cut anywhere and with any
//! bytes changed.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

mod common;

use common::{Read, all, content, machine};
use flumedb::{
    Env, ErrorKind, Span,
    check::Report,
    log::{Batch, Log, ReadRequest},
};
use flumedb_ssb::AlignedLog;
use proptest::{collection::vec, prelude::*};

/// Payloads: text, bytes, whole records, and ends of blocks, as the payload's author would guess them.
fn payload() -> impl Strategy<Value = Vec<u8>> {
    let imitation = (1_u16..30).prop_map(|len| {
        let mut bytes = len.to_le_bytes().to_vec();
        bytes.extend(vec![b'x'; len.into()]);
        bytes.extend(len.to_le_bytes());
        bytes
    });
    let end = (16_u16..80, 0_u32..60).prop_map(|(mark, place)| {
        let mut bytes = mark.to_le_bytes().to_vec();
        bytes.extend([0; 9]);
        bytes.extend(place.to_le_bytes());
        bytes
    });
    prop_oneof![vec(any::<u8>(), 1..22), Just(b"{\"type\":\"post\"}".to_vec()), imitation, end]
}

/// Small blocks, so that a log has many.
fn block() -> impl Strategy<Value = u32> {
    prop::sample::select(vec![48_u32, 64, 100])
}

async fn written(block: u32, payloads: &[Vec<u8>]) -> (Vec<u8>, Read) {
    let env = Env::memory();
    let log = AlignedLog::builder().env(env.clone()).block_size(block).create().open("log.offset").unwrap();
    for payload in payloads {
        let mut batch = Batch::new();
        batch.push(payload);
        if let Err(error) = log.append(batch).await {
            assert_eq!(error.kind(), ErrorKind::Invalid, "{payload:?}");
        }
    }
    let read = all(&log).await;
    log.close().await.unwrap();
    (content(&env, "log.offset"), read)
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// Everything that reading gives, whose errors are stepped over.
async fn salvage(log: &AlignedLog) -> Read {
    let mut read = Read::new();
    let end = log.barrier().await.unwrap().map_or(0, |seq| seq.get() + 1);
    let mut from = 0;
    while from < end {
        match log.read(ReadRequest::forwards(Span { from, to: end })).await {
            Ok(chunk) => {
                read.extend(chunk.slots.iter().map(|slot| (slot.seq.get(), slot.kind, chunk.payload_bytes(slot))));
                from = chunk.covered.to;
            }
            Err(error) => from = error.seq().unwrap().get() + 1,
        }
    }
    read
}

/// Opens, reads, checks and repairs in every way there is. What is read with the right block size is answered.
async fn exercise(bytes: &[u8], block: u32) -> Option<(Report, Read)> {
    for named in [None, Some(48), Some(64), Some(100), Some(65536)] {
        let env = machine(bytes);
        let Ok(report) = AlignedLog::check(&env, "log.offset", &named) else { continue };
        let log = AlignedLog::builder().env(env.clone()).options(named).open("log.offset").unwrap();
        let read = salvage(&log).await;
        assert_eq!(read.len() as u64, report.entries + report.deleted);
        drop(log);
        assert_eq!(content(&env, "log.offset"), bytes, "looking changed the file");
        if AlignedLog::repair(&env, "log.offset", &named, true).is_ok() {
            let mended = AlignedLog::check(&env, "log.offset", &named).unwrap();
            assert!(mended.is_ok(), "{mended:?}");
            let log = AlignedLog::builder().env(env).options(named).open("log.offset").unwrap();
            let kept = all(&log).await;
            assert!(read.iter().all(|slot| kept.contains(slot)), "a repair took an entry");
        }
    }
    let report = AlignedLog::check(&machine(bytes), "log.offset", &Some(block)).ok()?;
    let log = AlignedLog::builder().env(machine(bytes)).block_size(block).open("log.offset").unwrap();
    Some((report, salvage(&log).await))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]

    #[test]
    fn any_block_size_is_told_once_a_block_is_full(
        block in prop_oneof![11..64_u32, 64..5000_u32, 5000..=65536_u32],
        sizes in vec(0.0..1.0_f64, 40..60),
    ) {
        run(async {
            let largest = f64::from(block - 10);
            let payloads: Vec<Vec<u8>> =
                sizes.iter().map(|size| vec![b'.'; 1 + (size * size * (largest - 1.0)) as usize]).collect();
            let (bytes, read) = written(block, &payloads).await;
            prop_assert_eq!(read.len(), payloads.len());
            let env = machine(&bytes);
            let log = AlignedLog::builder().env(env.clone()).open("log.offset").unwrap();
            prop_assert_eq!(all(&log).await, read);
            drop(log);
            if bytes.len() > block as usize {
                let writer = AlignedLog::builder().env(env).append().open("log.offset").unwrap();
                prop_assert_eq!(writer.block_size(), Some(block));
            }
            Ok(())
        })?;
    }

    #[test]
    fn a_cut_anywhere_leaves_the_whole_records(
        block in block(),
        payloads in vec(payload(), 1..40),
        at in any::<prop::sample::Index>(),
    ) {
        run(async {
            let (bytes, read) = written(block, &payloads).await;
            let cut = &bytes[..at.index(bytes.len() + 1)];
            let whole: Read =
                read.into_iter().filter(|(seq, _, payload)| *seq as usize + payload.len() + 4 <= cut.len()).collect();
            if let Some((report, seen)) = exercise(cut, block).await {
                prop_assert_eq!(&seen, &whole);
                prop_assert_eq!(report.entries, whole.len() as u64);
            }
            Ok(())
        })?;
    }

    #[test]
    fn changed_bytes_take_no_more_than_the_records_that_they_are_in(
        block in block(),
        payloads in vec(payload(), 1..40),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        run(async {
            let (mut bytes, read) = written(block, &payloads).await;
            prop_assume!(!bytes.is_empty());
            let at = at.index(bytes.len());
            bytes[at] = byte;
            let Some((report, seen)) = exercise(&bytes, block).await else { return Ok(()) };
            // Records of the last block are proved from its start on only.
            let last_block = (bytes.len() - 1) / block as usize * block as usize;
            for slot in &read {
                let record = slot.0 as usize..slot.0 as usize + slot.2.len() + 4;
                let proved = if at >= last_block {
                    record.end <= at
                } else {
                    let place = at / block as usize * block as usize;
                    // The end of a block proves its records, too: where that is changed, they are proved from its start on.
                    let padded = !read.iter().any(|(seq, _, payload)| {
                        (*seq as usize..*seq as usize + payload.len() + 4).contains(&at)
                    });
                    !record.contains(&at) && (!padded || record.end <= at || record.start >= place + block as usize)
                };
                if proved {
                    prop_assert!(seen.contains(slot), "{:?} is gone: {:?}", slot, report);
                }
            }
            // Without a checksum a changed payload cannot be seen; but no record starts where none was written.
            for (seq, ..) in &seen {
                prop_assert!(read.iter().any(|(was, ..)| was == seq), "{} was never written", seq);
            }
            Ok(())
        })?;
    }

    #[test]
    fn bytes_of_any_kind_open_and_are_left_alone(
        bytes in vec(prop_oneof![4 => Just(0_u8), 2 => Just(1), 1 => Just(47), 1 => Just(2), 1 => any::<u8>()], 0..300),
    ) {
        run(async {
            exercise(&bytes, 48).await;
        });
    }
}

#[tokio::test]
async fn a_file_of_garbage_is_given_up_soon() {
    // Megabytes of what looks like ends of blocks of many sizes.
    let mut bytes = Vec::new();
    while bytes.len() < 8 << 20 {
        let (start, size) = (bytes.len() as u32, 40 + bytes.len() as u32 % 60_000);
        bytes.extend((size as u16 - 1).to_le_bytes());
        bytes.resize(bytes.len() + size as usize % 97, 0);
        bytes.extend((start % size).to_le_bytes());
    }
    assert!(AlignedLog::builder().env(machine(&bytes)).open("log.offset").unwrap().is_unknown());
    for front in [&b"\x01\0x\x01\0"[..], b"\x02\0\0\0\x02\0"] {
        let with: Vec<u8> = front.iter().chain(&bytes).copied().collect();
        let log = AlignedLog::builder().env(machine(&with)).open("log.offset").unwrap();
        assert!(!salvage(&log).await.is_empty());
        let writer = AlignedLog::builder().env(machine(&with)).append().open("log.offset");
        assert!(matches!(writer.err().unwrap().kind(), ErrorKind::Invalid | ErrorKind::Corrupt));
    }
}

#[tokio::test]
async fn whole_records_behind_a_damaged_one_are_not_cut_unasked() {
    let payloads: Vec<Vec<u8>> = (0..9_u8).map(|number| vec![b'a' + number; 12]).collect();
    let (bytes, read) = written(100, &payloads).await;
    // The lengths of a record of the first, capped block and of one of the last are changed.
    for (number, last) in [(1, false), (7, true)] {
        let mut damaged = bytes.clone();
        damaged[read[number].0 as usize] = 99;
        let env = machine(&damaged);
        let open = || AlignedLog::builder().env(env.clone()).block_size(100);
        let writer = open().append().open("log.offset");
        assert_eq!(writer.err().unwrap().kind(), ErrorKind::Corrupt);
        let mut expected = read.clone();
        expected.remove(number);
        // Until it is repaired, nothing proves where records of the last block start.
        let seen = salvage(&open().open("log.offset").unwrap()).await;
        assert_eq!(seen, if last { expected[..number].to_vec() } else { expected.clone() });
        let repair = AlignedLog::repair(&env, "log.offset", &Some(100), true).unwrap();
        assert_eq!(
            repair.damage.iter().map(|damage| (damage.offset, damage.bytes)).collect::<Vec<_>>(),
            [(read[number].0, 16)]
        );
        assert_eq!(content(&env, "log.offset.damaged"), damaged[read[number].0 as usize..][..16]);
        let mut kept = all(&open().append().open("log.offset").unwrap()).await;
        assert_eq!(kept.remove(number).0, read[number].0, "it is a deleted entry now");
        assert_eq!(kept, expected);
    }
}
