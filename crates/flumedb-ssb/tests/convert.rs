//! Guards against a conversion that loses, doubles, reorders or changes an entry, whenever it is stopped, or that claims to
//! be whole when it is not, or that writes over what is there.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

mod common;

use std::path::Path;

use common::{all, content, put};
use flumedb::{
    Env, Error, ErrorKind, Seq,
    env::{OpenMode, PathKind},
    log::{Batch, SlotKind},
};
use flumedb_sim::{Choices, Fault, FaultKind, Sim};
use flumedb_ssb::{
    Format, any,
    convert::{Codec, Conversion, Converted, Stage},
};

/// Blocks small enough that every log has many.
const FORMATS: [&str; 9] =
    ["offset32", "offset48", "offset53", "offset-basic", "aligned:1024", "aaol:2048", "offset2", "jsonl", "flume"];

fn format(name: &str) -> Format {
    name.parse().unwrap()
}

/// What a program would store: JSON as JavaScript prints it, of all lengths.
fn messages(count: usize) -> Vec<Vec<u8>> {
    let text = "the quick crab jumps over the lazy wave ";
    let words = text.repeat(20);
    let message = |number: usize| {
        format!(
            "{{\"number\":{number},\"half\":{}.5,\"text\":\"{}\",\"tags\":[null,true]}}",
            number,
            &words[..number % 700]
        )
    };
    (0..count).map(|number| message(number).into_bytes()).collect()
}

/// Writes a log by appends alone.
async fn write(env: &Env, path: &str, format: Format, payloads: &[Vec<u8>]) {
    if format == Format::JsonLines {
        return put(env, path, &payloads.iter().flat_map(|line| [&line[..], b"\n"].concat()).collect::<Vec<u8>>());
    }
    let log = any::builder().env(env.clone()).format(format).create().open(path).unwrap().log;
    for payload in payloads {
        let mut batch = Batch::new();
        batch.push(payload);
        log.append(batch).await.unwrap();
    }
    log.close().await.unwrap();
}

async fn read(env: &Env, path: &str, format: Format) -> Vec<Vec<u8>> {
    let log = any::builder().env(env.clone()).format(format).open(path).unwrap().log;
    let entries = all(&*log).await.into_iter().filter(|(_, kind, _)| *kind == SlotKind::Entry);
    entries.map(|(_, _, payload)| payload.to_vec()).collect()
}

async fn convert(env: &Env, from: (&str, Format), to: (&str, Format)) -> Result<Converted, Error> {
    Conversion::new(from.0, to.0, to.1).env(env.clone()).from_format(from.1).run(|_, _, _| ()).await
}

/// The files of a log.
fn files(env: &Env, path: &str) -> Vec<Vec<u8>> {
    match env.storage.kind(path.as_ref()).unwrap() {
        Some(PathKind::Dir) => ["data", "ofst", "jrnl"].map(|name| content(env, &format!("{path}/{name}"))).to_vec(),
        _ => vec![content(env, path)],
    }
}

fn is_there(env: &Env, path: &str) -> bool {
    env.storage.kind(path.as_ref()).unwrap().is_some()
}

#[tokio::test]
async fn there_and_back_is_the_same_between_all_formats() {
    let payloads = messages(120);
    for from in FORMATS {
        for to in FORMATS {
            let env = Env::memory();
            let (source, there, back) = (("source", format(from)), ("there", format(to)), ("back", format(from)));
            write(&env, source.0, source.1, &payloads).await;
            let converted = convert(&env, source, there).await.unwrap();
            assert_eq!((converted.entries, converted.deleted, converted.resumed), (120, 0, 0), "{from} {to}");
            assert_eq!((converted.from, converted.to), (source.1, there.1));
            assert_eq!(read(&env, there.0, there.1).await, payloads, "{from} {to}");
            let again = convert(&env, there, back).await.unwrap();
            assert_eq!(again.digest, converted.digest);
            assert_eq!(read(&env, back.0, back.1).await, payloads, "{to} {from}");
            assert!(!is_there(&env, "there.convert") && !is_there(&env, "back.convert"));
            // A database has a name of its own in its files.
            if source.1 != Format::Flume {
                assert_eq!(files(&env, source.0), files(&env, back.0), "{from} {to}");
            }
        }
    }
}

#[tokio::test]
async fn another_codec_keeps_the_values() {
    let payloads = messages(60);
    let env = Env::memory();
    write(&env, "json", format("offset32"), &payloads).await;
    let turn = |from: &'static str, to: &'static str, format: Format, codec: Option<Codec>| {
        let mut conversion = Conversion::new(from, to, format).env(env.clone());
        conversion = codec.map_or(conversion.clone(), |codec| conversion.codec(codec));
        async move { conversion.run(|_, _, _| ()).await }
    };
    let there = turn("json", "bipf", format("aaol"), Some(Codec::Bipf)).await.unwrap();
    let binary = read(&env, "bipf", format("aaol")).await;
    for (binary, text) in binary.iter().zip(&payloads) {
        let mut wanted = Vec::new();
        flumedb_ssb::bipf::from_json(text, &mut wanted).unwrap();
        assert_eq!(*binary, wanted);
    }
    let back = turn("bipf", "back", format("offset32"), Some(Codec::Json)).await.unwrap();
    assert_eq!(content(&env, "back"), content(&env, "json"));
    assert_eq!((there.entries, &there.digest), (60, &back.digest));
    // JSON lines are JSON, whatever the entries were.
    turn("bipf", "lines", Format::JsonLines, None).await.unwrap();
    assert_eq!(read(&env, "lines", Format::JsonLines).await, payloads);
    let error = turn("bipf", "never", Format::JsonLines, Some(Codec::Bipf)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    // What is neither JSON nor BIPF has no value.
    write(&env, "raw", format("offset32"), &[vec![0xff; 9], vec![0xfe; 9]]).await;
    let error = turn("raw", "never", format("aaol"), Some(Codec::Json)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(!is_there(&env, "never") && !is_there(&env, "never.convert"));
}

#[tokio::test]
async fn deleted_entries_are_left_out_and_counted() {
    for (from, to) in [("offset32", "aaol"), ("flume", "aligned"), ("aaol", "flume"), ("offset2", "jsonl")] {
        let (env, payloads) = (Env::memory(), messages(30));
        write(&env, "source", format(from), &payloads).await;
        let log = any::builder().env(env.clone()).format(format(from)).append().open("source").unwrap().log;
        let seqs: Vec<Seq> = all(&*log).await.into_iter().map(|(seq, ..)| Seq::new(seq)).collect();
        log.delete(&[seqs[0], seqs[7], seqs[29]]).await.unwrap();
        log.close().await.unwrap();
        drop(log);
        let converted = convert(&env, ("source", format(from)), ("target", format(to))).await.unwrap();
        assert_eq!((converted.entries, converted.deleted), (27, 3), "{from} {to}");
        let kept: Vec<_> =
            (0..30).filter(|number| ![0, 7, 29].contains(number)).map(|at| payloads[at].clone()).collect();
        assert_eq!(read(&env, "target", format(to)).await, kept, "{from} {to}");
    }
}

#[tokio::test]
async fn an_entry_that_the_target_cannot_hold_is_named() {
    let large = format!("\"{}\"", "x".repeat(70_000)).into_bytes();
    let lines = b"{\n}".to_vec();
    for (from, to, bad) in [
        ("flume", "offset32", vec![0; 4]),
        ("flume", "offset2", vec![]),
        ("offset32", "aligned", vec![]),
        ("offset32", "aligned", large.clone()),
        ("offset48", "aaol", large),
        ("offset48", "jsonl", lines),
        ("offset48", "jsonl", b" 1".to_vec()),
        ("offset48", "jsonl", b"nonsense".to_vec()),
    ] {
        let env = Env::memory();
        let payloads = [messages(9), vec![bad], messages(3)].concat();
        write(&env, "source", format(from), &payloads).await;
        let source = any::builder().env(env.clone()).open("source").unwrap().log;
        let named = all(&*source).await[9].0;
        let result = convert(&env, ("source", format(from)), ("target", format(to))).await;
        if to == "offset2" && result.is_ok() {
            // Entries of no bytes are entries there.
            assert_eq!(read(&env, "target", format(to)).await, payloads);
            continue;
        }
        let error = result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{to}");
        let message = error.to_string();
        assert!(message.contains(&format!("entry {named}")) && message.contains("start anew"), "{to}: {message}");
        // What comes before it is there, and nobody takes that for all.
        assert_eq!(read(&env, "target", format(to)).await, payloads[..9], "{to}");
        assert!(is_there(&env, "target.convert"));
        let again = convert(&env, ("source", format(from)), ("target", format(to))).await.unwrap_err();
        assert_eq!(again.to_string(), message);
    }
}

#[tokio::test]
async fn nothing_is_overwritten() {
    let env = Env::memory();
    let (source, target) = (("source", format("offset32")), ("target", format("aligned")));
    write(&env, source.0, source.1, &messages(5)).await;
    put(&env, "target", b"something else");
    for (from, to) in [(source, target), (source, ("source", format("aaol"))), (source, ("source/in", format("aaol")))]
    {
        assert_eq!(convert(&env, from, to).await.unwrap_err().kind(), ErrorKind::Invalid, "{to:?}");
    }
    assert_eq!(content(&env, "target"), b"something else");
    for readonly in ["memory", "level"] {
        assert_eq!(convert(&env, source, ("other", format(readonly))).await.unwrap_err().kind(), ErrorKind::Invalid);
        assert!(!is_there(&env, "other") && !is_there(&env, "other.convert"), "{readonly}");
    }
    // The state of another conversion is no leave to go on.
    env.storage.remove("target".as_ref()).unwrap();
    put(&env, "target.convert", b"{\"source\":\"00\",\"format\":\"aligned:65536\",\"codec\":null}");
    assert_eq!(convert(&env, source, target).await.unwrap_err().kind(), ErrorKind::Invalid);
    assert!(!is_there(&env, "target"));
    // One that was half written is none.
    let file = env.storage.open("target.convert".as_ref(), OpenMode::Write).unwrap();
    file.set_len(7).unwrap();
    convert(&env, source, target).await.unwrap();
    assert!(!is_there(&env, "target.convert"));
    // Damage is not passed over.
    let file = env.storage.open("source".as_ref(), OpenMode::Write).unwrap();
    file.write_all(1, &[1]).unwrap();
    let error = convert(&env, source, ("third", format("jsonl"))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(!is_there(&env, "third") && !is_there(&env, "third.convert"));
}

/// Entries that make several groups.
fn large() -> Vec<Vec<u8>> {
    (0..60_u8).map(|number| format!("\"{number}{}\"", "z".repeat(40_000)).into_bytes()).collect()
}

/// A simulated machine with a source that is safely on its disk.
fn machine(payloads: &[Vec<u8>]) -> Sim {
    let sim = Sim::new(1);
    let written = sim.env.storage.open("source".as_ref(), OpenMode::CreateNew).unwrap();
    let text: Vec<u8> = payloads.iter().flat_map(|line| [&line[..], b"\n"].concat()).collect();
    written.write_all(0, &text).unwrap();
    written.sync().unwrap();
    sim.env.storage.sync_dir(Path::new(".")).unwrap();
    sim
}

fn run(sim: &Sim, to: Format) -> Result<Converted, Error> {
    let conversion = Conversion::new("source", "target", to).env(sim.env.clone()).from_format(Format::JsonLines);
    let result = sim.block_on(conversion.run(|_, _, _| ()));
    sim.settle();
    result
}

fn written(sim: &Sim, to: Format) -> Vec<Vec<u8>> {
    let log = any::builder().env(sim.env.clone()).format(to).open("target").unwrap().log;
    let read = sim.block_on(all(&*log)).into_iter().map(|(_, _, payload)| payload.to_vec()).collect();
    sim.block_on(log.close()).unwrap();
    sim.settle();
    read
}

#[test]
fn stopped_at_any_call_it_goes_on_where_it_was() {
    let payloads = large();
    for to in ["offset32", "aligned", "aaol", "offset2", "jsonl", "flume"].map(format) {
        let sim = machine(&payloads);
        let before = sim.disk.calls();
        run(&sim, to).unwrap();
        let calls = sim.disk.calls();
        assert_eq!(written(&sim, to), payloads, "{to}");
        let (mut went_on, step) = (0, 1 + (calls - before) / 8);
        for at in (before..calls).step_by(step as usize) {
            for seed in 0..2 + at % 2 {
                let sim = machine(&payloads);
                sim.disk.power_off_at(Some(at));
                assert!(run(&sim, to).is_err(), "{to} {at}");
                let mut choices = match seed {
                    0 => Choices::all(),
                    1 => Choices::none(),
                    seed => Choices::seeded(seed + at),
                };
                let after = sim.crash(&mut choices);
                match run(&after, to) {
                    Ok(converted) => {
                        went_on += u32::from(converted.resumed > 0);
                        assert_eq!(converted.entries, 60);
                        assert_eq!(written(&after, to), payloads, "{to} {at} {seed}");
                        assert_eq!(after.env.storage.kind("target.convert".as_ref()).unwrap(), None);
                    }
                    // What a power cut tore so that it cannot be mended is said to be that.
                    Err(error) => {
                        assert_ne!(seed, 0, "{to} {at}: {error}");
                        assert!(error.to_string().contains("start anew"), "{to} {at} {seed}: {error}");
                    }
                }
            }
        }
        assert!(went_on > 2, "{to}: {went_on} runs went on");
    }
}

#[test]
fn a_full_disk_stops_it_and_it_goes_on_when_there_is_room() {
    let payloads = large();
    for to in ["offset53", "aligned", "aaol", "offset2", "jsonl", "flume"].map(format) {
        let mut stopped = 0;
        for nth in [0, 1, 2, 3, 4, 6, 8, 10, 12] {
            let sim = machine(&payloads);
            sim.disk.set_fault(Fault { kind: FaultKind::Full, nth, lasting: true });
            match run(&sim, to) {
                Ok(_) => {}
                Err(error) => {
                    stopped += 1;
                    assert_eq!(error.kind(), ErrorKind::StorageFull, "{to} {nth}: {error}");
                }
            }
            sim.disk.clear_faults();
            if sim.env.storage.kind("target.convert".as_ref()).unwrap().is_some()
                || sim.env.storage.kind("target".as_ref()).unwrap().is_none()
            {
                assert_eq!(run(&sim, to).unwrap().entries, 60, "{to} {nth}");
            }
            assert_eq!(written(&sim, to), payloads, "{to} {nth}");
        }
        assert!(stopped > 2, "{to}: {stopped}");
    }
}

#[test]
fn what_was_changed_in_between_is_not_gone_on_with() {
    let payloads = large();
    let to = format("offset32");
    // Stopped after a good part of it.
    let stopped = |nth| {
        let sim = machine(&payloads);
        sim.disk.set_fault(Fault { kind: FaultKind::Full, nth, lasting: true });
        run(&sim, to).unwrap_err();
        sim.disk.clear_faults();
        let file = sim.env.storage.open("target".as_ref(), OpenMode::Write).ok()?;
        (file.len().unwrap() > 1 << 20).then_some((sim, file))
    };
    let (sim, file) = (0..20).find_map(stopped).unwrap();
    let byte = file.read(50_000, 1).unwrap()[0];
    file.write_all(50_000, &[byte + 1]).unwrap();
    let error = run(&sim, to).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert!(error.to_string().contains("start anew"), "{error}");
    file.write_all(50_000, &[byte]).unwrap();
    let mut stages = Vec::new();
    let conversion = Conversion::new("source", "target", to).env(sim.env.clone()).from_format(Format::JsonLines);
    let converted = sim.block_on(conversion.run(|stage, done, total| {
        assert!(done <= total, "{done} of {total}");
        if stages.last() != Some(&stage) {
            stages.push(stage);
        }
    }));
    assert!(converted.unwrap().resumed > 20);
    assert_eq!(stages, [Stage::Comparing, Stage::Converting, Stage::Checking]);
    sim.settle();
    assert_eq!(written(&sim, to), payloads);
}
