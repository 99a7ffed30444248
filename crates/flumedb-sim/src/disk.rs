//! [`SimDisk`], a [`Storage`] over an [`Image`]: counts calls, fails them as told, loses power.

use std::{
    collections::BTreeSet,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use flumedb::env::{File, Lock, OpenMode, PathKind, Room, Storage, Watch};

use crate::{
    Call, Choices, Fault, FaultKind, Image, SimClock,
    handle::{SimFile, SimLock, SimWatch},
    image::Node,
};

/// A disk that does what it is told to. Cheap to clone; every clone is the same disk.
#[derive(Clone)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
    pub(crate) clock: Arc<SimClock>,
}

type Hook = Box<dyn FnMut(Call, &Image) + Send>;

pub(crate) struct State {
    pub(crate) image: Image,
    pub(crate) capacity: Option<u64>,
    /// Whether the process or the machine is dead, and every call with it.
    off: bool,
    locked: BTreeSet<PathBuf>,
    faults: Vec<Armed>,
    /// No call counts for now.
    unseen: bool,
    calls: u64,
    power_off_at: Option<u64>,
    hook: Option<Hook>,
    seeds: fastrand::Rng,
    /// Grows with every change, for watches.
    pub(crate) changes: u64,
}

struct Armed {
    fault: Fault,
    /// Calls that it could have hit since it was set.
    seen: u64,
}

impl SimDisk {
    /// A disk with something on it. What it does by chance follows from `seed`.
    pub fn new(image: Image, seed: u64, clock: Arc<SimClock>) -> Self {
        let state = State {
            image,
            capacity: None,
            off: false,
            locked: BTreeSet::new(),
            faults: Vec::new(),
            unseen: false,
            calls: 0,
            power_off_at: None,
            hook: None,
            seeds: fastrand::Rng::with_seed(seed),
            changes: 0,
        };
        Self { state: Arc::new(Mutex::new(state)), clock }
    }

    /// What is on it.
    pub fn image(&self) -> Image {
        self.state().image.clone()
    }

    /// Puts other bytes on it; files stay open.
    pub fn set_image(&self, image: Image) {
        self.state().image = image;
    }

    /// How many calls there have been.
    pub fn calls(&self) -> u64 {
        self.state().calls
    }

    /// Room for so many bytes, in pages of 4 KiB; `None` is without end.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.state().capacity = bytes;
    }

    /// Arms a failure.
    pub fn set_fault(&self, fault: Fault) {
        self.state().faults.push(Armed { fault, seen: 0 });
    }

    /// Disarms all failures. Says how many calls the first of them could have hit, for sweeping over them.
    pub fn clear_faults(&self) -> u64 {
        std::mem::take(&mut self.state().faults).first().map_or(0, |armed| armed.seen)
    }

    /// The power goes when call number `call` (from 0) is made: it and all later calls fail.
    pub fn power_off_at(&self, call: Option<u64>) {
        self.state().power_off_at = call;
    }

    /// Shows `hook` every call, with the disk as it is before it. The hook must not use the disk.
    pub fn set_hook(&self, hook: Option<Hook>) {
        self.state().hook = hook;
    }

    /// What `act` does on the disk counts for nothing: no failure hits it, no hook sees it.
    pub fn unseen<T>(&self, act: impl FnOnce() -> T) -> T {
        self.state().unseen = true;
        let done = act();
        self.state().unseen = false;
        done
    }

    /// From now on every call fails. Says what is on the disk.
    pub(crate) fn power_off(&self) -> Image {
        let mut state = self.state();
        state.off = true;
        state.image.clone()
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a call; says whether and how it shall fail.
    pub(crate) fn enter(&self, call: Call) -> io::Result<(MutexGuard<'_, State>, Option<FaultKind>)> {
        let mut state = self.state();
        let fault = state.begin(call)?;
        Ok((state, fault))
    }

    pub(crate) fn unlock(&self, path: &Path) {
        self.state().locked.remove(path);
    }

    /// A call on names: begins it, lets it fail as told, then does `act`.
    fn on_names<T>(&self, call: Call, act: impl FnOnce(&mut Image) -> io::Result<T>) -> io::Result<T> {
        let (mut state, fault) = self.enter(call)?;
        if let Some(fault) = fault {
            return Err(fault.error());
        }
        state.changes += u64::from(call.changes());
        act(&mut state.image)
    }
}

impl State {
    fn begin(&mut self, call: Call) -> io::Result<Option<FaultKind>> {
        let number = self.calls;
        self.off |= self.power_off_at.is_some_and(|at| number >= at);
        if self.off {
            return Err(io::Error::other("the power is off"));
        }
        if self.unseen {
            return Ok(None);
        }
        self.calls += 1;
        if let Some(hook) = &mut self.hook {
            hook(call, &self.image);
        }
        let mut failing = None;
        for Armed { fault, seen } in self.faults.iter_mut().filter(|armed| armed.fault.kind.hits(call)) {
            if *seen == fault.nth || (fault.lasting && *seen > fault.nth) {
                failing = failing.or(Some(fault.kind));
            }
            *seen += 1;
        }
        Ok(failing)
    }

    /// What chance says this time.
    pub(crate) fn chance(&mut self) -> Choices {
        Choices::seeded(self.seeds.u64(..))
    }

    pub(crate) fn pick(&mut self, size: u64) -> u64 {
        self.seeds.u64(0..size.max(1))
    }
}

impl Storage for SimDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        let call = if mode == OpenMode::CreateNew { Call::Create } else { Call::Open };
        let file = self.on_names(call, |image| match mode {
            OpenMode::CreateNew => image.create(path),
            OpenMode::Read | OpenMode::Write => image.file(path),
        })?;
        Ok(Arc::new(SimFile { disk: self.clone(), file, writable: mode != OpenMode::Read }))
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.on_names(Call::CreateDirs, |image| image.names_mut().create_dirs(dir))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.on_names(Call::List, |image| image.names().list(dir))
    }

    fn kind(&self, path: &Path) -> io::Result<Option<PathKind>> {
        self.on_names(Call::Kind, |image| {
            Ok(image.names().find(path)?.map(|node| match node {
                Node::Dir(_) => PathKind::Dir,
                Node::File(_) => PathKind::File,
            }))
        })
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.on_names(Call::Link, |image| image.link(from, to))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.on_names(Call::Rename, |image| image.names_mut().rename(from, to))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.on_names(Call::Remove, |image| image.names_mut().remove(path))
    }

    fn remove_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.on_names(Call::RemoveDir, |image| image.names_mut().remove_dir_all(dir))
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.on_names(Call::SyncDir, |image| image.names_mut().sync(dir))
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Lock>>> {
        self.on_names(Call::Lock, |image| match image.file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => image.create(path),
            other => other,
        })?;
        let free = self.state().locked.insert(path.to_owned());
        Ok(free.then(|| Box::new(SimLock { disk: self.clone(), path: path.to_owned() }) as Box<dyn Lock>))
    }

    fn is_locked(&self, path: &Path) -> io::Result<bool> {
        // It changes nothing: a call like a look at a name.
        self.on_names(Call::Kind, |_| Ok(()))?;
        Ok(self.state().locked.contains(path))
    }

    fn watch(&self, _path: &Path) -> io::Result<Box<dyn Watch>> {
        let (state, _) = self.enter(Call::Watch)?;
        Ok(Box::new(SimWatch { disk: self.clone(), seen: state.changes }))
    }

    /// Nothing on the disk changes or can fail: it is no call that counts.
    fn room(&self, _dir: &Path) -> io::Result<Option<Room>> {
        let state = self.state();
        let free = |total: u64| total.saturating_sub(state.image.used_bytes());
        Ok(state.capacity.map(|total| Room { free: free(total), total }))
    }
}
