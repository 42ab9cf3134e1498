//! How long the slowest verifies take.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use epochkey::Authority;
use hdrhistogram::Histogram;

use crate::tokens;

const FOR: Duration = Duration::from_secs(15);

/// What is measured: tokens go by in turn, so often, and then there are new ones.
struct Calls {
    id: &'static str,
    tokens_of_each_user: usize,
    rounds: usize,
    /// The first of the rounds.
    not_counted: usize,
}

const CALLS: [Calls; 2] = [
    Calls {
        id: "epochkey-repeat",
        tokens_of_each_user: 1,
        rounds: 400,
        // Until the thread has forgotten those from before and keeps these.
        not_counted: 16,
    },
    Calls {
        id: "epochkey-first-sight",
        tokens_of_each_user: 16,
        rounds: 1,
        not_counted: 0,
    },
];

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
    println!("nanoseconds of one call, while {while_what}:");
    for calls in &CALLS {
        print_one(calls.id, &measure(authority, calls));
    }
}

fn print_one(id: &str, times: &Times) {
    for (name, times) in [
        (id, &times.verify),
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
        "  p99.9 of it, in p50s: {:.2}; without what the machine adds to nothing {:.2}, \
         and without what it adds to the loop {:.2}",
        slow / typical,
        without(&times.nothing),
        without(&times.empty_loop)
    );
}

impl Times {
    fn new() -> Self {
        let longest = Duration::from_secs(60).as_nanos() as u64;
        let histogram = || Histogram::new_with_max(longest, 3).expect("a histogram");
        Self {
            verify: histogram(),
            nothing: histogram(),
            empty_loop: histogram(),
        }
    }
}

fn measure(authority: &Authority, calls: &Calls) -> Times {
    // How many turns of the loop are as long is found out where it is measured, for a loop runs
    // faster by itself.
    const TURNS: u64 = 1000;
    let mut first = Times::new();
    cycle(authority, calls, TURNS, &mut first);
    let typical = |times: &Histogram<u64>| times.value_at_quantile(0.5);
    let turns = TURNS * typical(&first.verify) / typical(&first.empty_loop);

    let mut times = Times::new();
    let begun = Instant::now();
    while begun.elapsed() < FOR {
        cycle(authority, calls, turns, &mut times);
    }
    times
}

fn cycle(authority: &Authority, calls: &Calls, turns: u64, times: &mut Times) {
    let tokens: Vec<_> = (0..calls.tokens_of_each_user)
        .flat_map(|_| tokens(authority))
        .collect();
    for round in 0..calls.rounds {
        for token in &tokens {
            let before = Instant::now();
            black_box(authority.verify(black_box(token)).expect("a good token"));
            let verified = Instant::now();
            let nothing = Instant::now();
            do_nothing(turns);
            let looped = Instant::now();
            if round < calls.not_counted {
                continue;
            }
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

fn do_nothing(turns: u64) {
    for turn in 0..turns {
        black_box(turn);
    }
}
