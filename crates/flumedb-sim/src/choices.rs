//! [`Choices`], who decides what a crash keeps: a fixed answer, a seed, or one of all possible ways after the other.

use std::collections::HashSet;

use fastrand::Rng;

use crate::Image;

/// Answers "which of these?", again and again. Choice 0 is always the one that keeps least.
pub struct Choices(Kind);

enum Kind {
    None,
    All,
    Seeded(Rng, Leaning),
    /// Given answers, then 0; and how many answers each question had.
    Listed {
        answers: Vec<u64>,
        sizes: Vec<u64>,
    },
}

/// How a seeded crash leans, so that near misses come up often: coin tosses alone hardly ever keep nearly everything.
#[derive(Clone, Copy)]
enum Leaning {
    Even,
    MostlyKept,
    MostlyLost,
}

impl Choices {
    /// Nothing that was not synced is kept.
    pub fn none() -> Self {
        Self(Kind::None)
    }

    /// Everything is kept.
    pub fn all() -> Self {
        Self(Kind::All)
    }

    /// As the seed has it.
    pub fn seeded(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let leaning = match rng.u8(0..3) {
            0 => Leaning::Even,
            1 => Leaning::MostlyKept,
            _ => Leaning::MostlyLost,
        };
        Self(Kind::Seeded(rng, leaning))
    }

    fn listed(answers: Vec<u64>) -> Self {
        Self(Kind::Listed { answers, sizes: Vec::new() })
    }

    /// One of `0..size`.
    pub fn pick(&mut self, size: u64) -> u64 {
        let last = size.saturating_sub(1);
        match &mut self.0 {
            Kind::None => 0,
            Kind::All => last,
            Kind::Seeded(rng, leaning) => match leaning {
                Leaning::MostlyKept if rng.u8(0..8) > 0 => last,
                Leaning::MostlyLost if rng.u8(0..8) > 0 => 0,
                _ => rng.u64(0..=last),
            },
            Kind::Listed { answers, sizes } => {
                sizes.push(size);
                answers.get(sizes.len() - 1).copied().unwrap_or(0).min(last)
            }
        }
    }

    /// The answers that come after those just given, counting like an odometer.
    fn next(self) -> Option<Self> {
        let Kind::Listed { mut answers, sizes } = self.0 else { return None };
        answers.resize(sizes.len(), 0);
        while let (Some(answer), Some(size)) = (answers.pop(), sizes.get(answers.len())) {
            if answer + 1 < *size {
                answers.push(answer + 1);
                return Some(Self::listed(answers));
            }
        }
        None
    }
}

/// Different disks that a power cut at `image` may leave: all of them if there are at most `limit`, else nothing kept,
/// everything kept, and others as the seed has them.
pub fn crashes(image: &Image, limit: usize, seed: u64) -> Vec<Image> {
    let mut seen = HashSet::new();
    let mut found = Vec::new();
    let mut add = |image: Image| {
        if seen.insert(image.fingerprint()) {
            found.push(image);
        }
    };
    if image.crash_ways() <= limit as f64 {
        let mut choices = Some(Choices::listed(Vec::new()));
        while let Some(mut listed) = choices {
            add(image.crash(&mut listed));
            choices = listed.next();
        }
    } else {
        add(image.crash(&mut Choices::none()));
        add(image.crash(&mut Choices::all()));
        for number in 2..limit as u64 {
            add(image.crash(&mut Choices::seeded(seed.wrapping_add(number))));
        }
    }
    found
}
