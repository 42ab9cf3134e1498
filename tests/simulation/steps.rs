//! What happens next.

use std::time::Duration;

use epochkey::{Grant, Scope, SessionId, Store, store::StoreTime, testing};

use super::{
    Checked, judge,
    token::{Minted, scopes},
    world::World,
    wrong,
};

const USERS: [&str; 4] = ["u0", "u1", "u2", "u3"];
/// How long a key is announced, in seconds: the policy's default.
const ANNOUNCED: u64 = 14;
const GROUPS: [&str; 3] = ["g0", "g1", "g2"];

impl World {
    pub(crate) fn step(&mut self, number: usize) -> Checked {
        self.begin_step(number);
        if self.replicas.is_empty() {
            self.open_another()?;
        } else {
            let index = self.random.below(self.replicas.len());
            match self.random.below(100) {
                0..25 => self.follow_interrupted(index)?,
                25..37 => self.issue(index)?,
                37..53 => self.change(index)?,
                53..65 => self.serve_a_client(index)?,
                65..71 => self.maintain(index),
                71..74 => self.meet_a_moment()?,
                74..80 => self.let_time_pass(),
                80..84 => self.restart_some(index)?,
                _ => self.fail_somehow(index)?,
            }
        }
        self.end_step(number);
        self.check()
    }

    fn follow_interrupted(&mut self, index: usize) -> Checked {
        self.interpose(index);
        self.follow(index)?;
        self.end_interlude(index);
        Ok(())
    }

    /// Lets a replica follow the store. One with which nothing is wrong reaches the head,
    /// and notices it if the store has lost what it had applied.
    pub(crate) fn follow(&mut self, index: usize) -> Checked {
        let replica = &mut self.replicas[index];
        let ledger = self.ledger.lock();
        let before = ledger.place(replica.applied);
        let had_lost = ledger.has_lost(before);
        drop(ledger);
        let is_away = replica.notes.is_away();
        replica.notes.follows();
        let result = testing::follow(&replica.authority);
        replica.followed = result.is_ok();
        let interrupted = replica.notes.seen.lock().interrupted;
        let healthy = replica.is_healthy() && !interrupted && !self.server_is_wrong;
        let process = replica.process;
        let outcome = result.as_ref().map_err(ToString::to_string);
        self.note(format!("follow {process}: {outcome:?}"));
        self.ledger.lock().look();
        self.observe(index)?;
        let replica = &mut self.replicas[index];
        let places = &mut replica.notes.seen.lock().places;
        places.drain(..places.len().saturating_sub(64));
        if !healthy {
            return Ok(());
        }
        if let Err(error) = result {
            return wrong(
                "a healthy replica can follow",
                format!("replica {process}: {error}"),
            );
        }
        let ledger = self.ledger.lock();
        let after = ledger.place(replica.applied);
        if Some(replica.applied) != ledger.head() {
            return wrong(
                "a healthy replica reaches the head",
                format!("replica {process} is at {after:?}"),
            );
        }
        let can_tell = !is_away && replica.deceived_in != Some(after.history);
        if had_lost && after.history == before.history && can_tell {
            return wrong(
                "a healthy replica notices a loss",
                format!("replica {process}, of {before:?}"),
            );
        }
        Ok(())
    }

    pub(crate) fn scopes_to_be(&mut self) -> (&'static str, Option<SessionId>, Vec<&'static str>) {
        let user = *self.random.pick(&USERS);
        let session = self.random.chance(50).then(|| {
            let number = self.random.below(2);
            format!("s{number}-{user}").parse().expect("a valid id")
        });
        let mut groups = Vec::new();
        for group in GROUPS {
            if self.random.chance(25) {
                groups.push(group);
            }
        }
        (user, session, groups)
    }

    pub(crate) fn some_scope(&mut self) -> Scope {
        let (user, session, groups) = self.scopes_to_be();
        let of = scopes(user, session.as_ref(), &groups);
        self.random.pick(&of).clone()
    }

    /// Issues a token, with a mark that was taken just now or some time ago or not at all.
    pub(crate) fn issue(&mut self, index: usize) -> Checked {
        let (user, session, groups) = self.scopes_to_be();
        let replica = &mut self.replicas[index];
        let mark = match self.random.below(4) {
            0 => Some((replica.authority.mark(), replica.applied)),
            1 if !replica.marks.is_empty() => Some(*self.random.pick(&replica.marks)),
            _ => None,
        };
        if self.random.chance(30) {
            replica.marks.truncate(3);
            replica
                .marks
                .insert(0, (replica.authority.mark(), replica.applied));
        }
        let mut grant = Grant::user(user).groups(groups.clone());
        if let Some(session) = &session {
            grant = grant.session(session);
        }
        if let Some((mark, _)) = mark {
            grant = grant.as_of(mark);
        }
        let scopes = scopes(user, session.as_ref(), &groups);
        let result = replica.authority.issue(grant);
        let ledger = self.ledger.lock();
        let outcome = result.as_ref().map(|_| ());
        let step = format!("issue {scopes:?} at {}: {outcome:?}", replica.process);
        self.trail.push(format!("{}: {step}", self.step));
        let at = (replica.applied, replica.notes.is_fresh());
        let marked = mark.map(|(_, event)| event);
        judge::issued(replica, &ledger, at, &scopes, marked, outcome)?;
        let Ok(token) = result else { return Ok(()) };
        let (sealed_at, up_to_date) = (replica.applied, replica.is_truly_fresh());
        drop(ledger);
        let now = self.seconds();
        let token = Minted::new(
            token,
            scopes,
            sealed_at,
            &self.ledger.lock(),
            (now, up_to_date),
        );
        self.tokens.push(token);
        self.verify(index, self.tokens.len() - 1)
    }

    fn maintain(&mut self, index: usize) {
        self.interpose(index);
        let replica = &self.replicas[index];
        let result = testing::maintain(&replica.authority);
        let result = result.map_err(|error| error.to_string());
        self.note(format!(
            "maintain {}: {result:?}",
            self.replicas[index].process
        ));
        self.end_interlude(index);
    }

    /// Lets time pass until about when a key is to issue or a token to expire: what is done
    /// too early or too late is done then.
    fn meet_a_moment(&mut self) -> Checked {
        let now = self.seconds();
        let snapshot = self.server.snapshot(StoreTime::default(), &mut |_| {});
        let keys = snapshot
            .ok()
            .and_then(|answer| answer.value)
            .map_or_else(Vec::new, |it| it.keys);
        let issues = keys
            .iter()
            .map(|key| key.introduced_at.as_unix_millis() / 1000 + ANNOUNCED);
        let expires = self
            .tokens
            .iter()
            .rev()
            .take(24)
            .map(|token| token.expires_at);
        let moments: Vec<_> = issues
            .chain(expires)
            .filter(|moment| *moment > now + 3)
            .collect();
        if moments.is_empty() {
            return Ok(());
        }
        let moment = *self.random.pick(&moments);
        let millis = (moment - now - 3) * 1000 + self.random.between(0, 5_000);
        self.note(format!("{millis} ms pass, until about {moment}"));
        self.advance(Duration::from_millis(millis), None);
        for index in 0..self.replicas.len() {
            self.follow(index)?;
            match self.random.below(3) {
                0 => self.maintain(index),
                1 => self.issue(index)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn let_time_pass(&mut self) {
        let millis = match self.random.below(10) {
            0..5 => self.random.between(100, 3_000),
            5..8 => self.random.between(3_000, 15_000),
            8 => self.random.between(15_000, 100_000),
            _ if self.plan.long_times => match self.random.below(3) {
                0 => self.random.between(100_000, 1_000_000),
                1 => self.random.between(1_000_000, 10_000_000),
                _ => self.random.between(10_000_000, 300_000_000),
            },
            _ => 1_000,
        };
        let asleep = match self.plan.wrong_clocks && self.random.chance(10) {
            true => Some(self.random.below(self.replicas.len())),
            false => None,
        };
        self.note(format!("{millis} ms pass, {asleep:?} asleep"));
        self.advance(Duration::from_millis(millis), asleep);
    }

    /// Lets time pass. A machine that sleeps has a monotonic clock that stands still.
    pub(crate) fn advance(&mut self, by: Duration, asleep: Option<usize>) {
        self.server_clock.advance(by);
        for (index, replica) in self.replicas.iter().enumerate() {
            match asleep == Some(index) {
                true => replica.notes.clock.set_forward(by),
                false => replica.notes.clock.advance(by),
            }
        }
    }
}
