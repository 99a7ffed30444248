//! Mending an [`Offset2`](super::Offset2): a file that is wrong is written anew from the other where that one leads; entries
//! that neither leads to become deleted ones, so that those behind them keep their numbers. What is overwritten is kept.

use std::path::Path;

use flumedb::{Damage, Env, Error, ErrorKind, Result, check::Repair, env::OpenMode};

use super::{
    chain::{Chain, Gap},
    files::{Files, Journal, write_at, zero_at},
    head::Head,
    open::{settle, take},
    survey::Survey,
};
use crate::file::keep;

const WORD: u64 = Head::BYTES as u64;

pub(super) fn repair(env: &Env, dir: &Path, skip_damage: bool) -> Result<Repair> {
    let Some((files, _lock)) = take(env, dir)? else {
        let seen = Files::open(env, dir, OpenMode::Read)?;
        let (bytes, reason) = (seen.data.len()?, "no format that is known here fits");
        return Err(Error::corrupt(Damage::new(&seen.data.path, 0, bytes, reason)));
    };
    let mut repair = Repair::default();
    let mut chain = Chain::walk(&files)?;
    let mut survey = Survey::of(&files, &chain)?;
    if survey.is_clean() {
        return Ok(repair);
    }
    if let Some(damage) = survey.damage().next().filter(|_| !skip_damage) {
        return Err(Error::corrupt(damage.clone()));
    }
    // More than a walk steps over may be found behind what was mended.
    while !chain.gaps().is_empty() {
        for gap in chain.gaps() {
            lengths(gap, &files)?;
        }
        for gap in chain.gaps() {
            repair.damage.push(gap.damage(&files));
            repair.kept_in.push(fill(env, &files, gap)?);
        }
        chain = Chain::walk(&files)?;
        survey = Survey::of(&files, &chain)?;
    }
    if let Some(missing) = survey.missing {
        if files.journal()? == Journal::Damaged {
            repair.kept_in.push(keep(env, &files.jrnl, 0, files.jrnl.len()?, "damaged")?);
        } else if let Some(found) = found_behind(&files, &chain)? {
            let places = chain.count() * WORD;
            let bytes = files.ofst.len()?.saturating_sub(places);
            if bytes > 0 {
                repair.kept_in.push(keep(env, &files.ofst, places, bytes, "damaged")?);
            }
            list(&files, chain.count(), chain.end(), found)?;
            chain = Chain::walk(&files)?;
        }
        repair.damage.push(missing);
    }
    repair.kept_in.extend(settle(env, &files, &chain)?);
    repair.torn_tail = survey.torn_tail;
    Ok(repair)
}

/// Makes the files agree on the entries of a gap. Answers where the bytes are kept that were there.
fn fill(env: &Env, files: &Files, gap: &Gap) -> Result<std::path::PathBuf> {
    let entries = gap.to - gap.from;
    if gap.led {
        let kept = keep(env, &files.ofst, gap.from * WORD, entries * WORD, "damaged")?;
        list(files, gap.from, gap.start, entries)?;
        return Ok(kept);
    }
    let (size, last) = lengths(gap, files)?;
    let kept = keep(env, &files.data, gap.start, gap.end - gap.start, "damaged")?;
    let mut at = gap.start;
    for seq in gap.from..gap.to {
        let size = if seq + 1 == gap.to { last } else { size };
        // A deleted entry of no bytes is an entry of no bytes, and nothing else has been there.
        let head = Head { size, deleted: size > 0 };
        write_at(&files.data, at, &head.bytes())?;
        zero_at(&files.data, at + WORD, u64::from(size))?;
        at = head.end(at);
    }
    files.data.sync()?;
    list(files, gap.from, gap.start, entries)?;
    Ok(kept)
}

/// The payload lengths of deleted entries that fill a gap: of all but the last, and of the last.
fn lengths(gap: &Gap, files: &Files) -> Result<(u32, u32)> {
    let (entries, bytes) = (gap.to - gap.from, gap.end - gap.start);
    let each = bytes / entries;
    let last = bytes - each * (entries - 1);
    let size = |bytes: u64| bytes.checked_sub(WORD).and_then(|size| u32::try_from(size).ok());
    match (size(each), size(last)) {
        // Entries of no bytes would be made up beside one of some.
        (Some(0), Some(1..)) | (None, _) | (_, None) => {
            let Damage { file, offset, .. } = gap.damage(files);
            let message = format!(
                "the damage at byte {offset} of {} is of a size that deleted entries cannot fill; export what is readable \
                 with `flume cat`",
                file.display()
            );
            Err(Error::new(ErrorKind::Unsupported, message))
        }
        (Some(size), Some(last)) => Ok((size, last)),
    }
}

/// Writes into `ofst` the places of `entries` entries from number `seq` on, as the lengths from `at` on lead to them.
fn list(files: &Files, seq: u64, mut at: u64, entries: u64) -> Result<()> {
    const PIECE: u64 = 1 << 12;
    let mut done = 0;
    while done < entries {
        let mut words = Vec::new();
        let piece = PIECE.min(entries - done);
        for _ in 0..piece {
            words.extend_from_slice(&at.to_be_bytes());
            let Some(head) = Head::parse(&files.data.exact(at, Head::BYTES)?) else { break };
            at = head.end(at);
        }
        write_at(&files.ofst, (seq + done) * WORD, &words)?;
        done += piece;
    }
    files.ofst.sync()
}

/// How many entries stand in `data` behind those that `ofst` leads to, if they are as many as `jrnl` or `ofst` count: the
/// last of them may be torn.
fn found_behind(files: &Files, chain: &Chain) -> Result<Option<u64>> {
    let counted = match files.journal()? {
        Journal::Count(counted) => counted.max(files.words()?),
        _ => files.words()?,
    };
    let (len, mut at, mut found) = (files.data.len()?, chain.end(), 0);
    let missing = counted.saturating_sub(chain.count());
    let torn = loop {
        let bytes = files.data.up_to(at, Head::BYTES)?;
        if found == missing {
            break Head::may_begin(&bytes);
        }
        match Head::parse(&bytes) {
            Some(head) if head.end(at) <= len => at = head.end(at),
            Some(_) => break found + 1 == missing,
            None => break found + 1 == missing && bytes.len() < Head::BYTES && Head::may_begin(&bytes),
        }
        found += 1;
    };
    Ok((found > 0 && torn).then_some(found))
}
