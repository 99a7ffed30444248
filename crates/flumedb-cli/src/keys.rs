//! The keys of databases that are encrypted, as the program was given them: for every command alike.

use std::{env, path::PathBuf, sync::OnceLock};

use flumedb::{
    Builder, Env, Keys,
    codec::Codec,
    log::{Compression, LogSettings},
};

use crate::exit::Failure;

static GIVEN: OnceLock<Option<Keys>> = OnceLock::new();

/// Reads the keys from `file`, or else from the environment, if they are there.
pub(crate) fn read(file: Option<&PathBuf>) -> Result<(), Failure> {
    let keys = match (file, env::var(Keys::VARIABLE)) {
        (Some(file), _) => Some(Keys::read(&Env::os(), file)?),
        (None, Ok(text)) => Some(Keys::parse(&text).map_err(|error| error.context(Keys::VARIABLE))?),
        (None, Err(env::VarError::NotPresent)) => None,
        (None, Err(env::VarError::NotUnicode(_))) => {
            return Err(Failure::usage(format!("{} is no text, so it holds no keys", Keys::VARIABLE)));
        }
    };
    // It is called once.
    let _ = GIVEN.set(keys);
    Ok(())
}

/// What was given.
pub(crate) fn given() -> Option<Keys> {
    GIVEN.get().cloned().flatten()
}

/// How databases are opened.
pub(crate) fn settings(compress: bool) -> LogSettings {
    let compression = if compress { Compression::Lz4 } else { Compression::None };
    LogSettings { keys: given(), compression, ..LogSettings::default() }
}

/// A database that is opened with them.
pub(crate) fn on<C: Codec>(builder: Builder<C>) -> Builder<C> {
    match given() {
        Some(keys) => builder.keys(keys),
        None => builder,
    }
}
