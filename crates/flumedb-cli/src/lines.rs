//! [`Lines`], JSON lines in the groups in which they arrive, each checked before the group is given; and what tells a
//! stream of them from another, so that reading can go on where it stopped.

use std::io::{self, Read};

use crc_fast::{CrcAlgorithm, Digest};

use crate::{exit::Failure, json};

/// Reads JSON lines.
pub(crate) struct Lines<R> {
    from: R,
    /// Read, but not given: the beginning of a line.
    rest: Vec<u8>,
    /// Lines given so far.
    given: u64,
    /// Bytes given so far, and their checksum.
    position: u64,
    digest: Digest,
    ended: bool,
    /// What was given last, or passed over, is a line without an end.
    open: bool,
}

impl<R: Read> Lines<R> {
    /// The most that one group reads.
    const GROUP_BYTES: usize = 512 << 10;

    pub(crate) fn new(from: R) -> Self {
        let digest = Digest::new(CrcAlgorithm::Crc64Nvme);
        Self { from, rest: Vec::new(), given: 0, position: 0, digest, ended: false, open: false }
    }

    /// Passes over the first `position` bytes. Answers whether they are those that `proof` was made from.
    pub(crate) fn skip(&mut self, position: u64, proof: &[u8]) -> Result<bool, Failure> {
        let mut buffer = vec![0; Self::GROUP_BYTES];
        while self.position < position {
            let want = usize::try_from(position - self.position).unwrap_or(usize::MAX).min(buffer.len());
            let read = self.read(buffer.get_mut(..want).unwrap_or_default())?;
            if read == 0 {
                return Ok(false);
            }
            self.give(buffer.get(..read).unwrap_or_default());
        }
        Ok(self.proof() == proof)
    }

    /// How many bytes have been given.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// What tells the bytes given so far from others.
    pub(crate) fn proof(&self) -> Vec<u8> {
        self.digest.finalize().to_be_bytes().to_vec()
    }

    /// What has arrived, waiting for one whole line at least. `None` at the end. Empty lines are passed over.
    pub(crate) fn next_group(&mut self) -> Result<Option<Vec<String>>, Failure> {
        let mut buffer = vec![0; Self::GROUP_BYTES];
        while !self.ended {
            let before = self.rest.len();
            let read = self.read(&mut buffer)?;
            self.ended = read == 0;
            let fresh = buffer.get(..read).unwrap_or_default();
            self.rest.extend_from_slice(fresh);
            let whole = match fresh.iter().rposition(|&byte| byte == b'\n') {
                _ if self.ended => self.rest.len(),
                Some(at) => before + at + 1,
                None => continue,
            };
            let rest = self.rest.split_off(whole);
            let lines = std::mem::replace(&mut self.rest, rest);
            return self.check(&lines).map(Some);
        }
        Ok(None)
    }

    /// The JSON text of each line.
    fn check(&mut self, lines: &[u8]) -> Result<Vec<String>, Failure> {
        if self.open && lines.first().is_some_and(|byte| !b"\r\n".contains(byte)) {
            return Err(Failure::lacking(
                "the last line that was imported has gained an end; it is another source now",
            ));
        }
        let mut group = Vec::new();
        for line in lines.strip_suffix(b"\n").unwrap_or(lines).split(|&byte| byte == b'\n') {
            self.given += 1;
            if let Some(text) = json::text(line) {
                group.push(text.to_owned());
            } else if !line.trim_ascii().is_empty() {
                let message = format!("line {} is no JSON; nothing from there on was taken", self.given);
                return Err(Failure::usage(message));
            }
        }
        self.give(lines);
        Ok(group)
    }

    fn give(&mut self, bytes: &[u8]) {
        self.digest.update(bytes);
        self.position += bytes.len() as u64;
        if let Some(&last) = bytes.last() {
            self.open = last != b'\n';
        }
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Failure> {
        loop {
            match self.from.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Failure::system(format!("cannot read the lines: {error}"))),
                Ok(read) => return Ok(read),
            }
        }
    }
}
