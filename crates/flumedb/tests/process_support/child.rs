//! [`Child`], this test program once more, in a process of its own that does a job and says what it has done.

use std::{
    env,
    io::{BufRead, BufReader, Write},
    process::{self, Command, Stdio},
    sync::{Arc, Condvar, Mutex},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// Set in a child, to what it is to do.
const JOB: &str = "FLUME_TEST_JOB";

/// What this process is to do, if it is a child: words.
pub fn job() -> Option<Vec<String>> {
    let job = env::var(JOB).ok()?;
    // A task that fails must not leave the others at work.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        hook(panic);
        process::exit(101);
    }));
    Some(job.split('|').map(str::to_owned).collect())
}

/// Says a line to whoever started this process; if that is over, so is this.
pub fn say(line: &str) {
    if writeln!(std::io::stdout(), "{MARK}{line}").is_err() {
        process::exit(0);
    }
}

/// Before whatever a child says: the test harness speaks on the same pipe.
const MARK: &str = "~ ";

type Said = Arc<(Mutex<(Vec<String>, bool)>, Condvar)>;

pub struct Child {
    process: process::Child,
    said: Said,
    listener: Option<JoinHandle<()>>,
}

impl Child {
    /// Starts the test `test` of this program with a job.
    pub fn start(test: &str, job: &[&str]) -> Self {
        Self::start_under(&[], test, job)
    }

    /// The same, as the last argument of another program.
    pub fn start_under(prefix: &[&str], test: &str, job: &[&str]) -> Self {
        let program = env::current_exe().unwrap();
        let mut words: Vec<_> = prefix.iter().map(|word| (*word).into()).collect();
        words.extend([program.into_os_string(), "--exact".into(), test.into(), "--nocapture".into()]);
        let mut process = Command::new(&words[0])
            .args(&words[1..])
            .env(JOB, job.join("|"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (said, output) = (Said::default(), process.stdout.take().unwrap());
        let heard = said.clone();
        let listener = thread::spawn(move || {
            let mut output = BufReader::new(output);
            let mut line = String::new();
            // Half a line was not said.
            while output.read_line(&mut line).is_ok_and(|_| line.ends_with('\n')) {
                if let Some((_, said)) = line.trim_end().split_once(MARK) {
                    heard.0.lock().unwrap().0.push(said.to_owned());
                    heard.1.notify_all();
                }
                line.clear();
            }
            heard.0.lock().unwrap().1 = true;
            heard.1.notify_all();
        });
        Self { process, said, listener: Some(listener) }
    }

    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// What it has said so far.
    pub fn said(&self) -> Vec<String> {
        self.said.0.lock().unwrap().0.clone()
    }

    /// Waits until it has said a line that begins like this, or has ended, or for a minute.
    pub fn hear(&self, beginning: &str) -> Option<String> {
        self.wait(Duration::from_secs(60), |said| said.iter().find(|line| line.starts_with(beginning)).cloned())
    }

    /// Waits until it has said so many lines, or has ended, but no longer than so long.
    pub fn wait_until_said(&self, lines: usize, patience: Duration) {
        self.wait(patience, |said| (said.len() >= lines).then_some(()));
    }

    fn wait<T>(&self, patience: Duration, look: impl Fn(&[String]) -> Option<T>) -> Option<T> {
        let end = Instant::now() + patience;
        let mut said = self.said.0.lock().unwrap();
        loop {
            let found = look(&said.0);
            let left = end.saturating_duration_since(Instant::now());
            if found.is_some() || said.1 || left.is_zero() {
                return found;
            }
            said = self.said.1.wait_timeout(said, left).unwrap().0;
        }
    }

    /// Ends it (SIGKILL on Unix) and gives what it said.
    ///
    /// # Panics
    /// If it had ended by itself.
    pub fn kill(mut self) -> Vec<String> {
        self.process.kill().unwrap();
        let status = self.process.wait().unwrap();
        let said = self.rest();
        assert_eq!(status.code(), None, "the child ended by itself, after {:?}", said.last());
        said
    }

    /// Waits until it ends well, and gives what it said.
    ///
    /// # Panics
    /// If it does not end well.
    pub fn end(mut self) -> Vec<String> {
        let status = self.process.wait().unwrap();
        let said = self.rest();
        assert!(status.success(), "the child ended with {status}, after {:?}", said.last());
        said
    }

    fn rest(&mut self) -> Vec<String> {
        self.listener.take().map(JoinHandle::join).transpose().unwrap();
        self.said()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // So too when a test fails. One that was waited for is not killed again.
        if self.listener.is_some() {
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
    }
}
