//! `flume delete`.

use flumedb::Seq;

use crate::{
    args::Delete,
    exit::{Failure, Outcome, Verdict},
    open::Opened,
};

pub(crate) fn delete(args: &Delete) -> Outcome {
    let mut seqs = Vec::new();
    for &seq in &args.seqs {
        let missing = |_| Failure::lacking(format!("there is no entry {seq}; nothing was deleted"));
        seqs.push(Seq::new(u64::try_from(seq).map_err(missing)?));
    }
    let opened = Opened::write(&args.place, false)?;
    opened.db.delete(seqs).blocking()?;
    opened.db.close().blocking()?;
    Ok(Verdict::Fine)
}
