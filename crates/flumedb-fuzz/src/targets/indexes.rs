//! The index files that the originals leave behind.

use std::path::Path;

use flumedb::log::{Batch, Log, MemoryLog};
use flumedb_ssb::indexes::{self, Content, IndexFile};

use crate::machine::Machine;

/// Takes the bytes for each kind of index file of jitdb; with a checksum that is switched off, too.
pub fn jitdb(bytes: &[u8]) {
    let mut unchecked = bytes.to_vec();
    if let Some(checksum) = unchecked.get_mut(12..16) {
        checksum.fill(0);
    }
    let names = [
        "index/seq.index",
        "index/timestamp.index",
        "index/sequence.index",
        "index/value_content_type_post.index",
        "index/value_author.32prefix",
        "index/value_content_channel__map.32prefixmap",
        "index/decrypted.index",
    ];
    for bytes in [bytes, &unchecked] {
        look(names.map(|name| (name, bytes)).as_slice());
    }
}

/// Takes the bytes for a file of flumeview-hashtable.
pub fn hashtable(bytes: &[u8]) {
    look(&[("index/key.ht", bytes)]);
}

/// Takes the bytes for a file of flumeview-reduce.
pub fn snapshot(bytes: &[u8]) {
    look(&[("index/sum.json", bytes)]);
}

/// Reads the files by themselves, and holds them against a log.
fn look(files: &[(&str, &[u8])]) {
    for (name, bytes) in files {
        walk(&IndexFile::parse(*name, bytes.to_vec()).expect("it is the name of an index"));
    }
    let machine = Machine::new(files.iter().copied());
    let dir = Path::new("index");
    assert_eq!(indexes::read_dir(machine.env(), dir).unwrap().len(), files.len());
    let log = MemoryLog::new(machine.env()).unwrap();
    let mut batch = Batch::new();
    for sequence in 0..40 {
        let kind = if sequence % 3 == 0 { "post" } else { "vote" };
        let content = format!(r#"{{"type":"{kind}","channel":"c{}"}}"#, sequence % 5);
        let value = format!(r#"{{"author":"@{}","sequence":{sequence},"content":{content}}}"#, sequence % 4);
        batch.push(format!(r#"{{"key":"%{sequence}","timestamp":{sequence}.5,"value":{value}}}"#).as_bytes());
    }
    machine.run(log.append(batch)).unwrap();
    // A damaged index is a row of the report, and no failure.
    let report = machine.run(indexes::check(machine.env(), dir, &log)).unwrap();
    let _ = report.is_ok();
    machine.assert_unchanged("a check of the indexes");
}

fn walk(file: &IndexFile) {
    let seen = match file.content() {
        Content::Words(words) => words.iter().count(),
        Content::Doubles(doubles) => doubles.iter().count(),
        Content::Bits(bits) => bits.iter().count(),
        Content::PrefixMap(map) => {
            let mut seen = 0;
            map.visit(&mut |_, _| seen += 1);
            seen
        }
        Content::Hashtable(table) => table.tables.iter().map(|table| table.iter().count()).sum(),
        Content::Numbers(numbers) => numbers.iter().count(),
        _ => 0,
    };
    assert!(seen as u64 <= 8 * file.bytes, "{seen} things in {} bytes", file.bytes);
}
