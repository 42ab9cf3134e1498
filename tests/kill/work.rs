//! What the process does until it is killed.

use std::{
    fmt,
    io::{self, Read},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, UNIX_EPOCH},
};

use epochkey::{
    Authority, AuthorityBuilder, Clock, Epoch, Grant, MasterSecret, Op, Policy, RedbStore,
    testing::ManualClock,
};

use crate::{
    line::{Assignment, Change, Line, Plan, scope},
    random::Random,
    work_of_clients::ClientWork,
    work_on_rows::RowWork,
};

/// Short, so that keys retire and the table is pruned while a file is worked on.
const LIFETIME: Duration = Duration::from_secs(300);

/// As every process opens the authority, and whoever checks it.
pub(crate) fn builder(clock: &ManualClock, secrets: &[u64]) -> AuthorityBuilder {
    let secret = |number: &u64| {
        let mut random = Random::new(*number);
        MasterSecret::from_bytes([0; 32].map(|_: u8| random.next() as u8)).unwrap()
    };
    let policy = Policy::default()
        .token_lifetime(LIFETIME)
        .rotate_every(LIFETIME * 2);
    let builder = Authority::builder("https://issuer.test", "api")
        .policy(policy)
        .clock(clock.clone())
        .master_secret(secret(&secrets[0]));
    secrets[1..].iter().fold(builder, |builder, number| {
        builder.previous_master_secret(secret(number))
    })
}

pub(crate) fn run(assignment: &Assignment) {
    end_with_the_first_panic();
    Line::Opening.say();
    match RedbStore::open(&assignment.path) {
        Ok(store) => work(assignment, Arc::new(store)),
        Err(error) => Line::NotOpened(error.to_string()).say(),
    }
    Line::Closed.say();
    wait_to_be_killed();
}

/// Or until nobody is left to do so.
fn wait_to_be_killed() {
    let _ = io::stdin().read_to_end(&mut Vec::new());
}

/// Otherwise a thread that panics might go unnoticed until the kill.
fn end_with_the_first_panic() {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        print(panic);
        std::process::exit(1);
    }));
}

fn work(assignment: &Assignment, store: Arc<RedbStore>) {
    let clock = ManualClock::at_unix_seconds(assignment.clock);
    let authority = builder(&clock, &assignment.secrets)
        .open(Arc::clone(&store))
        .unwrap();
    let bench = Bench {
        authority,
        store,
        clock: Mutex::new(clock),
        numbers: AtomicU64::new(0),
        assignment,
    };
    Line::Opened.say();
    if assignment.threads == 0 {
        wait_to_be_killed();
    }
    thread::scope(|threads| {
        for number in 0..assignment.threads {
            let worker = Worker::new(&bench, number);
            threads.spawn(move || worker.run());
        }
    });
}

/// What the threads share.
pub(crate) struct Bench<'a> {
    pub(crate) authority: Authority,
    pub(crate) store: Arc<RedbStore>,
    clock: Mutex<ManualClock>,
    numbers: AtomicU64,
    assignment: &'a Assignment,
}

impl Bench<'_> {
    /// Says what is attempted, and gives it a number.
    pub(crate) fn attempt(&self, change: Change) -> u64 {
        let attempt = self.number();
        Line::Trying { attempt, change }.say();
        attempt
    }

    pub(crate) fn done(&self, attempt: u64, epochs: &[Epoch]) {
        let epochs = epochs.iter().map(Epoch::to_string).collect();
        Line::Done { attempt, epochs }.say();
    }

    pub(crate) fn failed(&self, attempt: u64, error: impl fmt::Display, label: &str) {
        let label = format!("{label}: {error}");
        Line::Failed { attempt, label }.say();
    }

    pub(crate) fn now(&self) -> u64 {
        let now = self.clock.lock().unwrap().now();
        now.duration_since(UNIX_EPOCH).unwrap().as_secs()
    }

    fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::SeqCst)
    }

    /// The background thread finds on its next turn what time demands: to rotate, retire,
    /// prune and trim.
    fn let_time_pass(&self, seconds: u64) {
        let clock = self.clock.lock().unwrap();
        let now = clock.now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        Line::Clock(now + seconds).say();
        clock.advance(Duration::from_secs(seconds));
    }

    fn issue(&self, scopes: Vec<String>) {
        let token = self.number();
        let grant = scopes.iter().fold(None, |grant: Option<Grant>, name| {
            let (kind, id) = name.split_once(':').unwrap();
            Some(match (kind, grant) {
                ("session", Some(grant)) => grant.session(&id.parse().unwrap()),
                ("group", Some(grant)) => grant.group(id),
                _ => Grant::user(id),
            })
        });
        Line::Issuing(token).say();
        match self.authority.issue(grant.unwrap()) {
            Ok(issued) => {
                let text = issued.as_str().to_owned();
                Line::Issued {
                    token,
                    scopes,
                    text,
                }
                .say();
            }
            Err(error) => {
                let label = error.label().to_owned();
                Line::NotIssued { token, label }.say();
            }
        }
    }
}

/// A change that was started, and how to see its end.
struct Started {
    attempt: u64,
    wait: Box<dyn FnOnce() -> Ended>,
}

/// The epochs, or the error and its label.
type Ended = Result<Vec<Epoch>, (String, &'static str)>;

/// Makes [`Started`] of an operation, whatever its error.
macro_rules! start {
    ($attempt:expr, $op:expr, $epochs:expr) => {{
        let op: Op<_, _> = $op;
        Started {
            attempt: $attempt,
            wait: Box::new(move || {
                let ended = op.wait().map($epochs);
                ended.map_err(|error| (error.to_string(), error.label()))
            }),
        }
    }};
}

struct Worker<'a> {
    bench: &'a Bench<'a>,
    random: Random,
    rows: RowWork<'a>,
    clients: ClientWork<'a>,
}

impl<'a> Worker<'a> {
    fn new(bench: &'a Bench<'a>, number: usize) -> Self {
        let seed = bench.assignment.seed ^ ((number as u64 + 1) << 48);
        Self {
            bench,
            random: Random::new(seed),
            rows: RowWork::new(bench, number),
            clients: ClientWork::new(&bench.authority, bench.assignment, number),
        }
    }

    fn run(mut self) {
        for _ in 0..self.bench.assignment.operations {
            self.operate();
        }
    }

    fn operate(&mut self) {
        // Issue, bump, bump many, burst, rows, clock, rotate, swap, rewrap, start over.
        let weights = match self.bench.assignment.plan {
            Plan::Bumps => [30, 25, 15, 10, 5, 6, 5, 1, 3, 0],
            Plan::Rings => [30, 20, 12, 4, 6, 10, 6, 6, 4, 2],
            Plan::Rows => [5, 8, 3, 2, 75, 5, 1, 0, 0, 1],
            Plan::Sessions => [4, 6, 3, 2, 80, 0, 5, 0, 0, 0],
            Plan::Openings => [25, 20, 15, 5, 20, 5, 5, 2, 2, 1],
        };
        let mut drawn = self.random.below(weights.iter().sum());
        let chosen = weights.iter().position(|weight| {
            let is_it = drawn < *weight;
            drawn = drawn.saturating_sub(*weight);
            is_it
        });
        match chosen {
            Some(0) => self.issue(),
            Some(1) => self.bump_some(1),
            Some(2) => self.bump_many(),
            Some(3) => self.bump_some(6),
            Some(4) if self.bench.assignment.plan == Plan::Sessions => {
                self.clients.act(&mut self.random);
            }
            Some(4) => self.rows.change(&mut self.random),
            Some(5) => self.bench.let_time_pass(self.random.between(1, 60)),
            Some(6) => self.change(Change::Rotate),
            Some(7) => self.change(Change::Swap),
            Some(8) => self.change(Change::Rewrap),
            _ => self.change(Change::StartOver),
        }
    }

    fn issue(&mut self) {
        let mut scopes = vec![self.user()];
        if self.random.chance(50) {
            scopes.push(self.session());
        }
        for group in 0..4 {
            if self.random.chance(20) {
                scopes.push(format!("group:g-{group}"));
            }
        }
        self.bench.issue(scopes);
    }

    fn user(&mut self) -> String {
        format!("user:u-{}", self.random.below(12))
    }

    fn session(&mut self) -> String {
        format!("session:s-{}", self.random.below(12))
    }

    fn any_scope(&mut self) -> String {
        match self.random.below(3) {
            0 => self.user(),
            1 => self.session(),
            _ => format!("group:g-{}", self.random.below(4)),
        }
    }

    /// Several at once share a transaction of the store.
    fn bump_some(&mut self, number: usize) {
        let started: Vec<_> = (0..number)
            .map(|_| {
                let scope = self.any_scope();
                self.start(Change::Bump(vec![scope]))
            })
            .collect();
        started.into_iter().for_each(|started| self.finish(started));
    }

    /// Scopes that nobody else bumps, with a token of each: they show whether it was made
    /// wholly or not at all.
    fn bump_many(&mut self) {
        let scopes: Vec<_> = (0..2 + self.random.below(4))
            .map(|_| {
                let id = format!("{:016x}", self.random.next());
                let kind = *self.random.pick(&["user", "session", "group"]);
                let scope = format!("{kind}:{id}");
                self.bench.issue(match kind {
                    "user" => vec![scope.clone()],
                    _ => vec![format!("user:{id}"), scope.clone()],
                });
                scope
            })
            .collect();
        self.change(Change::Bump(scopes));
    }

    fn change(&mut self, change: Change) {
        let started = self.start(change);
        self.finish(started);
    }

    fn start(&self, change: Change) -> Started {
        let attempt = self.bench.attempt(change.clone());
        let authority = &self.bench.authority;
        match change {
            Change::Bump(names) if names.len() == 1 => {
                let bump = authority.bump(scope(&names[0]));
                start!(attempt, bump, |epoch| vec![epoch])
            }
            Change::Bump(names) => {
                let bump = authority.bump_many(names.iter().map(|name| scope(name)));
                start!(attempt, bump, |epochs| epochs)
            }
            Change::Rotate => start!(attempt, authority.rotate_key(), |epoch| vec![epoch]),
            Change::Swap => start!(attempt, authority.swap_key(), |epoch| vec![epoch]),
            Change::StartOver => start!(attempt, authority.start_over(), |epoch| vec![epoch]),
            Change::Rewrap => start!(attempt, authority.rewrap_secrets(), |()| vec![]),
            Change::Rows(_) => unreachable!("rows are changed by themselves"),
        }
    }

    fn finish(&self, started: Started) {
        match (started.wait)() {
            Ok(epochs) => self.bench.done(started.attempt, &epochs),
            Err((error, label)) => self.bench.failed(started.attempt, error, label),
        }
    }
}
