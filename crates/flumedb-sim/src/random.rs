//! [`SimRandom`], randomness from a seed.

use std::{
    io,
    sync::{Mutex, PoisonError},
};

use flumedb::env::Random;

/// The same bytes for the same seed.
pub struct SimRandom {
    rng: Mutex<fastrand::Rng>,
}

impl SimRandom {
    /// Randomness that follows from `seed`.
    pub fn new(seed: u64) -> Self {
        Self { rng: Mutex::new(fastrand::Rng::with_seed(seed)) }
    }
}

impl Random for SimRandom {
    fn fill(&self, bytes: &mut [u8]) -> io::Result<()> {
        self.rng.lock().unwrap_or_else(PoisonError::into_inner).fill(bytes);
        Ok(())
    }
}
