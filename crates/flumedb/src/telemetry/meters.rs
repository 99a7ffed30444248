//! The metrics: what each is called, what it counts, and the handles that are fetched once for a log or a view.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use metrics::{Counter, Gauge, Histogram, Label, Unit};

/// What a metric is called, its unit, and what it says.
struct Named(&'static str, Unit, &'static str);

const APPEND: Named =
    Named("flumedb_append_seconds", Unit::Seconds, "How long the oldest request of a commit waited for its answer");
const SYNC: Named = Named("flumedb_sync_seconds", Unit::Seconds, "How long the disk took to sync the log");
const REQUESTS: Named = Named("flumedb_commit_requests", Unit::Count, "Requests that one commit answered");
const COMMITS: Named = Named("flumedb_commits_total", Unit::Count, "Commits written to the log");
const ENTRIES: Named = Named("flumedb_entries_total", Unit::Count, "Entries and tombstones written to the log");
const BYTES: Named = Named("flumedb_written_bytes_total", Unit::Bytes, "Bytes written to segments of the log");
const SEGMENTS: Named =
    Named("flumedb_segments_total", Unit::Count, "Segments that were ended and followed by another");
const COMPACTIONS: Named = Named(
    "flumedb_compaction_seconds",
    Unit::Seconds,
    "How long each compaction took that changed something, or was asked for",
);
const ERASED: Named = Named("flumedb_erased_entries_total", Unit::Count, "Deleted entries whose bytes were taken out");
const FREED: Named = Named("flumedb_compacted_bytes_total", Unit::Bytes, "Bytes that compactions took out of segments");
const FULL: Named = Named("flumedb_full_disk_total", Unit::Count, "Commits that failed because the disk was full");
const POISONED: Named = Named("flumedb_poisoned", Unit::Count, "1 once the log has stopped writing for good, else 0");
const PENDING_BYTES: Named = Named("flumedb_pending_bytes", Unit::Bytes, "Bytes that wait to be written");
const PENDING_REQUESTS: Named = Named("flumedb_pending_requests", Unit::Count, "Appends and deletions that wait");
const READERS: Named = Named("flumedb_open_readers", Unit::Count, "Scans of the log that are under way");
const SUBSCRIBERS: Named = Named("flumedb_open_subscribers", Unit::Count, "Subscriptions that are open");
const REFUSALS: Named = Named("flumedb_refusals_total", Unit::Count, "Calls that a limit refused, by the limit's name");
const LAG: Named = Named("flumedb_view_lag_entries", Unit::Count, "Numbers of the log that the view has not taken in");
const TAKEN: Named = Named("flumedb_view_entries_total", Unit::Count, "Entries that the view has taken in");
const PUBLISH: Named = Named("flumedb_view_publish_seconds", Unit::Seconds, "How long the view took to publish");
const REBUILDS: Named = Named("flumedb_view_rebuilds_total", Unit::Count, "Times that the view was built anew");
const FAULTS: Named =
    Named("flumedb_view_faults_total", Unit::Count, "Times that the view stopped until it is rebuilt");
const RETRIES: Named =
    Named("flumedb_view_retries_total", Unit::Count, "Times that the system refused the view something");

fn counter(named: &Named, labels: &[Label]) -> Counter {
    metrics::describe_counter!(named.0, named.1, named.2);
    metrics::counter!(named.0, labels.to_vec())
}

fn gauge(named: &Named, labels: &[Label]) -> Gauge {
    metrics::describe_gauge!(named.0, named.1, named.2);
    metrics::gauge!(named.0, labels.to_vec())
}

fn histogram(named: &Named, labels: &[Label]) -> Histogram {
    metrics::describe_histogram!(named.0, named.1, named.2);
    metrics::histogram!(named.0, labels.to_vec())
}

fn label(name: &'static str, value: &str) -> Label {
    Label::new(name, value.to_owned())
}

/// What is measured of a log that is written to. Fetched once; used per commit, never per entry.
pub(crate) struct LogMeters {
    append: Histogram,
    sync: Histogram,
    requests: Histogram,
    commits: Counter,
    entries: Counter,
    bytes: Counter,
    segments: Counter,
    compactions: Histogram,
    erased: Counter,
    freed: Counter,
    full: Counter,
    poisoned: Gauge,
    pending_bytes: Gauge,
    pending_requests: Gauge,
}

impl LogMeters {
    pub(crate) fn new(log: &str) -> Self {
        let labels = [label("log", log)];
        let meters = Self {
            append: histogram(&APPEND, &labels),
            sync: histogram(&SYNC, &labels),
            requests: histogram(&REQUESTS, &labels),
            commits: counter(&COMMITS, &labels),
            entries: counter(&ENTRIES, &labels),
            bytes: counter(&BYTES, &labels),
            segments: counter(&SEGMENTS, &labels),
            compactions: histogram(&COMPACTIONS, &labels),
            erased: counter(&ERASED, &labels),
            freed: counter(&FREED, &labels),
            full: counter(&FULL, &labels),
            poisoned: gauge(&POISONED, &labels),
            pending_bytes: gauge(&PENDING_BYTES, &labels),
            pending_requests: gauge(&PENDING_REQUESTS, &labels),
        };
        meters.poisoned.set(0.0);
        meters
    }

    /// For a log that is only read.
    pub(crate) fn none() -> Self {
        Self {
            append: Histogram::noop(),
            sync: Histogram::noop(),
            requests: Histogram::noop(),
            commits: Counter::noop(),
            entries: Counter::noop(),
            bytes: Counter::noop(),
            segments: Counter::noop(),
            compactions: Histogram::noop(),
            erased: Counter::noop(),
            freed: Counter::noop(),
            full: Counter::noop(),
            poisoned: Gauge::noop(),
            pending_bytes: Gauge::noop(),
            pending_requests: Gauge::noop(),
        }
    }

    /// A commit of so many entries and bytes is written, and has answered so many requests, the oldest after `waited`.
    pub(crate) fn committed(&self, entries: u64, bytes: u64, requests: usize, waited: Duration) {
        self.commits.increment(1);
        self.entries.increment(entries);
        self.bytes.increment(bytes);
        self.requests.record(requests as f64);
        self.append.record(waited);
    }

    pub(crate) fn synced(&self, took: Duration) {
        self.sync.record(took);
    }

    pub(crate) fn rolled(&self) {
        self.segments.increment(1);
    }

    /// A segment was written anew without so many entries and bytes.
    pub(crate) fn rewritten(&self, entries: u64, freed: u64) {
        self.erased.increment(entries);
        self.freed.increment(freed);
    }

    pub(crate) fn compacted(&self, took: Duration) {
        self.compactions.record(took);
    }

    pub(crate) fn full(&self) {
        self.full.increment(1);
    }

    pub(crate) fn poisoned(&self) {
        self.poisoned.set(1.0);
    }

    /// What waits to be written.
    pub(crate) fn pending(&self, bytes: usize, requests: usize) {
        self.pending_bytes.set(bytes as f64);
        self.pending_requests.set(requests as f64);
    }
}

/// What is measured of a view. Used per stretch of the log that it takes in, never per entry.
pub(crate) struct ViewMeters {
    /// Where it stands.
    position: AtomicU64,
    lag: Gauge,
    taken: Counter,
    publish: Histogram,
    rebuilds: Counter,
    faults: Counter,
    retries: Counter,
}

impl ViewMeters {
    pub(crate) fn new(log: &str, view: &str) -> Self {
        let labels = [label("log", log), label("view", view)];
        Self {
            position: AtomicU64::new(0),
            lag: gauge(&LAG, &labels),
            taken: counter(&TAKEN, &labels),
            publish: histogram(&PUBLISH, &labels),
            rebuilds: counter(&REBUILDS, &labels),
            faults: counter(&FAULTS, &labels),
            retries: counter(&RETRIES, &labels),
        }
    }

    /// It stands at `position` of a log that ends before `head`.
    pub(crate) fn stands(&self, position: u64, head: u64) {
        self.position.store(position, Ordering::Release);
        self.grown(head);
    }

    /// The log ends before `head`.
    pub(crate) fn grown(&self, head: u64) {
        self.lag.set(head.saturating_sub(self.position.load(Ordering::Acquire)) as f64);
    }

    pub(crate) fn took_in(&self, entries: u64) {
        self.taken.increment(entries);
    }

    pub(crate) fn published(&self, took: Duration) {
        self.publish.record(took);
    }

    pub(crate) fn rebuilds(&self) {
        self.rebuilds.increment(1);
    }

    pub(crate) fn parked(&self) {
        self.faults.increment(1);
    }

    pub(crate) fn retries(&self) {
        self.retries.increment(1);
    }
}

/// How many scans of the log are under way.
pub(crate) fn readers(log: &str) -> Gauge {
    gauge(&READERS, &[label("log", log)])
}

/// How many subscriptions of the log are open.
pub(crate) fn subscribers(log: &str) -> Gauge {
    gauge(&SUBSCRIBERS, &[label("log", log)])
}

/// Counts that the limit of this name refused a call.
pub(crate) fn refused(limit: &'static str, log: &str) {
    counter(&REFUSALS, &[Label::from_static_parts("limit", limit), label("log", log)]).increment(1);
}
