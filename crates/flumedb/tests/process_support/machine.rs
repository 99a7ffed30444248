//! What a test wants of the machine: other programs, a mount namespace of its own, file systems in files.

use std::{
    env,
    io::Write,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Set in a process that has a mount namespace of its own.
const INSIDE: &str = "FLUME_TEST_NAMESPACE";

/// Says that something is not tested on this machine, past the harness, which shows the words of failed tests only.
pub fn skipped(what: &str, why: &str) {
    drop(writeln!(std::io::stderr(), "skipped: {what}: {why}"));
}

/// Whether there is a program of this name.
pub fn is_there(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    // Those that make file systems are where not everybody looks.
    let dirs = env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    dirs.into_iter().any(|dir: PathBuf| dir.join(program).is_file())
}

fn command(words: &[&str]) -> Command {
    let mut command = Command::new(words[0]);
    let path = env::var("PATH").unwrap_or_default();
    command.args(&words[1..]).env("PATH", format!("{path}:/usr/sbin:/sbin")).stdin(Stdio::null());
    command
}

/// Runs a program to its end; what it said on standard error if it failed.
pub fn try_run(words: &[&str]) -> Result<(), String> {
    match command(words).stdout(Stdio::null()).output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// Runs a program that has to work.
///
/// # Panics
/// If it does not.
pub fn run(words: &[&str]) {
    try_run(words).unwrap_or_else(|error| panic!("{words:?}: {error}"));
}

fn is_root() -> bool {
    Path::new("/proc/self").metadata().is_ok_and(|meta| meta.uid() == 0)
}

/// Whether this process has a mount namespace of its own. If not, runs the test `test` in a process that has: what is
/// mounted there nobody else sees, and it is gone, with its loop devices, when that process is, however it ends. Where
/// that cannot be, says so. Whoever is not root is root there as far as `as_user` does.
///
/// # Panics
/// If the test fails there.
pub fn in_own_namespace(test: &str, as_user: bool) -> bool {
    if env::var_os(INSIDE).is_some() {
        return true;
    }
    let mut words = vec!["unshare", "--mount", "--propagation", "private"];
    if !is_root() && as_user {
        words.extend(["--user", "--map-root-user"]);
    }
    let probe: Vec<&str> = words.iter().copied().chain(["mount", "-t", "tmpfs", "flume", "/mnt"]).collect();
    if let Err(error) = try_run(&probe) {
        skipped(test, &format!("nothing can be mounted here ({error})"));
        return false;
    }
    let program = env::current_exe().unwrap();
    let status = command(&words)
        .arg(program)
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "1")
        .stdout(std::io::stderr())
        .status()
        .unwrap();
    assert!(status.success(), "see above");
    false
}

/// Something that is mounted, until this is dropped.
pub struct Mounted {
    at: PathBuf,
}

impl Mounted {
    /// Mounts `what` at `at`, which is made.
    ///
    /// # Errors
    /// What `mount` says.
    pub fn new(words: &[&str], what: &Path, at: &Path) -> Result<Self, String> {
        std::fs::create_dir_all(at).unwrap();
        let mut command: Vec<&str> = vec!["mount"];
        command.extend(words);
        command.extend([what.to_str().unwrap(), at.to_str().unwrap()]);
        try_run(&command)?;
        Ok(Self { at: at.to_owned() })
    }

    pub fn tmpfs(at: &Path, size: &str) -> Self {
        let size = format!("size={size}");
        Self::new(&["-t", "tmpfs", "-o", &size], Path::new("flume"), at).unwrap()
    }

    pub fn dir(&self) -> &Path {
        &self.at
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let at = self.at.to_str().unwrap();
        // A process that was just killed may still hold it for a moment; then it goes when that does.
        if try_run(&["umount", at]).is_err() {
            drop(try_run(&["umount", "--lazy", at]));
        }
    }
}

/// A file system in a file.
pub struct Image {
    path: PathBuf,
    kind: &'static str,
}

impl Image {
    /// Makes one.
    ///
    /// # Errors
    /// What the program that makes them says.
    pub fn create(kind: &'static str, path: &Path) -> Result<Self, String> {
        let name = path.to_str().unwrap();
        // As small as each of them may be.
        let (size, words): (_, &[&str]) = match kind {
            "ext4" => ("64M", &["mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0"]),
            "xfs" => ("320M", &["mkfs.xfs", "-q", "-f", "-m", "reflink=1"]),
            _ => ("128M", &["mkfs.btrfs", "-q", "-f"]),
        };
        try_run(&["truncate", "-s", size, name])?;
        let words: Vec<&str> = words.iter().copied().chain([name]).collect();
        try_run(&words)?;
        Ok(Self { path: path.to_owned(), kind })
    }

    /// Whether this machine can make such.
    pub fn can_be(kind: &str) -> bool {
        is_there(&format!("mkfs.{kind}"))
    }

    /// Mounts it; what its journal holds is replayed.
    ///
    /// # Errors
    /// What `mount` says.
    pub fn mount(&self, at: &Path) -> Result<Mounted, String> {
        // A copy has the name of the original, which may be mounted, too.
        let options = if self.kind == "xfs" { "loop,nouuid" } else { "loop" };
        Mounted::new(&["-t", self.kind, "-o", options], &self.path, at)
    }

    /// Copies it as it is at one moment, if the file system below can do that.
    ///
    /// # Errors
    /// What `cp` says.
    pub fn copy_at_once(&self, to: &Path) -> Result<Self, String> {
        self.copy("--reflink=always", to)
    }

    /// Copies it piece by piece.
    ///
    /// # Errors
    /// What `cp` says.
    pub fn copy_slowly(&self, to: &Path) -> Result<Self, String> {
        self.copy("--sparse=always", to)
    }

    fn copy(&self, how: &str, to: &Path) -> Result<Self, String> {
        try_run(&["cp", how, self.path.to_str().unwrap(), to.to_str().unwrap()])?;
        Ok(Self { path: to.to_owned(), kind: self.kind })
    }

    pub fn remove(self) {
        std::fs::remove_file(self.path).unwrap();
    }
}
