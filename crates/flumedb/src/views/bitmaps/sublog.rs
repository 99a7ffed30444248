//! [`SubLog`], the entries that a query finds as a log of their own.

use std::{
    hash::Hasher,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use futures_util::{
    FutureExt,
    future::{Either, select},
};
use roaring::RoaringBitmap;
use siphasher::sip128::{Hasher128, SipHasher13};
use tokio::sync::oneshot;

use super::{
    Op, Plan,
    block::halves,
    eval::{Bitmaps, Eval},
    node::Node,
    reader::{BitmapReader, Window},
    view::BitmapView,
    walk::Walk,
};
use crate::{
    Error, ErrorKind, Result, Seq, Span,
    codec::Document,
    env::sync::watch,
    log::{
        Batch, BoxFuture, Chunk, Log, LogIdentity, LogStat, Passed, Proof, ReadRequest, Slot, SlotKind, decode_targets,
        encode_targets, not_found, unsupported,
    },
    view::{Live, LiveSet},
};

/// A read-only [`Log`] of the entries that a query finds; made by [`Bitmaps::sublog`](super::Bitmaps::sublog). Views can
/// follow it, through [`Flume::with_log`](crate::Flume::with_log).
///
/// Its entries keep the names that they have in the log it is a part of, and its head is how far the query's views have come
/// there, whether that is an entry of its own or not. What is deleted there is deleted here, and views are told. Its
/// [`barrier`](Log::barrier) waits until the views have caught up, so a view over it is as fresh as any.
///
/// A stored view over it is built anew if its entries are not those it was built from, as after entries were
/// [reprocessed](crate::Flume::reprocess), or after the query's own views were rebuilt and found some deleted; that is noticed
/// when the view is opened. Closing it closes nothing else; it ends with the database that it is a part of.
pub struct SubLog<T: Document + Send + Sync + 'static> {
    parent: Arc<dyn Log>,
    identity: LogIdentity,
    views: Vec<Live<BitmapView<T>>>,
    node: Arc<Node>,
    /// The newest readers, all at one position.
    readers: Mutex<Vec<BitmapReader<T>>>,
    head: watch::Sender<Option<Seq>>,
    closed: AtomicBool,
    /// Dropped with it, which ends its follower.
    _end: oneshot::Sender<()>,
}

impl<T: Document + Send + Sync + 'static> SubLog<T> {
    pub(super) async fn open(parent: Arc<dyn Log>, op: &Op, plan: Plan<T>) -> Result<Arc<Self>> {
        if plan.node.checks() || op.lists_records() {
            let message =
                format!("a log of what {op} finds is not offered: it has to look at entries, or names records");
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        let mut hasher = SipHasher13::new();
        hasher.write(op.to_json().to_string().as_bytes());
        // What was declared is told by the views' names.
        plan.views.iter().for_each(|view| hasher.write(view.name().as_bytes()));
        let mut identity = parent.identity();
        identity.0.extend_from_slice(&hasher.finish128().as_bytes());
        let readers = plan.views.as_slice().read_all().await?;
        let since = readers.first().and_then(BitmapReader::since);
        let (end, ended) = oneshot::channel();
        let log = Arc::new(Self {
            parent,
            identity,
            views: plan.views,
            node: Arc::new(plan.node),
            readers: Mutex::new(readers),
            head: watch::Sender::new(since),
            closed: AtomicBool::new(false),
            _end: end,
        });
        if let Some(first) = log.views.first() {
            first.spawn(follow(Arc::downgrade(&log), first.watch(), ended))?;
        }
        Ok(log)
    }

    /// Reads the views anew, and shows what there is.
    async fn renew(&self) -> Result<Option<Seq>> {
        let readers = self.views.as_slice().read_all().await?;
        let since = readers.first().and_then(BitmapReader::since);
        let mut current = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        // Whatever was shown stays: a view that is rebuilt comes to the same place again.
        if since >= current.first().and_then(BitmapReader::since) {
            *current = readers;
            self.head.send_if_modified(|seen| std::mem::replace(seen, since) != since);
        }
        Ok(since)
    }

    fn eval(&self, ever: bool) -> Result<Eval<T>> {
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::closed());
        }
        let readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Ok(Eval { node: self.node.clone(), readers, ever })
    }

    /// Whether the entry was ever one of these.
    fn has(&self, eval: &Eval<T>, seq: Seq) -> Result<bool> {
        let (high, low) = halves(seq.get());
        Ok(seq.get() < eval.end() && !now(eval, Window { high, from: low, to: low })?.is_empty())
    }

    fn find(&self, seq: Seq) -> Result<()> {
        if self.has(&self.eval(true)?, seq)? { Ok(()) } else { Err(not_found(seq)) }
    }

    /// What of a chunk of the log is of this one.
    fn part(&self, eval: &Eval<T>, mut chunk: Chunk) -> Result<Chunk> {
        let mut members = Bitmaps::new();
        let span = chunk.slots.iter().map(|slot| slot.seq.get());
        let (first, last) = (span.clone().min().unwrap_or(0), span.max().unwrap_or(0));
        let mut walk = Walk::new(first, last.saturating_add(1).min(eval.end()), false, false).whole();
        while let Some(window) = walk.next_window() {
            *members.entry(window.high).or_default() |= now(eval, window)?;
        }
        let is_member = |seq: Seq| {
            let (high, low) = halves(seq.get());
            members.get(&high).is_some_and(|bits: &RoaringBitmap| bits.contains(low))
        };
        let mut slots = Vec::new();
        let mut more: Vec<u8> = Vec::new();
        for slot in &chunk.slots {
            if slot.kind != SlotKind::Tombstone {
                slots.extend(is_member(slot.seq).then_some(*slot));
                continue;
            }
            let all: Vec<Seq> = decode_targets(chunk.payload(slot)).collect();
            let mut ours = Vec::new();
            for seq in &all {
                if self.has(eval, *seq)? {
                    ours.push(*seq);
                }
            }
            if ours.len() == all.len() {
                slots.push(*slot);
            } else if !ours.is_empty() {
                let start = (chunk.bytes.len() + more.len()) as u32;
                encode_targets(&ours, &mut more);
                slots.push(Slot { start, len: (ours.len() * size_of::<u64>()) as u32, ..*slot });
            }
        }
        if !more.is_empty() {
            chunk.bytes = [&chunk.bytes, more.as_slice()].concat().into();
        }
        chunk.slots = slots;
        Ok(chunk)
    }

    fn count(&self, ever: bool, to: u64) -> Result<u64> {
        let eval = self.eval(ever)?;
        let mut walk = Walk::new(eval.begin(), to.min(eval.end()), false, false).whole();
        let mut count = 0;
        while let Some(window) = walk.next_window() {
            count += now(&eval, window)?.len();
        }
        Ok(count)
    }
}

/// Shows what the views have taken in, until the log is dropped or the database closed.
async fn follow<T: Document + Send + Sync + 'static>(
    log: Weak<SubLog<T>>,
    mut since: tokio::sync::watch::Receiver<Option<Seq>>,
    mut ended: oneshot::Receiver<()>,
) {
    loop {
        {
            let changed = std::pin::pin!(since.changed());
            match select(changed, &mut ended).await {
                Either::Left((Ok(()), _)) => {}
                _ => return,
            }
        }
        let Some(log) = log.upgrade() else { return };
        if let Err(error) = log.renew().await
            && error.kind() == ErrorKind::Closed
        {
            return;
        }
    }
}

/// What a query that looks at no entries has of a window: it never waits.
fn now<T: Document + Send + Sync + 'static>(eval: &Eval<T>, window: Window) -> Result<RoaringBitmap> {
    eval.window(window).now_or_never().unwrap_or_else(|| Err(unsupported("looking at entries")))
}

impl<T: Document + Send + Sync + 'static> Log for SubLog<T> {
    fn identity(&self) -> LogIdentity {
        self.identity.clone()
    }

    fn head(&self) -> watch::Receiver<Option<Seq>> {
        self.head.subscribe()
    }

    fn barrier(&self) -> BoxFuture<'_, Result<Option<Seq>>> {
        Box::pin(async move {
            self.eval(false)?;
            self.renew().await
        })
    }

    fn is_encrypted(&self) -> bool {
        self.parent.is_encrypted()
    }

    fn first(&self) -> Option<Seq> {
        self.head.borrow().and_then(|_| self.parent.first())
    }

    fn read(&self, request: ReadRequest) -> BoxFuture<'_, Result<Chunk>> {
        Box::pin(async move {
            let eval = self.eval(true)?;
            let Span { from, to } = request.span;
            let span = Span { from, to: to.min(eval.end()) };
            if span.is_empty() {
                // What is past the end may come.
                let covered = if request.reverse { request.span } else { Span { from, to: from } };
                return Ok(Chunk::nothing(covered, eval.end()));
            }
            let mut chunk = self.part(&eval, self.parent.read(ReadRequest { span, ..request }).await?)?;
            if request.reverse {
                chunk.covered.to = to;
            }
            Ok(chunk)
        })
    }

    fn get_now(&self, seq: Seq) -> Option<Result<Bytes>> {
        if let Err(error) = self.find(seq) {
            return Some(Err(error));
        }
        self.parent.get_now(seq)
    }

    fn get(&self, seq: Seq) -> BoxFuture<'_, Result<Bytes>> {
        Box::pin(async move {
            self.find(seq)?;
            self.parent.get(seq).await
        })
    }

    fn deleted_payload(&self, seq: Seq) -> Option<Bytes> {
        self.find(seq).ok().and_then(|()| self.parent.deleted_payload(seq))
    }

    fn append(&self, _: Batch) -> BoxFuture<'_, Result<Vec<Seq>>> {
        Box::pin(std::future::ready(Err(unsupported("appending: it is a part of another log"))))
    }

    fn delete(&self, _: &[Seq]) -> BoxFuture<'_, Result<()>> {
        Box::pin(std::future::ready(Err(unsupported("deleting: it is a part of another log"))))
    }

    fn followed_by(&self, passed: Weak<Passed>) {
        self.parent.followed_by(passed);
    }

    fn sync(&self, to: Option<Seq>) -> BoxFuture<'_, Result<()>> {
        self.parent.sync(to)
    }

    /// That of the log, and how many entries of this one there ever were up to there.
    fn proof(&self, seq: Seq) -> Result<Option<Proof>> {
        let Some(mut proof) = self.parent.proof(seq)? else { return Ok(None) };
        proof.0.extend_from_slice(&self.count(true, seq.get().saturating_add(1))?.to_le_bytes());
        Ok(Some(proof))
    }

    fn stat(&self) -> Result<LogStat> {
        let (entries, ever) = (self.count(false, u64::MAX)?, self.count(true, u64::MAX)?);
        Ok(LogStat::new("sublog", entries, ever - entries, 0))
    }

    fn close(&self) -> BoxFuture<'_, Result<()>> {
        self.closed.store(true, Ordering::Release);
        Box::pin(std::future::ready(Ok(())))
    }
}
