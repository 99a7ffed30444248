//! Reads which files belong to a LevelDB directory, out of the changes that its manifest lists.

use std::collections::{BTreeMap, BTreeSet};

use flumedb::{Env, Error, ErrorKind, Result, check::TornTail};

use super::{Place, cursor::Cursor, journal, row};

/// The only order that flumelog-level's keys are in.
const COMPARATOR: &[u8] = b"leveldb.BytewiseComparator";

/// What is said in each manifest, from its first changes on: the order of the keys, the first log, the number of the next
/// file, and of the newest change.
const ALWAYS: [u64; 4] = [1, 2, 3, 4];

/// How many levels of tables there are at most.
const LEVELS: u64 = 7;

/// What belongs to a directory.
#[derive(Default)]
pub(super) struct Manifest {
    /// Tables by level and number.
    tables: BTreeMap<(u64, u64), TableFile>,
    /// Logs from this number on have not become tables yet.
    log: u64,
    /// Neither has this one.
    earlier_log: u64,
    /// What has been said so far.
    said: BTreeSet<u64>,
    /// There are keys that are no times.
    foreign: bool,
    pub(super) torn_tail: Option<TornTail>,
    /// The number of the newest change that is in it.
    pub(super) changed: u64,
}

/// A table with its first key and its last.
pub(super) struct TableFile {
    pub(super) number: u64,
    pub(super) smallest: u64,
    pub(super) largest: u64,
}

impl Manifest {
    /// Reads the manifest that `CURRENT` names.
    pub(super) fn read(env: &Env, dir: &std::path::Path) -> Result<Self> {
        let current = Place::file(dir, "CURRENT");
        let file = current.open(env)?;
        let name = file.read(0, 64).map_err(|error| Error::io("read", &current.path, error))?;
        let name = str::from_utf8(&name).ok().and_then(|name| name.strip_suffix('\n'));
        let digits = name.and_then(|name| name.strip_prefix("MANIFEST-"));
        let (Some(name), Some(true)) = (name, digits.map(|digits| digits.bytes().all(|byte| byte.is_ascii_digit())))
        else {
            return Err(current.corrupt(0, 0, "it names no manifest"));
        };
        let place = Place::file(dir, name);
        let file = place.open(env).map_err(|error| match error.kind() {
            ErrorKind::NotFound => current.corrupt(0, name.len(), "it names a manifest that is not there"),
            _ => error,
        })?;
        let journal = journal::read(&*file, &place)?;
        if let Some(stretch) = journal.damage.first() {
            return Err(Error::corrupt(place.damage(stretch)));
        }
        let mut manifest = Self { torn_tail: journal.torn_tail(&place), ..Self::default() };
        for record in &journal.records {
            if manifest.take(record)?.is_none() {
                return Err(place.corrupt(0, journal.len, "a change that is none"));
            }
        }
        if !ALWAYS.iter().all(|tag| manifest.said.contains(tag)) {
            return Err(place.corrupt(0, journal.len, "changes are missing that each manifest begins with"));
        }
        if manifest.foreign {
            let message = format!(
                "{} is a LevelDB directory, but not one of flumelog-level: its keys are no times",
                dir.display()
            );
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        Ok(manifest)
    }

    /// Makes one list of changes.
    fn take(&mut self, record: &[u8]) -> Result<Option<()>> {
        let mut rest = Cursor(record);
        while !rest.0.is_empty() {
            match rest.varint() {
                Some(1) => match rest.slice() {
                    None => return Ok(None),
                    Some(COMPARATOR) => drop(self.said.insert(1)),
                    Some(other) => {
                        let message = format!("its keys are ordered by {}, which is not known here", lossy(other));
                        return Err(Error::new(ErrorKind::Unsupported, message));
                    }
                },
                Some(tag) => {
                    if self.change(tag, &mut rest).is_none() {
                        return Ok(None);
                    }
                }
                None => return Ok(None),
            }
        }
        Ok(Some(()))
    }

    fn change(&mut self, tag: u64, rest: &mut Cursor<'_>) -> Option<()> {
        self.said.insert(tag);
        match tag {
            2 => self.log = rest.varint()?,
            // The next number of a file.
            3 => drop(rest.varint()?),
            4 => self.changed = self.changed.max(rest.varint()?),
            // Where the next compaction of a level goes on.
            5 => drop((rest.varint()?, rest.slice()?)),
            6 => drop(self.tables.remove(&(rest.varint()?, rest.varint()?))),
            7 => {
                let place = (rest.varint().filter(|level| *level < LEVELS)?, rest.varint()?);
                let _size = rest.varint()?;
                let (smallest, largest) = (bound(rest.slice()?), bound(rest.slice()?));
                match smallest.zip(largest) {
                    Some((smallest, largest)) => {
                        self.tables.insert(place, TableFile { number: place.1, smallest, largest });
                    }
                    None => self.foreign = true,
                }
            }
            9 => self.earlier_log = rest.varint()?,
            _ => return None,
        }
        Some(())
    }

    pub(super) fn tables(&self) -> impl Iterator<Item = &TableFile> {
        self.tables.values()
    }

    /// Whether the log of this number is not in tables yet.
    pub(super) fn has_log(&self, number: u64) -> bool {
        number >= self.log || number == self.earlier_log
    }
}

/// The key in the bound of a table.
fn bound(bytes: &[u8]) -> Option<u64> {
    row::key(row::split(bytes)?.0)
}

fn lossy(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes.get(..80).unwrap_or(bytes))
}
