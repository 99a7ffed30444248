//! Guards against a command that does not know a log that the others know, and against a format that is guessed wrong, or
//! right without saying why.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::disallowed_methods)]

mod support;

use support::{Running, files, flume, flume_with, temp};

const VALUES: [&str; 3] = [r#"{"n":1,"value":{"author":"@a","sequence":1}}"#, "[2,\"two\"]", "\"three\""];

/// Formats that the program writes, with what `stat` says of a log of three entries, and what has to be named to append more.
const WRITTEN: [(&str, &str, &str); 11] = [
    ("flume", "flume", ""),
    ("offset32", "offset32", ""),
    ("offset48", "offset48", ""),
    ("offset53", "offset53", ""),
    ("offset-basic", "offset-basic", ""),
    ("aligned", "aligned", "aligned:65536"),
    ("aligned:1024", "aligned", "aligned:1024"),
    ("aligned:64", "aligned:64", ""),
    ("aaol", "aaol:65536", ""),
    ("aaol:64", "aaol:64", ""),
    ("offset2", "offset2", ""),
];

#[test]
fn every_command_takes_every_format() {
    for (format, told, name) in WRITTEN {
        let dir = temp();
        let dir = dir.path();
        let seqs = flume_with(dir, &["append", "log", "--format", format], VALUES.join("\n")).fine();
        assert_eq!(seqs.len(), 3, "{format}");
        // Reading never asks what it is.
        assert_eq!(flume(dir, &["cat", "log", "--values"]).fine(), VALUES, "{format}");
        assert_eq!(flume(dir, &["since", "log"]).fine(), [seqs[2].as_str()], "{format}");
        let line = format!("{{\"seq\":{},\"value\":{}}}", seqs[1], VALUES[1]);
        assert_eq!(flume(dir, &["get", "log", &seqs[1]]).fine(), [line.as_str()], "{format}");
        let stat = flume(dir, &["stat", "log", "--json"]).json();
        assert_eq!((&stat["format"], &stat["entries"]), (&told.into(), &3.into()), "{format}");
        assert!(!stat["evidence"].as_array().unwrap().is_empty(), "{format}: {stat}");
        assert_eq!(flume(dir, &["check", "log", "--json"]).json()["format"], told, "{format}");
        assert_eq!(flume(dir, &["query", "log", "--count", "--author", "@a"]).fine(), ["1"], "{format}");
        assert_eq!(flume(dir, &["query", "log", "--count"]).fine(), ["3"], "{format}");
        let mut tail = Running::start(dir, &["tail", "log", "-n", "1", "--values"]);
        assert_eq!(tail.line(), VALUES[2], "{format}");
        drop(tail);
        assert_eq!(flume(dir, &["repair", "log"]).fine(), ["there was nothing to repair"], "{format}");

        let named: &[&str] = if name.is_empty() { &[] } else { &["--format", name] };
        if !name.is_empty() {
            flume_with(dir, &["append", "log"], "4").failed(2);
            flume(dir, &["delete", "log", &seqs[0]]).failed(2);
        }
        let more = flume_with(dir, &[&["append", "log"], named].concat(), "{\"n\":4}").fine();
        flume(dir, &[&["delete", "log", &seqs[0]], named].concat()).fine();
        let left = [VALUES[1], VALUES[2], "{\"n\":4}"];
        assert_eq!(flume(dir, &["cat", "log", "--values"]).fine(), left, "{format}");
        assert_eq!(flume(dir, &["cat", "log", "--reverse", "--limit", "1", "--values"]).fine(), [left[2]], "{format}");
        assert_eq!(flume(dir, &["cat", "log", "--gte", &more[0], "--values"]).fine(), [left[2]], "{format}");
        flume(dir, &["get", "log", &seqs[0]]).failed(1);
        flume(dir, &["import", "log", "db"]).fine();
        assert_eq!(flume(dir, &["cat", "db", "--values"]).fine(), left, "{format}");
        assert_eq!(flume(dir, &["import", "log", "db"]).fine(), ["imported 0 entries; db has 3 now"], "{format}");
    }
}

#[test]
fn bipf_is_appended_where_bipf_is_and_read_as_what_it_stands_for() {
    let dir = temp();
    let dir = dir.path();
    for (log, format) in [("db", "flume"), ("log", "offset32")] {
        let append = |args: &[&str], line: &str| {
            flume_with(dir, &[&["append", log, "--format", format], args].concat(), line).fine();
        };
        append(&["--codec", "bipf"], VALUES[0]);
        append(&[], "[1.5, null]");
        append(&["--codec", "json"], "[1.50]");
        append(&[], "\"x\"");
        assert_eq!(flume(dir, &["stat", log, "--json"]).json()["codec"], "bipf");
        assert_eq!(flume(dir, &["cat", log, "--values"]).fine(), [VALUES[0], "[1.5,null]", "[1.50]", "\"x\""], "{log}");
        assert!(flume(dir, &["cat", log, "--raw", "--limit", "1"]).fine()[0].contains("\"base64\":\""));
        assert_eq!(flume(dir, &["query", log, "--author", "@a", "--values"]).fine(), [VALUES[0]]);
        let line = &flume(dir, &["get", log, "0"]).fine()[0];
        assert_eq!(*line, format!("{{\"seq\":0,\"value\":{}}}", VALUES[0]));
    }
    flume(dir, &["import", "log", "copy"]).fine();
    assert_eq!(flume(dir, &["cat", "copy", "--raw"]).fine(), flume(dir, &["cat", "db", "--raw"]).fine());
    assert_eq!(flume(dir, &["query", "copy", "--author", "@a", "--count"]).fine(), ["1"]);
    // What has no BIPF changes nothing.
    let deep = "[".repeat(2000) + &"]".repeat(2000);
    flume_with(dir, &["append", "log", "--codec", "bipf"], format!("1\n{deep}\n")).failed(2);
    assert_eq!(flume(dir, &["cat", "log"]).fine().len(), 4);
}

#[test]
fn lines_are_read_and_never_written() {
    let dir = temp();
    let dir = dir.path();
    std::fs::write(dir.join("lines"), "{\"n\": 1}\n\n  [2]\r\n\"three\"").unwrap();
    std::fs::write(
        dir.join("memory"),
        "{\"seq\":0,\"value\":{\"n\": 1}}\n{\"value\":[2],\"seq\":1}\n{\"seq\":2,\"value\":\"three\"}\n",
    )
    .unwrap();
    let before = files(dir);
    for (name, format) in [("lines", "jsonl"), ("memory", "memory")] {
        let values = ["{\"n\": 1}", "[2]", "\"three\""];
        assert_eq!(flume(dir, &["cat", name, "--values"]).fine(), values);
        assert_eq!(flume(dir, &["cat", name, "--values", "--reverse"]).fine(), [values[2], values[1], values[0]]);
        assert_eq!(flume(dir, &["get", name, "1"]).fine(), ["{\"seq\":1,\"value\":[2]}"]);
        assert_eq!(flume(dir, &["since", name]).fine(), ["2"]);
        let stat = flume(dir, &["stat", name, "--json"]).json();
        assert_eq!((&stat["format"], &stat["codec"], &stat["entries"]), (&format.into(), &"json".into(), &3.into()));
        assert_eq!(flume(dir, &["check", name, "--json"]).json()["format"], format);
        for write in ["append", "delete", "repair"] {
            let args = if write == "delete" { vec![write, name, "0"] } else { vec![write, name] };
            let ran = flume_with(dir, &args, "1");
            assert!(ran.err.contains("never written"), "{ran:?}");
            ran.failed(1);
        }
        assert_eq!(files(dir), before);
        flume(dir, &["import", name, &format!("{name}.db")]).fine();
        assert_eq!(flume(dir, &["cat", &format!("{name}.db"), "--values"]).fine(), values);
        std::fs::remove_dir_all(dir.join(format!("{name}.db"))).unwrap();
    }
    // Told otherwise, the numbered lines are what they are.
    let lines = flume(dir, &["cat", "memory", "--format", "jsonl", "--values", "--limit", "1"]).fine();
    assert_eq!(lines, ["{\"seq\":0,\"value\":{\"n\": 1}}"]);
}

/// Row N1 of `docs/compatibility.md`.
#[test]
fn bare_lines_are_not_taken_for_numbered_ones() {
    let dir = temp();
    for lines in [
        "{\"seq\":1,\"value\":1}\n{\"seq\":2,\"value\":1}\n",
        "{\"seq\":0,\"value\":1}\n{\"seq\":2,\"value\":1}\n",
        "{\"seq\":0,\"value\":1,\"key\":2}\n",
        "{\"seq\":0,\"value\":1}\n{\"seq\":1}\n",
        "{\"seq\":0,\"value\":1}\n[]\n",
    ] {
        std::fs::write(dir.path().join("lines"), lines).unwrap();
        assert_eq!(flume(dir.path(), &["cat", "lines", "--values"]).fine(), lines.lines().collect::<Vec<_>>());
        let named = flume(dir.path(), &["get", "lines", "0", "--format", "memory", "--values"]);
        assert!(named.lines == ["1"] || lines.contains("key"), "{named:?}");
    }
}

#[test]
fn a_damaged_line_is_told_with_its_place() {
    let dir = temp();
    let dir = dir.path();
    let mut lines = String::new();
    for seq in 0..1500 {
        lines.push_str(&format!("{{\"seq\":{seq},\"value\":{seq}}}\n"));
    }
    let at = lines.find("{\"seq\":1200").unwrap();
    lines.replace_range(at..=at, "x");
    std::fs::write(dir.join("memory"), lines).unwrap();
    let report = flume(dir, &["check", "memory", "--json"]).json();
    assert_eq!((&report["entries"], &report["damage"][0]["offset"]), (&1499.into(), &at.into()), "{report}");
    for args in [&["cat", "memory"][..], &["cat", "memory", "--reverse"]] {
        let ran = flume(dir, args);
        assert_eq!((ran.code, ran.lines.len()), (1, 1499), "{ran:?}");
        assert!(ran.err.contains("entry 1200"), "{ran:?}");
    }
}

#[test]
fn stat_says_why() {
    let dir = temp();
    let dir = dir.path();
    flume_with(dir, &["append", "log", "--format", "offset48"], "1\n2\n").fine();
    let lines = flume(dir, &["stat", "log"]).fine();
    let because: Vec<&String> = lines.iter().filter(|line| line.starts_with("because  ")).collect();
    let says = |words: &str| because.iter().any(|line| line.contains(words));
    assert!(says("offset48: 2 records") && says("offset32:") && says("jsonl:") && says("JSON text"), "{lines:#?}");
    std::fs::write(dir.join("empty"), "").unwrap();
    assert!(flume(dir, &["stat", "empty"]).fine().iter().any(|line| line.contains("no bytes that could tell")));
    flume(dir, &["stat", "log", "--format", "offset48"]).fine();
}

#[test]
fn a_directory_of_a_program_leads_to_its_logs() {
    let dir = temp();
    let dir = dir.path();
    std::fs::create_dir_all(dir.join(".ssb/flume")).unwrap();
    std::fs::create_dir_all(dir.join(".ssb/db2")).unwrap();
    std::fs::write(dir.join(".ssb/flume/log.offset"), "").unwrap();
    std::fs::write(dir.join(".ssb/db2/log.bipf"), "").unwrap();
    for command in ["cat", "append", "stat", "check", "repair", "import"] {
        let args = if command == "import" { vec![command, ".ssb", "db"] } else { vec![command, ".ssb"] };
        let ran = flume(dir, &args);
        assert!(ran.err.contains(".ssb/flume/log.offset or .ssb/db2/log.bipf"), "{ran:?}");
        ran.failed(1);
    }
    assert!(flume(dir, &["cat", ".ssb/flume"]).err.contains("its log is .ssb/flume/log.offset"));
    flume_with(dir, &["append", "log", "--format", "offset2"], "1").fine();
    std::fs::create_dir(dir.join(".ssb-go")).unwrap();
    std::fs::rename(dir.join("log"), dir.join(".ssb-go/log")).unwrap();
    assert!(flume(dir, &["cat", ".ssb-go"]).err.contains("its log is .ssb-go/log"));
}

#[test]
fn a_name_that_cannot_be_is_wrong_usage() {
    let dir = temp();
    for (name, told) in [
        ("aligned:70000", "11 to 65536"),
        ("aaol:3", "5 to"),
        ("offset32:1024", "no blocks"),
        ("offset64", "offset32, offset48"),
    ] {
        let ran = flume_with(dir.path(), &["append", "log", "--format", name], "1");
        assert!(ran.code == 2 && ran.err.contains(told), "{ran:?}");
    }
    assert!(files(dir.path()).is_empty());
    let help = flume(dir.path(), &["cat", "--help"]).fine().join(" ");
    for format in flumedb_ssb::Format::ALL {
        assert!(help.contains(format.name()), "{format}: {help}");
    }
}

#[test]
fn what_no_block_can_hold_is_refused_and_nothing_is_lost() {
    for format in ["aligned:64", "aaol:64"] {
        let dir = temp();
        let dir = dir.path();
        flume_with(dir, &["append", "log", "--format", format, "--codec", "json"], "1\n[2]\n").fine();
        let before = files(dir);
        let lines = format!("3\n\"{}\"\n", "x".repeat(60));
        let ran = flume_with(dir, &["append", "log", "--format", format], lines);
        assert!(ran.err.contains("60") || ran.err.contains("54"), "{ran:?}");
        ran.failed(2);
        assert_eq!(files(dir), before, "{format}: a batch is appended whole or not at all");
    }
}

#[test]
fn nothing_is_written_to_on_a_guess() {
    let dir = temp();
    let dir = dir.path();
    // One entry and the rest of a block, or an entry and a deleted one of the same length and the rest of a block.
    let mut bytes = vec![0; 1024];
    bytes[..8].copy_from_slice(b"\x04\0\"hi\"\x04\0");
    std::fs::write(dir.join("log"), &bytes).unwrap();
    for args in [&["append", "log"][..], &["delete", "log", "0"], &["repair", "log"]] {
        let ran = flume_with(dir, args, "1");
        assert!(ran.err.contains("aligned") && ran.err.contains("aaol") && ran.err.contains("--format"), "{ran:?}");
        ran.failed(2);
    }
    assert_eq!(files(dir), [(dir.join("log"), bytes)]);
    assert_eq!(flume(dir, &["cat", "log", "--values"]).fine(), ["\"hi\""], "reading does not ask");
    assert_eq!(flume_with(dir, &["append", "log", "--format", "aligned:1024"], "1").fine(), ["8"]);
    assert_eq!(flume(dir, &["cat", "log", "--values"]).fine(), ["\"hi\"", "1"]);
}

#[test]
fn a_block_size_that_is_not_the_file_s_is_wrong_usage() {
    let dir = temp();
    let dir = dir.path();
    let lines: String = (0..200).map(|number| format!("{{\"number\":{number}}}\n")).collect();
    for (name, other) in [("aaol:64", "aaol:128"), ("aligned:64", "aligned:1024"), ("aligned:64", "offset32")] {
        flume_with(dir, &["append", "log", "--format", name], &lines).fine();
        let before = files(dir);
        for command in ["cat", "append", "repair"] {
            flume_with(dir, &[command, "log", "--format", other], "1").failed(2);
        }
        assert_eq!(files(dir), before);
        // Torn, it is still no log of the other format, all of which would be cut.
        let torn = std::fs::File::options().write(true).open(dir.join("log")).unwrap();
        torn.set_len(torn.metadata().unwrap().len() - 3).unwrap();
        let before = files(dir);
        for command in ["append", "repair"] {
            flume_with(dir, &[command, "log", "--format", "offset53"], "1").failed(2);
        }
        assert_eq!(files(dir), before);
        std::fs::remove_file(dir.join("log")).unwrap();
    }
}

#[test]
fn a_compaction_takes_deleted_entries_out_and_one_that_was_stopped_is_finished() {
    let dir = temp();
    let dir = dir.path();
    let lines: String = (0..100).map(|number| format!("{{\"number\":{number}}}\n")).collect();
    let seqs = flume_with(dir, &["append", "log", "--format", "aaol:128"], lines).fine();
    flume(dir, &["delete", "log", &seqs[0], &seqs[7], &seqs[99]]).fine();
    let left = flume(dir, &["cat", "log", "--values"]).fine();
    assert!(flume(dir, &["compact", "log"]).fine()[0].starts_with("took out 3 deleted entries; "));
    assert_eq!(flume(dir, &["cat", "log", "--values"]).fine(), left);
    assert!(flume(dir, &["compact", "log"]).fine()[0].starts_with("took out 0 deleted entries"));
    flume_with(dir, &["append", "db"], "1\n2").fine();
    flume(dir, &["delete", "db", "0"]).fine();
    assert!(flume(dir, &["compact", "db"]).fine()[0].starts_with("took out 1 deleted entries; "));
    assert_eq!(flume(dir, &["cat", "db", "--values"]).fine(), ["2"]);
    flume_with(dir, &["append", "old", "--format", "offset32"], "1").fine();
    let ran = flume(dir, &["compact", "old"]);
    assert!(ran.err.contains("only one of aaol"), "{ran:?}");
    ran.failed(1);

    let vectors = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../flumedb-ssb/fixtures/aaol/interrupted");
    let whole = std::fs::read(vectors.join("final.log")).unwrap();
    for command in ["repair", "append", "compact"] {
        for ending in ["", ".compaction"] {
            let bytes = std::fs::read(vectors.join(format!("05-after-3.log{ending}"))).unwrap();
            std::fs::write(dir.join(format!("stopped{ending}")), bytes).unwrap();
        }
        for reading in ["cat", "since", "stat", "query", "tail"] {
            let ran = flume(dir, &[reading, "stopped"]);
            assert!(ran.err.contains("`flume repair stopped` finishes it"), "{ran:?}");
            ran.failed(1);
        }
        assert_eq!(flume(dir, &["check", "stopped", "--json"]).json()["ok"], false);
        let ran = flume(dir, &[command, "stopped"]).fine();
        assert!(command != "repair" || ran[0].starts_with("finished what was begun: its compaction"), "{ran:?}");
        assert_eq!(std::fs::read(dir.join("stopped")).unwrap(), whole, "{command}");
        assert!(flume(dir, &["check", "stopped"]).fine().contains(&"ok       yes".to_owned()));
    }
}

#[test]
fn a_position_that_the_width_cannot_hold_is_refused_and_nothing_is_lost() {
    let dir = temp();
    let path = dir.path().join("log");
    // Four records of a GiB each, all but their ends a hole in the file.
    const SIZE: u64 = (1 << 30) - 100;
    let file = std::fs::File::create(&path).unwrap();
    let write = |bytes: &[u8], at: u64| std::os::unix::fs::FileExt::write_all_at(&file, bytes, at).unwrap();
    write(b"\0\0\0\x01.\0\0\0\x01\0\0\0\x0d", 0);
    let mut at = 13;
    for _ in 0..4 {
        let len = (SIZE as u32).to_be_bytes();
        let end = at + SIZE + 12;
        write(&[&len[..], b"."].concat(), at);
        write(&[&len[..], &(end as u32).to_be_bytes()].concat(), end - 8);
        at = end;
    }
    let before = std::fs::metadata(&path).unwrap().len();
    let ran = flume_with(dir.path(), &["append", "log"], format!("\"{}\"", "x".repeat(400)));
    assert!(ran.err.contains("offset32") && ran.err.contains("4294967295"), "{ran:?}");
    ran.failed(2);
    assert_eq!(std::fs::metadata(&path).unwrap().len(), before);
    assert_eq!(flume_with(dir.path(), &["append", "log"], "1").fine(), [before.to_string()], "what fits still goes in");
}

#[test]
fn torn_lines_are_read_and_a_database_may_be_called_as_lines_are() {
    let dir = temp();
    let dir = dir.path();
    std::fs::write(dir.join("torn"), "1\n2\n{\"n\":").unwrap();
    let ran = flume(dir, &["cat", "torn", "--values"]);
    assert_eq!(ran.lines, ["1", "2"]);
    assert!(ran.err.contains("torn") && ran.err.contains("an editor"), "{ran:?}");
    ran.failed(1);
    flume_with(dir, &["append", "db.jsonl"], "1\n2").fine();
    flume(dir, &["import", "db.jsonl", "copy"]).fine();
    assert_eq!(flume(dir, &["cat", "copy", "--values"]).fine(), ["1", "2"]);
}
