//! [`Run`], one backup in the making, a file at a time.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::sync::oneshot;

use super::{
    BackedUp, OnProgress, Sharing,
    history::{self, Kin},
    manifest::{self, Listed, Manifest},
    moment::Moment,
    place::refuse_inside,
    refuse_to_write, remove_if_there,
    take::{Taker, Way, fresh_name},
};
use crate::{
    Damage, Env, Error, ErrorKind, Result, Seq,
    env::{
        self, Lock, OpenMode, PathKind, Signal, Step, Storage, Task, Worker,
        planted::{Bug, planted},
    },
    log::{
        Proof,
        segmented::{
            directory::{self, HeadFile},
            format::{LogId, SegmentName},
            segment::{check_header, read_trailer},
            tail::Tail,
        },
    },
};

/// How often it looks at the log anew because files were replaced meanwhile. What has been taken till then stays.
const TRIES: u32 = 100;

/// One backup in the making.
pub(crate) struct Run {
    env: Env,
    from: PathBuf,
    to: PathBuf,
    sharing: Sharing,
    stop: Arc<AtomicBool>,
    on_progress: OnProgress,
    begun: Option<Begun>,
    moment: Option<Moment>,
    /// The next of its sealed segments to take.
    next: usize,
    tries: u32,
    /// What has been taken in this run, or was there.
    taken: BTreeMap<SegmentName, Listed>,
    done: BackedUp,
}

/// What is known once it is clear that the backup can be made.
struct Begun {
    /// For as long as nobody else may write there.
    _lock: Box<dyn Lock>,
    old: Manifest,
    /// The log as readers see it, for proofs.
    tail: Tail,
}

impl Run {
    pub(crate) fn new(env: &Env, from: &Path, to: &Path, sharing: Sharing, on_progress: OnProgress) -> Self {
        Self {
            env: env.clone(),
            from: from.to_owned(),
            to: to.to_owned(),
            sharing,
            stop: Arc::default(),
            on_progress,
            begun: None,
            moment: None,
            next: 0,
            tries: 0,
            taken: BTreeMap::new(),
            done: BackedUp::default(),
        }
    }

    /// Makes all of it.
    pub(crate) fn finish(mut self) -> Result<BackedUp> {
        loop {
            if let Some(done) = self.step()? {
                return Ok(done);
            }
        }
    }

    /// Goes on by one file. What came of it, once all is done.
    fn step(&mut self) -> Result<Option<BackedUp>> {
        if self.moment.is_none() {
            let moment = self.look()?;
            if self.begun.is_none() {
                self.begin(&moment)?;
            }
            self.next = 0;
            self.moment = Some(moment);
            return Ok(None);
        }
        let name = self.moment.as_ref().and_then(|moment| moment.sealed.get(self.next).copied());
        if let Some(name) = name {
            return match self.take(name) {
                Ok(()) => {
                    self.next += 1;
                    let all = self.moment.as_ref().map_or(0, |moment| moment.sealed.len() as u64 + 1);
                    (self.on_progress)(self.next as u64, all);
                    Ok(None)
                }
                Err(error) => self.again(error),
            };
        }
        let Some(moment) = self.moment.take() else { return Ok(None) };
        // Files that come and go while one lists them may look as if one were missing.
        let present = match moment.is_present(&*self.env.storage, &self.from) {
            Err(error) if error.kind() == ErrorKind::Corrupt => false,
            present => present?,
        };
        if !present {
            return self.again(Error::new(ErrorKind::NotFound, "the log's files are replaced all the time; try again"));
        }
        self.complete(&moment).map(Some)
    }

    /// What of the log is on the disk now. While segments are rolled or replaced it may take more than one look.
    fn look(&self) -> Result<Moment> {
        const LOOKS: u32 = 5;
        let mut looks = 1;
        loop {
            match Moment::of(&self.env, &self.from) {
                Err(error) if looks < LOOKS && matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::NotFound) => {
                    looks += 1;
                }
                looked => return looked,
            }
        }
    }

    /// A file was replaced by another since the log was looked at: looks again.
    fn again(&mut self, error: Error) -> Result<Option<BackedUp>> {
        self.tries += 1;
        if error.kind() != ErrorKind::NotFound || self.tries >= TRIES || self.begun.is_none() {
            return Err(error);
        }
        self.moment = None;
        Ok(None)
    }

    /// Makes sure that this log may be copied to that place.
    fn begin(&mut self, moment: &Moment) -> Result<()> {
        let storage = &*self.env.storage;
        // A backup of a backup would not know what a later run does to it.
        refuse_to_write(storage, &self.from)?;
        refuse_inside(storage, &self.to)?;
        let (lock, old) = open(storage, &self.to, moment.id)?;
        let tail = Tail::open(&self.env, &self.from, None)?;
        if let Some(head) = old.head() {
            let refuse = |what: String| {
                let to = self.to.display();
                let message = format!("{what}; give a new directory, and keep {to} until you know which you need");
                Err(Error::new(ErrorKind::Invalid, message))
            };
            if old.next > moment.last.next {
                let (to, end) = (self.to.display(), moment.last.next);
                return refuse(format!(
                    "{to} holds entries up to {head}, and this log ends before {end}: it lost some, or is an older copy"
                ));
            }
            let kin = match (old.proof(), proof(&tail, head)?) {
                (Some(there), Some(here)) if there == here => Kin::Same,
                (Some(_), Some(_)) => Kin::Other(head),
                _ => self.compare(moment, &old)?,
            };
            let to = self.to.display();
            match kin {
                Kin::Same => {}
                Kin::Other(seq) => {
                    return refuse(format!(
                        "entry {seq} in {to} is another than here: these are two histories of one log"
                    ));
                }
                Kin::Unknown => {
                    return refuse(format!(
                        "{to} holds entries up to {head}, and too much was erased here since to tell whether they are the \
                         same that were here, or another history of this log"
                    ));
                }
            }
        }
        self.begun = Some(Begun { _lock: lock, old, tail });
        Ok(())
    }

    /// Holds the log against what is in the backup.
    fn compare(&self, moment: &Moment, old: &Manifest) -> Result<Kin> {
        let storage = &*self.env.storage;
        let end = history::End::of(storage, &self.to, old)?;
        let mut compared = end.compare(storage, &self.from, moment);
        for _ in 1..TRIES {
            // A segment was written anew, or dropped, since the log was looked at.
            match &compared {
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                _ => break,
            }
            compared = end.compare(storage, &self.from, &self.look()?);
        }
        compared
    }

    fn take(&mut self, name: SegmentName) -> Result<()> {
        if self.taken.contains_key(&name) {
            return Ok(());
        }
        let storage = self.env.storage.clone();
        if let Some(listed) = self.kept(name)? {
            self.done.kept += 1;
            self.taken.insert(name, listed);
            return Ok(());
        }
        let (listed, way) = self.taker(&*storage, |taker| taker.sealed(name))?;
        match way {
            Way::Found => self.done.kept += 1,
            Way::Cloned => self.done.cloned += 1,
            Way::Linked => self.done.linked += 1,
            Way::Copied => self.done.copied += 1,
        }
        self.taken.insert(name, listed);
        Ok(())
    }

    /// What the manifest says of a sealed segment that is there already. The last one of it was cut.
    fn kept(&self, name: SegmentName) -> Result<Option<Listed>> {
        let old = self.begun.as_ref().map(|begun| &begun.old);
        let sealed = old.and_then(|old| old.files.split_last()).map_or(&[][..], |(_, sealed)| sealed);
        let Ok(at) = sealed.binary_search_by_key(&name, |listed| listed.name) else { return Ok(None) };
        let Some(listed) = sealed.get(at) else { return Ok(None) };
        let path = self.to.join(name.file_name());
        let len = match self.env.storage.open(&path, OpenMode::Read).and_then(|file| file.len()) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            len => len.map_err(|error| Error::io("read", &path, error))?,
        };
        Ok((len == listed.bytes).then_some(*listed))
    }

    fn taker<T>(&mut self, storage: &dyn Storage, with: impl FnOnce(&mut Taker<'_>) -> Result<T>) -> Result<T> {
        let done = &mut self.done;
        let mut copied = |bytes| done.copied_bytes += bytes;
        with(&mut Taker {
            storage,
            from: &self.from,
            to: &self.to,
            sharing: self.sharing,
            link: true,
            stop: &self.stop,
            copied: &mut copied,
        })
    }

    /// All sealed segments are there: copies the last one, and says so.
    fn complete(&mut self, moment: &Moment) -> Result<BackedUp> {
        let storage = self.env.storage.clone();
        let storage = &*storage;
        let mut files: Vec<Listed> = moment.sealed.iter().filter_map(|name| self.taken.get(name).copied()).collect();
        files.push(self.last(storage, moment)?);
        self.check_links(storage, moment, &files)?;
        if planted(Bug::BackupWithoutLast) {
            files.pop();
        }
        let Some(begun) = &self.begun else { return Err(Error::closed()) };
        let mut manifest = Manifest {
            id: moment.id,
            epoch: moment.epoch,
            first: moment.first,
            next: moment.last.next,
            proof: None,
            end: moment.last.end,
            sealed: moment.last.sealed,
            made_us: self.env.clock.unix_us(),
            files,
        };
        if let Some(head) = manifest.head() {
            begun.tail.refresh()?;
            let proof = proof(&begun.tail, head)?;
            manifest.proof = proof.and_then(|proof| Some(u32::from_le_bytes(proof.0.try_into().ok()?)));
        }
        storage.sync_dir(&self.to).map_err(|error| Error::io("sync", &self.to, error))?;
        if let Some(first) = &manifest.first {
            directory::write_first(storage, &self.to, first)?;
        }
        let head = HeadFile::path(&self.to);
        env::replace(storage, &head, &manifest.page().encode()).map_err(|error| Error::io("write", &head, error))?;
        manifest.write(storage, &self.to)?;
        self.done.removed = remove_others(storage, &self.to, &manifest)?;
        let done = std::mem::take(&mut self.done);
        let (files, bytes) = (manifest.files.len() as u64, manifest.bytes());
        Ok(BackedUp { head: manifest.head(), proof: manifest.proof(), files, bytes, ..done })
    }

    /// The last segment, as far as it is on the disk: a file of the backup's own, since the log's goes on.
    fn last(&mut self, storage: &dyn Storage, moment: &Moment) -> Result<Listed> {
        let last = &moment.last;
        let old = self.begun.as_ref().and_then(|begun| begun.old.files.last()).copied();
        if let Some(old) = old.filter(|old| old.name == last.name && old.bytes == last.bytes.len() as u64) {
            let path = self.to.join(old.name.file_name());
            let same = storage
                .open(&path, OpenMode::Read)
                .and_then(|file| Ok(file.len()? == old.bytes && file.read(0, last.bytes.len())? == last.bytes));
            if same.unwrap_or(false) {
                self.done.kept += 1;
                return Ok(old);
            }
        }
        self.done.copied += 1;
        self.taker(storage, |taker| taker.copy(&last.bytes, last.name))
    }

    /// Each segment begins where the one before it ends. Those that are in the backup from earlier are not read again.
    fn check_links(&self, storage: &dyn Storage, moment: &Moment, files: &[Listed]) -> Result<()> {
        let mut end = None;
        for Listed { name, bytes, .. } in files {
            let path = self.to.join(name.file_name());
            let file = storage.open(&path, OpenMode::Read).map_err(|error| Error::io("open", &path, error))?;
            let header = check_header(&*file, &path, *name, Some(moment.id))?;
            if end.is_some_and(|end| end != (header.chain, header.first)) {
                let reason = "it does not follow the segment before it";
                return Err(Error::corrupt(Damage::new(&path, 0, *bytes, reason)));
            }
            if *name != moment.last.name {
                let trailer = read_trailer(&*file, &path)?;
                end = Some((trailer.chain, trailer.first.saturating_add(trailer.count)));
            }
        }
        Ok(())
    }
}

/// Evidence for an entry, unless it was taken out.
fn proof(tail: &Tail, seq: Seq) -> Result<Option<Proof>> {
    match tail.shared().proof(seq) {
        Err(error) if error.kind() == ErrorKind::Deleted => Ok(None),
        proof => proof,
    }
}

/// Opens the place for backups of a log, or makes it one; nobody else writes there until the lock is dropped.
fn open(storage: &dyn Storage, to: &Path, id: LogId) -> Result<(Box<dyn Lock>, Manifest)> {
    let refuse = |what: &str| {
        let message = format!("{} {what}; give a directory that is new, or has a backup of this log", to.display());
        Error::new(ErrorKind::Invalid, message)
    };
    match storage.kind(to).map_err(|error| Error::io("look at", to, error))? {
        Some(PathKind::Dir) => {}
        Some(PathKind::File) => return Err(refuse("is a file")),
        None => {
            storage.create_dir_all(to).map_err(|error| Error::io("create", to, error))?;
            directory::sync_above(storage, to)?;
            directory::sync(storage, to)?;
        }
    }
    let names = storage.list(to).map_err(|error| Error::io("list", to, error))?;
    let marked = manifest::is_there(storage, to)?;
    if !marked && names.iter().any(|name| name != directory::LOCK_FILE && !manifest::is_ours(name)) {
        return Err(refuse("holds something else"));
    }
    let path = to.join(directory::LOCK_FILE);
    let lock = storage.lock(&path).map_err(|error| Error::io("lock", &path, error))?.ok_or_else(|| {
        Error::new(
            ErrorKind::Locked,
            format!("another backup to {} is going on; wait until it has ended", to.display()),
        )
    })?;
    let old = match Manifest::read(storage, to)? {
        Some((old, _)) if old.id != id => return Err(refuse("holds a backup of another log")),
        Some((old, _)) => old,
        None => {
            // From here on everybody knows what this directory is for, also if the first run is interrupted.
            let empty = Manifest::empty(id);
            empty.write(storage, to)?;
            empty
        }
    };
    Ok((lock, old))
}

/// Removes segments that the manifest does not name (any more), and what interrupted runs have left. Says how many were
/// in the backup.
fn remove_others(storage: &dyn Storage, to: &Path, manifest: &Manifest) -> Result<u64> {
    let mut removed = 0;
    for file in storage.list(to).map_err(|error| Error::io("list", to, error))? {
        let named = |name: &SegmentName| manifest.files.binary_search_by_key(name, |listed| listed.name).is_ok();
        let segment = SegmentName::parse(&file).filter(|name| !named(name));
        let fresh = file.strip_suffix(".new").and_then(SegmentName::parse).filter(|name| fresh_name(*name) == file);
        if segment.is_some() || fresh.is_some() {
            remove_if_there(storage, &to.join(file))?;
            removed += u64::from(segment.is_some());
        }
    }
    storage.sync_dir(to).map_err(|error| Error::io("sync", to, error))?;
    Ok(removed)
}

/// A run on a thread of its own. Dropping it ends it.
pub(crate) struct Going {
    stop: Arc<AtomicBool>,
    answer: oneshot::Receiver<Result<BackedUp>>,
    _worker: Box<dyn Worker>,
}

/// Starts a run on a thread of its own.
pub(crate) fn start(run: Run) -> Result<Going> {
    let (reply, answer) = oneshot::channel();
    let (stop, threads, to) = (run.stop.clone(), run.env.threads.clone(), run.to.clone());
    let task = Box::new(Making { run, reply: Some(reply) });
    let worker = threads.spawn("flume-backup", task, Arc::new(Signal::new()));
    let worker = worker.map_err(|error| Error::io("start the backup to", &to, error))?;
    Ok(Going { stop, answer, _worker: worker })
}

impl Going {
    pub(crate) async fn done(mut self) -> Result<BackedUp> {
        (&mut self.answer).await.unwrap_or_else(|_| Err(Error::closed()))
    }
}

impl Drop for Going {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
    }
}

struct Making {
    run: Run,
    reply: Option<oneshot::Sender<Result<BackedUp>>>,
}

impl Task for Making {
    fn step(&mut self) -> Step {
        if self.run.stop.load(Ordering::Acquire) {
            return Step::Done;
        }
        match self.run.step().transpose() {
            None => Step::Yield,
            Some(done) => {
                // The directory is free before anybody is told.
                self.run.begun = None;
                if let Some(reply) = self.reply.take() {
                    // Who has stopped waiting needs no answer.
                    let _ = reply.send(done);
                }
                Step::Done
            }
        }
    }
}
