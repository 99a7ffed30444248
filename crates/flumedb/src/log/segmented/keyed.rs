//! [`Keyed`], the way to a log that is encrypted and only read.

use std::path::Path;

use super::{SegmentedLog, scrub};
use crate::{
    Env, Keys, Result,
    check::Report,
    log::{OnDamage, Scrub},
};

/// The keys to a log that is encrypted.
///
/// ```
/// use flumedb::{Env, Keys, log::{LogSettings, SegmentedLog}};
/// let (env, keys) = (Env::memory(), Keys::new(1, [7; 32])?);
/// let settings = LogSettings { keys: Some(keys.clone()), ..LogSettings::default() };
/// let log = SegmentedLog::open(&env, "log".as_ref(), settings)?;
/// let reader = SegmentedLog::with_keys(&keys).read_only(&env, "log".as_ref())?;
/// assert!(SegmentedLog::with_keys(&keys).check(&env, "log".as_ref())?.is_ok());
/// # Ok::<(), flumedb::Error>(())
/// ```
pub struct Keyed<'a> {
    keys: &'a Keys,
}

impl<'a> Keyed<'a> {
    pub(super) fn new(keys: &'a Keys) -> Self {
        Self { keys }
    }

    /// As [`SegmentedLog::read_only`]. An entry whose key is not there is read as `Key`.
    ///
    /// # Errors
    /// As [`SegmentedLog::read_only`].
    pub fn read_only(&self, env: &Env, dir: &Path) -> Result<SegmentedLog> {
        SegmentedLog::follow(env, dir, Some(self.keys))
    }

    /// As [`SegmentedLog::check`], and looks whether everything decrypts for which there is a key.
    ///
    /// # Errors
    /// As [`SegmentedLog::check`]; `Key` if a key is not the one that was used.
    pub fn check(&self, env: &Env, dir: &Path) -> Result<Report> {
        SegmentedLog::examine(env, dir, Some(self.keys))
    }

    /// As [`SegmentedLog::scrub_at`], and looks whether everything decrypts for which there is a key.
    ///
    /// # Errors
    /// As [`SegmentedLog::scrub_at`]. That a key is not the one that was used is found on the way: `Key` from the [`Scrub`].
    pub fn scrub(&self, env: &Env, dir: &Path, bytes_per_second: u64, on_damage: OnDamage) -> Result<Scrub> {
        scrub::start(env, dir, Some(self.keys), bytes_per_second, on_damage)
    }
}
