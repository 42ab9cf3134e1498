//! A disk in memory that remembers what was done to it, and fails when it is told to.

use std::{
    fmt,
    io::{self, ErrorKind},
    sync::Arc,
};

use parking_lot::Mutex;
use redb::StorageBackend;

/// What was done to a disk. Reading changes nothing and is not remembered.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Write {
        offset: usize,
        data: Vec<u8>,
    },
    SetLen(usize),
    Sync,
    /// A sync that failed, as Linux has it: what it should have written down can still be
    /// read, and later syncs pass over it.
    Forget,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Read,
    Write,
    SetLen,
    Sync,
}

/// How a disk fails.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fault {
    pub(crate) kind: Kind,
    /// How many operations of the kind go well first.
    pub(crate) after: usize,
    /// Whether all that follow fail too, until the disk is mended.
    pub(crate) lasts: bool,
}

/// A handle on a disk; clones are handles on the same one.
#[derive(Clone, Default)]
pub(crate) struct Disk(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    content: Vec<u8>,
    original: Vec<u8>,
    trace: Vec<Step>,
    fault: Option<Fault>,
    failures: usize,
}

impl Disk {
    /// A disk on which all of this is written down.
    pub(crate) fn of(original: Vec<u8>) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            content: original.clone(),
            original,
            ..Inner::default()
        })))
    }

    /// How many steps were done so far: a moment in the disk's life.
    pub(crate) fn moment(&self) -> usize {
        self.0.lock().trace.len()
    }

    /// Until this is dropped, whoever needs the disk waits.
    pub(crate) fn hold(&self) -> impl Sized + '_ {
        self.0.lock()
    }

    /// What was written down at first, and the steps up to a moment.
    pub(crate) fn up_to(&self, moment: usize) -> (Vec<u8>, Vec<Step>) {
        let inner = self.0.lock();
        (inner.original.clone(), inner.trace[..moment].to_vec())
    }

    pub(crate) fn syncs_since(&self, moment: usize) -> usize {
        let steps = &self.0.lock().trace[moment..];
        let syncs = steps.iter().filter(|step| matches!(step, Step::Sync));
        syncs.count()
    }

    pub(crate) fn fail(&self, fault: Fault) {
        self.0.lock().fault = Some(fault);
    }

    pub(crate) fn mend(&self) {
        self.0.lock().fault = None;
    }

    /// How many operations have failed.
    pub(crate) fn failures(&self) -> usize {
        self.0.lock().failures
    }
}

impl Inner {
    fn attempt(&mut self, kind: Kind) -> io::Result<()> {
        let Some(fault) = self.fault.as_mut().filter(|fault| fault.kind == kind) else {
            return Ok(());
        };
        if fault.after > 0 {
            fault.after -= 1;
            return Ok(());
        }
        if !fault.lasts {
            self.fault = None;
        }
        self.failures += 1;
        Err(match kind {
            Kind::Write | Kind::SetLen => ErrorKind::StorageFull.into(),
            Kind::Read | Kind::Sync => io::Error::other("the disk is failing"),
        })
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().content.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let mut inner = self.0.lock();
        inner.attempt(Kind::Read)?;
        let from = offset as usize;
        let found = inner.content.get(from..from + out.len());
        out.copy_from_slice(found.ok_or(ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut inner = self.0.lock();
        inner.attempt(Kind::SetLen)?;
        set_len(&mut inner.content, len as usize);
        inner.trace.push(Step::SetLen(len as usize));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut inner = self.0.lock();
        let attempted = inner.attempt(Kind::Sync);
        inner.trace.push(match attempted {
            Ok(()) => Step::Sync,
            Err(_) => Step::Forget,
        });
        attempted
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut inner = self.0.lock();
        let attempted = inner.attempt(Kind::Write);
        // A full disk takes a part of it.
        let written = match attempted {
            Ok(()) => data,
            Err(_) => &data[..data.len() / 2],
        };
        let from = offset as usize;
        put(&mut inner.content, from, written);
        inner.trace.push(Step::Write {
            offset: from,
            data: written.to_vec(),
        });
        attempted
    }
}

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Disk")
            .field("moment", &self.moment())
            .finish_non_exhaustive()
    }
}

pub(crate) fn put(content: &mut Vec<u8>, offset: usize, data: &[u8]) {
    let end = offset + data.len();
    if content.len() < end {
        set_len(content, end);
    }
    content[offset..end].copy_from_slice(data);
}

/// Not `resize`, which takes byte by byte in a debug build.
pub(crate) fn set_len(content: &mut Vec<u8>, len: usize) {
    content.truncate(len);
    let missing = vec![0; len - content.len()];
    content.extend_from_slice(&missing);
}
