//! `flume query`: messages by what they are, or anything in one of two languages.

mod asked;
mod messages;
mod mfr;
mod wanted;

use crate::{args::Query, exit::Outcome};

pub(crate) fn query(args: &Query) -> Outcome {
    match (&args.mfr, &args.wanted) {
        (Some(text), _) => mfr::answer(args, text),
        (None, Some(text)) => wanted::answer(args, text),
        (None, None) => messages::answer(args),
    }
}
