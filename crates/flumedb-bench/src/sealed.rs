//! What compression and encryption of our log cost and gain: append, scan and get of the same messages, stored in four ways.

use std::{hint::black_box, path::Path, time::Instant};

use flumedb::{
    Env, Keys, Seq, Span,
    log::{Batch, Compression, Durability, Log, LogSettings, ReadRequest, SegmentedLog},
};

use crate::{
    Result, limits,
    measure::Sample,
    messages::Random,
    workloads::{BATCH, Context},
};

pub(crate) const SUBJECTS: &[&str] =
    &["flumedb", "flumedb-lz4", "flumedb-encrypted", "flumedb-both", "flumedb-noise", "flumedb-noise-lz4"];

fn settings(subject: &str) -> Result<LogSettings> {
    let packed = subject.ends_with("lz4") || subject.ends_with("both");
    let keys =
        if subject.ends_with("encrypted") || subject.ends_with("both") { Some(Keys::new(1, [7; 32])?) } else { None };
    let compression = if packed { Compression::Lz4 } else { Compression::None };
    Ok(LogSettings { compression, keys, durability: Durability::System, ..LogSettings::default() })
}

/// Entries that nothing makes shorter.
fn noise(count: usize) -> Vec<Vec<u8>> {
    let mut random = Random(1);
    (0..count).map(|_| (0..700).map(|_| random.below(256) as u8).collect()).collect()
}

pub(crate) fn measure(subject: &str, cx: &Context) -> Result<Sample> {
    let messages = cx.messages()?;
    let made = if subject.contains("noise") { noise(cx.entries) } else { Vec::new() };
    let all: Vec<&[u8]> =
        if made.is_empty() { messages.iter().collect() } else { made.iter().map(|it| &**it).collect() };
    let total: u64 = all.iter().map(|message| message.len() as u64).sum();
    limits::warm(&cx.scratch, total)?;
    let dir = cx.scratch.join("log");
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let log = SegmentedLog::open(&Env::os(), &dir, settings(subject)?)?;
    let sample = Sample::time(|| {
        for some in all.chunks(BATCH) {
            let mut batch = Batch::new();
            some.iter().for_each(|message| batch.push(message));
            runtime.block_on(log.append(batch))?;
        }
        Ok((all.len() as u64, total))
    })?;
    runtime.block_on(log.close())?;
    drop(log);
    let log = SegmentedLog::open(&Env::os(), &dir, settings(subject)?)?;
    let mut scan = 0.0;
    for _ in 0..2 {
        let start = Instant::now();
        read_all(&runtime, &log, all.len())?;
        scan = start.elapsed().as_secs_f64();
    }
    let numbers: Vec<u64> = limits::random_numbers(all.len()).into_iter().take(200_000).collect();
    let mut get = 0.0;
    for _ in 0..2 {
        let start = Instant::now();
        for number in &numbers {
            black_box(log.get_now(Seq::new(*number)).ok_or("it must be waited for")??);
        }
        get = start.elapsed().as_secs_f64();
    }
    runtime.block_on(log.close())?;
    let ratio = size(&dir)? as f64 / total as f64;
    let sample = sample.with("ratio", ratio).with("scan_mb", total as f64 / scan / 1e6);
    Ok(sample.with("get_ns", get * 1e9 / numbers.len().max(1) as f64))
}

fn read_all(runtime: &tokio::runtime::Runtime, log: &SegmentedLog, expected: usize) -> Result {
    let (mut span, mut count, mut first_bytes) = (Span::ALL, 0, 0);
    loop {
        let chunk = runtime.block_on(log.read(ReadRequest::forwards(span)))?;
        if chunk.slots.is_empty() {
            break;
        }
        for (_, message) in chunk.entries() {
            count += 1;
            first_bytes ^= message.first().copied().unwrap_or(0);
        }
        span.from = chunk.covered.to;
    }
    black_box(first_bytes);
    if count == expected { Ok(()) } else { Err(format!("the scan found {count} messages of {expected}").into()) }
}

fn size(dir: &Path) -> Result<u64> {
    std::fs::read_dir(dir)?.map(|entry| Ok(entry?.metadata()?.len())).sum()
}
