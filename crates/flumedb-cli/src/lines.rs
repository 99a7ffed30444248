//! [`Lines`], JSON lines in the groups in which they arrive, each checked before the group is given.

use std::io::{self, Read};

use crate::{exit::Failure, json};

/// Reads JSON lines.
pub(crate) struct Lines<R> {
    from: R,
    /// Read, but not given: the beginning of a line.
    rest: Vec<u8>,
    /// Lines given so far.
    given: u64,
    ended: bool,
}

impl<R: Read> Lines<R> {
    /// The most that one group reads.
    const GROUP_BYTES: usize = 1 << 20;

    pub(crate) fn new(from: R) -> Self {
        Self { from, rest: Vec::new(), given: 0, ended: false }
    }

    /// What has arrived, waiting for one whole line at least. `None` at the end. Empty lines are passed over.
    pub(crate) fn next_group(&mut self) -> Result<Option<Vec<String>>, Failure> {
        let mut buffer = vec![0; Self::GROUP_BYTES];
        while !self.ended {
            let before = self.rest.len();
            let read = match self.from.read(&mut buffer) {
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Failure::system(format!("cannot read standard input: {error}"))),
            };
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
            let mut group = Vec::new();
            for line in lines.strip_suffix(b"\n").unwrap_or(&lines).split(|&byte| byte == b'\n') {
                self.given += 1;
                if let Some(text) = json::text(line) {
                    group.push(text.to_owned());
                } else if !line.trim_ascii().is_empty() {
                    return Err(Failure::usage(format!(
                        "line {} is no JSON; nothing from there on was taken",
                        self.given
                    )));
                }
            }
            return Ok(Some(group));
        }
        Ok(None)
    }
}
