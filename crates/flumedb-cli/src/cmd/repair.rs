//! `flume repair`.

use flumedb::{ErrorKind, check};

use crate::{
    args::Repair,
    exit::{Failure, Outcome, Verdict},
    open::at,
    output,
};

pub(crate) fn repair(args: &Repair) -> Outcome {
    let (place, skip_damage) = (&args.place, args.skip_damage);
    let done = at(place, false).repair(&place.path, skip_damage).map_err(|error| {
        let refused = error.kind() == ErrorKind::Corrupt && !skip_damage;
        let failure = Failure::from(error);
        if refused && !failure.to_string().contains("--skip-damage") {
            failure.context("not repaired (--skip-damage goes on behind the damage)")
        } else {
            failure
        }
    })?;
    if let Some(finished) = &done.finished {
        output::line(format_args!("finished {finished}"))?;
    }
    for damage in &done.damage {
        output::line(format_args!("passed over {} damaged bytes at byte {}", damage.bytes, damage.offset))?;
    }
    if let Some(tail) = &done.torn_tail {
        match tail.bytes {
            0 => output::line(format_args!("added the end of the last block at byte {}", tail.offset))?,
            bytes => output::line(format_args!("cut {bytes} torn bytes at byte {}", tail.offset))?,
        }
    }
    for kept in &done.kept_in {
        output::line(format_args!("kept in {}", kept.display()))?;
    }
    if done == check::Repair::default() {
        output::line("there was nothing to repair")?;
    }
    Ok(Verdict::Fine)
}
