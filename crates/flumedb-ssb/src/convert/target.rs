//! [`Target`], where a conversion writes to: a log of any format that is written to, or a file of JSON lines.

use std::{path::Path, sync::Arc};

use flumedb::{
    Bytes, Env, Error, ErrorKind, Result,
    env::{Lock, OpenMode},
    log::{Batch, Log, LogSettings},
};
use serde_json::value::RawValue;

use crate::{
    Format, any,
    file::{Source, lock, sync_dir},
};

/// What is written to.
pub(super) enum Target {
    Log(Arc<dyn Log>),
    Lines(Lines),
}

impl Target {
    /// Opens it, or makes it. A torn end is cut.
    pub(super) fn open(env: &Env, path: &Path, format: Format, settings: &LogSettings) -> Result<Self> {
        let builder = any::builder().env(env.clone()).format(format).settings(settings.clone());
        match format {
            Format::JsonLines => Lines::open(env, path).map(Self::Lines),
            _ => Ok(Self::Log(builder.create().open(path)?.log)),
        }
    }

    /// Appends all of `payloads`, or nothing.
    pub(super) async fn append(&mut self, payloads: &[Bytes], durable: bool) -> Result<()> {
        match self {
            Self::Log(log) => {
                let mut batch = Batch::new();
                payloads.iter().for_each(|payload| batch.push(payload));
                batch.buffered = !durable;
                log.append(batch).await.map(drop)
            }
            Self::Lines(lines) => lines.append(payloads, durable),
        }
    }

    /// Brings everything to the disk.
    pub(super) async fn close(self) -> Result<()> {
        match self {
            Self::Log(log) => {
                log.sync(None).await?;
                log.close().await
            }
            Self::Lines(lines) => lines.source.sync(),
        }
    }
}

/// A file of JSON lines.
pub(super) struct Lines {
    source: Source,
    end: u64,
    _lock: Box<dyn Lock>,
}

impl Lines {
    fn open(env: &Env, path: &Path) -> Result<Self> {
        let lock = lock(env, path)?;
        let there = env.storage.kind(path).map_err(|error| Error::io("look at", path, error))?.is_some();
        let mode = if there { OpenMode::Write } else { OpenMode::CreateNew };
        let source = Source::open(env, path.to_owned(), mode)?;
        sync_dir(env, path)?;
        let end = whole_lines(&source)?;
        source.file.set_len(end).map_err(|error| Error::io("cut", path, error))?;
        Ok(Self { source, end, _lock: lock })
    }

    fn append(&mut self, payloads: &[Bytes], durable: bool) -> Result<()> {
        let mut text = Vec::new();
        for payload in payloads {
            is_line(payload)?;
            text.extend_from_slice(payload);
            text.push(b'\n');
        }
        let file = &*self.source.file;
        if let Err(error) = file.write_all(self.end, &text) {
            // What got there would be half a line; the next run cuts it, if this fails, too.
            let _ = file.set_len(self.end);
            return Err(Error::io("write", &self.source.path, error));
        }
        self.end += text.len() as u64;
        if durable { self.source.sync() } else { Ok(()) }
    }
}

/// Whether a line that holds these bytes reads back as them.
fn is_line(payload: &[u8]) -> Result<()> {
    let json = serde_json::from_slice::<&RawValue>(payload).ok().filter(|json| json.get().len() == payload.len());
    let message = match json {
        None => "it is not JSON text alone, and a JSON line is",
        Some(_) if payload.contains(&b'\n') => "its JSON text has line breaks, and a JSON line has none",
        Some(_) => return Ok(()),
    };
    Err(Error::new(ErrorKind::Invalid, message))
}

/// Where the last whole line ends.
fn whole_lines(source: &Source) -> Result<u64> {
    const PIECE: u64 = 64 << 10;
    let mut end = source.len()?;
    while end > 0 {
        let from = end.saturating_sub(PIECE);
        let piece = source.exact(from, (end - from) as usize)?;
        if let Some(at) = piece.iter().rposition(|&byte| byte == b'\n') {
            return Ok(from + at as u64 + 1);
        }
        end = from;
    }
    Ok(0)
}
