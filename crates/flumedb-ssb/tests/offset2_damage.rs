//! Guards against a damaged or hostile directory of offset2 ending the program, hiding entries that are whole, or showing one
//! that was never appended: logs whose payloads imitate entries, cut anywhere, with any bit turned and any bytes changed.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

mod common;

use common::{Read, offset2::Dir, readable};
use flumedb::{
    Bytes, Env, ErrorKind, Seq,
    log::{Batch, Log, SlotKind},
};
use flumedb_ssb::Offset2Log;
use proptest::{collection::vec, prelude::*, sample::Index};

/// Payloads: text, bytes, zeros, nothing, and entries inside of one, as somebody would write them who knows the format.
fn payload() -> impl Strategy<Value = Vec<u8>> {
    let imitation = vec(0_u8..20, 1..4).prop_map(|sizes| {
        sizes
            .into_iter()
            .flat_map(|size| [&u64::from(size).to_be_bytes()[..], &vec![b'x'; size.into()]].concat())
            .collect()
    });
    prop_oneof![
        vec(any::<u8>(), 1..40),
        Just(br#"{"type":"post"}"#.to_vec()),
        (0_usize..30).prop_map(|len| vec![0; len]),
        imitation
    ]
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn entries(payloads: &[Vec<u8>]) -> Read {
    let entry = |(seq, payload): (usize, &Vec<u8>)| (seq as u64, SlotKind::Entry, Bytes::copy_from_slice(payload));
    payloads.iter().enumerate().map(entry).collect()
}

async fn look(env: &Env) -> Read {
    let log = Offset2Log::builder().env(env.clone()).open("log").unwrap();
    let (read, damage) = readable(&log).await;
    let report = Offset2Log::check(env, "log", &()).unwrap();
    assert_eq!(report, log.report().unwrap());
    assert!(damage.len() <= report.damage.len(), "damage that is met is reported: {damage:?}");
    if report.format.is_some() {
        assert_eq!(read.len() as u64, report.entries + report.deleted);
        assert!(report.head.map_or(0, |head| head.get() + 1) >= read.len() as u64);
    }
    for (seq, kind, payload) in &read {
        match log.get(Seq::new(*seq)).await {
            Ok(got) => assert_eq!((SlotKind::Entry, &got), (*kind, payload)),
            Err(error) => assert_eq!((error.kind(), *kind), (ErrorKind::Deleted, SlotKind::Deleted)),
        }
    }
    read
}

/// Looks, mends, and looks again. Gives what was read before and after; nothing after if it cannot be mended.
async fn exercise(dir: &Dir) -> (Read, Option<Read>) {
    let env = dir.machine();
    let before = look(&env).await;
    assert_eq!(&Dir::on(&env), dir, "looking changed the files");
    let report = Offset2Log::check(&env, "log", &()).unwrap();
    match Offset2Log::repair(&env, "log", &(), false) {
        Ok(_) => assert!(report.damage.is_empty(), "{report:?}"),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
            assert_eq!(&Dir::on(&env), dir, "a repair that was refused changed the files");
        }
    }
    if let Err(error) = Offset2Log::repair(&env, "log", &(), true) {
        assert!([ErrorKind::Unsupported, ErrorKind::Corrupt].contains(&error.kind()), "{error}");
        return (before, None);
    }
    let mended = Offset2Log::check(&env, "log", &()).unwrap();
    assert!(mended.is_ok(), "{mended:?} of {report:?}");
    assert_eq!(Dir::on(&env).margaret(), Ok(mended.entries + mended.deleted));
    assert_eq!(Offset2Log::repair(&env, "log", &(), true).unwrap(), Default::default(), "nothing is left to mend");
    let after = look(&env).await;
    for entry in &before {
        assert_eq!(after.get(entry.0 as usize), Some(entry), "mending took what could be read");
    }
    let log = Offset2Log::builder().env(env.clone()).append().open("log").unwrap();
    let mut batch = Batch::new();
    batch.push(b"more");
    assert_eq!(log.append(batch).await.unwrap()[0].get(), after.len() as u64);
    (before, Some(after))
}

/// Where lengths stand in `data`.
fn heads(payloads: &[Vec<u8>]) -> Vec<usize> {
    let ends = payloads.iter().scan(0, |end, payload| {
        *end += 8 + payload.len();
        Some(*end)
    });
    std::iter::once(0).chain(ends).take(payloads.len()).collect()
}

/// Bytes of a file that is nearly nothing: small numbers, and now and then something else.
fn file(longest: usize) -> impl Strategy<Value = Vec<u8>> {
    vec(prop_oneof![6 => Just(0_u8), 2 => Just(8), 1 => Just(0xff), 1 => any::<u8>()], 0..longest)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn files_that_are_cut_show_the_entries_that_are_whole(payloads in vec(payload(), 1..20), cuts in any::<[Index; 3]>()) {
        run(async {
            let mut dir = Dir::of(&payloads);
            for (file, cut) in dir.0.iter_mut().zip(cuts) {
                file.truncate(cut.index(file.len() + 1));
            }
            let ends = heads(&payloads).into_iter().zip(&payloads).map(|(head, payload)| head + 8 + payload.len());
            let whole = ends.zip(1..).take_while(|&(end, count)| end <= dir.0[0].len() && count * 8 <= dir.0[1].len());
            let (before, after) = exercise(&dir).await;
            prop_assert_eq!(&before, &entries(&payloads)[..whole.count()]);
            if let Some(after) = after {
                prop_assert!(entries(&payloads).starts_with(&after), "{:?}", after);
            }
            Ok(())
        })?;
    }

    #[test]
    fn a_bit_of_a_place_or_the_count_costs_nothing(payloads in vec(payload(), 1..20), at in any::<Index>(), bit in 0_u8..8) {
        run(async {
            let sound = Dir::of(&payloads);
            let mut dir = sound.clone();
            let at = at.index(sound.0[1].len() + 8);
            let (file, at) = if at < 8 { (2, at) } else { (1, at - 8) };
            dir.0[file][at] ^= 1 << bit;
            let (before, after) = exercise(&dir).await;
            let all = entries(&payloads);
            // A second explanation takes a payload that imitates entries, and then neither is believed.
            let near = |seq: u64| file == 1 && [seq, seq + 1].contains(&(at as u64 / 8));
            let beside: Read = all.iter().filter(|(seq, ..)| !near(*seq)).cloned().collect();
            prop_assert!(before.iter().all(|entry| all.contains(entry)), "made up: {:?}", before);
            prop_assert!(beside.iter().all(|entry| before.contains(entry)), "hidden: {:?} of {:?}", before, all);
            let after = after.unwrap();
            let imitated = after.iter().any(|(_, kind, _)| *kind == SlotKind::Deleted);
            if !imitated {
                prop_assert_eq!(after, all);
            }
            Ok(())
        })?;
    }

    #[test]
    fn a_bit_of_a_length_costs_that_entry(payloads in vec(payload(), 2..20), which in any::<Index>(), bit in 0_usize..64) {
        run(async {
            // Nothing stands behind the last length to hold it against.
            let which = which.index(payloads.len() - 1);
            let mut dir = Dir::of(&payloads);
            dir.0[0][heads(&payloads)[which] + bit / 8] ^= 1 << (bit % 8);
            let (before, after) = exercise(&dir).await;
            let all = entries(&payloads);
            let near = which as u64..=which as u64 + 1;
            let beside: Read = all.iter().filter(|(seq, ..)| !near.contains(seq)).cloned().collect();
            prop_assert!(before.iter().all(|entry| all.contains(entry)), "made up: {:?}", before);
            prop_assert!(beside.iter().all(|entry| before.contains(entry)), "hidden: {:?} of {:?}", before, all);
            if let Some(after) = after {
                prop_assert_eq!(after.len(), all.len(), "all keep their numbers");
            }
            Ok(())
        })?;
    }

    #[test]
    fn any_bytes_may_change(
        payloads in vec(payload(), 1..20),
        changes in vec((0_usize..3, any::<Index>(), prop_oneof![Just(0), Just(0xff), any::<u8>()]), 1..6),
    ) {
        run(async {
            let mut dir = Dir::of(&payloads);
            for (file, at, byte) in changes {
                let at = at.index(dir.0[file].len());
                dir.0[file][at] = byte;
            }
            exercise(&dir).await;
        });
    }

    #[test]
    fn files_of_any_bytes_open_and_are_left_alone(files in [file(120), file(80), file(10)]) {
        run(async {
            exercise(&Dir(files)).await;
        });
    }
}

/// A length is wrong so that it leads to a place inside the payload, where its author has put an entry that ends where the
/// next one does. Then the place of the next entry may be wrong as well as the length.
#[test]
fn where_two_explanations_hold_neither_is_believed() {
    run(async {
        let mut payloads = vec![b"first".to_vec(), Vec::new(), b"third".to_vec(), b"last".to_vec()];
        // Length 4 instead of 36 leads to byte 4 of the payload, where an entry begins that spans the rest and the third.
        let mut imitation = b"good".to_vec();
        imitation.extend(37_u64.to_be_bytes());
        imitation.resize(36, b'x');
        payloads[1] = imitation;
        let mut dir = Dir::of(&payloads);
        let head = heads(&payloads)[1];
        dir.0[0][head + 7] = 4;
        let env = dir.machine();
        let read = look(&env).await;
        assert_eq!(read, [entries(&payloads)[0].clone(), entries(&payloads)[3].clone()]);
        let (_, after) = exercise(&dir).await;
        let kinds: Vec<_> = after.unwrap().into_iter().map(|(_, kind, _)| kind).collect();
        assert_eq!(kinds, [SlotKind::Entry, SlotKind::Deleted, SlotKind::Deleted, SlotKind::Entry]);
    });
}

/// Rows M1 to M4 of docs/compatibility.md. The failure: a phone that could not start after a crash ("data file size
/// difference -4042").
#[test]
fn what_margaret_refuses_is_mended() {
    run(async {
        let payloads: Vec<Vec<u8>> = (1..40).map(|number: u8| vec![number; 400]).collect();
        let whole = Dir::of(&payloads);
        let mut missing = whole.clone();
        missing.0[0].truncate(whole.0[0].len() - 4042);
        let mut unlisted = whole.clone();
        unlisted.0[1].truncate(80);
        let mut behind = whole.clone();
        behind.0[2] = 10_u64.to_be_bytes().to_vec();
        let mut no_count = whole.clone();
        no_count.0[2].clear();
        let mut askew = whole.clone();
        askew.0[1].truncate(whole.0[1].len() - 3);
        for (dir, asked, left) in
            [(missing, true, 29), (unlisted, true, 39), (behind, false, 39), (no_count, false, 39), (askew, false, 38)]
        {
            assert!(dir.margaret().is_err());
            let env = dir.machine();
            let log = Offset2Log::builder().env(env.clone()).append().open("log");
            assert_eq!(log.as_ref().err().map(|error| error.kind()), asked.then_some(ErrorKind::Corrupt));
            drop(log);
            let (_, after) = exercise(&dir).await;
            assert_eq!(after.unwrap(), entries(&payloads)[..left]);
        }
    });
}

/// The failure: a stretch of `ofst` that is gone, and entries that are thrown away for it although `data` has them.
#[test]
fn a_long_stretch_of_places_is_found_again() {
    run(async {
        let payloads: Vec<Vec<u8>> =
            (0..9000_u32).map(|number| number.to_be_bytes()[..number as usize % 5].to_vec()).collect();
        let mut dir = Dir::of(&payloads);
        dir.0[1][4096..64 << 10].fill(0);
        let (before, after) = exercise(&dir).await;
        assert_eq!(before.len(), 512 + 9000 - (8 << 10));
        assert_eq!(after.unwrap(), entries(&payloads));
    });
}

/// The failure: a file that is mapped, cut, and then looked at behind its end, which ends the program.
#[test]
fn torn_logs_on_the_real_disk_are_cut_while_somebody_reads_them() {
    run(async {
        let whole = Dir::of(&[vec![1; 5000], vec![2; 3], vec![3; 9000]]);
        let real = tempfile::tempdir().unwrap();
        for (number, cuts) in
            [[0, 0, 0], [7, 0, 0], [4000, 8, 8], [5008, 3, 3], [5019, 16, 8], [9000, 19, 8], [14027, 24, 5]]
                .into_iter()
                .flat_map(|[data, ofst, jrnl]| [[data, ofst, jrnl], [14027, ofst, jrnl], [data, ofst, 0]])
                .enumerate()
        {
            let path = real.path().join(number.to_string());
            std::fs::create_dir(&path).unwrap();
            for ((name, bytes), cut) in ["data", "ofst", "jrnl"].into_iter().zip(&whole.0).zip(cuts) {
                std::fs::write(path.join(name), &bytes[..cut.min(bytes.len())]).unwrap();
            }
            let reader = Offset2Log::open(&path).unwrap();
            let before = readable(&reader).await.0;
            if Offset2Log::repair(&Env::os(), &path, &(), true).is_err() {
                assert!(before.is_empty() && reader.is_unknown(), "{cuts:?}");
                continue;
            }
            let writer = Offset2Log::builder().append().open(&path).unwrap();
            let mut batch = Batch::new();
            batch.push(&[7; 20000]);
            batch.push(b"");
            writer.append(batch).await.unwrap();
            let read = readable(&reader).await.0;
            assert!(read.starts_with(&before), "{cuts:?}");
            assert_eq!(read, readable(&writer).await.0, "{cuts:?}");
            assert!(reader.report().unwrap().is_ok(), "{cuts:?}");
        }
    });
}
