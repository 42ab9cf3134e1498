//! How every simulation ends: what was broken is mended, and all must agree.

use std::time::Duration;

use epochkey::testing::expose_secrets;

use super::{Checked, SKEW, STALENESS, operation::Operation, world::World, wrong};

/// How long silent replicas are waited for, in seconds: for those of a history before, and for
/// those of this one that are asked about after that.
const PATIENCE: u64 = 2 * (STALENESS.as_secs() + 2 * SKEW.as_secs()) + 2;

const AGREE: &str = "in the end all replicas agree with the store";
const LIVE: &str = "in the end every replica issues what all accept";

impl World {
    /// Mends everything, and checks that all replicas come to the same state and work.
    pub(crate) fn end(&mut self) -> Checked {
        self.begin_the_end();
        self.server.set_clock_ahead(Duration::ZERO);
        self.server_is_wrong = false;
        self.replicas.retain(|replica| !replica.is_left_behind);
        if self.replicas.is_empty() {
            self.open_another()?;
        }
        for index in 0..self.replicas.len() {
            self.mend(index);
            let replica = &self.replicas[index];
            super::replica::set(&replica.notes.clock, &self.server_clock);
            replica.connection.release();
            self.check()?;
        }
        self.let_all_follow(6)?;
        let patient = |operation: &Operation| operation.waits_for_the_silent();
        if self.operations.iter().all(patient) {
            self.let_all_follow(PATIENCE)?;
        }
        if let Some(operation) = self.operations.first() {
            let process = operation.process;
            return wrong("every operation ends", format!("one of replica {process}"));
        }
        if !self.proofs.is_empty() {
            return wrong("every operation ends", "a proof".to_owned());
        }
        if let Some(login) = self.logins.first() {
            let process = login.process;
            return wrong(
                "every operation ends",
                format!("one of a client of replica {process}"),
            );
        }
        self.check_agreement()?;
        self.check_tokens()?;
        self.check_liveness()
    }

    fn let_all_follow(&mut self, seconds: u64) -> Checked {
        for _ in 0..seconds {
            self.advance(Duration::from_secs(1), None);
            for index in 0..self.replicas.len() {
                self.follow(index)?;
                self.check()?;
            }
        }
        Ok(())
    }

    fn check_agreement(&self) -> Checked {
        let ledger = self.ledger.lock();
        let Some(head) = ledger.head() else {
            return wrong("the store is not empty in the end", String::new());
        };
        let ring: Vec<_> = ledger.state(head).ring.clone();
        let ring: Vec<_> = ring.iter().map(|(id, at)| (id.to_string(), *at)).collect();
        let mut seal_key = None;
        for replica in &self.replicas {
            let process = replica.process;
            if replica.applied != head {
                return wrong(AGREE, format!("replica {process} did not come to the head"));
            }
            let secrets = expose_secrets(&replica.authority);
            let keys = secrets.ring_keys.iter();
            let keys: Vec<_> = keys.map(|key| (key.kid.clone(), key.position)).collect();
            if keys != ring {
                return wrong(
                    AGREE,
                    format!("replica {process} has the ring {keys:?}, not {ring:?}"),
                );
            }
            if *seal_key.get_or_insert(secrets.seal_key) != secrets.seal_key {
                return wrong(AGREE, format!("replica {process} has another seal key"));
            }
            let stats = replica.authority.stats();
            let bumps = ledger.state(head).bumps.values();
            let floor = ledger.state(head).floor();
            let epochs = bumps.filter(|(_, position)| *position > floor).count();
            if (stats.floor, stats.epochs, stats.stale) != (floor, epochs, false) {
                return wrong(
                    AGREE,
                    format!("replica {process}: {stats:?}, not {epochs} epochs"),
                );
            }
        }
        Ok(())
    }

    fn check_tokens(&mut self) -> Checked {
        let young = self.tokens.len().saturating_sub(40)..self.tokens.len();
        for number in young {
            for index in 0..self.replicas.len() {
                self.verify(index, number)?;
            }
        }
        Ok(())
    }

    fn check_liveness(&mut self) -> Checked {
        for index in 0..self.replicas.len() {
            let before = self.tokens.len();
            for _ in 0..8 {
                self.issue(index)?;
            }
            if self.tokens.len() == before {
                let process = self.replicas[index].process;
                return wrong(LIVE, format!("replica {process} issues nothing"));
            }
            for other in 0..self.replicas.len() {
                let number = self.tokens.len() - 1;
                self.verify(other, number)?;
                let verified = self.replicas[other].verified.first();
                if verified.map(|(number, _)| *number) != Some(number) {
                    return wrong(LIVE, format!("token {number} is not accepted everywhere"));
                }
            }
        }
        Ok(())
    }
}
