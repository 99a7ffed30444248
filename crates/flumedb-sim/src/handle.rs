//! What is open on a [`SimDisk`]: files, locks and watches.

use std::{io, path::PathBuf, time::Duration};

use bytes::Bytes;
use flumedb::env::{File, Lock, Watch};

use crate::{Call, FaultKind, SimDisk};

pub(crate) struct SimFile {
    pub(crate) disk: SimDisk,
    pub(crate) file: u64,
    pub(crate) writable: bool,
}

impl SimFile {
    fn must_be_writable(&self) -> io::Result<()> {
        if self.writable { Ok(()) } else { Err(io::ErrorKind::PermissionDenied.into()) }
    }
}

impl File for SimFile {
    fn len(&self) -> io::Result<u64> {
        let (state, fault) = self.disk.enter(Call::Len)?;
        match fault {
            Some(fault) => Err(fault.error()),
            None => Ok(state.image.len(self.file)),
        }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.must_be_writable()?;
        let (mut state, fault) = self.disk.enter(Call::SetLen)?;
        if let Some(fault) = fault {
            return Err(fault.error());
        }
        state.image.set_len(self.file, len);
        state.changes += 1;
        Ok(())
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.must_be_writable()?;
        let (mut state, fault) = self.disk.enter(Call::Allocate)?;
        if let Some(fault) = fault {
            return Err(fault.error());
        }
        let capacity = state.capacity;
        state.image.allocate(self.file, len, capacity)
    }

    fn read(&self, offset: u64, len: usize) -> io::Result<Bytes> {
        let (mut state, fault) = self.disk.enter(Call::Read)?;
        let mut bytes = state.image.read_file(self.file, offset, len);
        match fault {
            Some(FaultKind::Flip) if !bytes.is_empty() => {
                let bit = state.pick(bytes.len() as u64 * 8) as usize;
                bytes[bit / 8] ^= 1 << (bit % 8);
            }
            None | Some(FaultKind::Flip) => {}
            Some(fault) => return Err(fault.error()),
        }
        Ok(bytes.into())
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        self.must_be_writable()?;
        let (mut state, fault) = self.disk.enter(Call::Write)?;
        let taken = match fault {
            Some(FaultKind::Short) => &bytes[..bytes.len().div_ceil(2)],
            Some(fault) => return Err(fault.error()),
            None => bytes,
        };
        state.changes += 1;
        let capacity = state.capacity;
        state.image.write_file(self.file, offset, taken, capacity)
    }

    fn sync(&self) -> io::Result<()> {
        let (mut state, fault) = self.disk.enter(Call::Sync)?;
        if let Some(fault) = fault {
            let mut chance = state.chance();
            state.image.fail_sync(self.file, &mut chance);
            return Err(fault.error());
        }
        state.image.sync(self.file);
        Ok(())
    }
}

pub(crate) struct SimLock {
    pub(crate) disk: SimDisk,
    pub(crate) path: PathBuf,
}

impl Lock for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        self.disk.unlock(&self.path);
    }
}

pub(crate) struct SimWatch {
    pub(crate) disk: SimDisk,
    pub(crate) seen: u64,
}

impl Watch for SimWatch {
    fn wait(&mut self, timeout: Duration) {
        let changes = self.disk.state().changes;
        if changes == self.seen {
            // Nobody else can run meanwhile, so the wait is over when a little time has passed.
            self.disk.clock.advance(timeout.min(Duration::from_millis(1)));
        }
        self.seen = changes;
    }
}
