//! What a replica may answer, by the log and by its own clocks.

use epochkey::{IssueError, Scope, VerifyError, store::EventId};

use super::{
    Checked, LEEWAY, SKEW,
    ledger::Ledger,
    replica::Replica,
    token::{Minted, Standing},
    wrong,
};

/// Whether a replica may answer so about the token with this number. `excused` if the
/// server's clock was wrong at some time: then keys may come and go early.
pub(crate) fn verified(
    replica: &mut Replica,
    ledger: &Ledger,
    (number, token): (usize, &Minted),
    outcome: &Result<(), VerifyError>,
    excused: bool,
) -> Checked {
    let standing = token.standing(ledger, replica.applied);
    let answer = match outcome {
        Ok(()) => accepted(replica, ledger, (number, token), standing),
        Err(error) => {
            if matches!(error, VerifyError::Revoked { .. }) && replica.is_truly_fresh() {
                replica.dead.insert(number);
            }
            // On another branch of the log there is a loss between them.
            let one_branch = Some(ledger.breaks()) == token.breaks
                && ledger.contains(token.sealed_at, replica.applied);
            let excused = excused || !one_branch;
            refused(replica, token, standing, error, excused)
        }
    };
    answer.or_else(|rule| {
        let how = format!(
            "replica {} at {:?} says {outcome:?} to token {number} of {:?}, sealed at {:?}, \
             which is {standing:?}",
            replica.process,
            ledger.place(replica.applied),
            token.scopes,
            ledger.place(token.sealed_at),
        );
        wrong(rule, how)
    })
}

fn accepted(
    replica: &Replica,
    ledger: &Ledger,
    (number, token): (usize, &Minted),
    standing: Standing,
) -> Result<(), &'static str> {
    let deceived = replica.deceived_in == Some(ledger.place(replica.applied).history);
    if !replica.notes.is_fresh() {
        return Err("a stale replica accepts nothing");
    }
    if replica.dead.contains(&number) && !deceived {
        return Err("what was dead at a replica is never accepted there again");
    }
    if standing != Standing::Good {
        return Err("what the applied log has revoked is not accepted");
    }
    if token.expires_at <= replica.seconds() {
        return Err("an expired token is not accepted");
    }
    if token.issued_at > replica.seconds() + SKEW.as_secs() + LEEWAY {
        return Err("a token from the future is not accepted");
    }
    Ok(())
}

fn refused(
    replica: &Replica,
    token: &Minted,
    standing: Standing,
    error: &VerifyError,
    excused: bool,
) -> Result<(), &'static str> {
    let skew = SKEW.as_secs();
    // Whoever is in time is told that it is too early, never that a good token is dead.
    let in_time = replica.is_truly_fresh() && replica.must_be_fresh() && !excused;
    let right = match error {
        VerifyError::Expired => token.expires_at <= replica.seconds() + skew,
        VerifyError::NotYetValid => token.issued_at > replica.seconds() + LEEWAY,
        VerifyError::StaleEpochs => standing != Standing::Good || !replica.must_be_fresh(),
        VerifyError::Revoked { .. } => match standing {
            Standing::Killed => true,
            Standing::Ahead => !in_time || token.issued_at + skew < token.truly_issued_at,
            Standing::Good | Standing::UnknownKey { .. } => false,
        },
        VerifyError::UnknownKey => match standing {
            Standing::Killed | Standing::UnknownKey { swapped_in: true } => true,
            Standing::UnknownKey { swapped_in: false } => {
                !in_time || token.issued_at > token.truly_issued_at + 2 * skew
            }
            Standing::Good | Standing::Ahead => false,
        },
        _ => false,
    };
    right
        .then_some(())
        .ok_or("an honest token is not refused, and others for the right reason")
}

/// Whether a replica may issue or refuse to, as of an event, for these scopes and with the mark
/// of another event.
pub(crate) fn issued(
    replica: &Replica,
    ledger: &Ledger,
    (sealed_at, is_fresh): (EventId, bool),
    scopes: &[Scope],
    marked: Option<EventId>,
    outcome: Result<(), &IssueError>,
) -> Checked {
    let here = ledger.state(sealed_at);
    let bumped_since = |scope: &Scope, mark: EventId| {
        let bump = here.bumps.get(scope);
        bump.is_some_and(|(bump, position)| {
            *position > here.floor() && !ledger.contains(mark, *bump)
        })
    };
    let outdated = marked.is_some_and(|event| {
        let mark = ledger.place(event);
        mark.history != here.history || mark.position < here.floor()
    });
    let right = match outcome {
        Ok(()) => {
            let bumped = |mark| scopes.iter().any(|scope| bumped_since(scope, mark));
            is_fresh && !outdated && !marked.is_some_and(bumped)
        }
        Err(IssueError::StaleEpochs) => !replica.must_be_fresh(),
        Err(IssueError::OutdatedMark) => outdated,
        Err(IssueError::BumpedSinceMark { scope }) => {
            marked.is_some_and(|mark| bumped_since(scope, mark))
        }
        Err(_) => false,
    };
    if !right {
        let outcome = outcome.map_err(ToString::to_string);
        let how = format!(
            "replica {} at {:?}, fresh {}, issuing for {scopes:?} as of {marked:?}: {outcome:?}",
            replica.process,
            ledger.place(sealed_at),
            replica.must_be_fresh(),
        );
        return wrong(
            "tokens are issued if and only if mark and news allow it",
            how,
        );
    }
    Ok(())
}
