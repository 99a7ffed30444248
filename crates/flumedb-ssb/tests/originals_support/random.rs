//! Random logs and random values.

use std::fmt::Write;

use fastrand::Rng;

/// What is done to a log: appends in batches, and then deletions.
pub(crate) struct Plan {
    pub(crate) batches: Vec<Vec<Vec<u8>>>,
    /// Which entries, counted from 0, are deleted.
    pub(crate) deleted: Vec<usize>,
    /// Appended in the end, by whoever did not do the rest.
    pub(crate) more: Vec<u8>,
}

impl Plan {
    /// A plan with payloads of up to `longest` bytes; with deletions, if the format's original can.
    pub(crate) fn random(rng: &mut Rng, longest: usize, deletes: bool) -> Self {
        let batches: Vec<Vec<Vec<u8>>> =
            (0..rng.usize(1..8)).map(|_| (0..rng.usize(1..5)).map(|_| payload(rng, longest)).collect()).collect();
        let count: usize = batches.iter().map(Vec::len).sum();
        let mut deleted: Vec<usize> =
            (0..if deletes { rng.usize(..4) } else { 0 }).map(|_| rng.usize(..count)).collect();
        deleted.sort_unstable();
        deleted.dedup();
        Self { batches, deleted, more: payload(rng, longest) }
    }

    /// The entries that are left.
    pub(crate) fn left(&self) -> Vec<&[u8]> {
        let all = self.batches.iter().flatten().enumerate();
        all.filter(|(number, _)| !self.deleted.contains(number)).map(|(_, payload)| payload.as_slice()).collect()
    }
}

/// Bytes that are not all zero, which would mean deleted, and not none, which no original can read.
fn payload(rng: &mut Rng, longest: usize) -> Vec<u8> {
    let longest = match rng.u32(..20) {
        // Whole blocks, and a little less.
        0 => return vec![b'x'; longest - rng.usize(..longest.min(20))],
        1..=4 => longest,
        _ => longest.min(120),
    };
    let mut payload: Vec<u8> = (0..rng.usize(1..=longest)).map(|_| rng.u8(..)).collect();
    payload[0] |= 1;
    payload
}

/// The text of a random value, at most so deep.
pub(crate) fn json(rng: &mut Rng, depth: u32) -> String {
    let mut text = String::new();
    write_json(rng, depth, &mut text);
    text
}

fn write_json(rng: &mut Rng, depth: u32, out: &mut String) {
    let kinds = if depth == 0 { 6 } else { 10 };
    match rng.u32(..kinds) {
        0 => out.push_str("null"),
        1 => out.push_str(if rng.bool() { "true" } else { "false" }),
        2 => write!(out, "{}", rng.i64(-5_000_000_000..5_000_000_000)).unwrap(),
        3 => out.push_str(
            ["0", "1.0", "-1", "0.1", "-2147483648", "2147483647", "2147483648", "1e21", "1e-7"][rng.usize(..9)],
        ),
        4 => write!(out, "{:?}", (rng.f64() - 0.5) * 10_f64.powi(rng.i32(-20..20))).unwrap(),
        5 => write_string(rng, out),
        6 | 7 => {
            let items = if rng.u32(..10) == 0 { rng.usize(..300) } else { rng.usize(..6) };
            out.push('[');
            for item in 0..items {
                out.push_str(if item > 0 { "," } else { "" });
                write_json(rng, depth - 1, out);
            }
            out.push(']');
        }
        _ => {
            out.push('{');
            for member in 0..rng.usize(..8) {
                out.push_str(if member > 0 { "," } else { "" });
                // Names that JavaScript puts first, and names that come twice, among them.
                if rng.u32(..4) == 0 {
                    write!(out, "\"{}\"", rng.u32(..12)).unwrap()
                } else {
                    write_string(rng, out)
                }
                out.push(':');
                write_json(rng, depth - 1, out);
            }
            out.push('}');
        }
    }
}

fn write_string(rng: &mut Rng, out: &mut String) {
    out.push('"');
    for _ in 0..if rng.u32(..20) == 0 { rng.usize(..500) } else { rng.usize(..12) } {
        match rng.u32(..12) {
            0 => out.push_str(["\\n", "\\\"", "\\\\", "\\u0001", "\\u2028", "\\/", "\\ud83d\\ude00"][rng.usize(..7)]),
            1 => out.push(['ä', '€', '😀', '\u{7f}', '\u{2029}'][rng.usize(..5)]),
            _ => out.push(rng.char('a'..='f')),
        }
    }
    out.push('"');
}
