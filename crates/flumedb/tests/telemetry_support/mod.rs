//! A subscriber and a recorder that keep what they are told, for one thread.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "a module of several tests, each of which uses a part"
)]

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
    span,
};

/// An event, or a span that was begun.
#[derive(Clone, Debug)]
pub struct Told {
    pub is_span: bool,
    pub target: String,
    pub level: String,
    pub name: String,
    pub fields: BTreeMap<String, String>,
}

impl Told {
    pub fn number(&self, field: &str) -> u64 {
        self.fields[field].parse().unwrap()
    }
}

/// Keeps every event and span.
#[derive(Clone, Default)]
pub struct Collector {
    told: Arc<Mutex<Vec<Told>>>,
    spans: Arc<AtomicU64>,
}

impl Collector {
    /// Runs `work` and keeps what it tells.
    pub fn during<T>(&self, work: impl FnOnce() -> T) -> T {
        tracing::subscriber::with_default(self.clone(), work)
    }

    pub fn told(&self) -> Vec<Told> {
        self.told.lock().unwrap().clone()
    }

    /// The events of this name, in order.
    pub fn named(&self, name: &str) -> Vec<Told> {
        self.told().into_iter().filter(|told| told.name == name && !told.is_span).collect()
    }
}

#[derive(Default)]
struct Fields(BTreeMap<String, String>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.to_owned());
    }
}

impl Subscriber for Collector {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &span::Attributes<'_>) -> span::Id {
        let (mut fields, metadata) = (Fields::default(), span.metadata());
        span.record(&mut fields);
        self.told.lock().unwrap().push(Told {
            is_span: true,
            target: metadata.target().to_owned(),
            level: metadata.level().to_string(),
            name: metadata.name().to_owned(),
            fields: fields.0,
        });
        span::Id::from_u64(self.spans.fetch_add(1, Ordering::SeqCst) + 1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let (mut fields, metadata) = (Fields::default(), event.metadata());
        event.record(&mut fields);
        let name = fields.0.remove("message").unwrap_or_default();
        self.told.lock().unwrap().push(Told {
            is_span: false,
            target: metadata.target().to_owned(),
            level: metadata.level().to_string(),
            name,
            fields: fields.0,
        });
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// What a metric is, as it was described.
#[derive(Clone, Debug, PartialEq)]
pub struct Described {
    pub kind: &'static str,
    pub unit: String,
    pub text: String,
}

#[derive(Default)]
struct Values {
    described: BTreeMap<String, Described>,
    labels: BTreeMap<String, Vec<String>>,
    counters: BTreeMap<String, Arc<AtomicU64>>,
    gauges: BTreeMap<String, Arc<Level>>,
    histograms: BTreeMap<String, Arc<Samples>>,
}

/// A gauge, exact for whole numbers.
#[derive(Default)]
struct Level(Mutex<f64>);

impl GaugeFn for Level {
    fn increment(&self, value: f64) {
        *self.0.lock().unwrap() += value;
    }

    fn decrement(&self, value: f64) {
        *self.0.lock().unwrap() -= value;
    }

    fn set(&self, value: f64) {
        *self.0.lock().unwrap() = value;
    }
}

#[derive(Default)]
struct Samples(Mutex<Vec<f64>>);

impl HistogramFn for Samples {
    fn record(&self, value: f64) {
        self.0.lock().unwrap().push(value);
    }
}

#[derive(Default)]
struct Count(Arc<AtomicU64>);

impl CounterFn for Count {
    fn increment(&self, value: u64) {
        self.0.fetch_add(value, Ordering::SeqCst);
    }

    fn absolute(&self, value: u64) {
        self.0.fetch_max(value, Ordering::SeqCst);
    }
}

/// Keeps every metric.
#[derive(Clone, Default)]
pub struct Metrics(Arc<Mutex<Values>>);

impl Metrics {
    /// Runs `work` and keeps what it measures.
    pub fn during<T>(&self, work: impl FnOnce() -> T) -> T {
        metrics::with_local_recorder(self, work)
    }

    pub fn described(&self) -> BTreeMap<String, Described> {
        self.0.lock().unwrap().described.clone()
    }

    /// The names of the labels of each metric.
    pub fn labels(&self) -> BTreeMap<String, Vec<String>> {
        self.0.lock().unwrap().labels.clone()
    }

    /// `name{label=value,…}`, labels in order of their names.
    pub fn counter(&self, key: &str) -> u64 {
        self.0.lock().unwrap().counters[key].load(Ordering::SeqCst)
    }

    pub fn gauge(&self, key: &str) -> f64 {
        *self.0.lock().unwrap().gauges[key].0.lock().unwrap()
    }

    pub fn histogram(&self, key: &str) -> Vec<f64> {
        self.0.lock().unwrap().histograms[key].0.lock().unwrap().clone()
    }

    fn describe(&self, kind: &'static str, name: &KeyName, unit: Option<Unit>, text: &SharedString) {
        let unit = unit.map_or_else(String::new, |unit| unit.as_str().to_owned());
        let described = Described { kind, unit, text: text.to_string() };
        self.0.lock().unwrap().described.insert(name.as_str().to_owned(), described);
    }

    fn key(&self, key: &Key) -> String {
        let mut labels: Vec<_> = key.labels().map(|label| (label.key().to_owned(), label.value().to_owned())).collect();
        labels.sort();
        let names = labels.iter().map(|(name, _)| name.clone()).collect();
        self.0.lock().unwrap().labels.insert(key.name().to_owned(), names);
        let labels: Vec<_> = labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
        format!("{}{{{}}}", key.name(), labels.join(","))
    }
}

impl Recorder for Metrics {
    fn describe_counter(&self, key: KeyName, unit: Option<Unit>, text: SharedString) {
        self.describe("counter", &key, unit, &text);
    }

    fn describe_gauge(&self, key: KeyName, unit: Option<Unit>, text: SharedString) {
        self.describe("gauge", &key, unit, &text);
    }

    fn describe_histogram(&self, key: KeyName, unit: Option<Unit>, text: SharedString) {
        self.describe("histogram", &key, unit, &text);
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let key = self.key(key);
        let count = self.0.lock().unwrap().counters.entry(key).or_default().clone();
        Counter::from_arc(Arc::new(Count(count)))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        let key = self.key(key);
        Gauge::from_arc(self.0.lock().unwrap().gauges.entry(key).or_default().clone())
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        let key = self.key(key);
        Histogram::from_arc(self.0.lock().unwrap().histograms.entry(key).or_default().clone())
    }
}
