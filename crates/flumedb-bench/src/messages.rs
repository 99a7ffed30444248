//! The messages that every store gets: Scuttlebutt-like JSON from a fixed seed, written to a file once, outside of
//! everything that is timed.

use std::{fs, io::Write, path::Path};

use crate::Result;

/// Changing what is generated changes this, so that an old file is not taken for a new one.
const RECIPE: u32 = 1;
const SEED: u64 = 0x5eed_f10e_db00_0001;
const AUTHORS: u64 = 2_000;
const WORDS: &[&str] = &[
    "the",
    "log",
    "garden",
    "of",
    "butt",
    "and",
    "a",
    "solar",
    "pub",
    "gossip",
    "to",
    "feed",
    "in",
    "boat",
    "moss",
    "mushroom",
    "protocol",
    "tea",
    "we",
    "offline",
    "first",
    "neighbour",
    "library",
    "is",
    "river",
    "letter",
    "signed",
    "friend",
    "hermies",
    "slow",
    "it",
    "forest",
    "radio",
    "mesh",
    "kitchen",
    "that",
    "bicycle",
    "commons",
    "for",
    "sail",
];

/// What a decoded message is to the index and to views: the field they look at.
#[derive(serde::Serialize, serde::Deserialize)]
pub(crate) struct Message {
    pub(crate) author: String,
}

/// All messages, in memory.
pub(crate) struct Messages {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Messages {
    /// The first `count` messages, made if their file is not there yet.
    pub(crate) fn load(dir: &Path, count: usize) -> Result<Self> {
        let path = dir.join(format!("messages-{RECIPE}-{count}"));
        if !path.exists() {
            fs::create_dir_all(dir)?;
            let part = path.with_extension("part");
            write(&part, count)?;
            fs::rename(&part, &path)?;
        }
        let bytes = fs::read(&path)?;
        let mut ends = Vec::with_capacity(count);
        let mut start = 0;
        while let Some(len) = bytes.get(start..).and_then(|rest| rest.iter().position(|byte| *byte == b'\n')) {
            start += len + 1;
            ends.push(start);
        }
        Ok(Self { bytes, ends })
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The bytes of all messages, without the line ends of the file.
    pub(crate) fn total_bytes(&self) -> u64 {
        (self.bytes.len() - self.ends.len()) as u64
    }

    pub(crate) fn get(&self, number: usize) -> &[u8] {
        let start = number.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        let end = self.ends.get(number).map_or(start, |end| end - 1);
        self.bytes.get(start..end).unwrap_or_default()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.len()).map(|number| self.get(number))
    }
}

fn write(path: &Path, count: usize) -> Result {
    let mut out = std::io::BufWriter::with_capacity(1 << 20, fs::File::create(path)?);
    let mut random = Random(SEED);
    let authors: Vec<String> = (0..AUTHORS).map(|_| format!("@{}.ed25519", base64(&mut random, 43))).collect();
    let mut sequences = vec![0_u64; authors.len()];
    let mut text = String::new();
    for number in 0..count {
        // The product of two uniform numbers: a few authors write most of it.
        let who = (random.below(AUTHORS) * random.below(AUTHORS) / AUTHORS) as usize;
        let (Some(author), Some(sequence)) = (authors.get(who), sequences.get_mut(who)) else { continue };
        *sequence += 1;
        text.clear();
        // What surrounds the text is about 350 bytes.
        let len = random.below(690) as usize;
        while text.len() < len {
            text.push_str(WORDS.get(random.below(WORDS.len() as u64) as usize).copied().unwrap_or_default());
            text.push(if random.below(12) == 0 { '.' } else { ' ' });
        }
        let kind =
            ["post", "post", "post", "vote", "contact", "about"].get(random.below(6) as usize).unwrap_or(&"post");
        writeln!(
            out,
            r#"{{"previous":"%{}.sha256","author":"{author}","sequence":{sequence},"timestamp":{},"hash":"sha256","content":{{"type":"{kind}","text":"{text}"}},"signature":"{}.sig.ed25519"}}"#,
            base64(&mut random, 43),
            1_500_000_000_000_u64 + number as u64 * 997,
            base64(&mut random, 86),
        )?;
    }
    out.flush()?;
    Ok(())
}

fn base64(random: &mut Random, len: usize) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    (0..len).map(|_| char::from(*DIGITS.get(random.below(64) as usize).unwrap_or(&b'A'))).chain(['=']).collect()
}

/// splitmix64: small, and the same everywhere and forever.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }
}
