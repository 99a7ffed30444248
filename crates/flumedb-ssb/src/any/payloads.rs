//! [`Payloads`], what the entries of a log are, told from a few of them. Reads a bounded piece of the log.

use std::{
    fmt,
    future::Future,
    pin::pin,
    task::{Context, Poll, Waker},
};

use flumedb::{
    Error, ErrorKind, Result, Seq, Span,
    log::{Log, ReadRequest},
};
use serde::{Serialize, de::IgnoredAny};

use crate::message::multi::Multi;

/// What the entries of a log are, nearly all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Payloads {
    /// JSON text.
    Json,
    /// BIPF, the binary encoding of ssb-db2.
    Bipf,
    /// Messages as go-ssb keeps them.
    Multi,
    /// Other bytes.
    Raw,
    /// There is no entry to tell from.
    Unknown,
}

/// So many entries are looked at.
const SAMPLE: usize = 32;
/// And so many bytes of them, at most twice: from the start, and if that is all deleted, from the end.
const SAMPLE_BYTES: usize = 256 << 10;

impl Payloads {
    /// What the first entries of `log` are, or the last ones if the first are deleted; and in words how that was told.
    ///
    /// # Errors
    /// `Io`. Damage is passed over: what cannot be read tells nothing.
    pub(super) fn of(log: &dyn Log) -> Result<(Self, String)> {
        for reverse in [false, true] {
            let request = ReadRequest { span: Span::ALL, reverse, max_bytes: SAMPLE_BYTES };
            let chunk = match ready(log.read(request)) {
                Ok(chunk) => chunk,
                Err(error) if error.kind() == ErrorKind::Corrupt => continue,
                Err(error) => return Err(error),
            };
            let sample: Vec<(Seq, &[u8])> = chunk.entries().take(SAMPLE).collect();
            if !sample.is_empty() {
                return Ok(Self::told(&sample, if reverse { "last" } else { "first" }));
            }
        }
        Ok((Self::Unknown, "there is no entry to tell from whether entries are JSON or BIPF".to_owned()))
    }

    fn told(sample: &[(Seq, &[u8])], which: &str) -> (Self, String) {
        let count = |is: fn(&[u8]) -> bool| sample.iter().filter(|(_, payload)| is(payload)).count();
        let (all, json, bipf, multi) = (sample.len(), count(is_json), count(is_bipf), count(is_multi));
        let entries = if all == 1 { "entry".to_owned() } else { format!("{all} entries") };
        let evidence = match multi {
            0 => format!("of the {which} {entries} {json} are JSON text and {bipf} are BIPF"),
            _ => format!("of the {which} {entries} {multi} are messages as go-ssb keeps them"),
        };
        // A few scalars are both: a log of nothing else is taken for text. What is damaged or strange among many does not
        // change what the others are.
        let payloads = match (json, bipf) {
            (json, bipf) if json * 2 >= all && json >= bipf => Self::Json,
            (_, bipf) if bipf * 2 >= all => Self::Bipf,
            _ if multi * 2 >= all => Self::Multi,
            _ => Self::Raw,
        };
        (payloads, evidence)
    }
}

impl fmt::Display for Payloads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Json => "json",
            Self::Bipf => "bipf",
            Self::Multi => "multi",
            Self::Raw => "raw",
            Self::Unknown => "unknown",
        })
    }
}

fn is_json(payload: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(payload).is_ok()
}

fn is_bipf(payload: &[u8]) -> bool {
    crate::bipf::check(payload).is_ok()
}

fn is_multi(payload: &[u8]) -> bool {
    Multi::decode(payload).is_ok()
}

/// What a future of a log at hand answers at its first poll.
fn ready<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        Poll::Pending => Err(Error::new(ErrorKind::Unsupported, "this log cannot be read without waiting")),
    }
}
