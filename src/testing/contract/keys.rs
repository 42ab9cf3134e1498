//! How ring keys come and go.

use super::subject::Subject;
use crate::store::{Beginning, Commit, NewEvent, Refusal};

pub(super) fn keys_come_and_go_in_order(subject: &mut Subject<'_>) {
    subject.begin(Beginning::Empty);
    let fresh = subject.fresh().clone();
    let (first, second, third) = (subject.expected().keys[0].id, fresh.key(), fresh.key());
    subject.append(vec![fresh.add_key(second)]);
    subject.check();
    subject.append(vec![fresh.bump(), fresh.add_key(third), fresh.bump()]);
    subject.check();
    subject.append(vec![fresh.remove_key(first)]);
    subject.check();
    subject.append(vec![fresh.remove_key(second)]);
    subject.check();
    subject.append(vec![fresh.add_key(fresh.key())]);
    subject.append(vec![fresh.replace_keys(fresh.key())]);
    subject.check();
    assert_eq!(subject.expected().keys.len(), 1);
}

pub(super) fn a_commit_is_refused_if_another_key_is_the_newest(subject: &mut Subject<'_>) {
    subject.begin(Beginning::Empty);
    let fresh = subject.fresh().clone();
    let if_newest = |subject: &Subject<'_>, key, events: Vec<NewEvent>| Commit {
        newest_key: Some(key),
        ..subject.new_commit(events, Vec::new())
    };
    let (first, second, third) = (subject.expected().keys[0].id, fresh.key(), fresh.key());
    let add = if_newest(subject, first, vec![fresh.add_key(second)]);
    subject.make(add);
    let why = "a key was added since";
    let again = if_newest(subject, first, vec![fresh.add_key(third)]);
    subject.refuse(again, Refusal::Key, why);
    let bump = if_newest(subject, first, fresh.bumps(1));
    subject.refuse(bump, Refusal::Key, why);
    let nothing = if_newest(subject, first, Vec::new());
    subject.refuse(nothing, Refusal::Key, "the oldest key is not the newest");

    let retire = if_newest(subject, second, vec![fresh.remove_key(first)]);
    subject.make(retire);
    let swap = if_newest(subject, second, vec![fresh.replace_keys(third)]);
    subject.make(swap);
    let why = "the newest key was replaced since";
    let bump = if_newest(subject, second, fresh.bumps(1));
    subject.refuse(bump, Refusal::Key, why);
    let nothing = if_newest(subject, third, Vec::new());
    subject.make(nothing);
}

pub(super) fn a_key_that_is_there_is_not_added(subject: &mut Subject<'_>) {
    subject.begin(Beginning::Empty);
    let fresh = subject.fresh().clone();
    let (first, second, third) = (subject.expected().keys[0].id, fresh.key(), fresh.key());
    subject.append(vec![fresh.add_key(second)]);
    for (events, why) in [
        (vec![fresh.add_key(first)], "it adds the oldest key again"),
        (vec![fresh.add_key(second)], "it adds the newest key again"),
        (
            vec![fresh.replace_keys(second)],
            "it replaces all keys by one of them",
        ),
        (
            vec![fresh.bump(), fresh.add_key(third), fresh.add_key(third)],
            "it adds a key twice",
        ),
    ] {
        let commit = subject.new_commit(events, Vec::new());
        subject.refuse(commit, Refusal::Key, why);
    }
    subject.append(vec![fresh.add_key(third)]);
}

pub(super) fn only_the_oldest_of_several_keys_is_removed(subject: &mut Subject<'_>) {
    subject.begin(Beginning::Empty);
    let fresh = subject.fresh().clone();
    let (first, second) = (subject.expected().keys[0].id, fresh.key());
    let refuse = |subject: &Subject<'_>, events, why| {
        let commit = subject.new_commit(events, Vec::new());
        subject.refuse(commit, Refusal::Key, why);
    };
    let last = vec![fresh.remove_key(first)];
    refuse(subject, last, "it removes the only key");
    let too_early = vec![fresh.remove_key(first), fresh.add_key(second)];
    refuse(subject, too_early, "it removes the only key, then adds one");
    subject.append(vec![fresh.add_key(second)]);
    let newest = vec![fresh.remove_key(second)];
    refuse(subject, newest, "it removes the newest key");
    let unknown = vec![fresh.remove_key(fresh.key())];
    refuse(subject, unknown, "it removes a key that is not there");
    let both = vec![fresh.remove_key(first), fresh.remove_key(second)];
    refuse(subject, both, "it removes all keys");
    subject.append(vec![fresh.remove_key(first)]);
    refuse(
        subject,
        vec![fresh.remove_key(first)],
        "it removes a key again",
    );
}

/// Each event finds the keys as the events before it have left them.
pub(super) fn the_events_of_a_commit_take_effect_in_order(subject: &mut Subject<'_>) {
    subject.begin(Beginning::Empty);
    let fresh = subject.fresh().clone();
    let (first, second, third) = (subject.expected().keys[0].id, fresh.key(), fresh.key());
    subject.append(vec![fresh.add_key(second), fresh.remove_key(first)]);
    subject.check();
    let tag = fresh.bytes();
    subject.append(vec![
        fresh.epoch(tag),
        fresh.add_key(third),
        fresh.epoch(tag),
        fresh.remove_key(second),
        fresh.replace_keys(fresh.key()),
        fresh.epoch(tag),
        fresh.bump(),
    ]);
    subject.check();
    assert_eq!(subject.expected().keys.len(), 1);
    let newest = subject.expected().epochs.get(&tag);
    let position = subject.head().position - 1;
    assert_eq!(newest.map(|(position, _)| *position), Some(position));
}
