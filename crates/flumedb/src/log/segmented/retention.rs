//! Dropping the beginning of a log. It is deleted like anything else, so that whoever follows is told, and then erased.

use super::{SegmentedLog, queue::Request, segment::check_header, shared::Shared};
use crate::{
    Error, Result, Seq, Span,
    env::OpenMode,
    log::{Before, Compacted, Log, ReadRequest},
};

/// So many entries are deleted in one commit.
const AT_ONCE: usize = 1 << 16;
/// After so many, what has been deleted is erased: until then each is kept in mind.
const ERASE_EVERY: usize = 1 << 21;

impl SegmentedLog {
    /// Deletes what is in whole segments before that, and erases it.
    pub(super) async fn drop_segments(&self, before: Before) -> Result<Compacted> {
        let end = boundary(self.open_shared()?, before)?;
        let mut from = self.shared.table.first();
        let mut done: Option<Compacted> = None;
        let (mut targets, mut deleted) = (Vec::new(), 0);
        while from < end {
            match self.shared.read(ReadRequest::forwards(Span { from, to: end })) {
                Ok(chunk) => {
                    targets.extend(chunk.entries().map(|(seq, _)| seq));
                    from = chunk.covered.to.max(from + 1);
                }
                // What is damaged goes too.
                Err(error) => match error.seq() {
                    Some(seq) if seq.get() >= from => {
                        targets.push(seq);
                        from = seq.get() + 1;
                    }
                    _ => return Err(error),
                },
            }
            if targets.len() >= AT_ONCE || from >= end {
                let targets: Vec<Seq> = std::mem::take(&mut targets);
                deleted += targets.len();
                let permit = self.room_for(size_of_val(targets.as_slice())).await?;
                self.ask(|reply| Request::Delete { targets, reply, permit }).await?;
            }
            if deleted >= ERASE_EVERY && from < end {
                deleted = 0;
                let then = self.compact().await?;
                done = Some(done.map_or(then, |done| done.and(then)));
            }
        }
        let then = self.compact().await?;
        Ok(done.map_or(then, |done| done.and(then)))
    }
}

/// The first number that is kept.
fn boundary(shared: &Shared, before: Before) -> Result<u64> {
    let names = shared.table.names();
    let mut end = shared.table.first();
    for name in names {
        let drops_all_before = match before {
            Before::Seq(seq) => name.first <= seq.get(),
            Before::Age(age) => {
                let path = shared.dir.join(name.file_name());
                let file = shared.env.storage.open(&path, OpenMode::Read);
                let file = file.map_err(|error| Error::io("open", &path, error))?;
                let header = check_header(&*file, &path, name, Some(shared.id))?;
                let age = i64::try_from(age.as_micros()).unwrap_or(i64::MAX);
                // What is before it was appended before it was made.
                header.created_us <= shared.env.clock.unix_us().saturating_sub(age)
            }
        };
        if !drops_all_before {
            break;
        }
        end = end.max(name.first);
    }
    Ok(end)
}
