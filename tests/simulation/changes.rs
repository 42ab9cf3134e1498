//! Operations that the replicas are asked for.

use epochkey::{Epoch, Scope, store::EventId};

use super::{
    Checked,
    operation::{Kills, Operation, Running},
    world::World,
};

impl World {
    /// Begins an operation at a replica.
    pub(crate) fn change(&mut self, index: usize) -> Checked {
        let swaps = self.plan.swaps;
        match self.random.below(24) {
            0..11 => {
                let scope = self.some_scope();
                self.bump(index, vec![scope]);
            }
            11 => {
                let scopes = (0..3).map(|_| self.some_scope()).collect();
                self.bump(index, scopes);
            }
            12..14 => self.begin(index, "rotate", &[], |authority| {
                (Running::Rotate(authority.rotate_key()), Kills::None)
            }),
            14 if swaps => self.begin(index, "swap", &[], |authority| {
                (Running::Swap(authority.swap_key()), Kills::All)
            }),
            15 if swaps && self.random.chance(30) => {
                self.may_restart = true;
                self.begin(index, "start over", &[], |authority| {
                    (Running::StartOver(authority.start_over()), Kills::All)
                });
            }
            18 if self.may_rewrap() => {
                self.replicas[index].notes.seen.lock().may_load = true;
                self.begin(index, "rewrap", &[], |authority| {
                    (Running::Rewrap(authority.rewrap_secrets()), Kills::None)
                });
            }
            16..19 if !self.epochs.is_empty() => self.wait_for(index),
            19..22 if !self.epochs.is_empty() => self.wait_everywhere(index),
            _ => self.begin(index, "catch up", &[], |authority| {
                (Running::CatchUp(authority.catch_up()), Kills::None)
            }),
        }
        match self.random.chance(60) {
            true => self.follow(index),
            false => Ok(()),
        }
    }

    /// Once everybody has the master secret of today.
    fn may_rewrap(&self) -> bool {
        self.secret > 0 && self.replicas.iter().all(|replica| !replica.is_left_behind)
    }

    fn bump(&mut self, index: usize, scopes: Vec<Scope>) {
        let step = format!("bump {scopes:?}");
        self.begin(
            index,
            &step,
            &scopes.clone(),
            |authority| match &scopes[..] {
                [scope] => {
                    let op = authority.bump(scope.clone());
                    (Running::Bump(op), Kills::WithOneOf(scopes))
                }
                _ => {
                    let op = authority.bump_many(scopes.clone());
                    (Running::BumpMany(op), Kills::WithOneOf(scopes))
                }
            },
        );
    }

    /// Begins an operation that bumps these scopes.
    pub(crate) fn begin(
        &mut self,
        index: usize,
        step: &str,
        scopes: &[Scope],
        begin: impl FnOnce(&epochkey::Authority) -> (Running, Kills),
    ) {
        self.interpose(index);
        let replica = &self.replicas[index];
        replica.notes.seen.lock().committed.clear();
        replica.notes.seen.lock().scopes = scopes.to_vec();
        let (head, tokens) = (self.ledger.lock().head(), self.tokens.len());
        let (op, kills) = begin(&replica.authority);
        let mut seen = replica.notes.seen.lock();
        seen.scopes.clear();
        let events = std::mem::take(&mut seen.committed);
        drop(seen);
        let begun = format!("{step} at {}", replica.process);
        let ledger = self.ledger.lock();
        let operation = Operation::new(replica, op, events, kills, (tokens, head), &ledger);
        drop(ledger);
        self.operations.push(operation);
        self.note(begun);
        self.end_interlude(index);
    }

    fn wait_for(&mut self, index: usize) {
        let (epoch, event) = self.some_epoch();
        let op = Running::WaitFor(self.replicas[index].authority.wait_for(epoch));
        self.wait(index, &format!("wait for {epoch:?}"), op, event);
    }

    fn wait_everywhere(&mut self, index: usize) {
        let (epoch, event) = self.some_epoch();
        let op = Running::Everywhere(self.replicas[index].authority.applied_everywhere(epoch));
        self.wait(index, &format!("wait for {epoch:?} everywhere"), op, event);
    }

    fn some_epoch(&mut self) -> (Epoch, EventId) {
        let newest = self.epochs.len().min(8);
        self.epochs[self.epochs.len() - 1 - self.random.below(newest)]
    }

    fn wait(&mut self, index: usize, step: &str, op: Running, event: EventId) {
        let replica = &self.replicas[index];
        let step = format!("{step} at {}", replica.process);
        let ledger = self.ledger.lock();
        let begun = (self.tokens.len(), ledger.head());
        let operation = Operation::new(replica, op, vec![event], Kills::None, begun, &ledger);
        drop(ledger);
        self.operations.push(operation);
        self.note(step);
    }
}
