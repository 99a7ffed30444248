//! How flumelog-offset files lie: the [`Layout`] of every [`Framing`].

use flumedb::{Error, ErrorKind, Result};

use super::{Framing, detect, framing::Judgement};
use crate::file::{Detected, Layout, Source, Staged, Verdict};

impl Layout for Framing {
    type Options = Option<Framing>;

    const HEAD: u32 = 4;

    const RESEEKS: bool = true;

    fn name(&self) -> &'static str {
        Framing::name(*self)
    }

    fn trailer(&self) -> u32 {
        4 + self.position_bytes()
    }

    fn detect(source: &Source, len: u64, named: &Option<Framing>) -> Result<Detected<Self>> {
        detect::detect(source, len, *named)
    }

    #[inline]
    fn judge(&self, at: u64, bytes: &[u8], len: u64) -> Verdict {
        let Some((head, rest)) = bytes.split_first_chunk::<4>() else { return Verdict::more(at, 4, len) };
        let size = u32::from_be_bytes(*head);
        let trailer = rest.get(size as usize..).and_then(|after| after.get(..self.trailer() as usize));
        match trailer.map(|trailer| self.judge_trailer(at, size, trailer)) {
            Some(Judgement::Whole) => Verdict::Record(size),
            Some(Judgement::Broken(reason)) => Verdict::Broken(reason, None),
            None => Verdict::more(at, u64::from(size) + self.overhead(), len),
        }
    }

    fn frame(&self, base: u64, payload: &[u8], staged: &mut Staged) -> Result<u64> {
        let start = base + staged.bytes.len() as u64;
        self.frame_at(start, payload, &mut staged.bytes)?;
        Ok(start)
    }

    fn filler(&self, start: u64, bytes: u64) -> Result<Vec<u8>> {
        let payload = bytes.checked_sub(self.overhead()).and_then(|size| u32::try_from(size).ok());
        let Some(size) = payload.filter(|&size| size > 0 || *self != Self::Basic) else {
            let message =
                "the damage is of a size that no deleted entry can fill; export what is readable with `flume cat`";
            return Err(Error::new(ErrorKind::Unsupported, message));
        };
        Ok(self.frame_erased(start, size))
    }
}
