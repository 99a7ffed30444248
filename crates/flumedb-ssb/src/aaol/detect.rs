//! Which block size a file has, told from its bytes: the size at whose multiples records begin again after zeros. Looks at
//! a bounded piece of the file.
//!
//! In a sound file no other size fits. With a larger one there are bytes behind the zeros that would end a block; with a
//! smaller one a record reaches past its block, or a block has nothing but zeros.

use flumedb::{Error, ErrorKind, Result};

use super::{Aaol, AaolLog};
use crate::{
    bipf,
    file::{Chain, Detected, Layout, Source, Verdict},
};

/// So many bytes from the start are looked at.
const PIECE: u64 = 1 << 20;

/// So many payloads are looked at where nothing else tells whether it is a log.
const SAMPLE: u64 = 8;

/// The sizes that are tried where the first block does not tell it, because it is damaged.
const USUAL: [u32; 8] = [65_536, 32_768, 16_384, 8_192, 4_096, 2_048, 1_024, 512];

/// Tells the block size of a file of `len` bytes, or sees whether the one that was named fits.
///
/// # Errors
/// `Invalid` if a size was named and the bytes have another.
pub(super) fn detect(source: &Source, len: u64, named: Option<Aaol>) -> Result<Detected<Aaol>> {
    let usual = || Aaol::new(AaolLog::BLOCK_SIZE);
    if len == 0 {
        let layout = named.map_or_else(usual, Ok)?;
        let evidence =
            vec![format!("the file is empty; what is appended gets blocks of {} bytes", layout.block_size())];
        return Ok(Detected { layout, chain: Chain::default(), known: true, certain: Ok(()), evidence });
    }
    let bytes = source.up_to(0, PIECE.min(len) as usize)?;
    let mut trials: Vec<Trial> = candidates(&bytes, len).map(|layout| Trial::of(layout, &bytes, len)).collect();
    // Of two that prove as much the first one stays, so that the usual size wins.
    let rank = |trial: &Trial| (trial.is_certain(), trial.proved(), trial.records);
    let best = trials.iter().enumerate().reduce(|best, next| if rank(next.1) > rank(best.1) { next } else { best });
    let Some(at) = best.map(|(at, _)| at) else { return Err(Error::new(ErrorKind::Invalid, "no block size fits")) };
    let mut best = trials.swap_remove(at);
    let mut certain = best.is_certain()
        || best.resumes
            && best.is_usual()
            && trials.iter().all(|other| other.proved().saturating_mul(2) < best.proved());
    let (mut known, mut refused) = (best.is_known(), None);
    if let Some(named) = named {
        let trial = Trial::of(named, &bytes, len);
        if best.is_certain() && best.layout != named && !trial.is_sound() {
            let (path, right) = (source.path.display(), best.layout);
            let message = format!("{path} is no {named} log; leave the name out, or give the right one: {right}");
            refused = Some(Error::new(ErrorKind::Invalid, message));
        }
        // What has whole blocks of the size that was named can be read as if it were that.
        if let Some(error) = refused.take_if(|_| trial.blocks == 0) {
            return Err(error);
        }
        (best, certain, known) = (trial, true, true);
    }
    let chain = if known { Chain::walk(&best.layout, source, len)? } else { Chain::default() };
    let evidence = vec![best.tell(known.then_some(&chain), len)];
    let certain = match refused {
        Some(error) => Err(error),
        None if certain => Ok(()),
        None => Err(uncertain(source)),
    };
    Ok(Detected { layout: best.layout, chain, known, certain, evidence })
}

/// Whether a file of `len` bytes looks like one of this layout.
pub(super) fn may_be(layout: Aaol, source: &Source, len: u64) -> Result<bool> {
    Ok(Trial::of(layout, &source.up_to(0, PIECE.min(len) as usize)?, len).is_known())
}

/// The sizes to try: what the first block says if it is sound, and the usual ones.
fn candidates(bytes: &[u8], len: u64) -> impl Iterator<Item = Aaol> {
    let mut end = 0_usize;
    // Up to the zeros that end the first block, if this is one.
    while let Some(&[low, high]) = bytes.get(end..).and_then(|rest| rest.first_chunk::<2>()) {
        let size = u16::from_le_bytes([low, high]);
        if size == 0 {
            break;
        }
        end = end.saturating_add(2).saturating_add(usize::from(size));
    }
    let behind = bytes.get(end..).unwrap_or_default();
    let first = match behind.iter().position(|&byte| byte != 0) {
        // Of the length with which the next block begins, the lower byte may be zero.
        Some(zeros) => [Some((end + zeros) as u64), (end + zeros).checked_sub(1).map(|start| start as u64)],
        None => [Some(len), None],
    };
    let first = first.into_iter().flatten().filter_map(|size| u32::try_from(size).ok());
    let mut tried = Vec::new();
    for size in first.filter(|size| !USUAL.contains(size)).chain(USUAL) {
        if !tried.contains(&size) {
            tried.push(size);
        }
    }
    // The usual size first.
    tried.sort_unstable_by_key(|&size| (size != AaolLog::BLOCK_SIZE, std::cmp::Reverse(size)));
    tried.into_iter().filter_map(|size| Aaol::new(size).ok())
}

/// What the first bytes of a file look like in blocks of one size.
struct Trial {
    layout: Aaol,
    records: u64,
    /// Blocks that end as a block ends.
    blocks: u64,
    /// Whether a record begins where one of those ends.
    resumes: bool,
    /// Whether such blocks are all there is.
    closed: bool,
    /// Whether the file's length is that of whole blocks.
    fills: bool,
    /// Where it is no such log, and why.
    broken: Option<(u64, &'static str)>,
    /// Whether the first payloads look like messages.
    entries: bool,
}

impl Trial {
    fn of(layout: Aaol, bytes: &[u8], len: u64) -> Self {
        let fills = len.is_multiple_of(u64::from(layout.block_size()));
        let mut trial =
            Self { layout, records: 0, blocks: 0, resumes: false, closed: false, fills, broken: None, entries: true };
        let (mut at, mut ended) = (0_u64, false);
        while at < len {
            let Some(rest) = bytes.get(at as usize..).filter(|rest| !rest.is_empty()) else { return trial };
            let verdict = layout.judge(at, rest, len);
            let head = rest.iter().take(2).any(|&byte| byte != 0);
            trial.resumes |= std::mem::take(&mut ended) && head;
            match verdict {
                Verdict::Record(size) => {
                    trial.records += 1;
                    if trial.records <= SAMPLE {
                        trial.entries &= rest.get(2..2 + size as usize).is_none_or(is_entry);
                    }
                    at += 2 + u64::from(size);
                }
                Verdict::Skip(to) => {
                    trial.blocks += 1;
                    (at, ended) = (to, true);
                }
                Verdict::Broken(reason, next) => {
                    trial.broken.get_or_insert((at, reason));
                    match next {
                        Some(next) => at = next,
                        None => return trial,
                    }
                }
                Verdict::More(_) | Verdict::End => return trial,
            }
        }
        trial.closed = trial.is_sound() && trial.proved() == len;
        trial
    }

    fn proved(&self) -> u64 {
        self.blocks.saturating_mul(u64::from(self.layout.block_size()))
    }

    fn is_sound(&self) -> bool {
        self.broken.is_none()
    }

    /// Whether it can be no other size. One block alone may be what has reached the disk of a larger one.
    fn is_certain(&self) -> bool {
        let usual = self.closed && self.layout.block_size() == AaolLog::BLOCK_SIZE;
        self.is_sound() && self.records > 0 && (self.resumes && self.fills || usual)
    }

    /// Whether its size is a usual one. What a stopped append leaves has zeros in front of what it has written, too, and
    /// looks as if a block of any size ended there.
    fn is_usual(&self) -> bool {
        USUAL.contains(&self.layout.block_size())
    }

    /// Whether it is such a log at all: a whole block is proof, and what comes before it is torn needs to look like an
    /// entry.
    fn is_known(&self) -> bool {
        self.records > 0 && (self.blocks > 0 || self.is_sound() || self.entries)
    }

    /// What it says for people.
    fn tell(&self, chain: Option<&Chain>, len: u64) -> String {
        let block = self.layout.block_size();
        // One that may be half written counts here: it is what the bytes look like.
        let records = chain.map_or(0, |chain| chain.count() + u64::from(chain.doubts()));
        match (chain, self.broken) {
            (Some(chain), None) if chain.stop().is_none() && chain.gap_bytes() == 0 => {
                format!("aaol: {records} records in blocks of {block} bytes, which end in zeros, up to byte {len}")
            }
            (Some(chain), broken) => {
                let (at, why) = broken.unwrap_or((chain.end(), chain.stop().unwrap_or("there is damage")));
                format!("aaol: {records} records in blocks of {block} bytes; at byte {at} {why}")
            }
            (None, broken) => {
                let (at, why) = broken.unwrap_or((0, "there is no record"));
                format!("aaol: no block size fits; with {block} bytes, at byte {at} {why}")
            }
        }
    }
}

/// Whether a payload looks like a message: BIPF, or the two ends of a JSON object.
fn is_entry(payload: &[u8]) -> bool {
    bipf::check(payload).is_ok() || payload.first() == Some(&b'{') && payload.last() == Some(&b'}')
}

/// The file must not be written to on a guess.
fn uncertain(source: &Source) -> Error {
    let path = source.path.display();
    let message = format!("the block size of {path} cannot be told from its bytes; name it, as in aaol:65536");
    Error::new(ErrorKind::Invalid, message)
}
