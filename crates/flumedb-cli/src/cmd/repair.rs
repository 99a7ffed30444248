//! `flume repair`.

use flumedb::{
    Env, ErrorKind,
    log::{LogSettings, SegmentedLog},
};
use flumedb_ssb::OffsetLog;

use crate::{
    args::Repair,
    exit::{Failure, Outcome, Verdict},
    open::Kind,
    output,
};

pub(crate) fn repair(args: &Repair) -> Outcome {
    let (env, path, skip_damage) = (Env::os(), &args.place.path, args.skip_damage);
    let done = match Kind::of(&args.place)? {
        Kind::Database => SegmentedLog::repair(&env, path, &LogSettings::default(), skip_damage),
        Kind::File(framing) => OffsetLog::repair(&env, path, &framing, skip_damage),
    };
    let done = done.map_err(|error| {
        let refused = error.kind() == ErrorKind::Corrupt && !skip_damage;
        let failure = Failure::from(error);
        let text = failure.to_string();
        // Where no format fits there is nothing behind the damage to go on with.
        let told = text.contains("--skip-damage") || text.contains("no format");
        if refused && !told {
            failure.context("not repaired (--skip-damage goes on behind the damage)")
        } else {
            failure
        }
    })?;
    for damage in &done.damage {
        output::line(format_args!("passed over {} damaged bytes at byte {}", damage.bytes, damage.offset))?;
    }
    if let Some(tail) = &done.torn_tail {
        output::line(format_args!("cut {} torn bytes at byte {}", tail.bytes, tail.offset))?;
    }
    for kept in &done.kept_in {
        output::line(format_args!("kept in {}", kept.display()))?;
    }
    if done.damage.is_empty() && done.torn_tail.is_none() {
        output::line("there was nothing to repair")?;
    }
    Ok(Verdict::Fine)
}
