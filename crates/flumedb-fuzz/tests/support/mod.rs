//! What the test of arbitrary bytes measures with.

pub(crate) mod meter;
pub(crate) mod watchdog;
