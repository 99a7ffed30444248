//! Guards against a file of JSON lines that reads as other entries than its lines: across the pieces it is read in, backwards,
//! from any bound, and while another program adds to it.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

mod common;

use common::{all, machine, scan};
use flumedb::{
    ErrorKind, Seq, Span,
    env::{Env, OpenMode},
    log::{Log, SlotKind},
};
use flumedb_ssb::{LinesLog, Shape, any};
use proptest::prelude::{any as arbitrary, *};

const PATH: &str = "log.offset";

fn open(env: &Env, shape: Shape) -> LinesLog {
    LinesLog::builder().env(env.clone()).shape(shape).open(PATH).unwrap()
}

/// What the lines of a text are, worked out the plain way.
fn lines(text: &[u8]) -> Vec<Vec<u8>> {
    let mut lines: Vec<_> = text.split(|&byte| byte == b'\n').map(|line| line.trim_ascii().to_vec()).collect();
    // What has no end is the beginning of a line, unless it is JSON.
    lines.pop_if(|last| serde_json::from_slice::<serde::de::IgnoredAny>(last).is_err());
    lines.retain(|line| !line.is_empty());
    lines
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// Lines of every length around the pieces, with empty ones between them.
fn text() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        8 => "[ {}\\[\\]\",:a-z0-9\r\t]{0,40}",
        1 => (0..3usize, arbitrary::<bool>()).prop_map(|(size, quoted)| {
            let body = "x".repeat([262_143, 262_144, 300_000][size]);
            if quoted { format!("\"{body}\"") } else { body }
        }),
        1 => Just(String::new()),
    ];
    (proptest::collection::vec(line, 0..200), arbitrary::<bool>()).prop_map(|(lines, ended)| {
        let mut text = lines.join("\n").into_bytes();
        if ended {
            text.push(b'\n');
        }
        text
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn entries_are_the_lines(text in text(), bounds in arbitrary::<(u8, u8)>(), size in prop_oneof![Just(1), 1..500usize, Just(1 << 20)]) {
        let log = open(&machine(&text), Shape::Bare);
        let expected: Vec<_> = lines(&text).into_iter().enumerate().map(|(seq, line)| (seq as u64, line)).collect();
        block_on(async {
            let span = Span { from: bounds.0.into(), to: u64::from(bounds.1) };
            for (span, reverse) in [(Span::ALL, false), (Span::ALL, true), (span, false), (span, true)] {
                let read = scan(&log, span, reverse, size).await;
                let mut read: Vec<_> = read.into_iter().map(|(seq, _, payload)| (seq, payload.to_vec())).collect();
                if reverse {
                    read.reverse();
                }
                let within: Vec<_> = expected.iter().filter(|(seq, _)| span.contains(*seq)).cloned().collect();
                assert_eq!(read, within);
            }
            for (seq, line) in expected.iter().step_by(7) {
                assert_eq!(log.get(Seq::new(*seq)).await.unwrap(), line);
            }
            let past = log.get(Seq::new(expected.len() as u64)).await.unwrap_err();
            assert_eq!(past.kind(), ErrorKind::NotFound);
        });
    }

    /// Whatever the bytes are, nothing panics, and nothing that cannot be read is given.
    #[test]
    fn arbitrary_bytes_are_no_harm(bytes in proptest::collection::vec(arbitrary::<u8>(), 0..2000)) {
        let env = machine(&bytes);
        let report = LinesLog::check(&env, PATH, &Some(Shape::Numbered)).unwrap();
        let log = open(&env, Shape::Numbered);
        let chunk = block_on(log.read(flumedb::log::ReadRequest::forwards(Span::ALL)));
        assert!(chunk.map_or(0, |chunk| chunk.slots.len() as u64) <= report.entries);
        let _ = any::builder().env(env).open(PATH);
    }
}

#[test]
fn what_another_program_adds_is_seen_and_a_line_that_changes_is_told_of() {
    let env = machine(b"1\n2\n3");
    let file = env.storage.open(PATH.as_ref(), OpenMode::Write).unwrap();
    let log = open(&env, Shape::Bare);
    block_on(async {
        assert_eq!(all(&log).await.len(), 3);
        file.write_all(5, b"\n\n[4]\n{").unwrap();
        assert_eq!(log.barrier().await.unwrap(), Some(Seq::new(3)));
        assert!(log.report().unwrap().torn_tail.is_some_and(|tail| (tail.offset, tail.bytes) == (11, 1)));
        let values: Vec<_> = all(&log).await.into_iter().map(|(_, kind, payload)| (kind, payload)).collect();
        let entry = |text: &'static str| (SlotKind::Entry, text.into());
        assert_eq!(values, [entry("1"), entry("2"), entry("3"), entry("[4]")]);
        file.write_all(12, b"}\n55").unwrap();
        assert_eq!(log.barrier().await.unwrap(), Some(Seq::new(5)));
        assert_eq!(log.get(Seq::new(4)).await.unwrap(), "{}");
        file.write_all(16, b"5\n").unwrap();
        assert_eq!(
            log.barrier().await.unwrap_err().kind(),
            ErrorKind::Corrupt,
            "the entry was shown before it was whole"
        );
    });
}

#[test]
fn only_reading_is_offered() {
    let env = machine(b"{\"seq\":0,\"value\":1}\n");
    for builder in [LinesLog::builder().append(), LinesLog::builder().create()] {
        assert_eq!(builder.env(env.clone()).open(PATH).err().unwrap().kind(), ErrorKind::Unsupported);
    }
    let log = LinesLog::builder().env(env.clone()).open(PATH).unwrap();
    assert_eq!(log.shape(), Some(Shape::Numbered));
    block_on(async {
        let mut batch = flumedb::log::Batch::new();
        batch.push(b"2");
        assert_eq!(log.append(batch).await.unwrap_err().kind(), ErrorKind::Unsupported);
        assert_eq!(log.delete(&[Seq::new(0)]).await.unwrap_err().kind(), ErrorKind::Unsupported);
    });
}

#[tokio::test]
async fn a_stored_view_notices_that_an_earlier_line_was_edited() {
    let lines = |changed: Option<usize>| -> Vec<u8> {
        (0..200)
            .flat_map(|at| format!("{{\"n\":{}}}\n", if Some(at) == changed { 9 } else { at % 7 }).into_bytes())
            .collect()
    };
    let evidence = |content: Vec<u8>| {
        let log = open(&machine(&content), Shape::Bare);
        (log.identity(), log.proof(Seq::new(150)).unwrap().unwrap())
    };
    let before = evidence(lines(None));
    for edited in [0, 1, 70, 149, 150] {
        assert_ne!(evidence(lines(Some(edited))), before, "line {edited}");
    }
    // What comes behind does not matter.
    assert_eq!(evidence(lines(Some(151))), before);
}
