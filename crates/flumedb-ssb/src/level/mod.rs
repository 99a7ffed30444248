//! The LevelDB directories of flumelog-level: entries under the times at which they were appended, read in that order and
//! never changed. LevelDB itself would write as soon as it opens one.
//!
//! ```text
//! CURRENT         names the manifest
//! MANIFEST-n      journal: which tables and logs belong to the directory
//! n.log           journal: the newest rows, in batches
//! n.ldb, n.sst    table: sorted rows in compressed blocks
//! ```

mod block;
mod cursor;
mod journal;
mod manifest;
mod merge;
mod row;
mod table;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use flumedb::{
    Damage, Env, Error, ErrorKind, Result, Seq,
    check::{Report, TornTail},
    env::{File, OpenMode, PathKind},
};

use journal::Stretch;
use manifest::Manifest;
use merge::{Merge, Run};

/// The entries of a flumelog-level directory in the order of their numbers, read from its files as they are.
///
/// The number of an entry is the eight bytes of its key: the time of its appending in milliseconds since 1970 as a
/// big-endian `f64`, which orders as they do. Its payload is JSON text. A directory that another program has open is read as
/// far as that has written it.
///
/// An error of the kind `Corrupt` stands for entries that cannot be read; the iterator goes on behind them. All others end
/// it.
///
/// ```no_run
/// use flumedb::Env;
/// use flumedb_ssb::LevelEntries;
/// for entry in LevelEntries::open(&Env::os(), "flume.level".as_ref())? {
///     let (seq, json) = entry?;
///     println!("{seq} {}", String::from_utf8_lossy(&json));
/// }
/// # Ok::<(), flumedb::Error>(())
/// ```
pub struct LevelEntries {
    rows: Merge,
    /// What is wrong with the logs, which were read already.
    damage: std::vec::IntoIter<Error>,
    torn_tail: Option<TornTail>,
    ended: bool,
}

impl LevelEntries {
    /// Whether there is a LevelDB directory at `path`.
    ///
    /// # Errors
    /// `Io`.
    pub fn is_at(env: &Env, path: &Path) -> Result<bool> {
        let current = path.join("CURRENT");
        let kind = |path: &Path| env.storage.kind(path).map_err(|error| Error::io("look at", path, error));
        Ok(kind(path)? == Some(PathKind::Dir) && kind(&current)? == Some(PathKind::File))
    }

    /// Opens the directory at `path`. Changes nothing, and takes no lock.
    ///
    /// # Errors
    /// `NotFound`, `Io`; `Corrupt` if what lists its files is damaged; `Unsupported` if its keys are not in the order of
    /// their bytes.
    pub fn open(env: &Env, path: &Path) -> Result<Self> {
        let manifest = Manifest::read(env, path)?;
        let names = env.storage.list(path).map_err(|error| Error::io("list", path, error))?;
        let mut logs: Vec<(u64, &String)> =
            names.iter().filter_map(|name| Some((number(name, &["log"])?, name))).collect();
        logs.retain(|&(number, _)| manifest.has_log(number));
        logs.sort_unstable();

        let (mut rows, mut damage, mut torn_tail) = (Vec::new(), Vec::new(), manifest.torn_tail.clone());
        for (_, name) in logs {
            let place = Place::file(path, name);
            let journal = journal::read(&*place.open(env)?, &place)?;
            for batch in &journal.records {
                if row::add_batch(batch, &mut rows).is_none() {
                    damage.push(place.corrupt(0, journal.len, "a batch that is none"));
                }
            }
            damage.extend(journal.damage.iter().map(|stretch| place.damaged(stretch)));
            torn_tail = torn_tail.or_else(|| journal.torn_tail(&place));
        }
        rows.sort_by(|one, two| one.order().cmp(&two.order()));

        let mut runs = vec![Run::Rows(rows.into_iter())];
        for table in manifest.tables() {
            let name = names.iter().find(|name| number(name, &["ldb", "sst"]) == Some(table.number));
            let name = name.map_or_else(|| format!("{:06}.ldb", table.number), Clone::clone);
            runs.push(Run::Closed(table, path.join(name)));
        }
        Ok(Self { rows: Merge::new(env.clone(), runs), damage: damage.into_iter(), torn_tail, ended: false })
    }

    /// What a writer left that was stopped. LevelDB passes over it, too.
    pub fn torn_tail(&self) -> Option<&TornTail> {
        self.torn_tail.as_ref()
    }

    /// Looks at every byte of the directory at `path`, and says what is there.
    ///
    /// # Errors
    /// As [`open`](Self::open); `Invalid` if it is not one of flumelog-level.
    pub fn check(env: &Env, path: &Path) -> Result<Report> {
        let entries = Self::open(env, path)?;
        let mut report =
            Report { format: Some("level".to_owned()), torn_tail: entries.torn_tail.clone(), ..Report::default() };
        for entry in entries {
            match entry {
                Ok((seq, _)) => {
                    report.entries += 1;
                    report.head = Some(seq);
                }
                Err(error) => match error.damage() {
                    Some(damage) => report.damage.push(damage.clone()),
                    None => return Err(error),
                },
            }
        }
        for name in env.storage.list(path).map_err(|error| Error::io("list", path, error))? {
            let place = Place::file(path, &name);
            let len = place.open(env)?.len().map_err(|error| Error::io("read", &place.path, error))?;
            report.bytes = report.bytes.saturating_add(len);
        }
        Ok(report)
    }
}

impl Iterator for LevelEntries {
    type Item = Result<(Seq, Bytes)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let next = match self.damage.next() {
            Some(error) => Some(Err(error)),
            None => self.rows.next_pair().map(|pair| entry(pair?)),
        };
        self.ended = match &next {
            None => true,
            Some(Err(error)) => error.kind() != ErrorKind::Corrupt,
            Some(Ok(_)) => false,
        };
        next
    }
}

fn entry((key, value): (Bytes, Bytes)) -> Result<(Seq, Bytes)> {
    let time = key.as_ref().try_into().map(f64::from_be_bytes);
    match time {
        Ok(time) if time.is_finite() && time.is_sign_positive() => Ok((Seq::new(time.to_bits()), value)),
        _ => Err(Error::new(
            ErrorKind::Invalid,
            "a LevelDB directory, but not one of flumelog-level: its keys are no times",
        )),
    }
}

/// The number of a file with one of these endings.
fn number(name: &str, endings: &[&str]) -> Option<u64> {
    let (digits, ending) = name.split_once('.')?;
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| plain && endings.contains(&ending))
}

/// A file that is read, for what is said of it.
struct Place {
    path: PathBuf,
}

impl Place {
    fn file(dir: &Path, name: &str) -> Self {
        Self { path: dir.join(name) }
    }

    fn open(&self, env: &Env) -> Result<Arc<dyn File>> {
        env.storage.open(&self.path, OpenMode::Read).map_err(|error| Error::io("open", &self.path, error))
    }

    fn corrupt(&self, offset: u64, bytes: usize, reason: &str) -> Error {
        Error::corrupt(Damage::new(&self.path, offset, bytes as u64, reason))
    }

    fn damaged(&self, Stretch { offset, bytes, reason }: &Stretch) -> Error {
        self.corrupt(*offset as u64, *bytes, reason)
    }
}
