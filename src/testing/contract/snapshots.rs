//! What a snapshot shows.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
};

use parking_lot::Mutex;

use super::{
    asker::{Asker, Shown},
    expected::Expected,
    subject::Subject,
    threads::{UntilDropped, joined, together},
};
use crate::store::{Beginning, Effect, EventId, KeyId, NewEvent, Outcome, Place};

pub(super) fn a_snapshot_shows_the_newest_epoch_of_each_tag(subject: &mut Subject<'_>) {
    subject.begin(Beginning::Empty);
    let tags = [(); 5].map(|()| subject.fresh().bytes());
    for (count, tag) in tags.iter().cycle().take(23).enumerate() {
        let events = match count % 4 {
            // Several times in one commit.
            0 => vec![subject.fresh().epoch(*tag), subject.fresh().epoch(*tag)],
            _ => vec![subject.fresh().epoch(*tag)],
        };
        subject.append(events);
        subject.check();
    }
    assert_eq!(subject.expected().epochs.len(), tags.len());
}

/// Whatever it shows of those below: they concern no token.
pub(super) fn a_snapshot_shows_all_epochs_above_the_oldest_key(subject: &mut Subject<'_>) {
    subject.begin(Beginning::Empty);
    let fresh = subject.fresh().clone();
    let tag = fresh.bytes();
    for _ in 0..3 {
        let oldest = subject.expected().keys[0].id;
        subject.append(vec![fresh.epoch(tag), fresh.bump()]);
        subject.append(vec![fresh.add_key(fresh.key())]);
        subject.append(vec![fresh.epoch(tag), fresh.bump(), fresh.bump()]);
        subject.check();
        subject.append(vec![fresh.remove_key(oldest)]);
        subject.check();
    }
    subject.append(vec![
        fresh.bump(),
        fresh.replace_keys(fresh.key()),
        fresh.bump(),
    ]);
    subject.check();
}

pub(super) fn a_snapshot_shows_very_many_epochs(subject: &mut Subject<'_>) {
    subject.begin(Beginning::Empty);
    for _ in 0..10 {
        subject.append(subject.fresh().bumps(500));
    }
    assert_eq!(subject.expected().epochs.len(), 5_000);
}

/// One that is taken while others commit: the events up to its head, and no others.
pub(super) fn a_snapshot_is_of_one_moment(subject: &mut Subject<'_>) {
    subject.begin(Beginning::Empty);
    let start = subject.expected().clone();
    let writers = Writers::new(subject);
    let (asker, done) = (subject.asker.clone(), AtomicBool::new(false));
    let snapshots = thread::scope(|scope| {
        let until = UntilDropped(&done);
        let writing = scope.spawn(|| together(3, |number| writers.write(number, &done)));
        let mut snapshots = Vec::new();
        while snapshots.len() < 25 && !writing.is_finished() {
            let before = writers.count();
            snapshots.push(asker.snapshot());
            // Each at another moment of theirs.
            while writers.count() == before && !writing.is_finished() {
                thread::yield_now();
            }
        }
        drop(until);
        joined(writing);
        snapshots
    });
    let committed = writers.committed.into_inner();
    *subject.expected_mut() = replayed(&asker, start, &committed, snapshots);
}

/// Applies the whole log to the state at its start, and checks each snapshot when its
/// head is reached.
fn replayed(
    asker: &Asker,
    start: Expected,
    committed: &HashMap<EventId, Committed>,
    mut snapshots: Vec<Shown>,
) -> Expected {
    let head = |shown: &Shown| shown.snapshot.as_ref().map(|snapshot| snapshot.head);
    let mut state = start;
    let mut is_last = true;
    let mut following = asker.follow(state.head).into_iter();
    loop {
        for shown in snapshots.extract_if(.., |shown| head(shown) == Some(state.head)) {
            assert!(
                is_last,
                "a snapshot shows only a part of a commit, up to {}",
                state.head.position
            );
            state.check_snapshot(shown);
        }
        let Some(event) = following.next() else {
            break;
        };
        let known = committed.get(&event.id);
        let known = known.expect("each event of the log was committed");
        let commit = asker.new_commit(state.head, vec![known.event.clone()], Vec::new());
        state.make(commit, event.time);
        is_last = known.is_last;
    }
    let left: Vec<Option<Place>> = snapshots.iter().map(head).collect();
    assert!(left.is_empty(), "heads that are not in the log: {left:?}");
    state
}

struct Committed {
    event: NewEvent,
    /// Of its commit.
    is_last: bool,
}

struct Writers {
    asker: Asker,
    start: Place,
    first_key: KeyId,
    tags: [[u8; 16]; 6],
    committed: Mutex<HashMap<EventId, Committed>>,
}

impl Writers {
    fn new(subject: &Subject<'_>) -> Self {
        Self {
            asker: subject.asker.clone(),
            start: subject.head(),
            first_key: subject.expected().keys[0].id,
            tags: [(); 6].map(|()| subject.fresh().bytes()),
            committed: Mutex::default(),
        }
    }

    fn count(&self) -> usize {
        self.committed.lock().len()
    }

    /// Commits until all is done, and a while longer if that was soon. One of the writers
    /// rotates and swaps keys.
    fn write(&self, number: usize, done: &AtomicBool) {
        let fresh = &self.asker.fresh;
        let mut oldest = self.first_key;
        for round in 0.. {
            if round >= 20 && done.load(Ordering::SeqCst) {
                return;
            }
            let epoch = || fresh.epoch(self.tags[fresh.below(self.tags.len())]);
            let mut events: Vec<_> = (0..=fresh.below(3)).map(|_| epoch()).collect();
            if number == 0 && round % 5 == 0 {
                let key = fresh.key();
                events.push(match round % 15 {
                    0 => fresh.replace_keys(key),
                    _ => fresh.add_key(key),
                });
                if round % 15 != 0 {
                    events.extend([epoch(), fresh.remove_key(oldest)]);
                }
                oldest = key;
            }
            self.commit(events);
        }
    }

    fn commit(&self, events: Vec<NewEvent>) {
        let last = events.len() - 1;
        for (index, event) in events.iter().enumerate() {
            let committed = Committed {
                event: event.clone(),
                is_last: index == last,
            };
            self.committed.lock().insert(event.id, committed);
        }
        let commit = self.asker.new_commit(self.start, events, Vec::new());
        let outcome = self.asker.commit(commit).value;
        assert!(
            matches!(outcome, Outcome::Done { .. }),
            "a commit without conditions was answered with {outcome:?}"
        );
    }
}

/// The secrets of a history, its keys and its epochs are not mixed with those of another.
pub(super) fn a_snapshot_is_of_one_history(subject: &mut Subject<'_>) {
    subject.begin(Beginning::Empty);
    begin_and_bump(subject);
    let (done, reads) = (AtomicBool::new(false), AtomicUsize::new(0));
    let asker = subject.asker.clone();
    thread::scope(|scope| {
        let until = UntilDropped(&done);
        let reading = scope.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                let shown = asker.snapshot();
                let snapshot = shown.snapshot.expect("a history has begun");
                let key = &snapshot.keys[0];
                let record = [snapshot.secrets.as_slice(), &key.record].concat();
                assert_eq!(
                    record,
                    [*snapshot.head.history.as_bytes(); 2].concat(),
                    "secrets and key of a snapshot are of its history"
                );
                for epoch in shown.epochs {
                    let (secret, history) = (epoch.secret, *snapshot.head.history.as_bytes());
                    assert_eq!(secret, history, "an epoch is of the snapshot's history");
                }
                reads.fetch_add(1, Ordering::SeqCst);
            }
        });
        while reads.load(Ordering::SeqCst) < 30 && !reading.is_finished() {
            begin_and_bump(subject);
        }
        drop(until);
        joined(reading);
    });
}

/// Begins a history of which all that is kept is made of its id.
fn begin_and_bump(subject: &mut Subject<'_>) {
    let beginning = Beginning::InsteadOf(subject.history());
    let mut new = subject.new_history(beginning);
    let secret = *new.id.as_bytes();
    new.secrets = secret.to_vec();
    let (key, record) = (subject.fresh().key(), secret.to_vec());
    new.event = subject.fresh().event(Effect::ReplaceKeys { key, record });
    subject.begin_as(new);
    let tag = subject.fresh().bytes();
    let epoch = subject.fresh().event(Effect::Epoch { tag, secret });
    subject.append(vec![epoch]);
}
