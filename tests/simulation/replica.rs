//! One process of the simulated fleet, and what the model knows about it.

use std::{collections::HashSet, sync::Arc, time::Duration};

use epochkey::{
    Authority, AuthorityBuilder, BuildError, Clock, Grant, Mark, MasterSecret, Policy, Verified,
    store::{EventId, HistoryId, StoreTime},
    testing::{self, FaultyStore, ManualClock},
};

use super::{
    Checked, SKEW, Wrong,
    clients::Client,
    ledger::Ledger,
    logins::{Answer, Asked, Login, Running, parse},
    token::{Minted, Standing},
    witness::{Notes, Witness},
    wrong,
};

/// What is wrong with a connection.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Faults {
    pub(crate) is_cut: bool,
    pub(crate) lags: bool,
    pub(crate) misbehaves: bool,
}

pub(crate) struct Replica {
    /// Never given twice.
    pub(crate) process: u64,
    pub(crate) authority: Authority,
    pub(crate) connection: FaultyStore,
    pub(crate) notes: Arc<Notes>,
    pub(crate) faults: Faults,
    /// The number of its master secret.
    pub(crate) secret: u8,
    /// Whether it is left behind: what others write it cannot read.
    pub(crate) is_left_behind: bool,
    /// Whether another process takes over its connection, with what is held there.
    pub(crate) leaves_connection: bool,
    /// Whether commits or answers are held.
    pub(crate) holds: bool,
    /// Whether the last attempt to follow the store succeeded.
    pub(crate) followed: bool,
    /// The event it applied last, and what it said of it.
    pub(crate) applied: EventId,
    mark: Mark,
    /// The histories it was in before.
    past: HashSet<HistoryId>,
    /// Tokens that must never verify here again.
    pub(crate) dead: HashSet<usize>,
    /// A history of which it cannot know that it lost something: a newer backup was
    /// restored, and only the operator knows.
    pub(crate) deceived_in: Option<HistoryId>,
    pub(crate) verified: Vec<(usize, Verified)>,
    pub(crate) marks: Vec<(Mark, EventId)>,
}

pub(crate) fn builder(
    policy: Policy,
    clock: &ManualClock,
    seed: u64,
    process: u64,
    (secret, previous): (u8, Option<u8>),
) -> AuthorityBuilder {
    let numbered = |number: u8| {
        let bytes = std::array::from_fn::<u8, 32, _>(|byte| byte as u8 ^ number);
        MasterSecret::from_bytes(bytes).expect("long enough")
    };
    let builder = Authority::builder("https://issuer.test", "api")
        .policy(policy)
        .master_secret(numbered(secret))
        .clock(clock.clone());
    let builder = match previous {
        Some(previous) => builder.previous_master_secret(numbered(previous)),
        None => builder,
    };
    let mut random = [0; 32];
    random[..8].copy_from_slice(&seed.to_be_bytes());
    random[8..16].copy_from_slice(&process.to_be_bytes());
    testing::by_hand(testing::known_secrets(builder, random))
}

impl Drop for Replica {
    fn drop(&mut self) {
        // What is held holds the replica's process, and nobody will ask for it any more.
        if !self.leaves_connection {
            self.connection.drop_held();
        }
    }
}

impl Replica {
    pub(crate) fn open(
        builder: AuthorityBuilder,
        connection: FaultyStore,
        notes: Arc<Notes>,
        process: u64,
    ) -> Result<Self, BuildError> {
        let store = connection.clone();
        let authority = builder.open(Witness {
            store,
            notes: Arc::clone(&notes),
        })?;
        let mark = authority.mark();
        let applied = place_of(mark, &notes).expect("a replica that opened has loaded something");
        Ok(Self {
            process,
            authority,
            connection,
            notes,
            faults: Faults::default(),
            secret: 0,
            is_left_behind: false,
            leaves_connection: false,
            holds: false,
            followed: true,
            applied,
            mark,
            past: HashSet::new(),
            dead: HashSet::new(),
            deceived_in: None,
            verified: Vec::new(),
            marks: Vec::new(),
        })
    }

    /// Finds out what it has applied by now. Says whether that changed.
    pub(crate) fn observe(&mut self) -> Result<bool, Wrong> {
        let mark = self.authority.mark();
        if mark == self.mark {
            return Ok(false);
        }
        let applied = place_of(mark, &self.notes);
        let Some(applied) = applied else {
            let how = format!("{mark:?} at replica {}", self.process);
            return wrong("only what the store told in order is applied", how);
        };
        let ledger = self.notes.ledger.lock();
        let (before, after) = (ledger.place(self.applied), ledger.place(applied));
        let is_deceived = self.deceived_in == Some(before.history);
        let was_away = std::mem::take(&mut self.notes.seen.lock().was_away);
        let grows = before.history != after.history || ledger.contains(applied, self.applied);
        if !grows && !is_deceived && !was_away {
            let how = format!("{before:?}, then {after:?} at replica {}", self.process);
            return wrong("what is applied is never taken back", how);
        }
        if before.history != after.history {
            self.past.insert(before.history);
        }
        (self.applied, self.mark) = (applied, mark);
        Ok(true)
    }

    /// Whether what this event did is in force here: it is applied, or everything
    /// of its history is dead.
    pub(crate) fn has_in_force(&self, event: EventId, ledger: &Ledger) -> bool {
        ledger.in_force(self.applied, event)
            || ledger.knows(event) && self.past.contains(&ledger.place(event).history)
    }

    /// Finds the tokens that must never verify here again, from now on.
    pub(crate) fn bury(&mut self, tokens: &[Minted], ledger: &Ledger) {
        for (number, token) in tokens.iter().enumerate() {
            let killed = token.standing(ledger, self.applied) == Standing::Killed;
            if killed || self.past.contains(&token.history) {
                self.dead.insert(number);
            }
        }
    }

    /// The event that a mark of its means.
    pub(crate) fn event_of(&self, mark: Mark) -> Option<EventId> {
        match mark == self.mark {
            true => Some(self.applied),
            false => place_of(mark, &self.notes),
        }
    }

    /// Whether nothing is wrong with its connection and its clock.
    pub(crate) fn is_healthy(&self) -> bool {
        self.faults == Faults::default() && self.is_on_time() && !self.is_left_behind
    }

    /// Whether its clock is as near to the server's as the policy wants it.
    pub(crate) fn is_on_time(&self) -> bool {
        self.off_by() <= SKEW
    }

    pub(crate) fn off_by(&self) -> Duration {
        let truly = self.notes.true_time().as_unix_millis();
        Duration::from_millis(self.notes.wall().as_unix_millis().abs_diff(truly))
    }

    /// Its wall clock, in whole seconds.
    pub(crate) fn seconds(&self) -> u64 {
        self.notes.wall().as_unix_millis() / 1000
    }

    /// Whether it has news that must count as fresh.
    pub(crate) fn must_be_fresh(&self) -> bool {
        self.followed && self.notes.is_fresh()
    }

    /// Whether nothing stands in the way of what it is asked for.
    pub(crate) fn is_quiet(&self) -> bool {
        let interrupted = self.notes.seen.lock().interrupted;
        self.is_healthy() && self.must_be_fresh() && !self.holds && !interrupted
    }

    /// Refreshes with a client's token.
    pub(crate) fn refresh(&self, client: &Client, token: &str, answer: Answer) -> Login {
        let shown = Some(parse(token));
        let mut asked = Asked::of(self, &client.user, shown, &self.notes.ledger.lock());
        (asked.answer, asked.told) = (answer.clone(), client.proven.told());
        let (sessions, user) = (self.authority.sessions(), client.user.clone());
        let op = match answer {
            Answer::Silent => sessions.refresh(token),
            Answer::Groups(groups) => {
                sessions.refresh_with(token, |_| Grant::user(user).groups(groups))
            }
            Answer::Nothing => sessions.refresh_with(token, |_| None::<Grant>),
        };
        let op = Running::Refresh(op);
        Login::new(self.process, (&self.authority, &self.notes), op, asked)
    }

    /// Whether its news is so fresh by the server's clock, too.
    pub(crate) fn is_truly_fresh(&self) -> bool {
        self.notes.is_truly_fresh()
    }

    /// Its process, and whether what it is told may be old.
    pub(crate) fn asker(&self) -> (u64, bool) {
        (self.process, self.faults.lags || self.faults.misbehaves)
    }

    pub(crate) fn violation_of_its_own(&self) -> Checked {
        match self.notes.seen.lock().violation.take() {
            Some(violation) => {
                let how = format!("replica {}: {violation}", self.process);
                wrong(
                    "a history begins only if the store does not know the past",
                    how,
                )
            }
            None => Ok(()),
        }
    }
}

/// The event that a replica means which says that it is at this mark.
fn place_of(mark: Mark, notes: &Notes) -> Option<EventId> {
    let said = format!("{mark:?}");
    let seen = notes.seen.lock();
    let newest_first = seen.places.iter().rev();
    let place = newest_first.clone().find(|place| {
        let Some(rest) = said.strip_prefix(&format!("Mark({} of ", place.position)) else {
            return false;
        };
        rest.strip_suffix(')') == Some(&place.history.to_string())
    });
    place.map(|place| place.event)
}

/// Sets a clock to the time of another.
pub(crate) fn set(clock: &ManualClock, to: &ManualClock) {
    let millis = |clock: &ManualClock| StoreTime::from_system_time(clock.now()).as_unix_millis();
    let (from, to) = (millis(clock), millis(to));
    match from < to {
        true => clock.set_forward(Duration::from_millis(to - from)),
        false => clock.rewind(Duration::from_millis(from - to)),
    }
}
