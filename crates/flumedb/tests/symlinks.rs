//! Guards against a database directory that makes its owner write, read or remove files elsewhere: by a symbolic link in the
//! place of a file or directory, by a name with `..` in it, or by a pipe that makes an opening wait for ever.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test, which looks at the real disk"
)]

use std::{fs, io::Write, os::unix::fs::symlink, path::Path, process::Command};

use flumedb::{
    Env, ErrorKind, Flume,
    codec::Json,
    log::{LogSettings, SegmentedLog, Sharing},
    view::StoredView,
    views::{Index, Reduce},
};
use tempfile::TempDir;

type Db = Flume<Json<u64>>;

struct Rig {
    dir: TempDir,
}

impl Rig {
    /// A closed database of three segments or more and two views, and a directory outside of it.
    fn new() -> Self {
        let rig = Self { dir: tempfile::tempdir().unwrap() };
        fs::create_dir(rig.path("outside")).unwrap();
        let db = rig.open().unwrap();
        let sum = db.view("sum", sum()).blocking().unwrap();
        let index = db.view("index", index()).blocking().unwrap();
        for _ in 0..3 {
            db.append_all(0..10_000).blocking().unwrap();
        }
        sum.read().blocking().unwrap();
        index.read().blocking().unwrap();
        db.close().blocking().unwrap();
        rig
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    fn open(&self) -> flumedb::Result<Db> {
        let builder = Flume::builder(Json::<u64>::new());
        builder.set(|settings| settings.log.segment_bytes = 4096).open(self.path("db")).blocking()
    }

    /// Moves what is at `name` in the database outside, and links to it from there.
    fn lead_out(&self, name: &str) {
        let (inside, outside) = (self.path("db").join(name), self.path("outside").join("target"));
        fs::rename(&inside, &outside).unwrap();
        symlink(&outside, &inside).unwrap();
    }

    fn names(&self, dir: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(dir)).unwrap();
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn segments(&self) -> Vec<String> {
        self.names("db").into_iter().filter(|name| name.ends_with(".seg")).collect()
    }

    /// The directory of a view's store.
    fn store(&self, view: &str) -> String {
        let name = self.names("db/views").into_iter().find(|name| name.starts_with(&format!("{view}-")));
        format!("views/{}", name.unwrap())
    }
}

fn sum() -> Reduce<u64, u64, fn(&mut u64, &u64)> {
    Reduce::new(1, 0, |sum, n: &u64| *sum += n)
}

fn index() -> Index<u64, u64> {
    Index::new(1, |n: &u64| [*n])
}

/// Each file below, with its bytes.
fn content(dir: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(content(&path)) } else { found.push((path.clone(), fs::read(&path).unwrap())) }
    }
    found.sort();
    found
}

#[track_caller]
fn assert_refused<T>(what: &str, outcome: flumedb::Result<T>) {
    let error = outcome.err().unwrap_or_else(|| panic!("{what}: the link was followed"));
    assert_eq!(error.kind(), ErrorKind::Io, "{what}: {error}");
    assert!(error.to_string().contains("symbolic link"), "{what}: {error}");
}

#[test]
fn a_database_may_be_reached_by_a_link() {
    let rig = Rig::new();
    symlink(rig.path("db"), rig.path("link")).unwrap();
    let db = Flume::open(rig.path("link"), Json::<u64>::new()).blocking().unwrap();
    assert_eq!(*db.view("sum", sum()).blocking().unwrap().read().blocking().unwrap(), 3 * 49_995_000);
    assert_eq!(rig.open().err().unwrap().kind(), ErrorKind::Locked, "it is one database by either name");
    db.close().blocking().unwrap();
}

#[test]
fn a_file_of_the_log_that_leads_elsewhere_is_refused() {
    let segments = Rig::new().segments();
    assert!(segments.len() >= 3, "{segments:?}");
    for name in ["head", "lock", &segments[0], &segments[segments.len() - 1]] {
        let rig = Rig::new();
        // Segments are named alike, up to the sizes that the first ones came to.
        assert_eq!(rig.segments(), segments);
        rig.lead_out(name);
        let before = content(&rig.path("outside"));
        let written = rig.open().and_then(|db| {
            db.get(flumedb::Seq::new(0)).blocking()?;
            db.append(&1).blocking()
        });
        assert_refused(name, written);
        if name != "lock" {
            let read = Flume::read_only(rig.path("db"), Json::<u64>::new()).blocking();
            assert_refused(name, read.and_then(|db| db.get(flumedb::Seq::new(0)).blocking()));
        }
        assert_eq!(content(&rig.path("outside")), before, "{name}");
        // Nor when it leads nowhere: it must not be made there.
        fs::remove_file(rig.path("outside/target")).unwrap();
        assert!(rig.open().and_then(|db| db.get(flumedb::Seq::new(0)).blocking()).is_err(), "{name}");
        assert!(rig.names("outside").is_empty(), "{name}");
    }
}

#[test]
fn a_directory_that_leads_elsewhere_is_refused() {
    let rig = Rig::new();
    fs::write(rig.path("outside/000001-mine.txt"), "precious").unwrap();
    let before = content(&rig.path("outside"));

    symlink(rig.path("outside"), rig.path("db/torn")).unwrap();
    let last = rig.segments().pop().unwrap();
    let segment = rig.path("db").join(last);
    let whole = fs::read(&segment).unwrap();
    fs::OpenOptions::new().append(true).open(&segment).unwrap().write_all(&[7; 100]).unwrap();
    assert_refused("torn", rig.open());
    fs::remove_file(rig.path("db/torn")).unwrap();
    fs::write(&segment, whole).unwrap();

    fs::rename(rig.path("db/views"), rig.path("views")).unwrap();
    symlink(rig.path("outside"), rig.path("db/views")).unwrap();
    assert_refused("views", rig.open());
    fs::remove_file(rig.path("db/views")).unwrap();
    fs::rename(rig.path("views"), rig.path("db/views")).unwrap();

    let store = rig.path("db").join(rig.store("index"));
    fs::remove_dir_all(&store).unwrap();
    symlink(rig.path("outside"), &store).unwrap();
    let db = rig.open().unwrap();
    let read = db.view("index", index()).blocking().and_then(|view| view.read().blocking().map(drop));
    assert_refused("a view's directory", read);
    // Views elsewhere are fine if it is the program that says so.
    db.close().blocking().unwrap();
    symlink(rig.path("outside"), rig.path("elsewhere")).unwrap();
    assert_eq!(content(&rig.path("outside")), before);
    let db =
        Flume::builder(Json::<u64>::new()).views_in(rig.path("elsewhere")).open(rig.path("db")).blocking().unwrap();
    assert_eq!(*db.view("sum", sum()).blocking().unwrap().read().blocking().unwrap(), 3 * 49_995_000);
    db.close().blocking().unwrap();
}

/// The failure: files elsewhere that are named as cut tails are counted, or removed once they are old.
#[test]
fn nothing_is_kept_where_a_link_leads() {
    for name in ["torn", "damaged"] {
        let rig = Rig::new();
        fs::write(rig.path("outside/000000-0000000000-96-1.torn"), "precious").unwrap();
        let before = content(&rig.path("outside"));
        let read = Flume::read_only(rig.path("db"), Json::<u64>::new()).blocking().unwrap();
        let written = rig.open().unwrap();
        symlink(rig.path("outside"), rig.path("db").join(name)).unwrap();
        assert_refused(name, read.stat());
        assert_refused(name, written.compact().blocking());
        drop((read, written));
        assert_refused(name, rig.open());
        // Nor one that leads nowhere.
        fs::remove_file(rig.path("db").join(name)).unwrap();
        symlink(rig.path("nowhere"), rig.path("db").join(name)).unwrap();
        assert_refused(name, rig.open());
        assert_eq!(content(&rig.path("outside")), before, "{name}");
    }
}

#[test]
fn a_directory_of_views_that_leads_elsewhere_is_not_listed() {
    let rig = Rig::new();
    rig.lead_out("views");
    assert_refused("views", StoredView::list(&Env::os(), &rig.path("db/views")).map(drop));
    let outside = content(&rig.path("outside"));
    assert_refused("views", StoredView::discard(&Env::os(), &rig.path("db/views"), "sum"));
    assert_eq!(content(&rig.path("outside")), outside);
}

#[test]
fn a_file_of_a_view_that_leads_elsewhere_is_refused() {
    let rig = Rig::new();
    for (view, file) in [("index", "store"), ("sum", "state")] {
        rig.lead_out(&format!("{}/{file}", rig.store(view)));
        let before = content(&rig.path("outside"));
        let db = rig.open().unwrap();
        let read = match view {
            "index" => db.view(view, index()).blocking().and_then(|view| view.read().blocking().map(drop)),
            _ => db.view(view, sum()).blocking().and_then(|view| view.read().blocking().map(drop)),
        };
        assert_refused(view, read);
        drop(db);
        assert_eq!(content(&rig.path("outside")), before, "{view}");
        fs::remove_file(rig.path("outside/target")).unwrap();
    }
}

/// What a stopped replacement has left is removed at the next opening, and what somebody has put in its place is not
/// written through.
#[test]
fn temporary_files_are_made_anew_and_do_not_stay() {
    let rig = Rig::new();
    fs::write(rig.path("outside/target"), "precious").unwrap();
    let state = format!("{}/state.new", rig.store("sum"));
    let segment = format!("{}.new", rig.segments()[0]);
    for name in [&state, &segment] {
        symlink(rig.path("outside/target"), rig.path("db").join(name)).unwrap();
    }
    let db = rig.open().unwrap();
    let view = db.view("sum", sum()).blocking().unwrap();
    view.read().blocking().unwrap();
    for name in [&state, &segment] {
        assert!(rig.path("db").join(name).symlink_metadata().is_err(), "{name} is still there");
    }
    symlink(rig.path("outside/target"), rig.path("db").join(&state)).unwrap();
    db.append(&1).blocking().unwrap();
    assert_eq!(*view.read().blocking().unwrap(), 3 * 49_995_000 + 1);
    db.close().blocking().unwrap();
    assert_eq!(fs::read_to_string(rig.path("outside/target")).unwrap(), "precious");
    assert!(!rig.path("db").join(&state).exists());
}

/// The failure: a link at a temporary name that leads nowhere is taken for nothing, and nothing can be made there ever.
#[test]
fn a_temporary_name_is_free_though_a_link_there_leads_nowhere() {
    let rig = Rig::new();
    let (state, first) = (format!("{}/state.new", rig.store("sum")), "first.new".to_owned());
    let fresh = format!("{}.new", rig.segments()[1].replace("-0000.seg", "-0001.seg"));
    let status = format!("{}.status.new", rig.store("sum"));
    let db = rig.open().unwrap();
    let names = [&state, &first, &fresh, &status];
    for name in names {
        symlink("/nowhere/x", rig.path("db").join(name)).unwrap();
    }
    let view = db.view("sum", sum()).blocking().unwrap();
    view.read().blocking().unwrap();
    // The whole first segment goes, and one entry of the second.
    let second: u64 = rig.segments()[1].split('-').nth(1).unwrap().parse().unwrap();
    db.delete((0..=second).map(flumedb::Seq::new)).blocking().unwrap();
    view.read().blocking().unwrap();
    db.compact().blocking().unwrap();
    db.close().blocking().unwrap();
    for name in names {
        assert!(rig.path("db").join(name).symlink_metadata().is_err(), "{name} is still there");
    }
    let backup = rig.path("backup");
    let back_up = || SegmentedLog::backup_at(&Env::os(), &rig.path("db"), &backup, Sharing::Copy, |_, _| ());
    back_up().unwrap();
    symlink("/nowhere/x", backup.join("backup-manifest.new")).unwrap();
    symlink("/nowhere/x", backup.join("head.new")).unwrap();
    back_up().unwrap();
}

/// The failure: a way through a link, or around a corner, that ends in the database after all.
#[test]
fn a_backup_is_not_made_inside_of_what_it_is_of() {
    let rig = Rig::new();
    symlink(rig.path("db"), rig.path("link")).unwrap();
    fs::create_dir(rig.path("db/sub")).unwrap();
    symlink(rig.path("db/sub"), rig.path("sub")).unwrap();
    for to in ["link/inner", "sub/inner", "outside/../db/inner", "sub/../inner"] {
        let made = SegmentedLog::backup_at(&Env::os(), &rig.path("db"), &rig.path(to), Sharing::Copy, |_, _| ());
        let error = made.unwrap_err();
        assert!(error.kind() == ErrorKind::Invalid && error.to_string().contains("inside of"), "{to}: {error}");
    }
    for to in ["outside/backup", "db/../backup", "link/../link-backup"] {
        SegmentedLog::backup_at(&Env::os(), &rig.path("link"), &rig.path(to), Sharing::Copy, |_, _| ()).unwrap();
    }
    assert!(rig.path("backup/backup-manifest").exists() && rig.path("link-backup/backup-manifest").exists());
    assert_eq!(rig.names("db/sub"), Vec::<String>::new());
}

#[test]
fn a_pipe_does_not_make_an_opening_wait() {
    let rig = Rig::new();
    let last = rig.segments().pop().unwrap();
    for name in ["head", &last] {
        let path = rig.path("db").join(name);
        let bytes = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        let error = SegmentedLog::open(&Env::os(), &rig.path("db"), LogSettings::default()).err().unwrap();
        assert!(error.to_string().contains("not a file"), "{error}");
        let error = SegmentedLog::read_only(&Env::os(), &rig.path("db")).err().unwrap();
        assert!(error.to_string().contains("not a file"), "{error}");
        fs::remove_file(&path).unwrap();
        fs::write(&path, bytes).unwrap();
    }
}

#[test]
fn a_name_that_leads_out_is_no_name_of_a_view() {
    let rig = Rig::new();
    let db = rig.open().unwrap();
    for name in ["..", "../outside", "/etc", "a/b", "a\\b", ".", "", "a\0b", "ü", &"x".repeat(101)] {
        let error = db.view(name, sum()).blocking().err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{name:?}: {error}");
    }
    // Names of notes and consumers are only written into the log.
    let seq = db.append(&1).note(flumedb::log::Note::consumer("../../etc/passwd", flumedb::Seq::new(0))).blocking();
    let seq = seq.unwrap();
    db.ack("../outside/x", seq).blocking().unwrap();
    db.close().blocking().unwrap();
    assert!(rig.names("outside").is_empty());
}
