use std::{error, fmt, time::Duration};

use crate::{RandomError, store::Refusal, wrapping::UnwrapError};

type Source = Box<dyn error::Error + Send + Sync>;

/// The store failed, or what it answered cannot be used.
///
/// After one a change may or may not have been kept, unless its label is `refused` or
/// `too_large`: then nothing was changed. Each method says whether to try again.
#[derive(Debug)]
pub struct StoreError(Cause);

#[derive(Debug)]
enum Cause {
    Unavailable(Source),
    Damaged(Source),
    Gap { applied: u64, next: u64 },
    OldSnapshot { applied: u64, snapshot: u64 },
    Unreadable(&'static str),
    UnreadableEvent { position: u64 },
    WrongMasterSecret,
    Clock { off_by: Duration },
    Refused(Refusal),
    TooLarge { events: usize, most: usize },
    Lost,
    NotInForce,
    Stale,
    Unsettled,
    Abandoned,
    Random(RandomError),
}

/// For those who write a store.
impl StoreError {
    /// The store could not be asked, or did not answer: it may be asked again.
    pub fn unavailable(source: impl Into<Source>) -> Self {
        Self(Cause::Unavailable(source.into()))
    }

    /// What the store holds cannot be understood: asking again does not help.
    pub fn damaged(source: impl Into<Source>) -> Self {
        Self(Cause::Damaged(source.into()))
    }

    /// A commit has more events than the store takes at once, and nothing was changed.
    pub fn too_large(events: usize, most: usize) -> Self {
        Self(Cause::TooLarge { events, most })
    }
}

impl StoreError {
    /// An answer to what comes after position `applied` began at `next`.
    pub(crate) fn gap(applied: u64, next: u64) -> Self {
        Self(Cause::Gap { applied, next })
    }

    /// A snapshot was older than what is in force here.
    pub(crate) fn old_snapshot(applied: u64, snapshot: u64) -> Self {
        Self(Cause::OldSnapshot { applied, snapshot })
    }

    /// A newer version of this crate wrote it, or it is damaged.
    pub(crate) fn unreadable(what: &'static str) -> Self {
        Self(Cause::Unreadable(what))
    }

    /// The same of an event.
    pub(crate) fn unreadable_event(position: u64) -> Self {
        Self(Cause::UnreadableEvent { position })
    }

    /// The wall clock differs from the store's by more than the policy allows.
    pub(crate) fn clock(off_by: Duration) -> Self {
        Self(Cause::Clock { off_by })
    }

    /// A condition of the change did not hold.
    pub(crate) fn refused(refusal: Refusal) -> Self {
        Self(Cause::Refused(refusal))
    }

    /// The store acknowledged the event and does not know it any more.
    pub(crate) fn lost() -> Self {
        Self(Cause::Lost)
    }

    /// The event is kept, but this replica could not apply it so far.
    pub(crate) fn not_in_force() -> Self {
        Self(Cause::NotInForce)
    }

    /// The replica's news is too old.
    pub(crate) fn stale() -> Self {
        Self(Cause::Stale)
    }

    /// The log changed its history again and again.
    pub(crate) fn unsettled() -> Self {
        Self(Cause::Unsettled)
    }

    /// A question was dropped without an answer.
    pub(crate) fn abandoned() -> Self {
        Self(Cause::Abandoned)
    }

    /// Whether the same may succeed in a moment, without anybody doing something about it.
    pub fn is_transient(&self) -> bool {
        !matches!(
            self.0,
            Cause::Damaged(_)
                | Cause::Unreadable(_)
                | Cause::UnreadableEvent { .. }
                | Cause::WrongMasterSecret
                | Cause::Clock { .. }
                | Cause::TooLarge { .. }
                | Cause::Random(_)
        )
    }

    pub(crate) fn refusal(&self) -> Option<Refusal> {
        match self.0 {
            Cause::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }

    /// What kept it from being sent at all.
    pub(crate) fn random(&self) -> Option<RandomError> {
        match self.0 {
            Cause::Random(error) => Some(error),
            _ => None,
        }
    }

    pub(crate) fn is_too_large(&self) -> bool {
        matches!(self.0, Cause::TooLarge { .. })
    }

    pub(crate) fn is_wrong_master_secret(&self) -> bool {
        matches!(self.0, Cause::WrongMasterSecret)
    }

    /// A short fixed name for metrics and logs, such as `unavailable`.
    pub fn label(&self) -> &'static str {
        match self.0 {
            Cause::Unavailable(_) => "unavailable",
            Cause::Damaged(_) => "damaged",
            Cause::Gap { .. } => "gap",
            Cause::OldSnapshot { .. } => "old_snapshot",
            Cause::Unreadable(_) | Cause::UnreadableEvent { .. } => "unreadable",
            Cause::WrongMasterSecret => "wrong_master_secret",
            Cause::Clock { .. } => "clock",
            Cause::Refused(_) => "refused",
            Cause::TooLarge { .. } => "too_large",
            Cause::Lost => "lost",
            Cause::NotInForce => "not_in_force",
            Cause::Stale => "stale",
            Cause::Unsettled => "unsettled",
            Cause::Abandoned => "abandoned",
            Cause::Random(_) => "random",
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Cause::Unavailable(_) => f.write_str("the store could not be asked; try again"),
            Cause::Damaged(_) => f.write_str("the store holds something that cannot be understood"),
            Cause::Gap { applied, next } => write!(
                f,
                "the store was asked what follows position {applied} and answered with {next}"
            ),
            Cause::OldSnapshot { applied, snapshot } => write!(
                f,
                "the store gave a snapshot as of position {snapshot}, and {applied} is in force \
                 here already"
            ),
            Cause::Unreadable(what) => write!(
                f,
                "{what} cannot be read: it is damaged, or a newer version of epochkey wrote it; \
                 update this process"
            ),
            Cause::UnreadableEvent { position } => write!(
                f,
                "the event at position {position} cannot be read: it is damaged, or a newer \
                 version of epochkey wrote it; update this process"
            ),
            Cause::WrongMasterSecret => {
                f.write_str("a secret is wrapped with another master secret than those given")
            }
            Cause::Clock { off_by } => write!(
                f,
                "this machine's clock differs from the store's by at least {off_by:?}, which is \
                 more than `max_clock_skew`; set it"
            ),
            Cause::Refused(Refusal::Place) => f.write_str(
                "the log has started over or lost its tail, and nothing was changed; try again",
            ),
            Cause::Refused(_) => f.write_str("somebody else was first, and nothing was changed"),
            Cause::TooLarge { events, most } => write!(
                f,
                "the store takes at most {most} events at once, and not {events}: make several \
                 commits of it"
            ),
            Cause::Lost => f.write_str(
                "the store acknowledged the event and lost it; all tokens from before are refused",
            ),
            Cause::NotInForce => f.write_str(
                "the store keeps the event, but this process could not apply it yet; it accepts \
                 and issues nothing until it has",
            ),
            Cause::Stale => f.write_str("this process has no fresh news of the store; try again"),
            Cause::Unsettled => f.write_str("the store's log starts over again and again"),
            Cause::Abandoned => f.write_str("the store dropped a question without an answer"),
            Cause::Random(_) => f.write_str("no random bytes for what was to be written"),
        }
    }
}

impl error::Error for StoreError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match &self.0 {
            Cause::Unavailable(source) | Cause::Damaged(source) => Some(&**source),
            Cause::Random(source) => Some(source),
            _ => None,
        }
    }
}

impl From<RandomError> for StoreError {
    fn from(error: RandomError) -> Self {
        Self(Cause::Random(error))
    }
}

impl From<UnwrapError> for StoreError {
    fn from(error: UnwrapError) -> Self {
        match error {
            UnwrapError::WrongMasterSecret => Self(Cause::WrongMasterSecret),
            UnwrapError::Damaged => Self::unreadable("a wrapped secret"),
        }
    }
}
