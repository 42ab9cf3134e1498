//! How changes are made: in order, and whole or not at all.

use std::sync::mpsc::channel;

use super::{
    asker::PATIENCE,
    fresh::{end, replace},
    subject::Subject,
    threads::apart,
};
use crate::store::{
    Beginning, Commit, Effect, EventId, HistoryId, KeyId, NewEvent, NewRow, Place, Refusal, RowId,
    RowVersion, Rows, SessionChange,
};

pub(super) fn positions_are_consecutive(subject: &mut Subject<'_>) {
    subject.begin(Beginning::Empty);
    for count in [1, 1, 3, 2, 7, 1] {
        subject.append(subject.fresh().bumps(count));
        subject.check();
    }
    assert_eq!(subject.head().position, 16);
}

pub(super) fn changes_of_sessions_alone_take_no_position(subject: &mut Subject<'_>) {
    subject.begin(Beginning::Empty);
    subject.append(subject.fresh().bumps(2));
    let row = subject.fresh().row(subject.fresh().bytes());
    let head = subject.head();
    subject.change(vec![SessionChange::Start(row.clone())]);
    subject.check();
    subject.change(vec![end(&row, Some(row.version))]);
    subject.change(Vec::new());
    assert_eq!(subject.head(), head);
    subject.check();
    subject.append(subject.fresh().bumps(1));
}

pub(super) fn events_and_sessions_are_changed_in_one_commit(subject: &mut Subject<'_>) {
    subject.begin(Beginning::Empty);
    let fresh = subject.fresh().clone();
    let user = fresh.bytes();
    let (first, second) = (fresh.row(user), fresh.row(user));
    let start = |row: &NewRow| SessionChange::Start(row.clone());
    subject.commit(fresh.bumps(2), vec![start(&first), start(&second)]);
    subject.check();
    let changed = fresh.version_of(&first);
    let changes = vec![
        replace(&changed, first.version, true),
        end(&second, Some(second.version)),
        start(&fresh.row(user)),
    ];
    let key = fresh.key();
    subject.commit(vec![fresh.bump(), fresh.add_key(key)], changes);
    subject.check();
}

pub(super) fn a_commit_in_another_history_is_refused(subject: &mut Subject<'_>) {
    subject.begin(Beginning::Empty);
    let row = subject.fresh().row(subject.fresh().bytes());
    subject.expected_mut().users.insert(row.user);
    let refused = subject.new_commit(subject.fresh().bumps(1), vec![SessionChange::Start(row)]);
    let known = Place {
        history: HistoryId::from_bytes(subject.fresh().bytes()),
        ..subject.head()
    };
    subject.refuse(
        Commit { known, ..refused },
        Refusal::Place,
        "the log is not in its history",
    );
}

/// Whatever the condition was: neither events nor sessions nor keys, and no position.
pub(super) fn a_refused_commit_leaves_nothing(subject: &mut Subject<'_>) {
    subject.begin(Beginning::Empty);
    let fresh = subject.fresh().clone();
    let user = fresh.bytes();
    let [kept, other, missing] = [(); 3].map(|()| fresh.row(user));
    let old = subject.expected().keys[0].id;
    let starts = [&kept, &other].map(|row| SessionChange::Start(row.clone()));
    subject.commit(fresh.bumps(1), starts.into());

    let whole = |subject: &Subject<'_>| {
        let (key, fresh) = (subject.fresh().key(), subject.fresh());
        let events = vec![fresh.bump(), fresh.add_key(key), fresh.remove_key(old)];
        let sessions = vec![
            SessionChange::Start(fresh.row(user)),
            replace(&fresh.version_of(&kept), kept.version, true),
        ];
        subject.new_commit(events, sessions)
    };
    let with_event = |subject: &Subject<'_>, event: NewEvent| {
        let mut commit = whole(subject);
        commit.events.push(event);
        commit
    };
    let with_change = |subject: &Subject<'_>, change: SessionChange| {
        let mut commit = whole(subject);
        commit.sessions.push(change);
        commit
    };
    let (key, session) = (Refusal::Key, Refusal::Session);
    let mut not_newest = whole(subject);
    not_newest.newest_key = Some(fresh.key());
    subject.refuse(not_newest, key, "another key is the newest");
    let removal = with_event(subject, fresh.remove_key(old));
    subject.refuse(removal, key, "its last event removes a key twice");
    let start = with_change(subject, SessionChange::Start(other));
    subject.refuse(start, session, "its last change starts a row that is there");
    let replacement = replace(&fresh.version_of(&missing), missing.version, false);
    let replacement = with_change(subject, replacement);
    subject.refuse(replacement, session, "its last change is of no row");
    let ending = with_change(subject, end(&missing, Some(missing.version)));
    subject.refuse(ending, session, "its last change ends no row");

    subject.make(whole(subject));
}

/// Ids and bodies are bytes: none of them means anything to a store.
pub(super) fn ids_and_bodies_are_any_bytes(subject: &mut Subject<'_>) {
    let rising: Vec<[u8; 16]> = (0..=255_u8)
        .collect::<Vec<_>>()
        .chunks_exact(16)
        .filter_map(|chunk| chunk.try_into().ok())
        .collect();
    let texts = [*b"{a}:b*c?[d]'\"\\$`", *b"\r\n\0\t ;--%_/..|&$"];
    let extremes = [[0; 16], [0xff; 16], [0x80; 16]];
    let mut new = subject.new_history(Beginning::Empty);
    new.id = HistoryId::from_bytes([0; 16]);
    new.event.id = EventId::from_bytes([0xff; 16]);
    new.secrets = (0..=255).collect();
    subject.begin_as(new);

    for bytes in rising.into_iter().chain(texts).chain(extremes) {
        let mut short = [0; 12];
        short.copy_from_slice(&bytes[2..14]);
        let fresh = subject.fresh();
        let (tag, secret) = (bytes, bytes);
        let mut epoch = fresh.event(Effect::Epoch { tag, secret });
        let mut key = fresh.add_key(KeyId::from_bytes(short));
        // The ids of the first event and of one with the extremes would be the same.
        key.id = EventId::from_bytes(bytes.map(|byte| byte ^ 0x55));
        epoch.body = [bytes, [0; 16]].concat();
        key.body = bytes.to_vec();
        let mut row = fresh.row(bytes);
        row.id = RowId::from_bytes(bytes);
        row.version = RowVersion::from_bytes(bytes);
        row.body = (0..=255).collect();
        subject.commit(vec![epoch, key], vec![SessionChange::Start(row)]);
    }
    subject.check();
}

pub(super) fn bodies_are_empty_or_large(subject: &mut Subject<'_>) {
    let mut next = 0_u32;
    let mut bytes = |length| {
        let byte = |_| {
            next = next.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            next.to_be_bytes()[0]
        };
        (0..length).map(byte).collect::<Vec<u8>>()
    };
    for length in [0, 1, 64 * 1024] {
        let beginning = match length {
            0 => Beginning::Empty,
            _ => Beginning::InsteadOf(subject.history()),
        };
        let mut new = subject.new_history(beginning);
        (new.secrets, new.event.body) = (bytes(length), bytes(length));
        subject.begin_as(new);

        let mut bump = subject.fresh().bump();
        bump.body = bytes(length);
        let (key, record) = (subject.fresh().key(), bytes(length));
        let key = subject.fresh().event(Effect::AddKey { key, record });
        let mut row = subject.fresh().row(subject.fresh().bytes());
        row.body = bytes(length);
        let start = SessionChange::Start(row.clone());
        subject.commit(vec![bump, key], vec![start]);
        let mut changed = subject.fresh().version_of(&row);
        changed.body = bytes(length);
        subject.change(vec![replace(&changed, row.version, true)]);
        subject.check();
    }
}

/// Each request after an answer, whoever sends it, sees what was answered as done.
pub(super) fn what_is_done_is_seen_by_the_next_request(subject: &mut Subject<'_>) {
    subject.begin(Beginning::Empty);
    let user = subject.fresh().bytes();
    for _ in 0..60 {
        let before = subject.head();
        let row = subject.fresh().row(user);
        let bump = subject.fresh().bump();
        subject.commit(vec![bump], vec![SessionChange::Start(row.clone())]);
        let followed = subject.asker.follow(before);
        let ids: Vec<_> = followed.iter().map(|event| event.id).collect();
        assert_eq!(ids, [subject.head().event], "what follows the last head");
        let shown = subject.asker.snapshot().snapshot.map(|shown| shown.head);
        assert_eq!(shown, Some(subject.head()), "the head of the next snapshot");
        let rows = Rows::One(row.id);
        let rows = subject.asker.sessions(subject.head(), rows);
        assert_eq!(rows.map(|rows| rows.len()), Some(1), "rows just started");
        subject.commit(subject.fresh().bumps(1), vec![end(&row, None)]);
    }
}

/// An operation that is finished may wake a task that starts the next one on this thread.
pub(super) fn a_completion_may_make_requests(subject: &mut Subject<'_>) {
    subject.begin(Beginning::Empty);
    let (first, second) = (
        subject.new_commit(subject.fresh().bumps(1), Vec::new()),
        subject.new_commit(subject.fresh().bumps(1), Vec::new()),
    );
    let connection = subject.asker.connection().clone();
    let (send, receive) = channel();
    let (commit, then) = (first.clone(), second.clone());
    // On a thread of its own, for it may never come back.
    drop(apart(move || {
        let again = connection.clone();
        let done = move |first| {
            let done = move |second| drop(send.send((first, second)));
            again.commit(then, Box::new(done));
        };
        connection.commit(commit, Box::new(done));
    }));
    let Ok((Ok(one), Ok(two))) = receive.recv_timeout(PATIENCE) else {
        panic!("a commit that was sent by the completion of another was not made");
    };
    subject.was_made(first, one);
    subject.was_made(second, two);
}
