//! An authority, and what may and must have become of its tokens.

use std::{
    array,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use epochkey::{
    Authority, AuthorityBuilder, Grant, IssueError, MemoryStore, Policy, Scope, Token, Verified,
    VerifyError,
    testing::{self, ManualClock},
};
use shuttle::thread::{self, JoinHandle};

/// When the clocks start, in seconds since 1970.
pub(crate) const START: u64 = 1_700_000_000;
pub(crate) const USERS: usize = 3;

/// What ends the life of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    Swap,
    /// Nothing is accepted or issued while it begins.
    NewHistory,
    Group,
    /// The first key retires.
    Retirement,
    User(usize),
}

const CAUSES: usize = 4 + USERS;

impl Cause {
    fn index(self) -> usize {
        match self {
            Self::Swap => 0,
            Self::NewHistory => 1,
            Self::Group => 2,
            Self::Retirement => 3,
            Self::User(user) => 4 + user,
        }
    }
}

/// How often each cause had begun, or had returned.
type Counts = [usize; CAUSES];

pub(crate) struct World {
    pub(crate) authority: Authority,
    /// Not explored, for threads change turns only where the crate looks at what they share:
    /// nothing comes between these and the call that they are about.
    begun: [AtomicUsize; CAUSES],
    returned: [AtomicUsize; CAUSES],
}

/// A token, and what it lives by.
pub(crate) struct Held {
    pub(crate) token: Token,
    user: usize,
    causes: Vec<Cause>,
    /// What had returned before it was issued, and what had begun when it was.
    returned: Counts,
    begun: Counts,
    /// Somebody was told that it is dead.
    is_refused: AtomicBool,
}

pub(crate) fn builder() -> AuthorityBuilder {
    let builder = Authority::builder("https://issuer.test", "api")
        .policy(Policy::default().thread_caches(true))
        .clock(ManualClock::at_unix_seconds(START));
    testing::known_secrets(testing::by_hand(builder), [7; 32])
}

pub(crate) fn name(user: usize) -> String {
    format!("u-{user}")
}

/// Starts a thread for each of `these`.
pub(crate) fn spawn<T: Send + 'static, const N: usize>(
    these: [T; N],
    action: impl Fn(T) + Clone + Send + 'static,
) -> [JoinHandle<()>; N] {
    these.map(|this| {
        let action = action.clone();
        thread::spawn(move || action(this))
    })
}

pub(crate) fn join<T>(threads: impl IntoIterator<Item = JoinHandle<T>>) -> Vec<T> {
    let threads = threads.into_iter();
    threads.map(|thread| thread.join().unwrap()).collect()
}

/// What only the one writer calls, and what it did for.
impl World {
    pub(crate) fn new() -> Arc<Self> {
        Self::of(builder().open(MemoryStore::new()).unwrap())
    }

    pub(crate) fn of(authority: Authority) -> Arc<Self> {
        Arc::new(Self {
            authority,
            begun: Default::default(),
            returned: Default::default(),
        })
    }

    /// Does what ends the tokens that live by `cause`.
    pub(crate) fn end(&self, cause: Cause, change: impl FnOnce()) {
        self.begun[cause.index()].fetch_add(1, Ordering::SeqCst);
        change();
        self.returned[cause.index()].fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn bump(&self, user: usize) {
        let scope = Scope::user(name(user));
        self.end(Cause::User(user), || self.bump_scope(scope));
    }

    pub(crate) fn bump_group(&self) {
        self.end(Cause::Group, || self.bump_scope(Scope::group("g")));
    }

    fn bump_scope(&self, scope: Scope) {
        testing::finish(&self.authority, self.authority.bump(scope)).unwrap();
    }

    pub(crate) fn swap(&self) {
        self.end(Cause::Swap, || {
            testing::finish(&self.authority, self.authority.swap_key()).unwrap();
        });
    }

    pub(crate) fn start_over(&self) {
        self.end(Cause::NewHistory, || {
            testing::finish(&self.authority, self.authority.start_over()).unwrap();
        });
    }
}

/// What all threads do.
impl World {
    /// A token of the user and the group. There is no moment at which none can be had, unless a
    /// new history begins.
    pub(crate) fn issue(&self, user: usize) -> Held {
        self.try_issue(user, &[]).unwrap()
    }

    /// The same, which lives by `more` too.
    pub(crate) fn try_issue(&self, user: usize, more: &[Cause]) -> Option<Held> {
        let causes = [
            Cause::Swap,
            Cause::NewHistory,
            Cause::Group,
            Cause::User(user),
        ];
        let returned = counts(&self.returned);
        let issued = self.authority.issue(Grant::user(name(user)).group("g"));
        let begun = counts(&self.begun);
        let token = match issued {
            Err(IssueError::StaleEpochs) if began(Cause::NewHistory, &returned, &begun) => None,
            issued => Some(issued.unwrap()),
        };
        Some(Held {
            token: token?,
            user,
            causes: causes.into_iter().chain(more.iter().copied()).collect(),
            returned,
            begun,
            is_refused: AtomicBool::new(false),
        })
    }

    pub(crate) fn verify(&self, held: &Held) -> Option<Verified> {
        let verified = self.look(held, || self.authority.verify(&held.token))?;
        assert_eq!(verified.user(), name(held.user), "another one's claims");
        Some(verified)
    }

    pub(crate) fn recheck(&self, held: &Held, verified: &Verified) -> bool {
        self.look(held, || self.authority.recheck(verified))
            .is_some()
    }

    /// Verifies until the thread knows the token, rechecks what was found, and verifies again.
    pub(crate) fn look_often(&self, held: &Held) {
        let found = [(); 3].map(|()| self.verify(held));
        for verified in found.iter().flatten() {
            self.recheck(held, verified);
        }
        self.verify(held);
    }

    fn look<T>(&self, held: &Held, look: impl FnOnce() -> Result<T, VerifyError>) -> Option<T> {
        let before = counts(&self.returned);
        let is_dead = held.is_refused.load(Ordering::SeqCst)
            || held.lives_by(|cause| began(cause, &held.begun, &before));
        let outcome = look();
        let begun = counts(&self.begun);
        match outcome {
            Ok(found) => {
                assert!(!is_dead, "a dead token was accepted");
                Some(found)
            }
            Err(VerifyError::StaleEpochs) if began(Cause::NewHistory, &before, &begun) => None,
            Err(error) => {
                let may_be_dead = held.lives_by(|cause| began(cause, &held.returned, &begun));
                assert!(may_be_dead, "an honest token was refused: {error}");
                let proves = matches!(error, VerifyError::Revoked { .. } | VerifyError::UnknownKey);
                assert!(proves, "refused for another reason: {error}");
                held.is_refused.store(true, Ordering::SeqCst);
                None
            }
        }
    }
}

impl Held {
    fn lives_by(&self, ended: impl Fn(Cause) -> bool) -> bool {
        self.causes.iter().any(|cause| ended(*cause))
    }
}

fn counts(of: &[AtomicUsize; CAUSES]) -> Counts {
    array::from_fn(|cause| of[cause].load(Ordering::SeqCst))
}

/// Whether there was one more of them at `later`.
fn began(cause: Cause, earlier: &Counts, later: &Counts) -> bool {
    later[cause.index()] > earlier[cause.index()]
}
