//! Guards against a damaged or hostile async-append-only-log file ending the program, or making it show an entry that was
//! never appended: random logs, cut anywhere and with any bytes changed. Damage ends its block, and no other.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

mod common;

use common::{Read, all, content, put, readable};
use flumedb::{
    Env, ErrorKind,
    log::{Batch, Log, SlotKind},
};
use flumedb_ssb::{Aaol, AaolLog, FileLogBuilder, file::One};
use proptest::{collection::vec, prelude::*};

const LOG: &str = "log.bipf";

fn machine(content: &[u8]) -> Env {
    let env = Env::memory();
    put(&env, LOG, content);
    env
}

fn named(env: &Env, block: u32) -> FileLogBuilder<One<Aaol>> {
    AaolLog::builder().env(env.clone()).block_size(block)
}

fn block() -> impl Strategy<Value = u32> {
    prop::sample::select(&[48_u32, 64, 100, 512, 1024][..])
}

/// Payloads: bytes, text, what ends in zeros, and what looks like records.
fn payload() -> impl Strategy<Value = Vec<u8>> {
    let zeros = (1..20_usize, 1..=255_u8).prop_map(|(zeros, first)| [vec![first], vec![0; zeros]].concat());
    let records = vec((1..5_u8).prop_map(|size| [vec![size, 0], vec![b'x'; size.into()]].concat()), 1..5);
    prop_oneof![
        vec(1..=255_u8, 1..44),
        Just(b"{\"type\":\"post\"}".to_vec()),
        zeros,
        records.prop_map(|records| records.concat()),
    ]
}

async fn written(block: u32, payloads: &[Vec<u8>]) -> (Vec<u8>, Read) {
    let env = Env::memory();
    let log = named(&env, block).create().open(LOG).unwrap();
    for payload in payloads {
        let mut batch = Batch::new();
        batch.push(payload);
        log.append(batch).await.unwrap();
    }
    let read = all(&log).await;
    log.close().await.unwrap();
    (content(&env, LOG), read)
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// Opens, reads, checks and repairs in every way there is. What is read in blocks of this size is answered.
async fn exercise(bytes: &[u8], block: u32) -> Option<Read> {
    for size in [None, Some(block), Some(64), Some(5), Some(65_536)] {
        let env = machine(bytes);
        let Ok(report) = AaolLog::check(&env, LOG, &size) else { continue };
        let log = AaolLog::builder().env(env.clone()).options(size).open(LOG).unwrap();
        assert_eq!(readable(&log).await.0.len() as u64, report.entries + report.deleted);
        drop(log);
        assert_eq!(content(&env, LOG), bytes, "looking changed the file");
        if AaolLog::repair(&env, LOG, &size, true).is_ok() {
            let mended = AaolLog::check(&env, LOG, &size).unwrap();
            assert!(mended.is_ok(), "{mended:?}");
            assert!(mended.entries >= report.entries && mended.deleted >= report.deleted);
        }
    }
    let log = named(&machine(bytes), block).open(LOG).ok()?;
    Some(readable(&log).await.0)
}

/// Where a record and its length end.
fn end((seq, _, payload): &(u64, SlotKind, flumedb::Bytes)) -> usize {
    *seq as usize + 2 + payload.len()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn what_was_written_reads_back_and_its_block_size_is_found(block in block(), payloads in vec(payload(), 1..60)) {
        run(async {
            let (bytes, read) = written(block, &payloads).await;
            prop_assert!(bytes.len().is_multiple_of(block as usize));
            let log = AaolLog::builder().env(machine(&bytes)).open(LOG).unwrap();
            prop_assert_eq!(log.block_size(), Some(block));
            prop_assert_eq!(all(&log).await, read);
            prop_assert!(AaolLog::check(&machine(&bytes), LOG, &None).unwrap().is_ok());
            // No other size is taken for it.
            if bytes.len() > block as usize {
                let wrong = named(&machine(&bytes), block * 2).append().open(LOG);
                prop_assert_eq!(wrong.err().map(|error| error.kind()), Some(ErrorKind::Invalid));
            }
            Ok(())
        })?;
    }

    #[test]
    fn a_cut_file_shows_its_whole_records_and_can_be_appended_to(
        block in block(), payloads in vec(payload(), 1..40), cut in any::<prop::sample::Index>()
    ) {
        run(async {
            let (bytes, read) = written(block, &payloads).await;
            let cut = cut.index(bytes.len() + 1);
            let whole: Read = read.iter().filter(|record| end(record) <= cut).cloned().collect();
            let seen = exercise(&bytes[..cut], block).await;
            prop_assert_eq!(seen.as_ref(), Some(&whole));
            let env = machine(&bytes[..cut]);
            let log = named(&env, block).append().open(LOG).unwrap();
            // Row L7.
            let report = log.report().unwrap();
            prop_assert!(report.is_ok(), "{report:?}");
            let mut batch = Batch::new();
            batch.push(b"more");
            let added = log.append(batch).await.unwrap();
            log.close().await.unwrap();
            let now = all(&named(&env, block).open(LOG).unwrap()).await;
            prop_assert_eq!(&now[..now.len() - 1], &whole[..]);
            prop_assert_eq!(now.last().unwrap().0, added[0].get());
            prop_assert!(content(&env, LOG).len().is_multiple_of(block as usize));
            Ok(())
        })?;
    }

    #[test]
    fn changed_bytes_change_nothing_in_other_blocks(
        block in block(),
        payloads in vec(payload(), 1..40),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        run(async {
            let (mut bytes, read) = written(block, &payloads).await;
            let size = block as usize;
            let mut touched = Vec::new();
            for (at, byte) in changes {
                let at = at.index(bytes.len());
                if bytes[at] != byte {
                    bytes[at] = byte;
                    touched.push(at);
                }
            }
            let is_touched = |start| touched.iter().any(|at| at / size * size == start);
            let Some(seen) = exercise(&bytes, block).await else {
                // As long as one block is sound, what was named is believed.
                prop_assert!((0..bytes.len()).step_by(size).all(is_touched));
                return Ok(());
            };
            for record in &read {
                let of_block = |at: &&usize| **at / size == record.0 as usize / size;
                // Up to the first change, everything is as it was.
                if touched.iter().filter(of_block).all(|at| *at >= end(record)) {
                    prop_assert!(seen.contains(record), "{} is gone", record.0);
                }
            }
            for record in &seen {
                if !touched.iter().any(|at| at / size == record.0 as usize / size) {
                    prop_assert!(read.contains(record), "{} was never written", record.0);
                }
            }
            Ok(())
        })?;
    }

    #[test]
    fn a_block_of_zeros_is_damage_and_the_others_stay(
        block in block(), payloads in vec(payload(), 30..60), which in any::<prop::sample::Index>()
    ) {
        run(async {
            let (mut bytes, read) = written(block, &payloads).await;
            let size = block as usize;
            let which = which.index(bytes.len() / size) * size;
            bytes[which..which + size].fill(0);
            let others: Read =
                read.iter().filter(|(seq, ..)| *seq as usize / size != which / size).cloned().collect();
            prop_assert_eq!(exercise(&bytes, block).await.unwrap(), others);
            let env = machine(&bytes);
            let report = AaolLog::check(&env, LOG, &Some(block)).unwrap();
            prop_assert!(!report.is_ok());
            let last = which + size == bytes.len();
            let opened = named(&env, block).append().open(LOG);
            prop_assert_eq!(opened.err().map(|error| error.kind()), (!last).then_some(ErrorKind::Corrupt));
            Ok(())
        })?;
    }

    #[test]
    fn bytes_of_any_kind_open_and_are_left_alone(
        bytes in vec(prop_oneof![4 => Just(0_u8), 2 => 1..9_u8, 1 => any::<u8>()], 0..400)
    ) {
        run(async {
            exercise(&bytes, 48).await;
        });
    }
}
