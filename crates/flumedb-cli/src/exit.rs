//! [`Failure`], why the program stops, and the exit code that other programs rely on.

use std::{fmt, io, process::ExitCode};

use flumedb::{Error, ErrorKind};

/// What a command answers.
pub(crate) type Outcome = Result<Verdict, Failure>;

/// How a command that did its work went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Fine,
    /// The data is torn or damaged, or what was asked for does not exist; it has been said.
    Lacking,
}

impl Verdict {
    /// The worse of two.
    pub(crate) fn and(self, other: Self) -> Self {
        if self == Self::Fine { other } else { self }
    }

    pub(crate) fn code(self) -> ExitCode {
        ExitCode::from(u8::from(self == Self::Lacking))
    }
}

/// One clear sentence and the exit code that goes with it.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    message: String,
}

impl Failure {
    /// The data is torn or damaged, or what was asked for does not exist.
    pub(crate) fn lacking(message: impl Into<String>) -> Self {
        Self { code: 1, message: message.into() }
    }

    /// The program was called wrongly.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { code: 2, message: message.into() }
    }

    /// The machine failed.
    pub(crate) fn system(message: impl Into<String>) -> Self {
        Self { code: 3, message: message.into() }
    }

    /// Writing the output failed. Nobody who listens is no failure: `flume cat … | head` is as it should be.
    pub(crate) fn output(error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Self { code: 0, message: String::new() }
        } else {
            Self::system(format!("cannot write the output: {error}"))
        }
    }

    /// The same with more said in front.
    pub(crate) fn context(self, what: impl fmt::Display) -> Self {
        Self { message: format!("{what}: {}", self.message), ..self }
    }

    pub(crate) fn code(&self) -> ExitCode {
        ExitCode::from(self.code)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let code = match error.kind() {
            ErrorKind::Corrupt
            | ErrorKind::NotFound
            | ErrorKind::Deleted
            | ErrorKind::Conflict
            | ErrorKind::Faulted
            | ErrorKind::Unsupported => 1,
            ErrorKind::Invalid | ErrorKind::LimitExceeded | ErrorKind::Key => 2,
            _ => 3,
        };
        let mut message = error.to_string();
        // The library's advice is for those who call it.
        if error.kind() == ErrorKind::Locked
            && let Some(end) = message.find(';')
        {
            message.replace_range(end.., "; wait until that program has ended, and try again");
        }
        Self { code, message }
    }
}
