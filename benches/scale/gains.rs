//! What a second thread gains.

use std::{hint::black_box, sync::Arc};

use epochkey::{Authority, Token};
use epochkey_benches::ours::signing_input;
use ring::hmac;

use crate::{
    USERS,
    crew::{Crew, Job},
    tokens,
};

const ROUNDS: usize = 150;
/// Calls of each thread in a turn, which then takes some ten milliseconds.
const CALLS: usize = 16 * USERS;
/// What a second core gains at least, also beside other work.
const TWO_CORES: f64 = 1.5;

pub(crate) fn print(while_what: &str, authority: &Authority) {
    let crew = Crew::new(2);
    let (mut floor, mut one, mut different) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let tokens = Arc::new(tokens(authority));
        let of_floor = gain(&crew, &hmacs(&tokens));
        floor.push(of_floor);
        one.push(gain(&crew, &verifies(authority, &tokens, 1)) / of_floor);
        different.push(gain(&crew, &verifies(authority, &tokens, USERS)) / of_floor);
    }
    println!("2 threads beside 1, while {while_what} (medians of {ROUNDS} rounds in turns):");
    let (floor, _) = median_and_tenth(floor);
    println!("  floor-ring-hmac            gains {floor:.3}");
    if floor < TWO_CORES {
        println!("  (the machine had no second core to give: what follows says nothing)");
    }
    for (name, gains) in [
        ("epochkey-one-user", one),
        ("epochkey-different-users", different),
    ] {
        let (median, tenth) = median_and_tenth(gains);
        println!("  {name:<26} gains {median:.3} of that, 90 % above {tenth:.3}");
    }
}

/// How many times as much two threads get done as one.
fn gain(crew: &Crew, job: &Job) -> f64 {
    let alone = crew.run(1, job);
    2.0 * alone.div_duration_f64(crew.run(2, job))
}

fn hmacs(tokens: &Arc<Vec<Token>>) -> Job {
    let key = hmac::Key::new(hmac::HMAC_SHA256, &[7; 32]);
    let inputs = tokens.iter().map(|token| {
        let input = signing_input(token.as_str()).to_owned();
        let tag = hmac::sign(&key, input.as_bytes());
        (input, tag)
    });
    let inputs: Vec<_> = inputs.collect();
    Arc::new(move |thread| {
        for (input, tag) in share(&inputs, thread) {
            hmac::verify(&key, black_box(input.as_bytes()), tag.as_ref()).expect("a good tag");
        }
    })
}

/// Of tokens of so many users.
fn verifies(authority: &Authority, tokens: &Arc<Vec<Token>>, users: usize) -> Job {
    let (authority, tokens) = (authority.clone(), Arc::clone(tokens));
    Arc::new(move |thread| {
        for token in share(&tokens[..users], thread) {
            black_box(authority.verify(black_box(token)).expect("a good token"));
        }
    })
}

/// The two threads have different halves of the inputs, over and over, or the same one if there
/// is only one.
fn share<T>(inputs: &[T], thread: usize) -> impl Iterator<Item = &T> {
    let half = inputs.len().div_ceil(2);
    let begin = (thread * half).min(inputs.len() - half);
    inputs[begin..begin + half].iter().cycle().take(CALLS)
}

/// The median, and what 90 % are above.
fn median_and_tenth(mut numbers: Vec<f64>) -> (f64, f64) {
    numbers.sort_by(f64::total_cmp);
    (numbers[numbers.len() / 2], numbers[numbers.len() / 10])
}
