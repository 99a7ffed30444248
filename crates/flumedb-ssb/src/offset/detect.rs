//! Which framing a file has, told from its bytes: whatever framing proves the longest chain from the first byte.

use flumedb::{Error, ErrorKind, Result};

use super::{
    chain::Chain,
    framing::{Framing, Verdict},
    source::Source,
};

/// What the bytes say.
pub(super) struct Detected {
    /// The records.
    pub(super) chain: Chain,
    /// Why they stop before the end of the file, if they do.
    pub(super) stop: Option<&'static str>,
    /// Whether the bytes fit any framing at all.
    pub(super) known: bool,
    /// Whether they can be no other framing, so that writing is safe.
    pub(super) certain: bool,
}

/// Tries all framings over the whole file, or sees whether the one that was named fits.
///
/// # Errors
/// `Invalid` if a framing was named and the bytes are another's.
pub(super) fn detect(source: &Source, len: u64, named: Option<Framing>) -> Result<Detected> {
    if len == 0 {
        let chain = Chain::new(named.unwrap_or(Framing::Bits32));
        return Ok(Detected { chain, stop: None, known: true, certain: true });
    }
    let mut walks = Vec::new();
    for framing in Framing::ALL {
        let mut chain = Chain::new(framing);
        let stop = chain.extend(source, len)?;
        walks.push((chain, stop));
    }
    // One whole record is proof where a position follows it. Without a position it is not: any file whose first record
    // is torn behind its second length looks like that.
    let proved = |chain: &Chain| chain.count >= if chain.framing == Framing::Basic { 2 } else { 1 };
    let furthest = walks.iter().filter(|(chain, _)| proved(chain)).map(|(chain, _)| chain.end).max().unwrap_or(0);
    let as_far = walks.iter().filter(|(chain, _)| proved(chain) && chain.end == furthest).count();
    let known = named.is_some() || walks.iter().any(|(chain, _)| chain.count > 0);
    let fits = |chain: &Chain| match named {
        Some(named) => chain.framing == named,
        None => furthest == 0 || proved(chain) && chain.end == furthest,
    };
    let Some((chain, stop)) = walks.into_iter().find(|(chain, _)| fits(chain)) else {
        return Err(Error::new(ErrorKind::Unsupported, "a framing that this version does not know"));
    };
    if chain.end < furthest {
        let path = source.path.display();
        let message = format!("{path} is no {} file; leave the name out, or give the right one", chain.framing);
        return Err(Error::new(ErrorKind::Invalid, message));
    }
    let settled = as_far == 1 && (chain.framing != Framing::Basic || stop.is_none());
    Ok(Detected { certain: named.is_some() || settled, chain, stop, known })
}

/// Whether the file begins as some framing does, or is empty: a glance, before anything is made beside it.
pub(super) fn begins(source: &Source, len: u64) -> Result<bool> {
    let whole = |framing: Framing| {
        let Some(head) = source.up_to(0, 4)?.first_chunk().copied() else { return Ok(false) };
        let size = u32::from_be_bytes(head);
        let trailer = source.up_to(4 + u64::from(size), framing.trailer())?;
        Ok(matches!(framing.judge(0, size, &trailer), Verdict::Whole(_)))
    };
    if len == 0 {
        return Ok(true);
    }
    Framing::ALL.into_iter().map(whole).find(|found| !matches!(found, Ok(false))).unwrap_or(Ok(false))
}
