//! Guards against an acknowledgement that comes before the disk has what it is for. No crash of a process shows that; the
//! system calls do.
//!
//! `strace` writes down what a child asks of the system, and when it says that something is appended or deleted. Before
//! each acknowledgement there must be the write of those very bytes, and after it, begun after it and ended well, a sync of
//! that file; and of each directory in which a file was made or renamed. A child that does not wait for the disk must be
//! seen not to. Where there is no strace it says so.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on ends")]

mod process_support;

use std::{collections::HashMap, path::Path};

use process_support::{Child, Item, Steps, is_there, job, skipped, steps, try_run};

const TEST: &str = "the_disk_has_it_before_it_is_acknowledged";

/// A call, with the places in the trace where it begins and where it has ended.
#[derive(Debug)]
struct Call<'a> {
    name: &'a str,
    /// Its arguments, up to what it answered; `?` if it never did.
    text: String,
    begun: usize,
    ended: usize,
}

impl Call<'_> {
    fn is_ok(&self) -> bool {
        !self.text.contains("= -1 ")
    }

    /// The file or directory that its first argument, a descriptor, is of.
    fn file(&self) -> &str {
        self.text.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map_or("", |(path, _)| path)
    }

    /// The last of its arguments that is a text.
    fn name_given(&self) -> &str {
        self.text.rsplit('"').nth(1).unwrap_or_default()
    }
}

/// The calls in a trace; those of several threads are told as they begin and as they end.
fn parse(trace: &str) -> Vec<Call<'_>> {
    let mut calls: Vec<Call> = Vec::new();
    let mut open = HashMap::<&str, usize>::new();
    for (place, line) in trace.lines().enumerate() {
        let Some((thread, rest)) = line.split_once(' ') else { continue };
        let rest = rest.trim_start();
        if let Some(resumed) = rest.strip_prefix("<... ") {
            let Some(call) = open.remove(thread).and_then(|number| calls.get_mut(number)) else { continue };
            call.text.push_str(resumed.split_once('>').map_or("", |(_, text)| text));
            call.ended = place;
        } else if let Some((name, text)) = rest.split_once('(') {
            let unfinished = text.strip_suffix("<unfinished ...>");
            if unfinished.is_some() {
                open.insert(thread, calls.len());
            }
            let ended = if unfinished.is_some() { usize::MAX } else { place };
            calls.push(Call { name, text: unfinished.unwrap_or(text).to_owned(), begun: place, ended });
        }
    }
    calls
}

/// Whether a sync of `what` was begun after `after` and has ended well before `before`.
fn is_synced(calls: &[Call], what: &str, after: usize, before: usize) -> bool {
    calls.iter().any(|call| {
        matches!(call.name, "fdatasync" | "fsync")
            && call.file() == what
            && call.begun > after
            && call.ended < before
            && call.is_ok()
    })
}

/// What is wrong with a trace: the first acknowledgement that came too early, and why. How many there were otherwise.
fn look(trace: &str, dir: &Path) -> Result<usize, String> {
    let calls = parse(trace);
    let dir = dir.to_str().unwrap();
    let (mut acknowledged, mut last) = (0, 0);
    for ack in calls.iter().filter(|call| call.name == "write" && call.text.contains("~ ")) {
        let said = ack.text.split_once("~ ").map_or("", |(_, said)| said).split("\\n").next().unwrap_or_default();
        let (word, numbers) = said.split_once(' ').unwrap_or_default();
        let writes = || calls.iter().filter(|call| call.name == "pwrite64" && call.file().ends_with(".seg"));
        let written: Vec<&Call> = match word {
            "appended" => {
                let numbers: Vec<u64> = numbers.split(' ').map(|number| number.parse().unwrap()).collect();
                let item = |at| Item { life: 0, task: 0, batch: numbers[3], at, of: numbers[4] };
                let of = |at| writes().find(|call| call.text.contains(&format!(r#"\"id\":\"{}\""#, item(at).id())));
                (0..numbers[4]).map(of).collect::<Option<_>>().ok_or(format!("{said}: its bytes are not written"))?
            }
            // What it writes is no text: whatever was written since the last acknowledgement, and something was.
            "deleted" => {
                let since = writes().find(|call| call.begun > last);
                vec![since.ok_or(format!("{said}: nothing is written"))?]
            }
            _ => continue,
        };
        for write in written {
            let ended_before = write.ended < ack.begun && write.is_ok();
            if !ended_before || !is_synced(&calls, write.file(), write.ended, ack.begun) {
                return Err(format!("{said}: not synced before it is said: {write:?}"));
            }
        }
        // Names are on the disk with their directory only.
        let names = calls.iter().filter(|call| {
            let makes = call.name == "openat" && call.text.contains("O_CREAT") && call.name_given().ends_with(".seg");
            (makes || call.name.starts_with("rename") || call.name == "mkdir")
                && call.name_given().starts_with(dir)
                && call.ended < ack.begun
                && call.is_ok()
        });
        for call in names {
            let parent = Path::new(call.name_given()).parent().unwrap().to_str().unwrap();
            if !is_synced(&calls, parent, call.ended, ack.begun) {
                return Err(format!("{said}: {parent} is not synced before it is said: {call:?}"));
            }
        }
        acknowledged += 1;
        last = ack.begun;
    }
    Ok(acknowledged)
}

fn traced(scratch: &Path, how: &str) -> Result<usize, String> {
    let dir = scratch.join(how);
    let trace = scratch.join(format!("{how}.trace"));
    // Whole entries are needed to know them.
    let words = ["strace", "-f", "-y", "-qq", "--seccomp-bpf", "-s", "8192", "-o", trace.to_str().unwrap(), "-e"];
    let calls = "trace=write,pwrite64,fdatasync,fsync,openat,mkdir,rename,renameat,renameat2";
    let words: Vec<&str> = words.into_iter().chain([calls]).collect();
    Child::start_under(&words, TEST, &[dir.to_str().unwrap(), how]).end();
    look(&std::fs::read_to_string(trace).unwrap(), &dir)
}

#[test]
fn the_disk_has_it_before_it_is_acknowledged() {
    if let Some(job) = job() {
        steps(Path::new(&job[0]), Steps { views: false, buffered: job[1] == "buffered" });
    }
    if !is_there("strace") {
        return skipped(TEST, "strace is not on this machine");
    }
    if let Err(error) = try_run(&["strace", "-f", "--seccomp-bpf", "-o", "/dev/null", "true"]) {
        return skipped(TEST, &format!("strace does not work here ({error})"));
    }
    let scratch = tempfile::tempdir().unwrap();
    let acknowledged = traced(scratch.path(), "durable").unwrap();
    assert_eq!(acknowledged, 24 + 6, "some acknowledgements were not seen");
    // So that this test is known to see it.
    let early = traced(scratch.path(), "buffered").unwrap_err();
    assert!(early.contains("not synced before it is said"), "{early}");
    println!("{acknowledged} acknowledgements, each after the sync of what it is for");
}
