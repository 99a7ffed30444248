//! Other people's files beside our own log: scans of the same bytes in each format, and imports of them.

use std::{
    hint::black_box,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use flumedb::{
    Env, Span,
    log::{Batch, Log, LogSettings, ReadRequest, SegmentedLog},
};
use flumedb_ssb::any;

use crate::{
    Result, limits,
    measure::{self, Sample},
    workloads::{BATCH, Context},
};

/// Each file holds at least so many bytes of messages.
pub(crate) const BIG: u64 = 1_000_000_000;

/// Passes after the first.
const PASSES: usize = 7;

/// The formats that are scanned, with our own log first.
pub(crate) const SCANNED: &[&str] = &["offset32", "aligned", "aaol", "offset2"];
pub(crate) const OURS: &str = "flume";

/// What is imported.
pub(crate) const IMPORTED: &[&str] = &["import-offset32", "import-aaol", "import-jsonl"];

fn block_on<T>(future: impl Future<Output = flumedb::Result<T>>) -> Result<T> {
    Ok(tokio::runtime::Builder::new_current_thread().build()?.block_on(future)?)
}

/// The messages of the long files, round and round.
pub(crate) fn for_each_batch(cx: &Context, mut take: impl FnMut(&[&[u8]]) -> Result) -> Result {
    let messages = cx.messages()?;
    let all: Vec<&[u8]> = messages.iter().collect();
    let mut bytes = 0;
    for batch in all.chunks(BATCH).cycle() {
        take(batch)?;
        bytes += batch.iter().map(|message| message.len() as u64).sum::<u64>();
        if bytes >= BIG {
            break;
        }
    }
    Ok(())
}

/// The long file of a format, made if it is not there yet.
fn filled(format: &str, cx: &Context) -> Result<PathBuf> {
    let path = cx.kept(&format!("others-{format}"));
    if path.exists() {
        return Ok(path);
    }
    if format == "jsonl" {
        let mut text = Vec::new();
        for_each_batch(cx, |batch| {
            batch.iter().for_each(|message| text.extend([message, &b"\n"[..]].concat()));
            Ok(())
        })?;
        std::fs::write(&path, text)?;
    } else {
        let log: Arc<dyn Log> = match format {
            OURS => Arc::new(SegmentedLog::open(&Env::os(), &path, LogSettings::default())?),
            _ => any::builder().format(format.parse()?).create().open(&path)?.log,
        };
        for_each_batch(cx, |messages| {
            let mut batch = Batch::new();
            batch.buffered = true;
            messages.iter().for_each(|message| batch.push(message));
            block_on(log.append(batch)).map(drop)
        })?;
        block_on(log.close())?;
    }
    let _ = Command::new("sync").status();
    Ok(path)
}

/// Looks at every message of a format's file, again and again; the fastest pass but the first counts, as whatever else the
/// machine does only makes them slower.
pub(crate) fn scan(format: &str, cx: &Context) -> Result<Sample> {
    let path = filled(format, cx)?;
    let start = Instant::now();
    let log = any::builder().format(format.parse()?).open(&path)?.log;
    let opened = start.elapsed().as_secs_f64();
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let pass = || -> Result<(u64, u64)> {
        let (mut span, mut count, mut bytes, mut first_bytes) = (Span::ALL, 0, 0, 0);
        loop {
            let chunk = runtime.block_on(log.read(ReadRequest::forwards(span)))?;
            for (_, message) in chunk.entries() {
                count += 1;
                bytes += message.len() as u64;
                first_bytes ^= message.first().copied().unwrap_or(0);
            }
            if chunk.slots.is_empty() {
                break;
            }
            span.from = chunk.covered.to;
        }
        black_box(first_bytes);
        Ok((count, bytes))
    };
    let start = Instant::now();
    let (_, bytes) = pass()?;
    if bytes < BIG {
        return Err(format!("the scan found {bytes} bytes").into());
    }
    let first = start.elapsed().as_secs_f64();
    let mut fastest: Option<(f64, Sample)> = None;
    for _ in 0..PASSES {
        let cpu = measure::thread_cpu_seconds();
        let sample = Sample::time(pass)?;
        let cpu = measure::thread_cpu_seconds() - cpu;
        if fastest.as_ref().is_none_or(|(least, _)| cpu < *least) {
            fastest = Some((cpu, sample));
        }
    }
    let (cpu, sample) = fastest.ok_or("no pass")?;
    let (count, bytes) = (sample.get("n").unwrap_or(0.0) as u64, sample.get("bytes").unwrap_or(0.0) as u64);
    Ok(Sample::of(count, cpu, bytes).with("first_s", first).with("open_s", opened))
}

/// Writes as many bytes in pieces of 1 MiB and brings them to the disk: what an import cannot do without.
pub(crate) fn write_sync(cx: &Context) -> Result<Sample> {
    limits::warm(&cx.scratch, BIG)?;
    let mut file = std::fs::File::create_new(cx.scratch.join("plain"))?;
    let piece = vec![7; 1 << 20];
    let mut count = 0;
    for_each_batch(cx, |batch| {
        count += batch.len() as u64;
        Ok(())
    })?;
    Sample::time(|| {
        for _ in 0..BIG.div_ceil(1 << 20) {
            std::io::Write::write_all(&mut file, &piece)?;
        }
        file.sync_data()?;
        Ok((count, BIG))
    })
}

/// Runs `flume import` of a format's file, and watches the memory of that process.
pub(crate) fn import(format: &str, cx: &Context) -> Result<Sample> {
    let path = filled(format, cx)?;
    // By its ending, `flume` knows lines of JSON.
    let source = if format == "jsonl" { cx.scratch.join("messages.jsonl") } else { path.clone() };
    if source != path {
        std::os::unix::fs::symlink(std::fs::canonicalize(&path)?, &source)?;
    }
    limits::warm(&cx.scratch, BIG)?;
    let flume = std::env::current_exe()?.with_file_name("flume");
    let cpu = measure::children_cpu_seconds();
    let start = Instant::now();
    let mut child = Command::new(&flume)
        .arg("import")
        .args([&source, &cx.scratch.join("database")])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("{}: {error}; build it with --release", flume.display()))?;
    let status = Path::new("/proc").join(child.id().to_string()).join("status");
    let mut peak_kb = 0;
    let ended = loop {
        if let Some(ended) = child.try_wait()? {
            break ended;
        }
        peak_kb = peak_kb.max(measure::rss_anon_kb(&status));
        thread::sleep(Duration::from_millis(2));
    };
    let seconds = start.elapsed().as_secs_f64();
    if !ended.success() {
        return Err(format!("the import failed ({ended})").into());
    }
    let log = SegmentedLog::read_only(&Env::os(), &cx.scratch.join("database"))?;
    let stat = log.stat()?;
    Ok(Sample::of(stat.entries, seconds, BIG)
        .with("cpu_s", measure::children_cpu_seconds() - cpu)
        .with("anon_mb", peak_kb as f64 / 1e3))
}
