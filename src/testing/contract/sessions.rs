//! How session rows are put in, changed and ended.

use super::{
    fresh::{end, replace},
    subject::Subject,
};
use crate::store::{Beginning, HistoryId, NewRow, Place, Refusal, Rows, SessionChange, StoreTime};

fn start(row: &NewRow) -> SessionChange {
    SessionChange::Start(row.clone())
}

/// A history with two rows of one user and one of another.
fn with_rows(subject: &mut Subject<'_>) -> [NewRow; 3] {
    subject.begin(Beginning::Empty);
    let (user, other) = (subject.fresh().bytes(), subject.fresh().bytes());
    let rows = [user, user, other].map(|user| subject.fresh().row(user));
    subject.change(rows.iter().map(start).collect());
    subject.asker.let_time_pass();
    rows
}

pub(super) fn rows_are_found_by_id_and_by_user(subject: &mut Subject<'_>) {
    with_rows(subject);
    subject.check();
    let (asker, fresh, head) = (&subject.asker, subject.fresh(), subject.head());
    let unknown = fresh.row(fresh.bytes());
    for rows in [Rows::One(unknown.id), Rows::OfUser(unknown.user)] {
        let found = asker.sessions(head, rows);
        assert_eq!(found, Some(Vec::new()), "rows that are not there");
    }
}

pub(super) fn rows_are_not_found_in_another_history(subject: &mut Subject<'_>) {
    let [row, ..] = with_rows(subject);
    let foreign = Place {
        history: HistoryId::from_bytes(subject.fresh().bytes()),
        ..subject.head()
    };
    for rows in [Rows::One(row.id), Rows::OfUser(row.user)] {
        let found = subject.asker.sessions(foreign, rows);
        assert_eq!(found, None, "rows in a history that is not the log's");
    }
}

pub(super) fn a_row_starts_once(subject: &mut Subject<'_>) {
    let [row, _, other] = with_rows(subject);
    let why = "it starts a row that is there";
    for again in [
        row.clone(),
        subject.fresh().version_of(&row),
        NewRow {
            id: row.id,
            ..subject.fresh().row(other.user)
        },
    ] {
        let commit = subject.new_commit(Vec::new(), vec![start(&again)]);
        subject.refuse(commit, Refusal::Session, why);
    }
}

/// Up to the latest time that there is.
pub(super) fn a_row_may_expire_as_late_as_it_likes(subject: &mut Subject<'_>) {
    let [row, ..] = with_rows(subject);
    for millis in [1 << 32, 1 << 53, i64::MAX as u64 - 1] {
        let new = NewRow {
            expires_at: StoreTime::from_unix_millis(millis),
            ..subject.fresh().row(row.user)
        };
        subject.change(vec![start(&new)]);
        subject.check();
        let changed = subject.fresh().version_of(&new);
        subject.change(vec![replace(&changed, new.version, true)]);
        subject.check();
    }
}

pub(super) fn a_row_is_replaced_in_the_version_expected(subject: &mut Subject<'_>) {
    let [row, other, _] = with_rows(subject);
    let changed = subject.fresh().version_of(&row);
    subject.change(vec![replace(&changed, row.version, true)]);
    subject.check();
    let missing = subject.fresh().row(row.user);
    for (expected, of, why) in [
        (row.version, &row, "it replaces a row in an earlier version"),
        (other.version, &row, "it names the version of another row"),
        (missing.version, &missing, "it replaces a row never there"),
    ] {
        let again = subject.fresh().version_of(of);
        let change = replace(&again, expected, true);
        let commit = subject.new_commit(Vec::new(), vec![change]);
        subject.refuse(commit, Refusal::Session, why);
    }
    subject.change(vec![end(&changed, None)]);
    let again = replace(&row, changed.version, false);
    let commit = subject.new_commit(Vec::new(), vec![again]);
    subject.refuse(commit, Refusal::Session, "it replaces a row that was ended");
}

/// The grace window is counted from the rotation, and is never extended.
pub(super) fn a_row_keeps_its_rotation_unless_it_rotates(subject: &mut Subject<'_>) {
    let [row, ..] = with_rows(subject);
    let mut version = row.version;
    for rotates in [false, true, false, false, true] {
        let changed = subject.fresh().version_of(&row);
        subject.change(vec![replace(&changed, version, rotates)]);
        version = changed.version;
        subject.check();
        subject.asker.let_time_pass();
    }
}

pub(super) fn a_row_is_ended_in_the_version_expected_or_in_any(subject: &mut Subject<'_>) {
    let [row, other, third] = with_rows(subject);
    let changed = subject.fresh().version_of(&row);
    subject.change(vec![replace(&changed, row.version, true)]);
    let missing = subject.fresh().row(row.user);
    for (change, why) in [
        (
            end(&row, Some(row.version)),
            "it ends a row in an earlier version",
        ),
        (
            end(&missing, Some(missing.version)),
            "it ends a row never there, in a version",
        ),
    ] {
        let commit = subject.new_commit(Vec::new(), vec![change]);
        subject.refuse(commit, Refusal::Session, why);
    }
    subject.change(vec![end(&changed, Some(changed.version))]);
    subject.check();
    subject.change(vec![end(&other, None)]);
    subject.check();
    subject.change(vec![end(&changed, None), end(&missing, None)]);
    let again = end(&changed, Some(changed.version));
    let commit = subject.new_commit(Vec::new(), vec![again]);
    subject.refuse(
        commit,
        Refusal::Session,
        "it ends a row twice, in a version",
    );
    let rows = subject.expected().rows.keys();
    assert_eq!(rows.collect::<Vec<_>>(), [&third.id]);
}

/// A thief who refreshes all the time must not be able to hold up the end.
pub(super) fn all_rows_of_a_user_end_whatever_their_version(subject: &mut Subject<'_>) {
    let [first, second, _] = with_rows(subject);
    let changed = subject.fresh().version_of(&first);
    let third = subject.fresh().row(first.user);
    let user = first.user;
    subject.change(vec![replace(&changed, first.version, true), start(&third)]);
    let all = SessionChange::EndOfUser { user, except: None };
    subject.commit(subject.fresh().bumps(1), vec![all.clone()]);
    subject.check();
    assert_eq!(subject.expected().rows.len(), 1);
    for gone in [
        replace(&subject.fresh().version_of(&changed), changed.version, true),
        end(&second, Some(second.version)),
    ] {
        let commit = subject.new_commit(Vec::new(), vec![gone]);
        let why = "the row was ended with all of its user";
        subject.refuse(commit, Refusal::Session, why);
    }
    // It holds for a user without rows too.
    subject.commit(subject.fresh().bumps(1), vec![all]);
}

pub(super) fn all_rows_of_a_user_end_but_one(subject: &mut Subject<'_>) {
    let [first, second, other] = with_rows(subject);
    let user = first.user;
    let except = |row: &NewRow| SessionChange::EndOfUser {
        user,
        except: Some(row.id),
    };
    subject.change(vec![except(&first)]);
    subject.check();
    assert!(subject.expected().rows.contains_key(&first.id));
    subject.change(vec![start(&second)]);
    // The row that stays may be another user's, and then there is none of this one.
    subject.commit(subject.fresh().bumps(1), vec![except(&other)]);
    subject.check();
    let rows = subject.expected().rows.keys();
    assert_eq!(rows.collect::<Vec<_>>(), [&other.id]);
}

/// All old log-ins end, and a new one begins, in one step.
pub(super) fn sessions_are_changed_in_order(subject: &mut Subject<'_>) {
    let [first, ..] = with_rows(subject);
    let new = subject.fresh().row(first.user);
    let all = SessionChange::EndOfUser {
        user: first.user,
        except: None,
    };
    subject.commit(subject.fresh().bumps(1), vec![all, start(&new)]);
    subject.check();
    assert!(subject.expected().rows.contains_key(&new.id));
    assert_eq!(subject.expected().rows.len(), 2);
}

/// Whatever the changes in front of it do, a change finds what was there before all.
pub(super) fn conditions_of_sessions_are_those_before_the_commit(subject: &mut Subject<'_>) {
    let [first, second, other] = with_rows(subject);
    let fresh = subject.fresh().clone();
    let new = fresh.row(first.user);
    let user = first.user;
    let all = SessionChange::EndOfUser { user, except: None };
    let changed = fresh.version_of(&new);
    for (changes, why) in [
        (
            vec![end(&other, None), start(&other)],
            "it starts a row that it has ended",
        ),
        (
            vec![all.clone(), start(&first)],
            "it starts a row that it has ended with all of its user",
        ),
        (
            vec![start(&new), replace(&changed, new.version, true)],
            "it replaces a row that it has started",
        ),
        (
            vec![start(&new), end(&new, Some(new.version))],
            "it ends a row that it has started, in a version",
        ),
    ] {
        let commit = subject.new_commit(Vec::new(), changes);
        subject.refuse(commit, Refusal::Session, why);
    }
    let holds = vec![
        all.clone(),
        end(&first, Some(first.version)),
        end(&second, Some(second.version)),
    ];
    subject.change(holds);
    subject.check();
    // Made in order: what was put in before it ends too.
    subject.commit(fresh.bumps(1), vec![start(&new), all]);
    subject.check();
    assert_eq!(subject.expected().rows.len(), 1);
}

/// Whoever acts upon all sessions of a user must not miss one.
pub(super) fn a_commit_may_exclude_other_rows(subject: &mut Subject<'_>) {
    let [first, second, other] = with_rows(subject);
    let fresh = subject.fresh().clone();
    let user = first.user;
    let no_others = |rows: &[&NewRow]| SessionChange::NoOthers {
        user,
        rows: rows.iter().map(|row| row.id).collect(),
    };
    let unknown = fresh.row(user);
    let refuse = |subject: &Subject<'_>, rows: &[&NewRow], why: &str| {
        let changes = vec![end(&first, None), no_others(rows)];
        let commit = subject.new_commit(fresh.bumps(1), changes);
        subject.refuse(commit, Refusal::Session, why);
    };
    refuse(subject, &[], "it excludes two rows that are there");
    refuse(subject, &[&first], "it excludes the other row");
    refuse(subject, &[&first, &other, &unknown], "it excludes a row");
    for rows in [
        [&first, &second, &other],
        [&unknown, &second, &first],
        [&second, &first, &first],
    ] {
        subject.commit(fresh.bumps(1), vec![no_others(&rows)]);
    }
    // Looked at before the changes: neither hidden by an end, nor broken by a start.
    let all = SessionChange::EndOfUser { user, except: None };
    let hidden = vec![all.clone(), no_others(&[&first])];
    let commit = subject.new_commit(Vec::new(), hidden);
    let why = "it ends the row that it excludes";
    subject.refuse(commit, Refusal::Session, why);
    let known = no_others(&[&first, &second]);
    subject.change(vec![start(&unknown), known]);
    subject.check();
    subject.change(vec![all]);
    subject.commit(fresh.bumps(1), vec![no_others(&[])]);
    subject.check();
}
