//! [`Scrubber`], the task that checks a log's files slowly, a piece at a time, and goes easy on the disk between.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::sync::oneshot;

use super::{
    check::Examiner,
    directory,
    sound::{Sound, Sounding},
};
use crate::{
    Damage, Env, Error, ErrorKind, Result,
    check::Report,
    env::{Step, Task},
    keys::Keys,
    log::scrub::{OnDamage, Scrub, Ties},
};

/// About so many bytes are read between two pauses.
const PIECE: u64 = 1 << 20;
/// So often in a row a file may be replaced under it before that is an error.
const TRIES: u32 = 5;

/// Starts a check of the log in `dir` that reads so many bytes a second. With `keys` it looks into what is encrypted, too.
pub(crate) fn start(
    env: &Env,
    dir: &Path,
    keys: Option<&Keys>,
    bytes_per_second: u64,
    on_damage: OnDamage,
) -> Result<Scrub> {
    let busy = directory::is_locked(&*env.storage, dir)?;
    let examiner = Examiner::begin(env, dir, busy, keys)?;
    let (reply, answer) = oneshot::channel();
    let ties = Arc::new(Ties::default());
    let task = Scrubber {
        env: env.clone(),
        dir: dir.to_owned(),
        bytes_per_second: bytes_per_second.max(1),
        on_damage,
        ties: ties.clone(),
        reply: Some(reply),
        begun: env.clock.monotonic(),
        told: 0,
        tries: 0,
        now: None,
        done: 0,
        examiner: Some(examiner),
    };
    let worker = env.threads.spawn("flume-scrub", Box::new(task), ties.signal.clone());
    let worker = worker.map_err(|error| Error::io("start to check", dir, error))?;
    Ok(Scrub::new(ties, answer, worker))
}

struct Scrubber {
    env: Env,
    dir: PathBuf,
    bytes_per_second: u64,
    on_damage: OnDamage,
    ties: Arc<Ties>,
    reply: Option<oneshot::Sender<Result<Report>>>,
    begun: Duration,
    /// So many damaged places have been told of.
    told: usize,
    tries: u32,
    /// The segment that is being read, and its path.
    now: Option<(PathBuf, Sounding)>,
    /// Bytes of the segments before it.
    done: u64,
    /// Until all is done.
    examiner: Option<Examiner>,
}

impl Scrubber {
    /// Reads on. The report, once all has been read.
    fn read(&mut self) -> Result<Option<Report>> {
        let Some(examiner) = &mut self.examiner else { return Ok(None) };
        let read = match (&mut self.now, examiner.next_sealed()) {
            (Some((path, sounding)), _) => sounding.step(path, PIECE),
            (None, Some(name)) => {
                let path = self.dir.join(name.file_name());
                Sounding::begin(&*self.env.storage, &path, name).map(|sounding| {
                    self.now = Some((path, sounding));
                    false
                })
            }
            (None, None) => Ok(true),
        };
        let sound: Option<Sound> = match read {
            Ok(false) => {
                self.count();
                return Ok(None);
            }
            // What is compressed or encrypted has to be looked into besides; its bytes are in the system's cache now.
            Ok(true) => self.now.take().map(|(_, sounding)| sounding.end()).filter(|sound| !sound.packed),
            // What is wrong with it, and what is not, takes a closer look.
            Err(_) => {
                self.now = None;
                None
            }
        };
        let taken = examiner.next(sound);
        match taken {
            Err(error) if error.kind() == ErrorKind::NotFound && self.tries < TRIES => {
                self.tries += 1;
                examiner.list_anew()?;
                return Ok(None);
            }
            Err(error) => return Err(error),
            Ok(Some(_)) => {}
            Ok(None) => {
                let report = self.examiner.take().map(|examiner| examiner.finish().1);
                report.iter().for_each(|report| self.tell(&report.damage));
                return Ok(report);
            }
        }
        self.tries = 0;
        self.done = examiner.report.bytes;
        let found = examiner.report.damage.clone();
        self.tell(&found);
        self.count();
        Ok(None)
    }

    /// Tells of what has been found since it last told.
    fn tell(&mut self, damage: &[Damage]) {
        damage.iter().skip(self.told).for_each(|damage| (self.on_damage)(damage));
        self.told = damage.len();
    }

    fn count(&self) {
        let now = self.now.as_ref().map_or(0, |(_, sounding)| sounding.done());
        self.ties.done.store(self.done + now, Ordering::Relaxed);
    }

    /// How long to do nothing, so that it is no faster than it may be.
    fn pause(&self) -> Option<Duration> {
        let done = u128::from(self.ties.done.load(Ordering::Relaxed));
        let nanos = done * 1_000_000_000 / u128::from(self.bytes_per_second);
        let due = self.begun.saturating_add(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)));
        due.checked_sub(self.env.clock.monotonic()).filter(|pause| !pause.is_zero())
    }
}

impl Task for Scrubber {
    fn step(&mut self) -> Step {
        if self.ties.stop.load(Ordering::Acquire) || self.reply.is_none() {
            return Step::Done;
        }
        if let Some(pause) = self.pause() {
            return Step::WaitFor(pause);
        }
        if let Some(report) = self.read().transpose() {
            if let Some(reply) = self.reply.take() {
                // Who has stopped waiting needs no answer.
                let _ = reply.send(report);
            }
            return Step::Done;
        }
        Step::Yield
    }
}
