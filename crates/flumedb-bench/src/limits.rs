//! What the machine itself does with the same bytes: nothing that stores messages can be faster for long.

use std::{fs, io::Write, path::Path, time::Instant};

use crate::{
    Result,
    measure::Sample,
    messages::{Messages, Random},
    workloads::{DURABLE_1, DURABLE_64, WRITERS},
};

/// Writes a file of so many bytes and removes it, so that the system has memory at hand for the next: on a virtual
/// machine the first use of a page may cost more than everything that is measured.
pub(crate) fn warm(dir: &Path, bytes: u64) -> Result {
    let path = dir.join("warm");
    let mut file = fs::File::create_new(&path)?;
    let piece = vec![1; 1 << 20];
    for _ in 0..bytes.div_ceil(1 << 20) {
        file.write_all(&piece)?;
    }
    Ok(fs::remove_file(path)?)
}

/// Plain writes of 1 MiB to a new file.
pub(crate) fn write_1m(messages: &Messages, dir: &Path) -> Result<Sample> {
    let mut joined = Vec::with_capacity(messages.total_bytes() as usize);
    messages.iter().for_each(|message| joined.extend_from_slice(message));
    warm(dir, messages.total_bytes())?;
    let mut file = fs::File::create_new(dir.join("plain"))?;
    Sample::time(|| {
        for piece in joined.chunks(1 << 20) {
            file.write_all(piece)?;
        }
        Ok((messages.len() as u64, joined.len() as u64))
    })
}

/// A loop that writes one message and waits for the disk.
pub(crate) fn sync_1(messages: &Messages, dir: &Path) -> Result<Sample> {
    let mut file = fs::File::create_new(dir.join("plain"))?;
    let mut times = Vec::with_capacity(DURABLE_1);
    let sample = Sample::time(|| {
        let mut bytes = 0;
        for message in messages.iter().take(DURABLE_1) {
            let start = Instant::now();
            file.write_all(message)?;
            file.sync_data()?;
            times.push(start.elapsed());
            bytes += message.len() as u64;
        }
        Ok((times.len() as u64, bytes))
    })?;
    Ok(crate::workloads::with_latencies(sample, times))
}

/// A loop that writes as many messages as there are writers in one call and waits for the disk.
pub(crate) fn sync_64(messages: &Messages, dir: &Path) -> Result<Sample> {
    let mut file = fs::File::create_new(dir.join("plain"))?;
    let mut joined = Vec::new();
    Sample::time(|| {
        let (mut n, mut bytes) = (0, 0);
        let mut iter = messages.iter().take(DURABLE_64).peekable();
        while iter.peek().is_some() {
            joined.clear();
            for message in iter.by_ref().take(WRITERS) {
                joined.extend_from_slice(message);
                n += 1;
            }
            file.write_all(&joined)?;
            file.sync_data()?;
            bytes += joined.len() as u64;
        }
        Ok((n, bytes))
    })
}

/// The messages as a mapped file: what a store that keeps them there could at best hand out.
struct Mapped<'a> {
    map: memmap2::Mmap,
    messages: &'a Messages,
    starts: Vec<usize>,
}

impl<'a> Mapped<'a> {
    #[allow(unsafe_code)]
    fn new(messages: &'a Messages, dir: &Path) -> Result<Self> {
        let path = dir.join("plain");
        let mut file = std::io::BufWriter::with_capacity(1 << 20, fs::File::create_new(&path)?);
        let mut starts = Vec::with_capacity(messages.len());
        let mut start = 0;
        for message in messages.iter() {
            starts.push(start);
            start += message.len();
            file.write_all(message)?;
        }
        file.flush()?;
        // SAFETY: nobody else knows the file, and it is not changed any more.
        let map = unsafe { memmap2::Mmap::map(&fs::File::open(&path)?)? };
        Ok(Self { map, messages, starts })
    }

    fn get(&self, number: usize) -> &[u8] {
        let start = self.starts.get(number).copied().unwrap_or(0);
        self.map.get(start..start + self.messages.get(number).len()).unwrap_or_default()
    }

    fn pass(&self) -> u64 {
        (0..self.starts.len()).map(|number| u64::from(crc_fast::crc32_iscsi(self.get(number)))).sum()
    }
}

/// One pass that computes the CRC-32C of each message where it lies in a mapped file.
pub(crate) fn map_crc(messages: &Messages, dir: &Path) -> Result<Sample> {
    let mapped = Mapped::new(messages, dir)?;
    let expected = mapped.pass();
    Sample::time(|| {
        if mapped.pass() != expected {
            return Err("a pass over the same bytes gave another sum".into());
        }
        Ok((messages.len() as u64, messages.total_bytes()))
    })
}

/// Looks at messages of a mapped file in random order, computing the CRC-32C of each.
pub(crate) fn map_random(messages: &Messages, dir: &Path) -> Result<Sample> {
    let mapped = Mapped::new(messages, dir)?;
    std::hint::black_box(mapped.pass());
    let numbers = random_numbers(messages.len());
    Sample::time(|| {
        let sum: u64 = numbers.iter().map(|n| u64::from(crc_fast::crc32_iscsi(mapped.get(*n as usize)))).sum();
        std::hint::black_box(sum);
        Ok((numbers.len() as u64, 0))
    })
}

/// Reads the author of each message and keeps the numbers in a map in memory.
pub(crate) fn index_memory(messages: &Messages) -> Result<Sample> {
    Sample::time(|| {
        let mut index: std::collections::BTreeMap<String, Vec<u64>> = std::collections::BTreeMap::new();
        for (number, bytes) in messages.iter().enumerate() {
            let message: crate::messages::Message = serde_json::from_slice(bytes)?;
            index.entry(message.author).or_default().push(number as u64);
        }
        std::hint::black_box(index.len());
        Ok((messages.len() as u64, messages.total_bytes()))
    })
}

/// A million numbers of messages, in the order in which random gets ask for them.
pub(crate) fn random_numbers(count: usize) -> Vec<u64> {
    let mut random = Random(7);
    (0..1_000_000).map(|_| random.below(count as u64)).collect()
}
