//! Each question of a store, and each lie for an answer: an error, and the next answer is good.

use epochkey::{StoreError, store::Store};

use super::*;
use crate::{
    deceived::{Asker, QUESTIONS, current, now},
    network::{Lie, wire::described},
};

const EPOCHS: usize = 2500;

/// By what occurs in the statement of which the answer cannot be anything else.
fn marker(question: &str) -> &'static str {
    match question {
        "news" => "_news (",
        "sessions" => "_find_sessions (",
        "standing" => "_standing (",
        "receipts" => "_receipts\0",
        "snapshot" => "_whole_head\0",
        _ => "_surroundings (",
    }
}

/// A store in which a history has begun.
fn begun(hostile: &Hostile) -> (PostgresStore, Asker) {
    let store = connect(hostile);
    let asker = Asker::begun(&store);
    (store, asker)
}

fn lies(hostile: &Hostile) -> Vec<(String, Lie)> {
    let lies = hostile.lies().into_iter();
    let lies = lies.map(|(name, bytes)| (name.to_owned(), Lie::Bytes(bytes)));
    let cut = [0, 1, 30].map(|length| (format!("cut after {length}"), Lie::Truncated(length)));
    lies.chain(cut).collect()
}

fn answers_to(question: &str) {
    let Some((_server, hostile)) = start() else {
        return;
    };
    let (store, mut asker) = begun(&hostile);
    for (name, lie) in lies(&hostile) {
        persist(|| asker.ask(&store, question));
        // Again and again: what broke a connection is asked once more over another one.
        hostile.replace_all(marker(question), lie);
        let answer = asker.ask(&store, question);
        hostile.reform();
        assert!(answer.is_err(), "{name} for {question}");
        persist(|| asker.ask(&store, question));
    }
    // That one may be right by chance. What follows on its heels is not the next answer.
    for lie in [Lie::Late, Lie::Bytewise] {
        hostile.replace(marker(question), lie);
        let _ = asker.ask(&store, question);
        persist(|| asker.ask(&store, question));
    }
}

/// One after the other would take longer.
fn share(of: usize) {
    for question in QUESTIONS.iter().skip(of).step_by(3) {
        answers_to(question);
    }
}

#[test]
fn each_lie_for_each_answer_is_an_error_1() {
    share(0);
}

#[test]
fn each_lie_for_each_answer_is_an_error_2() {
    share(1);
}

#[test]
fn each_lie_for_each_answer_is_an_error_3() {
    share(2);
}

/// Of what was rolled back a server says just that, and not that there was an error.
#[test]
fn nothing_but_a_commit_is_taken_for_one() {
    let Some((_server, hostile)) = start() else {
        return;
    };
    let (store, mut asker) = begun(&hostile);
    for (name, lie) in lies(&hostile) {
        // That is tried again, and found to be there.
        if name == "a conflict" {
            continue;
        }
        persist(|| asker.ask(&store, "commit"));
        hostile.replace_behind("_move_head (", lie);
        let answer = asker.commit(&store, 1);
        hostile.reform();
        assert!(answer.is_err(), "{name}");
    }
    persist(|| asker.ask(&store, "commit"));
}

/// Whoever asks where it stands expects the truth.
fn asked_of_a_liar() -> impl Iterator<Item = &'static str> {
    let questions = QUESTIONS.into_iter();
    questions.filter(|&question| question != "standing")
}

/// Whichever answer of a flight it is for: no harm comes of it.
#[test]
fn a_lie_for_any_statement_breaks_nothing() {
    let Some((_server, hostile)) = start() else {
        return;
    };
    let (store, mut asker) = begun(&hostile);
    let questions: Vec<_> = asked_of_a_liar().collect();
    for (number, (_, lie)) in lies(&hostile).into_iter().enumerate() {
        let question = questions[number % questions.len()];
        for replies in 0..4 {
            let known = asker.known;
            hostile.replace_after(replies * 2 + number as u64 % 2, lie.clone());
            let _ = asker.ask(&store, question);
            hostile.reform();
            asker.known = known;
            if question == "begin" {
                asker.known.history = current(&store);
            }
        }
    }
    persist(|| store.snapshot(now(), &mut drop));
}

/// What is right in shape is believed or not; nothing breaks.
#[test]
fn an_altered_answer_breaks_nothing() {
    let Some((_server, hostile)) = start() else {
        return;
    };
    let (store, mut asker) = begun(&hostile);
    for question in asked_of_a_liar() {
        for seed in 0..60 {
            let known = asker.known;
            match seed % 3 {
                0 => hostile.replace(marker(question), Lie::Altered(seed)),
                _ => hostile.replace_after(seed / 3 % 8, Lie::Altered(seed)),
            }
            let _ = asker.ask(&store, question);
            hostile.reform();
            asker.known = known;
            if question == "begin" {
                asker.known.history = current(&store);
            }
        }
    }
    persist(|| store.snapshot(now(), &mut drop));
}

#[test]
fn pages_of_epochs_are_looked_at_too() {
    let Some((_server, hostile)) = start() else {
        return;
    };
    let (store, mut asker) = begun(&hostile);
    for _ in 0..EPOCHS / 250 {
        persist(|| asker.commit(&store, 250));
    }
    let read = || {
        let mut epochs = 0;
        let snapshot = store.snapshot(now(), &mut |_| epochs += 1)?;
        assert_eq!(snapshot.value.map(|snapshot| snapshot.keys.len()), Some(1));
        assert!(epochs >= EPOCHS, "{epochs}");
        Ok::<_, StoreError>(())
    };
    for (name, lie) in lies(&hostile) {
        persist(read);
        hostile.replace_all("epochs.secret FROM", lie);
        assert!(read().is_err(), "{name}");
        hostile.reform();
    }
    persist(read);
}

/// How many epochs are announced does not say how long they are waited for.
#[test]
fn nobody_waits_for_all_epochs_that_are_announced() {
    let Some((server, hostile)) = start() else {
        return;
    };
    let (store, _) = begun(&hostile);
    let announce = "UPDATE epochkey.head SET epochs = 9223372036854775807";
    server.execute(announce).unwrap();
    let error = store.snapshot(now(), &mut drop).unwrap_err();
    assert_eq!(error.label(), "damaged", "{error}");
    let none_yet = described(&[17, 20, 17]);
    hostile.replace_all("epochs.secret FROM", Lie::Bytes(none_yet));
    let error = store.snapshot(now(), &mut drop).unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("in time"), "{source}");
}
