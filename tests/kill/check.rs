//! The file is opened again, and compared with what its processes have said.

use std::{path::Path, sync::Arc, time::Duration};

use epochkey::{
    Authority, RedbStore,
    store::{Snapshot, Store, StoreTime},
    testing::{self, ManualClock},
};

use crate::{
    Checked,
    check_clients::check_clients,
    check_rows::check_rows,
    ledger::{End, Held, Ledger, histories_of},
    line::{Change, history_of},
    random::Random,
    work::builder,
};

/// Of what was checked before, only so much is checked each time.
const SAMPLE: usize = 150;

/// Opens the file at `path`, checks everything, and writes down what has turned out.
pub(crate) fn check(ledger: &mut Ledger, path: &Path, random: &mut Random) -> Checked {
    let store = RedbStore::open(path).map_err(|error| format!("does not open: {error}"))?;
    let store = Arc::new(store);
    let clock = ManualClock::at_unix_seconds(ledger.clock);
    let authority = testing::by_hand(builder(&clock, &ledger.secrets))
        .open(Arc::clone(&store))
        .map_err(|error| format!("the authority does not open: {error:?}"))?;
    let snapshot = store.snapshot(StoreTime::default(), &mut |_| {}).unwrap();
    let snapshot = snapshot.value.unwrap();
    check_history(ledger, &snapshot)?;
    check_positions(ledger, &snapshot, &authority)?;
    check_epochs(ledger, &snapshot, &authority, random)?;
    check_tokens(ledger, &authority, &clock, random)?;
    check_rows(ledger, &*store, snapshot.head)?;
    check_clients(&mut ledger.clients, &authority, random)?;
    ledger.history = Some(snapshot.head.history);
    // What was open has turned out one way or the other.
    ledger.attempts.clear();
    Ok(())
}

/// It is the history of before, or one that an attempt has begun, and it knows its past.
fn check_history(ledger: &Ledger, snapshot: &Snapshot) -> Checked {
    let present = snapshot.head.history;
    let attempts = ledger.attempts.iter();
    let starts: Vec<_> = attempts
        .filter(|it| it.change == Change::StartOver)
        .collect();
    let begun: Vec<_> = starts
        .iter()
        .filter_map(|start| match &start.end {
            End::Done(_, epochs) => epochs.first(),
            _ => None,
        })
        .collect();
    let all_known = begun.len() == starts.len();
    let newest = begun.iter().max_by_key(|it| crate::ledger::position_of(it));
    let expected = newest.map(|it| history_of(it)).or(ledger.history);
    if let Some(expected) = expected
        && all_known
        && expected != present
    {
        return Err(format!(
            "the history is {present}, not {expected}: nobody began it"
        ));
    }
    let past = histories_of(&ledger.epochs);
    let mut past = past.iter().chain(&ledger.history);
    match past.find(|it| **it != present && !snapshot.predecessors.contains(it)) {
        Some(lost) => Err(format!(
            "the history {present} does not name {lost} before it"
        )),
        None => Ok(()),
    }
}

fn check_positions(ledger: &Ledger, snapshot: &Snapshot, authority: &Authority) -> Checked {
    let (position, highest) = (authority.stats().position, ledger.highest_position);
    if position != snapshot.head.position || position < highest {
        return Err(format!("the log ends at {position}, and had {highest}"));
    }
    let newest = snapshot.keys.last().map_or(0, |key| key.position);
    if newest < ledger.newest_key {
        let expected = ledger.newest_key;
        return Err(format!(
            "the newest ring key is of {newest}, that of {expected} is gone"
        ));
    }
    Ok(())
}

/// Every epoch that a process was given is in force, by position and event id.
fn check_epochs(
    ledger: &Ledger,
    snapshot: &Snapshot,
    authority: &Authority,
    random: &mut Random,
) -> Checked {
    let present = snapshot.head.history.to_string();
    let epochs = ledger.epochs.iter().rev();
    let epochs: Vec<_> = epochs.filter(|it| it.starts_with(&present)).collect();
    for (age, epoch) in epochs.iter().enumerate() {
        if age > SAMPLE && !random.chance(5) {
            continue;
        }
        let op = authority.wait_for(epoch.parse().unwrap());
        if let Err(error) = testing::finish(authority, op) {
            return Err(format!(
                "{epoch} was acknowledged, and is not in force: {error}"
            ));
        }
    }
    Ok(())
}

fn check_tokens(
    ledger: &mut Ledger,
    authority: &Authority,
    clock: &ManualClock,
    random: &mut Random,
) -> Checked {
    let now = ledger.clock;
    let seen = ledger.tokens.iter().filter(|it| it.was_seen_dead).count();
    let percent = (100 * SAMPLE / seen.max(1)) as u64;
    // What each open attempt turned out to be, by a token that it alone can have killed.
    let mut made = vec![None; ledger.attempts.len()];
    for token in &mut ledger.tokens {
        if token.was_seen_dead && !random.chance(percent) {
            continue;
        }
        let outcome = outcome(token, authority, clock, now);
        let is_dead = match outcome {
            "good" => false,
            "revoked" | "unknown_key" => true,
            // What refuses it must be what revoked it, in whatever time.
            _ => return Err(format!("{outcome}: {}", described(token))),
        };
        let was_open = !token.killers.is_empty() || token.is_unclear;
        let has_expired = token.expires_at <= now;
        match (token.is_dead, is_dead) {
            (true, false) => return Err(format!("revoked, and good: {}", described(token))),
            // Its key may have been retired.
            (false, true) if !was_open && !has_expired => {
                return Err(format!("not revoked, and {outcome}: {}", described(token)));
            }
            _ => {}
        }
        if let [killer] = token.killers[..]
            && !token.is_dead
            && !token.is_unclear
            && !has_expired
            && made[killer].replace(is_dead) == Some(!is_dead)
        {
            let change = &ledger.attempts[killer].change;
            return Err(format!("made in part: {change:?}, {}", described(token)));
        }
        (token.is_dead, token.was_seen_dead) = (is_dead, is_dead);
    }
    for token in &mut ledger.tokens {
        token.killers.clear();
        token.is_unclear = false;
    }
    Ok(())
}

/// `good`, or why not. A token that has expired is judged at the time when it was issued:
/// it must not come back when a clock is set back either.
fn outcome(token: &Held, authority: &Authority, clock: &ManualClock, now: u64) -> &'static str {
    let back = match token.expires_at <= now {
        true => Duration::from_secs(now - token.issued_at),
        false => Duration::ZERO,
    };
    clock.rewind(back);
    let verified = authority.verify(&token.text);
    clock.set_forward(back);
    verified.map_or_else(|error| error.label(), |_| "good")
}

fn described(token: &Held) -> String {
    format!("the token of {:?}, {}", token.scopes, token.text)
}
