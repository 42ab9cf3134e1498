//! A fleet of replicas on one store, and the checks after every step.

use std::{sync::Arc, time::Duration};

use epochkey::{
    BuildError, Clock, Epoch, Policy,
    store::{EventId, StoreTime},
    testing::{Backup, FaultyStore, ManualClock},
};
use parking_lot::Mutex;

use super::{
    Checked, START,
    clients::Client,
    judge,
    ledger::Ledger,
    logins::Login,
    operation::{Gave, Operation},
    plan::Plan,
    proofs::Proof,
    random::Random,
    replica::{Faults, Replica, builder, set},
    token::{Minted, Standing},
    witness::Notes,
    wrong,
};

pub(crate) struct World {
    pub(crate) seed: u64,
    pub(crate) random: Random,
    pub(crate) plan: Plan,
    pub(crate) policy: Policy,
    pub(crate) server_clock: ManualClock,
    /// A connection without faults.
    pub(crate) server: FaultyStore,
    pub(crate) ledger: Arc<Mutex<Ledger>>,
    pub(crate) replicas: Vec<Replica>,
    pub(crate) tokens: Vec<Minted>,
    pub(crate) operations: Vec<Operation>,
    pub(crate) clients: Vec<Client>,
    pub(crate) logins: Vec<Login>,
    pub(crate) proofs: Vec<Proof>,
    /// Those that were begun while a request was on its way.
    pub(crate) interposed: Arc<Mutex<Vec<Operation>>>,
    /// What operations gave that were done.
    pub(crate) epochs: Vec<(Epoch, EventId)>,
    pub(crate) backups: Vec<(Backup, EventId)>,
    processes: u64,
    /// The number of the master secret of today.
    pub(crate) secret: u8,
    /// Whether all that the store holds is wrapped with it.
    is_rewrapped: bool,
    pub(crate) server_is_wrong: bool,
    pub(crate) server_was_wrong: bool,
    /// Whether a history may begin: something was lost, or somebody asked for it.
    pub(crate) may_restart: bool,
    pub(crate) trail: Vec<String>,
    pub(crate) step: String,
}

/// The numbers of a seed for one purpose: what is drawn for others does not change them.
fn random_for(seed: u64, purpose: u64) -> Random {
    let mixed = [seed, purpose].map(|number| Random::new(number).next());
    Random::new(mixed[0] ^ mixed[1].rotate_left(32))
}

/// What random numbers are drawn for, beside the steps.
const FOR_THE_PLAN: u64 = u64::MAX;
const FOR_THE_END: u64 = u64::MAX - 1;
const FOR_A_CHECK: u64 = 1 << 32;

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = random_for(seed, FOR_THE_PLAN);
        let plan = Plan::draw(&mut random);
        let policy = plan.policy(&mut random);
        let server_clock = ManualClock::at_unix_seconds(START);
        let server = FaultyStore::new(server_clock.clone());
        let ledger = Arc::new(Mutex::new(Ledger::new(&server)));
        let mut world = Self {
            seed,
            random,
            plan,
            policy,
            server_clock,
            server,
            ledger,
            replicas: Vec::new(),
            tokens: Vec::new(),
            operations: Vec::new(),
            clients: Vec::new(),
            logins: Vec::new(),
            proofs: Vec::new(),
            interposed: Arc::default(),
            epochs: Vec::new(),
            backups: Vec::new(),
            processes: 0,
            secret: 0,
            is_rewrapped: false,
            server_is_wrong: false,
            server_was_wrong: false,
            may_restart: false,
            trail: Vec::new(),
            step: String::new(),
        };
        for _ in 0..world.plan.replicas {
            let opened = world.open(world.server.connect(), Faults::default());
            opened.expect("a healthy store can be opened");
        }
        world.ledger.lock().begun.clear();
        world
    }

    pub(crate) fn note(&mut self, step: impl Into<String>) {
        let line = format!("{}: {}", self.step, step.into());
        self.trail.push(line);
    }

    /// How many steps the whole simulation of a seed has.
    pub(crate) fn steps(seed: u64) -> usize {
        Plan::draw(&mut random_for(seed, FOR_THE_PLAN)).steps
    }

    /// The step of this number begins: what it does depends on no step before it.
    pub(crate) fn begin_step(&mut self, number: usize) {
        self.step = number.to_string();
        self.random = random_for(self.seed, number as u64);
    }

    /// What is drawn from now on is for the checks after it.
    pub(crate) fn end_step(&mut self, number: usize) {
        self.random = random_for(self.seed, FOR_A_CHECK + number as u64);
    }

    pub(crate) fn begin_the_end(&mut self) {
        self.step = "the end".to_owned();
        self.random = random_for(self.seed, FOR_THE_END);
    }

    /// Opens a replica, with a clock that is right or nearly so.
    pub(crate) fn open(
        &mut self,
        connection: FaultyStore,
        faults: Faults,
    ) -> Result<(), BuildError> {
        let clock = ManualClock::at_unix_seconds(START);
        set(&clock, &self.server_clock);
        let offset = Duration::from_millis(self.random.between(0, 2000));
        match self.random.below(4) {
            0 => clock.set_forward(offset),
            1 => clock.rewind(offset),
            _ => {}
        }
        self.processes += 1;
        let (process, ledger) = (self.processes, Arc::clone(&self.ledger));
        let notes = Notes::new(clock.clone(), self.server_clock.clone(), ledger);
        let secrets = (
            self.secret,
            self.secret
                .checked_sub(1)
                .filter(|_| self.keeps_old_secret()),
        );
        let builder = builder(self.policy.clone(), &clock, self.seed, process, secrets);
        notes.seen.lock().lags = faults.lags;
        let mut replica = Replica::open(builder, connection, notes, process)?;
        replica.secret = self.secret;
        replica.faults = faults;
        replica.bury(&self.tokens, &self.ledger.lock());
        self.replicas.push(replica);
        Ok(())
    }

    /// Whether what is wrapped with the master secret of before may be met yet.
    fn keeps_old_secret(&self) -> bool {
        let plan = &self.plan;
        !self.is_rewrapped || plan.losses || plan.holds || plan.misbehaviour
    }

    /// The server's time in seconds.
    pub(crate) fn seconds(&self) -> u64 {
        StoreTime::from_system_time(self.server_clock.now()).as_unix_millis() / 1000
    }

    /// Shows a replica a token, and judges its answer.
    pub(crate) fn verify(&mut self, index: usize, number: usize) -> Checked {
        let (replica, token) = (&mut self.replicas[index], &self.tokens[number]);
        let outcome = replica.authority.verify(&token.token);
        if let Ok(verified) = &outcome {
            replica.verified.truncate(7);
            replica.verified.insert(0, (number, verified.clone()));
        }
        let outcome = outcome.map(|_| ());
        let ledger = self.ledger.lock();
        judge::verified(
            replica,
            &ledger,
            (number, token),
            &outcome,
            self.server_was_wrong,
        )
    }

    /// Asks a replica again about a token that it has accepted.
    pub(crate) fn recheck(&mut self, index: usize) -> Checked {
        let replica = &mut self.replicas[index];
        if replica.verified.is_empty() {
            return Ok(());
        }
        let (number, verified) = self.random.pick(&replica.verified).clone();
        let outcome = replica.authority.recheck(&verified);
        let (token, ledger) = (&self.tokens[number], self.ledger.lock());
        judge::verified(
            replica,
            &ledger,
            (number, token),
            &outcome,
            self.server_was_wrong,
        )
    }

    /// Finds out what a replica has applied by now.
    pub(crate) fn observe(&mut self, index: usize) -> Checked {
        let replica = &mut self.replicas[index];
        if replica.observe()? {
            let ledger = self.ledger.lock();
            let applied = ledger.place(replica.applied);
            if replica.deceived_in != Some(applied.history) {
                replica.deceived_in = None;
            }
            replica.bury(&self.tokens, &ledger);
        }
        Ok(())
    }

    /// Looks at the store, for itself and for operations that wait for something.
    pub(crate) fn look(&mut self) {
        let mut ledger = self.ledger.lock();
        ledger.look();
        for operation in &mut self.operations {
            operation.look(&ledger);
        }
    }

    /// What must be true after every step.
    pub(crate) fn check(&mut self) -> Checked {
        self.look();
        let interposed = std::mem::take(&mut *self.interposed.lock());
        self.operations.extend(interposed);
        self.check_the_log()?;
        self.ledger.lock().check_rows()?;
        for index in 0..self.replicas.len() {
            self.observe(index)?;
            self.replicas[index].violation_of_its_own()?;
        }
        self.check_operations()?;
        self.check_logins()?;
        self.check_proofs()?;
        if !self.replicas.is_empty() && !self.tokens.is_empty() {
            for _ in 0..3 {
                let index = self.random.below(self.replicas.len());
                // Old tokens have expired.
                let young = self.tokens.len().min(24);
                let number = self.tokens.len() - 1 - self.random.below(young);
                self.verify(index, number)?;
            }
            let index = self.random.below(self.replicas.len());
            self.recheck(index)?;
        }
        Ok(())
    }

    /// New histories begin for a reason, above everybody, and keys retire when their
    /// tokens are dead.
    fn check_the_log(&mut self) -> Checked {
        let mut ledger = self.ledger.lock();
        for event in std::mem::take(&mut ledger.begun) {
            let place = ledger.place(event);
            if !self.may_restart {
                return wrong("a history begins for a reason", format!("{place:?}"));
            }
            // Of a history that was lost as a whole, it cannot know how far that went.
            let before = &ledger.state(event).predecessors;
            for replica in &self.replicas {
                let applied = ledger.place(replica.applied);
                if before.contains(&applied.history) && applied.position >= place.position {
                    let how = format!("{place:?}, and {applied:?} is applied");
                    return wrong("a history begins above everybody", how);
                }
            }
        }
        for (key, time) in std::mem::take(&mut ledger.retired) {
            let (key, time) = (key.to_string(), time.as_unix_millis() / 1000);
            let living = |token: &&Minted| {
                token.breaks.is_some() && token.key == key && token.expires_at > time
            };
            let living = self.tokens.iter().find(living);
            if let Some(token) = living.filter(|_| !self.server_was_wrong) {
                let until = token.expires_at;
                return wrong(
                    "a key retires when its tokens are dead",
                    format!("{key} at {time}, with a token until {until}"),
                );
            }
        }
        Ok(())
    }

    fn check_operations(&mut self) -> Checked {
        let (mut done, mut under_way) = (Vec::new(), Vec::new());
        let ledger = self.ledger.lock();
        for mut operation in std::mem::take(&mut self.operations) {
            let mut replicas = self.replicas.iter_mut();
            let replica = replicas.find(|replica| replica.process == operation.process);
            // Nobody hears of what a process had begun that is gone.
            let Some(replica) = replica else { continue };
            operation.look(&ledger);
            operation.look_at(replica, self.server_was_wrong);
            match operation.result(replica, &self.tokens, &ledger) {
                Some(result) => done.push((operation.process, result?)),
                None => under_way.push(operation),
            }
        }
        drop(ledger);
        self.operations = under_way;
        for (process, (gave, events)) in done {
            let replicas = &mut self.replicas;
            let Some(index) = replicas
                .iter()
                .position(|replica| replica.process == process)
            else {
                continue;
            };
            match gave {
                Gave::Nothing | Gave::Done => {}
                Gave::Everywhere => self.check_everywhere(index, &events)?,
                Gave::Rewrapped => self.is_rewrapped = true,
                Gave::Epochs(epochs) => {
                    self.epochs.extend(epochs.into_iter().zip(events));
                    self.verify_dead(index)?;
                }
                Gave::Mark(mark) => {
                    let replica = &mut replicas[index];
                    if let Some(event) = replica.event_of(mark) {
                        replica.marks.insert(0, (mark, event));
                    }
                }
            }
        }
        Ok(())
    }

    /// No replica accepts what these events have killed, as one of them says.
    fn check_everywhere(&mut self, asker: usize, events: &[EventId]) -> Checked {
        let ledger = self.ledger.lock();
        // A receipt may be lost that nobody knows of.
        if self.plan.losses || self.server_was_wrong || self.replicas[asker].asker().1 {
            return Ok(());
        }
        let killed = |token: &&Minted| {
            let standing = |event| token.standing(&ledger, event);
            let mut events = events.iter();
            events.any(|event| standing(*event) == Standing::Killed)
        };
        for token in self.tokens.iter().rev().filter(killed).take(8) {
            for replica in &self.replicas {
                let is_told_lies = replica.asker().1 || !replica.is_truly_fresh();
                if !is_told_lies && replica.authority.verify(&token.token).is_ok() {
                    let how = format!(
                        "{:?} at replica {}, of {:?} at replica {}",
                        ledger.place(events[0]),
                        self.replicas[asker].process,
                        token.scopes,
                        replica.process
                    );
                    return wrong("what is in force everywhere is accepted nowhere", how);
                }
            }
        }
        Ok(())
    }

    /// Shows a replica tokens that are dead there.
    fn verify_dead(&mut self, index: usize) -> Checked {
        let dead = &self.replicas[index].dead;
        let mut youngest: Vec<usize> = dead.iter().copied().collect();
        youngest.sort_unstable();
        for number in youngest.into_iter().rev().take(4) {
            self.verify(index, number)?;
        }
        Ok(())
    }
}
