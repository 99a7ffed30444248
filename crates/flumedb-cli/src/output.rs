//! [`Printer`], entries as lines on standard output, and what is said on standard error beside them.

use std::io::{self, BufWriter, StdoutLock, Write};

use base64::{Engine, engine::general_purpose::STANDARD};
use flumedb::{Damage, Error, ErrorKind, Seq};
use flumedb_ssb::Payloads;

use crate::{
    args::Style,
    exit::{Failure, Outcome, Verdict},
    json,
};

/// Says something to whoever watches.
pub(crate) fn say(message: impl std::fmt::Display) {
    eprintln!("flume: {message}");
}

/// Prints a line on standard output.
pub(crate) fn line(text: impl std::fmt::Display) -> Result<(), Failure> {
    writeln!(io::stdout(), "{text}").map_err(|error| Failure::output(&error))
}

/// What was met of damage: told once a stretch, however many entries were lost in it.
#[derive(Default)]
pub(crate) struct Damaged {
    told: Option<Damage>,
    met: bool,
}

impl Damaged {
    /// Passes over an entry that is damaged; any other error is a failure.
    pub(crate) fn step_over(&mut self, error: Error) -> Result<(), Failure> {
        if error.kind() != ErrorKind::Corrupt {
            return Err(error.into());
        }
        self.met = true;
        if self.told.is_none() || self.told.as_ref() != error.damage() {
            say(&error);
            self.told = error.damage().cloned();
        }
        Ok(())
    }

    pub(crate) fn verdict(&self) -> Verdict {
        if self.met { Verdict::Lacking } else { Verdict::Fine }
    }
}

/// Prints entries.
pub(crate) struct Printer {
    style: Style,
    /// What the log's entries are.
    payloads: Payloads,
    out: BufWriter<StdoutLock<'static>>,
    line: String,
    /// Entries that have no bare value.
    passed_over: u64,
}

impl Printer {
    pub(crate) fn new(style: Style, payloads: Payloads) -> Self {
        let out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
        Self { style, payloads, out, line: String::new(), passed_over: 0 }
    }

    /// Prints the line of an entry.
    pub(crate) fn entry(&mut self, seq: Seq, payload: &[u8]) -> Result<(), Failure> {
        let Style { raw, values } = self.style;
        let text = if raw { None } else { json::value(payload, self.payloads) };
        self.line.clear();
        match text {
            Some(text) if values => json::push_line(&text, &mut self.line),
            Some(text) => {
                self.line.push_str(&format!("{{\"seq\":{seq},\"value\":"));
                json::push_line(&text, &mut self.line);
                self.line.push('}');
            }
            // Read back, it would be another entry.
            None if values && !raw => {
                self.passed_over += 1;
                return Ok(());
            }
            None => {
                let (before, after) =
                    if values { ("\"".to_owned(), "\"") } else { (format!("{{\"seq\":{seq},\"base64\":\""), "\"}") };
                self.line.push_str(&before);
                STANDARD.encode_string(payload, &mut self.line);
                self.line.push_str(after);
            }
        }
        self.end_line()
    }

    /// Prints the line of something that is no entry.
    pub(crate) fn value(&mut self, value: &serde_json::Value) -> Result<(), Failure> {
        self.line = if self.style.values { value.to_string() } else { format!("{{\"value\":{value}}}") };
        self.end_line()
    }

    /// Prints the number of an entry.
    pub(crate) fn seq(&mut self, seq: Seq) -> Result<(), Failure> {
        self.line = seq.to_string();
        self.end_line()
    }

    /// Prints the line of a deleted entry.
    pub(crate) fn deleted(&mut self, seq: Seq) -> Result<(), Failure> {
        self.line.clear();
        self.line.push_str(&format!("{{\"seq\":{seq},\"deleted\":true}}"));
        self.end_line()
    }

    /// Hands out what has been printed so far.
    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        self.out.flush().map_err(|error| Failure::output(&error))
    }

    /// Hands out everything, and says what could not be printed.
    pub(crate) fn finish(mut self) -> Outcome {
        self.flush()?;
        if self.passed_over == 0 {
            return Ok(Verdict::Fine);
        }
        say(format!("{} entries are no JSON and were passed over; --raw prints them", self.passed_over));
        Ok(Verdict::Lacking)
    }

    fn end_line(&mut self) -> Result<(), Failure> {
        self.line.push('\n');
        self.out.write_all(self.line.as_bytes()).map_err(|error| Failure::output(&error))
    }
}
