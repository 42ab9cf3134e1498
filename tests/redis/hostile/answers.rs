//! Each question of a store, and each lie for an answer: an error, and the next answer is good.

use epochkey::{StoreError, store::Store};

use super::*;
use crate::{
    deceived::{Asker, QUESTIONS, current, now},
    network::{LIES, Lie, deep},
};

const EPOCHS: usize = 2500;

/// A store in which a history has begun.
fn begun(hostile: &Hostile) -> (RedisStore, Asker) {
    let store = connect(hostile);
    let asker = Asker::begun(&store);
    (store, asker)
}

/// Whether a lie may have been found out and made good: the server is told the script again.
fn is_made_good(name: &str) -> bool {
    name == "no script"
}

fn answers_to(question: &str) {
    let Some((_server, hostile)) = start() else {
        return;
    };
    let (store, mut asker) = begun(&hostile);
    for (name, bytes) in LIES {
        persist(|| asker.ask(&store, question));
        // All: one that was given up may come late, and would be told the lie instead.
        hostile.replace_all("EVALSHA", Lie::Bytes(bytes.to_vec()));
        let answer = asker.ask(&store, question);
        hostile.reform();
        assert!(
            answer.is_err() || is_made_good(name),
            "{name} for {question}"
        );
        // A beginning of which nobody heard.
        if question == "begin" {
            asker.known.history = current(&store);
        }
        persist(|| asker.ask(&store, question));
    }
    let lies = [0, 1, 30].map(Lie::Truncated).into_iter();
    let lies = lies.chain([98, 99, 100_000].map(|levels| Lie::Bytes(deep(levels))));
    for lie in lies {
        persist(|| asker.ask(&store, question));
        hostile.replace_all("EVALSHA", lie.clone());
        let answer = asker.ask(&store, question);
        hostile.reform();
        assert!(answer.is_err(), "{lie:.40?} for {question}");
        if question == "begin" {
            asker.known.history = current(&store);
        }
        persist(|| asker.ask(&store, question));
    }
    // That one may be right by chance. What follows on its heels is not the next answer.
    for lie in [Lie::Late, Lie::Bytewise] {
        hostile.replace("EVALSHA", lie);
        let _ = asker.ask(&store, question);
        persist(|| asker.ask(&store, question));
    }
}

/// Both are right in shape, and nobody knows which is to what was asked.
#[test]
fn two_answers_to_one_question_are_none() {
    let Some((_server, hostile)) = start() else {
        return;
    };
    let (_, mut asker) = begun(&hostile);
    let store = RedisStore::connect(&url(&hostile), RedisOptions::new()).unwrap();
    let time = now().as_unix_millis().to_string();
    let answer = format!("*2\r\n${}\r\n{time}\r\n$4\r\npart\r\n", time.len());
    for (extra, is_good) in [("", true), (&answer[..], false), ("*", false)] {
        persist(|| asker.ask(&store, "standing"));
        let answers = format!("{answer}{extra}").into_bytes();
        hostile.replace("EVALSHA", Lie::Bytes(answers));
        let asked = asker.ask(&store, "standing");
        hostile.reform();
        assert_eq!(asked.is_ok(), is_good, "{extra}");
    }
}

/// Nobody asks a connection that the server has closed, so that what is asked is done.
#[test]
fn a_closed_connection_is_not_asked() {
    let Some(server) = server::redis() else {
        return;
    };
    let hostile = Hostile::before(server.address()).unwrap();
    let (_, mut asker) = begun(&hostile);
    let store = RedisStore::connect(&server.url(), RedisOptions::new()).unwrap();
    for _ in 0..20 {
        server
            .command(&["CLIENT", "KILL", "TYPE", "normal"])
            .unwrap();
        asker.ask(&store, "standing").unwrap();
        asker.commit(&store, 1).unwrap();
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

/// What is right in shape is believed or not; nothing breaks.
#[test]
fn an_altered_answer_breaks_nothing() {
    let Some((_server, hostile)) = start() else {
        return;
    };
    let (store, mut asker) = begun(&hostile);
    for question in QUESTIONS
        .into_iter()
        .filter(|&question| question != "standing")
    {
        for seed in 0..40 {
            let known = asker.known;
            hostile.replace("EVALSHA", Lie::Altered(seed));
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
    for (name, bytes) in LIES {
        persist(read);
        hostile.replace_all("HSCAN", Lie::Bytes(bytes.to_vec()));
        // A server that has forgotten its scripts is taught them again, whatever it was asked.
        assert!(name == &"no script" || read().is_err(), "{name}");
        hostile.reform();
    }
    persist(read);
}
