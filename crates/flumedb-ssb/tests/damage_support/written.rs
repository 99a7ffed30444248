//! How the logs come about that are damaged: appended to here, or made by hand where nothing is appended here.

use std::path::Path;

use flumedb::{Env, ErrorKind, Seq, log::Batch};
use flumedb_ssb::{Format, any};

use super::{Original, read_in};
use crate::common::{content, readable};

impl Original {
    /// One of which every bit can be turned.
    pub fn small(format: Format) -> Self {
        match format {
            Format::Level => Self::level(Some(5)),
            Format::Memory | Format::JsonLines => Self::lines(format, 24),
            _ => Self::appended(format, 24),
        }
    }

    /// One of several sectors.
    pub fn large(format: Format) -> Self {
        match format {
            Format::Level => Self::level(None),
            Format::Memory | Format::JsonLines => Self::lines(format, 90),
            _ => Self::appended(format, 90),
        }
    }

    /// A log with entries of text, of small numbers that look like lengths, and of nothing where that can be; two are
    /// deleted.
    fn appended(format: Format, entries: usize) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let env = Env::memory();
        let opened = any::builder().env(env.clone()).format(format).create().open("log").unwrap();
        let mut sizes = Vec::new();
        for number in 0..entries {
            let payload = match number % 4 {
                // With a whole sector in it, and more.
                _ if number == 30 => vec![b'y'; 1500],
                0 => format!("{{\"number\":{number},\"text\":\"{}\"}}", "x".repeat(number * 11 % 40)).into_bytes(),
                1 => (0..number % 23).flat_map(|byte| [0, byte as u8]).collect(),
                2 => vec![number as u8; 1 + number * 7 % 60],
                _ => (0..number as u8 % 19).flat_map(|byte| [0, 0, 0, byte % 5]).collect(),
            };
            let mut batch = Batch::new();
            batch.push(&payload);
            match runtime.block_on(opened.log.append(batch)) {
                Ok(_) => sizes.push(payload.len()),
                // Zeros, or nothing where nothing cannot be told from zeros.
                Err(error) => assert_eq!(error.kind(), ErrorKind::Invalid, "{error}"),
            }
        }
        let seqs: Vec<Seq> = runtime.block_on(readable(&*opened.log)).0.iter().map(|entry| Seq::new(entry.0)).collect();
        runtime.block_on(opened.log.delete(&[seqs[3], seqs[6]])).unwrap();
        let (read, damage) = runtime.block_on(readable(&*opened.log));
        assert!(damage.is_empty());
        runtime.block_on(opened.log.close()).unwrap();
        let names: &[&str] = if format.is_directory() { &["log/data", "log/ofst", "log/jrnl"] } else { &["log"] };
        let files: Vec<_> = names.iter().map(|&name| (name.to_owned(), content(&env, name))).collect();
        let needs = if format.is_directory() {
            let ends = sizes.iter().scan(0, |end, size| {
                *end += 8 + size;
                Some(*end)
            });
            // The next one's place says where an entry ends. The count alone decides nothing.
            ends.zip(0..).map(|(end, number)| vec![end, 8 * (number + 2), 0]).collect()
        } else {
            let starts = read.iter().skip(1).map(|entry| entry.0 as usize);
            starts.chain([files[0].1.len()]).map(|end| vec![end]).collect()
        };
        Self { format, files, read, needs }
    }

    /// Lines of JSON of every kind.
    fn lines(format: Format, entries: usize) -> Self {
        let (mut text, mut needs) = (String::new(), Vec::new());
        for number in 0..entries {
            let value = match number % 5 {
                // With a whole sector in it, and more.
                _ if number == 30 => format!("\"{}\"", "y".repeat(1500)),
                0 => format!("{{\"number\":{number},\"text\":\"{}\"}}", "x".repeat(number * 11 % 40)),
                // What is left of a number that is cut is one, too.
                1 => (number * 7919).to_string(),
                2 => format!("[{number}, null, [true, {{}}]]"),
                3 => format!("\"\\u00e9\\n {}\"", "é".repeat(number % 9)),
                _ => "null".to_owned(),
            };
            text += &match format {
                Format::Memory => format!("{{\"seq\":{number},\"value\":{value}}}\n"),
                _ => format!("{value}\n"),
            };
            needs.push(vec![text.len()]);
        }
        Self::found(format, vec![("log".to_owned(), text.into_bytes())], needs)
    }

    /// A directory of flumelog-level, of whose newest entries there may be only so many.
    fn level(newest: Option<usize>) -> Self {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/level/log");
        let names = std::fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut files: Vec<_> =
            names.map(|name| (format!("log/{name}"), std::fs::read(dir.join(&name)).unwrap())).collect();
        files.sort();
        let log = files.iter().position(|(name, _)| name.ends_with(".log")).unwrap();
        let mut ends = journal_ends(&files[log].1);
        ends.truncate(newest.unwrap_or(ends.len()));
        files[log].1.truncate(ends[ends.len() - 1]);
        let mut original = Self::found(Format::Level, files, Vec::new());
        let in_tables = original.read.len() - ends.len();
        let ends = std::iter::repeat_n(0, in_tables).chain(ends);
        // Without the manifest nothing is found, and a table is read from its end.
        let needs = ends.map(|end| {
            let of = |(at, (_, bytes)): (usize, &(String, Vec<u8>))| if at == log { end } else { bytes.len() };
            original.files.iter().enumerate().map(of).collect()
        });
        original.needs = needs.collect();
        original
    }

    fn found(format: Format, files: Vec<(String, Vec<u8>)>, needs: Vec<Vec<usize>>) -> Self {
        let mut original = Self { format, files, read: Vec::new(), needs };
        let env = original.machine(0, &original.files[0].1);
        assert!(any::check(&env, "log", Some(format)).unwrap().is_ok());
        original.read = read_in(&env, format).unwrap();
        original
    }
}

/// Where the records of a journal of LevelDB end, each of which is in one piece.
fn journal_ends(bytes: &[u8]) -> Vec<usize> {
    let mut ends = Vec::new();
    let mut end = 0;
    while end < bytes.len() {
        end += 7 + usize::from(u16::from_le_bytes([bytes[end + 4], bytes[end + 5]]));
        ends.push(end);
    }
    ends
}
