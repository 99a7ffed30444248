//! Guards against a real log that reads otherwise than it was written: 5,000 messages that ssb-db and ssb-db2 wrote, packed in
//! `ssb/ssb-5000.tar.xz` of the vectors. Unpacked by the program `tar`; where that or the archive is missing, the test says so.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

mod common;

use std::process::{Command, Stdio};

use common::{all, content, machine, sha256, vectors};
use flumedb::{
    Env, Seq,
    log::{Batch, Log},
};
use flumedb_ssb::{AaolLog, Doc, Format, Framing, OffsetLog, Payloads, any};
use serde_json::Value;

/// A file of the archive; nothing, and a word about it, if it cannot be had.
fn unpacked(name: &str) -> Option<Vec<u8>> {
    let archive = vectors().join("ssb/ssb-5000.tar.xz");
    if !archive.is_file() {
        eprintln!("skipped: there is no {}", archive.display());
        return None;
    }
    let unpack = Command::new("tar").arg("-xJOf").arg(&archive).arg(name).stderr(Stdio::inherit()).output();
    match unpack {
        Ok(output) if output.status.success() => Some(output.stdout),
        failed => {
            eprintln!("skipped: tar does not unpack {}: {:?}", archive.display(), failed.map(|output| output.status));
            None
        }
    }
}

fn rows() -> Option<Vec<Value>> {
    let rows = String::from_utf8(unpacked("expected.jsonl")?).unwrap();
    Some(rows.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

#[tokio::test]
async fn both_logs_are_told_and_have_the_messages_that_were_written() {
    let Some(rows) = rows() else { return };
    let logs = [
        ("log.offset", Format::Offset(Framing::Bits32), Payloads::Json, "off", "json16"),
        ("log.bipf", Format::Aaol(Some(65_536)), Payloads::Bipf, "boff", "bipf16"),
    ];
    for (name, format, payloads, at, sum) in logs {
        let Some(bytes) = unpacked(name) else { return };
        let env = machine(&bytes);
        let opened = any::builder().env(env.clone()).open("log.offset").unwrap();
        assert_eq!((opened.format, opened.payloads), (format, payloads), "{name}");
        let read = all(&*opened.log).await;
        assert_eq!((read.len(), rows.len()), (5000, 5000));
        for ((seq, _, payload), row) in read.iter().zip(&rows) {
            assert_eq!(row[at].as_u64(), Some(*seq), "{row}");
            assert_eq!(row[sum].as_str().unwrap(), &sha256(payload)[..16], "{row}");
        }
        assert!(any::check(&env, "log.offset", None).unwrap().is_ok());
    }
}

#[tokio::test]
async fn the_same_messages_make_the_same_files_and_mean_the_same() {
    let (Some(offset), Some(bipf)) = (unpacked("log.offset"), unpacked("log.bipf")) else { return };
    let json = all(&OffsetLog::builder().env(machine(&offset)).open("log.offset").unwrap()).await;
    let messages = all(&AaolLog::builder().env(machine(&bipf)).open("log.offset").unwrap()).await;
    let env = Env::memory();
    let log = AaolLog::builder().env(env.clone()).create().open("log.bipf").unwrap();
    let mut starts = Vec::new();
    for part in messages.chunks(700) {
        let mut batch = Batch::new();
        part.iter().for_each(|(.., payload)| batch.push(payload));
        starts.extend(log.append(batch).await.unwrap());
    }
    log.close().await.unwrap();
    assert!(starts.iter().copied().eq(messages.iter().map(|(seq, ..)| Seq::new(*seq))));
    assert_eq!(content(&env, "log.bipf"), bipf);
    for ((.., json), (.., message)) in json.iter().zip(&messages) {
        let value = |payload: &flumedb::Bytes| Doc::parse(payload.clone()).unwrap().to::<Value>().unwrap();
        assert_eq!(value(json), value(message));
    }
}
