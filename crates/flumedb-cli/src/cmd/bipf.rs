//! `flume bipf`: JSON lines to lines of BIPF in hex, and back.

use std::io::{self, BufRead, BufReader, BufWriter, Write};

use flumedb_ssb::bipf;

use crate::{
    args::Bipf,
    exit::{Failure, Outcome, Verdict},
};

pub(crate) fn bipf(direction: &Bipf) -> Outcome {
    let mut lines = BufReader::with_capacity(1 << 16, io::stdin().lock());
    let mut out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    let outcome = run(direction, &mut lines, &mut out);
    // What was fine before a bad line is printed.
    out.flush().map_err(|error| Failure::output(&error))?;
    outcome
}

fn run(direction: &Bipf, lines: &mut BufReader<impl io::Read>, out: &mut impl Write) -> Outcome {
    let (mut line, mut converted) = (Vec::new(), Vec::new());
    for number in 1_u64.. {
        // Whoever waits for an answer before the next line gets it.
        if lines.buffer().is_empty() {
            out.flush().map_err(|error| Failure::output(&error))?;
        }
        line.clear();
        let read = lines.read_until(b'\n', &mut line);
        if read.map_err(|error| Failure::system(format!("cannot read the lines: {error}")))? == 0 {
            break;
        }
        let text = line.trim_ascii();
        if text.is_empty() {
            continue;
        }
        converted.clear();
        let outcome = match direction {
            Bipf::Encode => encode(text, &mut converted),
            Bipf::Decode => decode(text, &mut converted),
        };
        outcome.map_err(|failure| failure.context(format_args!("line {number}")))?;
        converted.push(b'\n');
        out.write_all(&converted).map_err(|error| Failure::output(&error))?;
    }
    Ok(Verdict::Fine)
}

fn encode(json: &[u8], hex: &mut Vec<u8>) -> Result<(), Failure> {
    let mut bytes = Vec::new();
    bipf::from_json(json, &mut bytes)?;
    for byte in bytes {
        hex.extend([byte >> 4, byte & 15].map(|digit| if digit < 10 { b'0' + digit } else { b'a' + digit - 10 }));
    }
    Ok(())
}

fn decode(hex: &[u8], json: &mut Vec<u8>) -> Result<(), Failure> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let byte = |pair: &[u8]| match pair {
        [high, low] => Some(digit(high)? << 4 | digit(low)?),
        _ => None,
    };
    let bytes: Option<Vec<u8>> = hex.chunks(2).map(byte).collect();
    Ok(bipf::to_json(&bytes.ok_or_else(|| Failure::usage("not hex: two digits a byte are wanted"))?, json)?)
}
