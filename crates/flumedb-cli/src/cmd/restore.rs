//! `flume restore`.

use flumedb::{Env, log::SegmentedLog};

use super::backup::bar;
use crate::{
    args::Restore,
    exit::{Outcome, Verdict},
    output,
};

pub(crate) fn restore(args: &Restore) -> Outcome {
    let done = SegmentedLog::restore(&Env::os(), &args.backup, &args.to, bar("restoring"))?;
    let head = done.head.map_or("none".to_owned(), |head| head.to_string());
    output::line(format_args!("restored {} bytes in {} files to {}", done.bytes, done.files, args.to.display()))?;
    output::line(format_args!("head     {head}"))?;
    Ok(Verdict::Fine)
}
