//! `docs/format.md` must be what is on the disk: a second implementation is written from it. Its dumps are compared, byte
//! by byte, with a log written here, and read back by the code.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may")]

use std::{io, path::Path, sync::Arc, time::Duration};

use flumedb::{
    Env, ErrorKind, Result, Seq,
    env::{Clock, OpenMode, Random},
    log::{Batch, Log, LogSettings, Note, SegmentedLog},
};

/// Time stands still at 2026-01-01T00:00:00Z, and every random byte is 0x5a.
struct Still;

impl Clock for Still {
    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }

    fn unix_us(&self) -> i64 {
        1_767_225_600_000_000
    }
}

impl Random for Still {
    fn fill(&self, bytes: &mut [u8]) -> io::Result<()> {
        bytes.fill(0x5a);
        Ok(())
    }
}

fn still() -> Env {
    Env { clock: Arc::new(Still), random: Arc::new(Still), ..Env::memory() }
}

async fn write(env: &Env) -> Result<()> {
    let log = SegmentedLog::open(env, Path::new("log"), LogSettings::default())?;
    let mut batch = Batch::new();
    batch.push(b"hi");
    batch.push(b"flume");
    batch.note = Some(Note { name: "n".to_owned(), position: 7, proof: b"p".to_vec() });
    log.append(batch).await?;
    log.delete(&[Seq::new(0)]).await?;
    log.close().await
}

fn content(env: &Env, name: &str) -> Vec<u8> {
    let file = env.storage.open(&Path::new("log").join(name), OpenMode::Read).unwrap();
    file.read(0, file.len().unwrap() as usize).unwrap().to_vec()
}

fn dump(bytes: &[u8]) -> String {
    let line = |(index, bytes): (usize, &[u8])| {
        let hex: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{:04x}  {}\n", index * 16, hex.join(" "))
    };
    bytes.chunks(16).enumerate().map(line).collect()
}

/// The bytes of the dump under a heading of the document; what is behind a `|` is a remark.
fn documented(heading: &str) -> Vec<u8> {
    let document = include_str!("../../../docs/format.md");
    let section = document.split(heading).nth(1).unwrap_or_default();
    let block = section.split("```").nth(1).unwrap_or_default();
    let hex = block.lines().skip(1).filter_map(|line| line.split('|').next()?.split_once("  "));
    hex.flat_map(|(_, hex)| hex.split_whitespace()).map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
}

const SEGMENT: &str = "0000000000-00000000000000000000-0000.seg";
const COMPACTED: &str = "0000000000-00000000000000000000-0001.seg";

#[tokio::test]
async fn the_dumps_are_what_is_written() -> Result<()> {
    let env = still();
    write(&env).await?;
    for (heading, name) in [("## A whole segment", SEGMENT), ("## A whole head page", "head")] {
        let written = content(&env, name);
        assert_eq!(documented(heading), written, "{heading}; what is written is\n{}", dump(&written));
    }
    Ok(())
}

#[tokio::test]
async fn the_dump_of_a_compacted_segment_is_what_is_written() -> Result<()> {
    let env = still();
    write(&env).await?;
    let log = SegmentedLog::open(&env, Path::new("log"), LogSettings::default())?;
    log.compact().await?;
    log.close().await?;
    let (heading, written) = ("## A whole compacted segment", content(&env, COMPACTED));
    assert_eq!(documented(heading), written, "{heading}; what is written is\n{}", dump(&written));
    Ok(())
}

#[tokio::test]
async fn the_dumps_can_be_read() -> Result<()> {
    let env = still();
    env.storage.create_dir_all(Path::new("log")).unwrap();
    for (heading, name) in [("## A whole segment", SEGMENT), ("## A whole head page", "head")] {
        let file = env.storage.open(&Path::new("log").join(name), OpenMode::CreateNew).unwrap();
        file.write_all(0, &documented(heading)).unwrap();
    }
    assert!(SegmentedLog::check(&env, Path::new("log"))?.is_ok());
    let log = SegmentedLog::open(&env, Path::new("log"), LogSettings::default())?;
    assert_eq!(log.get(Seq::new(0)).await.unwrap_err().kind(), ErrorKind::Deleted);
    assert_eq!(log.get(Seq::new(1)).await?, "flume");
    assert_eq!(log.note("n")?.map(|note| note.position), Some(7));
    assert_eq!(*log.head().borrow(), Some(Seq::new(2)));
    Ok(())
}
