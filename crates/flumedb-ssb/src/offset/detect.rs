//! Which framing a file has, told from its bytes: whatever framing proves the longest run of records from the first byte.

use flumedb::{Error, ErrorKind, Result};

use super::Framing;
use crate::file::{Chain, Detected, Source};

/// Tries all framings over the whole file, or sees whether the one that was named fits.
///
/// # Errors
/// `Invalid` if a framing was named and the bytes are another's.
pub(super) fn detect(source: &Source, len: u64, named: Option<Framing>) -> Result<Detected<Framing>> {
    if len == 0 {
        let layout = named.unwrap_or(Framing::Bits32);
        let evidence = vec![format!("the file is empty; what is appended gets the framing {layout}")];
        return Ok(Detected { layout, chain: Chain::default(), known: true, certain: Ok(()), evidence });
    }
    let walk = |framing| Ok((framing, Chain::walk(&framing, source, len)?));
    let walks = Framing::ALL.into_iter().map(walk).collect::<Result<Vec<_>>>()?;
    // One whole record is proof where a position follows it. Without a position it is not: any file whose first record
    // is torn behind its second length looks like that.
    let proved = |framing: Framing, chain: &Chain| chain.count() >= if framing == Framing::Basic { 2 } else { 1 };
    let ends = walks.iter().filter(|(framing, chain)| proved(*framing, chain)).map(|(_, chain)| chain.end());
    let furthest = ends.clone().max().unwrap_or(0);
    let as_far = ends.filter(|&end| end == furthest).count();
    let known = named.is_some() || walks.iter().any(|(_, chain)| chain.count() > 0);
    let evidence = walks.iter().map(|(framing, chain)| tell(*framing, chain, len)).collect();
    let fits = |framing: Framing, chain: &Chain| match named {
        Some(named) => framing == named,
        None => furthest == 0 || proved(framing, chain) && chain.end() == furthest,
    };
    let Some((layout, chain)) = walks.into_iter().find(|(framing, chain)| fits(*framing, chain)) else {
        return Err(Error::new(ErrorKind::Unsupported, "a framing that this version does not know"));
    };
    if chain.end() < furthest {
        let path = source.path.display();
        let message = format!("{path} is no {layout} file; leave the name out, or give the right one");
        return Err(Error::new(ErrorKind::Invalid, message));
    }
    let settled = as_far == 1 && (layout != Framing::Basic || chain.stop().is_none());
    let certain = if named.is_some() || settled { Ok(()) } else { Err(uncertain(source)) };
    Ok(Detected { layout, chain, known, certain, evidence })
}

/// What a walk says of a framing.
fn tell(framing: Framing, chain: &Chain, len: u64) -> String {
    match (chain.count(), chain.stop()) {
        (0, stop) => format!("{framing}: no record at byte 0: {}", stop.unwrap_or("nothing is there")),
        (count, None) => {
            let position = match framing.position_bytes() {
                0 => String::new(),
                bytes => format!(" and the place where it ends in {} bits", 8 * bytes),
            };
            format!(
                "{framing}: {count} records fill all {len} bytes, each with its length before and after it{position}"
            )
        }
        (count, Some(stop)) => format!("{framing}: {count} records up to byte {}, then {stop}", chain.end()),
    }
}

/// The file must not be written to on a guess.
fn uncertain(source: &Source) -> Error {
    let names = Framing::ALL.map(Framing::name).join(", ");
    let message = format!("the framing of {} cannot be told from its bytes; name it: {names}", source.path.display());
    Error::new(ErrorKind::Invalid, message)
}
