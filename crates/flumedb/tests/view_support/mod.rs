//! What the tests of views share: a log that can be made to fail, and a view that tells what is done to it.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a module of several tests, each of which uses a part"
)]

use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use flumedb::{
    Bytes, Env, Error, ErrorKind, Result, Seq,
    env::OpenMode,
    log::{Batch, BoxFuture, Chunk, Log, LogIdentity, LogStat, MemoryLog, Proof, ReadRequest},
    view::{Checkpoint, Definition, Entries, Host, HostSettings, Live, Place, Retraction, Run, View, ViewContext},
};
use tokio::sync::watch;

/// A log in memory that keeps the payloads of deleted entries and does as it is told.
pub struct TestLog {
    inner: MemoryLog,
    identity: LogIdentity,
    deleted: Mutex<HashMap<Seq, Bytes>>,
    /// The most that one read gives.
    pub chunk_bytes: usize,
    pub keeps_deleted: AtomicBool,
    pub proves: AtomicBool,
    pub failing_reads: AtomicUsize,
    pub failing_syncs: AtomicUsize,
    pub synced_to: Mutex<Option<Seq>>,
    /// Told apart by this in proofs, as a copy that went its own way would be.
    pub branch: u8,
}

impl TestLog {
    pub fn new() -> Arc<Self> {
        Self::with(7, 0, 64)
    }

    /// A log with an identity, a branch of its history, and so many bytes to a read.
    pub fn with(identity: u8, branch: u8, chunk_bytes: usize) -> Arc<Self> {
        Arc::new(Self {
            inner: MemoryLog::new(&Env::memory()).unwrap(),
            identity: LogIdentity(vec![identity]),
            deleted: Mutex::default(),
            chunk_bytes,
            keeps_deleted: AtomicBool::new(true),
            proves: AtomicBool::new(true),
            failing_reads: AtomicUsize::new(0),
            failing_syncs: AtomicUsize::new(0),
            synced_to: Mutex::default(),
            branch,
        })
    }

    pub async fn push(&self, values: &[&str]) -> Vec<Seq> {
        let mut batch = Batch::new();
        values.iter().for_each(|value| batch.push(value.as_bytes()));
        self.inner.append(batch).await.unwrap()
    }

    /// Appends `count` entries, each the text of its number.
    pub async fn fill(&self, count: u64) {
        let start = self.inner.head().borrow().map_or(0, |head| head.get() + 1);
        let mut batch = Batch::new();
        (start..start + count).for_each(|number| batch.push(number.to_string().as_bytes()));
        self.inner.append(batch).await.unwrap();
    }
}

fn take_one(counter: &AtomicUsize) -> bool {
    counter.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
}

impl Log for TestLog {
    fn identity(&self) -> LogIdentity {
        self.identity.clone()
    }

    fn head(&self) -> watch::Receiver<Option<Seq>> {
        self.inner.head()
    }

    fn barrier(&self) -> BoxFuture<'_, Result<Option<Seq>>> {
        self.inner.barrier()
    }

    fn first(&self) -> Option<Seq> {
        self.inner.first()
    }

    fn read(&self, request: ReadRequest) -> BoxFuture<'_, Result<Chunk>> {
        if take_one(&self.failing_reads) {
            return Box::pin(std::future::ready(Err(Error::new(ErrorKind::Io, "a read was made to fail"))));
        }
        self.inner.read(ReadRequest { max_bytes: request.max_bytes.min(self.chunk_bytes), ..request })
    }

    fn get_now(&self, seq: Seq) -> Option<Result<Bytes>> {
        self.inner.get_now(seq)
    }

    fn deleted_payload(&self, seq: Seq) -> Option<Bytes> {
        let keeps = self.keeps_deleted.load(Ordering::SeqCst);
        self.deleted.lock().unwrap().get(&seq).filter(|_| keeps).cloned()
    }

    fn append(&self, batch: Batch) -> BoxFuture<'_, Result<Vec<Seq>>> {
        self.inner.append(batch)
    }

    fn delete(&self, seqs: &[Seq]) -> BoxFuture<'_, Result<()>> {
        let mut deleted = self.deleted.lock().unwrap();
        for &seq in seqs {
            if let Some(Ok(payload)) = self.inner.get_now(seq) {
                deleted.insert(seq, payload);
            }
        }
        drop(deleted);
        self.inner.delete(seqs)
    }

    fn sync(&self, to: Option<Seq>) -> BoxFuture<'_, Result<()>> {
        if take_one(&self.failing_syncs) {
            return Box::pin(std::future::ready(Err(Error::new(ErrorKind::StorageFull, "no room was left"))));
        }
        let mut synced = self.synced_to.lock().unwrap();
        *synced = (*synced).max(to.or(*self.inner.head().borrow()));
        Box::pin(std::future::ready(Ok(())))
    }

    fn proof(&self, seq: Seq) -> Result<Option<Proof>> {
        let proof = self.inner.proof(seq)?.filter(|_| self.proves.load(Ordering::SeqCst));
        Ok(proof.map(|mut proof| {
            proof.0.push(self.branch);
            proof
        }))
    }

    fn stat(&self) -> Result<LogStat> {
        self.inner.stat()
    }

    fn close(&self) -> BoxFuture<'_, Result<()>> {
        self.inner.close()
    }
}

/// What a view is about to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    Open,
    Apply(Seq, String),
    Retract(Seq, Option<String>),
    Publish(Option<Seq>),
    Sync,
}

type Hook = Arc<dyn Fn(&Call) -> Result<()> + Send + Sync>;

/// A view that keeps what it is given, in memory or in one file, and asks a hook before anything it does.
pub struct Probe {
    pub version: u32,
    /// Whether it can take back a deleted entry.
    pub retracts: bool,
    pub hook: Hook,
    items: BTreeMap<u64, String>,
    published: Option<Vec<u8>>,
    place: Option<Place>,
}

/// What a probe shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub since: Option<Seq>,
    pub items: BTreeMap<u64, String>,
}

impl Probe {
    pub fn new() -> Self {
        Self::hooked(|_| Ok(()))
    }

    pub fn hooked(hook: impl Fn(&Call) -> Result<()> + Send + Sync + 'static) -> Self {
        Self { version: 1, retracts: true, hook: Arc::new(hook), items: BTreeMap::new(), published: None, place: None }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The file of a probe: the checkpoint's length, the checkpoint, then the items.
fn to_file(at: &Checkpoint, items: &BTreeMap<u64, String>) -> Vec<u8> {
    let checkpoint = at.to_bytes();
    let mut bytes = (checkpoint.len() as u32).to_le_bytes().to_vec();
    bytes.extend(checkpoint);
    bytes.extend(serde_json::to_vec(items).unwrap());
    bytes
}

impl View for Probe {
    type Item = String;
    type Reader = Seen;

    fn definition(&self) -> Definition {
        Definition::new("probe", self.version, "")
    }

    fn open(&mut self, cx: &ViewContext<String>) -> Result<Option<Checkpoint>> {
        (self.hook)(&Call::Open)?;
        self.items.clear();
        self.published = None;
        self.place = cx.place.clone();
        let Some(place) = &self.place else { return Ok(None) };
        let Ok(file) = place.storage.open(&place.dir.join("state"), OpenMode::Read) else { return Ok(None) };
        let bytes = file.read(0, file.len().unwrap() as usize).unwrap();
        let len = u32::from_le_bytes(bytes[..4].try_into().unwrap()) as usize;
        self.items = serde_json::from_slice(&bytes[4 + len..]).unwrap();
        Checkpoint::from_bytes(&bytes[4..4 + len]).map(Some)
    }

    fn apply(&mut self, run: &Run<String>) -> Result<()> {
        for entry in run.iter() {
            (self.hook)(&Call::Apply(entry.seq, entry.value.clone()))?;
            let last = self.items.keys().next_back();
            assert!(last.is_none_or(|&last| last < entry.seq.get()), "{} is not after {last:?}", entry.seq);
            self.items.insert(entry.seq.get(), entry.value.clone());
        }
        Ok(())
    }

    fn retract(&mut self, seq: Seq, item: Option<&String>) -> Result<Retraction> {
        (self.hook)(&Call::Retract(seq, item.cloned()))?;
        if !self.retracts || item.is_none() {
            return Ok(Retraction::Rebuild);
        }
        assert_eq!(self.items.remove(&seq.get()).as_ref(), item, "what is taken back was there");
        Ok(Retraction::Done)
    }

    fn publish(&mut self, at: &Checkpoint) -> Result<Seen> {
        (self.hook)(&Call::Publish(at.since()))?;
        self.published = Some(to_file(at, &self.items));
        Ok(Seen { since: at.since(), items: self.items.clone() })
    }

    fn sync(&mut self) -> Result<()> {
        (self.hook)(&Call::Sync)?;
        let (Some(place), Some(bytes)) = (&self.place, &self.published) else { return Ok(()) };
        let (fresh, state) = (place.dir.join("fresh"), place.dir.join("state"));
        let _ = place.storage.remove(&fresh);
        let file = place.storage.open(&fresh, OpenMode::CreateNew).unwrap();
        file.write_all(0, bytes).unwrap();
        file.sync().unwrap();
        place.storage.rename(&fresh, &state).unwrap();
        place.storage.sync_dir(&place.dir).unwrap();
        Ok(())
    }
}

/// A host of texts over a log, with a count of how often an entry was decoded.
pub struct Rig {
    pub host: Host<String>,
    pub decoded: Arc<AtomicUsize>,
}

impl Rig {
    /// Views in memory.
    pub fn memory(log: &Arc<TestLog>) -> Self {
        Self::with(log, Env::memory(), HostSettings::default())
    }

    /// Views kept in `env`'s storage.
    pub fn stored(log: &Arc<TestLog>, env: &Env) -> Self {
        let mut settings = HostSettings::default();
        settings.dir = Some(PathBuf::from("/views"));
        settings.sync_every = Duration::ZERO;
        Self::with(log, env.clone(), settings)
    }

    pub fn with(log: &Arc<TestLog>, env: Env, settings: HostSettings) -> Self {
        let decoded = Arc::<AtomicUsize>::default();
        let counter = decoded.clone();
        let entries = Entries::new(log.clone(), move |bytes: &Bytes| {
            counter.fetch_add(1, Ordering::SeqCst);
            match text(bytes) {
                bad if bad.starts_with("bad") => Err(Error::new(ErrorKind::Invalid, "these bytes are no text of ours")),
                bad if bad.starts_with("awful") => panic!("the codec gives up"),
                good => Ok(good),
            }
        });
        Self { host: Host::new(env, entries, "text/1".into(), settings), decoded }
    }

    pub fn add(&self, name: &str, view: Probe) -> Live<Probe> {
        self.host.add(name, view, false).unwrap()
    }
}

/// Holds up whoever passes while it is shut.
#[derive(Clone, Default)]
pub struct Gate(Arc<(Mutex<(bool, usize)>, Condvar)>);

impl Gate {
    pub fn shut() -> Self {
        Self::default()
    }

    /// Waits until it is open, if this is a call that it is for.
    pub fn hold(&self, held: bool) -> Result<()> {
        if held {
            self.pass();
        }
        Ok(())
    }

    fn pass(&self) {
        let mut state = self.0.0.lock().unwrap();
        state.1 += 1;
        self.0.1.notify_all();
        drop(self.0.1.wait_while(state, |state| !state.0).unwrap());
    }

    pub fn open(&self) {
        self.0.0.lock().unwrap().0 = true;
        self.0.1.notify_all();
    }

    /// Waits until somebody has come to it.
    pub fn reached(&self) {
        drop(self.0.1.wait_while(self.0.0.lock().unwrap(), |state| state.1 == 0).unwrap());
    }
}

/// The numbers and texts that `fill` gives.
pub fn numbers(count: u64) -> BTreeMap<u64, String> {
    (0..count).map(|number| (number, number.to_string())).collect()
}

/// A generous limit for what must come at all.
pub const SOON: Duration = Duration::from_secs(20);
