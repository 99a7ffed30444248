//! `flume append`.

use std::io;

use flumedb::codec::JsonDoc;
use flumedb_ssb::{Format, Payloads, bipf, message::multi::Multi};

use crate::{
    args::{Append, Codec},
    exit::{Failure, Outcome, Verdict},
    lines::Lines,
    open::Opened,
    output,
};

pub(crate) fn append(args: &Append) -> Outcome {
    let mut lines = Lines::new(io::stdin().lock());
    let (opened, mut next);
    if Opened::is_new(&args.place)? {
        // Lines that are no JSON leave no log behind.
        next = lines.next_group()?;
        opened = Opened::write_or_create(&args.place, args.compress)?;
    } else {
        opened = Opened::write_or_create(&args.place, args.compress)?;
        next = lines.next_group()?;
    }
    let codec = args.codec.unwrap_or_else(|| codec_of(&opened));
    while let Some(group) = next {
        let group = group.into_iter().map(|line| encode(line, codec)).collect::<Result<Vec<_>, _>>()?;
        // What comes together is appended together, so that a line that is no JSON leaves nothing half done.
        let seqs = opened.db.append_all(group.iter().map(Vec::as_slice)).blocking()?;
        let printed: Vec<String> = seqs.iter().map(ToString::to_string).collect();
        if !printed.is_empty() {
            output::line(printed.join("\n"))?;
        }
        next = lines.next_group()?;
    }
    opened.db.close().blocking().map_err(Failure::from)?;
    Ok(Verdict::Fine)
}

/// What lines become in this log: what its entries are, and in a new one what the programs that read such files expect.
fn codec_of(opened: &Opened) -> Codec {
    match (opened.payloads, opened.format) {
        (Payloads::Bipf, _) | (Payloads::Unknown, Format::Aaol(_)) => Codec::Bipf,
        (Payloads::Multi, _) => Codec::Multi,
        _ => Codec::Json,
    }
}

fn encode(line: String, codec: Codec) -> Result<Vec<u8>, Failure> {
    match codec {
        Codec::Json => Ok(line.into_bytes()),
        Codec::Bipf => {
            let mut payload = Vec::new();
            bipf::from_json(line.as_bytes(), &mut payload)?;
            Ok(payload)
        }
        Codec::Multi => Ok(Multi::from_document(&JsonDoc::parse(line)?)?.encode()?),
    }
}
