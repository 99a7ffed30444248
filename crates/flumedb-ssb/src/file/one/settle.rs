//! The second look at a last record that may be half written, a little after the first.

use std::{path::Path, time::Duration};

use flumedb::{Env, Error, Result};

use super::{Chain, Detected, Layout};
use crate::file::source::Source;

/// Copying a record into the file takes some microseconds, unless the writer loses its processor in the middle.
const PAUSE: Duration = Duration::from_millis(5);

/// Waits until the file at `path` changes, or a little.
pub(super) fn pause(env: &Env, path: &Path) -> Result<()> {
    let mut watch = env.storage.watch(path).map_err(|error| Error::io("watch", path, error))?;
    watch.wait(PAUSE);
    Ok(())
}

/// Tells the layout of the file behind `source`, and which records it has.
pub(crate) fn detect<L: Layout>(env: &Env, source: &Source, options: &L::Options) -> Result<Detected<L>> {
    let mut detected = L::detect(source, source.len()?, options)?;
    settle(env, source, &detected.layout, &mut detected.chain)?;
    Ok(detected)
}

/// Looks again where a walk has left a doubt.
pub(super) fn settle<L: Layout>(env: &Env, source: &Source, layout: &L, chain: &mut Chain) -> Result<()> {
    if chain.doubts() {
        pause(env, &source.path)?;
        chain.look_again(layout, source, source.len()?)?;
    }
    Ok(())
}
