//! The thread that changes the file: all commits that wait share one transaction.

use std::sync::mpsc::{Receiver, TryRecvError};

use redb::{Database, WriteTransaction};

use super::{
    database::Kept,
    tables::Result,
    tidying::Tidying,
    writing::{Writing, Written},
};
use crate::store::{
    Answer, Commit, Completion, NewHistory, Outcome, Rewrap, StoreTime, Tidy, worker::tell,
};

/// The most changes that share a transaction.
const MOST_AT_ONCE: usize = 1024;

/// A change that is asked for, and who is to be told.
pub(super) struct Write {
    pub(super) change: Change,
    pub(super) done: Completion<Outcome>,
}

pub(super) enum Change {
    Begin(NewHistory),
    Commit(Commit),
    Rewrap(Rewrap),
    Tidy(Tidy),
}

impl Change {
    fn now(&mut self) -> &mut StoreTime {
        match self {
            Self::Begin(new) => &mut new.now,
            Self::Commit(commit) => &mut commit.now,
            Self::Rewrap(rewrap) => &mut rewrap.now,
            Self::Tidy(tidy) => &mut tidy.now,
        }
    }
}

/// Does what comes through the queue, until it is closed.
pub(super) fn run(kept: &Kept, queue: &Receiver<Write>) {
    let mut writer = Writer {
        kept,
        tidying: Tidying::default(),
    };
    while let Some(writes) = next(queue, !writer.tidying.is_done()) {
        writer.write(writes);
    }
}

/// All changes that wait, or none if there is something else to do.
fn next(queue: &Receiver<Write>, is_busy: bool) -> Option<Vec<Write>> {
    let first = match is_busy {
        false => Some(queue.recv().ok()?),
        true => match queue.try_recv() {
            Ok(write) => Some(write),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => return None,
        },
    };
    let mut writes: Vec<Write> = first.into_iter().collect();
    if !writes.is_empty() {
        writes.extend(queue.try_iter().take(MOST_AT_ONCE - 1));
    }
    Some(writes)
}

struct Writer<'a> {
    kept: &'a Kept,
    tidying: Tidying,
}

impl Writer<'_> {
    /// Makes the changes in one transaction and, when it is durable, tells all who asked.
    fn write(&mut self, writes: Vec<Write>) {
        let (mut changes, asked): (Vec<_>, Vec<_>) = writes
            .into_iter()
            .map(|write| (write.change, write.done))
            .unzip();
        // All are made in one step, so at one time: the latest that is known. One that has
        // waited for the disk would otherwise be dated when it was asked for.
        let now = changes.iter_mut().map(|change| *change.now()).max();
        let time = now.unwrap_or_default();
        changes.iter_mut().for_each(|change| *change.now() = time);
        let written = self.kept.with(|database| self.transact(database, changes));
        match written {
            Ok((outcomes, written)) => {
                if let Some((before, events)) = written.appended {
                    self.kept.watch.appended(before, events);
                }
                if let Some(up_to) = written.trimmed_up_to {
                    self.kept.watch.trimmed(up_to);
                }
                for (done, value) in asked.into_iter().zip(outcomes) {
                    tell(|| done(Ok(Answer { value, time })));
                }
            }
            Err(failure) => {
                // What is left to be forgotten is said again with the next tidying.
                self.tidying = Tidying::default();
                for done in asked {
                    tell(|| done(Err(failure.error())));
                }
            }
        }
    }

    fn transact(
        &mut self,
        database: &Database,
        changes: Vec<Change>,
    ) -> Result<(Vec<Outcome>, Written)> {
        let mut transaction = database.begin_write()?;
        // One phase would leave it to checksums which of two commits is the newest, and repair
        // may then go back to the older one. See redb's documentation of the setting.
        transaction.set_two_phase_commit(true);
        let (outcomes, written) = self.make(&transaction, changes)?;
        match written.has_changed {
            true => transaction.commit()?,
            false => transaction.abort()?,
        }
        Ok((outcomes, written))
    }

    fn make(
        &mut self,
        transaction: &WriteTransaction,
        changes: Vec<Change>,
    ) -> Result<(Vec<Outcome>, Written)> {
        let mut writing = Writing::open(transaction)?;
        let outcomes: Result<Vec<_>> = changes
            .into_iter()
            .map(|change| match change {
                Change::Begin(new) => writing.begin(new),
                Change::Commit(commit) => writing.commit(commit),
                Change::Rewrap(rewrap) => writing.rewrap(&rewrap),
                Change::Tidy(tidy) => self.tidying.begin(&tidy, &writing),
            })
            .collect();
        let outcomes = outcomes?;
        self.tidying.step(&mut writing)?;
        Ok((outcomes, writing.finish()?))
    }
}
