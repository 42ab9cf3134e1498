//! The session rows of a file, compared with what its processes have said.

use std::collections::{BTreeMap, BTreeSet};

use epochkey::store::{Place, RowId, Rows, SessionRow, Store};

use crate::{
    Checked,
    ledger::{Attempt, End, Ledger},
    ledger_of_rows::Version,
    line::Change,
    work_on_rows::{ask, body},
};

/// Every row is in a version that it may have, and so it is found by its id and by its user.
pub(crate) fn check_rows(ledger: &mut Ledger, store: &impl Store, head: Place) -> Checked {
    let mut found = BTreeMap::new();
    for (id, held) in &ledger.rows.rows {
        let rows = ask(store, head, Rows::One(RowId::from_bytes(*id))).unwrap();
        let version = rows.first().map(version_of);
        if let Some(row) = rows.first()
            && (row.row.body != body(version_of(row)) || row.row.user != held.user)
        {
            return Err(format!("not as it was put in: {row:?}"));
        }
        if !held.may_be.contains(&version) {
            let may_be = &held.may_be;
            return Err(format!("the row {id:?} is {version:?}, not in {may_be:?}"));
        }
        found.insert(*id, version);
    }
    check_users(ledger, store, head, &found)?;
    check_open_attempts(ledger, &found)?;
    // What is gone by now does not come back, for no id is used again.
    for (id, version) in found {
        let held = ledger.rows.rows.get_mut(&id).unwrap();
        held.may_be = BTreeSet::from([version]);
    }
    Ok(())
}

fn version_of(row: &SessionRow) -> [u8; 16] {
    *row.row.version.as_bytes()
}

fn check_users(
    ledger: &Ledger,
    store: &impl Store,
    head: Place,
    found: &BTreeMap<[u8; 16], Version>,
) -> Checked {
    let rows = ledger.rows.rows.iter();
    let users: BTreeSet<_> = rows.clone().map(|(_, row)| row.user).collect();
    for user in users {
        let by_user = ask(store, head, Rows::OfUser(user)).unwrap();
        let by_user: BTreeMap<_, _> = by_user
            .iter()
            .map(|row| (*row.row.id.as_bytes(), version_of(row)))
            .collect();
        let of_user = rows.clone().filter(|(_, row)| row.user == user);
        let by_id: BTreeMap<_, _> = of_user
            .filter_map(|(id, _)| Some((*id, found[id]?)))
            .collect();
        if by_user != by_id {
            return Err(format!("by their user {by_user:?}, by their ids {by_id:?}"));
        }
    }
    Ok(())
}

/// A commit that was not acknowledged is there wholly or not at all.
fn check_open_attempts(ledger: &Ledger, found: &BTreeMap<[u8; 16], Version>) -> Checked {
    for Attempt { change, from, end } in &ledger.attempts {
        let Change::Rows(changes) = change else {
            continue;
        };
        let is_last = |id| ledger.rows.rows[id].tried_at == *from;
        if *end != End::CutOff || !changes.iter().all(|change| is_last(&change.id)) {
            continue;
        }
        let all = |version: &dyn Fn(usize) -> Version| {
            let mut numbered = changes.iter().enumerate();
            numbered.all(|(number, change)| found[&change.id] == version(number))
        };
        let mut others = ledger.attempts.iter();
        let may_be_ended = others.any(|it| it.change == Change::StartOver);
        let is_whole = all(&|number| changes[number].before)
            || all(&|number| changes[number].after)
            || may_be_ended && all(&|_| None);
        if !is_whole {
            return Err(format!("made in part: {changes:?}, found {found:?}"));
        }
    }
    Ok(())
}
