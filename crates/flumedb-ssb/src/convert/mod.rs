//! [`Conversion`], a log of one format written anew in another: every entry that is there, in order, once, however often
//! it is stopped and called again, and held against its source at the end. Knows no bytes of any format.

mod codec;
mod entries;
mod state;
mod target;
mod verify;

use std::path::{Path, PathBuf};

use flumedb::{Bytes, Env, Error, ErrorKind, Keys, Result, Seq, check::TornTail, log::LogSettings};

pub use codec::Codec;

use crate::{
    Format,
    any::{self, Opened},
};
use codec::Recode;
use entries::Entries;
use state::State;
use target::Target;

/// Entries are appended in groups of so many bytes, and so many of them.
const GROUP_BYTES: usize = 1 << 20;
const GROUP: usize = 8192;

/// Every so many groups what was written is brought to the disk.
const SYNC_GROUPS: u64 = 16;

/// A log that is to be written anew in another format.
///
/// ```
/// use flumedb::{Env, log::{Batch, Log}};
/// use flumedb_ssb::{Format, Framing, OffsetLog, convert::Conversion};
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let env = Env::memory();
/// let log = OffsetLog::builder().env(env.clone()).framing(Framing::Bits48).create().open("log.offset")?;
/// let mut batch = Batch::new();
/// batch.push(br#"{"type":"post"}"#);
/// log.append(batch).await?;
/// log.close().await?;
/// let conversion = Conversion::new("log.offset", "log.aaol", Format::Aaol(None)).env(env);
/// let converted = conversion.run(|_, _, _| ()).await?;
/// assert_eq!((converted.entries, converted.deleted), (1, 0));
/// # Ok::<(), flumedb::Error>(()) }).unwrap();
/// ```
#[derive(Clone)]
#[must_use]
pub struct Conversion {
    env: Env,
    from: PathBuf,
    named: Option<Format>,
    to: PathBuf,
    format: Format,
    codec: Option<Codec>,
    keys: Option<Keys>,
    settings: LogSettings,
}

/// What a conversion is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Holding what an earlier run has written against the source.
    Comparing,
    /// Writing.
    Converting,
    /// Reading both again.
    Checking,
}

/// What a conversion did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Converted {
    /// The format of the source.
    pub from: Format,
    /// The format of the target, where there are blocks with their size.
    pub to: Format,
    /// Entries in the target, and as many in the source.
    pub entries: u64,
    /// How many of them an earlier run had written.
    pub resumed: u64,
    /// Deleted entries of the source, which were left out.
    pub deleted: u64,
    /// The SHA-256 of the entries, the same on both sides: of their bytes, or with another codec of their values.
    pub digest: String,
    /// What is no whole entry at the end of the source, and was left out.
    pub torn_tail: Option<TornTail>,
}

impl Conversion {
    /// The log at `from`, to be written to `to` in the format `format`, with blocks of 65536 bytes where there are blocks
    /// and no size is named.
    pub fn new(from: impl Into<PathBuf>, to: impl Into<PathBuf>, format: Format) -> Self {
        let format = match format {
            Format::Aligned(None) => Format::Aligned(Some(Format::BLOCK_BYTES)),
            Format::Aaol(None) => Format::Aaol(Some(Format::BLOCK_BYTES)),
            format => format,
        };
        Self {
            env: Env::os(),
            from: from.into(),
            named: None,
            to: to.into(),
            format,
            codec: None,
            keys: None,
            settings: LogSettings::default(),
        }
    }

    /// Reaches the files through `env`.
    pub fn env(mut self, env: Env) -> Self {
        self.env = env;
        self
    }

    /// Takes the source for a log of this format.
    pub fn from_format(mut self, format: Format) -> Self {
        self.named = Some(format);
        self
    }

    /// The keys of the source, if it is a database of flume's own that is encrypted.
    pub fn keys(mut self, keys: Keys) -> Self {
        self.keys = Some(keys);
        self
    }

    /// How the target is written, if it is a database of flume's own: encrypted if there are keys here, compressed.
    pub fn settings(mut self, settings: LogSettings) -> Self {
        self.settings = settings;
        self
    }

    /// Turns entries into this. Otherwise their bytes stay as they are, but for JSON lines, which are JSON.
    pub fn codec(mut self, codec: Codec) -> Self {
        self.codec = Some(codec);
        self
    }

    /// Converts, or goes on where an earlier run of the same conversion was stopped: what that has written is compared
    /// with the source, entry by entry. `progress` is told how much of how much is done.
    ///
    /// While it is not done there is a file `….convert` beside the target.
    ///
    /// # Errors
    /// `Invalid` if the target is there already, lies inside of the source, cannot be written, or cannot hold an entry,
    /// which is named; `Corrupt` if the source is damaged, or what was written is not what the source has; those of
    /// [`any::builder`]'s `open` for both; `StorageFull`, `Io`. What was written stays, to go on from.
    ///
    /// # Cancel safety
    /// As stopping the program: call it again to go on.
    pub async fn run(&self, mut progress: impl FnMut(Stage, u64, u64)) -> Result<Converted> {
        self.refuse()?;
        let source = self.source()?;
        let report = source.report()?;
        if let Some(damage) = report.damage.into_iter().next() {
            let path = self.from.display();
            let what = format!("{path} is not converted; `flume repair --skip-damage {path}` passes over damage");
            return Err(Error::corrupt(damage).context(what));
        }
        let recode = Recode::of(source.payloads, self.format, self.codec)?;
        let identity = source.log.identity().0;
        let state = State::begin(&self.env, &self.to, &identity, self.format, self.codec)?;
        let opened = Target::open(&self.env, &self.to, self.format, &self.settings);
        let mut target = opened.map_err(|error| state.explain(error))?;

        let mut entries = Entries::of(&source.log).await?;
        let mut tell = |done, total| progress(Stage::Comparing, done, total);
        let written = self.target()?;
        let resumed = verify::compare(&mut entries, &mut Entries::of(&written.log).await?, &recode, &mut tell)
            .await
            .map_err(|error| state.explain(error))?;
        drop(written);
        let mut groups = 0_u64;
        while let Some(group) = group(&mut entries, &recode).await.map_err(|error| state.explain(error))? {
            groups += 1;
            let payloads: Vec<Bytes> = group.iter().map(|(_, payload)| payload.clone()).collect();
            if let Err(error) = target.append(&payloads, groups.is_multiple_of(SYNC_GROUPS)).await {
                return Err(state.explain(name(error, &group, &mut target).await));
            }
            progress(Stage::Converting, entries.done(), entries.total());
        }
        target.close().await?;

        let mut tell = |done, total| progress(Stage::Checking, done, total);
        let end = entries.end();
        let mut again = Entries::up_to(&source.log, end);
        let seen = verify::digest(&mut again, &mut tell, |payload| recode.value_before(payload)).await?;
        let mut tell = |done, total| progress(Stage::Checking, done, total);
        let written = self.target()?;
        let mut reread = Entries::of(&written.log).await?;
        let found = verify::digest(&mut reread, &mut tell, |payload| recode.value_after(payload)).await?;
        if seen != found || !written.report()?.is_ok() {
            let (from, to) = (self.from.display(), self.to.display());
            let message = format!("what {to} holds is not what {from} holds: {seen} there, {found} here");
            return Err(state.explain(Error::new(ErrorKind::Corrupt, message)));
        }
        state.end()?;
        Ok(Converted {
            from: source.format,
            to: self.format,
            entries: seen.entries,
            resumed,
            deleted: entries.deleted(),
            digest: seen.hex(),
            torn_tail: report.torn_tail,
        })
    }

    fn source(&self) -> Result<Opened> {
        let settings = LogSettings { keys: self.keys.clone(), ..LogSettings::default() };
        let builder = any::builder().env(self.env.clone()).settings(settings);
        match self.named {
            Some(format) => builder.format(format).open(&self.from),
            None => builder.open(&self.from),
        }
    }

    /// The target, to be read.
    fn target(&self) -> Result<Opened> {
        any::builder().env(self.env.clone()).format(self.format).settings(self.settings.clone()).open(&self.to)
    }

    /// Refuses places and formats that nothing can be written to.
    fn refuse(&self) -> Result<()> {
        if let Format::Memory | Format::Level = self.format {
            let message = format!("{} logs are only read here; name another format", self.format);
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        let state = State::path(&self.to);
        let inside = |inner: &Path, outer: &Path| inner.starts_with(outer);
        if inside(&self.to, &self.from) || inside(&self.from, &self.to) || self.from == state {
            let (from, to) = (self.from.display(), self.to.display());
            let message = format!("{from} cannot be converted to {to}: one lies in the other; name another place");
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        Ok(())
    }
}

/// The next entries, as they are to be written.
async fn group(entries: &mut Entries, recode: &Recode) -> Result<Option<Vec<(Seq, Bytes)>>> {
    let (mut group, mut bytes) = (Vec::new(), 0_usize);
    while bytes < GROUP_BYTES && group.len() < GROUP {
        let Some((seq, payload)) = entries.next().await? else { break };
        let payload = recode.apply(&payload).map_err(|error| error.at(seq))?;
        bytes = bytes.saturating_add(payload.len());
        group.push((seq, payload));
    }
    Ok((!group.is_empty()).then_some(group))
}

/// After a group was refused: writes what comes before the entry that it was refused for, and says which one that is.
async fn name(error: Error, group: &[(Seq, Bytes)], target: &mut Target) -> Error {
    if error.kind() != ErrorKind::Invalid {
        return error;
    }
    for (seq, payload) in group {
        if let Err(error) = target.append(std::slice::from_ref(payload), false).await {
            return error.at(*seq);
        }
    }
    error
}
