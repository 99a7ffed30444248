//! [`Map`], a file in memory: what is read of it is a slice, not a copy.

use std::{
    fs, io,
    ops::Range,
    os::unix::fs::FileExt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;

/// So much at a time is known to be readable, which is also what a page fault brings in.
const PIECE: usize = 64 << 10;
/// So much of what cannot be read through the map is read at a time.
const COPY: usize = 1 << 20;

/// A file as it was when it was mapped. Slices keep the map alive.
///
/// A page that cannot be brought in, because the disk fails there or the file has become shorter, ends a process that touches
/// it. So the system is asked to bring pages in before they are touched for the first time, which fails instead, and then the
/// bytes are read by a call that says why. What it brought in once may have to be brought in again when memory is short: that
/// is not asked anew.
#[derive(Default)]
pub(super) struct Map {
    mapped: Option<Arc<memmap2::Mmap>>,
    bytes: Bytes,
    /// A bit for each piece that was brought in.
    brought: Box<[AtomicU64]>,
}

/// What slices hold on to.
struct Owner(Arc<memmap2::Mmap>);

impl AsRef<[u8]> for Owner {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Map {
    #[allow(unsafe_code)]
    pub(super) fn of(file: &fs::File) -> io::Result<Self> {
        let len = file.metadata()?.len() as usize;
        if len == 0 {
            return Ok(Self::default());
        }
        // SAFETY: the bytes behind the map may change while it lives, but only past what its readers were told is written: log
        // files are appended to, and every byte that is read is checked against a checksum. Cutting a mapped file below what was
        // read is excluded by the directory's lock and by recovery, which never cuts what a reader may have seen. Somebody else
        // truncating the file while what was read of it is in use can end the process with SIGBUS, as with every
        // memory-mapped store.
        let mapped = Arc::new(unsafe { memmap2::MmapOptions::new().len(len).map(file)? });
        let words = len.div_ceil(PIECE).div_ceil(u64::BITS as usize);
        let bytes = Bytes::from_owner(Owner(mapped.clone()));
        Ok(Self { mapped: Some(mapped), bytes, brought: (0..words).map(|_| AtomicU64::new(0)).collect() })
    }

    pub(super) fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// The bytes from `start` to `end`, if the map has all of them and they have been brought in.
    pub(super) fn get(&self, start: u64, end: u64) -> Option<Bytes> {
        let (first, last) = (usize::try_from(start).ok()?, usize::try_from(end).ok()?);
        let is_here = first < last && last <= self.bytes.len() && pieces(first, last).all(|piece| self.has(piece));
        is_here.then(|| self.bytes.slice(first..last))
    }

    /// The bytes from `start` to `end` of the map of this file, as far as it goes; fewer if the file has become shorter.
    pub(super) fn read(&self, file: &fs::File, start: u64, end: u64) -> io::Result<Bytes> {
        let end = end.min(self.len());
        if start >= end {
            return Ok(Bytes::new());
        }
        let (first, last) = (start as usize, end as usize);
        if self.bring(first, last) { Ok(self.bytes.slice(first..last)) } else { copy(file, start, end) }
    }

    /// Whether all pages of a range could be brought in.
    fn bring(&self, start: usize, end: usize) -> bool {
        let mut pieces = pieces(start, end);
        let missing = |piece: &usize| !self.has(*piece);
        let Some(from) = pieces.find(missing) else { return true };
        let to = pieces.rfind(missing).unwrap_or(from) + 1;
        let brought = self.populate(from * PIECE, (to * PIECE).min(self.bytes.len()));
        if brought {
            (from..to).for_each(|piece| self.note(piece));
        }
        brought
    }

    #[cfg(target_os = "linux")]
    fn populate(&self, from: usize, to: usize) -> bool {
        use rustix::io::Errno;
        let Some(mapped) = &self.mapped else { return false };
        match mapped.advise_range(memmap2::Advice::PopulateRead, from, to - from) {
            // Linux before 5.14 does not know the question.
            Err(error) => error.raw_os_error() == Some(Errno::INVAL.raw_os_error()),
            Ok(()) => true,
        }
    }

    /// Other systems are not asked.
    #[cfg(not(target_os = "linux"))]
    fn populate(&self, _: usize, _: usize) -> bool {
        self.mapped.is_some()
    }

    fn has(&self, piece: usize) -> bool {
        let (word, bit) = (piece / u64::BITS as usize, piece % u64::BITS as usize);
        self.brought.get(word).is_some_and(|word| word.load(Ordering::Relaxed) & 1 << bit != 0)
    }

    fn note(&self, piece: usize) {
        let (word, bit) = (piece / u64::BITS as usize, piece % u64::BITS as usize);
        if let Some(word) = self.brought.get(word) {
            word.fetch_or(1 << bit, Ordering::Relaxed);
        }
    }
}

/// The pieces of a range.
fn pieces(start: usize, end: usize) -> Range<usize> {
    start / PIECE..end.div_ceil(PIECE)
}

/// Reads what the map cannot show, or says why not.
fn copy(file: &fs::File, start: u64, end: u64) -> io::Result<Bytes> {
    let (mut bytes, mut part) = (Vec::new(), vec![0; COPY.min((end - start) as usize)]);
    loop {
        let at = start + bytes.len() as u64;
        let part = part.split_at_mut((end - at).min(COPY as u64) as usize).0;
        match file.read_at(part, at) {
            Ok(0) => return Ok(bytes.into()),
            Ok(taken) => bytes.extend(part.iter().take(taken)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
