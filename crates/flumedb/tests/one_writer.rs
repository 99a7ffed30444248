//! Guards against two writers of one log, and against a lock that outlives its process.
//!
//! A second open is refused in the same process, in another, and in one that was forked while the log was open; a process
//! that was killed leaves no lock, not even if it had started another program that goes on. Killed and opened 30 times,
//! 1,000 with `FLUME_SOAK` set.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::zombie_processes,
    reason = "a test that cannot go on ends"
)]

mod process_support;

use std::{
    os::unix::process::CommandExt,
    path::Path,
    process::{Command, Stdio},
};

use flumedb::{ErrorKind, Flume, codec::JsonDocs};
use flumedb_sim::soak_or;
use process_support::{Child, Item, job, say};

const TEST: &str = "a_killed_writer_leaves_no_lock";

fn open(dir: &Path) -> flumedb::Result<Flume<JsonDocs>> {
    Flume::open(dir, JsonDocs).blocking()
}

fn assert_locked(dir: &Path) {
    let error = open(dir).expect_err("somebody has it open");
    assert_eq!(error.kind(), ErrorKind::Locked, "{error}");
    assert!(error.to_string().contains("read-only"), "it says what to do: {error}");
}

/// Opens a log, starts a program that goes on, and waits to be killed.
fn hold(dir: &Path, life: u64) -> ! {
    let db = open(dir).unwrap();
    let item = Item { life, task: 0, batch: 0, at: 0, of: 1 };
    db.append(&item.text()).blocking().unwrap();
    let sleeper = Command::new("sleep").arg("600").stdout(Stdio::null()).spawn().unwrap();
    say(&format!("open {}", sleeper.id()));
    loop {
        std::thread::park();
    }
}

#[test]
fn who_only_asks_for_the_lock_keeps_no_writer_out() {
    let scratch = tempfile::tempdir().unwrap();
    let dir = scratch.path().join("db");
    open(&dir).unwrap().close().blocking().unwrap();
    // As a backup or a check does to see whether somebody writes.
    let asking = std::fs::File::open(dir.join("lock")).unwrap();
    asking.try_lock().unwrap();
    std::thread::scope(|scope| {
        let (begun, waits) = std::sync::mpsc::channel();
        let dir = &dir;
        let writer = scope.spawn(move || {
            begun.send(()).unwrap();
            open(dir).map(drop)
        });
        waits.recv().unwrap();
        asking.unlock().unwrap();
        writer.join().unwrap().unwrap();
    });
}

#[test]
fn a_killed_writer_leaves_no_lock() {
    if let Some(job) = job() {
        hold(Path::new(&job[0]), job[1].parse().unwrap());
    }
    let scratch = tempfile::tempdir().unwrap();
    let dir = scratch.path().join("db");
    let lives = soak_or(1_000, 30);
    for life in 0..lives {
        let child = Child::start(TEST, &[dir.to_str().unwrap(), &life.to_string()]);
        let said = child.hear("open").expect("the child opens the log");
        let sleeper = said.strip_prefix("open ").unwrap();
        assert_locked(&dir);
        let reader = Flume::read_only(&dir, JsonDocs).blocking().unwrap();
        assert_eq!(reader.scan(..).blocking().count() as u64, life + 1, "others may read");
        child.kill();
        // The program that it had started is still there, and holds nothing.
        let db = open(&dir).unwrap();
        assert_eq!(db.scan(..).blocking().count() as u64, life + 1);
        assert_locked(&dir);
        drop(db);
        assert!(Command::new("kill").arg(sleeper).status().unwrap().success(), "the other program is gone");
    }
    println!("{lives} times killed and opened");
}

/// A fork has the descriptors of its parent: what it opens must still be refused, and when it ends the parent still has
/// the lock.
#[test]
fn a_fork_does_not_share_the_lock() {
    let scratch = tempfile::tempdir().unwrap();
    let dir = scratch.path().join("db");
    let db = open(&dir).unwrap();
    let mut forked = Command::new("true");
    let inner = dir.clone();
    let attempt = move || match open(&inner) {
        Err(error) if error.kind() == ErrorKind::Locked => Ok(()),
        Err(error) => Err(std::io::Error::other(error.to_string())),
        Ok(_) => Err(std::io::Error::other("it opens, though the parent has it open")),
    };
    // SAFETY: this runs in the fork before it becomes another program. It opens a file and allocates, which the system's
    // allocator allows in a fork; no thread is started where the lock is refused, and where it is not the test fails.
    #[allow(unsafe_code, reason = "there is no other way to run something in a fork")]
    let status = unsafe { forked.pre_exec(attempt) }.status();
    assert!(status.expect("the fork is refused").success());
    assert_locked(&dir);
    drop(db);
    open(&dir).unwrap();
}

/// Where one thread starts a program while another closes a log and opens it again, the fork has the lock's descriptor for
/// a moment. That must not keep the log locked.
#[test]
fn a_fork_under_way_does_not_keep_the_lock_of_a_log_that_was_closed() {
    let scratch = tempfile::tempdir().unwrap();
    let dir = scratch.path().join("db");
    let (forked, go_on) = (scratch.path().join("forked"), scratch.path().join("go-on"));
    let db = open(&dir).unwrap();
    let forks = {
        let (forked, go_on) = (forked.clone(), go_on.clone());
        std::thread::spawn(move || {
            let mut program = Command::new("true");
            let wait = move || {
                std::fs::write(&forked, "")?;
                wait_for(&go_on);
                Ok(())
            };
            // SAFETY: this runs in the fork before it becomes another program. It looks at files, sleeps and allocates, which
            // the system's allocator allows in a fork.
            #[allow(unsafe_code, reason = "there is no other way to run something in a fork")]
            unsafe { program.pre_exec(wait) }.status()
        })
    };
    wait_for(&forked);
    drop(db);
    let opened = open(&dir);
    std::fs::write(go_on, "").unwrap();
    assert!(forks.join().unwrap().unwrap().success());
    opened.expect("nobody has it open");
}

fn wait_for(path: &Path) {
    for _ in 0..6_000 {
        if path.exists() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("{} does not come", path.display());
}
