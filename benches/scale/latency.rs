//! How long the slowest verifies take.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use epochkey::{Authority, Token};
use hdrhistogram::Histogram;

use crate::tokens;

const FOR: Duration = Duration::from_secs(15);
/// So often through all tokens before they are replaced, which is not measured.
const CYCLES: usize = 400;

/// Of calls one after the other, in nanoseconds.
struct Times {
    verify: Histogram<u64>,
    /// Two readings of the clock and nothing between them.
    nothing: Histogram<u64>,
    /// A loop that does nothing, and is as long as a verify: whatever interrupts one of them
    /// interrupts the other as often.
    empty_loop: Histogram<u64>,
}

pub(crate) fn print(while_what: &str, authority: &Authority) {
    let times = measure(authority);
    println!("nanoseconds of one call, while {while_what}:");
    for (name, times) in [
        ("epochkey-repeat", &times.verify),
        ("an empty loop as long", &times.empty_loop),
        ("nothing", &times.nothing),
    ] {
        let at = |quantile| times.value_at_quantile(quantile);
        println!(
            "  {name:<22} p50 {:>5}  p99 {:>5}  p99.9 {:>6}  p99.99 {:>7}  most {:>9}  ({} calls)",
            at(0.5),
            at(0.99),
            at(0.999),
            at(0.9999),
            times.max(),
            times.len()
        );
    }
    let at = |times: &Histogram<u64>, quantile| times.value_at_quantile(quantile) as f64;
    let (typical, slow) = (at(&times.verify, 0.5), at(&times.verify, 0.999));
    let without = |machine| (slow - (at(machine, 0.999) - at(machine, 0.5))) / typical;
    println!(
        "  p99.9 of a verify, in p50s: {:.2}; without what the machine adds to nothing {:.2}, \
         and without what it adds to the loop {:.2}",
        slow / typical,
        without(&times.nothing),
        without(&times.empty_loop)
    );
}

fn measure(authority: &Authority) -> Times {
    let longest = Duration::from_secs(60).as_nanos() as u64;
    let histogram = || Histogram::new_with_max(longest, 3).expect("a histogram");
    let mut times = Times {
        verify: histogram(),
        nothing: histogram(),
        empty_loop: histogram(),
    };
    let turns = turns_as_long(authority);
    let begun = Instant::now();
    while begun.elapsed() < FOR {
        cycle(authority, turns, &mut times);
    }
    times
}

fn cycle(authority: &Authority, turns: u64, times: &mut Times) {
    let tokens = tokens(authority);
    for _ in 0..CYCLES {
        for token in &tokens {
            let before = Instant::now();
            verify(authority, token);
            let verified = Instant::now();
            let nothing = Instant::now();
            do_nothing(turns);
            let looped = Instant::now();
            for (times, took) in [
                (&mut times.verify, verified - before),
                (&mut times.nothing, nothing - verified),
                (&mut times.empty_loop, looped - nothing),
            ] {
                times.record(took.as_nanos() as u64).expect("a short time");
            }
        }
    }
}

fn verify(authority: &Authority, token: &Token) {
    black_box(authority.verify(black_box(token)).expect("a good token"));
}

fn do_nothing(turns: u64) {
    for turn in 0..turns {
        black_box(turn);
    }
}

/// How many turns of an empty loop take as long as a verify of a token that was seen before.
fn turns_as_long(authority: &Authority) -> u64 {
    const TURNS: u64 = 10_000;
    let tokens = tokens(authority);
    let shortest = |act: &dyn Fn()| {
        let times = (0..200).map(|_| {
            let started = Instant::now();
            act();
            started.elapsed()
        });
        times.min().unwrap_or_default()
    };
    let verifies = shortest(&|| tokens.iter().for_each(|token| verify(authority, token)));
    let verify = verifies.as_secs_f64() / tokens.len() as f64;
    let turn = shortest(&|| do_nothing(TURNS)).as_secs_f64() / TURNS as f64;
    (verify / turn).ceil() as u64
}
