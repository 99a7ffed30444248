//! [`State`], the small file beside a target that is not whole yet. It says which conversion made it, never how far that
//! has got: the target itself is asked.

use std::path::{Path, PathBuf};

use flumedb::{Env, Error, ErrorKind, Result, env::OpenMode};
use serde::{Deserialize, Serialize};

use super::Codec;
use crate::{
    Format,
    file::{Source, keep::beside, sync_dir},
};

/// What the file holds, as JSON.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    /// Which log is converted, in hex.
    source: String,
    format: String,
    codec: Option<String>,
}

/// A conversion that is under way.
pub(super) struct State {
    env: Env,
    path: PathBuf,
    to: PathBuf,
}

impl State {
    /// A file that is larger is not one of these.
    const LONGEST: usize = 64 << 10;

    /// Where it is kept.
    pub(super) fn path(to: &Path) -> PathBuf {
        beside(to, "convert")
    }

    /// Begins, or goes on.
    ///
    /// # Errors
    /// `Invalid` if there is something at `to` that is not the beginning of this conversion.
    pub(super) fn begin(env: &Env, to: &Path, source: &[u8], format: Format, codec: Option<Codec>) -> Result<Self> {
        let source = source.iter().map(|byte| format!("{byte:02x}")).collect();
        let kept = Kept { source, format: format.to_string(), codec: codec.map(|codec| codec.to_string()) };
        let state = Self { env: env.clone(), path: Self::path(to), to: to.to_owned() };
        let kind = |path: &Path| env.storage.kind(path).map_err(|error| Error::io("look at", path, error));
        let there = kind(to)?.is_some();
        let found = match kind(&state.path)? {
            Some(_) => Some(state.read()?),
            None => None,
        };
        match found {
            None if there => {
                let message =
                    format!("{} is there already, and nothing is overwritten; name another place", to.display());
                Err(Error::new(ErrorKind::Invalid, message))
            }
            None => state.write(&kept, OpenMode::CreateNew).map(|()| state),
            // It was stopped while it began.
            Some(None) if !there => state.write(&kept, OpenMode::Write).map(|()| state),
            Some(Some(found)) if found == kept => Ok(state),
            Some(_) => {
                let (to, path) = (to.display(), state.path.display());
                let message = format!("{path} is of another conversion; remove it and {to}, or name another place");
                Err(Error::new(ErrorKind::Invalid, message))
            }
        }
    }

    fn read(&self) -> Result<Option<Kept>> {
        let source = Source::open(&self.env, self.path.clone(), OpenMode::Read)?;
        Ok(serde_json::from_slice(&source.up_to(0, Self::LONGEST)?).ok())
    }

    fn write(&self, kept: &Kept, mode: OpenMode) -> Result<()> {
        let failed = |error| Error::io("write", &self.path, error);
        let text = serde_json::to_vec(kept)
            .map_err(|error| Error::with_source(ErrorKind::Invalid, format!("no JSON: {error}"), error))?;
        let file = self.env.storage.open(&self.path, mode).map_err(failed)?;
        file.set_len(0).and_then(|()| file.write_all(0, &text)).and_then(|()| file.sync()).map_err(failed)?;
        sync_dir(&self.env, &self.path)
    }

    /// The same error with what it leaves and how to start anew, unless one just calls again once the machine is better.
    pub(super) fn explain(&self, error: Error) -> Error {
        match error.kind() {
            ErrorKind::Invalid | ErrorKind::Corrupt | ErrorKind::Unsupported => {
                let (to, path) = (self.to.display(), self.path.display());
                error.context(format!("{to} is not whole (to start anew remove it and {path})"))
            }
            _ => error,
        }
    }

    /// The target is whole.
    pub(super) fn end(self) -> Result<()> {
        sync_dir(&self.env, &self.to)?;
        match self.env.storage.remove(&self.path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::io("remove", &self.path, error)),
            _ => sync_dir(&self.env, &self.path),
        }
    }
}
