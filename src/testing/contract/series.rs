//! Changes in any order.

use super::{
    asker::unknown_place,
    fresh::{Fresh, end, replace},
    subject::Subject,
};
use crate::store::{
    Beginning, Commit, NewEvent, NewHistory, NewRow, Place, Refusal, SessionChange,
};

const CHANGES: usize = 300;

/// Draws changes at random, the same ones each time, of which about every fourth is
/// refused.
pub(super) fn any_series_of_changes_adds_up(subject: &mut Subject<'_>) {
    subject.begin(Beginning::Empty);
    let fresh = subject.fresh().clone();
    let users = [(); 3].map(|()| fresh.bytes());
    subject.expected_mut().users.extend(users);
    for number in 0..CHANGES {
        let commit = commit_that_holds(subject, &fresh, &users);
        match fresh.below(40) {
            0 => {
                let beginning = Beginning::InsteadOf(subject.history());
                subject.begin_as(NewHistory {
                    keeps_sessions: fresh.below(2) == 0,
                    ..subject.new_history(beginning)
                });
            }
            1 => {
                let position = subject.head().position / 2 + 1;
                let lost = unknown_place(&fresh, position);
                let predecessors = vec![unknown_place(&fresh, 1).history];
                subject.begin(Beginning::Unknown {
                    place: lost,
                    predecessors,
                });
            }
            2..12 => refuse_some(subject, &fresh, commit, users[0]),
            _ => {
                subject.make(commit);
            }
        }
        if number % 10 == 0 {
            subject.check();
        }
    }
}

fn commit_that_holds(subject: &Subject<'_>, fresh: &Fresh, users: &[[u8; 16]; 3]) -> Commit {
    let events = events_that_hold(subject, fresh);
    let sessions = sessions_that_hold(subject, fresh, users);
    let newest = subject.expected().keys.last().map(|key| key.id);
    let applied = fresh.below(subject.expected().log.len());
    Commit {
        known: subject.expected().place(applied),
        newest_key: newest.filter(|_| fresh.below(2) == 0),
        ..subject.new_commit(events, sessions)
    }
}

fn events_that_hold(subject: &Subject<'_>, fresh: &Fresh) -> Vec<NewEvent> {
    let keys = subject.expected().keys.iter();
    let mut keys: Vec<_> = keys.map(|key| key.id).collect();
    let events = (0..fresh.below(5)).map(|_| match fresh.below(10) {
        0 => {
            keys.push(fresh.key());
            fresh.add_key(keys[keys.len() - 1])
        }
        1 => {
            keys = vec![fresh.key()];
            fresh.replace_keys(keys[0])
        }
        2 if keys.len() > 1 => fresh.remove_key(keys.remove(0)),
        // Of a few tags, so that epochs follow each other.
        _ => fresh.epoch([u8::try_from(fresh.below(9)).unwrap_or_default(); 16]),
    });
    events.collect()
}

fn sessions_that_hold(
    subject: &Subject<'_>,
    fresh: &Fresh,
    users: &[[u8; 16]; 3],
) -> Vec<SessionChange> {
    let user = users[fresh.below(users.len())];
    let rows = subject.expected().rows.values();
    let mut rows: Vec<NewRow> = rows.map(|kept| kept.row.clone()).collect();
    let mut changes = Vec::new();
    if fresh.below(6) == 0 {
        let of_user = rows.iter().find(|row| row.user == user);
        let except = of_user.filter(|_| fresh.below(2) == 0).map(|row| row.id);
        changes.push(SessionChange::EndOfUser { user, except });
        rows.retain(|row| row.user != user);
    }
    for _ in 0..fresh.below(3) {
        // Each row is meant once.
        let row = (!rows.is_empty()).then(|| rows.remove(fresh.below(rows.len())));
        changes.push(match (row, fresh.below(5)) {
            (Some(row), 0) => end(&row, Some(row.version)),
            (Some(row), 1) => end(&row, None),
            (Some(row), 2) => replace(&fresh.version_of(&row), row.version, true),
            (Some(row), 3) => replace(&fresh.version_of(&row), row.version, false),
            _ => SessionChange::Start(fresh.row(user)),
        });
    }
    changes
}

/// A place that the log does not know, or that is in a history which went before.
fn lost_place(subject: &Subject<'_>, fresh: &Fresh) -> Place {
    let (head, lost) = (subject.head(), unknown_place(fresh, 1));
    let before = subject.expected().predecessors.first();
    match fresh.below(4) {
        0 => Place {
            event: lost.event,
            ..head
        },
        1 => Place {
            position: head.position + 1,
            ..head
        },
        2 => Place {
            history: before.copied().unwrap_or(lost.history),
            ..head
        },
        _ => lost,
    }
}

/// Breaks one condition of a commit that would hold.
fn refuse_some(subject: &Subject<'_>, fresh: &Fresh, mut commit: Commit, user: [u8; 16]) {
    let missing = fresh.row(user);
    let refusal = match fresh.below(6) {
        0 => {
            commit.known = lost_place(subject, fresh);
            Refusal::Place
        }
        1 => {
            commit.newest_key = Some(fresh.key());
            Refusal::Key
        }
        2 => {
            commit.events.push(fresh.remove_key(fresh.key()));
            Refusal::Key
        }
        3 => {
            let key = fresh.key();
            commit
                .events
                .extend([key, key].map(|key| fresh.add_key(key)));
            Refusal::Key
        }
        4 => {
            commit.sessions.push(end(&missing, Some(missing.version)));
            Refusal::Session
        }
        _ => {
            let change = replace(&fresh.version_of(&missing), missing.version, true);
            commit.sessions.push(change);
            Refusal::Session
        }
    };
    subject.refuse(commit, refusal, "one of its conditions does not hold");
}
