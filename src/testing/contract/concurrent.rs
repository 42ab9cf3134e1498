//! What holds when many ask at the same time.

use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use super::{
    asker::{Asker, events_of, next_place},
    fresh::{end, replace},
    subject::Subject,
    threads::{UntilDropped, joined, together},
};
use crate::store::{Beginning, Commit, Outcome, Place, Refusal, Rows, SessionChange};

const THREADS: usize = 4;
/// Of each thread, at least.
const COMMITS: usize = 30;
/// How many heads of a log are seen while others commit, at least.
const HEADS: usize = 40;

/// The commits of several threads, with the last position of each.
type Placed = Vec<(u64, Commit)>;

/// Makes a commit whose conditions hold, and gives the place of its last event.
fn made(asker: &Asker, commit: &Commit) -> Place {
    match asker.commit(commit.clone()).value {
        Outcome::Done { head } => of_commit(head, commit),
        Outcome::Refused(refusal) => panic!("a commit without conditions was {refusal:?}"),
    }
}

/// The head in the answer to a commit with events.
fn of_commit(head: Place, commit: &Commit) -> Place {
    let last = commit.events.last().map(|event| event.id);
    assert_eq!(
        (head.history, Some(head.event)),
        (commit.known.history, last),
        "the head in an answer is the last event of the commit"
    );
    head
}

/// Commits on several threads until it is enough, and gives all commits in the order of
/// their positions.
fn commit_on_threads(asker: &Asker, known: Place, enough: &AtomicBool) -> Placed {
    let commit = |_: usize| -> Placed {
        let more = |number: &usize| *number < COMMITS || !enough.load(Ordering::SeqCst);
        let some = (0..).take_while(more).map(|_| {
            let events = asker.fresh.bumps(1 + asker.fresh.below(3));
            let commit = asker.new_commit(known, events, Vec::new());
            let place = made(asker, &commit);
            // Read your writes: it is in the log by now.
            events_of(asker.events_after(Some(place)), place);
            (place.position, commit)
        });
        some.collect()
    };
    let mut placed = together(THREADS, commit).concat();
    placed.sort_by_key(|(position, _)| *position);
    placed
}

/// Whether the commits have positions one after the other, after the head.
fn check_placed(subject: &mut Subject<'_>, placed: Placed) {
    let mut head = subject.head().position;
    for (position, commit) in &placed {
        head += commit.events.len() as u64;
        assert_eq!(
            *position, head,
            "the positions of a commit follow those of the one before it"
        );
    }
    let log = subject.asker.follow(subject.head());
    let mut times = log.iter();
    for (_, commit) in placed {
        let event = times.by_ref().nth(commit.events.len() - 1);
        let event = event.expect("the log has all events that were committed");
        subject.expected_mut().make(commit, event.time);
    }
    subject.check();
}

pub(super) fn commits_at_once_get_positions_one_after_the_other(subject: &mut Subject<'_>) {
    subject.begin(Beginning::Empty);
    let placed = commit_on_threads(&subject.asker, subject.head(), &AtomicBool::new(true));
    check_placed(subject, placed);
}

/// Who follows the log sees no event before all those in front of it.
pub(super) fn commits_become_visible_in_order_and_whole(subject: &mut Subject<'_>) {
    subject.begin(Beginning::Empty);
    let (asker, start) = (subject.asker.clone(), subject.head());
    let (enough, is_done) = (AtomicBool::new(false), AtomicBool::new(false));
    let (placed, heads) = thread::scope(|scope| {
        let until = UntilDropped(&is_done);
        let following = scope.spawn(|| follow_while(&asker, start, &enough, &is_done));
        let placed = commit_on_threads(&asker, start, &enough);
        drop(until);
        (placed, joined(following))
    });
    for head in heads {
        let is_end = head == start.position || placed.iter().any(|(end, _)| *end == head);
        assert!(is_end, "the log ended at {head}, in the middle of a commit");
    }
    check_placed(subject, placed);
}

/// Follows the log, with and without waiting, until no more is committed, and gives the
/// heads that it had. After some of them it is enough.
fn follow_while(asker: &Asker, start: Place, enough: &AtomicBool, done: &AtomicBool) -> Vec<u64> {
    let _enough = UntilDropped(enough);
    let (mut place, mut heads) = (start, Vec::new());
    loop {
        // Before it asks: what was committed by then must come.
        let last = done.load(Ordering::SeqCst);
        let wait = Duration::from_millis(heads.len() as u64 % 2);
        let news = asker.hear(asker.heartbeat(Some(place)), wait).value;
        let (events, more) = events_of(news, place);
        place = events.iter().fold(place, next_place);
        if !more {
            if heads.last() != Some(&place.position) {
                heads.push(place.position);
            }
            enough.fetch_or(heads.len() > HEADS, Ordering::SeqCst);
            if last {
                return heads;
            }
        }
    }
}

pub(super) fn of_several_under_one_condition_one_is_made(subject: &mut Subject<'_>) {
    subject.begin(Beginning::Empty);
    let fresh = subject.fresh().clone();
    let row = fresh.row(fresh.bytes());
    for _ in 0..5 {
        let newest = subject.expected().keys.last().map(|key| key.id);
        one_is_made(subject, Refusal::Key, |subject| Commit {
            newest_key: newest,
            ..subject.new_commit(vec![fresh.add_key(fresh.key())], Vec::new())
        });
    }
    one_is_made(subject, Refusal::Session, |subject| {
        let start = SessionChange::Start(fresh.version_of(&row));
        subject.new_commit(Vec::new(), vec![start])
    });
    for ends in [false, false, false, true] {
        let version = subject.expected().rows.get(&row.id);
        let version = version.expect("the row has started").row.version;
        one_is_made(subject, Refusal::Session, |subject| {
            let change = match ends {
                true => end(&row, Some(version)),
                false => replace(&fresh.version_of(&row), version, true),
            };
            subject.new_commit(fresh.bumps(1), vec![change])
        });
    }
}

/// Of commits that all have a condition which the first of them breaks for the others.
fn one_is_made(
    subject: &mut Subject<'_>,
    refusal: Refusal,
    commit: impl Fn(&Subject<'_>) -> Commit,
) {
    let asker = subject.asker.clone();
    let commits = [(); 2 * THREADS].map(|()| commit(subject));
    let answers = together(commits.len(), |number| {
        asker.commit(commits[number].clone())
    });
    let mut made = Vec::new();
    for (commit, answer) in commits.into_iter().zip(answers) {
        match answer.value {
            Outcome::Done { .. } => made.push((commit, answer)),
            refused => assert_eq!(refused, Outcome::Refused(refusal), "of several at once"),
        }
    }
    assert_eq!(made.len(), 1, "how many of several at once were made");
    for (commit, answer) in made {
        subject.was_made(commit, answer);
    }
    subject.check();
}

/// What started or was changed before the end is ended, what started after it is not; and
/// who refreshes all the time cannot hold it up.
pub(super) fn all_rows_of_a_user_end_in_the_step_of_the_commit(subject: &mut Subject<'_>) {
    subject.begin(Beginning::Empty);
    for _ in 0..8 {
        let user = subject.fresh().bytes();
        subject.expected_mut().users.insert(user);
        let (asker, known) = (subject.asker.clone(), subject.head());
        let ended = AtomicBool::new(false);
        let placed = together(THREADS, |number| match number {
            0 => {
                thread::sleep(Duration::from_millis(2));
                let _ended = UntilDropped(&ended);
                let all = SessionChange::EndOfUser { user, except: None };
                let commit = asker.new_commit(known, asker.fresh.bumps(1), vec![all]);
                vec![(made(&asker, &commit).position, commit)]
            }
            _ => start_and_refresh(&asker, known, user, &ended),
        });
        let mut placed = placed.concat();
        placed.sort_by_key(|(position, _)| *position);
        check_placed(subject, placed);
    }
}

/// Starts rows of a user and refreshes them, until some time after all were ended.
fn start_and_refresh(asker: &Asker, known: Place, user: [u8; 16], ended: &AtomicBool) -> Placed {
    let mut placed = Placed::new();
    let mut rounds_after = 0;
    while rounds_after < 2 {
        rounds_after += usize::from(ended.load(Ordering::SeqCst));
        let mut row = asker.fresh.row(user);
        let mut change = SessionChange::Start(row.clone());
        for _ in 0..4 {
            let commit = asker.new_commit(known, asker.fresh.bumps(1), vec![change]);
            match asker.commit(commit.clone()).value {
                Outcome::Done { head } => placed.push((of_commit(head, &commit).position, commit)),
                Outcome::Refused(refusal) => {
                    assert_eq!(refusal, Refusal::Session, "its row was ended");
                    break;
                }
            }
            let changed = asker.fresh.version_of(&row);
            change = replace(&changed, row.version, true);
            row = changed;
        }
    }
    placed
}

pub(super) fn the_rows_of_a_user_are_of_one_moment(subject: &mut Subject<'_>) {
    subject.begin(Beginning::Empty);
    let user = subject.fresh().bytes();
    let mut row = subject.fresh().row(user);
    subject.change(vec![SessionChange::Start(row.clone())]);
    let (asker, known) = (subject.asker.clone(), subject.head());
    let (is_done, reads) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        let until = UntilDropped(&is_done);
        let reading = scope.spawn(|| {
            while !is_done.load(Ordering::SeqCst) {
                let rows = asker.sessions(known, Rows::OfUser(user));
                let rows = rows.map(|rows| rows.len());
                assert_eq!(rows, Some(1), "each commit ends a row and starts one");
                reads.fetch_add(1, Ordering::SeqCst);
            }
        });
        while reads.load(Ordering::SeqCst) < 100 && !reading.is_finished() {
            let next = subject.fresh().row(user);
            let change = [
                end(&row, Some(row.version)),
                SessionChange::Start(next.clone()),
            ];
            subject.change(change.into());
            row = next;
        }
        drop(until);
        joined(reading);
    });
}
