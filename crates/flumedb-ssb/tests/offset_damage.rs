//! Guards against a damaged or hostile flumelog-offset file ending the program, or making it show an entry that was never
//! appended: random logs, whose payloads imitate framing, cut anywhere and with any bytes changed.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

mod common;

use common::{Read, all, content, machine};
use flumedb::{
    Env, ErrorKind,
    log::{Batch, Log},
};
use flumedb_ssb::{Framing, OffsetLog};
use proptest::{collection::vec, prelude::*};

/// Payloads: text, bytes, nothing, and the last bytes of a file as the payload's author would guess them.
fn payload() -> impl Strategy<Value = Vec<u8>> {
    let imitation = (0_u32..400, 0_u32..20).prop_map(|(end, len)| {
        let mut bytes = len.to_be_bytes().to_vec();
        bytes.extend(vec![b'x'; len as usize]);
        bytes.extend(len.to_be_bytes());
        bytes.extend(end.to_be_bytes());
        bytes
    });
    prop_oneof![vec(any::<u8>(), 1..40), Just(b"{\"type\":\"post\"}".to_vec()), Just(Vec::new()), imitation]
}

fn framing() -> impl Strategy<Value = Framing> {
    prop::sample::select(&Framing::ALL[..])
}

async fn written(framing: Framing, payloads: &[Vec<u8>]) -> (Vec<u8>, Read) {
    let env = Env::memory();
    let log = OffsetLog::builder().env(env.clone()).framing(framing).create().open("log.offset").unwrap();
    for payload in payloads {
        let mut batch = Batch::new();
        batch.push(payload);
        match log.append(batch).await {
            Ok(_) => {}
            // Zeros, or nothing where nothing cannot be told from zeros.
            Err(error) => assert_eq!(error.kind(), ErrorKind::Invalid, "{payload:?}"),
        }
    }
    let read = all(&log).await;
    log.close().await.unwrap();
    (content(&env, "log.offset"), read)
}

fn overhead(framing: Framing) -> usize {
    match framing {
        Framing::Basic => 8,
        Framing::Bits32 => 12,
        Framing::Bits48 => 14,
        Framing::Bits53 => 16,
    }
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// Opens, reads, checks and repairs in every way there is. What one named framing reads is answered.
async fn exercise(bytes: &[u8], framing: Framing) -> Option<Read> {
    for named in [None, Some(Framing::Bits32), Some(Framing::Bits48), Some(Framing::Bits53), Some(Framing::Basic)] {
        let env = machine(bytes);
        let Ok(report) = OffsetLog::check(&env, "log.offset", &named) else { continue };
        let mut builder = OffsetLog::builder().env(env.clone());
        if let Some(named) = named {
            builder = builder.framing(named);
        }
        let log = builder.open("log.offset").unwrap();
        assert_eq!(all(&log).await.len() as u64, report.entries + report.deleted);
        drop(log);
        assert_eq!(content(&env, "log.offset"), bytes, "looking changed the file");
        if OffsetLog::repair(&env, "log.offset", &named, true).is_ok() {
            let mended = OffsetLog::check(&env, "log.offset", &named).unwrap();
            assert!(mended.is_ok(), "{mended:?}");
            assert!(mended.entries + mended.deleted >= report.entries + report.deleted);
        }
    }
    let log = OffsetLog::builder().env(machine(bytes)).framing(framing).open("log.offset").ok()?;
    Some(all(&log).await)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn what_was_written_reads_back_and_its_framing_is_found(framing in framing(), payloads in vec(payload(), 2..60)) {
        run(async {
            let (bytes, read) = written(framing, &payloads).await;
            let log = OffsetLog::builder().env(machine(&bytes)).open("log.offset").unwrap();
            let told = OffsetLog::check(&machine(&bytes), "log.offset", &None).unwrap();
            if read.len() > 1 {
                prop_assert_eq!(log.framing(), Some(framing));
                prop_assert!(told.is_ok());
                prop_assert_eq!(all(&log).await, read);
            }
            Ok(())
        })?;
    }

    #[test]
    fn a_cut_file_shows_a_prefix_and_can_be_appended_to(
        framing in framing(), payloads in vec(payload(), 1..30), cut in any::<prop::sample::Index>()
    ) {
        run(async {
            let (bytes, read) = written(framing, &payloads).await;
            let cut = cut.index(bytes.len() + 1);
            let whole = read.iter().take_while(|(seq, _, payload)| *seq as usize + payload.len() + overhead(framing) <= cut);
            let whole: Read = whole.cloned().collect();
            let seen = exercise(&bytes[..cut], framing).await;
            if let Some(seen) = &seen {
                prop_assert_eq!(seen, &whole);
            }
            let env = machine(&bytes[..cut]);
            match OffsetLog::builder().env(env.clone()).framing(framing).append().open("log.offset") {
                Ok(log) => {
                    let mut batch = Batch::new();
                    batch.push(b"more");
                    let seqs = log.append(batch).await.unwrap();
                    log.close().await.unwrap();
                    let again = OffsetLog::builder().env(env.clone()).framing(framing).open("log.offset").unwrap();
                    let now = all(&again).await;
                    prop_assert_eq!(&now[..now.len() - 1], &whole[..]);
                    prop_assert_eq!(now.last().unwrap().0, seqs[0].get());
                }
                // A payload in the torn part imitates a record, or the first record does one of another framing.
                Err(error) => prop_assert!(matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Invalid)),
            }
            Ok(())
        })?;
    }

    #[test]
    fn changed_bytes_never_show_an_entry_that_was_not_appended(
        framing in framing(),
        payloads in vec(payload(), 1..30),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        run(async {
            let (mut bytes, read) = written(framing, &payloads).await;
            prop_assume!(!bytes.is_empty());
            let mut touched = Vec::new();
            for (at, byte) in changes {
                let at = at.index(bytes.len());
                bytes[at] = byte;
                touched.push(at);
            }
            let Some(seen) = exercise(&bytes, framing).await else { return Ok(()) };
            // Up to the first record that was touched, everything is as it was.
            let sound = read.iter().take_while(|(seq, _, payload)| {
                let start = *seq as usize;
                let record = start..start + payload.len() + overhead(framing);
                !touched.iter().any(|at| record.contains(at))
            });
            let sound: Read = sound.cloned().collect();
            prop_assert_eq!(&seen[..sound.len().min(seen.len())], &sound[..]);
            // Without a checksum a changed payload cannot be seen; but no record starts where none was written, unless
            // lengths were changed to agree.
            if framing != Framing::Basic {
                for (seq, ..) in &seen {
                    prop_assert!(read.iter().any(|(was, ..)| was == seq), "{} was never written", seq);
                }
            }
            Ok(())
        })?;
    }

    #[test]
    fn bytes_of_any_kind_open_and_are_left_alone(bytes in vec(prop_oneof![Just(0_u8), Just(1), Just(12), any::<u8>()], 0..200)) {
        run(async {
            exercise(&bytes, Framing::Bits32).await;
        });
    }
}
