//! [`Fault`], what goes wrong and when.

use std::io;

/// A call that reaches the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "each is named after the call it stands for")]
pub enum Call {
    Open,
    Create,
    CreateDirs,
    List,
    Kind,
    Link,
    Rename,
    Remove,
    RemoveDir,
    SyncDir,
    Lock,
    Watch,
    Len,
    SetLen,
    Allocate,
    Read,
    Write,
    Sync,
}

impl Call {
    /// Whether the call can change what a crash leaves.
    pub fn changes(self) -> bool {
        !matches!(self, Self::Open | Self::List | Self::Kind | Self::Watch | Self::Len | Self::Read)
    }
}

/// How a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// Any call ends with EIO. A sync that fails drops the pages it should have written.
    Io,
    /// A call that needs space ends with ENOSPC.
    Full,
    /// A write ends with EINTR, having written nothing. (The real storage never passes it on from other calls.)
    Interrupted,
    /// A write takes only some of the bytes.
    Short,
    /// A sync of a file ends with EIO and drops the pages it should have written; reads still return them.
    Sync,
    /// A sync of a directory ends with EIO.
    SyncDir,
    /// A read ends with EIO.
    Read,
    /// A read returns one flipped bit.
    Flip,
}

impl FaultKind {
    /// Whether `call` can fail this way.
    pub fn hits(self, call: Call) -> bool {
        match self {
            Self::Io => call != Call::Watch,
            Self::Full => {
                matches!(
                    call,
                    Call::Create
                        | Call::CreateDirs
                        | Call::Link
                        | Call::Rename
                        | Call::Lock
                        | Call::Allocate
                        | Call::Write
                )
            }
            Self::Interrupted | Self::Short => call == Call::Write,
            Self::Sync => call == Call::Sync,
            Self::SyncDir => call == Call::SyncDir,
            Self::Read | Self::Flip => call == Call::Read,
        }
    }

    pub(crate) fn error(self) -> io::Error {
        match self {
            Self::Full => io::Error::new(io::ErrorKind::StorageFull, "simulated ENOSPC"),
            Self::Interrupted => io::Error::new(io::ErrorKind::Interrupted, "simulated EINTR"),
            _ => io::Error::other("simulated EIO"),
        }
    }
}

/// A failure to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// How the call fails.
    pub kind: FaultKind,
    /// Which one, of the calls that can fail this way, counted from 0 when the fault is set.
    pub nth: u64,
    /// Whether all such calls after it fail too.
    pub lasting: bool,
}
