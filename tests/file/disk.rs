//! A disk that takes its time, or does nothing at all.

use std::{
    io,
    sync::{Arc, Condvar, Mutex},
};

use redb::{StorageBackend, backends::InMemoryBackend};

/// Storage in memory. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Disk(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    memory: InMemoryBackend,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    is_held: bool,
    is_broken: bool,
    waiting: usize,
    syncs: usize,
}

impl Disk {
    /// From now on, syncing waits until it is let go on.
    pub(crate) fn hold(&self) {
        self.0.state.lock().unwrap().is_held = true;
    }

    pub(crate) fn release(&self) {
        self.0.state.lock().unwrap().is_held = false;
        self.0.changed.notify_all();
    }

    /// From now on, everything fails, or nothing does.
    pub(crate) fn set_broken(&self, is_broken: bool) {
        self.0.state.lock().unwrap().is_broken = is_broken;
    }

    fn check(&self) -> io::Result<()> {
        match self.0.state.lock().unwrap().is_broken {
            true => Err(io::Error::other("the disk is broken")),
            false => Ok(()),
        }
    }

    /// Blocks until somebody waits for a sync.
    pub(crate) fn until_somebody_waits(&self) {
        let state = self.0.state.lock().unwrap();
        let waits = self.0.changed.wait_while(state, |state| state.waiting == 0);
        drop(waits.unwrap());
    }

    /// How often it was synced.
    pub(crate) fn syncs(&self) -> usize {
        self.0.state.lock().unwrap().syncs
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        self.check()?;
        self.0.memory.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.check()?;
        self.0.memory.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.check()?;
        self.0.memory.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.check()?;
        let mut state = self.0.state.lock().unwrap();
        state.syncs += 1;
        state.waiting += 1;
        self.0.changed.notify_all();
        let mut state = self
            .0
            .changed
            .wait_while(state, |state| state.is_held)
            .unwrap();
        state.waiting -= 1;
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.check()?;
        self.0.memory.write(offset, data)
    }
}
