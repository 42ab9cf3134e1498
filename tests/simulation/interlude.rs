//! What happens while a request is on its way.

use std::{sync::Arc, time::Duration};

use epochkey::testing;

use super::{
    operation::{Kills, Operation, Running},
    witness::{Interlude, Request},
    world::World,
};

type Happening = Box<dyn FnOnce() + Send>;

impl World {
    /// Arranges that something happens during the next request of a replica, sometimes.
    pub(crate) fn interpose(&mut self, index: usize) {
        if !self.plan.interludes || !self.random.chance(25) {
            return;
        }
        let requests = [
            Request::Events,
            Request::Events,
            Request::Standing,
            Request::Snapshot,
            Request::Begin,
            Request::Commit,
            Request::Sessions,
        ];
        let during = *self.random.pick(&requests);
        let arrives_first = self.random.chance(50);
        let other = self.random.below(self.replicas.len());
        let mut happenings = Vec::new();
        let mut what = Vec::new();
        if self.plan.losses && self.random.chance(30) {
            what.push("loss");
            happenings.push(self.loss());
        }
        match self.random.below(5) {
            0 => {
                what.push("time");
                happenings.push(self.slowness());
            }
            1 if other != index => {
                what.push("follow");
                happenings.push(self.follow_of(other));
            }
            2..5 => {
                for _ in 0..self.random.between(1, 4) {
                    what.push("bump");
                    happenings.push(self.bump_of(other));
                }
                if other != index && self.random.chance(50) {
                    happenings.push(self.follow_of(other));
                }
            }
            _ => {}
        }
        if self.random.chance(20) {
            what.push("catch up");
            happenings.push(self.catching_up_of(index));
        }
        let process = self.replicas[other].process;
        self.note(format!(
            "{during:?}/{arrives_first} will meet {what:?} by {process}"
        ));
        self.replicas[other].followed &= index == other;
        let happen = Box::new(move || happenings.into_iter().for_each(|happen| happen()));
        self.replicas[index].notes.interrupt(Some(Interlude {
            during,
            arrives_first,
            happen,
        }));
    }

    pub(crate) fn end_interlude(&mut self, index: usize) {
        self.replicas[index].notes.interrupt(None);
    }

    fn loss(&mut self) -> Happening {
        self.may_restart = true;
        let (server, ledger) = (self.server.clone(), Arc::clone(&self.ledger));
        let commits = 1 + self.random.below(5);
        Box::new(move || {
            server.lose_last(commits);
            let mut ledger = ledger.lock();
            ledger.sessions.losses += 1;
            ledger.look();
        })
    }

    fn slowness(&mut self) -> Happening {
        let by = Duration::from_millis(self.random.between(100, 14_000));
        let clocks = self.replicas.iter().map(|replica| &replica.notes.clock);
        let clocks: Vec<_> = clocks.chain([&self.server_clock]).cloned().collect();
        Box::new(move || clocks.iter().for_each(|clock| clock.advance(by)))
    }

    fn follow_of(&mut self, other: usize) -> Happening {
        let replica = &self.replicas[other];
        let (authority, notes) = (replica.authority.clone(), Arc::clone(&replica.notes));
        Box::new(move || {
            notes.follows();
            // Whether it succeeds is its own affair.
            let _ = testing::follow(&authority);
        })
    }

    /// Begins an operation at a replica that waits for its next exchange.
    fn catching_up_of(&mut self, index: usize) -> Happening {
        let interposed = Arc::clone(&self.interposed);
        let begun = self.tokens.len();
        let replica = &self.replicas[index];
        let (authority, notes) = (replica.authority.clone(), Arc::clone(&replica.notes));
        let asker = replica.asker();
        Box::new(move || {
            let mut ledger = notes.ledger.lock();
            ledger.look();
            let begun = (begun, ledger.head());
            let op = Running::CatchUp(authority.catch_up());
            let operation = Operation::begun_by(asker, op, vec![], Kills::None, begun, &ledger);
            interposed.lock().push(operation);
        })
    }

    fn bump_of(&mut self, other: usize) -> Happening {
        let scope = self.some_scope();
        let interposed = Arc::clone(&self.interposed);
        let tokens = self.tokens.len();
        let replica = &self.replicas[other];
        let (authority, notes) = (replica.authority.clone(), Arc::clone(&replica.notes));
        let asker = replica.asker();
        Box::new(move || {
            notes.seen.lock().scopes = vec![scope.clone()];
            let interrupted = std::mem::take(&mut notes.seen.lock().committed);
            let head = notes.ledger.lock().head();
            let op = Running::Bump(authority.bump(scope.clone()));
            let events = std::mem::replace(&mut notes.seen.lock().committed, interrupted);
            let kills = Kills::WithOneOf(vec![scope]);
            let begun = (tokens, head);
            let ledger = notes.ledger.lock();
            let operation = Operation::begun_by(asker, op, events, kills, begun, &ledger);
            interposed.lock().push(operation);
        })
    }
}
