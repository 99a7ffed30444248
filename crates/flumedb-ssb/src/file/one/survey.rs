//! What lies between and behind the records: damage, or a torn tail. Looks for records at every byte where no block says
//! where one may start, but only to tell the two apart; what it finds is never served as an entry.

use flumedb::{Damage, Result, check::TornTail};

use super::{
    CUT_OFF, Chain, Layout,
    chain::{self, Gap, MOST_GAPS, TOO_MUCH},
    layout::Verdict,
};
use crate::file::source::Source;

/// What a survey found.
#[derive(Default)]
pub(super) struct Survey {
    pub(super) damage: Vec<Damage>,
    pub(super) torn_tail: Option<TornTail>,
    /// The last damage is all that was not looked at any more.
    pub(super) too_much: bool,
}

impl Survey {
    /// Everything from `offset` on is damage, as far as anybody looks.
    fn give_up(&mut self, source: &Source, offset: u64, bytes: u64) {
        self.damage.push(Damage::new(&source.path, offset, bytes, TOO_MUCH));
        self.too_much = true;
    }
}

/// Surveys a file of `len` bytes.
///
/// A torn tail has no whole record in it. Where one follows the bad place, bytes in the middle were lost or changed (or
/// a payload imitates a record, which cannot be told apart): that is damage, and nothing is cut without being asked.
pub(super) fn survey<L: Layout>(source: &Source, layout: &L, chain: &Chain, len: u64) -> Result<Survey> {
    let mut survey = Survey::default();
    survey.damage.extend(chain.gaps().iter().map(|gap| gap.damage(source)));
    if layout.is_closed(chain.end(), source, len)? {
        return Ok(survey);
    }
    let (end, bytes) = (chain.end(), len.saturating_sub(chain.end()));
    if L::RESEEKS {
        search(source, layout, chain, len, &mut survey)?;
    } else if chain.stop() == Some(TOO_MUCH) {
        survey.give_up(source, end, bytes);
    } else if let Some(found) = layout.resumes(end, source, len)? {
        let reason = chain.stop().unwrap_or(CUT_OFF);
        let mut damage = Gap { from: end, to: found, reason }.damage(source);
        damage.reason = format!("{reason}; whole records follow at byte {found}");
        survey.damage.push(damage);
    } else {
        // Of no bytes where only the end of a block is missing.
        let offset = layout.sound_to(end, source, len)?;
        survey.torn_tail = Some(TornTail { file: source.path.clone(), offset, bytes: len.saturating_sub(offset) });
    }
    Ok(survey)
}

/// Where a record may start, from `at` on: not where so many zeros follow that none begins like that.
fn past_zeros(bytes: &[u8], at: usize) -> usize {
    const PIECE: &[u8] = &[0; 4096];
    const MOST: usize = 15;
    let rest = bytes.get(at..).unwrap_or_default();
    let pieces = rest.chunks_exact(PIECE.len()).take_while(|&piece| piece == PIECE).count() * PIECE.len();
    let zeros = rest.get(pieces..).unwrap_or_default().iter().take_while(|&&byte| byte == 0).count();
    at + (pieces + zeros).saturating_sub(MOST)
}

/// Looks for records at every byte behind the chain.
fn search<L: Layout>(source: &Source, layout: &L, chain: &Chain, len: u64, survey: &mut Survey) -> Result<()> {
    let base = chain.end();
    let Some(size) = len.checked_sub(base).and_then(|size| usize::try_from(size).ok()) else { return Ok(()) };
    let bytes = source.up_to(base, size)?;
    let judge = |at: usize| layout.judge(base + at as u64, bytes.get(at..).unwrap_or_default(), len);
    let (mut bad, mut at, mut reason) = (0, 1, chain.stop().unwrap_or(CUT_OFF));
    while at < bytes.len() {
        let Verdict::Record(_) = judge(at) else {
            at = past_zeros(&bytes, at + 1);
            continue;
        };
        if survey.damage.len() >= MOST_GAPS {
            survey.give_up(source, base + bad as u64, (bytes.len() - bad) as u64);
            return Ok(());
        }
        let (found, mut records) = (at, 0_u64);
        let stopped = loop {
            match judge(at) {
                Verdict::Record(size) => at = (chain::end(layout, base + at as u64, size) - base) as usize,
                Verdict::Broken(reason, _) => break reason,
                _ => break CUT_OFF,
            }
            records += 1;
            if at >= bytes.len() {
                break CUT_OFF;
            }
        };
        let gap = Gap { from: base + bad as u64, to: base + found as u64, reason };
        let mut damage = gap.damage(source);
        damage.reason = format!("{reason}; {records} whole records follow at byte {}", gap.to);
        survey.damage.push(damage);
        (bad, reason) = (at, stopped);
        at += 1;
    }
    if bad < bytes.len() {
        let (offset, bytes) = (base + bad as u64, (bytes.len() - bad) as u64);
        survey.torn_tail = Some(TornTail { file: source.path.clone(), offset, bytes });
    }
    Ok(())
}
