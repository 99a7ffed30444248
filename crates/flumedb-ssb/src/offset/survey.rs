//! What lies behind the last record that the chain proves: a torn tail, or damage with whole records behind it. Looks
//! for records at every byte, but only to decide that; what it finds is never served as an entry.

use flumedb::{Damage, Result, check::TornTail};

use super::{
    framing::{CUT_OFF, Framing, Verdict},
    source::Source,
};

/// What a survey found between the end of the chain and the end of the file.
#[derive(Default)]
pub(super) struct Survey {
    pub(super) damage: Vec<Damage>,
    pub(super) torn_tail: Option<TornTail>,
}

/// Surveys the file from `end`, where the chain stopped for the reason `stop`, to its length `len`.
///
/// A torn tail has no whole record in it. Where one follows the bad place, bytes in the middle were lost or changed (or
/// a payload imitates a record, which cannot be told apart): that is damage, and nothing is cut without being asked.
pub(super) fn survey(
    source: &Source,
    framing: Framing,
    end: u64,
    len: u64,
    stop: Option<&'static str>,
) -> Result<Survey> {
    let mut survey = Survey::default();
    let Some(size) = len.checked_sub(end).and_then(|size| usize::try_from(size).ok()) else { return Ok(survey) };
    let bytes = source.up_to(end, size)?;
    let judge = |at: usize| framing.judge_slice(end + at as u64, bytes.get(at..).unwrap_or_default());
    let (mut bad, mut at, mut reason) = (0, 1, stop.unwrap_or(CUT_OFF));
    while at < bytes.len() {
        let Verdict::Whole(_) = judge(at) else {
            at += 1;
            continue;
        };
        let (found, mut records) = (at, 0_u64);
        let stopped = loop {
            match judge(at) {
                Verdict::Whole(size) => at += size as usize + framing.overhead() as usize,
                Verdict::Broken(reason) => break reason,
            }
            records += 1;
        };
        let offset = end + found as u64;
        let reason = format!(
            "{reason}; {records} whole records follow at byte {offset}",
            reason = std::mem::replace(&mut reason, stopped)
        );
        survey.damage.push(Damage::new(&source.path, end + bad as u64, (found - bad) as u64, reason));
        bad = at;
        at += 1;
    }
    if bad < bytes.len() {
        let (offset, bytes) = (end + bad as u64, (bytes.len() - bad) as u64);
        survey.torn_tail = Some(TornTail { file: source.path.clone(), offset, bytes });
    }
    Ok(survey)
}
