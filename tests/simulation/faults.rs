//! What is done to the store, the connections and the clocks.

use std::time::Duration;

use epochkey::testing;

use super::{Checked, operation::Operation, replica::Faults, world::World, wrong};

impl World {
    pub(crate) fn fail_somehow(&mut self, index: usize) -> Checked {
        let connection = self.replicas[index].connection.clone();
        let process = self.replicas[index].process;
        match self.random.below(16) {
            0 if self.plan.cuts => {
                connection.cut();
                self.replicas[index].faults.is_cut = true;
                self.note(format!("cut {process}"));
            }
            1..3 => self.mend(index),
            3 if self.plan.lags && self.random.chance(50) => self.lag(index),
            3 if self.plan.lags => self.meet_an_old_snapshot(index)?,
            4 if self.plan.misbehaviour => {
                connection.misbehave(self.random.next());
                self.replicas[index].faults.misbehaves = true;
                self.note(format!("{process} misbehaves"));
            }
            5 if self.plan.holds => {
                connection.hold_commits();
                self.replicas[index].holds = true;
                self.note(format!("hold commits of {process}"));
            }
            6 if self.plan.holds => {
                connection.hold_answers();
                self.replicas[index].holds = true;
                self.note(format!("hold answers to {process}"));
            }
            7..9 if self.plan.holds => {
                connection.release();
                self.replicas[index].holds = false;
                self.note(format!("release what is held of {process}"));
            }
            9 if self.plan.holds && self.random.chance(30) => {
                connection.drop_held();
                self.note(format!("drop what is held of {process}"));
            }
            10..12 if self.plan.wrong_clocks => self.set_a_clock(index),
            12 if self.plan.wrong_server_clock => self.set_the_server_clock(),
            13 => self.back_up(),
            14 => self.trim(),
            15 if self.plan.losses => self.lose(index)?,
            _ => {}
        }
        Ok(())
    }

    /// From now on what a replica reads comes from a standby that is behind.
    fn lag(&mut self, index: usize) {
        let replica = &mut self.replicas[index];
        match self.random.below(3) {
            0 => replica
                .connection
                .lag_in_snapshots_at(&self.server.back_up()),
            1 if !self.backups.is_empty() => {
                let (backup, _) = self.random.pick(&self.backups);
                replica.connection.lag_in_snapshots_at(backup);
            }
            _ => replica.connection.lag(),
        }
        replica.faults.lags = true;
        replica.notes.seen.lock().lags = true;
        let step = format!("{} lags", replica.process);
        self.note(step);
    }

    /// A replica is to take a snapshot, and is given one of long ago.
    fn meet_an_old_snapshot(&mut self, index: usize) -> Checked {
        if self.backups.is_empty() {
            self.back_up();
            return Ok(());
        }
        let number = self.random.below(self.backups.len());
        let replica = &mut self.replicas[index];
        let backup = &self.backups[number].0;
        replica.connection.lag_in_snapshots_at(backup);
        replica.faults.lags = true;
        replica.notes.seen.lock().lags = true;
        let step = format!("old snapshots come to {}", replica.process);
        self.note(step);
        let other = self.random.below(self.replicas.len());
        for _ in 0..2 {
            self.change(other)?;
        }
        self.trim();
        self.follow(index)
    }

    pub(crate) fn mend(&mut self, index: usize) {
        let replica = &mut self.replicas[index];
        replica.connection.mend();
        replica.faults = Faults::default();
        replica.notes.seen.lock().lags = false;
        let step = format!("mend {}", replica.process);
        self.note(step);
    }

    fn set_a_clock(&mut self, index: usize) {
        let clock = self.replicas[index].notes.clock.clone();
        let by = match self.random.below(3) {
            0 => self.random.between(1, 2_000),
            1 => self.random.between(2_000, 20_000),
            _ => self.random.between(20_000, 200_000_000),
        };
        let process = self.replicas[index].process;
        match self.random.below(4) {
            0 => {
                self.note(format!("{process} is set {by} ms forward"));
                clock.set_forward(Duration::from_millis(by));
            }
            1 => {
                self.note(format!("{process} is set {by} ms back"));
                clock.rewind(Duration::from_millis(by));
            }
            _ => {
                self.note(format!("{process} is set right"));
                super::replica::set(&clock, &self.server_clock);
            }
        }
    }

    fn set_the_server_clock(&mut self) {
        self.server_is_wrong = !self.server_is_wrong;
        self.server_was_wrong = true;
        let by = match self.server_is_wrong {
            true => Duration::from_secs(self.random.between(5, 100_000)),
            false => Duration::ZERO,
        };
        self.note(format!("the server's clock is ahead by {by:?}"));
        self.server.set_clock_ahead(by);
    }

    fn back_up(&mut self) {
        if let Some(head) = self.ledger.lock().head() {
            self.backups.truncate(2);
            self.backups.insert(0, (self.server.back_up(), head));
        }
        self.note("back up");
    }

    /// A store keeps its log as long as somebody who lives could have lost something: later
    /// on, what was lost does not matter any more.
    fn trim(&mut self) {
        let ledger = self.ledger.lock();
        let lost = |event| ledger.knows(event) && ledger.has_lost(ledger.place(event));
        let applied = self.replicas.iter().map(|replica| replica.applied);
        let waited_for = self.operations.iter().flat_map(Operation::events);
        let anybody_lost = applied.chain(waited_for).any(lost);
        self.epochs
            .retain(|(_, event)| anybody_lost || !lost(*event));
        let may_trim = !anybody_lost && ledger.head().is_some();
        drop(ledger);
        if may_trim {
            self.note("trim");
            self.server.trim();
        }
    }

    fn lose(&mut self, index: usize) -> Checked {
        match self.random.below(8) {
            0 => {
                self.has_lost();
                self.note("the server is cleared");
                self.server.clear();
            }
            1..4 if !self.backups.is_empty() => self.restore(index)?,
            _ => {
                let commits = 1 + self.random.below(6);
                self.lose_commits(commits);
            }
        }
        Ok(())
    }

    fn has_lost(&mut self) {
        self.may_restart = true;
        self.ledger.lock().sessions.losses += 1;
    }

    pub(crate) fn lose_commits(&mut self, commits: usize) {
        self.has_lost();
        self.note(format!("the server loses {commits} commits"));
        self.server.lose_last(commits);
        self.look();
    }

    /// Restores a backup. If it is newer than what the store holds, only the operator
    /// knows that something is lost, and says so.
    fn restore(&mut self, index: usize) -> Checked {
        self.has_lost();
        let number = self.random.below(self.backups.len());
        let (backup, head) = &self.backups[number];
        let head = *head;
        let is_older = self.ledger.lock().keeps(head);
        self.server.restore(backup);
        self.note(format!("restore a backup, older {is_older}"));
        self.look();
        if is_older {
            return Ok(());
        }
        let history = self.ledger.lock().place(head).history;
        for replica in &mut self.replicas {
            replica.deceived_in = Some(history);
        }
        self.mend(index);
        let process = self.replicas[index].process;
        let op = self.replicas[index].authority.restored_from_backup();
        self.note(format!("the operator tells {process} of it"));
        drop(op);
        self.replicas[index].notes.follows();
        let _ = testing::follow(&self.replicas[index].authority);
        self.replicas[index].followed = false;
        Ok(())
    }

    /// Ends a process, and opens another in its place or beside it.
    pub(crate) fn restart_some(&mut self, index: usize) -> Checked {
        let crowded = self.replicas.len() >= 8;
        if !crowded && self.random.chance(30) {
            return self.open_another();
        }
        if self.plan.new_lifetimes && self.random.chance(60) {
            self.policy = self.plan.policy(&mut self.random);
            self.note(format!("from now on {:?}", self.policy));
        }
        if self.plan.new_secret && self.secret == 0 && self.random.chance(30) {
            self.secret = 1;
            self.note("from now on another master secret");
            for replica in &mut self.replicas {
                replica.is_left_behind = true;
                replica.notes.seen.lock().may_load = true;
            }
        }
        let mut old = self.replicas.swap_remove(index);
        let same_connection = self.random.chance(50);
        self.note(format!(
            "end {}, same connection {same_connection}",
            old.process
        ));
        let (connection, faults) = match same_connection {
            true => (old.connection.clone(), old.faults),
            false => (self.server.connect(), Faults::default()),
        };
        let holds = old.holds;
        old.leaves_connection = same_connection;
        drop(old);
        let excused = self.server_is_wrong || faults != Faults::default();
        match self.open(connection, faults) {
            Ok(()) => {
                if let Some(new) = self.replicas.last_mut().filter(|_| same_connection) {
                    new.holds = holds;
                }
                Ok(())
            }
            Err(_) if excused => Ok(()),
            Err(error) => wrong("a healthy store can be opened", format!("{error:?}")),
        }
    }

    pub(crate) fn open_another(&mut self) -> Checked {
        self.note("open another");
        let excused = self.server_is_wrong;
        match self.open(self.server.connect(), Faults::default()) {
            Ok(()) => Ok(()),
            Err(_) if excused => Ok(()),
            Err(error) => wrong("a healthy store can be opened", format!("{error:?}")),
        }
    }
}
