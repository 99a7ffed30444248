//! Looking at every byte of a backup: is it what the manifest says, and is it a log?

use std::{collections::BTreeSet, ops::Range, path::Path, sync::Arc};

use super::{
    Verified, crc64,
    manifest::{self, Listed, Manifest},
};
use crate::{
    Damage, Env, Error, ErrorKind, Result,
    check::Report,
    env::{File, OpenMode, Storage, each},
    log::segmented::{
        directory::{self, HeadFile},
        format::{FIRST_LEN, Fault, HEAD_LEN, HeadPage},
        note::Deletions,
        replay::Replay,
        segment::{check_header, fault_error},
        sound::Sounding,
        walk::{Position, Stop},
    },
};

/// What was found in one segment.
#[derive(Default)]
struct Looked {
    damage: Vec<Damage>,
    /// What its header says the one before ends with, and the first seq.
    begins: Option<(u32, u64)>,
    /// What it ends with, and the seq that comes then.
    ends: Option<(u32, u64)>,
    entries: u64,
    /// Deleted entries that were taken out; and where anything was.
    gone: u64,
    gaps: Vec<Range<u64>>,
    /// Deletions that it knows of, in segments before it too.
    deletions: Deletions,
}

/// Looks at every byte of the backup in `dir`.
pub(crate) fn verify(env: &Env, dir: &Path) -> Result<Verified> {
    let storage = &*env.storage;
    let found = match Manifest::read(storage, dir) {
        Err(error) if error.kind() == ErrorKind::Corrupt => Err(error.damage().cloned()),
        Err(error) => return Err(error),
        Ok(None) => {
            let message = format!("{} is no backup: there is no manifest in it", dir.display());
            return Err(Error::new(ErrorKind::NotFound, message));
        }
        Ok(Some((manifest, _))) => Ok(manifest),
    };
    let mut report = Report { format: Some("flume".to_owned()), ..Report::default() };
    let manifest = match found {
        Ok(manifest) if manifest.is_whole() => manifest,
        Ok(_) => {
            let reason = "the first backup to it was interrupted, so there is none yet: run it again";
            report.damage.push(Damage::new(manifest::path(dir), 0, 0, reason));
            return Ok(Verified { report, ..Verified::default() });
        }
        // Without it nobody knows what is to be there.
        Err(damage) => {
            report.damage.extend(damage);
            return Ok(Verified { report, ..Verified::default() });
        }
    };
    let (files, last) = (manifest.files.clone(), manifest.files.len() - 1);
    let numbered = files.into_iter().enumerate().collect();
    let (machine, at, told) = (storage_of(env), dir.to_owned(), manifest.clone());
    let looked = each(env, numbered, move |(number, listed): &(usize, Listed)| {
        look(&*machine, &at, listed, (*number == last).then_some(&told))
    });
    let (mut before, mut gaps, mut deletions) = (None, Vec::new(), Deletions::default());
    for (listed, looked) in manifest.files.iter().zip(looked) {
        let path = dir.join(listed.name.file_name());
        let broke_off = || Error::new(ErrorKind::Io, format!("looking at {} broke off; try again", path.display()));
        let Looked { damage, begins, ends, entries, gone, gaps: more, deletions: known } =
            looked.ok_or_else(broke_off)??;
        if let (Some(before), Some(begins)) = (before, begins)
            && before != begins
        {
            report.damage.push(Damage::new(&path, 0, listed.bytes, "it does not follow the segment before it"));
        }
        before = ends;
        report.damage.extend(damage);
        report.entries += entries;
        report.deleted += gone;
        gaps.extend(more);
        deletions = known;
        report.bytes += listed.bytes;
    }
    let pending = deletions.pending(manifest.first.map_or(0, |page| page.first), &gaps);
    report.entries = report.entries.saturating_sub(pending);
    report.deleted += pending;
    report.head = manifest.head();
    report.damage.extend(look_at_head(storage, dir, &manifest)?);
    report.damage.extend(look_at_first(storage, dir, &manifest)?);
    let extra = extra(storage, dir, &manifest)?;
    let (files, made_us) = (manifest.files.len() as u64, manifest.made_us);
    Ok(Verified { report, files, made_us, proof: manifest.proof(), extra })
}

fn storage_of(env: &Env) -> Arc<dyn Storage> {
    env.storage.clone()
}

/// Looks at one segment; of the last, `end` says where it ends.
fn look(storage: &dyn Storage, dir: &Path, listed: &Listed, end: Option<&Manifest>) -> Result<Looked> {
    let path = dir.join(listed.name.file_name());
    let mut looked = Looked::default();
    let file = match storage.open(&path, OpenMode::Read) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            looked.damage.push(Damage::new(&path, 0, listed.bytes, "it is missing"));
            return Ok(looked);
        }
        file => file.map_err(|error| Error::io("open", &path, error))?,
    };
    let io = |error| Error::io("read", &path, error);
    let len = file.len().map_err(io)?;
    if len < listed.bytes {
        looked.damage.push(Damage::new(&path, len, listed.bytes - len, "it is shorter than it was"));
        return Ok(looked);
    }
    // A run that was interrupted may have put a longer one in the place of the last: the same, and more.
    if len > listed.bytes && end.is_none() {
        looked.damage.push(Damage::new(&path, listed.bytes, len - listed.bytes, "it is longer than it was"));
        return Ok(looked);
    }
    let bytes = file.read(0, usize::try_from(listed.bytes).unwrap_or(usize::MAX)).map_err(io)?;
    let agrees = bytes.len() as u64 == listed.bytes && crc64(&bytes) == listed.crc;
    let read = match end {
        None => look_at_sealed(&*file, &path, listed, &mut looked),
        Some(manifest) => look_at_last(&*file, &path, &bytes, manifest, &mut looked),
    };
    match read {
        Err(error) => match error.damage() {
            Some(damage) => looked.damage.push(damage.clone()),
            None => return Err(error),
        },
        // Where nothing is written it may be none of the records.
        Ok(()) if !agrees => {
            looked.damage.push(Damage::new(&path, 0, listed.bytes, "its checksum is not the one in the manifest"));
        }
        Ok(()) => {}
    }
    Ok(looked)
}

fn look_at_sealed(file: &dyn File, path: &Path, listed: &Listed, looked: &mut Looked) -> Result<()> {
    let mut sounding = Sounding::of(file, path, listed.name)?;
    while !sounding.step(path, u64::MAX)? {}
    let sound = sounding.end();
    looked.begins = Some((sound.header.chain, sound.header.first));
    looked.ends = Some((sound.end.chain, sound.end.next));
    looked.entries = sound.entries;
    looked.gone = sound.places.gone().saturating_sub(sound.tombstones_gone);
    looked.gaps = sound.places.gaps(listed.name.first).collect();
    Ok(())
}

fn look_at_last(file: &dyn File, path: &Path, bytes: &[u8], manifest: &Manifest, looked: &mut Looked) -> Result<()> {
    let name = manifest.page().ordinal;
    let listed = manifest.files.last().filter(|last| last.name.ordinal == name);
    let Some(listed) = listed else { return Ok(()) };
    let header = check_header(file, path, listed.name, Some(manifest.id))?;
    looked.begins = Some((header.chain, header.first));
    let mut replay = Replay::new(Position::start(&header));
    replay.run(bytes, header.id, u64::MAX);
    looked.entries = replay.entries;
    looked.deletions = replay.deletions;
    match replay.stop {
        Stop::Bad { offset, fault } => Err(fault_error(path, offset, fault)),
        _ if (replay.position.offset, replay.position.next) != (manifest.end, manifest.next) => {
            let fault = Fault::Bad("its commits do not end where the manifest says");
            Err(fault_error(path, replay.position.offset, fault))
        }
        _ => Ok(()),
    }
}

/// The head page is written before the manifest, so it may be of a run that got no further.
fn look_at_head(storage: &dyn Storage, dir: &Path, manifest: &Manifest) -> Result<Option<Damage>> {
    let path = HeadFile::path(dir);
    let bytes = match storage.open(&path, OpenMode::Read).and_then(|file| Ok((file.len()?, file.read(0, HEAD_LEN)?))) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Ok(Some(Damage::new(path, 0, HEAD_LEN as u64, "it is missing")));
        }
        read => read.map_err(|error| Error::io("read", &path, error))?,
    };
    let fits = match HeadPage::decode(&bytes.1) {
        Ok(page) => page.id == manifest.id && bytes.0 == HEAD_LEN as u64 && page.watermark >= manifest.next,
        Err(_) => false,
    };
    Ok((!fits).then(|| Damage::new(path, 0, HEAD_LEN as u64, "it is not what was written there")))
}

/// So is the page that says where the log begins.
fn look_at_first(storage: &dyn Storage, dir: &Path, manifest: &Manifest) -> Result<Option<Damage>> {
    let Some(wanted) = &manifest.first else { return Ok(None) };
    let path = directory::first_path(dir);
    let damage = |reason: &str| Some(Damage::new(&path, 0, FIRST_LEN as u64, reason));
    match directory::read_first(storage, dir) {
        Ok(Some(page)) if page.id == manifest.id && page.ordinal >= wanted.ordinal => Ok(None),
        Ok(Some(_)) => Ok(damage("it is not what was written there")),
        Ok(None) => Ok(damage("it is missing")),
        Err(error) if error.kind() == ErrorKind::Corrupt => Ok(error.damage().cloned()),
        Err(error) => Err(error),
    }
}

/// What is there and not of the backup.
fn extra(storage: &dyn Storage, dir: &Path, manifest: &Manifest) -> Result<Vec<String>> {
    let ours: BTreeSet<String> = manifest.files.iter().map(|file| file.name.file_name()).collect();
    let mut names = storage.list(dir).map_err(|error| Error::io("list", dir, error))?;
    names.retain(|name| {
        let known = [directory::HEAD_FILE, directory::FIRST_FILE, directory::LOCK_FILE].contains(&name.as_str())
            || name == manifest::FILE;
        !known && !ours.contains(name)
    });
    Ok(names)
}
