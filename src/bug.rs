//! Mistakes that the simulation must find, each at the line that keeps it out.
//!
//! In builds without `cfg(test)` they are nothing.

/// A rule of the design that one line of this crate would not keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bug {
    /// What is missing below the floor counts as not bumped.
    AbsentBelowFloor,
    /// An epoch at the very position that is asked about counts as one after it.
    EpochAtItsPosition,
    /// The table is pruned as soon as there is a newer key.
    PrunedEarly,
    /// A prune forgets all epochs, whatever the floor.
    ForgottenAtPrune,
    /// A swap adds a key, and removes none.
    SwapKeepsKeys,
    /// Any snapshot of the history is adopted.
    OlderSnapshot,
    /// A snapshot is adopted that does not know this replica's past.
    ForeignSnapshot,
    /// Events are applied that do not follow the last one.
    GapApplied,
    /// A replica that is told that its past is unknown takes it for news.
    LossIgnored,
    /// A place is part of a log if its position is.
    PlaceByPosition,
    /// News is as old as its answer.
    NewsFromItsAnswer,
    /// A wall clock that went back does not matter.
    ClockBackIsFresh,
    /// The clock of a replica may be off by anything.
    ClockNotCompared,
    /// The seal says nothing of the ring key.
    SealWithoutNonce,
    /// A token whose ring key is gone may stand as it did.
    RecheckWithoutRing,
    /// A replica's own bumps are in its table when they are sent.
    OwnBumpAhead,
    /// A replica issues whatever its news.
    StaleIssues,
    /// A replica verifies whatever its news.
    StaleVerifies,
    /// A replica maintains whatever its news.
    StaleMaintains,
    /// A key retires when its last token of today's policy is dead.
    RetiredByPolicy,
    /// A key retires when its longest lifetime is over, for those who are in time.
    RetiredWithoutMargin,
    /// A key retires once its successor is announced.
    RetiredSinceAnnounced,
    /// What tokens may live is today's policy.
    LifetimeByPolicy,
    /// A commit lands in whatever history there is.
    CommitAnywhere,
    /// A restart begins behind the highest position that is known.
    RestartAtNext,
    /// A restart is done whatever the store knows by then.
    RestartAnyway,
    /// A restart is no reason to take a snapshot, but for another restart.
    RestartAgain,
    /// An epoch is in force where its position is.
    WaitByPosition,
    /// A mark of before a prune is as good as any.
    MarkBelowFloor,
    /// A key issues at a time that was fixed before it was committed.
    IssuesFromBeforeCommit,
    /// Time never goes back behind the latest that was ever read.
    TimePoisoned,
    /// A seal that a thread knows is the right one.
    KnownSealBelieved,
    /// A token that a thread knows stands.
    KnownTokenBelieved,
    /// A token that is newer than the news here is revoked.
    NewerIsRevoked,
    /// A user's bump ends no session.
    UserBumpLeavesRows,
    /// That a session has ended is read from the table, not from its row.
    EndFromTable,
    /// Each use of the refresh token before begins the grace window again.
    GraceSlides,
    /// The grace window is that of the replica's own clock.
    GraceByOwnClock,
    /// The token of a session is sealed whatever was bumped since it was asked for.
    SealedLate,
    /// The token of a session is sealed before the replica has applied what was before.
    SealedAhead,
    /// The versions of rows count.
    VersionsCount,
    /// Whoever shows a refresh token too often loses the session.
    ReplaysEndSessions,
    /// Whoever was overtaken twice is taken for a thief.
    JudgedByLaterRead,
    /// A session that was idle for too long goes on.
    IdleGoesOn,
    /// More sessions can begin at once than a user may have.
    MoreAtOnce,
    /// A token that is newer than the news here by clocks that may differ is revoked.
    NewerWithoutMargin,
    /// A session says when its user logged in by the clock there alone.
    LogInByOwnClock,
    /// A session goes on although the application grants it nothing.
    NothingGrantedGoesOn,
    /// A refresh takes the user to have proved just now who they are.
    RefreshProves,
    /// A token says that the user has proved just now who they are, whatever its session says.
    TokenProves,
    /// A session goes on after its refresh token was found stolen.
    ReusedGoesOn,
    /// A replica that is silent refuses everything at once.
    SilenceIsRefusal,
    /// A change that comes behind those of others is said to have failed.
    BehindOthersFails,
    /// The mark of a refresh is of after the application was asked.
    MarkAfterAsking,
}

#[cfg(not(test))]
#[inline(always)]
pub(crate) const fn is_in(_: Bug) -> bool {
    false
}

#[cfg(test)]
pub(crate) use self::in_tests::{is_in, with};

#[cfg(test)]
mod in_tests {
    use super::Bug;
    use std::cell::Cell;

    thread_local! {
        static BUG: Cell<Option<Bug>> = const { Cell::new(None) };
    }

    /// Whether this thread is to make the mistake.
    pub(crate) fn is_in(bug: Bug) -> bool {
        BUG.get() == Some(bug)
    }

    /// Makes a mistake for as long as `action` takes, on this thread.
    pub(crate) fn with<T>(bug: Bug, action: impl FnOnce() -> T) -> T {
        BUG.set(Some(bug));
        let result = action();
        BUG.set(None);
        result
    }
}
