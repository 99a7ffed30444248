//! Which block size a file has, told from its bytes: where its first block ends, and which size then proves the longest
//! run of records.

use flumedb::{Error, ErrorKind, Result};

use super::{
    Aligned,
    block::{OVERHEAD, u16_at},
};
use crate::file::{Chain, Detected, Layout, Source};

/// Sizes that are looked for by the ends of their blocks, for files whose first block is damaged.
const COMMON: [u32; 8] = [65536, 32768, 16384, 8192, 4096, 2048, 1024, 512];

/// So many blocks are looked at for that.
const PROBES: u64 = 4;

/// Sizes that are walked over, so that no file makes it many.
const MOST_WALKS: usize = 8;

/// Finds the size, or sees whether the one that was named fits.
///
/// # Errors
/// `Invalid` if a size was named and the bytes are another's, or if it is none.
pub(super) fn detect(source: &Source, len: u64, named: Option<u32>) -> Result<Detected<Aligned>> {
    let named = named.map(Aligned::new).transpose()?;
    if len == 0 {
        let layout = named.map_or(Aligned::new(Aligned::DEFAULT), Ok)?;
        let evidence =
            vec![format!("the file is empty; what is appended gets blocks of {} bytes", layout.block_size())];
        return Ok(Detected { layout, chain: Chain::default(), known: true, certain: Ok(()), evidence });
    }
    let (mut clues, starts) = clues(source, len)?;
    clues.truncate(MOST_WALKS);
    let told = clues.len();
    // Before its first block is full, any file looks like one of the largest blocks.
    let guess = (starts || told > 0 || named.is_some()).then(|| Aligned::new(Aligned::DEFAULT)).transpose()?;
    for layout in [guess, named].into_iter().flatten() {
        if !clues.iter().any(|clue| clue.layout == layout) {
            clues.push(Clue { layout, why: String::new() });
        }
    }
    let walk = |clue: &Clue| Chain::walk(&clue.layout, source, len);
    let walks = clues.iter().map(walk).collect::<Result<Vec<_>>>()?;
    let proved = |chain: &Chain| chain.end() - chain.gap_bytes();
    let furthest = walks.iter().map(proved).max().unwrap_or(0);
    let as_far = walks.iter().filter(|chain| proved(chain) == furthest).count();
    let evidence = clues.iter().zip(&walks).map(|(clue, chain)| tell(clue, chain, len)).collect();
    let fits = |layout: Aligned, chain: &Chain| match named {
        Some(named) => layout == named,
        None => proved(chain) == furthest,
    };
    let mut found = clues.iter().map(|clue| clue.layout).zip(walks).enumerate();
    let Some((at, (layout, chain))) = found.find(|(_, (layout, chain))| fits(*layout, chain)) else {
        let evidence = vec!["aligned: no record at byte 0, and no block of a usual size ends with its mark".to_owned()];
        let (layout, chain, certain) = (Aligned::new(Aligned::DEFAULT)?, Chain::default(), Err(uncertain(source)));
        return Ok(Detected { layout, chain, known: false, certain, evidence });
    };
    if proved(&chain) < furthest {
        let (path, size) = (source.path.display(), layout.block_size());
        let message = format!("{path} has no blocks of {size} bytes; leave the size out, or give the right one");
        return Err(Error::new(ErrorKind::Invalid, message));
    }
    let known = named.is_some() || chain.count() > 0;
    // One that explains less than it leaves as damage is a guess: once that is mended, another may prove more.
    let settled = at < told && as_far == 1 && proved(&chain) > chain.gap_bytes();
    let certain = if named.is_some() || settled { Ok(()) } else { Err(uncertain(source)) };
    Ok(Detected { layout, chain, known, certain, evidence })
}

/// A size, and what speaks for it.
struct Clue {
    layout: Aligned,
    why: String,
}

/// The sizes that the first blocks speak for, and whether there is a record at byte 0.
fn clues(source: &Source, len: u64) -> Result<(Vec<Clue>, bool)> {
    let mut clues: Vec<Clue> = Vec::new();
    let mut add = |size: usize, why: String| {
        let layout = u32::try_from(size).ok().and_then(|size| Aligned::new(size).ok());
        if let Some(layout) = layout.filter(|layout| clues.iter().all(|clue| clue.layout != *layout)) {
            clues.push(Clue { layout, why });
        }
    };
    for size in COMMON {
        let layout = Aligned::new(size)?;
        for block in (0..PROBES).map(|block| block * u64::from(size)) {
            if block + u64::from(size) > len {
                break;
            }
            let bytes = source.exact(block, size as usize)?;
            if let Some(place) = layout.capped(0, &bytes) {
                add(
                    size as usize,
                    format!("the block at byte {block} ends with its mark and the place of it, {place}"),
                );
                break;
            }
        }
    }
    let bytes = source.up_to(0, 2 * Aligned::MOST as usize)?;
    let mut at = 0;
    while let Some(size) = u16_at(&bytes, at) {
        let size = usize::from(size);
        let end = size + 1;
        let points_here = || {
            let pointer = bytes.get(..end)?.last_chunk::<4>()?;
            (u32::from_le_bytes(*pointer) as usize == at).then_some(())?;
            let layout = Aligned::new(u32::try_from(end).ok()?).ok()?;
            layout.capped(0, bytes.get(..end)?)
        };
        if points_here().is_some() {
            add(end, format!("the block at byte 0 ends with its mark and the place of it, {at}"));
        }
        if size == 0 {
            // What a deletion by the original leaves behind the last record of a block that is not full.
            let next = at + bytes.get(at..).unwrap_or_default().iter().take_while(|&&byte| byte == 0).count();
            let why = || format!("zeros from byte {at} on, as if the first block ended there");
            if at > 0 && at + OVERHEAD as usize <= next {
                add(next, why());
                if next < bytes.len() {
                    add(next - 1, why());
                }
            }
            break;
        }
        if u16_at(&bytes, at + 2 + size).map(usize::from) != Some(size) {
            break;
        }
        at += size + OVERHEAD as usize;
    }
    Ok((clues, at > 0))
}

/// What a walk says of a size.
fn tell(clue: &Clue, chain: &Chain, len: u64) -> String {
    let name = format!("{}:{}", clue.layout.name(), clue.layout.block_size());
    let walked = match (chain.count(), chain.stop()) {
        (0, stop) => format!("no record at byte 0: {}", stop.unwrap_or("nothing is there")),
        (count, None) => format!("{count} records fill all {len} bytes"),
        (count, Some(stop)) => format!("{count} records up to byte {}, then {stop}", chain.end()),
    };
    match (chain.gap_bytes(), clue.why.as_str()) {
        (0, "") => format!("{name}: {walked}"),
        (0, why) => format!("{name}: {why}; {walked}"),
        (gaps, "") => format!("{name}: {walked}, but for {gaps} damaged bytes"),
        (gaps, why) => format!("{name}: {why}; {walked}, but for {gaps} damaged bytes"),
    }
}

/// The file must not be written to on a guess.
fn uncertain(source: &Source) -> Error {
    let path = source.path.display();
    let message =
        format!("the block size of {path} cannot be told from its bytes; name it: aligned:65536, aligned:1024 …");
    Error::new(ErrorKind::Invalid, message)
}
